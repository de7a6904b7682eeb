"""Snooze: whoever got a warning puts the idle end off by its link. Looking changes nothing; chat programs fetch links.

An end is put off within the lease's own time alone, so what is held for it stays as it is.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from chalicelib.domain import notices
from chalicelib.domain.errors import Gone, NotFound, Refused, Stale, Unavailable
from chalicelib.domain.lease import Lease, Status
from chalicelib.domain.links import Claim
from chalicelib.domain.meter import Cost, measure
from chalicelib.ports import Services
from chalicelib.usecases.gather import price_book

TRIES = 10
HOUR = timedelta(hours=1)
SAME_USE = timedelta(minutes=5)
"""A link that is used once more within so long changes nothing: pages are reloaded, and each use tells people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A lease as its link may show it. `keeps_until`: to when using it puts an end for idleness off, None where it
    can't; `hours_for_more`: of a PATCH that would keep it for all that the link names, None where its time is enough.
    """

    claim: Claim
    lease: Lease
    cost: Cost
    keeps_until: datetime | None
    hours_for_more: int | None
    is_done: bool = False


def look(services: Services, token: str) -> Offer:
    """What a link would do, and the lease it is for. Raises NotFound, Gone."""
    claim, lease, now = _opened(services, token)
    return _offer(services, claim, lease, now)


def snooze(services: Services, token: str) -> Offer:
    """Put the end for idleness off, never past the lease's own; used twice it does what it does once.

    Raises NotFound and Gone for a link that is none or is over, Refused for one that only shows or whose lease ends.
    """
    for _ in range(TRIES):
        claim, lease, now = _opened(services, token)
        offer = _offer(services, claim, lease, now)
        if claim.purpose.keeps_for is None:
            raise Refused("this link shows a lease and keeps none; nothing was changed")
        if offer.keeps_until is None:
            raise Refused(
                f"lease {lease.id} is {lease.status}: it can't be kept any more; nothing was changed. Launch anew",
                slug="lease-over",
            )
        until, just_used = lease.snoozed_until, now + claim.purpose.keeps_for - SAME_USE
        if until is not None and (until >= offer.keeps_until or until > just_used):
            return replace(offer, keeps_until=until, is_done=True)
        warned_at = {rule: at for rule, at in lease.warned_at.items() if rule != "idle"}
        kept = replace(lease, snoozed_until=offer.keeps_until, warned_at=warned_at)
        try:
            saved = services.store.save_lease(kept, notices=[notices.kept(kept, offer.keeps_until, now)])
        except Stale:
            continue
        return replace(offer, lease=saved, is_done=True)
    raise Stale("the lease kept changing; nothing was changed, try again")


def _opened(services: Services, token: str) -> tuple[Claim, Lease, datetime]:
    """A link's claim and its lease. A wrong link is told nothing, not even whether there is such a lease."""
    now = services.clock.now()
    try:
        claim = services.links.read(token)
    except Unavailable as error:
        raise Unavailable("links can't be checked now; nothing was changed, try again in a minute") from error
    if claim is None:
        raise NotFound("this is no link of Curfew's; nothing was changed", slug="bad-link")
    if now >= claim.expires_at:
        raise Gone(
            f"this link worked until {claim.expires_at:%Y-%m-%d %H:%M} UTC; nothing was changed. The next warning has "
            "a new one",
            slug="link-expired",
        )
    lease = services.store.lease(claim.lease_id)
    if lease is None:
        raise NotFound("this is no link of Curfew's; nothing was changed", slug="bad-link")
    return claim, lease, now


def _offer(services: Services, claim: Claim, lease: Lease, now: datetime) -> Offer:
    cost = measure(lease, price_book(services, [lease], (), now), lease.closed_at or now)
    wanted = now + claim.purpose.keeps_for if claim.purpose.keeps_for else None
    if wanted is None or lease.status is not Status.ACTIVE or lease.expires_at <= now:
        return Offer(claim=claim, lease=lease, cost=cost, keeps_until=None, hours_for_more=None)
    missing = wanted > lease.expires_at
    return Offer(
        claim=claim,
        lease=lease,
        cost=cost,
        keeps_until=min(wanted, lease.expires_at),
        hours_for_more=-((lease.requested_at - wanted) // HOUR) if missing else None,
    )
