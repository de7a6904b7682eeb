"""ClientToken: the same launch once, however often it is asked for."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from localaws.world import World
from tests.localaws.conftest import IMAGE

LAUNCH = {"ImageId": IMAGE, "InstanceType": "g5.xlarge", "MinCount": 1, "MaxCount": 1}
TEMPLATE = {
    "LaunchTemplateName": "training",
    "LaunchTemplateData": {"ImageId": IMAGE, "InstanceType": "g5.xlarge"},
}
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)


def launch(ec2: Any, **options: Any) -> dict[str, Any]:
    instance: dict[str, Any] = ec2.run_instances(**{**LAUNCH, **options})["Instances"][0]
    return instance


def test_the_same_token_and_parameters_give_the_same_instance(world: World, ec2: Any) -> None:
    """A repeated RunInstances answers the first launch and starts nothing; the instance shows its token (EC2 developer
    guide, "Ensuring idempotency in Amazon EC2 API requests")."""
    first, second = (ec2.run_instances(**LAUNCH, ClientToken="t-1") for _ in range(2))
    assert first["Instances"][0]["InstanceId"] == second["Instances"][0]["InstanceId"]
    assert first["ReservationId"] == second["ReservationId"]
    assert first["Instances"][0]["ClientToken"] == "t-1"
    assert len(list(world.boxes)) == 1


def test_a_repeated_launch_answers_with_the_state_of_now(world: World, ec2: Any) -> None:
    """The result of a retry may carry newer information, such as the state (EC2 developer guide, "Ensuring idempotency in
    Amazon EC2 API requests")."""
    assert launch(ec2, ClientToken="t-1")["State"]["Name"] == "pending"
    world.advance(MINUTE)
    assert launch(ec2, ClientToken="t-1")["State"]["Name"] == "running"


def test_the_token_of_a_terminated_instance_launches_nothing(world: World, ec2: Any) -> None:
    """IdempotentInstanceTerminated, which is no launch (EC2 API error codes; boto3 issue 4406)."""
    box_id = launch(ec2, ClientToken="t-1")["InstanceId"]
    ec2.terminate_instances(InstanceIds=[box_id])
    world.advance(MINUTE)
    with pytest.raises(ClientError, match="IdempotentInstanceTerminated"):
        launch(ec2, ClientToken="t-1")
    assert len(list(world.boxes)) == 1


def test_a_launch_token_is_good_for_a_day_after_the_termination_of_its_instance(
    world: World, ec2: Any
) -> None:
    """It outlives a long run, and is forgotten 24 hours after its end (EC2 API reference of 2016, "Ensuring Idempotency": "at
    least 24 hours after the termination of the instance")."""
    box_id = launch(ec2, ClientToken="t-1")["InstanceId"]
    world.advance(3 * DAY)
    assert launch(ec2, ClientToken="t-1")["InstanceId"] == box_id
    ec2.terminate_instances(InstanceIds=[box_id])
    world.advance(DAY - MINUTE)
    with pytest.raises(ClientError, match="IdempotentInstanceTerminated"):
        launch(ec2, ClientToken="t-1")
    world.advance(2 * MINUTE)
    assert launch(ec2, ClientToken="t-1")["InstanceId"] != box_id


def test_the_same_token_with_other_parameters_is_a_mismatch(ec2: Any) -> None:
    """IdempotentParameterMismatch, and nothing is started (EC2 developer guide, "Ensuring idempotency in Amazon EC2 API
    requests")."""
    launch(ec2, ClientToken="t-1")
    with pytest.raises(ClientError, match="IdempotentParameterMismatch"):
        launch(ec2, InstanceType="g5.2xlarge", ClientToken="t-1")


def test_tokens_count_per_region(world: World, ec2: Any) -> None:
    """The same token in another region is another launch (EC2 developer guide, "Ensuring idempotency in Amazon EC2 API
    requests")."""
    launch(ec2, ClientToken="t-1")
    launch(world.session("us-west-2").client("ec2"), ClientToken="t-1")
    assert len(list(world.boxes)) == 2


def test_the_token_of_a_launch_that_names_its_zone_counts_per_zone(world: World, ec2: Any) -> None:
    """Named as such or by a subnet, another zone is another launch, the same one is not (EC2 developer guide, "RunInstances
    idempotency")."""
    subnets = {one["AvailabilityZone"]: one["SubnetId"] for one in ec2.describe_subnets()["Subnets"]}
    for zone in ("us-east-1a", "us-east-1b", "us-east-1a"):
        launch(ec2, ClientToken="by-name", Placement={"AvailabilityZone": zone})
        launch(ec2, ClientToken="by-subnet", SubnetId=subnets[zone])
    assert sorted((box.moto.client_token, box.zone) for box in world.boxes) == [
        ("by-name", "us-east-1a"),
        ("by-name", "us-east-1b"),
        ("by-subnet", "us-east-1a"),
        ("by-subnet", "us-east-1b"),
    ]
    with pytest.raises(ClientError, match="IdempotentParameterMismatch"):
        launch(
            ec2,
            ClientToken="by-name",
            Placement={"AvailabilityZone": "us-east-1a"},
            InstanceType="g5.2xlarge",
        )


def test_a_launch_that_failed_does_not_use_its_token_up(world: World, ec2: Any) -> None:
    """After InsufficientInstanceCapacity the same token may launch: idempotency is of what completed (EC2 developer guide,
    "Ensuring idempotency in Amazon EC2 API requests")."""
    world.set_capacity("*", "*", available=False)
    with pytest.raises(ClientError, match="InsufficientInstanceCapacity"):
        launch(ec2, ClientToken="t-1")
    world.set_capacity("*", "*", available=True)
    launch(ec2, ClientToken="t-1")
    assert len(list(world.boxes)) == 1


def test_a_launch_whose_answer_was_lost_is_found_again_by_its_token(world: World, ec2: Any) -> None:
    """The retry starts nothing and learns the instance (EC2 developer guide, "Ensuring idempotency in Amazon EC2 API
    requests")."""
    world.fault(operation="RunInstances", lost_answer=True, code="InternalError", times=5)
    with pytest.raises(ClientError, match="InternalError"):
        launch(ec2, ClientToken="t-1")
    world.clear_faults()
    (box,) = world.boxes
    assert launch(ec2, ClientToken="t-1")["InstanceId"] == box.id


def test_a_token_has_at_most_64_ascii_characters(ec2: Any) -> None:
    """A longer one is refused (EC2 developer guide, "Ensuring idempotency in Amazon EC2 API requests")."""
    launch(ec2, ClientToken="t" * 64)
    with pytest.raises(ClientError, match="InvalidParameterValue"):
        launch(ec2, ClientToken="t" * 65)


def test_fleets_and_launch_templates_honour_their_tokens(world: World, ec2: Any) -> None:
    """CreateLaunchTemplate and CreateFleet answer the first result again; other parameters are a mismatch (EC2 developer
    guide, "Ensuring idempotency in Amazon EC2 API requests")."""
    ids = {
        ec2.create_launch_template(**TEMPLATE, ClientToken="a")["LaunchTemplate"]["LaunchTemplateId"]
        for _ in range(2)
    }
    assert len(ids) == 1
    fleet: dict[str, Any] = {
        "Type": "instant",
        "ClientToken": "b",
        "LaunchTemplateConfigs": [
            {"LaunchTemplateSpecification": {"LaunchTemplateId": ids.pop(), "Version": "1"}}
        ],
        "TargetCapacitySpecification": {"TotalTargetCapacity": 1, "DefaultTargetCapacityType": "spot"},
    }
    assert len({ec2.create_fleet(**fleet)["FleetId"] for _ in range(2)}) == 1
    assert len(list(world.boxes)) == 1
    with pytest.raises(ClientError, match="IdempotentParameterMismatch"):
        ec2.create_fleet(**{**fleet, "Type": "maintain"})


def test_template_versions_volumes_and_spot_requests_honour_their_tokens(ec2: Any) -> None:
    """One token, one of each (botocore, CreateLaunchTemplateVersion, CreateVolume, RequestSpotInstances)."""
    ec2.create_launch_template(**TEMPLATE)
    data = TEMPLATE["LaunchTemplateData"]
    for _ in range(2):
        ec2.create_launch_template_version(
            LaunchTemplateName="training", LaunchTemplateData=data, ClientToken="a"
        )
        ec2.create_volume(AvailabilityZone="us-east-1a", Size=8, ClientToken="b")
        ec2.request_spot_instances(LaunchSpecification=data, ClientToken="c")
    versions = ec2.describe_launch_template_versions(LaunchTemplateName="training")["LaunchTemplateVersions"]
    assert [one["VersionNumber"] for one in versions] == [1, 2]
    assert len(ec2.describe_volumes()["Volumes"]) == 1
    assert len(ec2.describe_spot_instance_requests()["SpotInstanceRequests"]) == 1
