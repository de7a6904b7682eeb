"""Count on the account's budgets what the bill has beyond the meter, each time that Cost Explorer has answered.

One for `services: all` counts all of it, one for `services: accelerators` what the compute of accelerator instances was
billed beyond their meter. Cost Explorer is about a day late: between its answers a budget goes on by the meter. What it
told stands beside the holds in the period itself, so that a launch finds room by both.
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
        if turn is None or turn.answered_at is None:
            return
        if not any(_counts(state) and state.billed_at != turn.answered_at for state in facts.book.states):
            return
        for state in services.store.budgets(facts.now).states:
            if _counts(state) and state.billed_at != turn.answered_at:
                usd = beyond_meter(services, state.budget, facts)
                services.store.put_billed(state, usd, at=turn.answered_at)
    except (Stale, Unavailable):
        return


def beyond_meter(services: Services, budget: Budget, facts: Facts) -> Decimal:
    """What the bill has beyond the meter in a budget's present period; nothing of it where no line says whose it is."""
    if not budget.counts_bill:
        return ZERO
    since = max(starts_at(budget.period, facts.now), facts.now - KEPT_FOR).date()
    days = services.store.billed_days(since, facts.now.date() + timedelta(days=1))
    is_whole = budget.services == "all"
    beyond = (day.beyond_meter_usd if is_whole else day.accelerators_beyond_usd for day in days)
    return max(sum(beyond, ZERO), ZERO)


def _counts(state: BudgetState) -> bool:
    return state.budget.counts_bill and not state.budget.is_filling
