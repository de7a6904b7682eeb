"""Which list prices matter and when they are asked for: the unknown under a deadline, the old ones after the ends."""

from collections.abc import Collection, Sequence
from datetime import datetime

from chalicelib.domain.adoption import Unleased
from chalicelib.domain.lease import LaunchOrder, Lease
from chalicelib.domain.prices import region_of
from chalicelib.ports import Services


def that_matter(leases: Sequence[Lease], loose: Sequence[Unleased]) -> tuple[tuple[str, str], ...]:
    """Each (region, type) that runs or has run under a lease, or without one."""
    runs = [
        (region_of(run.zone) or lease.region, run.instance_type) for lease in leases for run in lease.runs
    ]
    return tuple(dict.fromkeys([*runs, *((box.instance.region, box.instance.type) for box in loose)]))


def of_order(order: LaunchOrder) -> tuple[tuple[str, str], ...]:
    """Each (region, type) that an order may start."""
    return tuple((order.region, name) for name in order.instance_types)


def learn(services: Services, wanted: Collection[tuple[str, str]], now: datetime) -> None:
    """Ask for what was never told: an adopted box is held at its region's price from the first. Costs a deadline at
    most; what it can't learn is assumed, and lacking until `renew` knows it."""
    if wanted:
        services.prices.refresh(wanted, now=now, only_unknown=True)


def renew(services: Services, wanted: Collection[tuple[str, str]], now: datetime) -> tuple[str, ...]:
    """Ask for what is a day old. Answers what is lacking."""
    return services.prices.refresh(wanted, now=now) if wanted else ()
