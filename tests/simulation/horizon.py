"""The next moment at which a verdict could change, so that the clock can jump to it.

Worked out from the truth (the boxes' real load, the market's real prices) and the rules' own `ends_at`, without a call
of AWS but the reading of the table. That it misses nothing is shown by sweeping every minute in sampled hours.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from chalicelib.domain.budget import BudgetBook
from chalicelib.domain.case import Case
from chalicelib.domain.due import LATE_SAMPLES
from chalicelib.domain.evidence import SHORTEST_WINDOW, Evidence, Series, Use, combine, of_box, unknown
from chalicelib.domain.instance import Instance
from chalicelib.domain.lease import Lease, Status
from chalicelib.domain.meter import Cost, measure
from chalicelib.domain.periods import cost_since, starts_at
from chalicelib.domain.policy import IdlePolicy
from chalicelib.domain.prices import PriceBook
from chalicelib.domain.rules.expired import expired
from chalicelib.domain.rules.idle import idle
from chalicelib.domain.rules.over_budget import over_budget
from chalicelib.domain.rules.over_share import over_share
from chalicelib.domain.rules.stopped_still_billing import stopped_still_billing
from chalicelib.gateways.spot_memory import ASKED_EVERY
from chalicelib.usecases.carry import BEFOREHAND
from chalicelib.usecases.judge import spent_by_budget
from localaws.model import Box
from tests.simulation.money import prices
from tests.simulation.town import MINUTE, Town, runs
from tests.simulation.truths import owned

FARTHEST = timedelta(hours=6)
SOON_SPENT = timedelta(hours=2)
"""Money that lasts longer than that at today's price is not used up by tomorrow's within minutes."""


@dataclass(slots=True)
class Silences:
    """When each box will have been silent for long, kept until its load, its run or the policy changes."""

    known: dict[str, tuple[tuple[object, ...], datetime]] = field(default_factory=dict)

    def end_of_wait(self, town: Town, box: Box, idle: IdlePolicy) -> datetime:
        """The first minute in which it has been silent, as far as its samples tell, for the window less the warning."""
        key = (len(box.load.changes), box.epoch, len(box.runs), idle)
        before = self.known.get(box.id)
        if before is None or before[0] != key or before[1] <= town.now:
            self.known[box.id] = (key, _silent_for_long(town, box, idle))
        return self.known[box.id][1]


def next_change(town: Town, leases: Sequence[Lease], silences: Silences) -> datetime:
    """The earliest moment after now at which anything could be decided anew of the open `leases`, if nothing happens
    until then."""
    now = town.now
    book = _prices(town, leases)
    costs = {lease.id: measure(lease, book, now) for lease in leases}
    budgets = town.services.store.budgets(now)
    moments = [
        now + FARTHEST,
        _midnight(now),
        *_thresholds(budgets, leases, costs, book, now),
        *_shares(town, budgets, leases, costs, book),
        *_bills(town, budgets),
        *town.protected.values(),
        *(moment for lease in leases for moment in _of_lease(town, lease, costs[lease.id], silences)),
    ]
    return min(moment for moment in moments if moment > now)


def _of_lease(town: Town, lease: Lease, cost: Cost, silences: Silences) -> Iterator[datetime]:
    if lease.status is not Status.ACTIVE:
        yield town.now + MINUTE
        return
    boxes = [box for box in owned(town, lease) if box.live]
    case = Case(
        now=town.now,
        policy=town.policy,
        lease=lease,
        instances=tuple(_instance(box) for box in boxes),
        evidence=_evidence(town, boxes, town.now),
        cost=cost,
    )
    if lease.is_storage:
        resting = stopped_still_billing(case)
        if resting is not None and resting.due_at is not None:
            yield resting.due_at
        return
    lead = town.policy.idle.warn_before
    money = over_budget(case)
    for finding in (expired(case), money, idle(case)):
        if finding is not None and finding.ends_at is not None:
            yield finding.ends_at
            yield finding.ends_at - lead
    yield lease.requested_at + town.policy.unleased.grace
    if money is not None and money.ends_at is not None and money.ends_at - town.now < SOON_SPENT:
        yield from _news_of_prices(town, boxes)
    for box in boxes:
        yield from _of_box(town, box, case, silences)


def _news_of_prices(town: Town, boxes: Sequence[Box]) -> Iterator[datetime]:
    """Every minute in which Curfew may learn of a price that has just changed."""
    since = town.now - ASKED_EVERY
    if any(at > since for box in boxes if runs(box) for at, _ in prices(town, box, since, town.now)[1:]):
        yield town.now + MINUTE


def _of_box(town: Town, box: Box, case: Case, silences: Silences) -> Iterator[datetime]:
    """Its price's next step, and the minute in which its silence will be long enough, or broken."""
    if not runs(box):
        return
    soon = town.now + FARTHEST
    yield from (at for at, _ in prices(town, box, town.now, soon) if at > town.now)
    yield _silence_broken(town, box) if case.lease and "idle" in case.lease.warned_at else soon
    yield silences.end_of_wait(town, box, case.idle_policy)


def _silence_broken(town: Town, box: Box) -> datetime:
    """The next minute in which it would not be called idle, if it is now: a warning is taken back then."""
    lead = town.policy.idle.warn_before + MINUTE
    minutes = (town.now + number * MINUTE for number in range(1, lead // MINUTE + 1))
    return next((at for at in minutes if _evidence_of(town, box, at).use is not Use.IDLE), town.now + lead)


def _silent_for_long(town: Town, box: Box, idle: IdlePolicy) -> datetime:
    lead = min(idle.warn_before, idle.after)
    wait = idle.after - lead
    at = _grid(
        town.now, max(town.now + MINUTE, _last_launch(box) + max(idle.after, idle.after_launch) - lead)
    )
    while at < town.now + 2 * FARTHEST:
        evidence = _evidence_of(town, box, at)
        if evidence.use is Use.IDLE and evidence.since and evidence.since + wait <= at:
            return at
        if evidence.use is Use.UNKNOWN or evidence.since is None:
            at = max(at + MINUTE, _grid(town.now, _samples_again(box, at)))
        else:
            at = max(at + MINUTE, _grid(town.now, evidence.since + wait))
    return at


def _samples_again(box: Box, at: datetime) -> datetime:
    """When it sends samples again; `at`, if it does."""
    changes = box.load.changes
    index = bisect_right(changes, at, key=lambda change: change[0]) - 1
    if changes[max(index, 0)][1].gpu is not None:
        return at
    return next((when for when, level in changes[index + 1 :] if level.gpu is not None), at + FARTHEST)


def _evidence(town: Town, boxes: Sequence[Box], at: datetime) -> Evidence:
    """What CloudWatch would show at a moment if the load stays as it is."""
    return combine(_evidence_of(town, box, at) for box in boxes if runs(box)) if boxes else unknown("no box")


def _evidence_of(town: Town, box: Box, at: datetime) -> Evidence:
    if not box.runs:
        return unknown("it does not run yet")
    idle = town.policy.idle
    since = at - max(idle.after, SHORTEST_WINDOW) - LATE_SAMPLES
    samples = tuple(
        (moment, float(level.busiest_gpu))
        for moment, level in box.load.samples(since, at, box.runs)
        if level.busiest_gpu is not None
    )
    series = (Series(source="GPU", samples=samples),) if samples else ()
    return of_box(series, idle=idle, running_since=_last_launch(box), now=at)


def _instance(box: Box) -> Instance:
    return Instance(
        id=box.id,
        region=box.region,
        type=box.type,
        state=box.state,
        zone=box.zone,
        lifecycle="spot" if box.spot else "on-demand",
        launched_at=_last_launch(box),
        ended_at=box.runs[-1].end if box.runs and not runs(box) else None,
    )


def _last_launch(box: Box) -> datetime:
    """LaunchTime as DescribeInstances shows it: the last start, some seconds before it runs."""
    launched_at: datetime = box.moto.launch_time
    return launched_at.replace(tzinfo=UTC)


def _prices(town: Town, leases: Sequence[Lease]) -> PriceBook:
    spot: dict[tuple[str, str], tuple[tuple[datetime, Decimal], ...]] = {}
    for lease in leases:
        for run in lease.runs:
            if run.is_spot and run.zone:
                curve = town.world.market.curve(run.zone, run.instance_type)
                spot[run.zone, run.instance_type] = tuple(curve.steps(lease.requested_at, town.now))
    on_demand = town.services.prices.on_demand()
    return PriceBook(on_demand=on_demand.on_demand, as_of=on_demand.as_of, spot=spot)


def _thresholds(
    book: BudgetBook, leases: Sequence[Lease], costs: dict[str, Cost], prices: PriceBook, now: datetime
) -> Iterator[datetime]:
    """When each budget's spending reaches its next threshold at today's rate."""
    spent = spent_by_budget(book, leases, costs, prices, now)
    for state in book.states:
        rate = sum(
            (costs[one.id].hourly_usd for one in leases if any(map(state.budget.charged_by, one.charges))),
            Decimal(0),
        )
        for threshold in state.budget.thresholds:
            missing = state.budget.limit_usd * threshold.at_percent / 100 - spent[state.budget.name]
            if rate > 0 and missing > 0:
                yield now + timedelta(hours=float(missing / rate))


def _shares(
    town: Town, book: BudgetBook, leases: Sequence[Lease], costs: dict[str, Cost], prices: PriceBook
) -> Iterator[datetime]:
    """When a lease that a day or month could hold only in part may have cost its share of it, and when what it does not
    cost there is moved on to the next."""
    now = town.now
    for lease in leases:
        if not any(charge.is_short for charge in lease.charges):
            continue
        yield _midnight(now) - lease.margin(town.policy.teardown.margin) - BEFOREHAND + MINUTE
        states = [state for state in book.states if any(map(state.budget.charged_by, lease.charges))]
        accrued = {
            state.period_key: cost_since(
                lease,
                prices,
                starts_at(state.budget.period, now),
                accrued_usd=costs[lease.id].accrued_usd,
            )
            for state in states
        }
        case = Case(
            now=now,
            policy=town.policy,
            lease=lease,
            instances=(),
            evidence=unknown("not asked"),
            cost=costs[lease.id],
            budgets=tuple(states),
            accrued_in_usd=accrued,
        )
        finding = over_share(case)
        if finding is not None and finding.due_at is not None:
            yield max(finding.due_at, now + MINUTE)


def _bills(town: Town, book: BudgetBook) -> Iterator[datetime]:
    """When Cost Explorer is asked again, and when a budget counts what it has told."""
    turn = town.services.store.bill_turn()
    if turn is None:
        return
    yield turn.next_at(town.policy.bills.cost_explorer_every)
    if any(state.budget.counts_bill and state.billed_at != turn.answered_at for state in book.states):
        yield town.now + MINUTE


def _midnight(now: datetime) -> datetime:
    return (now + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)


def _grid(origin: datetime, when: datetime) -> datetime:
    """The first whole minute from `origin` on at or after `when`."""
    return origin + -(-(when - origin) // MINUTE) * MINUTE
