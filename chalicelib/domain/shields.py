"""What spares a box from an end, and from which. Each shield is a pure function that gives its reason, or None.

A shield turns an end into a warning: the box stays visible, with what it costs and why it was not ended.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime

from chalicelib.domain.brake import delay
from chalicelib.domain.case import Case, Effect, Finding, Verdict
from chalicelib.domain.instance import Instance
from chalicelib.domain.lease import Lease, Status
from chalicelib.domain.scope import in_scope

PROTECT_TAG = "curfew:protect"
REHEARSED = "dry-run"
"""The key under which a lease notes when a dry run last said it would end."""

GENTLE = frozenset({"idle", "stopped_still_billing"})
"""Rules whose ends a protection keeps away."""

Shield = Callable[[Case, Finding], str | None]


def protected_until(instance: Instance) -> datetime | None:
    """The time in a box's `curfew:protect` tag; no time in it means no protection. Without an offset it is UTC."""
    try:
        until = datetime.fromisoformat(instance.tags.get(PROTECT_TAG, "").strip())
    except ValueError:
        return None
    return until if until.tzinfo else until.replace(tzinfo=UTC)


def is_protected(instances: Iterable[Instance], now: datetime) -> datetime | None:
    """The latest protection that still holds."""
    times = [until for until in map(protected_until, instances) if until and until > now]
    return max(times, default=None)


def unseen(case: Case, finding: Finding) -> str | None:
    """An adopted box that EC2 did not show may be protected, stopped or a group's: none of it can be told."""
    del finding
    if case.lease is None or not case.lease.is_adopted or case.instances:
        return None
    return "EC2 did not show it this time, so that what spares it is not known"


def not_wanted(case: Case, finding: Finding) -> str | None:
    """The policy has changed since: a box that it would not adopt today is not ended for its adoption of yesterday."""
    del finding
    if case.lease is None or not case.lease.is_adopted:
        return None
    if case.policy.unleased.effect != "adopt":
        return f"unleased.effect is {case.policy.unleased.effect!r} now"
    if not all(in_scope(instance, case.policy.scope) for instance in case.instances):
        return "the policy's scope leaves it out now"
    return None


def uncontrolled(case: Case, finding: Finding) -> str | None:
    """A controller that can't be disarmed yet would only start another box."""
    del finding
    return case.obstacle


def prepaid(case: Case, finding: Finding) -> str | None:
    """A capacity block is paid for already: ending it saves nothing."""
    del finding
    if any(instance.is_prepaid for instance in case.instances):
        return "it is prepaid: ending it saves nothing"
    return None


def protection(case: Case, finding: Finding) -> str | None:
    """`curfew:protect` keeps idle and adoption kills away; the expiry of a launch and budgets go on."""
    until = is_protected(case.instances, case.now)
    if until is None or not (finding.rule in GENTLE or _is_for_adoption(case, finding)):
        return None
    return f"{PROTECT_TAG} until {until:%Y-%m-%d %H:%M} UTC"


def _is_for_adoption(case: Case, finding: Finding) -> bool:
    """An end that only the adoption asks for: its hour, or its hold or share of one while each budget has room for what
    lies beyond."""
    if case.lease is None or not case.lease.is_adopted:
        return False
    if finding.rule == "expired":
        return True
    if finding.rule == "over_share":
        return "budget" not in finding.figures
    beyond = case.cost.accrued_usd - case.lease.hold.total_usd
    is_budgets = "budget" in finding.figures or any(state.left_usd < beyond for state in case.budgets)
    return finding.rule == "over_budget" and not is_budgets


def may_be_spared(verdict: Verdict) -> bool:
    """Whether a tag, a start or work could still spare what is to end: idleness alone, or the adoption, or the clock of
    a box at rest asks for it."""
    return all(one.rule in GENTLE or _is_for_adoption(verdict.case, one) for one in _asking(verdict))


def can_wait(verdict: Verdict) -> bool:
    """Whether a minute more is cheaper than an end that a look would have spared: neither an hour nor money asks."""
    return all(one.rule in GENTLE for one in _asking(verdict))


def _asking(verdict: Verdict) -> list[Finding]:
    return [finding for finding in verdict.findings if finding.effect is Effect.END]


def grace(case: Case, finding: Finding) -> str | None:
    """Nothing adopted is ended within `unleased.grace` of being first seen, or of a dry run that only said so."""
    del finding
    if case.lease is None or not case.lease.is_adopted:
        return None
    until = _grace_until(case, case.lease)
    since = "a dry run" if until > case.lease.requested_at + case.policy.unleased.grace else "adoption"
    return f"grace after {since} until {until:%Y-%m-%d %H:%M} UTC" if case.now < until else None


def _grace_until(case: Case, lease: Lease) -> datetime:
    rehearsed_at = lease.warned_at.get(REHEARSED, lease.requested_at)
    return max(lease.requested_at, rehearsed_at) + case.policy.unleased.grace


def braked(case: Case, finding: Finding) -> str | None:
    """Somebody starts again what is ended: idleness pauses, and time and money wait a little longer each time, but for
    what Curfew launched, which never costs more than its hold."""
    fight = case.fight
    if fight is None or not fight.is_braked:
        return None
    who = f"{fight.shape.starter} has started {fight.replacements} {fight.shape.instance_type} again within an hour"
    if finding.rule == "idle":
        return f"a brake on fights: {who}"
    until = case.started_at + delay(fight.replacements)
    if case.lease is None or not case.lease.is_adopted or case.now >= until:
        return None
    return f"a brake on fights until {until:%H:%M:%S} UTC: {who}"


def lapses_at(case: Case) -> list[datetime]:
    """When the shields that a clock takes away will be gone; the others stay until something happens."""
    lapses = [until for until in map(protected_until, case.instances) if until]
    if case.lease and case.lease.is_adopted:
        lapses.append(_grace_until(case, case.lease))
    if case.fight and case.fight.until:
        lapses += [case.fight.until, case.started_at + delay(case.fight.replacements)]
    return [at for at in lapses if at > case.now]


def at_rest(case: Case, finding: Finding) -> str | None:
    """An adopted box that was stopped holds its owner's disk and no compute: no clock deletes it. One that AWS itself
    stopped keeps its end: its request starts it again at any time."""
    if case.lease is None or not case.lease.is_adopted or case.running or not case.instances:
        return None
    if finding.rule == "stopped_still_billing":
        return None  # that clock was asked for
    comes_back = any(request.comes_back for request in case.spot_requests)
    if case.lease.status is Status.ENDING or comes_back:
        return None
    return "it is stopped: only its storage bills, and no clock deletes a stopped box"


SHIELDS: tuple[Shield, ...] = (
    unseen,
    not_wanted,
    uncontrolled,
    prepaid,
    grace,
    at_rest,
    protection,
    braked,
)


def spare(case: Case, finding: Finding) -> Finding:
    """The finding, softened by the first shield that holds; nobody is warned of an end that will not come."""
    if finding.effect is Effect.WARN and finding.rule != "unleased":
        reason = uncontrolled(case, finding) or not_wanted(case, finding)
        return replace(finding, effect=Effect.KEEP, spared_by=reason) if reason else finding
    if finding.effect is not Effect.END:
        return finding
    for shield in SHIELDS:
        reason = shield(case, finding)
        if reason:
            return replace(finding, effect=Effect.WARN, spared_by=reason)
    return finding
