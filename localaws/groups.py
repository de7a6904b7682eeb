"""Auto Scaling groups: moto keeps them, this adds that they replace what they lose.

Source: Auto Scaling guide, "Health checks for instances": a terminated instance is replaced unless the desired capacity
was lowered with it.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from moto.autoscaling.models import autoscaling_backends

from localaws import backend
from localaws.boxes import Intent
from localaws.events import ACCOUNT
from localaws.model import Box

if TYPE_CHECKING:
    from localaws.world import World


class Groups:
    """The Auto Scaling groups of the world's regions."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._rng = random.Random(f"{world.seed}/groups")
        self._refilling: set[tuple[str, str]] = set()
        self._lost: dict[tuple[str, str], str] = {}
        world.boxes.on_launched.append(self._box_launched)
        world.boxes.on_ended.append(self._box_ended)

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        for region, moto in autoscaling_backends[ACCOUNT].items():
            for group in moto.autoscaling_groups.values():
                yield region, group

    def find(self, region: str, name: str) -> Any | None:
        """moto's record of a group."""
        return autoscaling_backends[ACCOUNT][region].autoscaling_groups.get(name)

    def _box_launched(self, box: Box) -> None:
        """moto starts on-demand boxes only; a template or a mixed policy that asks for spot gets it here."""
        if box.group and _wants_spot(box):
            self._world.spot.adopt(box)

    def _box_ended(self, box: Box) -> None:
        group = self.find(box.region, box.group) if box.group else None
        if group is None:
            return
        group.instance_states = [state for state in group.instance_states if state.instance.id != box.id]
        key = (box.region, group.name)
        self._lost[key] = box.id
        if key not in self._refilling:
            self._refilling.add(key)
            self._world.later(timedelta(seconds=self._rng.randint(15, 60)), lambda: self._refill(*key))

    def _refill(self, region: str, name: str) -> None:
        self._refilling.discard((region, name))
        group = self.find(region, name)
        lost = self._lost.pop((region, name), None)
        missing = (group.desired_capacity or 0) - len(group.instance_states) if group else 0
        if group is None or missing <= 0:
            return
        with self._world.boxes.launching(Intent(relaunched_by=name, relaunch_of=lost)):
            group.replace_autoscaling_group_instances(missing, group.get_propagated_tags())


def _wants_spot(box: Box) -> bool:
    ec2 = backend.ec2_backend(box.region)
    template = ec2.launch_templates.get(ec2.tags[box.id].get("aws:ec2launchtemplate:id"))
    data = template.default_version().data if template else {}
    return bool(data.get("InstanceMarketOptions", {}).get("MarketType") == "spot")
