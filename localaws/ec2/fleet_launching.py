"""What a fleet does to get one more box: a spot request or an on-demand launch, tagged as the fleet's own.

Sources: EC2 guide, "Tag an EC2 Fleet", "Tag a Spot Fleet" and "Behavior of Spot Instance interruptions"; botocore,
CreateFleetInstance and CreateFleetError.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from localaws.ec2.boxes import Intent
from localaws.ec2.candidates import Candidate
from localaws.ec2.fleet_kinds import FleetKind
from localaws.ec2.launching import tag_map
from localaws.errors import AwsError
from localaws.model import Box, Fleet, FleetEvent, LaunchSpec

if TYPE_CHECKING:
    from localaws.world import World


class FleetLauncher:
    """Starts the boxes of one kind of fleets."""

    def __init__(self, world: World, kind: FleetKind) -> None:
        self._world = world
        self._kind = kind

    def launch(self, fleet: Fleet, way: Candidate, *, spot: bool) -> None:
        """One box, or the start of one that was stopped; what keeps it from starting is noted on the fleet."""
        if spot and self._restart_stopped(fleet, way):
            return
        try:
            box = self._start_spot(fleet, way) if spot else self._start_on_demand(fleet, way)
        except AwsError as problem:
            note_error(fleet, way, problem, spot=spot)
            return
        if fleet.lost:
            box.relaunched_by, box.relaunch_of = fleet.id, fleet.lost.pop(0)
        fleet.weights[box.id] = way.weight
        fleet.box_ids.append(box.id)
        fleet.history.append(FleetEvent(self._world.now, "instanceChange", "launched", box.id))
        _note_launch(fleet, way, box)

    def _restart_stopped(self, fleet: Fleet, way: Candidate) -> bool:
        """What an interruption stopped is started again where its pool is the one to launch from (EC2 guide)."""
        for box in (self._world.boxes.of(box_id) for box_id in fleet.box_ids):
            request = self._world.spot.find(box.request_id)
            is_ours = (
                request is not None
                and request.interrupted_by is not None
                and (box.zone, box.type) == way.pool
            )
            if request is not None and is_ours and self._world.spot.interruptions.restartable(box):
                self._world.spot.interruptions.restart(request, box)
                return True
        return False

    def _start_spot(self, fleet: Fleet, way: Candidate) -> Box:
        tags = tag_map(way.spec.params, "spot-instances-request")
        request = self._world.spot.create(
            fleet.region,
            self._tagged(fleet, way),
            behaviour=fleet.behaviour,
            cap_usd=way.cap_usd,
            market=self._kind.market(fleet, spot=True),
            fleet_id=fleet.id,
            tags={**tags, self._kind.id_tag: fleet.id} if self._kind.tags_requests else tags,
        )
        try:
            return self._world.spot.fulfil(request, way.zone)
        except AwsError:
            self._world.spot.drop(request)
            raise

    def _start_on_demand(self, fleet: Fleet, way: Candidate) -> Box:
        intent = Intent(market=self._kind.market(fleet, spot=False), fleet_id=fleet.id)
        return self._world.boxes.launch(fleet.region, self._tagged(fleet, way), way.zone, intent)[0]

    def _tagged(self, fleet: Fleet, way: Candidate) -> LaunchSpec:
        return LaunchSpec(way.spec.params, {**way.spec.tags, self._kind.id_tag: fleet.id})


def _note_launch(fleet: Fleet, way: Candidate, box: Box) -> None:
    lifecycle = "spot" if box.spot else "on-demand"
    for row in fleet.instances:
        if row["LaunchTemplateAndOverrides"] == way.described() and row["Lifecycle"] == lifecycle:
            row["InstanceIds"].append(box.id)
            return
    fleet.instances.append(
        {
            "LaunchTemplateAndOverrides": way.described(),
            "Lifecycle": lifecycle,
            "InstanceIds": [box.id],
            "InstanceType": box.type,
        }
    )


def note_error(fleet: Fleet, way: Candidate, problem: AwsError, *, spot: bool) -> None:
    """A way that could not be taken, as DescribeFleets tells it of an instant fleet."""
    fleet.errors.append(
        {
            "LaunchTemplateAndOverrides": way.described(),
            "Lifecycle": "spot" if spot else "on-demand",
            "ErrorCode": problem.code,
            "ErrorMessage": problem.message,
        }
    )
