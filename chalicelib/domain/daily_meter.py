"""What a lease has cost on each day, in the buckets of the bill.

A day's cost is the same here as on a budget, to the micro-dollar; the meter as it stood at each midnight tells how it
falls on the buckets.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal

from chalicelib.domain.bills import Part, billing_region, bucket
from chalicelib.domain.lease import Lease, Run
from chalicelib.domain.meter import measure
from chalicelib.domain.money import ZERO, shared, summed
from chalicelib.domain.periods import by_midnights, metered_by_day
from chalicelib.domain.prices import PriceBook

Days = Mapping[date, Mapping[str, Decimal]]
"""Dollars by day and bucket."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseDays:
    """A lease and what it cost, day by day."""

    lease: Lease
    days: Days

    def usd(self) -> Decimal:
        """All of it."""
        return sum((usd for amounts in self.days.values() for usd in amounts.values()), ZERO)

    def within(self, since: date, until: date) -> "LeaseDays":
        """The days from `since` up to, not with, `until`."""
        return replace(self, days={day: sums for day, sums in self.days.items() if since <= day < until})


def by_day(lease: Lease, prices: PriceBook, now: datetime) -> LeaseDays:
    """What a lease has cost on each UTC day (`metered_by_day`, as budgets count it), in the buckets of the bill."""
    if not lease.runs:
        return LeaseDays(lease=lease, days={})
    last = lease.closed_at or now
    costs = _costs(lease, prices, last)
    stood = dict[str, Decimal]()
    days: dict[date, dict[str, Decimal]] = {}
    for day, past, at in by_midnights(lease, last):
        stands = _meter(past, prices, at)
        moved = {key: usd - stood.get(key, ZERO) for key, usd in stands.items() if usd > stood.get(key, ZERO)}
        if day in costs:
            parts = shared(costs[day], moved or {_compute(lease, lease.runs[0]): Decimal(1)})
            days[date.fromisoformat(day)] = {key: usd for key, usd in sorted(parts.items()) if usd}
        stood = stands
    return LeaseDays(lease=lease, days=days)


def by_bucket(leases: Iterable[LeaseDays]) -> dict[date, dict[str, Decimal]]:
    """The meter of all of them."""
    parts: dict[date, list[tuple[str, Decimal]]] = {}
    for one in leases:
        for day, amounts in one.days.items():
            parts.setdefault(day, []).extend(amounts.items())
    return {day: summed(amounts) for day, amounts in parts.items()}


def _meter(lease: Lease, prices: PriceBook, at: datetime) -> dict[str, Decimal]:
    """What had been metered by a moment, by bucket. Images that are kept are in none: their snapshots come with the
    bill."""
    region = billing_region(lease.region)
    cost = measure(lease, prices, at)
    compute = (
        (_compute(lease, run), measure(replace(lease, runs=(run,)), prices, at).compute_usd)
        for run in lease.runs
    )
    return {
        bucket(Part.STORAGE, region): cost.storage_usd,
        bucket(Part.ADDRESSES, region): cost.public_ipv4_usd,
        bucket(Part.EGRESS, region): cost.egress_usd,
        **summed(compute),
    }


def _compute(lease: Lease, run: Run) -> str:
    return bucket(Part.COMPUTE, billing_region(run.zone or lease.region), run.instance_type)


def _costs(lease: Lease, prices: PriceBook, last: datetime) -> dict[str, Decimal]:
    """The days' costs; of a lease that was closed before its days were kept, made to come to what it was closed at."""
    costs = metered_by_day(lease, prices, last)
    if lease.final_usd is None or lease.final_by_day or not costs:
        return costs
    return shared(lease.final_usd, costs)
