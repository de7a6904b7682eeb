"""Give a lease whose hold was cut what it did not spend in earlier periods, where the later ones have room for it.

A hold that a cap or a full budget cuts is short somewhere: it stands on the earliest periods as the most that they can
cost, and the later ones get what remains. What turns out cheaper is moved on before it is needed, so that the lease
ends by its money and not by the calendar.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

from chalicelib.domain.admission import charges_for, term_of
from chalicelib.domain.budget import BudgetBook
from chalicelib.domain.errors import BudgetExceeded, Stale, Unavailable
from chalicelib.domain.lease import Charge, Lease, Status
from chalicelib.domain.money import CENT, ZERO
from chalicelib.domain.periods import Spent, spent_by
from chalicelib.domain.policy import Policy
from chalicelib.ports import Services
from chalicelib.usecases.gather import Facts

BEFOREHAND = timedelta(minutes=10)


def carry_over(services: Services, facts: Facts) -> None:
    """Move what is left over wherever a period that runs, or soon will, gains a cent by it. What the table does not
    take is for the next sweep."""
    for lease in facts.leases:
        if facts.in_focus(lease) and _carried(lease, facts.book, facts):
            _carry(services, facts, lease.id)


def _carry(services: Services, facts: Facts, lease_id: str) -> None:
    """Look again, at what is recorded now and at every period of the lease, and write."""
    try:
        lease = services.store.lease(lease_id)
        if lease is None:
            return
        book = services.store.budgets(facts.now, until=term_of(lease, facts.policy).ends_at)
        charges = _carried(lease, book, facts)
        if charges:
            carried = replace(lease, charges=charges)
            services.store.rehold(carried, before=lease.charges, revision=book.revision)
    except (BudgetExceeded, Stale, Unavailable):
        return


def _carried(lease: Lease, book: BudgetBook, facts: Facts) -> tuple[Charge, ...] | None:
    """Its charges anew where a period gains by it; a time that is over gains nothing any more."""
    now, policy = facts.now, facts.policy
    is_short = any(charge.is_short for charge in lease.charges)
    if lease.status is not Status.ACTIVE or not is_short or now >= term_of(lease, policy).ends_at:
        return None
    spent = spent_by(lease, facts.prices, now)
    if spent is None or lease.region not in facts.sight.seen_regions:
        return None
    charges = _charges(lease, book, policy, spent)
    soon = now + lease.margin(policy.teardown.margin) + BEFOREHAND
    return charges if _gains(lease, charges, book, soon, now) else None


def _charges(lease: Lease, book: BudgetBook, policy: Policy, spent: Spent) -> tuple[Charge, ...]:
    """Its charges anew, by what is known now. Those of budgets that are not there any more stay as they are, and so do
    those of budgets that hold all of it: it may still cost that, by what no second tells."""
    budgets = [
        budget
        for budget in book.budgets_covering(owner=lease.owner, project=lease.project)
        if any(charge.is_short and budget.charged_by(charge) for charge in lease.charges)
    ]
    room = {
        (state.budget.name, state.period_key): state.left_usd
        + sum((each.amount_usd for each in lease.charges if state.charged_by(each)), ZERO)
        for state in (*book.states, *book.later)
    }
    others = [one for one in lease.charges if not any(budget.charged_by(one) for budget in budgets)]
    anew = charges_for(lease.hold, budgets, term_of(lease, policy), room=room, spent=spent)
    return (*others, *anew)


def _gains(
    lease: Lease, charges: tuple[Charge, ...], book: BudgetBook, soon: datetime, now: datetime
) -> bool:
    """Whether a period that runs now or `soon` has a cent more than before."""
    return any(
        _amount(charges, name, key) - _amount(lease.charges, name, key) >= CENT
        for name, key in {
            (state.budget.name, state.budget.period_key(at)) for state in book.states for at in (now, soon)
        }
    )


def _amount(charges: tuple[Charge, ...], name: str, key: str) -> Decimal:
    return sum((one.amount_usd for one in charges if (one.budget, one.period_key) == (name, key)), ZERO)
