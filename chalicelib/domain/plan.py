"""What to do about the verdicts: which leases end, in which order, and by which calls.

Within a lease the controller goes first: terminating an instance of a persistent request makes AWS launch another
(aws-runners, cloud-custodian 5965). Among leases the costliest goes first. Ends for idleness are capped per sweep; ends
by time and money never are.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from chalicelib.domain.case import Effect, Finding, Verdict
from chalicelib.domain.lease import Ending, Lease, OnEnd, Status, Step
from chalicelib.domain.policy import Policy
from chalicelib.domain.rules.idle import valid_warning
from chalicelib.domain.steps import CANCEL, TERMINATE, with_steps
from chalicelib.domain.tracking import Holdings

CLAIM_FOR = timedelta(seconds=55)
"""How long one writer has to act on a lease before the next sweep, a minute later, takes over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The sweep's intent. `ends` and `warnings` pair a verdict with the finding that rules it."""

    ends: tuple[Verdict, ...]
    deferred: tuple[Verdict, ...]
    warnings: tuple[tuple[Verdict, Finding], ...]
    taken_back: tuple[tuple[Verdict, Finding], ...]
    spared: tuple[tuple[Verdict, Finding], ...]


def plan(verdicts: Sequence[Verdict], policy: Policy) -> Plan:
    """Sort verdicts into intents. Launches in flight and leases that are ending already are left alone."""
    open_verdicts = [v for v in verdicts if v.case.lease and v.case.lease.status is Status.ACTIVE]
    ends = sorted(
        (verdict for verdict in open_verdicts if verdict.effect is Effect.END),
        key=lambda verdict: verdict.case.cost.hourly_usd,
        reverse=True,
    )
    allowed, deferred, idle_ends = [], [], 0
    for verdict in ends:
        idle_ends += verdict.ends_for_idleness_only
        if verdict.ends_for_idleness_only and idle_ends > policy.limits.idle_ends_per_sweep:
            deferred.append(verdict)
        else:
            allowed.append(verdict)
    going_on = [verdict for verdict in open_verdicts if verdict.effect is not Effect.END]
    return Plan(
        ends=tuple(allowed),
        deferred=tuple(deferred),
        warnings=tuple((v, f) for v in going_on for f in v.findings if _is_new_warning(v, f)),
        taken_back=tuple((v, f) for v in going_on for f in v.findings if _is_overtaken(v, f)),
        spared=tuple((v, f) for v in open_verdicts for f in v.findings if f.spared_by),
    )


def _warned(verdict: Verdict, finding: Finding) -> datetime | None:
    return verdict.case.lease.warned_at.get(finding.rule) if verdict.case.lease else None


def _is_new_warning(verdict: Verdict, finding: Finding) -> bool:
    if finding.effect is not Effect.WARN or finding.spared_by or finding.rule == "unleased":
        return False
    return _warned(verdict, finding) is None or _is_void(verdict, finding)


def _is_overtaken(verdict: Verdict, finding: Finding) -> bool:
    """A warning stands that no longer holds: work was seen since, or more time or money was given."""
    if _warned(verdict, finding) is None or finding.effect is not Effect.KEEP:
        return False
    return finding.rule != "idle" or _is_void(verdict, finding)


def _is_void(verdict: Verdict, finding: Finding) -> bool:
    """A warning of idleness that something has overtaken since."""
    return finding.rule == "idle" and valid_warning(verdict.case) is None


def begin_ending(
    lease: Lease,
    *,
    cause: str,
    reason: str,
    figures: dict[str, str],
    owned: Holdings,
    now: datetime,
    on_end: OnEnd = OnEnd.TERMINATE,
) -> Lease:
    """The lease with its ending recorded: the intent that is written before anything is called."""
    ending = Ending(
        cause=cause,
        reason=reason,
        figures=figures,
        decided_at=now,
        claimed_until=now + CLAIM_FOR,
        on_end=on_end,
    )
    return continue_ending(replace(lease, status=Status.ENDING, ending=ending), owned, now=now)


def continue_ending(lease: Lease, owned: Holdings, *, now: datetime) -> Lease:
    """The ending lease claimed anew, with a step for whatever has come to light or come back since."""
    if lease.ending is None:
        raise ValueError(f"lease {lease.id} is not ending")
    steps = {(step.action, step.target): step for step in lease.ending.steps}
    armed = {request.id for request in owned.spot_requests if request.is_armed}
    may_start = armed - {instance.spot_request_id for instance in owned.live}
    seen = {request.id for request in owned.spot_requests}
    for request_id in lease.spot_request_ids:
        known = steps.get((CANCEL, request_id))
        is_over = request_id in seen and request_id not in armed
        if known is None or (known.done_at and request_id in armed):
            answer = next((r.state for r in owned.spot_requests if r.id == request_id), "")
            steps[CANCEL, request_id] = Step(
                action=CANCEL,
                target=request_id,
                region=lease.region,
                done_at=now if is_over else None,
                answer=answer if is_over else "",
                may_have_started=request_id in may_start,
            )
        elif is_over and not known.done_at:
            steps[CANCEL, request_id] = replace(known, done_at=now)
    live = {instance.id for instance in owned.live}
    for instance_id in (*lease.instance_ids, *sorted(live - set(lease.instance_ids))):
        known = steps.get((TERMINATE, instance_id))
        if known is None:
            is_over = instance_id in owned.gone or instance_id in owned.vanished
            steps[TERMINATE, instance_id] = Step(
                action=TERMINATE,
                target=instance_id,
                region=lease.region,
                done_at=now if is_over else None,
                answer="terminated" if is_over else "",
            )
        elif known.done_at and instance_id in live:
            steps[TERMINATE, instance_id] = replace(known, done_at=None)
    claimed = replace(lease, ending=replace(lease.ending, claimed_until=now + CLAIM_FOR))
    return with_steps(claimed, steps.values())


def is_claimed(lease: Lease, now: datetime) -> bool:
    """Somebody else acts on this ending right now."""
    return lease.ending is not None and lease.ending.claimed_until > now
