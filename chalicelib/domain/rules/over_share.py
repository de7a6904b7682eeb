"""over_share: a lease that a budget could not hold in full in some day or month ends before it costs more there."""

from dataclasses import replace
from decimal import Decimal

from chalicelib.domain.budget import BudgetState, Period
from chalicelib.domain.case import Case, Effect, Finding
from chalicelib.domain.due import spent_at
from chalicelib.domain.lease import Charge, Lease
from chalicelib.domain.money import ZERO, exact, show
from chalicelib.domain.periods import ends_at, starts_at


def over_share(case: Case) -> Finding | None:
    """End when the meter reaches, in the present period, the share that is held there, less what ending costs; an
    adopted box when it reaches it. A launch ends within its period if the next one could not even pay for its end."""
    if case.lease is None:
        return None
    findings = [
        finding
        for state in case.budgets
        for finding in (
            _share_used(case, case.lease, state),
            _others_share(case, case.lease, state),
            _no_share_next(case, case.lease, state),
        )
        if finding
    ]
    if not findings:
        return None
    due_at = min((finding.due_at for finding in findings if finding.due_at), default=None)
    return replace(max(findings, key=lambda finding: finding.effect), due_at=due_at)


def _share_used(case: Case, lease: Lease, state: BudgetState) -> Finding | None:
    held = _short(lease, state, state.period_key)
    if held is None:
        return None
    accrued = case.accrued_in_usd.get(state.period_key, ZERO)
    saving = _saving(case, lease, state)
    ending = ZERO if lease.is_adopted else case.ending_usd
    limit = held - saving - ending - _allowance(case, lease, state)
    where = f"budget {state.budget.name!r} in {state.period_key}"
    figures = {
        "share_of": state.budget.name,
        "period_key": state.period_key,
        "share_usd": exact(held),
        "accrued_usd": exact(accrued),
    }
    if state.left_usd < accrued - held:
        figures["budget"] = state.budget.name
    if accrued >= limit:
        effect = Effect.END
        reason = f"it has cost {show(accrued)} of the {show(held)} that {where} could hold for it and its end"
    else:
        effect, reason = Effect.KEEP, f"it has cost {show(accrued)} of its {show(held)} on {where}"
    return Finding(
        rule="over_share",
        effect=effect,
        reason=reason,
        figures=figures,
        due_at=spent_at(case, limit - accrued),
    )


def _others_share(case: Case, lease: Lease, state: BudgetState) -> Finding | None:
    """What no second tells (data that it sent, a disk attached later) may take a launch past its part of a hold in one
    period: it ends before it takes what others hold there, and not they."""
    held = sum((charge.amount_usd for charge in lease.charges if state.charged_by(charge)), ZERO)
    accrued = case.accrued_in_usd.get(state.period_key, ZERO)
    beyond = accrued - held - case.cost.ceiling_usd / 60  # a start bills a minute at least
    if lease.is_adopted or beyond <= 0 or state.left_usd >= beyond + case.ending_usd:
        return None
    where = f"budget {state.budget.name!r} in {state.period_key}"
    return Finding(
        rule="over_share",
        effect=Effect.END,
        reason=f"it has cost {show(accrued)} of the {show(held)} held for it on {where}, which has no room for more",
        figures={
            "share_of": state.budget.name,
            "period_key": state.period_key,
            "share_usd": exact(held),
            "accrued_usd": exact(accrued),
            "budget": state.budget.name,
        },
        due_at=case.now,
    )


def _no_share_next(case: Case, lease: Lease, state: BudgetState) -> Finding | None:
    """A launch can't be ended at the stroke of midnight: its end begins while this period still pays for it."""
    if lease.is_adopted or state.budget.period is Period.TOTAL:
        return None
    turn = ends_at(state.budget.period, case.now)
    key = state.budget.period_key(turn)
    held = _short(lease, state, key)
    if held is None or held >= case.ending_usd:
        return None
    ends = turn - lease.margin(case.policy.teardown.margin)
    return Finding(
        rule="over_share",
        effect=Effect.END if case.now >= ends else Effect.KEEP,
        reason=f"budget {state.budget.name!r} holds {show(held)} for it in {key}, which does not pay for its end",
        figures={"share_of": state.budget.name, "period_key": key, "share_usd": exact(held)},
        ends_at=ends,
        due_at=ends,
    )


def _short(lease: Lease, state: BudgetState, key: str) -> Decimal | None:
    """What is held on a budget in a period, where it may cost more there."""

    def is_there(charge: Charge) -> bool:
        return state.budget.charged_by(charge) and charge.period_key == key

    charges = [charge for charge in lease.charges if is_there(charge)]
    if not any(charge.is_short for charge in charges):
        return None
    return sum((charge.amount_usd for charge in charges), ZERO)


def _saving(case: Case, lease: Lease, state: BudgetState) -> Decimal:
    """What is held for the images of its end, which stands on the last period."""
    keys = [charge.period_key for charge in lease.charges if state.budget.charged_by(charge)]
    return case.saving_usd if keys and keys[-1] == state.period_key else ZERO


def _allowance(case: Case, lease: Lease, state: BudgetState) -> Decimal:
    """What is left of the egress allowance, which stands on the period of the start, as what was sent counts there."""
    if lease.requested_at < starts_at(state.budget.period, case.now):
        return ZERO
    return max(lease.hold.egress_usd - case.cost.egress_usd, ZERO)
