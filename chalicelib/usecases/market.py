"""A price cap beside what spot costs now: a box that is cheaper than the market starts nowhere, and nobody says why."""

from decimal import Decimal

from chalicelib.domain.errors import NoCapacity, Unavailable
from chalicelib.domain.lease import LaunchOrder
from chalicelib.domain.money import show
from chalicelib.ports import Services

ASK_SECONDS = 5.0


def below_market(services: Services, order: LaunchOrder, *, tried: object = ()) -> tuple[NoCapacity, ...]:
    """The refusal of an order's own cap where every type of it costs more in every zone now.

    None where one does not, where EC2 does not say, and where whoever waits for the answer has no time for it.
    """
    cap = order.max_price_usd_per_hour
    if cap is None:
        return ()
    cheapest: dict[str, Decimal] = {}
    for name in order.instance_types:
        usd = _cheapest_now(services, order.region, name)
        if usd is None or usd <= cap:
            return ()
        cheapest[name] = usd
    market = ", ".join(f"{name} costs {show(usd)} an hour or more" for name, usd in cheapest.items())
    lowest = min(cheapest.values())
    refusal = NoCapacity(
        f"max_price_usd_per_hour {show(cap)} is below the market in {order.region}: {market} on spot now; nothing runs "
        f"and nothing is held. Raise max_price_usd_per_hour above {show(lowest)}, or leave it out for the on-demand "
        "price",
        spot_usd_per_hour={name: str(usd) for name, usd in cheapest.items()},
        tried=tried,
    )
    return (refusal,)


def _cheapest_now(services: Services, region: str, instance_type: str) -> Decimal | None:
    """The lowest spot price of a type in any zone, None where it is not known."""
    if services.patience(ASK_SECONDS) < ASK_SECONDS:
        return None
    now = services.clock.now()
    try:
        paths = services.prices.spot_history(region, instance_type, since=now, now=now)
    except Unavailable:
        return None
    return min((path[-1][1] for path in paths.values() if path), default=None)
