"""Fleets of both kinds: instant and request ones launch once, maintain ones replace what they lose.

Sources: EC2 guide, "EC2 Fleet request types", "EC2 Fleet request states", "Delete an EC2 Fleet" and their Spot Fleet
twins; botocore's CreateFleet, ModifyFleet, DeleteFleets, RequestSpotFleet, ModifySpotFleetRequest and
CancelSpotFleetRequests.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from localaws.ec2.candidates import Candidate
from localaws.ec2.filling import Plan, excess, plan
from localaws.ec2.fleet_kinds import FleetKind, own_tags
from localaws.ec2.fleet_launching import FleetLauncher, note_error
from localaws.errors import AwsError
from localaws.model import Box, Fleet, FleetEvent
from localaws.onmoto import backend

if TYPE_CHECKING:
    from localaws.world import World

RETRY_EVERY = timedelta(minutes=1)
LOOK_AGAIN_AFTER = timedelta(seconds=45)
"""A box is gone by then, mostly; its fleet looks again if not."""
SHOWN_WHEN_OVER = timedelta(days=2)
CHANGE = "fleetRequestChange"
BLOCKED_FOR = timedelta(minutes=13)
"""So long EC2 says it leaves alone what failed again and again; the fleet here tries all the same."""


class Fleets:
    """Every fleet of one kind there ever was, by id."""

    def __init__(self, world: World, kind: FleetKind) -> None:
        self._world = world
        self._by_id: dict[str, Fleet] = {}
        self._rng = random.Random(f"{world.seed}/{kind.own_tags}")
        self._launcher = FleetLauncher(world, kind)
        self.kind = kind
        world.boxes.on_stopped.append(self._box_lost)
        world.boxes.on_ended.append(self._box_ended)

    def __iter__(self) -> Iterator[Fleet]:
        return iter(list(self._by_id.values()))

    def find(self, fleet_id: str, region: str | None = None) -> Fleet | None:
        fleet = self._by_id.get(fleet_id)
        return fleet if fleet and region in (None, fleet.region) else None

    def is_shown(self, fleet: Fleet) -> bool:
        """Whether AWS still shows a fleet: for two days after its last box is gone."""
        return fleet.ended_at is None or self._world.now < fleet.ended_at + SHOWN_WHEN_OVER

    def create(self, region: str, params: dict[str, Any]) -> Fleet:
        """Record the fleet and launch its target at once, as far as there is capacity."""
        now = self._world.now
        fleet = self.kind.read(region, params, now)
        self.kind.ways(region, params)  # a wrong template refuses the fleet, not its first launch
        self._by_id[fleet.id] = fleet
        backend.ec2_backend(region).tags[fleet.id].update(own_tags(self.kind, fleet))
        self._note(fleet, CHANGE, "submitted")
        self._note(fleet, CHANGE, "active")
        if fleet.valid_from is not None and fleet.valid_from > now:
            self._fill_soon(fleet, fleet.valid_from - now)
        else:
            self._fill(fleet)
        if fleet.valid_until is not None and fleet.type != "instant":
            self._world.at(fleet.valid_until, lambda: self._expire(fleet))
        return fleet

    def modify(
        self,
        fleet: Fleet,
        *,
        target: int | None = None,
        on_demand_target: int | None = None,
        ends_excess: bool | None = None,
    ) -> None:
        """New targets: more is launched, less ends boxes unless the excess is to stay."""
        fleet.target = fleet.target if target is None else target
        fleet.on_demand_target = fleet.on_demand_target if on_demand_target is None else on_demand_target
        fleet.ends_excess = fleet.ends_excess if ends_excess is None else ends_excess
        self._note(fleet, CHANGE, "modify_in_progress")
        if fleet.ends_excess:
            for box in excess(self._world, fleet, self.counted(fleet), self.fulfilled(fleet)):
                self._world.boxes.end(box, by=fleet.id)
        self._note(fleet, CHANGE, "modify_succeeded")
        if self.fulfilled(fleet) < fleet.target:
            self._fill_soon(fleet)

    def end(self, fleet: Fleet, *, terminate: bool) -> None:
        """Ends the fleet and its spot requests, and its boxes if asked; what is left running is nobody's."""
        fleet.state = f"{self.kind.over}_{'terminating' if terminate else 'running'}"
        self._note(fleet, CHANGE, fleet.state)
        for box in self.live(fleet):
            request = self._world.spot.find(box.request_id)
            if request is not None:
                self._world.spot.cancel(request)
            if terminate:
                self._world.boxes.end(box, by=self.kind.ended_by)
        self._settle(fleet)

    def live(self, fleet: Fleet) -> list[Box]:
        return [box for box in self._all(fleet) if box.live]

    def counted(self, fleet: Fleet) -> list[Box]:
        """Those that count towards the target: what EC2 has interrupted and stopped does not."""
        return [box for box in self.live(fleet) if not (box.spot and box.state in ("stopping", "stopped"))]

    def fulfilled(self, fleet: Fleet) -> Decimal:
        """The capacity that runs, in the units of the target."""
        return sum((fleet.weights[box.id] for box in self.counted(fleet)), Decimal(0))

    def _all(self, fleet: Fleet) -> list[Box]:
        return [self._world.boxes.of(box_id) for box_id in fleet.box_ids]

    def _box_lost(self, box: Box) -> None:
        fleet = self.find(box.fleet_id or "")
        if fleet is None or fleet.type != "maintain" or fleet.state != "active":
            return
        if self.fulfilled(fleet) < fleet.target:
            fleet.lost.append(box.id)
            self._fill_soon(fleet)

    def _box_ended(self, box: Box) -> None:
        fleet = self.find(box.fleet_id or "")
        if fleet is None:
            return
        self._note(fleet, "instanceChange", "terminated", box)
        if box.id not in fleet.lost:
            self._box_lost(box)
        if fleet.state != "active":
            self._world.later(LOOK_AGAIN_AFTER, lambda: self._settle(fleet))

    def _settle(self, fleet: Fleet) -> None:
        """A fleet that was ended is over when its last box is gone."""
        if fleet.state in ("active", self.kind.over):
            return
        boxes = self._all(fleet)
        if all(box.state == "terminated" for box in boxes):
            fleet.state, fleet.ended_at = self.kind.over, self._world.now
            self._note(fleet, CHANGE, fleet.state)
        elif not any(box.live for box in boxes):
            self._world.later(LOOK_AGAIN_AFTER, lambda: self._settle(fleet))

    def _expire(self, fleet: Fleet) -> None:
        if fleet.state == "active":
            self._note(fleet, CHANGE, "expired")
            self.end(fleet, terminate=fleet.ends_with_expiry)

    def _fill_soon(self, fleet: Fleet, after: timedelta | None = None) -> None:
        if not fleet.refilling:
            fleet.refilling = True
            wait = after or timedelta(seconds=self._rng.randint(10, 60))
            self._world.later(wait, lambda: self._refill(fleet))

    def _refill(self, fleet: Fleet) -> None:
        fleet.refilling = False
        if fleet.state == "active":
            self._fill(fleet)

    def _fill(self, fleet: Fleet) -> None:
        """Launch what is missing; what could not be launched is noted, and tried again unless the fleet is instant."""
        fleet.errors = []
        had_spot, had_on_demand = self._placed(fleet, spot=True), self._placed(fleet, spot=False)
        missing = fleet.target - had_spot - had_on_demand
        ways = self.kind.ways(fleet.region, fleet.params) if missing > 0 else []
        wanted = min(fleet.on_demand_target - had_on_demand, missing)
        on_demand = self._plan(fleet, ways, wanted, spot=False)
        wanted = min(fleet.target - fleet.on_demand_target - had_spot, missing - on_demand.capacity)
        spot = self._plan(fleet, ways, wanted, spot=True)
        with self._world.boxes.one_request():
            for way in on_demand.ways:
                self._launcher.launch(fleet, way, spot=False)
            for way in spot.ways:
                self._launcher.launch(fleet, way, spot=True)
        fleet.lost.clear()
        placed = self._placed(fleet, spot=True) + self._placed(fleet, spot=False)
        if fleet.type != "instant" and placed < fleet.target:
            self._fill_soon(fleet, RETRY_EVERY)

    def _placed(self, fleet: Fleet, *, spot: bool) -> Decimal:
        """The capacity that is not to be launched (again): what runs, or what was ever launched unless it maintains."""
        boxes = self.counted(fleet) if fleet.type == "maintain" else self._all(fleet)
        return sum((fleet.weights[box.id] for box in boxes if box.spot is spot), Decimal(0))

    def _plan(self, fleet: Fleet, ways: list[Candidate], wanted: Decimal, *, spot: bool) -> Plan:
        running = [box for box in self.counted(fleet) if box.spot is spot]
        drawn = plan(self._world, fleet, ways, wanted, running, spot=spot)
        for way, problem in drawn.refused:
            note_error(fleet, way, problem, spot=spot)
            self._note_trouble(fleet, way, problem)
        return drawn

    def _note_trouble(self, fleet: Fleet, way: Candidate, problem: AwsError) -> None:
        """A way that can't be taken now stands in the history of a fleet that goes on trying, once in a while."""
        last, now = fleet.blocked_at.get(way.pool), self._world.now
        if fleet.type == "instant" or (last is not None and now < last + BLOCKED_FOR):
            return
        fleet.blocked_at[way.pool] = now
        is_price = problem.code == "SpotMaxPriceTooLow"
        kind, sub_type = (
            ("information", "launchSpecUnusable")
            if is_price
            else ("error", "launchSpecTemporarilyBlacklisted")
        )
        what = f"{way.type}, {way.spec.params['ImageId']}, {way.zone}: {problem.code}: {problem.message}"
        fleet.history.append(FleetEvent(now, kind, sub_type, description=what))

    def _note(self, fleet: Fleet, kind: str, sub_type: str, box: Box | None = None) -> None:
        fleet.history.append(FleetEvent(self._world.now, kind, sub_type, box.id if box else None))
