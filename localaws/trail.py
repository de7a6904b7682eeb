"""Who started what, as CloudTrail tells it: some minutes late.

Sources: CloudTrail guide, "CloudTrail userIdentity element" (AWS calls in the name of a fleet or a group by the role
that is linked to its service) and "Viewing events" (within about 15 minutes of the call).
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from localaws.events.bus import ACCOUNT

if TYPE_CHECKING:
    from localaws.model import Box
    from localaws.world import World

SOONEST, LATEST = timedelta(minutes=2), timedelta(minutes=15)
CLIENT = f"arn:aws:iam::{ACCOUNT}:user/local"
"""Whoever calls without the world knowing who it is."""
SERVICES = {
    "maintain": ("AWSServiceRoleForEC2Fleet", "ec2fleet.amazonaws.com"),
    "spot-fleet": ("AWSServiceRoleForEC2SpotFleet", "spotfleet.amazonaws.com"),
    "asg": ("AWSServiceRoleForAutoScaling", "autoscaling.amazonaws.com"),
}
"""By market: the role in whose name a box is started, and the service that has it."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One call: what was made by it, by whom, and when CloudTrail tells of it."""

    name: str
    source: str
    resources: tuple[str, ...]
    identity: dict[str, Any]
    at: datetime
    told_at: datetime


class Trail:
    """The calls that started boxes and made what starts them."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._callers: dict[str, str] = {}
        """By the name of what was made."""

    def note(self, name: str, arn: str) -> None:
        """Whoever made this is known."""
        self._callers[name] = arn

    def known(self, region: str) -> Iterator[Entry]:
        """What CloudTrail tells by now of a region, the newest first."""
        told = [entry for entry in self._entries(region) if entry.told_at <= self._world.now]
        yield from sorted(told, key=lambda entry: entry.at, reverse=True)

    def _entries(self, region: str) -> Iterator[Entry]:
        for box in self._world.boxes:
            if box.region == region:
                yield self._entry(
                    "RunInstances",
                    tuple(filter(None, (box.id, box.request_id))),
                    self._who(box),
                    box.launched_at,
                )
        for fleets, name in (
            (self._world.fleets, "CreateFleet"),
            (self._world.spot_fleets, "RequestSpotFleet"),
        ):
            for fleet in fleets:
                if fleet.region == region:
                    yield self._entry(name, (fleet.id,), self._person(fleet.id), fleet.created_at)
        for group, at in self._groups(region).items():
            yield self._entry("CreateAutoScalingGroup", (group,), self._person(group), at)

    def _groups(self, region: str) -> dict[str, datetime]:
        """By name, since when a group has started boxes."""
        found: dict[str, datetime] = {}
        for box in self._world.boxes:
            if box.region == region and box.group:
                found.setdefault(box.group, box.launched_at)
        return found

    def _entry(self, name: str, resources: tuple[str, ...], identity: dict[str, Any], at: datetime) -> Entry:
        share = random.Random(f"{self._world.seed}/{resources[0]}").random()
        source = "autoscaling.amazonaws.com" if name == "CreateAutoScalingGroup" else "ec2.amazonaws.com"
        return Entry(name, source, resources, identity, at, at + SOONEST + share * (LATEST - SOONEST))

    def _who(self, box: Box) -> dict[str, Any]:
        if box.relaunched_by and box.market == "persistent":
            return {"type": "AWSService", "invokedBy": "spot.amazonaws.com"}
        if box.market not in SERVICES:
            return self._person(box.id)
        role, service = SERVICES[box.market]
        return {
            "type": "AssumedRole",
            "arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/{role}/{service.partition('.')[0]}",
            "accountId": ACCOUNT,
            "invokedBy": service,
        }

    def _person(self, name: str) -> dict[str, Any]:
        arn = self._callers.get(name, CLIENT)
        kind = "AssumedRole" if ":assumed-role/" in arn else "IAMUser"
        who = {"type": kind, "arn": arn, "accountId": ACCOUNT}
        return who | ({"userName": arn.rpartition("/")[2]} if kind == "IAMUser" else {})
