"""Tell people which thresholds their budgets have passed: each once a period, and again only when passed again."""

from decimal import Decimal

from chalicelib.domain import account_notices
from chalicelib.domain.budget import BudgetState
from chalicelib.domain.errors import Stale, Unavailable
from chalicelib.domain.meter import measure
from chalicelib.ports import Services
from chalicelib.usecases.gather import Facts
from chalicelib.usecases.judge import spent_by_budget


def tell_thresholds(services: Services, facts: Facts) -> None:
    """Write what is passed now wherever that is not what people know, and their messages in the same transaction: who
    dies before it tells nothing and forgets nothing, and the next sweep does. A write that fails is its, too."""
    costs = {lease.id: measure(lease, facts.prices, facts.now) for lease in facts.leases}
    spent = spent_by_budget(facts.book, facts.leases, costs, facts.prices, facts.now)
    for state in facts.book.states:
        _tell(services, facts, state, spent[state.budget.name])


def _tell(services: Services, facts: Facts, state: BudgetState, spent_usd: Decimal) -> None:
    reached = state.budget.reached(spent_usd)
    percents = tuple(dict.fromkeys(threshold.at_percent for threshold in reached))
    if set(percents) == set(state.told):
        return
    new = [threshold for threshold in reached if threshold.at_percent not in state.told]
    told = [account_notices.budget(state, new, spent_usd, facts.now)] if new else []
    try:
        services.store.tell_thresholds(state, percents, notices=told)
    except (Stale, Unavailable):
        return
