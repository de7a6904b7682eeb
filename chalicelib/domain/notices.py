"""What people are told. A notice's id is made of what happened, so that the same thing is never told twice."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from math import inf

from chalicelib.domain.case import Case, Finding, Verdict
from chalicelib.domain.images import AVAILABLE
from chalicelib.domain.lease import KeptImage, Lease, Receipt
from chalicelib.domain.links import Link, Purpose
from chalicelib.domain.missed import URGENT_AFTER, loudness, open_steps, refused_since
from chalicelib.domain.money import show
from chalicelib.domain.steps import END_FLEET

LINKS_OUTLAST_THE_END = timedelta(hours=1)
"""How long after the end it announces a warning's links work: an end may be late, and then it can still be put off."""

MOST_TYPES = 3
"""Of those that a launch asked for, in one line."""


class Kind(StrEnum):
    """What a notice is about."""

    LAUNCHED = "launched"
    ADOPTED = "adopted"
    WARNED = "warned"
    TAKEN_BACK = "taken-back"
    ENDED = "ended"
    REPORTED = "reported"
    STUCK = "stuck"
    INCOMPLETE = "incomplete"
    DEFERRED = "deferred"
    BUDGET = "budget"
    VARIANCE = "variance"
    CAME_BACK = "came-back"
    BRAKE = "brake"
    OPEN_TO_WORLD = "open-to-world"
    KEPT = "kept"
    DIGEST = "digest"
    TEST = "test"


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """A message for people: `title` in one line, `lines` with the facts, `lease_id` where it is about one.

    `offers`: what can be done about that lease by link, until `offers_until`. The `links` themselves are signed when it
    is sent and are nowhere kept.
    """

    id: str
    kind: Kind
    at: datetime
    title: str
    lines: tuple[str, ...] = ()
    lease_id: str | None = None
    tries: int = field(default=0)
    offers: tuple[Purpose, ...] = ()
    offers_until: datetime | None = None
    links: tuple[Link, ...] = ()
    parts: tuple["Notice", ...] = ()
    """The notices that this one message tells; see domain/bundles.py."""


def _box(lease: Lease) -> str:
    what = ", ".join(lease.instance_ids) or ", ".join(lease.spot_request_ids) or lease.fleet_id or lease.id
    types = tuple(dict.fromkeys(run.instance_type for run in lease.runs)) or _ordered(lease)
    return " ".join([*(["/".join(types)] if types else []), f"{what} ({lease.owner}, {lease.region})"])


def _ordered(lease: Lease) -> tuple[str, ...]:
    """The types that it asked for, while nobody has seen yet which one it got."""
    wanted = lease.order.instance_types if lease.order else ()
    return wanted if len(wanted) <= MOST_TYPES else (*wanted[:MOST_TYPES], "…")


def _about(lease: Lease, event: str, kind: Kind, now: datetime, *text: str) -> Notice:
    """What happened to a lease: `event` tells it from all else that does, the first of `text` is the title."""
    title, *lines = text
    return Notice(
        id=f"{lease.id}:{event}", kind=kind, at=now, lease_id=lease.id, title=title, lines=tuple(lines)
    )


def _day_and_time(at: datetime) -> str:
    """With its day always: a message may come late, or be read another day."""
    return f"{at:%Y-%m-%d %H:%M} UTC"


def late(notice: Notice, now: datetime) -> Notice:
    """A message that could not be sent when it happened says so first: what it announces may be over."""
    told = f"Late: this happened at {_day_and_time(notice.at)}, and could not be sent before {_day_and_time(now)}."
    return replace(notice, lines=(told, *notice.lines))


def launched(lease: Lease, now: datetime) -> Notice:
    """A launch succeeded: what it may cost at most and until when it runs."""
    return _about(
        lease,
        "launched",
        Kind.LAUNCHED,
        now,
        f"Launched {_box(lease)}",
        f"It ends at {_day_and_time(lease.expires_at)} and costs {show(lease.hold.total_usd)} at most.",
    )


def adopted(lease: Lease, *, hourly_usd: Decimal, obstacle: str | None, now: datetime) -> Notice:
    """A box nobody launched through Curfew was put under a lease; `obstacle`: why it is counted but not ended."""
    ends = (
        f"It ends at {_day_and_time(lease.expires_at)}, when it is idle, or when it has cost "
        f"{show(lease.hold.total_usd)}."
    )
    remedy = f"To keep it longer: PATCH /leases/{lease.id} with hours; to end it: DELETE /leases/{lease.id}."
    return _about(
        lease,
        "adopted",
        Kind.ADOPTED,
        now,
        f"Adopted {_box(lease)}: it was not launched through Curfew",
        f"It costs up to {show(hourly_usd)} an hour.",
        *((f"It counts on its budgets and is not ended: {obstacle}.",) if obstacle else (ends, remedy)),
    )


def identified(lease: Lease, now: datetime) -> Notice:
    """Who started an adopted box, told once it is known."""
    return _about(
        lease,
        "launched-by",
        Kind.ADOPTED,
        now,
        f"{_box(lease)}, adopted at {_day_and_time(lease.requested_at)}, was started by {lease.launched_by}",
    )


def warned(lease: Lease, verdict: Verdict, *findings: Finding) -> Notice:
    """An end is near: which box, why, what it costs, when it ends, and what can be done. Several reasons at once are
    one message, the sooner end first."""
    now, cost = verdict.case.now, verdict.case.cost
    ends = sorted(findings, key=lambda one: one.ends_at.timestamp() if one.ends_at else inf)
    first, *others = ends
    if lease.is_storage:
        return _still_billing(lease, replace(first, reason="; ".join(one.reason for one in ends)), now)
    told = _about(
        lease,
        f"warned:{first.rule}:{now:%Y%m%dT%H%M%S}",
        Kind.WARNED,
        now,
        f"{_box(lease)} will end: {first.reason}",
        _when_and_what_helps(lease, first),
        *(f"Also: {one.reason}. {_when_and_what_helps(lease, one)}" for one in others),
        f"It costs {show(cost.hourly_usd)} an hour and has cost {show(cost.accrued_usd)}.",
    )
    offers = tuple(Purpose) if any(one.rule == "idle" for one in ends) else (Purpose.SHOW,)
    last = max(one.ends_at or now for one in ends)
    return replace(told, offers=offers, offers_until=last + LINKS_OUTLAST_THE_END)


def _when_and_what_helps(lease: Lease, finding: Finding) -> str:
    when = f"It ends at {_day_and_time(finding.ends_at)}" if finding.ends_at else "It ends soon"
    remedy = {
        "idle": "any work on its GPUs takes this back",
        "expired": f"PATCH /leases/{lease.id} with more hours keeps it",
        "over_share": "a higher limit of that budget keeps it",
        "over_budget": f"PATCH /leases/{lease.id} with a higher budget_usd keeps it",
    }.get(finding.rule, "see its lease")
    return f"{when}; {remedy}."


def kept(lease: Lease, until: datetime, now: datetime) -> Notice:
    """Somebody has put the end for idleness off by a warning's link."""
    return _about(
        lease,
        f"kept:{until:%Y%m%dT%H%M%S}",
        Kind.KEPT,
        now,
        f"{_box(lease)} is kept until {_day_and_time(until)} by link",
        f"It is not ended for idleness before {_day_and_time(until)}. It ends at {_day_and_time(lease.expires_at)} at "
        f"the latest; to keep it longer: PATCH /leases/{lease.id} with hours.",
    )


def _still_billing(lease: Lease, finding: Finding, now: datetime) -> Notice:
    """A box at rest goes on billing: what a month of it costs, and whether a clock ends it."""
    ends = f"It ends at {_day_and_time(finding.ends_at)}" if finding.ends_at else "No clock ends it"
    return _about(
        lease,
        f"warned:{finding.rule}:{now:%Y%m%dT%H%M%S}",
        Kind.WARNED,
        now,
        f"{_box(lease)} goes on billing: {finding.reason}",
        f"{ends}; DELETE /leases/{lease.id} ends it and deletes the disks that go with it.",
    )


def taken_back(lease: Lease, finding: Finding, now: datetime) -> Notice:
    """Work was seen after a warning: the warning no longer holds."""
    return _about(
        lease,
        f"taken-back:{finding.rule}:{lease.warned_at[finding.rule]:%Y%m%dT%H%M%S}",
        Kind.TAKEN_BACK,
        now,
        f"Warning taken back: {_box(lease)} goes on",
        f"{finding.reason}.",
    )


def ended(receipt: Receipt, now: datetime) -> Notice:
    """A lease ended (or would have, in a dry run): why, how, and what it cost."""
    is_fleet = receipt.leases or not receipt.instance_ids
    fleets = [step.target for step in receipt.steps if step.action == END_FLEET and is_fleet]
    boxes = ", ".join((*fleets, *receipt.instance_ids) or receipt.spot_request_ids) or receipt.lease_id
    cost = f"It cost {show(receipt.cost_usd)}; {show(receipt.hold_usd)} had been held."
    if receipt.leases:
        links = ", ".join(f"GET /leases/{one}" for one in receipt.leases)
        cost = f"What its boxes have cost is in the receipts of their own leases: {links}."
    dry = receipt.status == "dry-run"
    steps = "; ".join(f"{step.action} {step.target}: {step.answer or 'pending'}" for step in receipt.steps)
    return Notice(
        id=f"{receipt.id}:ended",
        kind=Kind.ENDED,
        at=now,
        lease_id=receipt.lease_id,
        title=f"{'Dry run, would have ended' if dry else 'Ended'} {boxes} ({receipt.owner}): {receipt.reason}",
        lines=(
            cost,
            *(_saved(image) for image in receipt.images),
            *([steps] if steps else []),
            *([_left(receipt)] if receipt.leftovers else []),
        ),
    )


def _left(receipt: Receipt) -> str:
    """What is not Curfew's to delete and goes on billing."""
    each = (
        f"{one.address_id or one.volume_id} ({one.ip or f'{one.type}, {one.gib} GiB'}, {show(one.monthly_usd)} a month)"
        for one in receipt.leftovers
    )
    return f"It leaves what goes on billing until somebody deletes it: {', '.join(each)}."


def _saved(image: KeptImage) -> str:
    state = "" if image.state == AVAILABLE else f", which is {image.state}"
    return (
        f"{image.instance_id} is saved as {image.id}{state}: image mine:{image.name} launches from it. It costs "
        f"{show(image.monthly_usd)} a month at most, the first of which is paid for."
    )


def came_back(lease: Lease, root: str, now: datetime) -> Notice:
    """An alarm: something that was ended, or given up, runs all the same and is ended; told each time."""
    if lease.ending and "landed_late" in lease.ending.figures:
        return _about(
            lease,
            "came-back",
            Kind.CAME_BACK,
            now,
            f"ALARM: {_box(lease)} was started late by a launch that had been given up, and is ended",
            f"It belongs to {root}, whose caller was told that nothing runs. Ask again with a new Idempotency-Key.",
            f"What it costs counts on that lease's budgets and in its receipt, GET /leases/{root}.",
        )
    return _about(
        lease,
        "came-back",
        Kind.CAME_BACK,
        now,
        f"ALARM: {_box(lease)} came back after its end, for the {lease.times_back}. time, and is ended again",
        f"It belongs to {root}, which was closed. Find out what starts it: its spot request, fleet or group.",
        f"What it costs counts on that lease's budgets and in its receipt, GET /leases/{root}.",
    )


def rested(receipt: Receipt, now: datetime) -> Notice:
    """An adopted box was stopped by its owner: it is left alone, and its disk goes on billing."""
    return Notice(
        id=f"{receipt.id}:rested",
        kind=Kind.REPORTED,
        at=now,
        lease_id=receipt.lease_id,
        title=f"{', '.join(receipt.instance_ids)} ({receipt.owner}) is stopped: its lease is closed, its disk bills on",
        lines=(f"It has cost {show(receipt.cost_usd)}. Started again it is put under a new lease.",),
    )


def reported(instance_id: str, finding: Finding, now: datetime) -> Notice:
    """A box that Curfew sees and does not end, told once a day."""
    return Notice(
        id=f"{instance_id}:reported:{now:%Y-%m-%d}",
        kind=Kind.REPORTED,
        at=now,
        title=f"{instance_id} is not guarded: {finding.reason}",
    )


def spared(lease: Lease, finding: Finding, now: datetime) -> Notice:
    """A box that should end and that something spares, told once a day."""
    return _about(
        lease,
        f"spared:{finding.rule}:{now:%Y-%m-%d}",
        Kind.REPORTED,
        now,
        f"{_box(lease)} should end ({finding.reason}) and is spared: {finding.spared_by}",
    )


def unseen(lease: Lease, case: Case, since: datetime) -> Notice:
    """Nobody knows whether its boxes work: why, what that costs, and what mends it. Told once a lease."""
    now = case.now
    ids = " ".join(box.id for box in case.running)
    agent = (
        "With the CloudWatch agent it would be known: install it, then start it as docs/idle.md says (the box's role "
        "needs CloudWatchAgentServerPolicy and AmazonSSMManagedInstanceCore): "
        "aws ssm send-command --document-name AWS-ConfigureAWSPackage --parameters "
        f"action=Install,name=AmazonCloudWatchAgent --region {lease.region} --instance-ids {ids}"
    )
    beats = (
        "It was launched to send heartbeats and sends none: it must reach Curfew's address by HTTPS; its journal says "
        "why not (journalctl -u curfew-heartbeat)."
    )
    return _about(
        lease,
        "unseen",
        Kind.REPORTED,
        now,
        f"Nobody knows whether {_box(lease)} works, for {_length(now - since)}: {case.evidence.reason}",
        f"So it is not ended for idleness, at {show(case.cost.hourly_usd)} an hour; its time and its money end it.",
        *([beats] if case.expects_beats else []),
        agent,
    )


def stuck(lease: Lease, now: datetime) -> Notice:
    """An end that AWS refuses: something goes on billing. Told at once and again and again until it is done, louder
    each time and never more than four hours apart."""
    since = refused_since(lease, now)
    told = loudness(since, now)
    is_on = not lease.runs or any(run.ended_at is None for run in lease.runs)
    bills = "goes on billing" if is_on else "goes on billing its storage"
    loud = "" if told == 1 else f"STILL THERE after {_length(now - since)}: "
    if now - since >= URGENT_AFTER:
        loud = f"URGENT, the {told}. time in {_length(now - since)}: "
    price = (
        f"It costs up to {show(lease.hold.hourly_usd)} an hour." if is_on and lease.hold.hourly_usd else None
    )
    return Notice(
        id=f"{lease.id}:stuck:{told}",
        kind=Kind.STUCK,
        at=now,
        lease_id=lease.id,
        title=f"{loud}Could not end {_box(lease)} yet: it {bills} and is tried again every minute",
        lines=(
            *(f"{step.action} {step.target}: {step.answer}" for step in open_steps(lease) if step.answer),
            *filter(None, [price]),
        ),
    )


def _length(length: timedelta) -> str:
    minutes = length // timedelta(minutes=1)
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"  # noqa: PLR2004
