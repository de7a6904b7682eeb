"""Which prices matter and when they are asked for: the unknown under a deadline, the old ones after the ends. Only then
is anything of them written down.
"""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from chalicelib.domain.adoption import Unleased
from chalicelib.domain.lease import LaunchOrder, Lease
from chalicelib.domain.prices import region_of
from chalicelib.ports import Services

SPOT_HISTORY = timedelta(hours=1)


def that_matter(leases: Sequence[Lease], loose: Sequence[Unleased]) -> tuple[tuple[str, str], ...]:
    """Each (region, type) that runs or has run under a lease, or without one."""
    runs = [
        (region_of(run.zone) or lease.region, run.instance_type) for lease in leases for run in lease.runs
    ]
    return tuple(dict.fromkeys([*runs, *((box.instance.region, box.instance.type) for box in loose)]))


def spot_pools(
    leases: Sequence[Lease], loose: Sequence[Unleased], now: datetime
) -> tuple[frozenset[tuple[str, str]], datetime]:
    """Each (zone, type) of which the spot price matters, and since when: the first start."""
    runs = [run for lease in leases for run in lease.runs if run.is_spot and run.zone]
    zones = {(run.zone, run.instance_type) for run in runs if run.zone}
    zones |= {(b.instance.zone, b.instance.type) for b in loose if b.instance.is_spot and b.instance.zone}
    return frozenset(zones), min([now - SPOT_HISTORY, *(run.started_at for run in runs)])


def of_order(order: LaunchOrder) -> tuple[tuple[str, str], ...]:
    """Each (region, type) that an order may start."""
    return tuple((order.region, name) for name in order.instance_types)


def learn(services: Services, wanted: Collection[tuple[str, str]], now: datetime) -> None:
    """Ask for what was never told: an adopted box is held at its region's price from the first. Costs a deadline at
    most; what it can't learn is assumed, and lacking until `renew` knows it."""
    if wanted:
        services.prices.refresh(wanted, now=now, only_unknown=True)


def renew(
    services: Services, leases: Sequence[Lease], loose: Sequence[Unleased], now: datetime
) -> tuple[str, ...]:
    """Ask for what is a day old, and keep what was learnt for the next process. Answers what is lacking."""
    wanted = that_matter(leases, loose)
    if not wanted:
        return ()
    lacking = services.prices.refresh(wanted, now=now)
    zones, since = spot_pools(leases, loose, now)
    services.prices.keep(zones, since=since, now=now)
    return lacking
