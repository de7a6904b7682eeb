"""Spot Fleets: what they launch and replace, how they are changed, how they end."""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from localaws.model import Box
from localaws.world import World
from tests.localaws.conftest import IMAGE, Running

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
ROLE = "arn:aws:iam::123456789012:role/aws-ec2-spot-fleet-tagging-role"


def specification(kind: str = "g5.xlarge", **more: Any) -> dict[str, Any]:
    return {"ImageId": IMAGE, "InstanceType": kind, **more}


def template(ec2: Any, **data: Any) -> dict[str, str]:
    made = ec2.create_launch_template(
        LaunchTemplateName="t", LaunchTemplateData={"ImageId": IMAGE, "InstanceType": "g5.xlarge", **data}
    )
    return {"LaunchTemplateId": made["LaunchTemplate"]["LaunchTemplateId"], "Version": "$Latest"}


def request(ec2: Any, target: int = 1, **config: Any) -> str:
    launches = {} if "LaunchTemplateConfigs" in config else {"LaunchSpecifications": [specification()]}
    asked = {"IamFleetRole": ROLE, "TargetCapacity": target, **launches, **config}
    return str(ec2.request_spot_fleet(SpotFleetRequestConfig=asked)["SpotFleetRequestId"])


def shown(ec2: Any, fleet_id: str) -> dict[str, Any]:
    found: dict[str, Any] = ec2.describe_spot_fleet_requests(SpotFleetRequestIds=[fleet_id])[
        "SpotFleetRequestConfigs"
    ][0]
    return found


def state(ec2: Any, fleet_id: str) -> str:
    return str(shown(ec2, fleet_id)["SpotFleetRequestState"])


def instances(ec2: Any, fleet_id: str) -> list[str]:
    active = ec2.describe_spot_fleet_instances(SpotFleetRequestId=fleet_id)["ActiveInstances"]
    return [one["InstanceId"] for one in active]


def cancel(ec2: Any, fleet_id: str, *, terminate: bool) -> dict[str, Any]:
    answer: dict[str, Any] = ec2.cancel_spot_fleet_requests(
        SpotFleetRequestIds=[fleet_id], TerminateInstances=terminate
    )
    return answer


def live(world: World) -> list[Box]:
    return [box for box in world.boxes if box.live]


def test_a_launch_specification_is_launched_as_linked_one_time_spot(world: World, ec2: Any) -> None:
    """Key, volumes, groups and tags of the specification; the box, its request and the fleet name each other (botocore,
    SpotFleetLaunchSpecification and ActiveInstance; EC2 guide, "Tag a Spot Fleet").
    """
    group = ec2.create_security_group(GroupName="ssh", Description="ssh")["GroupId"]
    spec = specification(
        KeyName="me",
        SecurityGroups=[{"GroupId": group}],
        BlockDeviceMappings=[{"DeviceName": "/dev/sda1", "Ebs": {"VolumeSize": 200}}],
        TagSpecifications=[{"ResourceType": "instance", "Tags": [{"Key": "team", "Value": "vision"}]}],
    )
    fleet_id = request(ec2, LaunchSpecifications=[spec])
    (box,) = live(world)
    instance = ec2.describe_instances(InstanceIds=[box.id])["Reservations"][0]["Instances"][0]
    (spot,) = ec2.describe_spot_instance_requests()["SpotInstanceRequests"]
    active = ec2.describe_spot_fleet_instances(SpotFleetRequestId=fleet_id)["ActiveInstances"]
    tag = {"Key": "aws:ec2spot:fleet-request-id", "Value": fleet_id}
    assert (box.market, box.fleet_id) == ("spot-fleet", fleet_id)
    assert re.fullmatch(r"sfr-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", fleet_id)
    assert (instance["KeyName"], instance["SecurityGroups"][0]["GroupId"]) == ("me", group)
    assert ec2.describe_volumes()["Volumes"][0]["Size"] == 200
    assert {one["Key"] for one in instance["Tags"]} == {"team", tag["Key"]}
    assert (spot["InstanceId"], spot["Type"], spot["State"], spot["Tags"]) == (
        box.id,
        "one-time",
        "active",
        [tag],
    )
    assert active == [
        {
            "InstanceId": box.id,
            "InstanceType": "g5.xlarge",
            "SpotInstanceRequestId": box.request_id,
            "InstanceHealth": "healthy",
        }
    ]


def test_a_launch_template_with_overrides_launches_the_cheapest(world: World, ec2: Any) -> None:
    """lowestPrice is the default strategy; key and tags come from the template (botocore, LaunchTemplateConfig)."""
    data = {
        "KeyName": "me",
        "TagSpecifications": [{"ResourceType": "instance", "Tags": [{"Key": "a", "Value": "b"}]}],
    }
    overrides = [{"InstanceType": "g5.2xlarge"}, {"InstanceType": "g4dn.xlarge"}]
    config = {"LaunchTemplateSpecification": template(ec2, **data), "Overrides": overrides}
    request(ec2, LaunchTemplateConfigs=[config])
    (box,) = live(world)
    zones = [zone["ZoneName"] for zone in ec2.describe_availability_zones()["AvailabilityZones"]]
    prices = {zone: world.market.curve(zone, "g4dn.xlarge").at(world.now) for zone in zones}
    assert (box.type, prices[box.zone]) == ("g4dn.xlarge", min(prices.values()))
    assert world.row(box.id)["tags"]["a"] == "b"


def test_specifications_and_templates_exclude_each_other(ec2: Any) -> None:
    """InvalidSpotFleetRequestConfig for both, and for neither (botocore, SpotFleetRequestConfigData)."""
    config = {"LaunchTemplateSpecification": template(ec2)}
    for launches in (
        {"LaunchTemplateConfigs": [config], "LaunchSpecifications": [specification()]},
        {"LaunchTemplateConfigs": []},
    ):
        with pytest.raises(ClientError, match="InvalidSpotFleetRequestConfig"):
            request(ec2, **launches)


def test_the_fleet_role_is_required(world: World, ec2: Any) -> None:
    """Without IamFleetRole the request is refused, and one that is no role's ARN is invalid (botocore,
    SpotFleetRequestConfigData.IamFleetRole).
    """
    lax = world.session().client("ec2", config=Config(parameter_validation=False))
    asked = {"TargetCapacity": 1, "LaunchSpecifications": [specification()]}
    with pytest.raises(ClientError, match="MissingParameter"):
        lax.request_spot_fleet(SpotFleetRequestConfig=asked)
    with pytest.raises(ClientError, match="InvalidSpotFleetRequestConfig"):
        request(ec2, IamFleetRole="me")
    assert list(world.boxes) == []


def test_a_repeated_token_makes_no_second_fleet(world: World, ec2: Any) -> None:
    """The token is in the configuration; with other parameters it is IdempotentParameterMismatch (botocore,
    SpotFleetRequestConfigData.ClientToken).
    """
    assert request(ec2, ClientToken="t-1") == request(ec2, ClientToken="t-1")
    assert len(live(world)) == 1
    with pytest.raises(ClientError, match="IdempotentParameterMismatch"):
        request(ec2, target=2, ClientToken="t-1")


def test_a_maintain_fleet_replaces_what_it_loses_and_a_request_fleet_does_not(world: World, ec2: Any) -> None:
    """maintain is the default type; both kinds lose a box, by hand and to EC2 (EC2 guide, "Spot Fleet request types")."""
    kept, once = request(ec2), request(ec2, Type="request")
    world.advance(MINUTE)
    by_fleet = {box.fleet_id: box for box in live(world)}
    ec2.terminate_instances(InstanceIds=[by_fleet[kept].id, by_fleet[once].id])
    world.advance(5 * MINUTE)
    (second,) = live(world)
    assert (second.fleet_id, second.relaunched_by, second.relaunch_of) == (kept, kept, by_fleet[kept].id)
    world.interrupt(second.id)
    world.advance(5 * MINUTE)
    assert [box.relaunch_of for box in live(world)] == [second.id]
    assert (instances(ec2, once), state(ec2, once)) == ([], "active")


def test_a_fleet_without_capacity_is_pending_and_launches_later(world: World, ec2: Any) -> None:
    """Both types wait for capacity; a request fleet asks for its target but once (EC2 guide, "Spot Fleet request
    types").
    """
    world.set_capacity("*", "*", available=False)
    fleet_ids = [request(ec2), request(ec2, Type="request")]
    world.advance(HOUR)
    assert [shown(ec2, one)["ActivityStatus"] for one in fleet_ids] == ["pending_fulfillment"] * 2
    world.set_capacity("*", "*", available=True)
    world.advance(2 * MINUTE)
    assert {box.fleet_id for box in live(world)} == set(fleet_ids)
    assert [shown(ec2, one)["ActivityStatus"] for one in fleet_ids] == ["fulfilled"] * 2


def test_the_price_cap_of_a_unit_bounds_what_is_launched(world: World, ec2: Any) -> None:
    """SpotPrice is per unit hour: of the specification, else of the fleet (botocore, SpotFleetLaunchSpecification)."""
    cheap = specification("g4dn.xlarge", SpotPrice="0.002")
    heavy = specification("g5.12xlarge", WeightedCapacity=4.0)
    request(ec2, target=4, SpotPrice="1.5", LaunchSpecifications=[cheap, heavy])
    (box,) = live(world)
    assert (box.type, box.cap_usd) == ("g5.12xlarge", Decimal(6))


def test_the_total_price_bounds_a_fleet(world: World, ec2: Any) -> None:
    """A fleet stops launching before SpotMaxTotalPrice is passed, now and at each refill (EC2 guide, "Set a spending
    limit for your EC2 Fleet or Spot Fleet").
    """
    request(ec2, target=10, SpotMaxTotalPrice="1.0")
    world.advance(HOUR)
    prices = [world.market.curve(box.zone, box.type).at(box.launched_at) for box in live(world)]
    assert 1 <= len(prices) < 10
    assert sum(prices) <= 1


def test_diversified_spreads_over_all_pools(world: World, ec2: Any) -> None:
    """Each pool gets as much (EC2 guide, "Use allocation strategies ...")."""
    specs = [specification("g5.xlarge"), specification("g4dn.xlarge")]
    placed = [{**one, "Placement": {"AvailabilityZone": "us-east-1a, us-east-1b"}} for one in specs]
    request(ec2, target=8, AllocationStrategy="diversified", LaunchSpecifications=placed)
    pools = [(box.zone, box.type) for box in live(world)]
    assert [pools.count(pool) for pool in set(pools)] == [2, 2, 2, 2]


def test_on_demand_capacity_needs_launch_templates(world: World, ec2: Any) -> None:
    """OnDemandTargetCapacity is part of the target (botocore, SpotFleetRequestConfigData)."""
    with pytest.raises(ClientError, match="InvalidSpotFleetRequestConfig"):
        request(ec2, target=2, OnDemandTargetCapacity=1)
    config = {"LaunchTemplateSpecification": template(ec2)}
    fleet_id = request(ec2, target=3, OnDemandTargetCapacity=1, LaunchTemplateConfigs=[config])
    assert sorted(box.spot for box in live(world)) == [False, True, True]
    told = shown(ec2, fleet_id)["SpotFleetRequestConfig"]
    assert (told["FulfilledCapacity"], told["OnDemandFulfilledCapacity"]) == (3.0, 1.0)


def test_describing_shows_the_request_and_its_tags(world: World, ec2: Any) -> None:
    """Configuration, state, progress and the fleet's own tags (botocore, SpotFleetRequestConfig)."""
    tags = [{"Key": "curfew:lease", "Value": "l1"}]
    fleet_id = request(
        ec2,
        ValidUntil=world.now + DAY,
        TagSpecifications=[{"ResourceType": "spot-fleet-request", "Tags": tags}],
    )
    told = shown(ec2, fleet_id)
    config = told["SpotFleetRequestConfig"]
    assert (told["SpotFleetRequestState"], told["ActivityStatus"], told["CreateTime"], told["Tags"]) == (
        "active",
        "fulfilled",
        world.now,
        tags,
    )
    assert (config["IamFleetRole"], config["Type"], config["TargetCapacity"]) == (ROLE, "maintain", 1)
    assert config["ValidUntil"] == world.now + DAY
    assert config["LaunchSpecifications"][0]["InstanceType"] == "g5.xlarge"
    with pytest.raises(ClientError, match="InvalidSpotFleetRequestConfig"):
        request(ec2, TagSpecifications=[{"ResourceType": "instance", "Tags": tags}])
    with pytest.raises(ClientError, match=r"InvalidSpotFleetRequestId\.NotFound"):
        shown(ec2, "sfr-00000000-0000-4000-8000-000000000000")


def test_fleets_are_described_in_pages(ec2: Any) -> None:
    """MaxResults and NextToken lead through all of them (botocore, DescribeSpotFleetRequests)."""
    made = {request(ec2, target=0) for _ in range(5)}
    pages = ec2.get_paginator("describe_spot_fleet_requests").paginate(PaginationConfig={"PageSize": 2})
    assert {one["SpotFleetRequestId"] for page in pages for one in page["SpotFleetRequestConfigs"]} == made


def test_its_history_tells_what_became_of_a_fleet_and_its_instances(world: World, ec2: Any) -> None:
    """Half a minute late: submitted, active, launched, terminated, cancelled_terminating, cancelled (botocore,
    DescribeSpotFleetRequestHistory and EventInformation).
    """
    began = world.now
    fleet_id = request(ec2)
    (box,) = live(world)

    def told(**more: Any) -> list[tuple[str, str]]:
        rows = ec2.describe_spot_fleet_request_history(SpotFleetRequestId=fleet_id, StartTime=began, **more)
        return [(row["EventType"], row["EventInformation"]["EventSubType"]) for row in rows["HistoryRecords"]]

    assert told() == []
    cancel(ec2, fleet_id, terminate=True)
    world.advance(5 * MINUTE)
    change = "fleetRequestChange"
    assert told() == [
        (change, "submitted"),
        (change, "active"),
        ("instanceChange", "launched"),
        (change, "cancelled_terminating"),
        ("instanceChange", "terminated"),
        (change, "cancelled"),
    ]
    assert len(told(EventType="instanceChange")) == 2
    rows = ec2.describe_spot_fleet_request_history(SpotFleetRequestId=fleet_id, StartTime=began)
    assert rows["HistoryRecords"][2]["EventInformation"]["InstanceId"] == box.id


def test_a_greater_target_launches_and_a_smaller_one_ends_the_excess(world: World, ec2: Any) -> None:
    """ModifySpotFleetRequest; with the default policy the dearest of the excess is ended (botocore)."""
    fleet_id = request(ec2)
    ec2.modify_spot_fleet_request(SpotFleetRequestId=fleet_id, TargetCapacity=3)
    world.advance(2 * MINUTE)
    assert len(live(world)) == 3
    ec2.modify_spot_fleet_request(SpotFleetRequestId=fleet_id, TargetCapacity=2)
    world.advance(HOUR)
    assert len(live(world)) == 2


def test_a_target_of_nothing_ends_everything_and_keeps_the_fleet(world: World, ec2: Any) -> None:
    """A fleet can be set to 0 and used again later (botocore, ModifySpotFleetRequest)."""
    fleet_id = request(ec2, target=2)
    world.advance(MINUTE)
    ec2.modify_spot_fleet_request(SpotFleetRequestId=fleet_id, TargetCapacity=0)
    world.advance(HOUR)
    assert (live(world), state(ec2, fleet_id)) == ([], "active")
    ec2.modify_spot_fleet_request(SpotFleetRequestId=fleet_id, TargetCapacity=1)
    world.advance(2 * MINUTE)
    assert len(live(world)) == 1


def test_no_termination_keeps_the_excess_and_replaces_none_of_it(world: World, ec2: Any) -> None:
    """Shrink with noTermination first, then end the chosen instance: the other one stays (botocore,
    ModifySpotFleetRequest).
    """
    fleet_id = request(ec2, target=2)
    world.advance(MINUTE)
    first, second = live(world)
    ec2.modify_spot_fleet_request(
        SpotFleetRequestId=fleet_id, TargetCapacity=1, ExcessCapacityTerminationPolicy="noTermination"
    )
    assert len(live(world)) == 2
    ec2.terminate_instances(InstanceIds=[first.id])
    world.advance(HOUR)
    assert live(world) == [second]


def test_only_active_maintain_fleets_can_be_modified(world: World, ec2: Any) -> None:
    """FleetNotInModifiableState for a request fleet and a cancelled one (EC2 API reference, "Error codes")."""
    once, gone = request(ec2, Type="request"), request(ec2)
    cancel(ec2, gone, terminate=False)
    for fleet_id in (once, gone):
        with pytest.raises(ClientError, match="FleetNotInModifiableState"):
            ec2.modify_spot_fleet_request(SpotFleetRequestId=fleet_id, TargetCapacity=2)


def test_cancelling_with_the_instances_ends_both(world: World, ec2: Any) -> None:
    """cancelled_terminating, and cancelled once the last instance is gone; nothing comes back (EC2 guide, "Spot Fleet
    request states").
    """
    fleet_id = request(ec2, target=2)
    world.advance(MINUTE)
    answer = cancel(ec2, fleet_id, terminate=True)
    assert answer["SuccessfulFleetRequests"] == [
        {
            "SpotFleetRequestId": fleet_id,
            "CurrentSpotFleetRequestState": "cancelled_terminating",
            "PreviousSpotFleetRequestState": "active",
        }
    ]
    assert live(world) == []
    world.advance(2 * MINUTE)
    assert state(ec2, fleet_id) == "cancelled"
    world.advance(HOUR)
    assert live(world) == []
    assert {row["ended_by"] for row in world.truth()["instances"]} == {"CancelSpotFleetRequests"}


def test_cancelling_without_the_instances_leaves_them_to_nobody(world: World, ec2: Any) -> None:
    """cancelled_running: they run on with cancelled requests, none is replaced, and the fleet is cancelled when the last
    one is gone (EC2 guide, "Spot Fleet request states"; getmoto/moto issue 4715).
    """
    fleet_id = request(ec2, target=2)
    world.advance(MINUTE)
    first, second = live(world)
    cancel(ec2, fleet_id, terminate=False)
    world.advance(HOUR)
    assert (state(ec2, fleet_id), instances(ec2, fleet_id)) == ("cancelled_running", [first.id, second.id])
    codes = {row["Status"]["Code"] for row in ec2.describe_spot_instance_requests()["SpotInstanceRequests"]}
    assert codes == {"request-canceled-and-instance-running"}
    ec2.terminate_instances(InstanceIds=[first.id])
    world.advance(HOUR)
    assert (live(world), state(ec2, fleet_id)) == ([second], "cancelled_running")
    ec2.terminate_instances(InstanceIds=[second.id])
    world.advance(HOUR)
    assert (live(world), state(ec2, fleet_id)) == ([], "cancelled")


def test_a_fleet_cancelled_without_its_instances_can_be_cancelled_with_them(world: World, ec2: Any) -> None:
    """The second request ends them; a third finds nothing to cancel (getmoto/moto issue 4715)."""
    fleet_id = request(ec2)
    cancel(ec2, fleet_id, terminate=False)
    answer = cancel(ec2, fleet_id, terminate=True)["SuccessfulFleetRequests"][0]
    assert answer["PreviousSpotFleetRequestState"] == "cancelled_running"
    world.advance(2 * MINUTE)
    assert live(world) == []
    (failure,) = cancel(ec2, fleet_id, terminate=True)["UnsuccessfulFleetRequests"]
    assert failure["Error"]["Code"] == "fleetRequestNotInCancellableState"


def test_an_unknown_fleet_is_reported_and_the_others_are_cancelled(world: World, ec2: Any) -> None:
    """fleetRequestIdDoesNotExist in UnsuccessfulFleetRequests (botocore, CancelSpotFleetRequestsError)."""
    fleet_id = request(ec2)
    answer = ec2.cancel_spot_fleet_requests(
        SpotFleetRequestIds=["sfr-00000000-0000-4000-8000-000000000000", fleet_id], TerminateInstances=True
    )
    (failure,) = answer["UnsuccessfulFleetRequests"]
    assert failure["Error"]["Code"] == "fleetRequestIdDoesNotExist"
    assert [row["SpotFleetRequestId"] for row in answer["SuccessfulFleetRequests"]] == [fleet_id]
    assert live(world) == []


def test_more_than_a_hundred_fleets_are_cancelled_not_at_all(ec2: Any) -> None:
    """101 ids are refused as a whole (botocore, CancelSpotFleetRequests)."""
    fleet_id = request(ec2)
    ids = [fleet_id, *(f"sfr-{number:08d}-0000-4000-8000-000000000000" for number in range(100))]
    with pytest.raises(ClientError, match="InvalidParameterValue"):
        ec2.cancel_spot_fleet_requests(SpotFleetRequestIds=ids, TerminateInstances=True)
    assert state(ec2, fleet_id) == "active"


@pytest.mark.parametrize("ends_too, left", [(True, 0), (False, 1)])
def test_valid_until_ends_a_fleet_and_its_instances_if_asked(
    world: World, ec2: Any, *, ends_too: bool, left: int
) -> None:
    """TerminateInstancesWithExpiration decides; either way nothing is replaced any more (botocore,
    SpotFleetRequestConfigData).
    """
    fleet_id = request(ec2, ValidUntil=world.now + HOUR, TerminateInstancesWithExpiration=ends_too)
    world.advance(2 * HOUR)
    assert len(live(world)) == left
    assert state(ec2, fleet_id) == ("cancelled" if ends_too else "cancelled_running")
    for box in live(world):
        ec2.terminate_instances(InstanceIds=[box.id])
    world.advance(HOUR)
    assert live(world) == []


def test_nothing_is_launched_before_valid_from(world: World, ec2: Any) -> None:
    """The fleet begins to fulfil its request then (botocore, SpotFleetRequestConfigData.ValidFrom)."""
    request(ec2, ValidFrom=world.now + HOUR)
    world.advance(HOUR - MINUTE)
    assert live(world) == []
    world.advance(2 * MINUTE)
    assert len(live(world)) == 1


def test_a_stopped_box_of_a_fleet_is_replaced_and_goes_with_the_fleet(world: World, ec2: Any) -> None:
    """With the behaviour stop an interrupted box stays, stopped, beside its replacement; cancelling the fleet ends it even
    if the instances are to run on (EC2 guide, "Behavior of Spot Instance interruptions").
    """
    fleet_id = request(ec2, InstanceInterruptionBehavior="stop")
    world.advance(MINUTE)
    (first,) = live(world)
    world.set_capacity(first.zone, "*", available=False)
    world.interrupt(first.id)
    world.advance(10 * MINUTE)
    (second,) = [box for box in live(world) if box is not first]
    assert (first.state, second.state, second.relaunch_of) == ("stopped", "running", first.id)
    assert instances(ec2, fleet_id) == [second.id]
    cancel(ec2, fleet_id, terminate=False)
    world.advance(2 * MINUTE)
    assert live(world) == [second]


def test_a_fleet_starts_its_stopped_box_again_where_it_would_launch_one(world: World, ec2: Any) -> None:
    """Rather than another from the same pool (EC2 guide, "Behavior of Spot Instance interruptions")."""
    only = specification(Placement={"AvailabilityZone": "us-east-1a"})
    request(ec2, InstanceInterruptionBehavior="stop", LaunchSpecifications=[only])
    world.advance(MINUTE)
    (box,) = live(world)
    world.set_capacity("*", "*", available=False)
    world.interrupt(box.id)
    world.advance(HOUR)
    assert box.state == "stopped"
    world.set_capacity("*", "*", available=True)
    world.advance(3 * MINUTE)
    assert [(one.id, one.state) for one in live(world)] == [(box.id, "running")]


def test_only_a_maintain_fleet_may_stop_what_is_interrupted(ec2: Any) -> None:
    """A fleet of type request terminates it (EC2 guide, "Behavior of Spot Instance interruptions")."""
    with pytest.raises(ClientError, match="InvalidSpotFleetRequestConfig"):
        request(ec2, Type="request", InstanceInterruptionBehavior="stop")


def test_a_cancelled_fleet_is_forgotten_after_two_days(world: World, ec2: Any) -> None:
    """48 hours after its last instance is gone (botocore, DescribeSpotFleetRequests)."""
    fleet_id = request(ec2)
    cancel(ec2, fleet_id, terminate=True)
    world.advance(2 * DAY - HOUR)
    assert state(ec2, fleet_id) == "cancelled"
    world.advance(2 * HOUR)
    assert ec2.describe_spot_fleet_requests()["SpotFleetRequestConfigs"] == []
    (row,) = world.truth()["spot_fleets"]
    assert (row["id"], row["state"]) == (fleet_id, "cancelled")


def test_the_truth_shows_spot_fleets_beside_fleets(world: World) -> None:
    """In the same shape, with what runs in them."""
    boxes = [
        world.start_box("g5.xlarge", market="maintain"),
        world.start_box("g5.xlarge", market="spot-fleet"),
    ]
    truth = world.truth()
    (fleet,), (spot_fleet,) = truth["fleets"], truth["spot_fleets"]
    assert set(fleet) == set(spot_fleet)
    assert [fleet["live_instance_ids"], spot_fleet["live_instance_ids"]] == [[box.id] for box in boxes]
    assert [row["market"] for row in truth["instances"]] == ["maintain", "spot-fleet"]
    assert (spot_fleet["type"], spot_fleet["target"], spot_fleet["state"]) == ("maintain", 1, "active")


@pytest.mark.e2e
def test_a_spot_fleet_is_started_behind_curfews_back_over_http(server: Running) -> None:
    """The market `spot-fleet` of POST /_world/instances; its fleet is in the truth."""
    answer = server.world("POST", "/instances", {"type": "g5.xlarge", "market": "spot-fleet"})
    assert (answer.status, answer.body["market"]) == (201, "spot-fleet")
    (row,) = server.world("GET").body["spot_fleets"]
    assert row["live_instance_ids"] == [answer.body["id"]]


def test_calls_on_spot_fleets_are_in_the_record(world: World, ec2: Any) -> None:
    """With the id they made or name."""
    fleet_id = request(ec2)
    cancel(ec2, fleet_id, terminate=True)
    calls = [(row["operation"], row["ids"]) for row in world.truth()["calls"]]
    assert calls == [("RequestSpotFleet", [fleet_id]), ("CancelSpotFleetRequests", [fleet_id])]
