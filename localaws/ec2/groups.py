"""Auto Scaling groups: moto keeps their settings, this launches and ends their boxes.

Sources: Auto Scaling guide, "Health checks for instances in an Auto Scaling group" (what does not run is replaced, be
it stopped or terminated, unless the desired capacity was lowered with it), "How suspended processes affect other
processes" and "Control which instances Auto Scaling terminates during scale in"; botocore's SetDesiredCapacity.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from moto.autoscaling.models import InstanceState, autoscaling_backends

from localaws.ec2.boxes import GROUP_TAG, Intent
from localaws.ec2.candidates import Candidate
from localaws.ec2.group_ways import choose, wants_spot, weight_of
from localaws.errors import AwsError
from localaws.events.bus import ACCOUNT
from localaws.model import Box

if TYPE_CHECKING:
    from localaws.world import World

RETRY_EVERY = timedelta(minutes=1)
NOTICING = ("HealthCheck", "ReplaceUnhealthy")
"""The processes that a lost box is noticed and replaced by; with one of them suspended it is not."""
BY_GROUP = "AutoScaling"
Key = tuple[str, str]


class Groups:
    """The Auto Scaling groups of the world's regions."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._rng = random.Random(f"{world.seed}/groups")
        self._refilling: set[Key] = set()
        self._lost: dict[Key, list[str]] = {}
        world.boxes.on_stopped.append(self._box_stopped)
        world.boxes.on_ended.append(self._box_ended)

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        for region, moto in autoscaling_backends[ACCOUNT].items():
            for group in moto.autoscaling_groups.values():
                yield region, group

    def find(self, region: str, name: str) -> Any | None:
        """moto's record of a group."""
        return autoscaling_backends[ACCOUNT][region].autoscaling_groups.get(name)

    def members(self, group: Any) -> list[Box]:
        """The boxes in service, oldest first; those on standby count for nothing."""
        return [
            self._world.boxes.of(state.instance.id)
            for state in group.instance_states
            if state.lifecycle_state == "InService"
        ]

    def ending(self, group: Any) -> list[Box]:
        """Boxes of the group that are on their way out."""
        return [
            box
            for box in self._world.boxes
            if (box.region, box.group) == (group.region, group.name) and box.state == "shutting-down"
        ]

    def reconcile(self, group: Any) -> None:
        """Launch or end what the desired capacity asks for, now, unless the process for it is suspended."""
        desired, runs = int(group.desired_capacity or 0), self._capacity(group)
        if runs < desired and not suspended(group, "Launch"):
            self._launch(group)
        elif runs > desired and not suspended(group, "Terminate"):
            for box in self._victims(group, runs - desired):
                self.remove(group, box)
                self._world.boxes.end(box, by=BY_GROUP)

    def add(self, group: Any, box: Box) -> None:
        """Make a box a member of the group."""
        box.group, box.moto.autoscaling_group = group.name, group
        protected = group.new_instances_protected_from_scale_in
        group.instance_states.append(InstanceState(box.moto, protected_from_scale_in=protected))

    def remove(self, group: Any, box: Box) -> bool:
        """Strike a box off the group; whether it was on it."""
        rest = [state for state in group.instance_states if state.instance.id != box.id]
        was_there = len(rest) < len(group.instance_states)
        group.instance_states = rest
        return was_there

    def detach(self, group: Any, box: Box) -> None:
        """A box leaves the group and lives on as nobody's."""
        self.remove(group, box)
        box.group = None
        box.moto.ec2_backend.tags.get(box.id, {}).pop(GROUP_TAG, None)

    def _capacity(self, group: Any) -> int:
        return sum(weight_of(group, box) for box in self.members(group))

    def _launch(self, group: Any) -> None:
        """Box by box until the desired capacity runs; what there is no capacity for is tried again each minute."""
        with self._world.boxes.one_request():
            while self._capacity(group) < int(group.desired_capacity or 0):
                try:
                    box = self._launch_one(group)
                except AwsError:
                    box = None
                if box is None:
                    self._refill_soon(group, RETRY_EVERY)
                    return
                self.add(group, box)

    def _launch_one(self, group: Any) -> Box | None:
        members = self.members(group)
        spot = wants_spot(group, members)
        way = choose(self._world, group, members, spot=spot)
        if way is None:
            return None
        box = self._launch_spot(group, way) if spot else self._launch_on_demand(group, way)
        lost = self._lost.get((group.region, group.name))
        if lost:
            box.relaunched_by, box.relaunch_of = group.name, lost.pop(0)
        return box

    def _launch_on_demand(self, group: Any, way: Candidate) -> Box:
        return self._world.boxes.launch(group.region, way.spec, way.zone, Intent(market="asg"))[0]

    def _launch_spot(self, group: Any, way: Candidate) -> Box:
        request = self._world.spot.create(group.region, way.spec, cap_usd=way.cap_usd, market="asg")
        request.group = group.name
        try:
            return self._world.spot.fulfil(request, way.zone)
        except AwsError:
            self._world.spot.drop(request)
            raise

    def _victims(self, group: Any, excess: int) -> list[Box]:
        """What a scale-in ends: of the fullest zone the oldest, or the newest if the group asks for that."""
        shielded = {state.instance.id for state in group.instance_states if state.protected_from_scale_in}
        left = [box for box in self.members(group) if box.id not in shielded]
        if "NewestInstance" in group.termination_policies:
            left.reverse()
        chosen: list[Box] = []
        while fitting := [box for box in left if weight_of(group, box) <= excess]:
            in_zone = Counter(box.zone for box in left)
            box = max(fitting, key=lambda one: in_zone[one.zone])
            left.remove(box)
            chosen.append(box)
            excess -= weight_of(group, box)
        return chosen

    def _box_stopped(self, box: Box) -> None:
        """A box that does not run has failed its health check: the group ends it, and then replaces it."""
        group = self.find(box.region, box.group) if box.group else None
        if group is not None:
            self._world.later(timedelta(seconds=self._rng.randint(60, 120)), lambda: self._end_unhealthy(box))

    def _end_unhealthy(self, box: Box) -> None:
        group = self.find(box.region, box.group) if box.group else None
        if group is None or box not in self.members(group) or box.state not in ("stopping", "stopped"):
            return
        if not any(suspended(group, one) for one in (*NOTICING, "Terminate")):
            self._world.boxes.end(box, by=BY_GROUP)

    def _box_ended(self, box: Box) -> None:
        group = self.find(box.region, box.group) if box.group else None
        if group is None or not self.remove(group, box):
            return
        self._lost.setdefault((group.region, group.name), []).append(box.id)
        if not any(suspended(group, one) for one in NOTICING):
            self._refill_soon(group, timedelta(seconds=self._rng.randint(15, 60)))

    def _refill_soon(self, group: Any, after: timedelta) -> None:
        key = (group.region, group.name)
        if key not in self._refilling:
            self._refilling.add(key)
            self._world.later(after, lambda: self._refill(key))

    def _refill(self, key: Key) -> None:
        self._refilling.discard(key)
        group = self.find(*key)
        if group is not None:
            self.reconcile(group)


def suspended(group: Any, process: str) -> bool:
    """Whether a process of the group is suspended."""
    return any(one["ProcessName"] == process for one in group.suspended_processes)
