"""Judge: a verdict for each lease and each loose box, of what one look has gathered."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from chalicelib.domain import brake
from chalicelib.domain.adoption import Unleased
from chalicelib.domain.budget import BudgetBook
from chalicelib.domain.case import Case, Verdict
from chalicelib.domain.decide import decide
from chalicelib.domain.evidence import unknown
from chalicelib.domain.lease import Lease, Run
from chalicelib.domain.meter import Cost, measure
from chalicelib.domain.money import ZERO
from chalicelib.domain.periods import cost_since, ends_at, starts_at
from chalicelib.domain.prices import PriceBook
from chalicelib.domain.standing import standings
from chalicelib.ports import Services
from chalicelib.usecases.evidence import with_evidence
from chalicelib.usecases.gather import Facts, obstacle_of
from chalicelib.usecases.heartbeats import with_beats, with_last_heard


def judge(
    services: Services, facts: Facts, *, ask: bool = True
) -> tuple[tuple[Verdict, ...], tuple[str, ...]]:
    """A verdict for each lease and each loose box, and the metrics that could not be asked. Without `ask` nothing is
    paid for: what the last sweep was told has to do.

    An event's look judges no idleness: it sees one box of several, and a thousand events would pass the cap on idle
    ends a thousand times. The next minute's sweep does.
    """
    costs = {lease.id: measure(lease, facts.prices, facts.now) for lease in facts.leases}
    spent = spent_by_budget(facts.book, facts.leases, costs, facts.prices, facts.now)
    burning = _burning_by_budget(facts.book, facts.leases, costs)
    fights = brake.fights((*facts.leases, *facts.closed), facts.now)
    cases = tuple(
        replace(
            _case(facts, lease, costs[lease.id], spent),
            burning_usd=burning,
            fight=fights.get(brake.shape_of(lease)),
        )
        for lease in facts.leases
        if facts.in_focus(lease)
    )
    lacking: tuple[str, ...] = ()
    if facts.only is None:
        cases = with_beats(services, cases, young=not ask)
        seen = [box for view in facts.sight.views for box in view.instances]
        cases, lacking = with_evidence(services, cases, seen=seen, ask=ask)
        cases = tuple(map(with_last_heard, cases))
    loose = [_loose_case(facts, box) for box in facts.loose]
    return tuple(decide(case) for case in [*cases, *loose]), lacking


def spent_by_budget(
    book: BudgetBook, leases: Sequence[Lease], costs: Mapping[str, Cost], prices: PriceBook, now: datetime
) -> dict[str, Decimal]:
    """What each budget's present period has cost: what closed leases left there, and what the meters of open ones have
    counted since it began, also of those whose hold has run out."""
    accrued = {lease_id: cost.accrued_usd for lease_id, cost in costs.items()}
    return {name: one.spent_usd for name, one in standings(book, leases, accrued, prices, now).items()}


def _burning_by_budget(
    book: BudgetBook, leases: Sequence[Lease], costs: Mapping[str, Cost]
) -> dict[str, Decimal]:
    """The most that the open leases on each budget can cost an hour."""
    return {
        state.budget.name: sum(
            (costs[one.id].ceiling_usd for one in leases if any(map(state.budget.charged_by, one.charges))),
            ZERO,
        )
        for state in book.states
    }


def _case(facts: Facts, lease: Lease, cost: Cost, spent: Mapping[str, Decimal]) -> Case:
    owned = facts.owned(lease)
    return Case(
        now=facts.now,
        policy=facts.policy,
        lease=lease,
        instances=owned.live,
        spot_requests=owned.spot_requests,
        evidence=unknown("not asked yet: it has not run long enough to be idle, or is kept"),
        cost=cost,
        budgets=tuple(s for s in facts.book.states if any(map(s.budget.charged_by, lease.charges))),
        spent_usd=spent,
        accrued_in_usd=_accrued_in(facts, lease, cost),
        obstacle=obstacle_of(facts, lease),
    )


def _accrued_in(facts: Facts, lease: Lease, cost: Cost) -> dict[str, Decimal]:
    """What a lease has cost in each present period on which only a part of its hold stands."""
    return {
        state.period_key: cost_since(
            lease,
            facts.prices,
            starts_at(state.budget.period, facts.now),
            accrued_usd=cost.accrued_usd,
            until=ends_at(state.budget.period, facts.now),
        )
        for state in facts.book.states
        if any(
            state.charged_by(charge) and charge.amount_usd != lease.hold.total_usd for charge in lease.charges
        )
    }


def _loose_case(facts: Facts, box: Unleased) -> Case:
    """A box without a lease, priced by the hour so that the report can say what it costs; prepaid, no more."""
    instance = box.instance
    run = Run(
        instance_id=instance.id,
        instance_type=instance.type,
        zone=instance.zone,
        is_spot=instance.is_spot,
        started_at=facts.now,
    )
    is_on = instance.is_running
    address = facts.prices.rates_in(instance.region).public_ipv4_usd_per_hour
    bills = is_on and not instance.is_prepaid
    hourly = facts.prices.hourly_usd(run, facts.now) if bills else ZERO
    ceiling = facts.prices.ceiling_usd(run) if bills else ZERO
    beside = address if is_on else ZERO
    return Case(
        now=facts.now,
        policy=facts.policy,
        lease=None,
        instances=(instance,),
        evidence=unknown("not asked: no lease covers it"),
        cost=Cost(hourly_usd=hourly + beside, ceiling_usd=ceiling + beside),
        unleased_because=box.because,
    )
