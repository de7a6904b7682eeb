"""What is known of a box's use: busy, idle since when, or unknown and why.

Three-valued on purpose. Any sign of work means busy; silence means unknown, never idle: real boxes leave holes of hours
in their metrics while they work. CPU and GPU memory are no signals (training runs at 2-10 % CPU; 99.7 % of idle GPU
minutes still hold memory), so only the GPU's own duty cycle counts, the maximum over all GPUs and over each period.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import pairwise
from statistics import median

from chalicelib.domain.policy import IdlePolicy

SHORTEST_INTERVAL = timedelta(seconds=60)
LONGEST_INTERVAL = timedelta(seconds=300)
FRESH_INTERVALS = 3
SHORTEST_WINDOW = FRESH_INTERVALS * LONGEST_INTERVAL
BEAT_EVERY = timedelta(minutes=15)
"""How often a box tells of itself where nothing has changed."""


class Use(StrEnum):
    """The three values."""

    BUSY = "busy"
    IDLE = "idle"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One metric of one box: (time, percent) in any order, with holes and duplicates as CloudWatch has them.

    A sample's time is the start of its period; it speaks for the whole of it.
    """

    source: str
    samples: tuple[tuple[datetime, float], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Beat:
    """A stretch of time that a box told of itself: it was at work from `since` up to `until`, or was not, all of it.

    All by our own clock, never the box's; `heard_at` is when the post with its end came in. `why`: what it saw, for
    people. A box posts at once when it falls idle or begins to work, else every `BEAT_EVERY`.
    """

    since: datetime
    until: datetime
    is_busy: bool
    heard_at: datetime
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """`since` is the last sign of work (busy), the start of silence (idle), or None (unknown).

    Silence is counted from the last sign of work seen (`worked_at`), or from where the window begins. `asked_at`: when
    CloudWatch said so, None where it was not asked; `due_at`: the earliest moment at which another answer could make a
    difference.
    """

    use: Use
    reason: str
    since: datetime | None = None
    worked_at: datetime | None = None
    asked_at: datetime | None = None
    due_at: datetime | None = None


def unknown(reason: str) -> Evidence:
    """Not known, and why."""
    return Evidence(use=Use.UNKNOWN, reason=reason)


def of_box(series: Sequence[Series], *, idle: IdlePolicy, running_since: datetime, now: datetime) -> Evidence:
    """The use of one box over the window `[now - idle.after, now]`, shorter where it has not run that long.

    The window is never shorter than what tells a slow source from a silent one.
    """
    start = max(now - max(idle.after, SHORTEST_WINDOW), running_since)
    if not series:
        return unknown(
            "no GPU metric: the CloudWatch agent is not installed, or not aggregating by InstanceId"
        )
    return combine(_of_series(one, idle=idle, start=start, now=now) for one in series)


def combine(parts: Iterable[Evidence]) -> Evidence:
    """Any sign of work is busy; idle needs every part idle, since the last of them fell silent."""
    known = list(parts)
    worked_at = max((part.worked_at for part in known if part.worked_at), default=None)
    for use in (Use.BUSY, Use.UNKNOWN, Use.IDLE):
        found = [part for part in known if part.use is use]
        if found:
            latest = max(found, key=lambda part: part.since.timestamp() if part.since else 0)
            return replace(latest, worked_at=worked_at)
    return unknown("nothing that could be asked runs")


def _of_series(series: Series, *, idle: IdlePolicy, start: datetime, now: datetime) -> Evidence:
    samples = _highest_at_each_time(series, since=start - LONGEST_INTERVAL, until=now)
    interval = _interval(samples)
    samples = [(at, percent) for at, percent in samples if at + interval > start]
    if len(samples) < 2:  # noqa: PLR2004 (an interval needs two samples)
        return unknown(f"{series.source}: {len(samples)} samples since {start:%H:%M} UTC")
    newest = samples[-1][0]
    worked = [at for at, percent in samples if percent >= idle.gpu_below_percent]
    worked_at = min(now, worked[-1] + interval) if worked else None
    silent_since = worked_at or start
    if now - newest > FRESH_INTERVALS * interval:
        return unknown(f"{series.source}: the newest sample is {_minutes(now - newest)} min old")
    if worked and worked[-1] == newest:
        return Evidence(
            use=Use.BUSY,
            since=silent_since,
            worked_at=worked_at,
            reason=f"{series.source} is at {samples[-1][1]:g} %",
        )
    present, expected = len(samples), max(1, (now - start) // interval)
    if present < expected * float(idle.coverage):
        return unknown(f"{series.source}: only {present} of {expected} samples since {start:%H:%M} UTC")
    return Evidence(
        use=Use.IDLE,
        since=silent_since,
        worked_at=worked_at,
        reason=f"{series.source} below {idle.gpu_below_percent} % for {_minutes(now - silent_since)} min",
    )


def _highest_at_each_time(
    series: Series, *, since: datetime, until: datetime
) -> list[tuple[datetime, float]]:
    highest: dict[datetime, float] = {}
    for at, percent in series.samples:
        if since < at <= until:
            highest[at] = max(percent, highest.get(at, percent))
    return sorted(highest.items())


def _interval(samples: Sequence[tuple[datetime, float]]) -> timedelta:
    """The source's sampling interval, from its own samples; holes must not stretch it."""
    gaps = [(later[0] - earlier[0]).total_seconds() for earlier, later in pairwise(samples)]
    typical = median(gaps) if gaps else 0
    return min(max(timedelta(seconds=typical), SHORTEST_INTERVAL), LONGEST_INTERVAL)


def _minutes(length: timedelta) -> int:
    return int(length.total_seconds() // 60)
