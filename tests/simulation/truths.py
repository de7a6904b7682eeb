"""What the invariants read: whose a box is, what spares it, and by when it ends although nothing of Curfew runs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Literal

from chalicelib.domain.accelerators import is_accelerator
from chalicelib.domain.brake import delay, fights, shape_of
from chalicelib.domain.ends import FIRST, LAST, LATE
from chalicelib.domain.lease import Lease, OnEnd, Origin, RequestType, Status
from localaws.model import Box
from localaws.onmoto import backend
from tests.simulation.town import MINUTE, Town

ARMED_WITHIN = 10 * MINUTE
"""Sweeps that the timers of a lease may take to be right."""
BY_CALLS = frozenset(
    {
        "TerminateInstances",
        "TerminateInstanceInAutoScalingGroup",
        "DeleteFleets",
        "CancelSpotFleetRequests",
        "CancelSpotInstanceRequests",
        "DeleteAutoScalingGroup",
        "AutoScaling",
    }
)
"""What a box ends by, as localaws says it, when somebody has called an API for it."""


@dataclass(frozen=True, slots=True)
class Violation:
    """One thing that must not be; the same `kind` and `about` is the same violation, however often it is seen."""

    kind: Literal["wrong", "missed", "over", "books"]
    about: str
    text: str
    usd: Decimal = Decimal(0)


Leases = Sequence[Lease]


def owned(town: Town, lease: Lease) -> list[Box]:
    """The boxes of a lease in the truth, also those it has not seen yet: by id, by spot request and by its own fleet."""
    own_fleet = lease.fleet_id if lease.request_type is RequestType.MAINTAIN else None
    return [
        box
        for box in town.boxes
        if box.id in lease.instance_ids
        or (box.request_id is not None and box.request_id in lease.spot_request_ids)
        or (own_fleet is not None and box.fleet_id == own_fleet)
    ]


def ended_by_curfew(town: Town, box: Box) -> bool:
    """Whether nobody else can have ended it: not people, not the box, not EC2."""
    return box.ended_by in BY_CALLS and box.id not in town.touched


def tags_of(box: Box) -> dict[str, str]:
    """Its tags, as they are now."""
    return dict(backend.ec2_backend(box.region).tags.get(box.id, {}))


def is_curfews(town: Town, box: Box) -> bool:
    """Whether it is to run under a lease: an accelerator that no other service manages and nobody has prepaid."""
    return is_accelerator(box.type) and not box.is_prepaid and box.id not in town.managed


def spared_until(town: Town, boxes: Iterable[Box], since: datetime) -> datetime:
    """Until when protection keeps adoption and idle ends away; `since` where none does."""
    return max([since, *(town.protected[box.id] for box in boxes if box.id in town.protected)])


def braked_for(lease: Lease, leases: Leases, now: datetime) -> timedelta:
    """By how much the brake puts off the end of what somebody starts again and again."""
    fight = fights(leases, now).get(shape_of(lease))
    return delay(fight.replacements) if fight and lease.is_adopted else timedelta(0)


def is_braked(lease: Lease, leases: Leases, now: datetime) -> bool:
    """Whether idleness ends nothing of its shape."""
    fight = fights(leases, now).get(shape_of(lease))
    return fight is not None and fight.is_braked


def on_end(town: Town, lease: Lease) -> OnEnd:
    """What is done for its boxes before they end."""
    if lease.ending:
        return lease.ending.on_end
    return lease.order.on_end if lease.order else OnEnd(town.policy.unleased.end)


def saving_for(town: Town, lease: Lease) -> timedelta:
    """How long its boxes may run on past its end to be saved or stopped."""
    margin = lease.margin(town.policy.teardown.margin)
    return margin if on_end(town, lease) is not OnEnd.TERMINATE else timedelta(0)


def gone_by(town: Town, lease: Lease, box: Box) -> datetime | None:
    """By when a box does not run any more although nothing of Curfew does (the table of `domain/ends.py`); None where
    that promises nothing: a group's, one that shares its fleet, or one whose timers were not armed in time."""
    if lease.is_storage or lease.status is Status.REQUESTED or not lease.instance_ids or box.group:
        return None
    asked = on_end(town, lease)
    if asked is OnEnd.STOP or (lease.is_adopted and town.policy.unleased.effect != "adopt"):
        return None
    due = lease.expires_at
    if lease.is_adopted:
        due = spared_until(town, [box], max(due, lease.requested_at + town.policy.unleased.grace))
    since = max(
        lease.requested_at,
        town.changed_at.get(lease.id, lease.requested_at),
        town.policy_since,
        *(run.start for run in box.runs[-1:]),
        *(one.launched_at for one in owned(town, lease)),
    )
    if due - since - town.outages.within(since, due) < ARMED_WITHIN:
        return None
    after = _after(town, lease, box)
    if after is not None and asked is OnEnd.IMAGE:
        after = max(lease.margin(LAST) - LATE, LAST)
    return None if after is None else due + after + MINUTE  # Scheduler's own precision


def _after(town: Town, lease: Lease, box: Box) -> timedelta | None:
    of_kinds = (town.world.fleets, town.world.spot_fleets) if box.fleet_id else ()
    fleet = next((found for kind in of_kinds if (found := kind.find(box.fleet_id or ""))), None)
    if fleet is not None and fleet.type == "maintain":
        live = [one for one in map(town.world.boxes.of, fleet.box_ids) if one.live]
        is_whole = all(one.id in lease.instance_ids and is_accelerator(one.type) for one in live)
        return FIRST if lease.request_type is RequestType.MAINTAIN or is_whole else None
    if lease.request_type is RequestType.PERSISTENT:
        return LAST
    return FIRST


def hindered_for(town: Town, lease: Lease, boxes: Sequence[Box], until: datetime) -> timedelta:
    """For how long a lease's end had to wait for a hindered Curfew. What ends without it waits only until then, and
    longer only while the calls fail by which AWS itself ends it."""
    promised = [gone_by(town, lease, box) for box in boxes]
    known = [one for one in promised if one is not None]
    if not known or len(known) < len(promised):
        return town.outages.within(lease.requested_at, until)
    last = min(max(known), until)
    return town.outages.within(lease.requested_at, last) + town.failures.within(lease.expires_at, until)


def ends_by_its_hour(lease: Lease) -> bool:
    """Whether its hold pays for all its time, so that money has no part in its end."""
    caps = (lease.budget_usd, lease.order.budget_usd if lease.order else None)
    is_launched = lease.origin is Origin.LAUNCHED
    return is_launched and not any(caps) and not any(charge.is_short for charge in lease.charges)
