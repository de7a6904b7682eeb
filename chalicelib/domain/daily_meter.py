"""What a lease has cost on each day, in the buckets of the bill: the meter as it stood at midnight, subtracted.

Nothing is stored for it. A closed lease's days come to what it was closed at.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal

from chalicelib.domain.bills import DAY, Part, begin_of, billing_region, bucket, end_of
from chalicelib.domain.lease import Lease
from chalicelib.domain.meter import measure
from chalicelib.domain.money import ZERO, hours
from chalicelib.domain.periods import as_of
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
    """The meter of a lease, cut at midnights UTC."""
    if not lease.runs:
        return LeaseDays(lease=lease, days={})
    last = lease.closed_at or now
    stood = dict[str, Decimal]()
    days: dict[date, dict[str, Decimal]] = {}
    day = min(run.started_at for run in lease.runs).date()
    while begin_of(day) < last or not days:
        stands = _meter(lease, prices, min(end_of(day), last))
        moved = {key: stands.get(key, ZERO) - stood.get(key, ZERO) for key in {*stands, *stood}}
        days[day] = {key: usd for key, usd in sorted(moved.items()) if usd != 0}
        stood, day = stands, day + DAY
    return LeaseDays(lease=lease, days=_as_closed(lease, days, measure(lease, prices, last).snapshot_usd))


def by_bucket(leases: Iterable[LeaseDays]) -> dict[date, dict[str, Decimal]]:
    """The meter of all of them."""
    sums: dict[date, dict[str, Decimal]] = {}
    for one in leases:
        for day, amounts in one.days.items():
            into = sums.setdefault(day, {})
            for key, usd in amounts.items():
                into[key] = into.get(key, ZERO) + usd
    return sums


def _meter(lease: Lease, prices: PriceBook, at: datetime) -> dict[str, Decimal]:
    """What had been metered by a moment, by bucket."""
    region = billing_region(lease.region)
    past = replace(as_of(lease, at), egress_bytes=_sent_by(lease, at))
    cost = measure(past, prices, at)
    sums = {
        bucket(Part.STORAGE, region): cost.storage_usd,
        bucket(Part.ADDRESSES, region): cost.public_ipv4_usd,
        bucket(Part.EGRESS, region): cost.egress_usd,
    }
    for run in past.runs:
        key = bucket(Part.COMPUTE, billing_region(run.zone or lease.region), run.instance_type)
        sums[key] = sums.get(key, ZERO) + measure(replace(past, runs=(run,)), prices, at).compute_usd
    return sums


def _sent_by(lease: Lease, at: datetime) -> int:
    """What it had sent by then, if it sent evenly while it ran: only the sum is known."""
    until = lease.egress_until
    if until is None or at >= until:
        return lease.egress_bytes
    whole, past = _ran_for(lease, until), _ran_for(lease, at)
    return int(lease.egress_bytes * hours(past) / hours(whole)) if whole else lease.egress_bytes


def _ran_for(lease: Lease, until: datetime) -> timedelta:
    lengths = (min(run.ended_at or until, until) - run.started_at for run in lease.runs)
    return sum((length for length in lengths if length > timedelta(0)), timedelta(0))


def _as_closed(lease: Lease, days: dict[date, dict[str, Decimal]], kept_usd: Decimal) -> Days:
    """The same days, made to come to what the lease was closed at: its price history may be gone by now. What it was
    charged for images that are kept is of no day yet: their snapshots come with the bill."""
    total = sum((usd for amounts in days.values() for usd in amounts.values()), ZERO)
    final = None if lease.final_usd is None else lease.final_usd - kept_usd
    if final is None or total in {ZERO, final}:
        return days
    factor = final / total
    return {day: {key: usd * factor for key, usd in amounts.items()} for day, amounts in days.items()}
