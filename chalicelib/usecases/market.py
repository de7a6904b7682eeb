"""A price cap beside what spot costs now: a box that is cheaper than the market starts nowhere, and nobody says why."""

from collections.abc import Mapping
from decimal import Decimal

from chalicelib.domain.errors import NoCapacity, Refused, Unavailable
from chalicelib.domain.lease import LaunchOrder
from chalicelib.domain.money import show
from chalicelib.ports import Services

ASK_SECONDS = 5.0
SLUG = "price-too-low"

Market = Mapping[str, Mapping[str, Decimal]]
"""By type and zone, what spot costs an hour now."""


def below_market(order: LaunchOrder, market: Market, *, tried: object = ()) -> tuple[Refused, ...]:
    """The refusal of an order's own cap where every type of it costs more in every zone now; none where one does not,
    or the market does not say."""
    cap = order.max_price_usd_per_hour
    if cap is None:
        return ()
    if len(market) < len(set(order.instance_types)) or any(
        min(one.values()) <= cap for one in market.values()
    ):
        return ()
    cheapest = {name: min(zones.values()) for name, zones in market.items()}
    told = ", ".join(f"{name} costs {show(usd)} an hour or more" for name, usd in cheapest.items())
    refusal = Refused(
        f"max_price_usd_per_hour {show(cap)} is below the market in {order.region}: {told} on spot now; nothing runs "
        f"and nothing is held. Raise max_price_usd_per_hour above {show(min(cheapest.values()))}, or leave it out for "
        "the on-demand price",
        slug=SLUG,
        spot_usd_per_hour=_plain(market),
        tried=tried,
    )
    return (refusal,)


def with_the_market(services: Services, order: LaunchOrder, refusal: Refused) -> Refused:
    """The refusal of a launch; where a price cap may be why, with what spot costs in each zone now."""
    is_price = refusal.slug == SLUG
    if not is_price and (order.max_price_usd_per_hour is None or not isinstance(refusal, NoCapacity)):
        return refusal
    market = spot_now(services, order)
    for told in below_market(order, market, tried=refusal.extra.get("tried", ())):
        return told
    if is_price:
        return Refused(refusal.detail, slug=SLUG, **refusal.extra, spot_usd_per_hour=_plain(market))
    return refusal


def spot_now(services: Services, order: LaunchOrder) -> Market:
    """What each type costs on spot in each zone now. A type of which EC2 does not say is left out, and all are where
    whoever waits for the answer has no time for it. Never raises."""
    if services.patience(ASK_SECONDS) < ASK_SECONDS:
        return {}
    try:
        return services.prices.spot_now(order.region, order.instance_types, now=services.clock.now())
    except Unavailable:
        return {}


def _plain(market: Market) -> dict[str, dict[str, str]]:
    return {name: {zone: str(usd) for zone, usd in zones.items()} for name, zones in market.items()}
