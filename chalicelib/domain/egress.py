"""What boxes have sent: when it is asked for, and over which time.

NetworkOut counts every byte that leaves a box, also to others in AWS, so it is an upper bound of what bills as data
transfer. It costs money to ask, so it is asked once an hour for each lease, and at its end.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from chalicelib.domain.lease import Lease

ASKED_EVERY = timedelta(hours=1)
PERIOD = timedelta(minutes=5)
"""EC2 sends a figure for every five minutes."""
LATE = timedelta(minutes=10)
"""So late a figure may come."""
OVERDUE = 2 * ASKED_EVERY + LATE
"""Not known for so long, it was asked for in vain."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A time to ask about, in whole periods."""

    since: datetime
    until: datetime


def known_until(lease: Lease) -> datetime | None:
    """Up to when it is known what a lease's boxes sent: at first the start of the first; None before it."""
    first = min((run.started_at for run in lease.runs), default=None)
    return lease.egress_until or (_whole(first) if first else None)


def due(lease: Lease, now: datetime) -> Window | None:
    """What to ask now of a lease that goes on; None while that is too early, or nothing has run since."""
    since = known_until(lease)
    if since is None or now - since < ASKED_EVERY + LATE or not _ran_after(lease, since):
        return None
    return Window(since=since, until=_whole(now - LATE))


def last(lease: Lease, now: datetime) -> Window | None:
    """What is left to ask of a lease that is over, as far as CloudWatch knows it by now."""
    since = known_until(lease)
    until = _whole(now) + PERIOD
    if since is None or until - since <= PERIOD or not _ran_after(lease, since):
        return None
    return Window(since=since, until=until)


def unknown_since(lease: Lease, now: datetime) -> datetime | None:
    """Since when it is not known what was sent, where that is longer than it takes to ask."""
    since = known_until(lease)
    if lease.closed_at or since is None or now - since < OVERDUE or not _ran_after(lease, since):
        return None
    return since


def with_sent(lease: Lease, sent_bytes: int, window: Window) -> Lease:
    """The lease with what its boxes sent in a window; over midnight each day has its share of that time."""
    by_day = dict(lease.egress_by_day)
    for day, sent in _by_day(sent_bytes, window):
        by_day[day] = by_day.get(day, 0) + sent
    return replace(
        lease,
        egress_bytes=lease.egress_bytes + sent_bytes,
        egress_by_day=by_day,
        egress_until=window.until,
    )


def _by_day(sent_bytes: int, window: Window) -> Iterator[tuple[str, int]]:
    begin, left = window.since, sent_bytes
    while left:
        end = min(_midnight_after(begin), window.until)
        share = left if end >= window.until else int(left * ((end - begin) / (window.until - begin)))
        if share:
            yield f"{begin:%Y-%m-%d}", share
        begin, left = end, left - share


def _midnight_after(at: datetime) -> datetime:
    return at.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)


def _ran_after(lease: Lease, moment: datetime) -> bool:
    return any(run.ended_at is None or run.ended_at > moment for run in lease.runs)


def _whole(at: datetime) -> datetime:
    """The last whole period's beginning."""
    return EPOCH + (at - EPOCH) // PERIOD * PERIOD
