"""What a lease takes from its budgets and gives back: sums alone, the same for every store.

A budget's period keeps what is *used*: holds of open leases and costs of closed ones. What is left is the limit less
that, so a changed limit moves no period. Amounts finer than a micro-dollar are rounded up: a budget never reads fuller
than it is.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal

from chalicelib.domain.admission import no_room
from chalicelib.domain.budget import Budget, BudgetState
from chalicelib.domain.errors import BudgetExceeded, Stale
from chalicelib.domain.lease import Charge, Lease
from chalicelib.domain.money import ZERO, show, summed
from chalicelib.domain.periods import cost_by_period

MICRO = Decimal("0.000001")

Moves = Mapping["BudgetPeriod", Decimal]


@dataclass(frozen=True, slots=True, order=True)
class BudgetPeriod:
    """One budget in one period; `generation` tells budgets of one name apart."""

    budget: str
    period_key: str
    generation: int = 0


def rounded(amount: Decimal) -> Decimal:
    """As it is, or up to the next micro-dollar where it is finer."""
    up = amount.quantize(MICRO, rounding=ROUND_CEILING)
    return amount if amount == up else up


def taken(charges: Iterable[Charge]) -> dict[BudgetPeriod, Decimal]:
    """What charges put on each budget and period."""
    return summed(
        (BudgetPeriod(charge.budget, charge.period_key, charge.generation), rounded(charge.amount_usd))
        for charge in charges
    )


def changed(*, before: Iterable[Charge], after: Iterable[Charge]) -> dict[BudgetPeriod, Decimal]:
    """By how much each budget and period moves when charges are replaced; those that don't move are left out."""
    old, new = taken(before), taken(after)
    moves = {account: new.get(account, ZERO) - old.get(account, ZERO) for account in sorted({*old, *new})}
    return {account: move for account, move in moves.items() if move}


def kept(lease: Lease) -> dict[BudgetPeriod, Decimal]:
    """What a lease that closes leaves on each budget it was charged to: what it cost in each period, also in one that
    its hold did not reach. Where its days are not known the cost fills the earliest period first, and whatever it
    exceeds them by stands on the last.
    """
    sums: dict[BudgetPeriod, Decimal] = {}
    by_budget: dict[tuple[str, int], list[tuple[BudgetPeriod, Decimal]]] = {}
    for account, held in sorted(taken(lease.charges).items()):
        by_budget.setdefault((account.budget, account.generation), []).append((account, held))
    for (name, generation), parts in by_budget.items():
        if lease.final_by_day:
            costs = cost_by_period(parts[0][0].period_key, lease.final_by_day)
            sums |= {BudgetPeriod(name, key, generation): rounded(usd) for key, usd in costs.items()}
            continue
        cost = rounded(lease.final_usd or ZERO)
        for account, held in parts:
            sums[account] = cost if account is parts[-1][0] else min(cost, held)
            cost -= sums[account]
    return sums


def settled(lease: Lease) -> dict[BudgetPeriod, Decimal]:
    """By how much each budget and period moves when a lease closes: what it cost there stays, the rest goes back."""
    held, left = taken(lease.charges), kept(lease)
    moves = {one: left.get(one, ZERO) - held.get(one, ZERO) for one in sorted({*held, *left})}
    return {account: move for account, move in moves.items() if move}


def can_take(budget: Budget | None, account: BudgetPeriod) -> bool:
    """Whether a hold may be judged by this definition: it is the one that was charged, and carries all it has to."""
    return budget is not None and budget.generation == account.generation and not budget.is_filling


def too_much(
    budget: Budget, account: BudgetPeriod, *, used: Decimal, asked: Decimal, is_new: bool
) -> BudgetExceeded:
    """The refusal of a hold (`is_new`) or of a higher one; names the budget, what is left and what was asked."""
    left = budget.limit_usd - used
    if is_new:
        return no_room(BudgetState(budget=budget, period_key=account.period_key, left_usd=left), asked)
    return BudgetExceeded(
        f"budget {budget.name!r} has {show(max(left, ZERO))} left of {show(budget.limit_usd)} in "
        f"{account.period_key}, the change could cost {show(asked)} more; nothing was changed",
        budget=budget.name,
        period_key=account.period_key,
        left_usd=str(left),
        hold_usd=str(asked),
    )


def budgets_moved() -> Stale:
    """A budget was created, changed or deleted since the caller read them."""
    return Stale("the budgets changed meanwhile; nothing was written and nothing is held. Try again")


def lease_exists(lease_id: str) -> Stale:
    """A second lease of the same id."""
    return Stale(
        f"a lease {lease_id} exists already, open or closed; nothing was written and nothing more is held"
    )


def lease_moved(lease: Lease) -> Stale:
    """The lease was written by somebody else, or closed, since the caller read it."""
    return Stale(
        f"lease {lease.id} changed after its version {lease.version} was read; nothing was written. Try again"
    )
