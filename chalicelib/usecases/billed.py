"""Count on budgets for `services: all` what the bill has beyond the meter, each time that Cost Explorer has answered.

Cost Explorer is about a day late: between its answers such a budget goes on by the meter. What it told stands beside
the holds in the period itself, so that a launch finds room by both.
"""

from datetime import timedelta
from decimal import Decimal

from chalicelib.domain.bill_turn import KEPT_FOR
from chalicelib.domain.budget import Budget, BudgetState
from chalicelib.domain.errors import Stale, Unavailable
from chalicelib.domain.money import ZERO
from chalicelib.domain.periods import starts_at
from chalicelib.ports import Services
from chalicelib.usecases.gather import Facts


def count_bills(services: Services, facts: Facts) -> None:
    """Bring every such budget's present period up to Cost Explorer's last answer; what the table does not take is for
    the next sweep."""
    if not any(_counts(state) for state in facts.book.states):
        return
    try:
        turn = services.store.bill_turn()
        for state in services.store.budgets(facts.now).states:
            if turn and turn.answered_at and _counts(state) and state.billed_at != turn.answered_at:
                usd = beyond_meter(services, state.budget, facts)
                services.store.put_billed(state, usd, at=turn.answered_at)
    except (Stale, Unavailable):
        return


def beyond_meter(services: Services, budget: Budget, facts: Facts) -> Decimal:
    """What the bill has beyond the meter in a budget's present period; nothing of it for one of accelerators alone."""
    if budget.services != "all":
        return ZERO
    since = max(starts_at(budget.period, facts.now), facts.now - KEPT_FOR).date()
    days = services.store.billed_days(since, facts.now.date() + timedelta(days=1))
    return max(sum((day.beyond_meter_usd for day in days), ZERO), ZERO)


def _counts(state: BudgetState) -> bool:
    return state.budget.services == "all" and not state.budget.is_filling
