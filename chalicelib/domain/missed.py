"""What should have ended and has not: AWS refuses it, or it takes far too long. It goes on billing, and is counted."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from chalicelib.domain.lease import Lease, Status, Step
from chalicelib.domain.meter import measure
from chalicelib.domain.prices import PriceBook

ON_ITS_WAY = frozenset({"", "shutting-down", "stopping", "pending", "running"})
"""Answers of an end that has only not finished yet."""
NOT_FOUND = ".NotFound"
DENIALS = ("UnauthorizedOperation", "AccessDenied", "AuthFailure")
"""What AWS answers where Curfew may not make a call."""
TOO_LONG = timedelta(minutes=15)
LOUDER_AFTER = tuple(timedelta(minutes=each) for each in (5, 15, 30, 60, 120, 240))
LONGEST_SILENCE = timedelta(hours=4)
URGENT_AFTER = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Missed:
    """One end that is overdue: of what, since when, the most that its lease costs an hour meanwhile, and why."""

    lease_id: str
    target: str
    region: str
    since: datetime
    hourly_usd: Decimal
    why: str


def open_steps(lease: Lease) -> tuple[Step, ...]:
    """The calls of its end that nothing has proven yet."""
    return tuple(step for step in lease.ending.steps if not step.done_at) if lease.ending else ()


def refused(lease: Lease) -> tuple[Step, ...]:
    """Those to which AWS said no."""
    return tuple(step for step in open_steps(lease) if step.tried and is_refusal(lease, step))


def is_refusal(lease: Lease, step: Step) -> bool:
    """Whether its answer is a no: that AWS knows no such box is none where none is shown either, it is only not proven
    gone yet."""
    if step.answer.endswith(NOT_FOUND) and step.target in lease.missing_since:
        return False
    return step.answer not in ON_ITS_WAY


def refused_since(lease: Lease, now: datetime) -> datetime:
    """Since when AWS says no to its end: the first refusal of a call that is refused still; the decision's time where a
    version that did not keep it has written one."""
    decided_at = lease.ending.decided_at if lease.ending else now
    return min((step.refused_at or decided_at for step in refused(lease)), default=decided_at)


def denials(steps: Iterable[Step]) -> int:
    """How many calls that are not done were denied: nothing but a change of permissions lets them pass."""
    return sum(1 for step in steps if not step.done_at and any(code in step.answer for code in DENIALS))


def missed(leases: Iterable[Lease], prices: PriceBook, now: datetime) -> tuple[Missed, ...]:
    """Every overdue end, the dearest first, at list prices and price caps: no spot price has to be asked for."""
    found = [
        Missed(
            lease_id=lease.id,
            target=step.target,
            region=lease.region,
            since=_since(lease, step, lease.ending.decided_at),
            hourly_usd=_hourly_usd(lease, prices, now),
            why=step.answer or "no call of its end was answered yet",
        )
        for lease in leases
        if lease.status is Status.ENDING and lease.ending
        for step in (refused(lease) or _late(lease, now))
    ]
    return tuple(sorted(found, key=lambda one: (-one.hourly_usd, one.since, one.target)))


def _since(lease: Lease, step: Step, decided_at: datetime) -> datetime:
    """Of a refusal, since the first; of what only takes too long, since it was decided."""
    return (step.tried and is_refusal(lease, step) and step.refused_at) or decided_at


def _hourly_usd(lease: Lease, prices: PriceBook, now: datetime) -> Decimal:
    """The most that it costs an hour by now: of a box that was stopped its disks; of what nobody has seen all of it."""
    if not lease.runs or any(run.ended_at is None for run in lease.runs):
        return lease.hold.hourly_usd
    return measure(lease, prices, now).ceiling_usd


def _late(lease: Lease, now: datetime) -> tuple[Step, ...]:
    is_late = lease.ending is not None and now - lease.ending.decided_at >= TOO_LONG
    return open_steps(lease) if is_late else ()


def loudness(since: datetime, now: datetime) -> int:
    """How often people are told of it by now: at once, after 5, 15, 30 minutes, 1, 2, 4 hours, then every four."""
    passed = now - since
    beyond = max(passed - LOUDER_AFTER[-1], timedelta(0)) // LONGEST_SILENCE
    return 1 + sum(passed >= each for each in LOUDER_AFTER) + beyond
