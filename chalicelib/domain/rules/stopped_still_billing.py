"""stopped_still_billing: a box at rest still bills its disks and addresses."""

from datetime import datetime

from chalicelib.domain.case import Case, Effect, Finding
from chalicelib.domain.money import ZERO, exact, show


def stopped_still_billing(case: Case) -> Finding | None:
    """Warn once a box has been stopped for `stopped.warn_after`, with what a month of it costs; end it once it has been
    for `stopped.end_after`, if that is set. What had been stopped before it was found is warned about first: it has
    `stopped.warn_after` from then on, or `stopped.end_after` where that is shorter.

    No other rule judges a box at rest.
    """
    lease = case.lease
    if lease is None or not lease.is_storage or case.running:
        return None
    policy = case.policy.stopped
    since = stopped_since(case, found_at=lease.requested_at)
    monthly = sum((one.monthly_usd for one in case.cost.leftovers), ZERO)
    warns_at = since + policy.warn_after
    ends_at = None
    if policy.end_after is not None:
        told_for = min(policy.end_after, policy.warn_after)
        ends_at = max(since + policy.end_after, lease.requested_at + told_for)
    effect = Effect.KEEP if case.now < warns_at else Effect.WARN
    if ends_at and case.now >= ends_at:
        effect = Effect.END
    return Finding(
        rule="stopped_still_billing",
        effect=effect,
        reason=f"it has been stopped since {since:%Y-%m-%d %H:%M} UTC, and what it keeps costs {show(monthly)} a month",
        figures={"stopped_since": since.isoformat(), "monthly_usd": exact(monthly)},
        ends_at=ends_at,
        due_at=min((at for at in (warns_at, ends_at) if at and at > case.now), default=None),
    )


def stopped_since(case: Case, *, found_at: datetime) -> datetime:
    """Since when EC2 says that all of it has been stopped; where it does not, since it was found so."""
    told = [instance.ended_at or found_at for instance in case.instances]
    return min(max(told, default=found_at), found_at)
