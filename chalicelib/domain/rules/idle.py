"""idle: a box whose GPUs have done nothing for `idle.after` ends, after a warning."""

from datetime import datetime, timedelta

from chalicelib.domain.case import Case, Effect, Finding
from chalicelib.domain.evidence import Use


def idle(case: Case) -> Finding | None:
    """End after `idle.after` of silence, never before `idle.after_launch` and never on unknown evidence.

    Nor without a warning that is `idle.warn_before` old, which counts inside `idle.after`, and that no work has
    overtaken since.
    """
    if case.lease is None or not case.running:
        return None
    evidence, policy = case.evidence, case.idle_policy
    if evidence.use is not Use.IDLE or evidence.since is None:
        return Finding(rule="idle", effect=Effect.KEEP, reason=evidence.reason, figures={"use": evidence.use})
    started = max((i.launched_at for i in case.running if i.launched_at), default=case.lease.requested_at)
    due_at = max(evidence.since + policy.after, started + policy.after_launch)
    lead = min(policy.warn_before, policy.after)
    warned_at = valid_warning(case)
    ends_at = max(due_at, (warned_at or case.now) + lead) if lead else due_at
    figures = {
        "use": evidence.use.value,
        "idle_since": evidence.since.isoformat(),
        "idle_minutes": str(int((case.now - evidence.since) / timedelta(minutes=1))),
        "hourly_usd": str(case.cost.hourly_usd),
    }
    if case.now >= ends_at and (warned_at or not lead):
        effect = Effect.END
    elif lead and case.now >= due_at - lead:
        effect = Effect.WARN
    else:
        effect = Effect.KEEP
    return Finding(rule="idle", effect=effect, reason=evidence.reason, figures=figures, ends_at=ends_at)


def valid_warning(case: Case) -> datetime | None:
    """When the warning went out that still holds: work seen after a warning takes it back."""
    if case.lease is None:
        return None
    warned_at = case.lease.warned_at.get("idle")
    if warned_at is None or (case.evidence.since is not None and case.evidence.since > warned_at):
        return None
    return warned_at
