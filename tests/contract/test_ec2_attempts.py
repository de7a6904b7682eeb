"""The recorded calls: complete, capped, tagged, replayable, and what EC2's own model accepts."""

import base64
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import botocore.session
import pytest
from botocore.validate import ParamValidator

from chalicelib.domain.guest_heartbeat import Beacon
from chalicelib.domain.lease import Attempt, LaunchOrder, RequestType
from chalicelib.domain.storage import Disk
from chalicelib.gateways.ec2_attempts import attempts
from chalicelib.ports import Image
from tests.contract.compute_labs import AMI, an_order

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
CAPS = {"g5.xlarge": Decimal("1.006"), "g4dn.xlarge": Decimal("0.526"), "p5.48xlarge": Decimal("55.04")}


def made(
    order: LaunchOrder, lease_id: str = "lease-1", *, image: Image = AMI, beacon: Beacon | None = None
) -> tuple[Attempt, ...]:
    return attempts(
        order,
        lease_id=lease_id,
        owner="ann",
        price_caps=CAPS,
        image=image,
        expires_at=NOW + timedelta(hours=8),
        valid_until=NOW + timedelta(days=3, microseconds=7),
        now=NOW,
        beacon=beacon,
    )


def test_every_kind_of_launch_gives_its_boxes_their_beacon() -> None:
    """A maintained fleet's, too, which have no deadline."""
    beacon = Beacon(lease_id="lease-1", url="https://curfew.example", key="5ec2e7")
    for kind in (RequestType.ONE_TIME, RequestType.PERSISTENT, RequestType.MAINTAIN):
        for attempt in made(full(kind), beacon=beacon):
            launch = attempt.parameters.get("launch_template", {}).get(
                "LaunchTemplateData", attempt.parameters
            )
            told = launch["UserData"]
            told = told if kind is RequestType.PERSISTENT else base64.b64decode(told).decode()
            assert "key=5ec2e7" in told
            assert ("curfew-deadline.timer" in told) is (kind is not RequestType.MAINTAIN)


def full(request_type: RequestType) -> LaunchOrder:
    """An order with every field set."""
    return an_order(
        request_type,
        instance_types=("g5.xlarge", "g4dn.xlarge"),
        target_capacity=2,
        volume_gib=300,
        key_name="mine",
        subnet_id="subnet-1",
        project="vision",
        user_data="#!/bin/sh\necho hi\n",
        instance_profile="trainer",
    )


def tags(specifications: list[dict[str, Any]]) -> dict[str, dict[str, str]]:
    return {one["ResourceType"]: {tag["Key"]: tag["Value"] for tag in one["Tags"]} for one in specifications}


@pytest.mark.parametrize("request_type", [RequestType.ONE_TIME, RequestType.PERSISTENT, RequestType.MAINTAIN])
def test_ec2_accepts_every_parameter(request_type: RequestType) -> None:
    """botocore's model of EC2 finds nothing wrong with the calls, after a trip through JSON."""
    model = botocore.session.get_session().get_service_model("ec2")
    for attempt in made(full(request_type)):
        parameters = json.loads(json.dumps(attempt.parameters))
        calls = (
            {"RunInstances": parameters}
            if attempt.operation == "RunInstances"
            else {"CreateLaunchTemplate": parameters["launch_template"], "CreateFleet": parameters["fleet"]}
        )
        for operation, given in calls.items():
            shape = model.operation_model(operation).input_shape
            assert shape is not None
            report = ParamValidator().validate(given, shape)
            assert not report.has_errors(), report.generate_report()


def test_one_time_is_one_instant_fleet_over_all_types() -> None:
    """One call: cheapest first, each type under its own cap, the whole under the sum."""
    (attempt,) = made(full(RequestType.ONE_TIME))
    fleet = attempt.parameters["fleet"]
    assert (attempt.operation, fleet["Type"]) == ("CreateFleet", "instant")
    assert fleet["LaunchTemplateConfigs"][0]["Overrides"] == [
        {"InstanceType": "g4dn.xlarge", "MaxPrice": "0.526", "SubnetId": "subnet-1"},
        {"InstanceType": "g5.xlarge", "MaxPrice": "1.006", "SubnetId": "subnet-1"},
    ]
    assert fleet["SpotOptions"]["MaxTotalPrice"] == "2.012"
    assert fleet["TargetCapacitySpecification"]["OnDemandTargetCapacity"] == 0


def test_several_boxes_are_all_or_nothing() -> None:
    """A fleet of two launches two or none; one box may start in any zone."""
    several = made(full(RequestType.ONE_TIME))[0].parameters["fleet"]["SpotOptions"]
    assert (several["MinTargetCapacity"], several["SingleAvailabilityZone"]) == (2, True)
    one = made(an_order())[0].parameters["fleet"]["SpotOptions"]
    assert "MinTargetCapacity" not in one
    (persistent, _) = made(full(RequestType.PERSISTENT))
    assert (persistent.parameters["MinCount"], persistent.parameters["MaxCount"]) == (2, 2)


def test_a_one_time_box_ends_when_its_guest_shuts_down() -> None:
    """Shutdown terminates, because a one-time box has nothing to come back for."""
    template = made(full(RequestType.ONE_TIME))[0].parameters["launch_template"]
    data = template["LaunchTemplateData"]
    assert template["LaunchTemplateName"] == "curfew-lease-1"
    assert data["InstanceInitiatedShutdownBehavior"] == "terminate"
    assert b"echo hi" in base64.b64decode(data["UserData"])
    assert data["BlockDeviceMappings"] == [
        {
            "DeviceName": "/dev/xvda",
            "Ebs": {
                "VolumeSize": 300,
                "VolumeType": "gp3",
                "Iops": 3000,
                "Throughput": 125,
                "DeleteOnTermination": True,
            },
        }
    ]
    assert data["IamInstanceProfile"] == {"Name": "trainer"}
    assert data["MetadataOptions"] == {"HttpTokens": "required", "InstanceMetadataTags": "enabled"}


def test_maintain_is_one_fleet_that_keeps_its_target_and_ends_by_itself() -> None:
    """Over every type under its cap, the whole under the sum; its end is told at its launch, with its boxes."""
    (attempt,) = made(full(RequestType.MAINTAIN))
    fleet = attempt.parameters["fleet"]
    assert (attempt.operation, fleet["Type"]) == ("CreateFleet", "maintain")
    assert (fleet["ValidUntil"], fleet["TerminateInstancesWithExpiration"]) == (
        "2026-11-26T09:00:00+00:00",
        True,
    )
    assert (fleet["ExcessCapacityTerminationPolicy"], fleet["ReplaceUnhealthyInstances"]) == (
        "termination",
        False,
    )
    assert fleet["TargetCapacitySpecification"] == {
        "TotalTargetCapacity": 2,
        "SpotTargetCapacity": 2,
        "OnDemandTargetCapacity": 0,
        "DefaultTargetCapacityType": "spot",
    }
    assert fleet["SpotOptions"] == {
        "AllocationStrategy": "price-capacity-optimized",
        "InstanceInterruptionBehavior": "terminate",
        "MaxTotalPrice": "2.012",
    }
    assert [one["MaxPrice"] for one in fleet["LaunchTemplateConfigs"][0]["Overrides"]] == ["0.526", "1.006"]


def test_the_boxes_of_a_maintained_fleet_are_tagged_by_its_template_and_have_no_deadline() -> None:
    """EC2 refuses other tags of such a fleet, and starts another box for one that shuts itself down."""
    parameters = made(full(RequestType.MAINTAIN))[0].parameters
    data = parameters["launch_template"]["LaunchTemplateData"]
    assert set(tags(parameters["fleet"]["TagSpecifications"])) == {"fleet"}
    assert set(tags(data["TagSpecifications"])) == {"instance", "volume", "spot-instances-request"}
    assert base64.b64decode(data["UserData"]) == b"#!/bin/sh\necho hi\n"
    assert data["InstanceInitiatedShutdownBehavior"] == "terminate"
    assert (
        "UserData"
        not in made(an_order(RequestType.MAINTAIN))[0].parameters["launch_template"]["LaunchTemplateData"]
    )


@pytest.mark.parametrize("request_type", [RequestType.ONE_TIME, RequestType.PERSISTENT])
def test_no_volume_of_the_image_outlives_its_box(request_type: RequestType) -> None:
    """Each is named with DeleteOnTermination and keeps its shape; IOPS and throughput only where its type takes them."""
    others = (
        Disk(device="/dev/sde", gib=10, type="gp3", throughput=500),
        Disk(device="/dev/sdf", gib=500, type="gp2", iops=1500),
        Disk(device="/dev/sdg", gib=100, type="io2", iops=4000),
    )
    attempt = made(an_order(request_type), image=replace(AMI, other_disks=others))[0]
    box = (
        attempt.parameters["launch_template"]["LaunchTemplateData"]
        if request_type is RequestType.ONE_TIME
        else attempt.parameters
    )
    ends = {"DeleteOnTermination": True}
    assert {one["DeviceName"]: one["Ebs"] for one in box["BlockDeviceMappings"]} == {
        "/dev/xvda": {"VolumeSize": 45, "VolumeType": "gp3", "Iops": 3000, "Throughput": 125, **ends},
        "/dev/sde": {"VolumeSize": 10, "VolumeType": "gp3", "Iops": 3000, "Throughput": 500, **ends},
        "/dev/sdf": {"VolumeSize": 500, "VolumeType": "gp2", **ends},
        "/dev/sdg": {"VolumeSize": 100, "VolumeType": "io2", "Iops": 4000, **ends},
    }


def test_an_instance_profile_is_named_or_an_arn() -> None:
    """EC2 takes each under its own key."""
    arn = "arn:aws:iam::123456789012:instance-profile/trainer"
    (attempt,) = made(an_order(RequestType.PERSISTENT, instance_profile=arn))
    assert attempt.parameters["IamInstanceProfile"] == {"Arn": arn}


@pytest.mark.parametrize("kind", [RequestType.ONE_TIME, RequestType.PERSISTENT, RequestType.MAINTAIN])
def test_a_launch_names_each_of_its_groups_once(kind: RequestType) -> None:
    """Curfew's own first; none are named where none are asked for, and its VPC's default group is taken."""

    def groups(**wishes: Any) -> object:
        (attempt,) = made(an_order(kind, **wishes))
        sent = attempt.parameters
        return sent.get("launch_template", {}).get("LaunchTemplateData", sent).get("SecurityGroupIds")

    assert groups() is None
    assert groups(own_group_id="sg-own") == ["sg-own"]
    assert groups(own_group_id="sg-own", security_group_ids=("sg-1", "sg-own")) == ["sg-own", "sg-1"]


def test_persistent_is_one_call_a_type_cheapest_first() -> None:
    """Each under its cap, valid in whole seconds for as long as a lease may last, stopped when interrupted."""
    cheap, dear = made(full(RequestType.PERSISTENT))
    assert (cheap.parameters["InstanceType"], dear.parameters["InstanceType"]) == ("g4dn.xlarge", "g5.xlarge")
    assert cheap.parameters["InstanceMarketOptions"]["SpotOptions"] == {
        "MaxPrice": "0.526",
        "SpotInstanceType": "persistent",
        "InstanceInterruptionBehavior": "stop",
        "ValidUntil": "2026-11-26T09:00:00+00:00",
    }
    assert cheap.parameters["InstanceInitiatedShutdownBehavior"] == "stop"
    assert cheap.parameters["SubnetId"] == "subnet-1"


def test_everything_that_is_made_is_tagged() -> None:
    """Box, volume, request, fleet and template carry the lease."""
    fleet = made(full(RequestType.ONE_TIME))[0].parameters
    persistent = made(full(RequestType.PERSISTENT))[0].parameters
    found = {
        **tags(fleet["fleet"]["TagSpecifications"]),
        **tags(fleet["launch_template"]["TagSpecifications"]),
        **tags(fleet["launch_template"]["LaunchTemplateData"]["TagSpecifications"]),
    }
    assert set(found) == {"fleet", "instance", "volume", "launch-template", "spot-instances-request"}
    assert set(tags(persistent["TagSpecifications"])) == {"instance", "volume", "spot-instances-request"}
    assert found["instance"] == {
        "curfew:lease": "lease-1",
        "curfew:owner": "ann",
        "curfew:expires-at": "2026-11-23T17:00:00+00:00",
        "curfew:project": "vision",
        "Name": "curfew lease-1",
    }


def test_tokens_are_of_the_lease_and_the_attempt_alone() -> None:
    """The same again after a crash; another for every attempt and lease."""
    order = full(RequestType.PERSISTENT)
    tokens = [attempt.token for attempt in made(order)]
    assert tokens == [attempt.token for attempt in made(order)]
    assert len({*tokens, *(attempt.token for attempt in made(order, "lease-2"))}) == 4
    assert all(len(token) == 32 for token in tokens)
    assert [attempt.parameters["ClientToken"] for attempt in made(order)] == tokens


def test_prices_are_written_without_an_exponent() -> None:
    """EC2 reads digits."""
    order = an_order(instance_types=("g5.xlarge",))
    (attempt,) = attempts(
        order,
        lease_id="lease-1",
        owner="ann",
        price_caps={"g5.xlarge": Decimal("1E+1")},
        image=AMI,
        expires_at=NOW,
        valid_until=NOW,
        now=NOW,
    )
    assert attempt.parameters["fleet"]["SpotOptions"]["MaxTotalPrice"] == "10"
