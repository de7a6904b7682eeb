"""Ask AWS for the free tier once a day, in the digest's function: nothing that ends boxes waits for it."""

from dataclasses import replace

from chalicelib.domain.errors import Unavailable
from chalicelib.domain.free_tier import FreeTier, FreeTierReport, by_worry, is_due, report
from chalicelib.ports import Services


def free_tier_of_today(services: Services) -> FreeTier | None:
    """The last answer, asked for anew where it is a day old. None where there is none to be had."""
    now = services.clock.now()
    try:
        known = services.store.free_tier()
        if services.free_tier is None or not is_due(known, now):
            return known
        told = services.free_tier.ask(now)
        told = replace(told, offers=by_worry(told.offers))
        services.store.keep_free_tier(told)
    except Unavailable:
        return None
    return told


def last_free_tier(services: Services) -> FreeTierReport | None:
    """The last answer for people; None before the first."""
    known = services.store.free_tier()
    return report(known, services.clock.now()) if known else None
