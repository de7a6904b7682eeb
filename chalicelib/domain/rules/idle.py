"""idle: a box whose GPUs have done nothing for `idle.after` ends, after a warning."""

from datetime import datetime, timedelta

from chalicelib.domain import due
from chalicelib.domain.case import Case, Effect, Finding
from chalicelib.domain.evidence import Use
from chalicelib.domain.money import exact

HEARD_WITHIN = timedelta(minutes=2)
"""How old the heartbeat may be that an end rests on: one is posted each minute by then."""


def idle(case: Case) -> Finding | None:
    """End after `idle.after` of silence, never before `idle.after_launch` and never on unknown evidence.

    Nor without a warning that is `idle.warn_before` old, which counts inside `idle.after`, and that no work has
    overtaken since. Where it is longer people are warned as soon as it is idle, and `Curfew-Remark` of /policy says so.
    Nor before the time until which somebody keeps it by a warning's link: then it is warned of anew. Where nothing but
    heartbeats says idle, one of them has to have said so within two minutes, and after the warning.
    """
    if case.lease is None or not case.running:
        return None
    evidence, policy = case.evidence, case.idle_policy
    if evidence.use is not Use.IDLE or evidence.since is None:
        return Finding(
            rule="idle",
            effect=Effect.KEEP,
            reason=_said(case),
            figures={"use": evidence.use},
            due_at=max(due.gate(case), evidence.due_at or case.now),
        )
    silent_at = max(
        evidence.since + policy.after,
        case.started_at + policy.after_launch,
        case.lease.snoozed_until or case.started_at,
    )
    lead = due.lead(policy)
    warned_at = valid_warning(case)
    ends_at = max(silent_at, (warned_at or case.now) + lead) if lead else silent_at
    figures = {
        "use": evidence.use.value,
        "idle_since": evidence.since.isoformat(),
        "idle_minutes": str(int((case.now - evidence.since) / timedelta(minutes=1))),
        "hourly_usd": exact(case.cost.hourly_usd),
    }
    if case.now >= ends_at and _is_confirmed(case, warned_at, lead):
        effect = Effect.END
    elif lead and case.now >= silent_at - lead:
        effect = Effect.WARN
    else:
        effect = Effect.KEEP
    return Finding(
        rule="idle",
        effect=effect,
        reason=_said(case),
        figures=figures,
        ends_at=ends_at,
        due_at=ends_at if effect is Effect.WARN else evidence.due_at or silent_at - lead,
    )


def _said(case: Case) -> str:
    """What is known of its use, and until when somebody keeps it by a link. A box that is kept need not be asked about,
    so that nothing is known of it then says nothing."""
    until = case.lease.snoozed_until if case.lease else None
    if until is None or until <= case.now:
        return case.evidence.reason
    kept = f"kept until {until:%Y-%m-%d %H:%M} UTC by link"
    return kept if case.evidence.use is Use.UNKNOWN else f"{case.evidence.reason}; {kept}"


def _is_confirmed(case: Case, warned_at: datetime | None, lead: timedelta) -> bool:
    """People were warned where they are to be, and a box of which only its heartbeats tell has told since, just now: it
    tells each minute by then, and a later word of work may have been lost."""
    heard_at = case.evidence.heard_at
    is_fresh = heard_at is None or case.now - heard_at <= HEARD_WITHIN
    if not lead:
        return is_fresh
    return warned_at is not None and is_fresh and (heard_at is None or heard_at > warned_at)


def valid_warning(case: Case) -> datetime | None:
    """When the warning went out that still holds.

    Work or a start that was seen since then, or a policy that waits longer, takes it back; silence alone never does.
    """
    warned_at = case.lease.warned_at.get("idle") if case.lease else None
    if warned_at is None:
        return None
    policy = case.idle_policy
    warnable_at = due.gate(case)
    if case.evidence.worked_at:
        warnable_at = max(warnable_at, case.evidence.worked_at + policy.after - due.lead(policy))
    return warned_at if warned_at >= warnable_at else None
