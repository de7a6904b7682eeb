"""Where a budget stands in its present period: what of its limit is spent, held and left.

What a lease has cost is spent, also beyond its hold; held is only what of its hold it has not cost yet. So a lease that
something spares leaves less, and uses up nobody else's hold.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from chalicelib.domain.budget import BudgetBook, BudgetState
from chalicelib.domain.lease import Lease
from chalicelib.domain.money import ZERO, to_micro
from chalicelib.domain.periods import cost_since, ends_at, starts_at
from chalicelib.domain.prices import PriceBook


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """In micro-dollars. `spent_usd`: what closed leases left, what the meters of open ones have counted, and what the
    bill has beyond; `held_usd`: what open leases may still cost, as far as it is held."""

    spent_usd: Decimal
    held_usd: Decimal

    def left_usd(self, limit_usd: Decimal) -> Decimal:
        """What is neither; negative once more is spent and held than the limit."""
        return limit_usd - self.spent_usd - self.held_usd


def standing(state: BudgetState, parts: Iterable[tuple[Decimal, Decimal]]) -> Standing:
    """Where a budget stands whose open leases have each (a hold there, a cost there)."""
    parts = tuple(parts)
    held = sum((hold for hold, _ in parts), ZERO)
    return Standing(
        spent_usd=state.used_usd - held + sum((cost for _, cost in parts), ZERO),
        held_usd=sum((max(hold - cost, ZERO) for hold, cost in parts), ZERO),
    )


def as_it_stands(state: BudgetState, stands: Mapping[str, Standing], now: datetime) -> BudgetState:
    """A budget with no more left in its present period than is really left: the table counts holds, and what a lease
    costs beyond its own only when it closes."""
    if state.period_key != state.budget.period_key(now):
        return state
    left = stands[state.budget.name].left_usd(state.budget.limit_usd)
    return replace(state, left_usd=min(state.left_usd, left))


def standings(
    book: BudgetBook,
    leases: Iterable[Lease],
    accrued_usd: Mapping[str, Decimal],
    prices: PriceBook,
    now: datetime,
) -> dict[str, Standing]:
    """Every budget, by name; `accrued_usd` is what the meter of each open lease says, by its id."""
    leases = tuple(leases)
    return {
        state.budget.name: standing(
            state,
            (
                (_held(state, one), _cost(state, one, accrued_usd[one.id], prices, now))
                for one in leases
                if any(map(state.budget.charged_by, one.charges))
            ),
        )
        for state in book.states
    }


def _held(state: BudgetState, lease: Lease) -> Decimal:
    return sum((to_micro(each.amount_usd) for each in lease.charges if state.charged_by(each)), ZERO)


def _cost(
    state: BudgetState, lease: Lease, accrued_usd: Decimal, prices: PriceBook, now: datetime
) -> Decimal:
    since, until = starts_at(state.budget.period, now), ends_at(state.budget.period, now)
    return to_micro(cost_since(lease, prices, since, accrued_usd=accrued_usd, until=until))
