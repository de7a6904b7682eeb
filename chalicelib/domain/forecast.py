"""What open leases go on to cost at what they cost an hour now: the one answer behind a month's forecast and the
moment at which a budget is used up."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from chalicelib.domain.lease import Lease, Status
from chalicelib.domain.meter import Cost
from chalicelib.domain.money import ZERO, hours

FAR = timedelta(days=365 * 100)
"""What lasts longer than that lasts for good."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Burn:
    """What a lease costs an hour from now on, and until when; None: nothing is known to end it."""

    hourly_usd: Decimal
    ends_at: datetime | None


def burn(lease: Lease, cost: Cost, now: datetime, *, is_rehearsal: bool = False) -> Burn:
    """A lease goes on to its hour, or until its hold is used up. One that is past either goes on all the same, because
    something spares it, and so does each in a rehearsal; one that is ending costs nothing more."""
    if lease.status in {Status.ENDING, Status.CLOSED}:
        return Burn(hourly_usd=ZERO, ends_at=now)
    left = lease.hold.total_usd - cost.accrued_usd
    if is_rehearsal or now >= lease.expires_at or left <= 0:
        return Burn(hourly_usd=cost.hourly_usd, ends_at=None)
    return Burn(hourly_usd=cost.hourly_usd, ends_at=min(lease.expires_at, _after(left, cost.hourly_usd, now)))


def to_come(burning: Burn, since: datetime, until: datetime) -> Decimal:
    """What it costs in a stretch of time that is not over."""
    end = until if burning.ends_at is None else min(until, burning.ends_at)
    return burning.hourly_usd * hours(end - since) if end > since else ZERO


def used_up_at(room_usd: Decimal, burning: Iterable[Burn], now: datetime, until: datetime) -> datetime | None:
    """When they have cost that much together; None where that is not before `until`."""
    burning = tuple(one for one in burning if one.hourly_usd > 0)
    at, left, last = now, room_usd, min(until, now + FAR)
    if left <= 0:
        return now
    for stop in sorted({last, *(one.ends_at for one in burning if one.ends_at and now < one.ends_at < last)}):
        rate = sum((one.hourly_usd for one in burning if one.ends_at is None or one.ends_at > at), ZERO)
        cost = rate * hours(stop - at)
        if cost >= left:
            used_up = _after(left, rate, at)
            return used_up if used_up < until else None
        at, left = stop, left - cost
    return None


def _after(usd: Decimal, hourly_usd: Decimal, at: datetime) -> datetime:
    """When so much is spent at that rate, to the second."""
    if usd >= hourly_usd * hours(FAR):
        return at + FAR
    return at + timedelta(seconds=int(usd / hourly_usd * 3600))
