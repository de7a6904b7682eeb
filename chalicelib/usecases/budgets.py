"""Budgets: what is spent, held and left; new limits, and what ends when a forced one is too low."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal

from chalicelib.domain.budget import Budget, BudgetBook, BudgetState, Period
from chalicelib.domain.case import Effect, Finding, Verdict
from chalicelib.domain.cut import Cut, cut_to_fit
from chalicelib.domain.errors import BudgetExceeded, NotFound, Refused, Stale
from chalicelib.domain.lease import Lease
from chalicelib.domain.meter import measure
from chalicelib.domain.money import ZERO, show
from chalicelib.domain.shields import spare
from chalicelib.ports import Services
from chalicelib.usecases import teardown
from chalicelib.usecases.charge import charge_open_leases
from chalicelib.usecases.gather import Facts, gather, judge, spent_by_budget

TRIES = 10
ENDED_FOR_MONEY = Finding(rule="over_budget", effect=Effect.END, reason="a limit was lowered by force")
BEFORE_EC2 = datetime(2006, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetReport:
    """A budget in its present period; `ending`: the leases that end because a forced limit is too low for them."""

    budget: Budget
    period_key: str
    spent_usd: Decimal
    held_usd: Decimal
    left_usd: Decimal
    ending: tuple[str, ...] = field(default=())


def all_budgets(services: Services) -> tuple[BudgetReport, ...]:
    """Every budget, by name."""
    facts = gather(services, services.clock.now())
    return tuple(sorted(_reports(facts, facts.book), key=lambda report: report.budget.name))


def one(services: Services, name: str) -> BudgetReport:
    """One budget. Raises NotFound."""
    found = [report for report in all_budgets(services) if report.budget.name == name]
    if not found:
        raise NotFound(f"no budget is named {name!r}; GET /budgets lists them, PUT /budgets/{name} makes it")
    return found[0]


def put(services: Services, budget: Budget, *, force: bool) -> BudgetReport:
    """Create a budget or change its limit and thresholds.

    A limit below what is spent and held is Refused, unless forced: then leases end until it fits. Its period and scope
    stay what they are (delete it and make it anew), because what is held was reserved by them.
    """
    for _ in range(TRIES):
        facts = gather(services, services.clock.now())
        _refuse_other_scope(facts.book, budget)
        verdicts, _ = judge(services, facts)
        cut = _cut(services, facts, budget, verdicts)
        if cut.used_usd > budget.limit_usd and not force:
            raise BudgetExceeded(
                f"limit_usd {show(budget.limit_usd)} is below what is spent and held ({show(cut.used_usd)}); nothing "
                f"was changed. With ?force=true these leases end, in this order: {', '.join(cut.leases) or 'none'}",
                budget=budget.name,
                ending=list(cut.leases),
            )
        try:
            services.store.put_budget(
                budget, used=_recorded(services, facts, budget), revision=facts.book.revision
            )
        except Stale:
            continue
        charge_open_leases(services, facts.now)
        _end(services, facts, cut, budget)
        return replace(one(services, budget.name), ending=cut.leases)
    raise Stale("the budgets kept changing; nothing was changed, ask again")


def delete(services: Services, name: str) -> None:
    """Remove a budget: what it held is no longer limited. Raises NotFound."""
    for _ in range(TRIES):
        book = services.store.budgets(services.clock.now())
        try:
            return services.store.delete_budget(name, revision=book.revision)
        except Stale:
            continue
    raise Stale("the budgets kept changing; nothing was changed, ask again")


def _reports(facts: Facts, book: BudgetBook) -> list[BudgetReport]:
    costs = {lease.id: measure(lease, facts.prices, facts.now) for lease in facts.leases}
    spent = spent_by_budget(book, facts.leases, costs)
    return [
        BudgetReport(
            budget=state.budget,
            period_key=state.period_key,
            spent_usd=spent[state.budget.name],
            held_usd=_held(state, spent[state.budget.name]),
            left_usd=state.budget.limit_usd
            - spent[state.budget.name]
            - _held(state, spent[state.budget.name]),
        )
        for state in book.states
    ]


def _held(state: BudgetState, spent_usd: Decimal) -> Decimal:
    """What open leases may still cost; nothing where they have cost more than their holds already."""
    return max(state.budget.limit_usd - state.left_usd - spent_usd, ZERO)


def _state(book: BudgetBook, name: str) -> BudgetState | None:
    return next((state for state in book.states if state.budget.name == name), None)


def _refuse_other_scope(book: BudgetBook, budget: Budget) -> None:
    known = _state(book, budget.name)
    if known is None:
        return
    now, new = known.budget, budget
    if (now.period, now.scope_kind, now.scope_value) != (new.period, new.scope_kind, new.scope_value):
        raise Refused(
            f"budget {budget.name!r} is {now.period} for {now.scope_kind} {now.scope_value or ''}".rstrip()
            + "; period and scope can't change. DELETE it and make it anew, or use another name",
            slug="budget-fixed",
            budget=budget.name,
        )


def _recorded(services: Services, facts: Facts, budget: Budget) -> Mapping[str, Decimal]:
    """What the budget's present period carries already: what its item says, or for a new one the closed leases and the
    charges that an earlier budget of that name has left on open ones."""
    key = budget.period_key(facts.now)
    known = _state(facts.book, budget.name)
    if known:
        return {key: known.budget.limit_usd - known.left_usd}
    closed = [
        lease.final_usd or ZERO
        for lease in services.store.closed_leases(since=_period_start(budget, facts.now))
        if budget.covers(owner=lease.owner, project=lease.project)
    ]
    charged = [
        charge.amount_usd
        for lease in facts.leases
        for charge in lease.charges
        if (charge.budget, charge.period_key) == (budget.name, key)
    ]
    return {key: sum([*closed, *charged], ZERO)}


def _cut(services: Services, facts: Facts, budget: Budget, verdicts: Sequence[Verdict]) -> Cut:
    """Which leases would have to end for the limit to hold what is spent and held."""
    recorded = sum(_recorded(services, facts, budget).values(), ZERO)
    uncounted = [
        lease.hold.total_usd
        for lease in facts.leases
        if budget.covers(owner=lease.owner, project=lease.project)
        and budget.name not in {charge.budget for charge in lease.charges}
    ]
    used = recorded + sum(uncounted, ZERO)
    covered = [
        v
        for v in verdicts
        if v.case.lease
        and budget.covers(owner=v.case.lease.owner, project=v.case.lease.project)
        and spare(v.case, ENDED_FOR_MONEY) is ENDED_FOR_MONEY
    ]
    return cut_to_fit(covered, used_usd=used, limit_usd=budget.limit_usd)


def _end(services: Services, facts: Facts, cut: Cut, budget: Budget) -> None:
    why = teardown.Why(
        cause="over_budget",
        reason=f"the limit of budget {budget.name!r} was lowered to {show(budget.limit_usd)} by force",
        figures={"limit_usd": str(budget.limit_usd)},
    )
    claimed: list[Lease | None] = []
    for lease_id in cut.leases:
        lease = services.store.lease(lease_id)
        if lease and lease.is_open and lease.ending is None:
            claimed.append(teardown.begin(services, lease, why, facts.owned(lease), facts.now))
    teardown.carry_out(services, facts, [lease for lease in claimed if lease])


def _period_start(budget: Budget, now: datetime) -> datetime:
    match budget.period:
        case Period.MONTHLY:
            return now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        case Period.DAILY:
            return now.replace(hour=0, minute=0, second=0, microsecond=0)
        case Period.TOTAL:
            return BEFORE_EC2
