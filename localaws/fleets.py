"""EC2 Fleets: instant ones that launch once, maintain ones that replace what they lose.

Sources: EC2 guide, "EC2 Fleet request types" and "Delete an EC2 Fleet"; botocore's CreateFleet, ModifyFleet and
DeleteFleets.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from moto.ec2.utils import random_fleet_id

from localaws import backend
from localaws.boxes import Intent
from localaws.errors import AwsError
from localaws.launching import tag_map
from localaws.model import Box, Fleet, LaunchSpec, Market
from localaws.places import subnet_zone, zones
from localaws.refusals import no_capacity, price_too_low
from localaws.templates import with_template

if TYPE_CHECKING:
    from localaws.world import World

FLEET_TAG = "aws:ec2:fleet-id"
RETRY_EVERY = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Candidate:
    """One way to launch a unit of a fleet: a template with one override, in one zone."""

    spec: LaunchSpec
    zone: str
    cap_usd: Decimal | None
    weight: Decimal
    template: dict[str, Any]
    override: dict[str, Any]

    @property
    def type(self) -> str:
        return str(self.spec.params["InstanceType"])

    def described(self) -> dict[str, Any]:
        """As `LaunchTemplateAndOverrides` of an answer."""
        return {
            "LaunchTemplateSpecification": self.template,
            "Overrides": {**self.override, "AvailabilityZone": self.zone},
        }


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
        target = params["TargetCapacitySpecification"]
        fleet = Fleet(
            id=random_fleet_id(),
            region=region,
            type=params.get("Type", "maintain"),
            created_at=self._world.now,
            params=params,
            target=int(target["TotalTargetCapacity"]),
            candidates=[],
            valid_until=valid_until,
            excess_policy=params.get("ExcessCapacityTerminationPolicy", "termination"),
        )
        self._by_id[fleet.id] = fleet
        backend.ec2_backend(region).tags[fleet.id].update(tag_map(params, "fleet"))
        on_demand = int(target.get("OnDemandTargetCapacity", 0))
        if (
            target.get("DefaultTargetCapacityType", "on-demand") == "on-demand"
            and "SpotTargetCapacity" not in target
        ):
            on_demand = fleet.target
        self._fill(fleet, on_demand)
        if valid_until is not None and fleet.type != "instant":
            self._world.at(valid_until, lambda: self._expire(fleet))
        return fleet

    def modify(self, fleet: Fleet, target: int, excess_policy: str | None) -> None:
        """A new target: more is launched, less ends boxes unless the policy is `no-termination`."""
        if fleet.type != "maintain" or fleet.state != "active":
            raise AwsError(
                "InvalidParameterValue",
                f"Only active fleets of type maintain can be modified, not {fleet.id}",
            )
        fleet.target = target
        fleet.excess_policy = excess_policy or fleet.excess_policy
        live = self.live(fleet)
        if len(live) > target and fleet.excess_policy == "termination":
            for box in live[target:]:
                self._world.boxes.end(box, by=fleet.id)
        else:
            self._fill_soon(fleet)

    def delete(self, fleet: Fleet, *, terminate: bool) -> None:
        """Ends the fleet, and its boxes if asked; boxes left running are nobody's from then on."""
        fleet.state = "deleted_terminating" if terminate else "deleted_running"
        if terminate:
            for box in self.live(fleet):
                self._world.boxes.end(box, by="DeleteFleets")

    def live(self, fleet: Fleet) -> list[Box]:
        return [box for box in (self._world.boxes.of(box_id) for box_id in fleet.box_ids) if box.live]

    def _box_ended(self, box: Box) -> None:
        fleet = self.find(box.fleet_id or "")
        if (
            fleet is not None
            and fleet.type == "maintain"
            and fleet.state == "active"
            and len(self.live(fleet)) < fleet.target
        ):
            fleet.lost_box_id = box.id
            self._fill_soon(fleet)

    def _fill_soon(self, fleet: Fleet, after: timedelta | None = None) -> None:
        if not fleet.refilling:
            fleet.refilling = True
            self._world.later(
                after or timedelta(seconds=self._rng.randint(10, 60)), lambda: self._refill(fleet)
            )

    def _refill(self, fleet: Fleet) -> None:
        fleet.refilling = False
        if fleet.state == "active":
            on_demand = fleet.target if not self._is_spot(fleet) else 0
            self._fill(fleet, on_demand)

    def _is_spot(self, fleet: Fleet) -> bool:
        target = fleet.params["TargetCapacitySpecification"]
        return target.get("DefaultTargetCapacityType") == "spot" or "SpotTargetCapacity" in target

    def _fill(self, fleet: Fleet, on_demand: int) -> None:
        """Launch what is missing, cheapest first; what could not be launched is noted as an error."""
        have = sum((self._weight(fleet, box) for box in self.live(fleet)), Decimal(0))
        fleet.errors = []
        have += self._launch_all(fleet, spot=False, wanted=Decimal(on_demand) - have)
        self._launch_all(fleet, spot=True, wanted=Decimal(fleet.target) - have)
        fleet.lost_box_id = None
        if fleet.type == "maintain" and len(self.live(fleet)) < fleet.target:
            self._fill_soon(fleet, RETRY_EVERY)

    def _launch_all(self, fleet: Fleet, *, spot: bool, wanted: Decimal) -> Decimal:
        got = Decimal(0)
        if wanted <= 0:
            return got
        budget = fleet.params.get("SpotOptions" if spot else "OnDemandOptions", {}).get("MaxTotalPrice")
        left_usd = Decimal(budget) if budget else None
        ways = sorted(
            candidates(fleet.region, fleet.params),
            key=lambda one: (self._price(one, spot=spot) / one.weight, one.zone),
        )
        for way in ways:
            price = self._price(way, spot=spot)
            while got < wanted:
                problem = self._refusal(way, price, left_usd, spot=spot)
                if problem is not None:
                    fleet.errors.append(_error(way, problem, spot=spot))
                    break
                self._launch(fleet, way, spot=spot)
                got += way.weight
                left_usd = None if left_usd is None else left_usd - price
        return got

    def _refusal(
        self, way: Candidate, price: Decimal, left_usd: Decimal | None, *, spot: bool
    ) -> AwsError | None:
        if not self._world.market.has_capacity(way.zone, way.type):
            return no_capacity(way.type, way.zone)
        if spot and way.cap_usd is not None and price > way.cap_usd:
            return price_too_low(way.cap_usd, price)
        if left_usd is not None and price > left_usd:
            return AwsError(
                "MaxTotalPriceExceeded", f"{way.type} in {way.zone} at {price} would pass MaxTotalPrice"
            )
        return None

    def _launch(self, fleet: Fleet, way: Candidate, *, spot: bool) -> Box:
        world = self._world
        market: Market = "maintain" if fleet.type == "maintain" else "one-time" if spot else "on-demand"
        spec = LaunchSpec(way.spec.params, {**way.spec.tags, FLEET_TAG: fleet.id})
        if spot:
            request = world.spot.create(
                fleet.region,
                spec,
                cap_usd=way.cap_usd,
                market=market,
                fleet_id=fleet.id,
                tags=tag_map(way.spec.params, "spot-instances-request"),
            )
            box = world.spot.fulfil(request, way.zone)
        else:
            box = world.boxes.launch(fleet.region, spec, way.zone, Intent(market=market, fleet_id=fleet.id))[
                0
            ]
        if fleet.lost_box_id is not None:
            box.relaunched_by, box.relaunch_of, fleet.lost_box_id = fleet.id, fleet.lost_box_id, None
        fleet.box_ids.append(box.id)
        self._describe(fleet, way, box)
        return box

    def _describe(self, fleet: Fleet, way: Candidate, box: Box) -> None:
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

    def _price(self, way: Candidate, *, spot: bool) -> Decimal:
        if not spot:
            return self._world.market.on_demand.usd(way.type)
        return self._world.market.curve(way.zone, way.type).at(self._world.now)

    def _weight(self, fleet: Fleet, box: Box) -> Decimal:
        return next(
            (way.weight for way in candidates(fleet.region, fleet.params) if way.type == box.type), Decimal(1)
        )

    def _expire(self, fleet: Fleet) -> None:
        if fleet.state == "active":
            self.delete(fleet, terminate=bool(fleet.params.get("TerminateInstancesWithExpiration")))


def candidates(region: str, params: dict[str, Any]) -> list[Candidate]:
    """Every template × override × zone that the fleet allows."""
    ways: list[Candidate] = []
    extra_tags = tag_map(params, "instance") if params.get("Type") == "instant" else {}
    for config in params.get("LaunchTemplateConfigs", []):
        template = config["LaunchTemplateSpecification"]
        for override in config.get("Overrides") or [{}]:
            launch = {
                key: override[key] for key in ("InstanceType", "SubnetId", "ImageId") if override.get(key)
            }
            merged = with_template(region, {**launch, "LaunchTemplate": template})
            for name in ("ImageId", "InstanceType"):
                if not merged.get(name):
                    raise AwsError(
                        "InvalidLaunchTemplate", f"The launch template and its overrides lack {name}"
                    )
            merged.pop("InstanceMarketOptions", None)
            tags = tag_map(merged, "instance") | merged.get("TemplateTags", {}) | extra_tags
            spec = LaunchSpec(merged, tags)
            cap = Decimal(override["MaxPrice"]) if override.get("MaxPrice") else None
            weight = Decimal(str(override.get("WeightedCapacity") or 1))
            ways += [
                Candidate(spec, zone, cap, weight, dict(template), dict(override))
                for zone in _zones(region, override, merged)
            ]
    if not ways:
        raise AwsError("MissingParameter", "The request must contain the parameter LaunchTemplateConfigs")
    return ways


def _zones(region: str, override: dict[str, Any], merged: dict[str, Any]) -> list[str]:
    if merged.get("SubnetId"):
        return [subnet_zone(region, str(one)) for one in str(merged["SubnetId"]).split(",")]
    asked = override.get("AvailabilityZone") or merged.get("Placement", {}).get("AvailabilityZone")
    return [name.strip() for name in str(asked).split(",")] if asked else zones(region)


def _error(way: Candidate, problem: AwsError, *, spot: bool) -> dict[str, Any]:
    return {
        "LaunchTemplateAndOverrides": way.described(),
        "Lifecycle": "spot" if spot else "on-demand",
        "ErrorCode": problem.code,
        "ErrorMessage": problem.message,
    }
