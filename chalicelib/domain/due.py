"""Due times: the earliest moment at which a verdict could be another one, if nothing is seen to happen until then.

What is free is looked at every minute all the same. CloudWatch bills by the question, so a lease is asked about only
when the answer could matter: a box that worked a minute ago can't be idle for `idle.after` before that time is over.
What is known of the past stays true, so forgetting it costs a question and never a verdict.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from hashlib import sha256
from itertools import pairwise
from math import ceil

from chalicelib.domain.budget import Consequence, Period
from chalicelib.domain.case import Case, Effect
from chalicelib.domain.evidence import (
    LONGEST_INTERVAL,
    SHORTEST_INTERVAL,
    SHORTEST_WINDOW,
    Evidence,
    Series,
    Use,
)
from chalicelib.domain.learned import Learned
from chalicelib.domain.money import ZERO
from chalicelib.domain.periods import ends_at
from chalicelib.domain.policy import IdlePolicy

LATE_SAMPLES = timedelta(minutes=5)
"""How late a sample may come and still be counted on: what was missing before that is taken for missing for good."""
ASKED_AGAIN = timedelta(minutes=30)
"""What is unknown is asked about at least so often: an agent may be installed, or bring late what it had kept."""
MINUTE = timedelta(minutes=1)
STEP = timedelta(seconds=30)
FAR_HOURS = 24 * 3650


def basis(case: Case) -> str:
    """What an answer rests on: the boxes that run, since when, and what the policy calls idle. Any change voids it."""
    boxes = sorted(f"{box.id} {box.launched_at}" for box in case.running)
    return sha256("|".join([*boxes, case.idle_policy.model_dump_json()]).encode()).hexdigest()[:16]


def recalled(case: Case, learned: Learned | None) -> Evidence | None:
    """What was learned, while it still says something of this case."""
    return learned.evidence if learned and learned.basis == basis(case) else None


def is_due(case: Case, known: Evidence | None, told: Sequence[Evidence] = ()) -> bool:
    """Whether CloudWatch could change the verdict now; `told` is what each box says itself, which costs nothing.

    While a warning stands every minute counts: work takes it back. Work that a box has told of rules a warning out;
    where one is silent for long enough CloudWatch is asked before anybody believes it.
    """
    if case.now < gate(case):
        return False
    if case.lease is not None and "idle" in case.lease.warned_at:
        return True
    if any(has_worked_lately(case, one) for one in told):
        return False
    if known is None or known.due_at is None or known.due_at <= case.now:
        return True
    wait = case.idle_policy.after - lead(case.idle_policy)
    is_long = any(one.since and one.use is Use.IDLE and case.now >= one.since + wait for one in told)
    return is_long and not has_worked_lately(case, known)


def has_worked_lately(case: Case, seen: Evidence) -> bool:
    """Whether work that was seen rules a warning out, whatever else is known."""
    return case.now < warnable_at(case.idle_policy, seen, case.now)


def warnable_at(idle: IdlePolicy, seen: Evidence, now: datetime) -> datetime:
    """The earliest warning that the last work seen allows."""
    return seen.worked_at + idle.after - lead(idle) if seen.worked_at else now


def gate(case: Case) -> datetime:
    """The earliest warning of idleness that a box's start, and whoever has put its end off, allow."""
    idle = case.idle_policy
    earliest = case.started_at + max(idle.after, idle.after_launch) - lead(idle)
    snoozed_until = case.lease.snoozed_until if case.lease else None
    return max(earliest, snoozed_until - lead(idle)) if snoozed_until else earliest


def lead(idle: IdlePolicy) -> timedelta:
    """How long before its end a warning goes out; it counts inside `idle.after`."""
    return min(idle.warn_before, idle.after)


def silent_at(
    series: Sequence[Series], *, idle: IdlePolicy, running_since: datetime, now: datetime
) -> datetime:
    """The earliest moment at which one box could have been silent for long enough for a warning.

    Never too late for any samples that are still to come, at any interval from 60 s to 300 s, as long as none of them
    is more than `LATE_SAMPLES` late. What is late by more is seen when it is asked for next.
    """
    if not series:
        return _covered_at((), idle=idle, running_since=running_since, now=now)
    return max(_silent_at(one, idle=idle, running_since=running_since, now=now) for one in series)


def _silent_at(series: Series, *, idle: IdlePolicy, running_since: datetime, now: datetime) -> datetime:
    known = sorted({at for at, _ in series.samples if at <= now})
    covered_at = _covered_at(known, idle=idle, running_since=running_since, now=now)
    worked = [at for at, percent in series.samples if percent >= idle.gpu_below_percent and at <= now]
    if not worked:
        return covered_at
    return max(covered_at, max(worked) + SHORTEST_INTERVAL + idle.after - lead(idle))


def _covered_at(
    known: Sequence[datetime], *, idle: IdlePolicy, running_since: datetime, now: datetime
) -> datetime:
    """The last whole minute from now on before which the window can't be covered, whatever samples come."""
    settled = known[: bisect_right(known, now - LATE_SAMPLES)]
    for number in range(1, ASKED_AGAIN // MINUTE + 1):
        until = now + number * MINUTE
        if _could_be_covered(settled, idle=idle, running_since=running_since, now=now, until=until):
            return until - MINUTE
    return now + ASKED_AGAIN


def _could_be_covered(
    settled: Sequence[datetime], *, idle: IdlePolicy, running_since: datetime, now: datetime, until: datetime
) -> bool:
    """Whether samples still to come could cover the window at some moment of the minute up to `until`. `settled`: the
    moments of those that are so old that none will come between them any more, in order.

    The interval is the median gap, so a slower source needs fewer samples, but as many long gaps as short ones.
    """
    window = max(idle.after, SHORTEST_WINDOW)
    first = max(until - MINUTE - window, running_since)
    length = min(window, max(until - MINUTE - running_since, timedelta(0)))
    counted = len(settled) - bisect_right(settled, first - LONGEST_INTERVAL)
    start = max(until - window, running_since) - LONGEST_INTERVAL
    gaps = [later - earlier for earlier, later in pairwise(settled[bisect_right(settled, start) :])]
    open_since = max(now - LATE_SAMPLES, start)
    room = max(until - open_since, timedelta(0))
    interval = SHORTEST_INTERVAL
    while interval < LONGEST_INTERVAL:
        expected = max(1, length // (interval + STEP))
        more = max(0, ceil(expected * float(idle.coverage)) - counted)
        long = sum(1 for gap in gaps if gap >= interval)
        missing = max(0, (len(gaps) + more - 1) // 2 - long - 1) if interval > SHORTEST_INTERVAL else 0
        needed = missing * interval + max(0, more - 1 - missing) * SHORTEST_INTERVAL
        if more <= room // MINUTE + 1 and needed <= room:
            return True
        interval += STEP
    return False


def spent_at(case: Case, room_usd: Decimal) -> datetime | None:
    """The earliest moment at which the lease could have used up `room_usd`, or a budget what is left before it ends its
    leases: at the most that all of it can cost an hour. Also when a budget's next period begins."""
    moments = [_lasts_until(case, room_usd, case.cost.ceiling_usd)]
    for state in case.budgets:
        budget, spent = state.budget, case.spent_usd.get(state.budget.name, ZERO)
        burning = case.burning_usd.get(budget.name, case.cost.ceiling_usd)
        moments += [
            _lasts_until(case, budget.limit_usd * threshold.at_percent / 100 - spent, burning)
            for threshold in budget.thresholds
            if Consequence.END in threshold.do
        ]
        if budget.period is not Period.TOTAL:
            moments.append(ends_at(budget.period, case.now))
    return min((at for at in moments if at), default=None)


def _lasts_until(case: Case, room_usd: Decimal, hourly_usd: Decimal) -> datetime | None:
    if hourly_usd <= 0 or room_usd > hourly_usd * FAR_HOURS:
        return None
    return case.now + timedelta(seconds=int(max(room_usd, ZERO) / hourly_usd * 3600))


def earliest(case: Case, effect: Effect, moments: Iterable[datetime | None]) -> datetime | None:
    """The first of moments, none of them in the past; what ends is due now."""
    if effect is Effect.END:
        return case.now
    return min((max(at, case.now) for at in moments if at), default=None)
