"""A box tells of its work: it is checked whose, what it tells is kept, and it is told its end and when to tell again.

A post costs three reads and one write of the table; AWS is not asked. It changes no lease: the sweep judges.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime

from chalicelib.domain.case import Case
from chalicelib.domain.due import gate
from chalicelib.domain.errors import Stale, Unavailable
from chalicelib.domain.heartbeats import Heard, Report, believe, each_minute_from, taken
from chalicelib.domain.lease import Lease
from chalicelib.domain.rescue import guest_end
from chalicelib.ports import Services

TRIES = 3
PUSHED_BEFORE = frozenset({"idle", "over_budget"})
"""Rules that end a box at no time that it knows: their warning is when it pushes."""


def with_beats(services: Services, cases: Sequence[Case], *, young: bool = False) -> tuple[Case, ...]:
    """The cases with what their boxes have told: one query, and none while no case is old enough to be idle; with
    `young` all the same, for people. Where the table does not answer it is not known what they told, which ends nothing
    for idleness."""
    if not any(_matters(case, young=young) for case in cases):
        return tuple(replace(case, expects_beats=_expects(case)) for case in cases)
    heard: tuple[Heard, ...] | None = None
    with suppress(Unavailable):
        heard = services.store.heard()
    return tuple(_told(case, heard) if _expects(case) else case for case in cases)


def _told(case: Case, heard: Sequence[Heard] | None) -> Case:
    if heard is None:
        return replace(case, beats=None, expects_beats=True)
    own = {one.instance_id: one.beats for one in heard if case.lease and one.lease_id == case.lease.id}
    return replace(case, beats=own, expects_beats=True)


def _expects(case: Case) -> bool:
    return case.lease is not None and case.lease.heartbeat_key is not None


def _matters(case: Case, *, young: bool) -> bool:
    return _expects(case) and bool(case.running) and (young or case.now >= gate(case))


def with_last_heard(case: Case) -> Case:
    """The case whose evidence says when a heartbeat was heard last; of a young or kept one also what it said."""
    told = [beat for box in case.running for beat in (case.beats or {}).get(box.id, ())]
    if not told:
        return case
    last = max(told, key=lambda beat: (beat.heard_at, beat.until))
    evidence = replace(case.evidence, last_heard_at=last.heard_at)
    if case.now < gate(case):
        said = last.why or ("at work" if last.is_busy else "idle")
        reason = (
            f"too young to be idle, or kept: not before {gate(case):%Y-%m-%d %H:%M} UTC is it warned; its last "
            f"heartbeat came at {last.heard_at:%Y-%m-%d %H:%M} UTC: {said}"
        )
        evidence = replace(evidence, reason=reason)
    return replace(case, evidence=evidence)


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a box is told: when it is to shut itself down (None: others end it), and from when on to report each minute
    (None: not before it has stopped working)."""

    lease: Lease
    deadline: datetime | None
    each_minute_from: datetime | None

    @property
    def pushes_now(self) -> bool:
        """Whether it is to push what `sync_to` says: it is warned that it ends for idleness, or for its money."""
        order = self.lease.order
        return (
            order is not None
            and order.sync_to is not None
            and not PUSHED_BEFORE.isdisjoint(self.lease.warned_at)
        )


def receive(services: Services, report: Report, *, raw: bytes, signature: str | None) -> Told:
    """Keep what a box reports. Raises Forged, Refused; Unavailable where the table does not answer: it is repeated."""
    now = services.clock.now()
    lease = believe(
        report, raw=raw, signature=signature, lease=services.store.lease(report.lease_id), now=now
    )
    idle = services.store.policy()[0].idle.tightened(lease.order.idle_after if lease.order else None)
    for _ in range(TRIES):
        before = services.store.heard_of(report.instance_id)
        heard = taken(before, report, idle=idle, now=now)
        try:
            services.store.keep_heard(heard, over=before)
        except Stale:
            continue
        return Told(
            lease=lease,
            deadline=_deadline(lease),
            each_minute_from=each_minute_from(heard, lease, idle=idle, now=now),
        )
    raise Stale(f"other reports of {report.instance_id} kept coming in at the same time; nothing was kept")


def _deadline(lease: Lease) -> datetime | None:
    """The end its box should know: of one that a PATCH is moving the earlier, as its tag has it."""
    if lease.guest_deadline is None:
        return None
    return min(guest_end(lease), guest_end(lease, lease.moving_to or lease.expires_at))
