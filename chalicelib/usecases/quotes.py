"""What a launch of one type would cost: spot as it is and was, the list price, and what it would hold."""

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

from chalicelib.domain.admission import price_cap_usd, too_long, unpriced, worst_case
from chalicelib.domain.errors import CurfewError, Unavailable
from chalicelib.domain.launch_refusals import region_denied
from chalicelib.domain.lease import Hold, LaunchOrder
from chalicelib.domain.prices import Origin
from chalicelib.domain.quotes import ZonePrices, zone_prices
from chalicelib.domain.storage import Disk
from chalicelib.ports import Services
from chalicelib.usecases import list_prices
from chalicelib.usecases.regions import is_enabled

LOOKED_BACK = timedelta(days=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What is asked about. `volume_gib` of gp3 stand for all its disks: no image is looked at."""

    instance_type: str
    region: str
    lasts_for: timedelta | None = None
    target_capacity: int = 1
    volume_gib: int
    egress_gb: int = 50
    max_price_usd_per_hour: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketQuote:
    """The answer, also for what the policy or the region would not let anybody launch, which `objections` has then.

    `hold` is for the time alone, `margin_usd` what the margin for its end adds: together they are what the budgets
    would set aside. `zones`: cheapest now first; none where EC2 did not say, which is `lacking` then.
    """

    order: LaunchOrder
    on_demand_usd: Decimal
    origin: Origin
    price_cap_usd: Decimal
    zones: tuple[ZonePrices, ...]
    hold: Hold
    margin_for: timedelta
    margin_usd: Decimal
    lacking: tuple[str, ...] = ()
    objections: tuple[CurfewError, ...] = ()

    @property
    def hold_usd(self) -> Decimal:
        """What the budgets would set aside."""
        return self.hold.total_usd + self.margin_usd


def quote(services: Services, wish: Wish) -> MarketQuote:
    """Price a wish; nothing is held, nothing launched. Raises Refused where no on-demand price is known."""
    now = services.clock.now()
    policy, _ = services.store.policy()
    order = LaunchOrder(
        instance_types=(wish.instance_type,),
        image="",
        region=wish.region,
        lasts_for=policy.lease.default_for if wish.lasts_for is None else wish.lasts_for,
        target_capacity=wish.target_capacity,
        max_price_usd_per_hour=wish.max_price_usd_per_hour,
        volume_gib=wish.volume_gib,
        egress_gb=wish.egress_gb,
    )
    lacking = services.prices.refresh(list_prices.of_order(order), now=now)
    prices = services.prices.on_demand()
    for refusal in unpriced(order, prices):
        raise refusal
    denied: list[CurfewError] = []
    try:
        since = now - LOOKED_BACK
        paths = services.prices.spot_history(wish.region, wish.instance_type, since=since, now=now)
    except Unavailable as error:
        paths, lacking = {}, (*lacking, f"DescribeSpotPriceHistory {wish.region}: {error.detail}")
        if not is_enabled(services, wish.region):
            denied = [region_denied(wish.region, error.detail)]
    zones = [zone_prices(zone, path, since=now - LOOKED_BACK, until=now) for zone, path in paths.items()]
    margin = policy.teardown.margin
    disks = (Disk(gib=wish.volume_gib, type="gp3"),)
    hold = worst_case(order, disks=disks, prices=prices, margin=timedelta(0))
    whole = worst_case(order, disks=disks, prices=prices, margin=margin)
    return MarketQuote(
        order=order,
        on_demand_usd=prices.on_demand_usd(wish.instance_type, wish.region),
        origin=prices.origin(wish.instance_type, wish.region),
        price_cap_usd=price_cap_usd(order, wish.instance_type, prices),
        zones=tuple(sorted(filter(None, zones), key=lambda one: (one.spot_usd, one.zone))),
        hold=hold,
        margin_for=margin,
        margin_usd=whole.total_usd - hold.total_usd,
        lacking=lacking,
        objections=(*denied, *too_long(order, policy)),
    )
