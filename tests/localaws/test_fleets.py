"""EC2 Fleets: what they launch, what they replace, how they end."""

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
SPOT_2 = {"TotalTargetCapacity": 2, "DefaultTargetCapacityType": "spot"}


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


def state(ec2: Any, fleet_id: str | None) -> str:
    return str(ec2.describe_fleets(FleetIds=[fleet_id])["Fleets"][0]["FleetState"])


def live(world: World) -> list[Box]:
    return [box for box in world.boxes if box.live]


def price(world: World, box: Box) -> Decimal:
    return world.market.curve(box.zone, box.type).at(world.now)


def test_an_instant_fleet_launches_the_cheapest_type_and_zone(world: World, ec2: Any) -> None:
    """All types × zones of the overrides are considered, and the answer names what was launched and how (botocore,
    CreateFleetInstance; lowest-price is the default strategy).
    """
    made = fleet(ec2, [{"InstanceType": "g5.2xlarge"}, {"InstanceType": "g4dn.xlarge"}])
    (box,) = live(world)
    (row,) = made["Instances"]
    zones = [zone["ZoneName"] for zone in ec2.describe_availability_zones()["AvailabilityZones"]]
    prices = {zone: world.market.curve(zone, "g4dn.xlarge").at(world.now) for zone in zones}
    assert (box.type, prices[box.zone]) == ("g4dn.xlarge", min(prices.values()))
    assert (row["InstanceIds"], row["Lifecycle"], row["InstanceType"]) == ([box.id], "spot", "g4dn.xlarge")
    assert row["LaunchTemplateAndOverrides"]["Overrides"]["AvailabilityZone"] == box.zone


def test_an_instant_fleet_applies_the_data_of_its_launch_template(world: World, ec2: Any) -> None:
    """Key, tags, volumes, shutdown behaviour and request tags come from the template; the fleet adds its id as a tag
    (botocore, CreateFleetRequest.TagSpecifications; EC2 guide, "Tag an EC2 Fleet").
    """
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
    """CreateFleet makes the spot request of each spot instance, closed when the instance ends (EC2 guide, "State changes for
    a Spot request").
    """
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
    """InsufficientInstanceCapacity by zone and type in Errors; the fleet launches elsewhere (botocore, CreateFleetError)."""
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
    """CreateFleet succeeds with no instances and an error for every type and zone (botocore, CreateFleetError)."""
    world.set_capacity("*", "*", available=False)
    made = fleet(ec2, [{"InstanceType": "g5.xlarge"}, {"InstanceType": "g4dn.xlarge"}])
    assert made["Instances"] == []
    assert {row["ErrorCode"] for row in made["Errors"]} == {"InsufficientInstanceCapacity"}
    assert len(made["Errors"]) == 2 * len(ec2.describe_availability_zones()["AvailabilityZones"])


def test_the_maximum_price_of_an_override_is_respected(world: World, ec2: Any) -> None:
    """A type whose price is over its MaxPrice is not launched; the cap becomes that of the request (botocore,
    FleetLaunchTemplateOverridesRequest.MaxPrice).
    """
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
    """A fleet stops launching when the next instance would pass SpotOptions.MaxTotalPrice (botocore, SpotOptionsRequest)."""
    fleet(
        ec2,
        SpotOptions={"MaxTotalPrice": "1.0"},
        TargetCapacitySpecification={"TotalTargetCapacity": 10, "DefaultTargetCapacityType": "spot"},
    )
    assert 1 <= len(live(world)) < 10
    assert sum(price(world, box) for box in live(world)) <= 1


def test_an_on_demand_fleet_launches_on_demand_instances(world: World, ec2: Any) -> None:
    """DefaultTargetCapacityType on-demand makes no spot request (botocore, TargetCapacitySpecificationRequest)."""
    fleet(
        ec2, TargetCapacitySpecification={"TotalTargetCapacity": 2, "DefaultTargetCapacityType": "on-demand"}
    )
    assert [(box.spot, box.market) for box in live(world)] == [(False, "on-demand")] * 2


def test_instant_fleets_are_described_only_when_asked_by_id(world: World, ec2: Any) -> None:
    """DescribeFleets without ids leaves instant fleets out (botocore, DescribeFleets)."""
    made = fleet(ec2)
    assert ec2.describe_fleets()["Fleets"] == []
    shown = ec2.describe_fleets(FleetIds=[made["FleetId"]])["Fleets"][0]
    assert shown["Instances"][0]["InstanceIds"] == [box.id for box in live(world)]
    with pytest.raises(ClientError, match=r"InvalidFleetId\.NotFound"):
        ec2.describe_fleets(FleetIds=["fleet-0"])


def test_a_maintain_fleet_replaces_what_it_loses(world: World, ec2: Any) -> None:
    """A terminated instance is replaced within about a minute, tagged with the fleet's id (EC2 guide, "EC2 Fleet request
    types").
    """
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
    """Without capacity the fleet keeps trying, and launches when there is some (EC2 guide, "EC2 Fleet request types")."""
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
    """deleted_terminating or deleted_running, deleted when the last instance is gone, and in neither case is anything
    replaced again (EC2 guide, "EC2 Fleet request states").
    """
    box = world.start_box("g5.xlarge", market="maintain")
    world.advance(MINUTE)
    answer = ec2.delete_fleets(FleetIds=[box.fleet_id], TerminateInstances=terminate)[
        "SuccessfulFleetDeletions"
    ][0]
    assert answer["CurrentFleetState"] == ("deleted_terminating" if terminate else "deleted_running")
    world.advance(10 * MINUTE)
    assert len(live(world)) == left
    assert state(ec2, box.fleet_id) == ("deleted" if terminate else "deleted_running")
    ec2.terminate_instances(InstanceIds=[box.id])
    world.advance(50 * MINUTE)
    assert live(world) == []
    assert state(ec2, box.fleet_id) == "deleted"


def test_deleting_a_fleet_cancels_its_spot_requests(world: World, ec2: Any) -> None:
    """The boxes left running have cancelled requests (EC2 guide, "Delete an EC2 Fleet request and the instances in the
    fleet").
    """
    box = world.start_box("g5.xlarge", market="maintain")
    world.advance(MINUTE)
    ec2.delete_fleets(FleetIds=[box.fleet_id], TerminateInstances=False)
    (request,) = ec2.describe_spot_instance_requests()["SpotInstanceRequests"]
    assert (request["State"], request["Status"]["Code"]) == (
        "cancelled",
        "request-canceled-and-instance-running",
    )


def test_a_fleet_deleted_without_its_instances_can_be_deleted_with_them(world: World, ec2: Any) -> None:
    """The second request ends them; a third finds nothing to delete (getmoto/moto issue 6850)."""
    box = world.start_box("g5.xlarge", market="maintain")
    ec2.delete_fleets(FleetIds=[box.fleet_id], TerminateInstances=False)
    answer = ec2.delete_fleets(FleetIds=[box.fleet_id], TerminateInstances=True)
    assert answer["SuccessfulFleetDeletions"][0]["PreviousFleetState"] == "deleted_running"
    world.advance(2 * MINUTE)
    assert live(world) == []
    (failure,) = ec2.delete_fleets(FleetIds=[box.fleet_id], TerminateInstances=True)[
        "UnsuccessfulFleetDeletions"
    ]
    assert failure["Error"]["Code"] == "fleetNotInDeletableState"


def test_a_deleted_fleet_is_forgotten_after_two_days(world: World, ec2: Any) -> None:
    """Two days after its instances are terminated (EC2 guide, "EC2 Fleet request states")."""
    box = world.start_box("g5.xlarge", market="maintain")
    ec2.delete_fleets(FleetIds=[box.fleet_id], TerminateInstances=True)
    world.advance(timedelta(days=2) - HOUR)
    assert state(ec2, box.fleet_id) == "deleted"
    world.advance(2 * HOUR)
    assert ec2.describe_fleets()["Fleets"] == []


def test_more_than_25_instant_fleets_are_not_deleted_at_once(world: World, ec2: Any) -> None:
    """ExceededInstantFleetNumForDeletion for each, and none is deleted (EC2 guide, "Delete an EC2 Fleet request and the
    instances in the fleet").
    """
    spec = template(ec2)
    ids = [fleet(ec2, template=spec)["FleetId"] for _ in range(26)]
    answer = ec2.delete_fleets(FleetIds=ids, TerminateInstances=True)
    codes = [row["Error"]["Code"] for row in answer["UnsuccessfulFleetDeletions"]]
    assert codes == ["ExceededInstantFleetNumForDeletion"] * 26
    assert len(live(world)) == 26
    ec2.delete_fleets(FleetIds=ids[1:], TerminateInstances=True)
    assert len(live(world)) == 1


def test_more_than_a_hundred_fleets_are_not_deleted_at_once(world: World, ec2: Any) -> None:
    """101 ids are refused as a whole (botocore, DeleteFleets)."""
    box = world.start_box("g5.xlarge", market="maintain")
    ids = [box.fleet_id, *(f"fleet-{number:08d}-0000-4000-8000-000000000000" for number in range(100))]
    with pytest.raises(ClientError, match="InvalidParameterValue"):
        ec2.delete_fleets(FleetIds=ids, TerminateInstances=True)
    assert state(ec2, box.fleet_id) == "active"


def test_a_fleet_of_more_than_a_thousand_instances_is_not_deleted_with_them(world: World, ec2: Any) -> None:
    """AWS says that it might fail, so here it does: unexpectedError until most are terminated by hand (botocore,
    DeleteFleets).
    """
    target = {"TotalTargetCapacity": 1001, "DefaultTargetCapacityType": "on-demand"}
    made = fleet(ec2, Type="request", TargetCapacitySpecification=target)
    ids = {"FleetIds": [made["FleetId"]], "TerminateInstances": True}
    (failure,) = ec2.delete_fleets(**ids)["UnsuccessfulFleetDeletions"]
    assert (failure["Error"]["Code"], len(live(world))) == ("unexpectedError", 1001)
    ec2.terminate_instances(InstanceIds=[live(world)[0].id])
    assert ec2.delete_fleets(**ids)["UnsuccessfulFleetDeletions"] == []
    assert live(world) == []


def test_a_request_fleet_launches_its_target_once(world: World, ec2: Any) -> None:
    """What it could not have at first it waits for; what it loses it does not replace (EC2 guide, "EC2 Fleet request
    types").
    """
    world.set_capacity("*", "*", available=False)
    made = fleet(ec2, Type="request", TargetCapacitySpecification=SPOT_2)
    assert set(made) - {"ResponseMetadata"} == {"FleetId"}
    world.advance(HOUR)
    assert live(world) == []
    world.set_capacity("*", "*", available=True)
    world.advance(2 * MINUTE)
    first, second = live(world)
    ec2.terminate_instances(InstanceIds=[first.id])
    world.interrupt(second.id)
    world.advance(HOUR)
    assert live(world) == []
    assert state(ec2, made["FleetId"]) == "active"


def test_a_fleets_instances_are_told_but_for_an_instant_ones(world: World, ec2: Any) -> None:
    """DescribeFleetInstances does not support the type instant (botocore)."""
    made = fleet(ec2, Type="request", TargetCapacitySpecification=SPOT_2)
    active = ec2.describe_fleet_instances(FleetId=made["FleetId"])["ActiveInstances"]
    assert {one["InstanceId"] for one in active} == {box.id for box in live(world)}
    assert {one["SpotInstanceRequestId"] for one in active} == {box.request_id for box in live(world)}
    instant = fleet(ec2, template=template(ec2, "second"))
    with pytest.raises(ClientError, match="InvalidParameterValue"):
        ec2.describe_fleet_instances(FleetId=instant["FleetId"])


def test_a_fleets_history_tells_what_became_of_it(world: World, ec2: Any) -> None:
    """Half a minute late, in the words of EC2 Fleets (botocore, DescribeFleetHistory and EventInformation)."""
    began = world.now
    made = fleet(ec2, Type="maintain")
    ec2.delete_fleets(FleetIds=[made["FleetId"]], TerminateInstances=True)
    world.advance(5 * MINUTE)
    rows = ec2.describe_fleet_history(FleetId=made["FleetId"], StartTime=began)["HistoryRecords"]
    told = [(row["EventType"], row["EventInformation"]["EventSubType"]) for row in rows]
    assert told == [
        ("fleet-change", "submitted"),
        ("fleet-change", "active"),
        ("instance-change", "launched"),
        ("fleet-change", "deleted_terminating"),
        ("instance-change", "terminated"),
        ("fleet-change", "deleted"),
    ]


def test_deleting_an_unknown_fleet_or_an_instant_one_without_its_instances_is_reported(ec2: Any) -> None:
    """UnsuccessfulFleetDeletions names each with its code (EC2 guide, "Delete an EC2 Fleet request and the instances in the
    fleet").
    """
    made = fleet(ec2)
    answer = ec2.delete_fleets(FleetIds=["fleet-0", made["FleetId"]], TerminateInstances=False)
    codes = [row["Error"]["Code"] for row in answer["UnsuccessfulFleetDeletions"]]
    assert codes == ["fleetIdDoesNotExist", "NoTerminateInstancesNotSupported"]


def test_shrinking_with_no_termination_ends_nothing_and_then_nothing_is_replaced(
    world: World, ec2: Any
) -> None:
    """ModifyFleet(target−1, no-termination) first, then the chosen instance: the other one stays (botocore, ModifyFleet)."""
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
    """ModifyFleet refuses an instant fleet (botocore, ModifyFleet)."""
    made = fleet(ec2)
    with pytest.raises(ClientError, match="InvalidParameterValue"):
        ec2.modify_fleet(FleetId=made["FleetId"], TargetCapacitySpecification={"TotalTargetCapacity": 2})


@pytest.mark.parametrize("ends_too, left", [(True, 0), (False, 1)])
def test_valid_until_ends_a_fleet_and_its_instances_if_asked(
    world: World, ec2: Any, *, ends_too: bool, left: int
) -> None:
    """TerminateInstancesWithExpiration decides whether the instances end with the fleet (botocore, CreateFleetRequest)."""
    fleet(ec2, Type="maintain", ValidUntil=world.now + HOUR, TerminateInstancesWithExpiration=ends_too)
    world.advance(2 * HOUR)
    assert len(live(world)) == left
    assert ec2.describe_fleets()["Fleets"][0]["FleetState"].startswith("deleted")


def test_a_weighted_override_counts_for_more_than_one(world: World, ec2: Any) -> None:
    """A target of four in boxes of weight four is one box; what runs is told in the same units (botocore,
    FleetLaunchTemplateOverridesRequest.WeightedCapacity).
    """
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
    """MinTargetCapacity: all of it, or no instance at all (botocore, SpotOptionsRequest)."""
    options = {"MinTargetCapacity": 3, "SingleInstanceType": True, "MaxTotalPrice": "0.9"}
    target = {"TotalTargetCapacity": 3, "DefaultTargetCapacityType": "spot"}
    assert fleet(ec2, SpotOptions=options, TargetCapacitySpecification=target)["Instances"] == []
    assert live(world) == []


def test_what_moto_refuses_of_a_launch_is_an_error_of_the_fleet(world: World, ec2: Any) -> None:
    """An unknown security group fails each way to launch, by its own code (botocore, CreateFleetError)."""
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
    """CreateFleet refuses a template without Version, and instance tags of a maintain fleet (botocore, CreateFleetRequest and
    FleetLaunchTemplateSpecificationRequest).
    """
    template(ec2, "one")
    named = {
        "LaunchTemplateConfigs": [
            {"LaunchTemplateSpecification": {"LaunchTemplateName": "one", "Version": "1"}}
        ]
    }
    with pytest.raises(ClientError, match="InvalidParameterValue"):
        fleet(ec2, template={"LaunchTemplateName": "one", "Version": "1"}, **{**named, **wrong})


def test_a_cap_of_a_tenth_of_a_cent_is_refused(ec2: Any) -> None:
    """MaxPrice must be more than $0.001 (botocore, FleetLaunchTemplateOverridesRequest.MaxPrice)."""
    with pytest.raises(ClientError, match="InvalidParameterValue"):
        fleet(ec2, [{"InstanceType": "g5.xlarge", "MaxPrice": "0.001"}])


def test_a_smaller_target_ends_the_dearest(world: World, ec2: Any) -> None:
    """With the default policy a lowest-price fleet ends the highest price per unit first (botocore, ModifyFleet)."""
    made = fleet(ec2, Type="maintain", TargetCapacitySpecification=SPOT_2)
    world.advance(MINUTE)
    first = live(world)[0]
    world.set_capacity(first.zone, "*", available=False)
    ec2.modify_fleet(FleetId=made["FleetId"], TargetCapacitySpecification={"TotalTargetCapacity": 3})
    world.advance(2 * MINUTE)
    dear = live(world)[2]
    assert price(world, dear) > price(world, first)
    ec2.modify_fleet(FleetId=made["FleetId"], TargetCapacitySpecification={"TotalTargetCapacity": 2})
    world.advance(HOUR)
    assert (len(live(world)), dear.live) == (2, False)


def test_a_target_of_nothing_ends_everything_and_keeps_the_fleet(world: World, ec2: Any) -> None:
    """A fleet can be set to 0 and used again later (botocore, ModifyFleet)."""
    box = world.start_box("g5.xlarge", market="maintain")
    world.advance(MINUTE)
    ec2.modify_fleet(FleetId=box.fleet_id, TargetCapacitySpecification={"TotalTargetCapacity": 0})
    world.advance(HOUR)
    assert (live(world), state(ec2, box.fleet_id)) == ([], "active")


def test_a_fleet_launches_from_the_templates_it_was_modified_to(world: World, ec2: Any) -> None:
    """LaunchTemplateConfigs of ModifyFleet are for what is launched from then on (botocore, ModifyFleetRequest)."""
    made = fleet(ec2, Type="maintain")
    other = template(ec2, "other", InstanceType="g4dn.xlarge")
    ec2.modify_fleet(
        FleetId=made["FleetId"],
        LaunchTemplateConfigs=[{"LaunchTemplateSpecification": other}],
        TargetCapacitySpecification={"TotalTargetCapacity": 2},
    )
    world.advance(2 * MINUTE)
    assert [box.type for box in live(world)] == ["g5.xlarge", "g4dn.xlarge"]


def test_the_market_options_of_a_template_do_not_decide_for_a_fleet(world: World, ec2: Any) -> None:
    """What is spot is told by the target capacity (botocore, TargetCapacitySpecificationRequest)."""
    spec = template(ec2, InstanceMarketOptions={"MarketType": "spot"})
    fleet(
        ec2,
        template=spec,
        TargetCapacitySpecification={"TotalTargetCapacity": 1, "DefaultTargetCapacityType": "on-demand"},
    )
    assert [box.spot for box in live(world)] == [False]


def test_a_fleet_may_mix_on_demand_and_spot(world: World, ec2: Any) -> None:
    """OnDemandTargetCapacity of the total is on-demand, and each kind is replaced by its own (botocore,
    TargetCapacitySpecificationRequest).
    """
    target = {"TotalTargetCapacity": 3, "OnDemandTargetCapacity": 1, "DefaultTargetCapacityType": "spot"}
    fleet(ec2, Type="maintain", TargetCapacitySpecification=target)
    world.advance(MINUTE)
    assert sorted(box.spot for box in live(world)) == [False, True, True]
    ec2.terminate_instances(InstanceIds=[box.id for box in live(world)])
    world.advance(3 * MINUTE)
    assert sorted(box.spot for box in live(world)) == [False, True, True]


def test_the_priority_of_an_override_decides_where_asked(world: World, ec2: Any) -> None:
    """The lowest number first, with the strategy prioritized (botocore, FleetLaunchTemplateOverridesRequest.Priority)."""
    overrides = [
        {"InstanceType": "g4dn.xlarge", "Priority": 1.0},
        {"InstanceType": "g5.12xlarge", "Priority": 0.0},
    ]
    target = {"TotalTargetCapacity": 1, "DefaultTargetCapacityType": "on-demand"}
    options = {"AllocationStrategy": "prioritized"}
    fleet(ec2, overrides, OnDemandOptions=options, TargetCapacitySpecification=target)
    assert [box.type for box in live(world)] == ["g5.12xlarge"]


def test_a_single_zone_takes_all_of_an_instant_fleet(world: World, ec2: Any) -> None:
    """SingleAvailabilityZone and SingleInstanceType hold for all that it launches (botocore, SpotOptionsRequest)."""
    options = {
        "AllocationStrategy": "diversified",
        "SingleAvailabilityZone": True,
        "SingleInstanceType": True,
    }
    target = {"TotalTargetCapacity": 4, "DefaultTargetCapacityType": "spot"}
    overrides = [{"InstanceType": "g5.xlarge"}, {"InstanceType": "g4dn.xlarge"}]
    fleet(ec2, overrides, SpotOptions=options, TargetCapacitySpecification=target)
    assert len({(box.zone, box.type) for box in live(world)}) == 1


def test_attributes_instead_of_types_are_refused(ec2: Any) -> None:
    """InstanceRequirements would choose the types; localaws says that it does not simulate that."""
    requirements = {"VCpuCount": {"Min": 4}, "MemoryMiB": {"Min": 1024}}
    with pytest.raises(ClientError, match="UnsupportedOperation"):
        fleet(ec2, [{"InstanceRequirements": requirements}])
