"""EC2 Fleets and Auto Scaling groups: what they launch, what they replace, how they end."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from botocore.exceptions import ClientError

from localaws.model import Box
from localaws.world import World
from tests.localaws.conftest import IMAGE

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


def template(ec2: Any, name: str = "t", **data: Any) -> dict[str, Any]:
    made = ec2.create_launch_template(
        LaunchTemplateName=name, LaunchTemplateData={"ImageId": IMAGE, "InstanceType": "g5.xlarge", **data}
    )
    return {"LaunchTemplateId": made["LaunchTemplate"]["LaunchTemplateId"], "Version": "$Latest"}


def fleet(ec2: Any, overrides: list[dict[str, Any]] | None = None, **options: Any) -> dict[str, Any]:
    spec = options.pop("template", None) or template(ec2)
    config: dict[str, Any] = {"LaunchTemplateSpecification": spec}
    if overrides:
        config["Overrides"] = overrides
    made: dict[str, Any] = ec2.create_fleet(
        **{
            "Type": "instant",
            "LaunchTemplateConfigs": [config],
            "TargetCapacitySpecification": {"TotalTargetCapacity": 1, "DefaultTargetCapacityType": "spot"},
            **options,
        }
    )
    return made


def live(world: World) -> list[Box]:
    return [box for box in world.boxes if box.live]


def price(world: World, box: Box) -> Decimal:
    return world.market.curve(box.zone, box.type).at(world.now)


def test_an_instant_fleet_launches_the_cheapest_type_and_zone(world: World, ec2: Any) -> None:
    """All types × zones of the overrides are considered, and the answer names what was launched and how."""
    made = fleet(ec2, [{"InstanceType": "g5.2xlarge"}, {"InstanceType": "g4dn.xlarge"}])
    (box,) = live(world)
    (row,) = made["Instances"]
    zones = [zone["ZoneName"] for zone in ec2.describe_availability_zones()["AvailabilityZones"]]
    prices = {zone: world.market.curve(zone, "g4dn.xlarge").at(world.now) for zone in zones}
    assert (box.type, prices[box.zone]) == ("g4dn.xlarge", min(prices.values()))
    assert (row["InstanceIds"], row["Lifecycle"], row["InstanceType"]) == ([box.id], "spot", "g4dn.xlarge")
    assert row["LaunchTemplateAndOverrides"]["Overrides"]["AvailabilityZone"] == box.zone


def test_an_instant_fleet_applies_the_data_of_its_launch_template(world: World, ec2: Any) -> None:
    """Key, tags, volumes, shutdown behaviour and request tags come from the template; the fleet adds its id as a tag."""
    spec = template(
        ec2,
        KeyName="me",
        InstanceInitiatedShutdownBehavior="terminate",
        UserData="ZWNobyBoaQ==",
        BlockDeviceMappings=[{"DeviceName": "/dev/sda1", "Ebs": {"VolumeSize": 200, "VolumeType": "gp3"}}],
        TagSpecifications=[
            {"ResourceType": "instance", "Tags": [{"Key": "curfew:lease", "Value": "l1"}]},
            {"ResourceType": "spot-instances-request", "Tags": [{"Key": "curfew:lease", "Value": "l1"}]},
        ],
    )
    made = fleet(
        ec2,
        template=spec,
        TagSpecifications=[
            {"ResourceType": "fleet", "Tags": [{"Key": "of", "Value": "fleet"}]},
            {"ResourceType": "instance", "Tags": [{"Key": "by", "Value": "fleet"}]},
        ],
    )
    (box,) = live(world)
    row = world.row(box.id)
    instance = ec2.describe_instances(InstanceIds=[box.id])["Reservations"][0]["Instances"][0]
    request = ec2.describe_spot_instance_requests(SpotInstanceRequestIds=[box.request_id])[
        "SpotInstanceRequests"
    ][0]
    assert instance["KeyName"] == "me"
    assert (
        row["tags"] | {"curfew:lease": "l1", "by": "fleet", "aws:ec2:fleet-id": made["FleetId"]}
        == row["tags"]
    )
    assert row["volumes"][0]["gib"] == 200
    assert ec2.describe_volumes()["Volumes"][0]["Size"] == 200
    assert request["Tags"] == [{"Key": "curfew:lease", "Value": "l1"}]
    world.advance(MINUTE)
    world.guest_shutdown(box.id)
    world.advance(MINUTE)
    assert box.state == "terminated"
    shown = ec2.describe_fleets(FleetIds=[made["FleetId"]])["Fleets"][0]
    assert shown["Tags"] == [{"Key": "of", "Value": "fleet"}]


def test_fleet_instances_have_a_linked_one_time_request(world: World, ec2: Any) -> None:
    """CreateFleet makes the spot request of each spot instance, closed when the instance ends."""
    fleet(ec2)
    (box,) = live(world)
    request = ec2.describe_spot_instance_requests(SpotInstanceRequestIds=[box.request_id])[
        "SpotInstanceRequests"
    ][0]
    assert (request["Type"], request["State"], request["InstanceId"]) == ("one-time", "active", box.id)
    ec2.terminate_instances(InstanceIds=[box.id])
    world.advance(10 * MINUTE)
    request = ec2.describe_spot_instance_requests(SpotInstanceRequestIds=[box.request_id])[
        "SpotInstanceRequests"
    ][0]
    assert (request["State"], live(world)) == ("closed", [])


def test_a_zone_without_capacity_is_an_error_and_the_next_cheapest_is_taken(world: World, ec2: Any) -> None:
    """InsufficientInstanceCapacity by zone and type in Errors; the fleet launches elsewhere."""
    fleet(ec2)
    sold_out = live(world)[0].zone
    world.set_capacity(sold_out, "g5.xlarge", available=False)
    made = fleet(ec2, template=template(ec2, "second"))
    assert [row["ErrorCode"] for row in made["Errors"]] == ["InsufficientInstanceCapacity"]
    assert made["Errors"][0]["LaunchTemplateAndOverrides"]["Overrides"]["AvailabilityZone"] == sold_out
    assert live(world)[1].zone != sold_out


def test_a_fleet_without_any_capacity_launches_nothing_and_says_so_for_each_zone(
    world: World, ec2: Any
) -> None:
    """CreateFleet succeeds with no instances and an error for every type and zone."""
    world.set_capacity("*", "*", available=False)
    made = fleet(ec2, [{"InstanceType": "g5.xlarge"}, {"InstanceType": "g4dn.xlarge"}])
    assert made["Instances"] == []
    assert {row["ErrorCode"] for row in made["Errors"]} == {"InsufficientInstanceCapacity"}
    assert len(made["Errors"]) == 2 * len(ec2.describe_availability_zones()["AvailabilityZones"])


def test_the_maximum_price_of_an_override_is_respected(world: World, ec2: Any) -> None:
    """A type whose price is over its MaxPrice is not launched; the cap becomes that of the request."""
    made = fleet(
        ec2,
        [
            {"InstanceType": "g4dn.xlarge", "MaxPrice": "0.002"},
            {"InstanceType": "g5.xlarge", "MaxPrice": "1.5"},
        ],
    )
    assert [box.type for box in live(world)] == ["g5.xlarge"]
    assert {row["ErrorCode"] for row in made["Errors"]} == {"SpotMaxPriceTooLow"}
    request = ec2.describe_spot_instance_requests()["SpotInstanceRequests"][0]
    assert request["SpotPrice"] == "1.500000"


def test_max_total_price_bounds_what_a_fleet_launches(world: World, ec2: Any) -> None:
    """A fleet stops launching when the next instance would pass SpotOptions.MaxTotalPrice."""
    fleet(
        ec2,
        SpotOptions={"MaxTotalPrice": "1.0"},
        TargetCapacitySpecification={"TotalTargetCapacity": 10, "DefaultTargetCapacityType": "spot"},
    )
    assert 1 <= len(live(world)) < 10
    assert sum(price(world, box) for box in live(world)) <= 1


def test_an_on_demand_fleet_launches_on_demand_instances(world: World, ec2: Any) -> None:
    """DefaultTargetCapacityType on-demand makes no spot request."""
    fleet(
        ec2, TargetCapacitySpecification={"TotalTargetCapacity": 2, "DefaultTargetCapacityType": "on-demand"}
    )
    assert [(box.spot, box.market) for box in live(world)] == [(False, "on-demand")] * 2


def test_instant_fleets_are_described_only_when_asked_by_id(world: World, ec2: Any) -> None:
    """DescribeFleets without ids leaves instant fleets out."""
    made = fleet(ec2)
    assert ec2.describe_fleets()["Fleets"] == []
    shown = ec2.describe_fleets(FleetIds=[made["FleetId"]])["Fleets"][0]
    assert shown["Instances"][0]["InstanceIds"] == [box.id for box in live(world)]
    with pytest.raises(ClientError, match=r"InvalidFleetId\.NotFound"):
        ec2.describe_fleets(FleetIds=["fleet-0"])


def test_a_maintain_fleet_replaces_what_it_loses(world: World, ec2: Any) -> None:
    """A terminated instance is replaced within about a minute, tagged with the fleet's id."""
    first = world.start_box("g5.xlarge", market="maintain", tags={"a": "b"})
    world.advance(MINUTE)
    ec2.terminate_instances(InstanceIds=[first.id])
    world.advance(2 * MINUTE)
    (second,) = live(world)
    row = world.row(second.id)
    assert (row["relaunched_by"], row["relaunch_of"], row["market"]) == (first.fleet_id, first.id, "maintain")
    assert row["tags"]["aws:ec2:fleet-id"] == first.fleet_id
    listed = ec2.describe_fleet_instances(FleetId=first.fleet_id)["ActiveInstances"]
    assert [one["InstanceId"] for one in listed] == [second.id]


def test_a_maintain_fleet_waits_for_capacity(world: World, ec2: Any) -> None:
    """Without capacity the fleet keeps trying, and launches when there is some."""
    first = world.start_box("g5.xlarge", market="maintain")
    world.set_capacity("*", "g5.xlarge", available=False)
    ec2.terminate_instances(InstanceIds=[first.id])
    world.advance(HOUR)
    assert live(world) == []
    world.set_capacity("*", "g5.xlarge", available=True)
    world.advance(2 * MINUTE)
    assert len(live(world)) == 1


@pytest.mark.parametrize("terminate, left", [(True, 0), (False, 1)])
def test_deleting_a_fleet_ends_its_instances_only_if_asked(
    world: World, ec2: Any, *, terminate: bool, left: int
) -> None:
    """deleted_terminating or deleted_running, and in neither case is anything replaced again."""
    box = world.start_box("g5.xlarge", market="maintain")
    world.advance(MINUTE)
    answer = ec2.delete_fleets(FleetIds=[box.fleet_id], TerminateInstances=terminate)[
        "SuccessfulFleetDeletions"
    ][0]
    assert answer["CurrentFleetState"] == ("deleted_terminating" if terminate else "deleted_running")
    world.advance(10 * MINUTE)
    assert len(live(world)) == left
    ec2.terminate_instances(InstanceIds=[box.id])
    world.advance(HOUR)
    assert live(world) == []


def test_deleting_an_unknown_fleet_or_an_instant_one_without_its_instances_is_reported(ec2: Any) -> None:
    """UnsuccessfulFleetDeletions names each with its code."""
    made = fleet(ec2)
    answer = ec2.delete_fleets(FleetIds=["fleet-0", made["FleetId"]], TerminateInstances=False)
    codes = [row["Error"]["Code"] for row in answer["UnsuccessfulFleetDeletions"]]
    assert codes == ["fleetIdDoesNotExist", "NoTerminateInstancesNotSupported"]


def test_shrinking_with_no_termination_ends_nothing_and_then_nothing_is_replaced(
    world: World, ec2: Any
) -> None:
    """ModifyFleet(target−1, no-termination) first, then the chosen instance: the other one stays."""
    made = fleet(
        ec2,
        Type="maintain",
        TargetCapacitySpecification={"TotalTargetCapacity": 2, "DefaultTargetCapacityType": "spot"},
    )
    world.advance(MINUTE)
    first, second = live(world)
    ec2.modify_fleet(
        FleetId=made["FleetId"],
        ExcessCapacityTerminationPolicy="no-termination",
        TargetCapacitySpecification={"TotalTargetCapacity": 1},
    )
    assert len(live(world)) == 2
    ec2.terminate_instances(InstanceIds=[first.id])
    world.advance(HOUR)
    assert live(world) == [second]


def test_only_maintain_fleets_can_be_modified(ec2: Any) -> None:
    """ModifyFleet refuses an instant fleet."""
    made = fleet(ec2)
    with pytest.raises(ClientError, match="InvalidParameterValue"):
        ec2.modify_fleet(FleetId=made["FleetId"], TargetCapacitySpecification={"TotalTargetCapacity": 2})


@pytest.mark.parametrize("ends_too, left", [(True, 0), (False, 1)])
def test_valid_until_ends_a_fleet_and_its_instances_if_asked(
    world: World, ec2: Any, *, ends_too: bool, left: int
) -> None:
    """TerminateInstancesWithExpiration decides whether the instances end with the fleet."""
    fleet(ec2, Type="maintain", ValidUntil=world.now + HOUR, TerminateInstancesWithExpiration=ends_too)
    world.advance(2 * HOUR)
    assert len(live(world)) == left
    assert ec2.describe_fleets()["Fleets"][0]["FleetState"].startswith("deleted")


def test_a_group_replaces_a_terminated_instance(world: World, ec2: Any) -> None:
    """TerminateInstances does not lower the desired capacity: another box with the group's tag is started."""
    first = world.start_box("g5.xlarge", market="asg")
    world.advance(MINUTE)
    ec2.terminate_instances(InstanceIds=[first.id])
    world.advance(2 * MINUTE)
    (second,) = live(world)
    row = world.row(second.id)
    assert (row["market"], row["group"], row["relaunched_by"], row["relaunch_of"]) == (
        "asg",
        first.group,
        first.group,
        first.id,
    )
    assert row["tags"]["aws:autoscaling:groupName"] == first.group


def test_terminating_in_the_group_with_decrement_replaces_nothing(world: World) -> None:
    """TerminateInstanceInAutoScalingGroup(ShouldDecrementDesiredCapacity=True) is the end of it."""
    box = world.start_box("g5.xlarge", market="asg")
    autoscaling = world.session().client("autoscaling")
    answer = autoscaling.terminate_instance_in_auto_scaling_group(
        InstanceId=box.id, ShouldDecrementDesiredCapacity=True
    )
    assert answer["Activity"]["AutoScalingGroupName"] == box.group
    world.advance(HOUR)
    assert live(world) == []
    assert autoscaling.describe_auto_scaling_groups()["AutoScalingGroups"][0]["DesiredCapacity"] == 0


def test_the_least_size_of_a_group_refuses_the_decrement(world: World) -> None:
    """ValidationError when the desired capacity equals the minimum; without decrement the instance is replaced."""
    box = world.start_box("g5.xlarge", market="asg")
    autoscaling = world.session().client("autoscaling")
    autoscaling.update_auto_scaling_group(AutoScalingGroupName=box.group, MinSize=1)
    with pytest.raises(ClientError, match=r"ValidationError.*min size"):
        autoscaling.terminate_instance_in_auto_scaling_group(
            InstanceId=box.id, ShouldDecrementDesiredCapacity=True
        )
    autoscaling.terminate_instance_in_auto_scaling_group(
        InstanceId=box.id, ShouldDecrementDesiredCapacity=False
    )
    world.advance(2 * MINUTE)
    assert [one.group for one in live(world)] == [box.group]


def test_a_group_whose_template_asks_for_spot_starts_spot_instances(world: World, ec2: Any) -> None:
    """InstanceMarketOptions of the launch template make a linked one-time request for each instance of the group."""
    spec = template(ec2, InstanceMarketOptions={"MarketType": "spot"})
    autoscaling = world.session().client("autoscaling")
    autoscaling.create_auto_scaling_group(
        AutoScalingGroupName="g",
        MinSize=0,
        MaxSize=2,
        DesiredCapacity=1,
        AvailabilityZones=["us-east-1a"],
        LaunchTemplate=spec,
    )
    (box,) = live(world)
    request = ec2.describe_spot_instance_requests()["SpotInstanceRequests"][0]
    assert (box.spot, box.market, request["InstanceId"], request["State"]) == (True, "asg", box.id, "active")
    instance = ec2.describe_instances(InstanceIds=[box.id])["Reservations"][0]["Instances"][0]
    assert instance["SpotInstanceRequestId"] == request["SpotInstanceRequestId"]
    autoscaling.delete_auto_scaling_group(AutoScalingGroupName="g", ForceDelete=True)
    world.advance(HOUR)
    assert live(world) == []


def test_a_weighted_override_counts_for_more_than_one(world: World, ec2: Any) -> None:
    """A target of four in boxes of weight four is one box; what runs is told in the same units."""
    made = fleet(
        ec2,
        [{"InstanceType": "g5.12xlarge", "WeightedCapacity": 4.0}],
        Type="maintain",
        TargetCapacitySpecification={"TotalTargetCapacity": 4, "DefaultTargetCapacityType": "spot"},
    )
    (first,) = live(world)
    assert ec2.describe_fleets(FleetIds=[made["FleetId"]])["Fleets"][0]["FulfilledCapacity"] == 4
    ec2.terminate_instances(InstanceIds=[first.id])
    world.advance(2 * MINUTE)
    assert [world.row(box.id)["relaunch_of"] for box in live(world)] == [first.id]


def test_nothing_is_launched_below_the_minimum_target_capacity(world: World, ec2: Any) -> None:
    """MinTargetCapacity: all of it, or no instance at all."""
    options = {"MinTargetCapacity": 3, "SingleInstanceType": True, "MaxTotalPrice": "0.9"}
    target = {"TotalTargetCapacity": 3, "DefaultTargetCapacityType": "spot"}
    assert fleet(ec2, SpotOptions=options, TargetCapacitySpecification=target)["Instances"] == []
    assert live(world) == []


def test_what_moto_refuses_of_a_launch_is_an_error_of_the_fleet(world: World, ec2: Any) -> None:
    """An unknown security group fails each way to launch, by its own code."""
    made = fleet(ec2, template=template(ec2, SecurityGroupIds=["sg-0123456789abcdef0"]))
    assert made["Instances"] == []
    assert {row["ErrorCode"] for row in made["Errors"]} == {"InvalidGroup.NotFound"}
    assert ec2.describe_spot_instance_requests()["SpotInstanceRequests"] == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"LaunchTemplateConfigs": [{"LaunchTemplateSpecification": {"LaunchTemplateName": "one"}}]},
        {
            "Type": "maintain",
            "TagSpecifications": [{"ResourceType": "instance", "Tags": [{"Key": "a", "Value": "b"}]}],
        },
    ],
)
def test_a_fleet_needs_a_template_version_and_tags_no_instances_unless_instant(
    ec2: Any, wrong: dict[str, Any]
) -> None:
    """CreateFleet refuses a template without Version, and instance tags of a maintain fleet."""
    template(ec2, "one")
    named = {
        "LaunchTemplateConfigs": [
            {"LaunchTemplateSpecification": {"LaunchTemplateName": "one", "Version": "1"}}
        ]
    }
    with pytest.raises(ClientError, match="InvalidParameterValue"):
        fleet(ec2, template={"LaunchTemplateName": "one", "Version": "1"}, **{**named, **wrong})


def test_a_cap_of_a_tenth_of_a_cent_is_refused(ec2: Any) -> None:
    """MaxPrice must be more than $0.001."""
    with pytest.raises(ClientError, match="InvalidParameterValue"):
        fleet(ec2, [{"InstanceType": "g5.xlarge", "MaxPrice": "0.001"}])
