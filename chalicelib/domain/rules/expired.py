"""expired: a lease ends at its `expires_at`, whatever its box does."""

from datetime import timedelta

from chalicelib.domain.case import Case, Effect, Finding


def expired(case: Case) -> Finding | None:
    """End at `expires_at`; warn `idle.warn_before` ahead of it, so that there is time to extend."""
    if case.lease is None:
        return None
    left = case.lease.expires_at - case.now
    due_at = case.lease.expires_at
    if left <= timedelta(0):
        effect, reason = Effect.END, f"its lease expired at {case.lease.expires_at:%Y-%m-%d %H:%M} UTC"
    elif left <= case.policy.idle.warn_before:
        effect, reason = Effect.WARN, f"its lease expires in {-(-left // timedelta(minutes=1))} min"
    else:
        effect, reason = Effect.KEEP, f"its lease runs until {case.lease.expires_at:%Y-%m-%d %H:%M} UTC"
        due_at -= case.policy.idle.warn_before
    return Finding(
        rule="expired",
        effect=effect,
        reason=reason,
        figures={"expires_at": case.lease.expires_at.isoformat()},
        ends_at=case.lease.expires_at,
        due_at=due_at,
    )
