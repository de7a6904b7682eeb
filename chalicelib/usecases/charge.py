"""Put open leases on the budgets they fall in but are not charged to yet, and open budgets that were being made.

A new budget is `filling` first: nobody is admitted against it, so no lease can slip past while those that are open are
charged one by one. Then what closed uncharged is counted, and it opens. Whoever dies on the way leaves it filling, and
the sweep goes on with it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

from chalicelib.domain.admission import charges_for
from chalicelib.domain.budget import Budget, BudgetBook, BudgetState, Period
from chalicelib.domain.errors import Stale
from chalicelib.domain.lease import Lease
from chalicelib.domain.money import ZERO
from chalicelib.ports import Services

ROUNDS = 10
BEFORE_EC2 = datetime(2006, 1, 1, tzinfo=UTC)


def is_owing(leases: Iterable[Lease], book: BudgetBook) -> bool:
    """Whether a budget is not made to the end, or does not carry a lease that it covers."""
    return any(state.budget.is_filling for state in book.states) or any(
        uncharged(lease, book) for lease in leases
    )


def uncharged(lease: Lease, book: BudgetBook) -> tuple[BudgetState, ...]:
    """The budgets that cover a lease and do not carry its hold."""
    covering = book.covering(owner=lease.owner, project=lease.project)
    return tuple(state for state in covering if not any(map(state.budget.charged_by, lease.charges)))


def charge_open_leases(services: Services, now: datetime) -> None:
    """Charge every open lease's hold where it is missing, also into overdraft: it is money that may really be spent.

    A budget that is filling opens once none is missing; while leases keep changing it stays, for the next sweep.
    """
    for _ in range(ROUNDS):
        book = services.store.budgets(now)
        missing = [
            (lease, states) for lease in services.store.open_leases() if (states := uncharged(lease, book))
        ]
        for lease, states in missing:
            _charge(services, lease, states, book.revision)
        filling = next((state for state in book.states if state.budget.is_filling), None)
        if filling is None:
            return
        if not missing:
            _open(services, filling, book.revision, now)


def closed_uncharged(services: Services, budget: Budget, now: datetime) -> Decimal:
    """What leases cost that closed in the budget's present period and were never charged to it."""
    costs = [
        lease.final_usd or ZERO
        for lease in services.store.closed_leases(since=_period_start(budget, now))
        if budget.covers(owner=lease.owner, project=lease.project)
        and not any(map(budget.charged_by, lease.charges))
    ]
    return sum(costs, ZERO)


def _charge(services: Services, lease: Lease, states: Sequence[BudgetState], revision: int) -> None:
    charged = replace(lease, charges=(*lease.charges, *charges_for(lease.hold.total_usd, states)))
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


def _period_start(budget: Budget, now: datetime) -> datetime:
    match budget.period:
        case Period.MONTHLY:
            return now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        case Period.DAILY:
            return now.replace(hour=0, minute=0, second=0, microsecond=0)
        case Period.TOTAL:
            return BEFORE_EC2
