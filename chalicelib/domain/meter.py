"""What a lease has cost so far, to the second, over the intervals it really ran, at the price in force.

Spot bills at the spot price as it moves, on-demand by table; both per second with 60 s at least for each start (EC2
pricing). Where the price in force is not known the cap that was sent is assumed, else on-demand, and if that is unknown
too the dearest of its family: an unknown price is never free.
"""

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from chalicelib.domain.accelerators import family
from chalicelib.domain.lease import Lease, Run
from chalicelib.domain.money import PUBLIC_IPV4_USD_PER_HOUR, ZERO, hours, storage_usd

MINIMUM_RUN = timedelta(seconds=60)


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceBook:
    """On-demand prices by type, and how spot prices moved, by (zone, type): (from when, USD per hour), ascending."""

    on_demand: Mapping[str, Decimal]
    as_of: str
    spot: Mapping[tuple[str, str], tuple[tuple[datetime, Decimal], ...]] = field(default_factory=dict)

    def knows(self, instance_type: str) -> bool:
        """Whether the table has a price for the type."""
        return self.on_demand.get(instance_type, ZERO) > 0

    def on_demand_usd(self, instance_type: str) -> Decimal:
        """USD per hour; for a type that is not in the table the dearest of its family, else of all."""
        if self.knows(instance_type):
            return self.on_demand[instance_type]
        siblings = [usd for name, usd in self.on_demand.items() if family(name) == family(instance_type)]
        return max(siblings or self.on_demand.values())

    def ceiling_usd(self, run: Run) -> Decimal:
        """The most a run can cost an hour."""
        if run.is_spot and run.max_price_usd is not None:
            return run.max_price_usd
        return self.on_demand_usd(run.instance_type)

    def hourly_usd(self, run: Run, at: datetime) -> Decimal:
        """USD per hour in force at a moment."""
        history = self.spot.get((run.zone or "", run.instance_type), ()) if run.is_spot else ()
        index = bisect_right(history, at, key=lambda point: point[0])
        price = history[index - 1][1] if index else ZERO
        return price if price > 0 else self.ceiling_usd(run)

    def compute_usd(self, run: Run, until: datetime) -> Decimal:
        """What a run costs from its start to `until`, integrated over every price change in between."""
        until = max(until, run.started_at + MINIMUM_RUN)
        history = self.spot.get((run.zone or "", run.instance_type), ()) if run.is_spot else ()
        turns = [at for at, _ in history if run.started_at < at < until]
        total = ZERO
        for begin, end in zip([run.started_at, *turns], [*turns, until], strict=True):
            total += self.hourly_usd(run, begin) * hours(end - begin)
        return total


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What a lease has cost, in its parts, and what it costs an hour now: `hourly_usd`, at most `ceiling_usd`."""

    compute_usd: Decimal = ZERO
    storage_usd: Decimal = ZERO
    public_ipv4_usd: Decimal = ZERO
    hourly_usd: Decimal = ZERO
    ceiling_usd: Decimal = ZERO

    @property
    def accrued_usd(self) -> Decimal:
        """Everything metered so far."""
        return self.compute_usd + self.storage_usd + self.public_ipv4_usd


def measure(lease: Lease, prices: PriceBook, now: datetime) -> Cost:
    """The meter of a lease. Disks bill from a box's first start until it is gone, whether it runs or not."""
    compute = ipv4 = storage = hourly = ceiling = ZERO
    for run in lease.runs:
        until = max(run.ended_at or now, run.started_at)
        compute += prices.compute_usd(run, until)
        address = PUBLIC_IPV4_USD_PER_HOUR if run.has_public_ip else ZERO
        ipv4 += address * hours(until - run.started_at)
        if run.ended_at is None:
            hourly += prices.hourly_usd(run, now) + address
            ceiling += prices.ceiling_usd(run) + address
    disk_hour = storage_usd(lease.storage_gib, timedelta(hours=1))
    last_runs = {run.instance_id: run for run in lease.runs}
    for instance_id, last in last_runs.items():
        first = min(run.started_at for run in lease.runs if run.instance_id == instance_id)
        until = last.disk_ended_at or lease.closed_at or now
        storage += disk_hour * hours(max(until - first, timedelta(0)))
    bill_on = disk_hour * sum(1 for last in last_runs.values() if last.disk_ended_at is None)
    return Cost(
        compute_usd=compute,
        storage_usd=storage,
        public_ipv4_usd=ipv4,
        hourly_usd=hourly + bill_on,
        ceiling_usd=ceiling + bill_on,
    )
