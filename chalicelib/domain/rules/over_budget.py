"""over_budget: a lease ends before its meter passes its hold, or when a budget it counts against is spent."""

from datetime import datetime, timedelta
from decimal import Decimal

from chalicelib.domain.budget import Budget, Consequence
from chalicelib.domain.case import Case, Effect, Finding
from chalicelib.domain.due import spent_at
from chalicelib.domain.money import ZERO, exact, show


def over_budget(case: Case) -> Finding | None:
    """End when the meter reaches the hold less what ending costs and the images of the end; an adopted box that is not
    to be saved when it reaches the hold. What is left of the egress allowance pays for nothing else."""
    if case.lease is None:
        return None
    accrued, hold = case.cost.accrued_usd, case.lease.hold
    # What was sent is paid for by its allowance first; the rest of the allowance is for nothing else.
    allowance = max(hold.egress_usd - case.cost.egress_usd, ZERO)
    is_saved = (
        case.lease.teardown_margin is not None
    )  # of a found box: held for its image and the wait for it
    ending = case.ending_usd if is_saved or not case.lease.is_adopted else ZERO
    limit = hold.total_usd - case.saving_usd - ending - allowance
    figures = {
        "accrued_usd": exact(accrued),
        "hold_usd": exact(hold.total_usd),
        "ends_at_usd": exact(max(limit, ZERO)),
        "hourly_usd": exact(case.cost.hourly_usd),
    }
    if lowered := _lowered(case):
        return Finding(
            rule="over_budget",
            effect=Effect.END,
            reason=f"the limit of budget {lowered.name!r} was lowered to {show(lowered.limit_usd)} by force",
            figures={**figures, "limit_usd": exact(lowered.limit_usd)},
            ends_at=case.now,
        )
    spent_out = _spent_out(case)
    if spent_out:
        return Finding(
            rule="over_budget",
            effect=Effect.END,
            reason=f"budget {spent_out!r} is spent",
            figures={**figures, "budget": spent_out},
            ends_at=case.now,
        )
    reached_at = _reached_at(case, limit - accrued)
    due_at = spent_at(case, limit - accrued)
    if accrued >= limit:
        effect = Effect.END
        reason = (
            f"it has cost {show(accrued)} and its hold of {show(hold.total_usd)} must also pay for its end"
        )
    elif reached_at and reached_at - case.now <= case.policy.idle.warn_before:
        effect, reason = Effect.WARN, f"it has cost {show(accrued)} and ends at {show(limit)}"
    else:
        effect, reason = Effect.KEEP, f"it has cost {show(accrued)} of the {show(limit)} at which it ends"
        due_at = due_at and due_at - case.policy.idle.warn_before
    return Finding(
        rule="over_budget",
        effect=effect,
        reason=reason,
        figures=figures,
        ends_at=reached_at,
        due_at=due_at,
    )


def _lowered(case: Case) -> Budget | None:
    """The first budget whose forced limit ends this lease."""
    cuts = (state.budget for state in case.budgets if case.lease and case.lease.id in state.budget.cut)
    return next(cuts, None)


def _spent_out(case: Case) -> str | None:
    """The first budget whose thresholds ask to end what it pays for."""
    for state in case.budgets:
        spent = case.spent_usd.get(state.budget.name, ZERO)
        if Consequence.END in state.budget.crossed(spent):
            return state.budget.name
    return None


def _reached_at(case: Case, room_usd: Decimal) -> datetime | None:
    """When the money lasts until at today's hourly price; None while nothing bills or that is years away."""
    if case.cost.hourly_usd <= 0:
        return None
    lasts_hours = min(max(room_usd, ZERO) / case.cost.hourly_usd, Decimal(24 * 3650))
    return case.now + timedelta(seconds=int(lasts_hours * 3600))
