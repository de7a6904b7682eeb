"""Put open leases on the budgets they fall in but are not charged to yet, and open budgets that were being made.

A new budget is `filling` first: nobody is admitted against it, so no lease can slip past while those that are open are
charged one by one. Then what closed uncharged is counted, and it opens. Whoever dies on the way leaves it filling, and
the sweep goes on with it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from itertools import islice

from chalicelib.domain.admission import Term, charges_for, term_of
from chalicelib.domain.budget import Budget, BudgetBook, BudgetState, Period
from chalicelib.domain.errors import Stale
from chalicelib.domain.lease import Charge, Lease
from chalicelib.domain.money import ZERO
from chalicelib.domain.periods import MOST_PERIODS, Spent, cost_in, spans, starts_at
from chalicelib.domain.policy import Policy
from chalicelib.ports import Services

ROUNDS = 10


def is_owing(leases: Iterable[Lease], book: BudgetBook) -> bool:
    """Whether a budget is not made to the end, or does not carry a lease that it covers."""
    return any(state.budget.is_filling for state in book.states) or any(
        uncharged(lease, book) for lease in leases
    )


def uncharged(lease: Lease, book: BudgetBook) -> tuple[Budget, ...]:
    """The budgets that cover a lease and do not carry its hold."""
    covering = book.budgets_covering(owner=lease.owner, project=lease.project)
    return tuple(budget for budget in covering if not any(map(budget.charged_by, lease.charges)))


def charge_open_leases(services: Services, now: datetime) -> None:
    """Charge every open lease's hold where it is missing, also into overdraft: it is money that may really be spent.

    A budget that is filling opens once none is missing; while leases keep changing it stays, for the next sweep.
    """
    policy, _ = services.store.policy()
    for _ in range(ROUNDS):
        book = services.store.budgets(now)
        missing = [
            (lease, budgets) for lease in services.store.open_leases() if (budgets := uncharged(lease, book))
        ]
        for lease, budgets in missing:
            _charge(services, lease, missing_charges(lease, budgets, policy, now), book.revision)
        if missing:
            continue
        filling = next((state for state in book.states if state.budget.is_filling), None)
        if filling is None:
            return
        _open(services, filling, book.revision, now)


def missing_charges(
    lease: Lease, budgets: Sequence[Budget], policy: Policy, now: datetime
) -> tuple[Charge, ...]:
    """An open lease's hold on budgets that do not carry it yet, on no more of them than a transaction takes.

    One that has more periods than that alone carries the present one and those that follow.
    """
    term = term_of(lease, policy)
    charges: tuple[Charge, ...] = ()
    for budget in budgets:
        if term.charges([budget]) <= MOST_PERIODS:
            more = charges_for(lease.hold, [budget], term)
        else:
            near = _near(term, budget.period, now)
            nothing = Spent(at=near.starts_at, by_day={})
            more = charges_for(lease.hold, [budget], near, spent=nothing)
        if charges and len(charges) + len(more) > MOST_PERIODS:
            break
        charges += more
    return charges


def _near(term: Term, kind: Period, now: datetime) -> Term:
    start = max(starts_at(kind, now), term.starts_at)
    near = list(islice(spans(kind, start, term.ends_at), MOST_PERIODS))
    return Term(starts_at=start, ends_at=near[-1].ends_at)


def closed_uncharged(services: Services, budget: Budget, now: datetime) -> Decimal:
    """What leases cost in the budget's present period that have closed since it began and were never charged to it."""
    key = budget.period_key(now)
    costs = [
        cost_in(key, lease.final_by_day) if lease.final_by_day else lease.final_usd or ZERO
        for lease in services.store.closed_leases(since=starts_at(budget.period, now))
        if budget.covers(owner=lease.owner, project=lease.project)
        and not any(map(budget.charged_by, lease.charges))
    ]
    return sum(costs, ZERO)


def _charge(services: Services, lease: Lease, charges: Sequence[Charge], revision: int) -> None:
    charged = replace(lease, charges=(*lease.charges, *charges))
    try:
        services.store.rehold(charged, before=lease.charges, revision=revision, allow_overdraft=True)
    except Stale:
        return  # it changed, or closed, or the budgets did: the next round looks again


def _open(services: Services, state: BudgetState, revision: int, now: datetime) -> None:
    opened = replace(state.budget, is_filling=False)
    closed = {state.period_key: closed_uncharged(services, opened, now)}
    try:
        services.store.put_budget(opened, used=closed, revision=revision)
    except Stale:
        return  # another writer opened it, or changed a budget
