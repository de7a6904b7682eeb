"""Budgets: what is spent, held and left; new limits, and what ends when a forced one is too low."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal

from chalicelib.domain.budget import Budget, BudgetBook, BudgetState, Period
from chalicelib.domain.cut import Cut
from chalicelib.domain.errors import BudgetExceeded, NotFound, Refused, Stale
from chalicelib.domain.forecast import Burn, burn, used_up_at
from chalicelib.domain.lease import Lease
from chalicelib.domain.meter import measure
from chalicelib.domain.money import ZERO, show
from chalicelib.domain.periods import ends_at
from chalicelib.domain.preconditions import IfMatch, budget_tag
from chalicelib.domain.rescue import on_end_of
from chalicelib.domain.standing import Standing, standings
from chalicelib.ports import Services
from chalicelib.usecases import teardown
from chalicelib.usecases.billed import count_bills
from chalicelib.usecases.charge import charge_open_leases
from chalicelib.usecases.gather import Facts, gather, with_ledger
from chalicelib.usecases.judge import judge
from chalicelib.usecases.limits import cut_of, horizon, judged, state_of, used_usd

TRIES = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class NextPeriod:
    """What open leases hold in the period after the present one already."""

    period_key: str
    held_usd: Decimal
    left_usd: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetReport:
    """A budget in its present period.

    `exhausted_at`: when its limit is spent at what its leases cost an hour now, each until it ends; None where that is
    not in this period.
    `next_period`: None for a budget that has one period only. `ending`: the leases that end because a forced limit is
    too low for them.
    """

    budget: Budget
    period_key: str
    spent_usd: Decimal
    held_usd: Decimal
    left_usd: Decimal
    exhausted_at: datetime | None = None
    next_period: NextPeriod | None = None
    ending: tuple[str, ...] = field(default=())


def all_budgets(services: Services) -> tuple[BudgetReport, ...]:
    """Every budget, by name."""
    facts = gather(services, services.clock.now())
    return tuple(sorted(_reports(services, facts), key=lambda report: report.budget.name))


def one(services: Services, name: str) -> BudgetReport:
    """One budget. Raises NotFound."""
    found = [report for report in all_budgets(services) if report.budget.name == name]
    if not found:
        raise NotFound(f"no budget is named {name!r}; GET /budgets lists them, PUT /budgets/{name} makes it")
    return found[0]


def put(services: Services, budget: Budget, *, force: bool, over: IfMatch | None = None) -> BudgetReport:
    """Create a budget or change its limit and thresholds.

    A limit below what is spent and held is Refused, unless forced: then leases end until it fits. Its period and scope
    stay what they are (delete it and make it anew), because what is held was reserved by them.

    What is judged here is what the transaction finds, or it is judged anew. The leases that a forced limit ends are
    kept in the definition: if this process dies, the sweep ends them. Raises PreconditionFailed where it is no longer
    `over`.
    """
    is_made = False
    looked = gather(services, services.clock.now())
    for tried in range(TRIES):
        facts = with_ledger(services, looked) if tried else looked
        if not is_made:
            _require(facts.book, budget.name, over)
        _refuse_other_scope(facts.book, budget)
        verdicts, _ = judge(services, facts)
        used = used_usd(services, facts, budget)
        cut = cut_of(facts, budget, used, verdicts)
        if cut.is_over and not force:
            if is_made:
                delete(services, budget.name)
            raise _too_low(budget, cut)
        most = {key: max(budget.limit_usd, used.get(key, ZERO)) for key in judged(facts, budget, used)}
        try:
            services.store.put_budget(
                _defined(facts.book, budget, cut), at_most=most, revision=facts.book.revision
            )
        except Stale:
            continue
        charge_open_leases(services, facts.now)
        count_bills(services, replace(facts, book=services.store.budgets(facts.now)))
        if _was_overtaken(services, facts, budget, most):
            is_made = True
            continue
        _end(services, facts, cut, budget)
        stands = _reports(services, with_ledger(services, facts))
        return replace(next(each for each in stands if each.budget.name == budget.name), ending=cut.leases)
    raise Stale("the budgets kept changing; nothing was changed, ask again")


def _too_low(budget: Budget, cut: Cut) -> BudgetExceeded:
    period = f" in {cut.period_key}" if cut.period_key != "total" else ""
    forced = f"these leases end, in this order: {', '.join(cut.leases)}"
    if not cut.leases:
        forced = "it is set all the same and no lease ends: what is spent stays spent, and nothing else may be ended"
    return BudgetExceeded(
        f"limit_usd {show(budget.limit_usd)} is below what is spent and held{period} ({show(cut.used_usd)}); nothing "
        f"was changed. With ?force=true {forced}",
        budget=budget.name,
        period_key=cut.period_key,
        ending=list(cut.leases),
    )


def delete(services: Services, name: str, *, over: IfMatch | None = None) -> None:
    """Remove a budget: what it held is no longer limited. Raises NotFound, PreconditionFailed."""
    for _ in range(TRIES):
        book = services.store.budgets(services.clock.now())
        if state_of(book, name):
            _require(book, name, over)
        try:
            return services.store.delete_budget(name, revision=book.revision)
        except Stale:
            continue
    raise Stale("the budgets kept changing; nothing was changed, ask again")


def _reports(services: Services, facts: Facts) -> list[BudgetReport]:
    costs = {lease.id: measure(lease, facts.prices, facts.now) for lease in facts.leases}
    accrued = {lease_id: cost.accrued_usd for lease_id, cost in costs.items()}
    burning = {
        lease.id: burn(lease, costs[lease.id], facts.now, is_rehearsal=services.is_dry_run)
        for lease in facts.leases
    }
    stands = standings(facts.book, facts.leases, accrued, facts.prices, facts.now)
    after = max((_after(state, facts.now) for state in facts.book.states), default=facts.now)
    later = services.store.budgets(facts.now, until=after + timedelta(seconds=1)).later
    return [
        BudgetReport(
            budget=state.budget,
            period_key=state.period_key,
            spent_usd=stand.spent_usd,
            held_usd=stand.held_usd,
            left_usd=stand.left_usd(state.budget.limit_usd),
            exhausted_at=_exhausted_at(
                state,
                stand,
                [burning[one.id] for one in facts.leases if any(map(state.budget.charged_by, one.charges))],
                facts.now,
            ),
            next_period=_next(state, later, facts.now),
        )
        for state in facts.book.states
        for stand in [stands[state.budget.name]]
    ]


def _after(state: BudgetState, now: datetime) -> datetime:
    """When a budget's next period begins; now for one that has no other."""
    return now if state.budget.period is Period.TOTAL else ends_at(state.budget.period, now)


def _next(state: BudgetState, later: Sequence[BudgetState], now: datetime) -> NextPeriod | None:
    key = state.budget.period_key(_after(state, now))
    found = [one for one in later if (one.budget, one.period_key) == (state.budget, key)]
    if not found:
        return None
    return NextPeriod(period_key=key, held_usd=found[0].used_usd, left_usd=found[0].left_usd)


def _exhausted_at(
    state: BudgetState, stand: Standing, burning: Iterable[Burn], now: datetime
) -> datetime | None:
    room = state.budget.limit_usd - stand.spent_usd
    return used_up_at(room, burning, now, ends_at(state.budget.period, now))


def _require(book: BudgetBook, name: str, over: IfMatch | None) -> None:
    known = state_of(book, name)
    if over is not None:
        stands = "is no longer as it was read" if known else "is not there"
        tag = budget_tag(known.budget) if known else None
        over.require(
            tag, otherwise=f"budget {name!r} {stands}; nothing was changed, every limit and hold stays"
        )


def _refuse_other_scope(book: BudgetBook, budget: Budget) -> None:
    known = state_of(book, budget.name)
    if known is None:
        return
    now = known.budget
    kept = replace(budget, period=now.period, services=now.services, scope_kind=now.scope_kind)
    if replace(kept, scope_value=now.scope_value) != budget:
        scope = f"{now.scope_kind} {now.scope_value or ''}".rstrip()
        raise Refused(
            f"budget {budget.name!r} is {now.period}, on {now.services}, for {scope}; period, services and scope can't "
            "change; nothing was changed. DELETE it and make it anew, or use another name",
            slug="budget-fixed",
            budget=budget.name,
        )


def _defined(book: BudgetBook, budget: Budget, cut: Cut) -> Budget:
    """The definition as it is kept: a new one is of a new generation, and has to be filled."""
    known = state_of(book, budget.name)
    if known is None:
        return replace(budget, generation=book.revision + 1, is_filling=True, cut=cut.leases)
    of, is_filling = known.budget.generation, known.budget.is_filling
    return replace(budget, generation=of, is_filling=is_filling, cut=cut.leases)


def _was_overtaken(services: Services, facts: Facts, budget: Budget, most: Mapping[str, Decimal]) -> bool:
    """Whether a new budget turned out to carry more than it was judged by: a launch came first."""
    if state_of(facts.book, budget.name):
        return False
    book = services.store.budgets(facts.now, until=horizon(facts))
    made = [state for state in (*book.states, *book.later) if state.budget.name == budget.name]
    return any(state.used_usd > most.get(state.period_key, budget.limit_usd) for state in made)


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
            its = replace(why, on_end=on_end_of(lease, facts.policy))
            claimed.append(teardown.begin(services, lease, its, facts.owned(lease), facts.now))
    teardown.carry_out(services, facts, [lease for lease in claimed if lease])
