"""What a budget's limit has to hold, and which leases would have to end for a lower one."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from chalicelib.domain.admission import term_of
from chalicelib.domain.budget import Budget, BudgetBook, BudgetState
from chalicelib.domain.case import Effect, Finding, Verdict
from chalicelib.domain.cut import Cut, cut_to_fit
from chalicelib.domain.lease import Lease
from chalicelib.domain.money import ZERO
from chalicelib.domain.periods import MOST_PERIODS, cost_by_day, cost_in, keys
from chalicelib.domain.shields import spare
from chalicelib.ports import Services
from chalicelib.usecases.billed import beyond_meter
from chalicelib.usecases.charge import closed_uncharged, missing_charges
from chalicelib.usecases.gather import Facts

ENDED_FOR_MONEY = Finding(rule="over_budget", effect=Effect.END, reason="a limit was lowered by force")


def state_of(book: BudgetBook, name: str) -> BudgetState | None:
    """A budget in its present period, None where there is none of that name."""
    return next((state for state in book.states if state.budget.name == name), None)


def horizon(facts: Facts) -> datetime:
    """As far as holds may reach: what is open, and what may be launched or adopted at this moment."""
    policy = facts.policy
    longest = max(policy.lease.max_for + policy.teardown.margin, policy.unleased.run_for)
    return max([facts.now + longest, *(term_of(lease, policy).ends_at for lease in facts.leases)])


def judged(facts: Facts, budget: Budget, used: Mapping[str, Decimal]) -> list[str]:
    """The periods that a limit is judged by: the present one, and those that holds reach into or may by now."""
    reached = keys(budget.period, facts.now, horizon(facts), at_most=MOST_PERIODS)
    return list(dict.fromkeys([*reached, *used]))[:MOST_PERIODS]


def used_usd(services: Services, facts: Facts, budget: Budget) -> dict[str, Decimal]:
    """What the present period and those after it carry, or will once filled: costs of closed leases, holds of open
    ones."""
    known = state_of(facts.book, budget.name)
    present = budget.period_key(facts.now)
    book = services.store.budgets(facts.now, until=horizon(facts))
    used = {
        state.period_key: state.used_usd
        for state in (*book.states, *book.later)
        if known and (state.budget.name, state.budget.generation) == (budget.name, known.budget.generation)
    }
    if known and not known.budget.is_filling:
        return used
    of = known.budget if known else replace(budget, generation=facts.book.revision + 1)
    for lease in facts.leases:
        covered = budget.covers(owner=lease.owner, project=lease.project)
        if not covered or any(map(of.charged_by, lease.charges)):
            continue
        for charge in missing_charges(lease, [of], facts.policy, facts.now):
            if charge.period_key >= present:
                used[charge.period_key] = used.get(charge.period_key, ZERO) + charge.amount_usd
    closed = closed_uncharged(services, of, facts.now)
    used[present] = used.get(present, ZERO) + closed + beyond_meter(services, budget, facts)
    return used


def cut_of(facts: Facts, budget: Budget, used: Mapping[str, Decimal], verdicts: Sequence[Verdict]) -> Cut:
    """Which leases would have to end for the limit to hold what is spent and held in every period."""
    covered = [
        v
        for v in verdicts
        if v.case.lease
        and budget.covers(owner=v.case.lease.owner, project=v.case.lease.project)
        and spare(v.case, ENDED_FOR_MONEY) is ENDED_FOR_MONEY
    ]
    known = state_of(facts.book, budget.name)
    of = known.budget if known else budget
    present = budget.period_key(facts.now)
    beyond = sum((_beyond_hold(facts, of, v.case.lease) for v in verdicts if v.case.lease), ZERO)
    used = {**used, present: used.get(present, ZERO) + beyond}
    frees = {v.case.lease.id: _frees(facts, of, v.case.lease) for v in covered if v.case.lease}
    return cut_to_fit(covered, frees_usd=frees, used_usd=used, limit_usd=budget.limit_usd)


def _frees(facts: Facts, budget: Budget, lease: Lease) -> dict[str, Decimal]:
    """What the end of a lease gives back, by period: of its hold, what it has not cost by now."""
    days = cost_by_day(lease, facts.prices, facts.now)
    held = _held(facts, budget, lease)
    return {key: max(usd - cost_in(key, days), ZERO) for key, usd in held.items()}


def _beyond_hold(facts: Facts, budget: Budget, lease: Lease) -> Decimal:
    """What a lease has cost in the present period beyond its hold there: no period carries that before it closes."""
    if not budget.covers(owner=lease.owner, project=lease.project):
        return ZERO
    key = budget.period_key(facts.now)
    cost = cost_in(key, cost_by_day(lease, facts.prices, facts.now))
    return max(cost - _held(facts, budget, lease).get(key, ZERO), ZERO)


def _held(facts: Facts, budget: Budget, lease: Lease) -> dict[str, Decimal]:
    """What a lease holds on a budget, or will once that is filled, by period."""
    charges = [charge for charge in lease.charges if budget.charged_by(charge)]
    held = charges or missing_charges(lease, [budget], facts.policy, facts.now)
    return {one.period_key: one.amount_usd for one in held}
