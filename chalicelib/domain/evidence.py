"""What is known of a box's use: busy, idle since when, or unknown and why.

Three-valued on purpose. Any sign of work means busy; silence means unknown, never idle: real boxes leave holes of hours
in their metrics while they work. GPU memory is no signal (99.7 % of idle GPU minutes still hold some), so the GPU's own
duty cycle counts, the maximum over all GPUs and over each period; what the box tells of itself (domain/beats.py); and,
where the policy wants it, what EC2 sees from outside (domain/outside.py). Each source is optional: `weigh` puts those
of a box together, `combine` the boxes of a lease.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import pairwise
from statistics import median

from chalicelib.domain.policy import SHORTEST_IDLE, IdlePolicy

SHORTEST_INTERVAL = timedelta(seconds=60)
LONGEST_INTERVAL = timedelta(seconds=300)
FRESH_INTERVALS = 3
NO_GPU_METRIC = (
    "no GPU metric: the CloudWatch agent is not installed, or does not send nvidia_smi metrics by InstanceId"
)
SHORTEST_WINDOW = SHORTEST_IDLE
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
    difference. `heard_at`: where nothing but heartbeats says idle, up to when. `contradiction`: which source is
    silent while another sees work.
    """

    use: Use
    reason: str
    since: datetime | None = None
    worked_at: datetime | None = None
    asked_at: datetime | None = None
    due_at: datetime | None = None
    heard_at: datetime | None = None
    contradiction: str | None = None
    last_heard_at: datetime | None = None
    """When the last heartbeat came in of any of its boxes that told of their work, whatever it said; for people."""


def unknown(reason: str) -> Evidence:
    """Not known, and why."""
    return Evidence(use=Use.UNKNOWN, reason=reason)


def of_box(series: Sequence[Series], *, idle: IdlePolicy, running_since: datetime, now: datetime) -> Evidence:
    """What the GPUs of one box say over the window `[now - idle.after, now]`, shorter where it has not run that long.

    The window is never shorter than what tells a slow source from a silent one.
    """
    start = max(now - max(idle.after, SHORTEST_WINDOW), running_since)
    if not series:
        return unknown(NO_GPU_METRIC)
    return combine(_of_series(one, idle=idle, start=start, now=now) for one in series)


def weigh(sources: Iterable[Evidence]) -> Evidence:
    """One box by all of its sources: busy if any of them is, idle if one of them is and none is busy, and then since
    the last sign of work that any of them has seen. A source that says nothing vetoes none that does."""
    known = list(sources)
    worked_at = max((one.worked_at for one in known if one.worked_at), default=None)
    busy = [one for one in known if one.use is Use.BUSY]
    idle = [one for one in known if one.use is Use.IDLE]
    if busy:
        latest = max(busy, key=_since)
        silent = next(
            (one for one in idle if _since(latest) - _since(one) >= SHORTEST_WINDOW.total_seconds()), None
        )
        against = f"{latest.reason}, but {silent.reason}" if silent else None
        return replace(latest, worked_at=worked_at, contradiction=against)
    if idle:
        latest = max(idle, key=_since)
        heard = [one.heard_at for one in idle if one.heard_at]
        return replace(
            latest,
            since=max(filter(None, [latest.since, worked_at])),
            worked_at=worked_at,
            heard_at=min(heard) if len(heard) == len(idle) else None,
        )
    return replace(unknown("; ".join(one.reason for one in known) or NO_GPU_METRIC), worked_at=worked_at)


def combine(parts: Iterable[Evidence]) -> Evidence:
    """Several GPUs of a box, or boxes of a lease: any sign of work is busy; idle needs every part idle, since the last
    of them fell silent."""
    known = list(parts)
    worked_at = max((part.worked_at for part in known if part.worked_at), default=None)
    heard = min((part.heard_at for part in known if part.heard_at), default=None)
    against = next((part.contradiction for part in known if part.contradiction), None)
    for use in (Use.BUSY, Use.UNKNOWN, Use.IDLE):
        found = [part for part in known if part.use is use]
        if found:
            latest = max(found, key=_since)
            return replace(
                latest,
                worked_at=worked_at,
                heard_at=heard if use is Use.IDLE else None,
                contradiction=against,
            )
    return unknown("nothing that could be asked runs")


def _since(part: Evidence) -> float:
    return part.since.timestamp() if part.since else 0


def _of_series(series: Series, *, idle: IdlePolicy, start: datetime, now: datetime) -> Evidence:
    samples = highest_at_each_time(series, since=start - LONGEST_INTERVAL, until=now)
    interval = interval_of(samples)
    samples = [(at, percent) for at, percent in samples if at + interval > start]
    worked = [at for at, percent in samples if percent >= idle.gpu_below_percent]
    worked_at = min(now, worked[-1] + interval) if worked else None
    silent_since = worked_at or start

    def not_known(why: str) -> Evidence:
        return replace(unknown(f"{series.source}: {why}"), worked_at=worked_at)

    if len(samples) < 2:  # noqa: PLR2004 (an interval needs two samples)
        return not_known(f"{len(samples)} samples since {start:%H:%M} UTC")
    newest = samples[-1][0]
    if now - newest > FRESH_INTERVALS * interval:
        return not_known(f"the newest sample is {whole_minutes(now - newest)} min old")
    if worked and worked[-1] == newest:
        return Evidence(
            use=Use.BUSY,
            since=silent_since,
            worked_at=worked_at,
            reason=f"{series.source} is at {samples[-1][1]:g} %",
        )
    present, expected = len(samples), max(1, (now - start) // interval)
    if present < expected * float(idle.coverage):
        return not_known(f"only {present} of {expected} samples since {start:%H:%M} UTC")
    return Evidence(
        use=Use.IDLE,
        since=silent_since,
        worked_at=worked_at,
        reason=f"{series.source} below {idle.gpu_below_percent} % for {whole_minutes(now - silent_since)} min",
    )


def highest_at_each_time(series: Series, *, since: datetime, until: datetime) -> list[tuple[datetime, float]]:
    """The samples in order of time, one a moment, none of the future."""
    highest: dict[datetime, float] = {}
    for at, percent in series.samples:
        if since < at <= until:
            highest[at] = max(percent, highest.get(at, percent))
    return sorted(highest.items())


def interval_of(samples: Sequence[tuple[datetime, float]]) -> timedelta:
    """The source's sampling interval, from its own samples; holes must not stretch it."""
    gaps = [(later[0] - earlier[0]).total_seconds() for earlier, later in pairwise(samples)]
    typical = median(gaps) if gaps else 0
    return min(max(timedelta(seconds=typical), SHORTEST_INTERVAL), LONGEST_INTERVAL)


def whole_minutes(length: timedelta) -> int:
    """Rounded down."""
    return int(length.total_seconds() // 60)
