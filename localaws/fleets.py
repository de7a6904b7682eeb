"""EC2 Fleets: instant ones that launch once, maintain ones that replace what they lose.

Sources: EC2 guide, "EC2 Fleet request types" and "Delete an EC2 Fleet"; botocore's CreateFleet, ModifyFleet and
DeleteFleets.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from moto.ec2.utils import random_fleet_id

from localaws import backend
from localaws.boxes import Intent
from localaws.candidates import Candidate, candidates
from localaws.errors import AwsError
from localaws.launching import tag_map
from localaws.model import Box, Fleet, LaunchSpec, Market
from localaws.refusals import no_capacity, price_too_low

if TYPE_CHECKING:
    from localaws.world import World

FLEET_TAG = "aws:ec2:fleet-id"
RETRY_EVERY = timedelta(minutes=1)


class Fleets:
    """Every EC2 Fleet there ever was, by id."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._by_id: dict[str, Fleet] = {}
        self._rng = random.Random(f"{world.seed}/fleets")
        world.boxes.on_ended.append(self._box_ended)

    def __iter__(self) -> Iterator[Fleet]:
        return iter(list(self._by_id.values()))

    def find(self, fleet_id: str, region: str | None = None) -> Fleet | None:
        fleet = self._by_id.get(fleet_id)
        return fleet if fleet and region in (None, fleet.region) else None

    def create(self, region: str, params: dict[str, Any], valid_until: datetime | None) -> Fleet:
        """Record the fleet and launch its target at once, as far as there is capacity."""
        candidates(region, params)  # a wrong template refuses the fleet, not its first launch
        fleet = Fleet(
            id=random_fleet_id(),
            region=region,
            type=params.get("Type", "maintain"),
            created_at=self._world.now,
            params=params,
            target=int(params["TargetCapacitySpecification"]["TotalTargetCapacity"]),
            valid_until=valid_until,
            excess_policy=params.get("ExcessCapacityTerminationPolicy", "termination"),
        )
        self._by_id[fleet.id] = fleet
        backend.ec2_backend(region).tags[fleet.id].update(tag_map(params, "fleet"))
        with self._world.boxes.one_request():
            self._fill(fleet)
        if valid_until is not None and fleet.type != "instant":
            self._world.at(valid_until, lambda: self._expire(fleet))
        return fleet

    def modify(self, fleet: Fleet, target: int, excess_policy: str | None) -> None:
        """A new target: more is launched, less ends boxes unless the policy is `no-termination`."""
        if fleet.type != "maintain" or fleet.state != "active":
            raise AwsError(
                "InvalidParameterValue", f"Only active fleets of type maintain are modified, not {fleet.id}"
            )
        fleet.target = target
        fleet.excess_policy = excess_policy or fleet.excess_policy
        if fleet.excess_policy == "termination":
            for box in reversed(self.live(fleet)):
                if self.fulfilled(fleet) - fleet.weights[box.id] >= target:
                    self._world.boxes.end(box, by=fleet.id)
        if self.fulfilled(fleet) < target:
            self._fill_soon(fleet)

    def delete(self, fleet: Fleet, *, terminate: bool) -> None:
        """Ends the fleet, and its boxes if asked; boxes left running are nobody's from then on."""
        fleet.state = "deleted_terminating" if terminate else "deleted_running"
        if terminate:
            for box in self.live(fleet):
                self._world.boxes.end(box, by="DeleteFleets")

    def live(self, fleet: Fleet) -> list[Box]:
        return [box for box in (self._world.boxes.of(box_id) for box_id in fleet.box_ids) if box.live]

    def fulfilled(self, fleet: Fleet) -> Decimal:
        """The capacity that runs, in the units of the target."""
        return sum((fleet.weights[box.id] for box in self.live(fleet)), Decimal(0))

    def _box_ended(self, box: Box) -> None:
        fleet = self.find(box.fleet_id or "")
        if fleet is None or fleet.type != "maintain" or fleet.state != "active":
            return
        if self.fulfilled(fleet) < fleet.target:
            fleet.lost.append(box.id)
            self._fill_soon(fleet)

    def _fill_soon(self, fleet: Fleet, after: timedelta | None = None) -> None:
        if not fleet.refilling:
            fleet.refilling = True
            wait = after or timedelta(seconds=self._rng.randint(10, 60))
            self._world.later(wait, lambda: self._refill(fleet))

    def _refill(self, fleet: Fleet) -> None:
        fleet.refilling = False
        if fleet.state == "active":
            with self._world.boxes.one_request():
                self._fill(fleet)

    def _fill(self, fleet: Fleet) -> None:
        """Launch what is missing, cheapest first; what could not be launched is noted as an error."""
        fleet.errors = []
        have = self.fulfilled(fleet)
        on_demand = self._plan(fleet, _on_demand_target(fleet) - have, spot=False)
        have += sum((way.weight for way in on_demand), Decimal(0))
        spot = self._plan(fleet, fleet.target - have, spot=True)
        for way in on_demand:
            self._launch(fleet, way, spot=False)
        for way in spot:
            self._launch(fleet, way, spot=True)
        fleet.lost.clear()
        if fleet.type == "maintain" and self.fulfilled(fleet) < fleet.target:
            self._fill_soon(fleet, RETRY_EVERY)

    def _plan(self, fleet: Fleet, wanted: Decimal, *, spot: bool) -> list[Candidate]:
        """What to launch for so much capacity: nothing at all if less than MinTargetCapacity can be had."""
        plan: list[Candidate] = []
        options = fleet.params.get("SpotOptions" if spot else "OnDemandOptions", {})
        left_usd = Decimal(options.get("MaxTotalPrice") or "Infinity")
        ways = candidates(fleet.region, fleet.params) if wanted > 0 else []
        for way in sorted(ways, key=lambda one: (self._price(one, spot=spot) / one.weight, one.zone)):
            price = self._price(way, spot=spot)
            while wanted > 0:
                problem = self._refusal(way, price, left_usd, spot=spot)
                if problem is not None:
                    _note_error(fleet, way, problem, spot=spot)
                    break
                plan.append(way)
                wanted -= way.weight
                left_usd -= price
        least = int(options.get("MinTargetCapacity") or 0)
        return plan if sum(way.weight for way in plan) >= least else []

    def _refusal(self, way: Candidate, price: Decimal, left_usd: Decimal, *, spot: bool) -> AwsError | None:
        if not self._world.market.has_capacity(way.zone, way.type):
            return no_capacity(way.type, way.zone)
        if spot and way.cap_usd is not None and price > way.cap_usd:
            return price_too_low(way.cap_usd, price)
        if price > left_usd:
            return AwsError(
                "MaxTotalPriceExceeded", f"{way.type} in {way.zone} at {price} would pass MaxTotalPrice"
            )
        return None

    def _launch(self, fleet: Fleet, way: Candidate, *, spot: bool) -> None:
        try:
            box = self._start_spot(fleet, way) if spot else self._start_on_demand(fleet, way)
        except AwsError as problem:
            _note_error(fleet, way, problem, spot=spot)
            return
        if fleet.lost:
            box.relaunched_by, box.relaunch_of = fleet.id, fleet.lost.pop(0)
        fleet.weights[box.id] = way.weight
        fleet.box_ids.append(box.id)
        _note_launch(fleet, way, box)

    def _start_spot(self, fleet: Fleet, way: Candidate) -> Box:
        request = self._world.spot.create(
            fleet.region,
            _tagged(fleet, way),
            cap_usd=way.cap_usd,
            market="maintain" if fleet.type == "maintain" else "one-time",
            fleet_id=fleet.id,
            tags=tag_map(way.spec.params, "spot-instances-request"),
        )
        try:
            return self._world.spot.fulfil(request, way.zone)
        except AwsError:
            self._world.spot.drop(request)
            raise

    def _start_on_demand(self, fleet: Fleet, way: Candidate) -> Box:
        market: Market = "maintain" if fleet.type == "maintain" else "on-demand"
        intent = Intent(market=market, fleet_id=fleet.id)
        return self._world.boxes.launch(fleet.region, _tagged(fleet, way), way.zone, intent)[0]

    def _price(self, way: Candidate, *, spot: bool) -> Decimal:
        if not spot:
            return self._world.market.on_demand.usd(way.type)
        return self._world.market.curve(way.zone, way.type).at(self._world.now)

    def _expire(self, fleet: Fleet) -> None:
        if fleet.state == "active":
            self.delete(fleet, terminate=bool(fleet.params.get("TerminateInstancesWithExpiration")))


def _on_demand_target(fleet: Fleet) -> int:
    target = fleet.params["TargetCapacitySpecification"]
    if "OnDemandTargetCapacity" in target:
        return min(int(target["OnDemandTargetCapacity"]), fleet.target)
    if target.get("DefaultTargetCapacityType", "on-demand") == "spot":
        return 0
    return fleet.target - int(target.get("SpotTargetCapacity", 0))


def _tagged(fleet: Fleet, way: Candidate) -> LaunchSpec:
    return LaunchSpec(way.spec.params, {**way.spec.tags, FLEET_TAG: fleet.id})


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


def _note_error(fleet: Fleet, way: Candidate, problem: AwsError, *, spot: bool) -> None:
    fleet.errors.append(
        {
            "LaunchTemplateAndOverrides": way.described(),
            "Lifecycle": "spot" if spot else "on-demand",
            "ErrorCode": problem.code,
            "ErrorMessage": problem.message,
        }
    )
