"""What a box tells of its own use: heartbeats, each a stretch of work or of silence.

A box posts at once when it falls idle or begins to work, so what it said last holds until it is late with the next
post. Its owner can make it say "busy" for ever: that outlasts neither the lease nor a budget.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from chalicelib.domain.evidence import (
    BEAT_EVERY,
    SHORTEST_WINDOW,
    Beat,
    Evidence,
    Use,
    unknown,
    whole_minutes,
)
from chalicelib.domain.policy import IdlePolicy

BEAT_LATE = timedelta(minutes=3)
"""How late a post may be: it is repeated each minute until it is answered."""
NO_BEATS = "no heartbeat from the box"


def of_beats(beats: Sequence[Beat], *, idle: IdlePolicy, running_since: datetime, now: datetime) -> Evidence:
    """The use of one box by its heartbeats, over the same window as its metrics; `heard_at` where they say idle: up to
    when, for a post may bring late what was before, and of what has been since say nothing.

    Fresh: the newest stretch ends no longer ago than a post may take. Covered: of the window up to there, `coverage`.
    """
    start = max(now - max(idle.after, SHORTEST_WINDOW), running_since)
    told = sorted(
        (one for one in beats if one.until > start and one.since <= now),
        key=lambda one: (one.until, one.is_busy),
    )
    if not told:
        return unknown(NO_BEATS)
    newest = told[-1]
    worked_at = max((min(now, one.until) for one in told if one.is_busy), default=None)
    if now - newest.until > BEAT_EVERY + BEAT_LATE:
        late = unknown(f"heartbeat: the last one is {whole_minutes(now - newest.until)} min old")
        return Evidence(use=Use.UNKNOWN, reason=late.reason, worked_at=worked_at)
    if newest.is_busy:
        seen = newest.why or "at work"
        return Evidence(use=Use.BUSY, reason=f"heartbeat: {seen}", since=worked_at, worked_at=worked_at)
    covered, whole = _covered(told, start, min(newest.until, now)), min(newest.until, now) - start
    if covered < whole * float(idle.coverage):
        told_of = f"{whole_minutes(covered)} of {whole_minutes(whole)} min since {start:%H:%M} UTC"
        return Evidence(use=Use.UNKNOWN, reason=f"heartbeat: only {told_of}", worked_at=worked_at)
    since = worked_at or start
    return Evidence(
        use=Use.IDLE,
        reason=f"heartbeat: {newest.why or 'idle'} for {whole_minutes(now - since)} min",
        since=since,
        worked_at=worked_at,
        heard_at=min(newest.until, newest.heard_at),
    )


def _covered(beats: Sequence[Beat], start: datetime, end: datetime) -> timedelta:
    """How much of the time somebody told of, twice told counted once."""
    total, reached = timedelta(0), start
    for one in sorted(beats, key=lambda one: one.since):
        begin, until = max(one.since, reached), min(one.until, end)
        if until > begin:
            total += until - begin
            reached = until
    return total
