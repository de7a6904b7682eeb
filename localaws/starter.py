"""People starting boxes past Curfew, each in the way of its market.

These launches are part of the world, not calls of a client: no fault hits them and the record of calls leaves them out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from moto.autoscaling.models import autoscaling_backends

from localaws import backend, operations
from localaws.errors import RequestError
from localaws.events import ACCOUNT
from localaws.model import Box, Market
from localaws.operations import Call
from localaws.wire import CallId

if TYPE_CHECKING:
    from localaws.world import World

IMAGE = "ami-0123456789abcdef0"


def start_box(
    world: World, region: str, instance_type: str, *, market: Market, tags: dict[str, str], zone: str | None
) -> Box:
    """One box, started by what a person, a fleet or a group would use."""
    before = {box.id for box in world.boxes}
    if market == "maintain":
        _fleet(world, region, instance_type, tags, zone)
    elif market == "asg":
        _group(world, region, instance_type, tags, zone)
    else:
        _run(world, region, instance_type, market=market, tags=tags, zone=zone)
    started = [box for box in world.boxes if box.id not in before]
    if not started:
        raise RequestError(
            f"there is no capacity for {instance_type} in {zone or region}", field="type", status=409
        )
    return started[0]


def _run(
    world: World, region: str, kind: str, *, market: Market, tags: dict[str, str], zone: str | None
) -> None:
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
    _perform(world, region, "RunInstances", params)


def _fleet(world: World, region: str, kind: str, tags: dict[str, str], zone: str | None) -> None:
    template = {"LaunchTemplateId": _template(region, kind, tags), "Version": "$Default"}
    override = {"InstanceType": kind, **({"AvailabilityZone": zone} if zone else {})}
    _perform(
        world,
        region,
        "CreateFleet",
        {
            "Type": "maintain",
            "LaunchTemplateConfigs": [{"LaunchTemplateSpecification": template, "Overrides": [override]}],
            "TargetCapacitySpecification": {"TotalTargetCapacity": 1, "DefaultTargetCapacityType": "spot"},
        },
    )


def _group(world: World, region: str, kind: str, tags: dict[str, str], zone: str | None) -> None:
    autoscaling_backends[ACCOUNT][region].create_auto_scaling_group(
        name=f"group-{len(list(world.groups)) + 1}",
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


def _template(region: str, kind: str, tags: dict[str, str]) -> str:
    ec2 = backend.ec2_backend(region)
    data = {"ImageId": IMAGE, "InstanceType": kind, "TagSpecifications": _tagged("instance", tags)}
    name = f"behind-curfews-back-{len(ec2.launch_templates) + 1}"
    return str(ec2.create_launch_template(name, "", data, {}).id)


def _perform(world: World, region: str, name: str, params: dict[str, Any]) -> None:
    operation = operations.operation_for(CallId("ec2", region, name))
    assert operation is not None
    operation(Call(world, region, params))


def _tagged(kind: str, tags: dict[str, str]) -> list[dict[str, Any]]:
    return (
        [{"ResourceType": kind, "Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}]
        if tags
        else []
    )
