"""Calendar periods: which of them a stretch of time touches, what of a hold falls in each, and what of a cost.

All in UTC. A lease's cost is kept by days, of which every longer period consists: a day's key (`2026-11-23`) begins
with that of its month (`2026-11`).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import islice

from chalicelib.domain.budget import Period
from chalicelib.domain.lease import Hold, Lease, Run
from chalicelib.domain.meter import is_free, measure
from chalicelib.domain.money import ZERO, hours, summed, to_micro
from chalicelib.domain.prices import PriceBook

BEFORE_EC2 = datetime(2006, 1, 1, tzinfo=UTC)
FOREVER = datetime.max.replace(tzinfo=UTC)
MOST_PERIODS = 80
"""So many charges a lease may have: with them and its other writes a transaction stays below DynamoDB's 100."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """What of a stretch of time falls in one period."""

    key: str
    starts_at: datetime
    ends_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """What had been spent by a moment, by days."""

    at: datetime
    by_day: Mapping[str, Decimal]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What of a hold falls in one of several periods; `is_short`: it may cost more there."""

    key: str
    amount_usd: Decimal
    is_short: bool


def starts_at(kind: Period, at: datetime) -> datetime:
    """When the period of a moment began."""
    midnight = at.replace(hour=0, minute=0, second=0, microsecond=0)
    match kind:
        case Period.MONTHLY:
            return midnight.replace(day=1)
        case Period.DAILY:
            return midnight
        case Period.TOTAL:
            return BEFORE_EC2


def ends_at(kind: Period, at: datetime) -> datetime:
    """When the next period begins; `total` never ends."""
    match kind:
        case Period.MONTHLY:
            return starts_at(kind, starts_at(kind, at) + timedelta(days=31))
        case Period.DAILY:
            return starts_at(kind, at) + timedelta(days=1)
        case Period.TOTAL:
            return FOREVER


def spans(kind: Period, start: datetime, end: datetime) -> Iterator[Span]:
    """A stretch of time cut at the ends of periods; one of no length lies in the period of its start."""
    while True:
        turn = min(ends_at(kind, start), end)
        yield Span(key=kind.key(start), starts_at=start, ends_at=max(turn, start))
        if turn >= end:
            return
        start = turn


def keys(kind: Period, start: datetime, end: datetime, *, at_most: int) -> tuple[str, ...]:
    """The periods that a stretch of time touches, the first so many of them."""
    return tuple(span.key for span in islice(spans(kind, start, end), at_most))


def most_by_period(
    hold: Hold, kind: Period, start: datetime, end: datetime, spent: Spent | None = None
) -> dict[str, Decimal]:
    """The most that what bills by the second can cost in each period of a hold's time, never less than is held.

    With `spent` it is known for the past, and for what of the present period is over.
    """
    timed = hold.timed_usd
    length = hours(end - start)
    rate = hold.hourly_usd or (timed / length if length else ZERO)
    most: dict[str, Decimal] = {}
    before = ZERO
    for span in spans(kind, start, end):
        until = to_micro(rate * hours(span.ends_at - start))
        most[span.key] = until - before
        before = until
        if spent and span.starts_at <= spent.at:
            rest = rate * hours(max(span.ends_at - spent.at, timedelta(0)))
            known = cost_in(span.key, spent.by_day) + to_micro(rest)
            most[span.key] = min(most[span.key], known)
    if spent is None:
        most[span.key] += max(timed - before, ZERO)  # what the rounding of its parts has added
    return most


def share_out(
    hold: Hold, most: Mapping[str, Decimal], room: Mapping[str, Decimal] | None = None
) -> tuple[Part, ...]:
    """A hold by periods, each as far as its seconds can cost (`most`) and, with `room`, as far as there is room in it.

    The earliest are filled first, so that a hold which a cap cuts runs as far as its money reaches. The egress
    allowance, which may be used up at once, stands on the first, the images of its end on the last. Together they are
    the hold, unless `room` or `most` is too small for it.
    """
    parts: list[Part] = []
    once, timed, last = hold.egress_usd, hold.timed_usd, list(most)[-1:]
    for key, worst in most.items():
        free = max(room.get(key, hold.total_usd), ZERO) if room is not None else hold.total_usd
        allowance = min(once + (hold.snapshot_usd if [key] == last else ZERO), free)
        amount = min(timed, worst, free - allowance)
        parts.append(Part(key=key, amount_usd=amount + allowance, is_short=len(most) > 1 and amount < worst))
        once, timed = ZERO, timed - amount
    return tuple(parts)


def cost_by_day(lease: Lease, prices: PriceBook, now: datetime) -> dict[str, Decimal]:
    """What a lease has cost so far by the UTC days on which it was spent, each in micro-dollars; together they are its
    meter, rounded up. The first month of its images counts on the last day that its hold was made for, where it is
    held, also if it ends sooner."""
    days = metered_by_day(lease, prices, now)
    kept = to_micro(measure(lease, prices, now).snapshot_usd)
    if kept:
        held_on = _kept_on(lease, now)
        days[held_on] = days.get(held_on, ZERO) + kept
    return days


def metered_by_day(lease: Lease, prices: PriceBook, now: datetime) -> dict[str, Decimal]:
    """The same without its images, whose snapshots bill long after it. A closed lease's days are those that it was
    closed with."""
    if lease.final_by_day:
        kept = {_kept_on(lease, now): to_micro(measure(lease, prices, now).snapshot_usd)}
        return {
            day: usd - kept.get(day, ZERO)
            for day, usd in lease.final_by_day.items()
            if usd > kept.get(day, ZERO)
        }
    days: dict[str, Decimal] = {}
    before, final = ZERO, _timed_usd(lease, prices, now)
    for day, past, at in by_midnights(lease, now):
        until = min(final, _timed_usd(past, prices, at))
        if until > before:
            days[day] = until - before
            before = until
    return days


def by_midnights(lease: Lease, now: datetime) -> Iterator[tuple[str, Lease, datetime]]:
    """Every UTC day of a lease up to now, with the lease as it stood at the end of it, and when that was. The one
    cut that views, budgets and the bill go by."""
    start = min([lease.requested_at, *(run.started_at for run in lease.runs)])
    for day in spans(Period.DAILY, start, max(now, start)):
        is_last = day.ends_at >= now
        yield day.key, lease if is_last else as_of(lease, day.ends_at), now if is_last else day.ends_at


def _timed_usd(lease: Lease, prices: PriceBook, at: datetime) -> Decimal:
    cost = measure(lease, prices, at)
    return to_micro(cost.accrued_usd - cost.snapshot_usd)


def _kept_on(lease: Lease, now: datetime) -> str:
    """The day on which the first month of its images counts: the last that its hold pays for, where it is held; at
    midnight it is still the old day. While a PATCH is under way its charges may reach further than its end."""
    if not lease.hold.snapshot_usd:
        return Period.DAILY.key(max(lease.closed_at or now, lease.requested_at))
    end = lease.expires_at + lease.margin(timedelta(0))
    last = Period.DAILY.key(max(end - timedelta(microseconds=1), lease.requested_at))
    keys = [charge.period_key for charge in lease.charges if charge.period_key != "total"]
    return max([last, *(key if len(key) == len(last) else f"{key}-01" for key in keys)])


def spent_by(lease: Lease, prices: PriceBook, now: datetime) -> Spent | None:
    """What a lease has spent by now; None while a box of its was never seen to run: it may have cost more."""
    if not lease.runs or not set(lease.instance_ids) <= {run.instance_id for run in lease.runs}:
        return None
    return Spent(at=now, by_day=cost_by_day(lease, prices, now))


def with_final_cost(lease: Lease, prices: PriceBook, now: datetime) -> Lease:
    """The lease with what it has cost in the end, by days, as it is written when it closes."""
    days = cost_by_day(lease, prices, now)
    return replace(lease, final_usd=sum(days.values(), ZERO), final_by_day=days)


def cost_in(key: str, by_day: Mapping[str, Decimal]) -> Decimal:
    """What of a cost by days falls in a day, a month, or `total`."""
    return sum((usd for day, usd in by_day.items() if key in {"total", day[: len(key)]}), ZERO)


def cost_by_period(key: str, by_day: Mapping[str, Decimal]) -> dict[str, Decimal]:
    """A cost by days as one by periods of the same kind as that of a key."""
    return summed((key if key == "total" else day[: len(key)], usd) for day, usd in by_day.items())


def cost_since(
    lease: Lease, prices: PriceBook, since: datetime, *, accrued_usd: Decimal, until: datetime = FOREVER
) -> Decimal:
    """What of a lease's meter, which stands at `accrued_usd`, has accrued since a period began. The first month of an
    image counts in the period in which it is held, which ends at `until` or is a later one."""
    accrued_usd -= _kept_after(lease, prices, until)
    if since <= min([lease.requested_at, *(run.started_at for run in lease.runs)]):
        return accrued_usd
    return max(accrued_usd - _until(lease, prices, since), ZERO)


def _kept_after(lease: Lease, prices: PriceBook, until: datetime) -> Decimal:
    """What of its images is held in a period after this one."""
    last = until - timedelta(microseconds=1)
    if not lease.images or _kept_on(lease, last) <= Period.DAILY.key(last):
        return ZERO
    return measure(lease, prices, last).snapshot_usd


def _until(lease: Lease, prices: PriceBook, at: datetime) -> Decimal:
    """What a lease had cost at an earlier moment."""
    return to_micro(measure(as_of(lease, at), prices, at).accrued_usd)


def as_of(lease: Lease, at: datetime) -> Lease:
    """What is known of a lease now as far as it had happened at an earlier moment, a midnight."""
    return replace(
        lease,
        runs=tuple(_as_of(run, at) for run in lease.runs if run.started_at < at),
        volumes=tuple(
            replace(one, until=None if one.until and one.until > at else one.until)
            for one in lease.volumes
            if one.since < at
        ),
        addresses=tuple(
            replace(one, until=None if one.until and one.until > at else one.until)
            for one in lease.addresses
            if one.since < at
        ),
        closed_at=None if lease.closed_at and lease.closed_at > at else lease.closed_at,
        egress_bytes=_sent_by(lease, at),
        images=(),
    )


def _sent_by(lease: Lease, midnight: datetime) -> int:
    """What had been sent before a day began; that of which no day is known was sent on the first."""
    undated = lease.egress_bytes - sum(lease.egress_by_day.values())
    today = Period.DAILY.key(midnight)
    return undated + sum(sent for day, sent in lease.egress_by_day.items() if day < today)


def _as_of(run: Run, at: datetime) -> Run:
    """A run up to a moment. What EC2 gives back of one that it interrupts soon, it gives back of each of its days."""
    if run.ended_at is None or run.ended_at <= at:
        disk_ended_at = run.disk_ended_at if run.disk_ended_at and run.disk_ended_at <= at else None
        return replace(run, disk_ended_at=disk_ended_at)
    lost_at = run.ip_lost_at if run.ip_lost_at and run.ip_lost_at <= at else None
    return replace(run, ended_at=at, disk_ended_at=None, is_interrupted=is_free(run), ip_lost_at=lost_at)
