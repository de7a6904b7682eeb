"""Budgets: what is spent, held and left; new limits, and what ends when a forced one is too low."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal

from chalicelib.domain.budget import Budget, BudgetBook, BudgetState
from chalicelib.domain.case import Effect, Finding, Verdict
from chalicelib.domain.cut import Cut, cut_to_fit
from chalicelib.domain.errors import BudgetExceeded, NotFound, Refused, Stale
from chalicelib.domain.lease import Lease
from chalicelib.domain.meter import measure
from chalicelib.domain.money import ZERO, show
from chalicelib.domain.shields import spare
from chalicelib.ports import Services
from chalicelib.usecases import teardown
from chalicelib.usecases.charge import charge_open_leases, closed_uncharged
from chalicelib.usecases.gather import Facts, gather, judge, spent_by_budget

TRIES = 10
ENDED_FOR_MONEY = Finding(rule="over_budget", effect=Effect.END, reason="a limit was lowered by force")


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

    What is judged here is what the transaction finds, or it is judged anew. The leases that a forced limit ends are
    kept in the definition: if this process dies, the sweep ends them.
    """
    is_made = False
    for _ in range(TRIES):
        facts = gather(services, services.clock.now())
        _refuse_other_scope(facts.book, budget)
        verdicts, _ = judge(services, facts)
        cut = _cut(services, facts, budget, verdicts)
        if cut.used_usd > budget.limit_usd and not force:
            if is_made:
                delete(services, budget.name)
            raise BudgetExceeded(
                f"limit_usd {show(budget.limit_usd)} is below what is spent and held ({show(cut.used_usd)}); nothing "
                f"was changed. With ?force=true these leases end, in this order: {', '.join(cut.leases) or 'none'}",
                budget=budget.name,
                ending=list(cut.leases),
            )
        most = {budget.period_key(facts.now): max(budget.limit_usd, cut.used_usd)}
        try:
            services.store.put_budget(
                _defined(facts.book, budget, cut), at_most=most, revision=facts.book.revision
            )
        except Stale:
            continue
        charge_open_leases(services, facts.now)
        if _was_overtaken(services, facts, budget, cut):
            is_made = True
            continue
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
    return max(state.used_usd - spent_usd, ZERO)


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


def _defined(book: BudgetBook, budget: Budget, cut: Cut) -> Budget:
    """The definition as it is kept: a new one is of a new generation, and has to be filled."""
    known = _state(book, budget.name)
    if known is None:
        return replace(budget, generation=book.revision + 1, is_filling=True, cut=cut.leases)
    of, is_filling = known.budget.generation, known.budget.is_filling
    return replace(budget, generation=of, is_filling=is_filling, cut=cut.leases)


def _was_overtaken(services: Services, facts: Facts, budget: Budget, cut: Cut) -> bool:
    """Whether a new budget turned out to carry more than it was judged by: a launch came first."""
    if _state(facts.book, budget.name):
        return False
    made = _state(services.store.budgets(facts.now), budget.name)
    return made is not None and made.used_usd > max(budget.limit_usd, cut.used_usd)


def _used_usd(services: Services, facts: Facts, budget: Budget) -> Decimal:
    """What the present period carries, or will once filled: costs of closed leases, holds of open ones."""
    known = _state(facts.book, budget.name)
    if known and not known.budget.is_filling:
        return known.used_usd
    of = known.budget if known else replace(budget, generation=facts.book.revision + 1)
    uncharged = [
        lease.hold.total_usd
        for lease in facts.leases
        if budget.covers(owner=lease.owner, project=lease.project)
        and not any(map(of.charged_by, lease.charges))
    ]
    carried = known.used_usd if known else ZERO
    return sum(uncharged, carried + closed_uncharged(services, of, facts.now))


def _cut(services: Services, facts: Facts, budget: Budget, verdicts: Sequence[Verdict]) -> Cut:
    """Which leases would have to end for the limit to hold what is spent and held."""
    used = _used_usd(services, facts, budget)
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
