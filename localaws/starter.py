"""People starting boxes past Curfew, each in the way of its market.

These launches are part of the world, not calls of a client: no fault hits them and the record of calls leaves them out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import count
from typing import TYPE_CHECKING, Any

from moto.autoscaling.models import autoscaling_backends
from moto.ec2.models.instance_types import INSTANCE_TYPES

from localaws import operations
from localaws.errors import RequestError
from localaws.events.bus import ACCOUNT
from localaws.model import Box, Market
from localaws.money.price_list import OnDemandPrices
from localaws.onmoto import backend
from localaws.operations import Call
from localaws.protocol.wire import CallId

if TYPE_CHECKING:
    from localaws.world import World

IMAGE = "ami-0123456789abcdef0"
FLEET_ROLE = f"arn:aws:iam::{ACCOUNT}:role/aws-ec2-spot-fleet-tagging-role"
TakeBack = Callable[[], Any]
"""Undoes what was made for a box that could not start."""


def known_type(kind: str) -> str:
    """The type as it is; a RequestError with those that have a price for one that EC2 does not have."""
    priced = OnDemandPrices().known_types
    if kind not in priced and kind not in INSTANCE_TYPES:
        raise RequestError(
            f"type must be an instance type of EC2's, not {kind!r}; those with accelerators: {', '.join(priced)}",
            field="type",
        )
    return kind


def start_box(
    world: World, region: str, instance_type: str, *, market: Market, tags: dict[str, str], zone: str | None
) -> Box:
    """One box, started by what a person, a fleet or a group would use. One that can't start leaves nothing behind."""
    before = {box.id for box in world.boxes}
    if market == "maintain":
        take_back = _fleet(world, region, instance_type, tags, zone)
    elif market == "spot-fleet":
        take_back = _spot_fleet(world, region, instance_type, tags, zone)
    elif market == "asg":
        take_back = _group(world, region, instance_type, tags, zone)
    else:
        take_back = _run(world, region, instance_type, market=market, tags=tags, zone=zone)
    started = [box for box in world.boxes if box.id not in before]
    if not started:
        take_back()
        raise RequestError(
            f"there is no capacity for {instance_type} in {zone or region}", field="type", status=409
        )
    return started[0]


def _run(
    world: World, region: str, kind: str, *, market: Market, tags: dict[str, str], zone: str | None
) -> TakeBack:
    params: dict[str, Any] = {
        "ImageId": IMAGE,
        "InstanceType": kind,
        "TagSpecifications": _tagged("instance", tags),
    }
    if zone:
        params["Placement"] = {"AvailabilityZone": zone}
    if market == "persistent":
        spot = {"SpotInstanceType": "persistent", "InstanceInterruptionBehavior": "stop"}
        params["InstanceMarketOptions"] = {"MarketType": "spot", "SpotOptions": spot}
    elif market == "one-time":
        params["InstanceMarketOptions"] = {"MarketType": "spot"}
    elif market == "capacity-block":
        params["InstanceMarketOptions"] = {"MarketType": "capacity-block"}
    _perform(world, region, "RunInstances", params)
    return lambda: None


def _fleet(world: World, region: str, kind: str, tags: dict[str, str], zone: str | None) -> TakeBack:
    config = _config(region, kind, tags, zone)
    target = {"TotalTargetCapacity": 1, "DefaultTargetCapacityType": "spot"}
    params = {"Type": "maintain", "LaunchTemplateConfigs": [config], "TargetCapacitySpecification": target}
    fleet_id = _perform(world, region, "CreateFleet", params)["FleetId"]
    return lambda: _perform(
        world, region, "DeleteFleets", {"FleetIds": [fleet_id], "TerminateInstances": True}
    )


def _spot_fleet(world: World, region: str, kind: str, tags: dict[str, str], zone: str | None) -> TakeBack:
    config = {
        "Type": "maintain",
        "IamFleetRole": FLEET_ROLE,
        "TargetCapacity": 1,
        "LaunchTemplateConfigs": [_config(region, kind, tags, zone)],
    }
    made = _perform(world, region, "RequestSpotFleet", {"SpotFleetRequestConfig": config})
    end = {"SpotFleetRequestIds": [made["SpotFleetRequestId"]], "TerminateInstances": True}
    return lambda: _perform(world, region, "CancelSpotFleetRequests", end)


def _config(region: str, kind: str, tags: dict[str, str], zone: str | None) -> dict[str, Any]:
    template = {"LaunchTemplateId": _template(region, kind, tags), "Version": "$Default"}
    override = {"InstanceType": kind, **({"AvailabilityZone": zone} if zone else {})}
    return {"LaunchTemplateSpecification": template, "Overrides": [override]}


def _group(world: World, region: str, kind: str, tags: dict[str, str], zone: str | None) -> TakeBack:
    moto = autoscaling_backends[ACCOUNT][region]
    name = next(name for number in count(1) if world.groups.find(region, name := f"group-{number}") is None)
    moto.create_auto_scaling_group(
        name=name,
        availability_zones=[zone or f"{region}a"],
        desired_capacity=1,
        max_size=10,
        min_size=0,
        launch_config_name="",
        launch_template={"LaunchTemplateId": _template(region, kind, tags)},
        vpc_zone_identifier=None,
        default_cooldown=None,
        health_check_period=None,
        health_check_type=None,
        load_balancers=[],
        target_group_arns=[],
        placement_group=None,
        termination_policies=[],
        tags=[],
    )
    return lambda: moto.delete_auto_scaling_group(name)


def _template(region: str, kind: str, tags: dict[str, str]) -> str:
    ec2 = backend.ec2_backend(region)
    data = {"ImageId": IMAGE, "InstanceType": kind, "TagSpecifications": _tagged("instance", tags)}
    taken = ec2.launch_template_name_to_ids
    name = next(name for number in count(1) if (name := f"behind-curfews-back-{number}") not in taken)
    return str(ec2.create_launch_template(name, "", data, {}).id)


def _perform(world: World, region: str, name: str, params: dict[str, Any]) -> Mapping[str, Any]:
    operation = operations.operation_for(CallId("ec2", region, name))
    assert operation is not None
    return operation(Call(world, region, params)) or {}


def _tagged(kind: str, tags: dict[str, str]) -> list[dict[str, Any]]:
    return (
        [{"ResourceType": kind, "Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}]
        if tags
        else []
    )
