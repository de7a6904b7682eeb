"""Heartbeats as they come in: whose they are, whether they are to be believed, and what is kept of them.

A report is signed with its lease's key, names an instance of that lease, has a higher count than the one before and was
sent within `WINDOW` of now: what is forged, foreign, replayed or late is refused. What is kept of a box are stretches
of work and of silence (`Beat`); minutes of which it did not know whether it worked are neither, so they are a gap.
"""

import hmac
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from chalicelib.domain.due import lead
from chalicelib.domain.errors import Forged, Refused
from chalicelib.domain.evidence import Beat
from chalicelib.domain.lease import Lease
from chalicelib.domain.policy import IdlePolicy

MINUTE = timedelta(minutes=1)
WINDOW = timedelta(minutes=2)
"""How far a report's time may be from ours; a box with a wrong clock learns ours from the refusal."""
OLDEST = timedelta(hours=5)
"""No box keeps minutes for longer; what is older is made up."""
KEPT_BEYOND = timedelta(hours=2)
"""So much longer than `idle.after` stretches are kept: a policy that becomes a little more patient finds them."""
MOST_BEATS = 400
"""Of a box that begins to work and stops each minute the oldest stretches go first: what is gone is a gap."""
JITTER = timedelta(seconds=55)
"""Reports take their time to come in, and the minute they come in at is not over: stretches so close are one."""
WORK = frozenset("ps")
"""Signs of work: a compute process has begun, somebody typed. Load (`l`) is none: docs/adr/0024-*.md."""
MEANING = {"p": "a compute process began", "s": "somebody typed"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Minute:
    """What a box saw in one minute; `gpu` None: its GPUs did not say."""

    at: datetime
    gpu: int | None
    signs: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One post of a box, its times by the box's clock."""

    lease_id: str
    instance_id: str
    counter: int
    sent_at: datetime
    minutes: tuple[Minute, ...]
    processes: int = 0
    sessions: int = 0
    load: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What one box has told, by our clock, and the count of its last report."""

    lease_id: str
    instance_id: str
    counter: int
    heard_at: datetime
    beats: tuple[Beat, ...] = ()


def believe(
    report: Report, *, raw: bytes, signature: str | None, lease: Lease | None, now: datetime
) -> Lease:
    """The lease that a report is of. Raises Forged, Refused; nothing tells whether a lease of that name exists."""
    key = lease.heartbeat_key if lease else None
    expected = hmac.new((key or "").encode(), raw, "sha256").hexdigest()
    if lease is None or not key or not hmac.compare_digest(expected.encode(), (signature or "").encode()):
        raise Forged("this heartbeat is not signed with the key of its lease; nothing was kept")
    if not lease.is_open:
        raise Refused(f"{lease.id} is over: nothing is kept of its boxes any more", slug="lease-over")
    if report.instance_id not in lease.instance_ids:
        raise Refused(
            f"{report.instance_id} is not known as a box of {lease.id}; nothing was kept. A new box is in a minute",
            slug="heartbeat-foreign",
        )
    if abs(now - report.sent_at) > WINDOW:
        raise Refused(
            f"it was sent at {report.sent_at:%Y-%m-%d %H:%M:%S} UTC by the box's clock; nothing was kept. Curfew's "
            "time is in the Date of this answer",
            slug="heartbeat-late",
        )
    return lease


def taken(before: Heard | None, report: Report, *, idle: IdlePolicy, now: datetime) -> Heard:
    """What is known of a box with a report. Raises Refused for one that came before."""
    if before is not None and before.lease_id != report.lease_id:
        before = None
    if before is not None and report.counter <= before.counter:
        raise Refused(
            f"a report with the count {before.counter} has been taken already; nothing was kept",
            slug="heartbeat-replayed",
        )
    told = _beats(report, idle=idle, now=now)
    kept_since = now - max(idle.after, OLDEST) - KEPT_BEYOND
    known = [beat for beat in (*(before.beats if before else ()), *told) if beat.until > kept_since]
    return Heard(
        lease_id=report.lease_id,
        instance_id=report.instance_id,
        counter=report.counter,
        heard_at=now,
        beats=joined(known)[-MOST_BEATS:],
    )


def each_minute_from(heard: Heard, lease: Lease, *, idle: IdlePolicy, now: datetime) -> datetime | None:
    """From when on a box that stays silent has to report each minute: a minute before it could be warned of. None while
    it works: it tells at once when it stops."""
    if "idle" in lease.warned_at:
        return now
    newest = max(heard.beats, key=lambda beat: (beat.until, beat.is_busy), default=None)
    if newest is None or newest.is_busy:
        return None
    worked = [beat.until for beat in heard.beats if beat.is_busy]
    silent_since = max(worked, default=min(beat.since for beat in heard.beats))
    launched_at = lease.launched_at or lease.requested_at
    kept_until = lease.snoozed_until or launched_at
    return max(silent_since + idle.after, launched_at + idle.after_launch, kept_until) - lead(idle) - MINUTE


def joined(beats: Sequence[Beat]) -> tuple[Beat, ...]:
    """Stretches of the same kind that meet, as one; where both kinds claim a time work wins."""
    work = _merged(beat for beat in beats if beat.is_busy)
    silence = _merged(beat for beat in beats if not beat.is_busy)
    quiet = [part for beat in silence for part in _without(beat, work)]
    return tuple(sorted((*work, *quiet), key=lambda beat: (beat.since, beat.until)))


def _merged(beats: Iterable[Beat]) -> list[Beat]:
    merged: list[Beat] = []
    for beat in sorted(beats, key=lambda beat: (beat.since, beat.until)):
        last = merged[-1] if merged else None
        if last is None or beat.since - last.until > JITTER:
            merged.append(beat)
        elif beat.until > last.until:
            merged[-1] = replace(last, until=beat.until, heard_at=beat.heard_at, why=beat.why)
    return merged


def _without(beat: Beat, work: Sequence[Beat]) -> list[Beat]:
    """What of a silence is left beside work."""
    parts, since = [], beat.since
    for one in work:
        if one.until > since and one.since < beat.until:
            if one.since > since:
                parts.append(replace(beat, since=since, until=one.since))
            since = max(since, one.until)
    if since < beat.until:
        parts.append(replace(beat, since=since))
    return parts


def _beats(report: Report, *, idle: IdlePolicy, now: datetime) -> list[Beat]:
    """Each minute as a stretch by our own clock; what lies ahead, or too far back, is left out. A look in a minute that
    is not over speaks for the sixty seconds before it came in: it may come right as the minute begins."""
    behind = now - report.sent_at
    beats = []
    for minute in report.minutes:
        at, is_busy = minute.at + behind, _is_busy(minute, idle)
        if is_busy is not None and now - OLDEST <= at <= now:
            until, why = min(at + MINUTE, now), _why(minute, report)
            beats.append(Beat(since=until - MINUTE, until=until, is_busy=is_busy, heard_at=now, why=why))
    return beats


def _is_busy(minute: Minute, idle: IdlePolicy) -> bool | None:
    """Any sign of work is work; None where the GPUs did not say."""
    if WORK & set(minute.signs) or (minute.gpu is not None and minute.gpu >= idle.gpu_below_percent):
        return True
    return None if minute.gpu is None else False


def _why(minute: Minute, report: Report) -> str:
    gpu = "its GPUs do not say" if minute.gpu is None else f"GPU at {minute.gpu} %"
    signs = [MEANING[sign] for sign in minute.signs if sign in MEANING]
    beside = {"compute processes": report.processes, "sessions": report.sessions, "load": report.load}
    return ", ".join([gpu, *signs, *(f"{what} {number}" for what, number in beside.items() if number)])
