"""Volumes as the gateway reads them, and what a box's own answer says of its end and its disks."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.stub import ANY

from chalicelib.domain.errors import Unavailable
from chalicelib.gateways.aws import ASKING
from chalicelib.gateways.ec2 import Ec2Compute
from chalicelib.gateways.ec2_observe import to_instance
from localaws.world import World
from tests.contract.compute_labs import AMI, REGION, WorldLab, aws_of, instance_of, stubbed

NINE = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)


def raw_volume(volume_id: str, instance_id: str, **facts: Any) -> dict[str, Any]:
    attachment = {"InstanceId": instance_id, "AttachTime": NINE, "DeleteOnTermination": True}
    return {
        "VolumeId": volume_id,
        "Size": 100,
        "VolumeType": "gp3",
        "CreateTime": NINE,
        "Attachments": [attachment],
        **facts,
    }


def test_two_hundred_boxes_a_call_and_every_page() -> None:
    """Of 201 boxes one is in the second call; a call's second page is read too; what lacks its id is passed over."""
    compute, stubber = stubbed(ASKING)
    ids = [f"i-{number:03}" for number in range(201)]
    first = {"Volumes": [raw_volume("vol-1", "i-000", Iops=3000, Throughput=125)], "NextToken": "more"}
    stubber.add_response("describe_volumes", first)
    second = {"Volumes": [raw_volume("vol-2", "i-000", Size=7), {"Size": 5}, {"VolumeId": "vol-3"}]}
    stubber.add_response("describe_volumes", second, {"Filters": ANY, "NextToken": "more"})
    last = [{"Name": "attachment.instance-id", "Values": ["i-200"]}]
    stubber.add_response("describe_volumes", {"Volumes": [raw_volume("vol-4", "i-200")]}, {"Filters": last})
    found = compute.volumes(REGION, ids)
    assert [(one.id, one.gib) for one in found["i-000"]] == [("vol-1", 100), ("vol-2", 7)]
    assert (found["i-000"][0].iops, found["i-000"][0].throughput) == (3000, 125)
    assert [one.id for one in found["i-200"]] == ["vol-4"]
    assert found["i-001"] == ()
    stubber.assert_no_pending_responses()


def test_a_volume_of_two_boxes_is_of_each_and_one_that_stays_says_so() -> None:
    """io2 can be attached twice; without a type it is of an unknown one, which is dear."""
    compute, stubber = stubbed(ASKING)
    raw = raw_volume("vol-1", "i-1", VolumeType=None)
    raw["Attachments"].append({"InstanceId": "i-2", "DeleteOnTermination": False})
    del raw["VolumeType"]
    stubber.add_response("describe_volumes", {"Volumes": [raw]})
    found = compute.volumes(REGION, ["i-1", "i-2"])
    assert [found[one][0].outlives_box for one in ("i-1", "i-2")] == [False, True]
    assert found["i-1"][0].type == "unknown"


def test_no_answer_is_unavailable() -> None:
    """Whoever asks then goes on with what was known."""
    compute, stubber = stubbed(ASKING)
    stubber.add_client_error("describe_volumes", "InternalError", http_status_code=400)
    with pytest.raises(Unavailable, match="describing volumes in us-east-1: InternalError"):
        compute.volumes(REGION, ["i-1"])


def test_a_box_s_disks_with_all_that_bills() -> None:
    """Type, size, IOPS and throughput as they were asked for; a data volume that stays is told from the root."""
    with World(seed=7) as world:
        lab = WorldLab(world)
        data = {"VolumeSize": 200, "VolumeType": "gp3", "Iops": 6000, "Throughput": 500}
        root = {"VolumeSize": 60, "VolumeType": "gp2", "DeleteOnTermination": True}
        answer = lab.aws.ec2(REGION).run_instances(
            ImageId=AMI.id,
            InstanceType="g5.xlarge",
            MinCount=1,
            MaxCount=1,
            BlockDeviceMappings=[
                {"DeviceName": "/dev/sda1", "Ebs": root},
                {"DeviceName": "/dev/sdf", "Ebs": {**data, "DeleteOnTermination": False}},
            ],  # type: ignore[list-item]
        )
        box = answer["Instances"][0]["InstanceId"]
        disks = {one.type: one for one in lab.compute.volumes(REGION, [box])[box]}
        assert (disks["gp2"].gib, disks["gp3"].gib) == (60, 200)
        assert (disks["gp3"].iops, disks["gp3"].throughput) == (6000, 500)
        assert instance_of(lab, box).volumes == {disks["gp2"].id: False, disks["gp3"].id: True}


@pytest.mark.parametrize(
    "raw, expected",
    [
        ({"StateReason": {"Code": "Server.SpotInstanceTermination"}}, True),
        ({"StateReason": {"Code": "Server.SpotInstanceShutdown"}}, True),
        ({"StateReason": {"Code": "Client.UserInitiatedShutdown"}}, False),
        ({"StateReason": {"Code": "Server.InsufficientInstanceCapacity"}}, False),
        ({"StateReason": None}, False),
        ({}, False),
    ],
)
def test_only_awss_own_words_make_an_interruption(raw: dict[str, Any], expected: bool) -> None:  # noqa: FBT001
    """What is unknown is billed."""
    assert to_instance({"InstanceId": "i-1", **raw}, REGION).was_interrupted is expected


def test_an_answer_without_devices_says_nothing_of_disks() -> None:
    """Which is not the same as none."""
    assert to_instance({"InstanceId": "i-1"}, REGION).volumes is None
    mappings = [{"DeviceName": "/dev/xvda", "Ebs": {"VolumeId": "vol-1"}}, {"DeviceName": "/dev/sdb"}]
    assert to_instance({"InstanceId": "i-1", "BlockDeviceMappings": []}, REGION).volumes == {}
    assert to_instance({"InstanceId": "i-1", "BlockDeviceMappings": mappings}, REGION).volumes == {
        "vol-1": True
    }


def test_the_elastic_ips_of_boxes_are_told_by_box() -> None:
    """One that is nobody's is nobody's leftover; no answer is Unavailable."""
    with World(regions=(REGION,)) as world:
        ec2 = world.session().client("ec2")
        box, bare = world.start_box(), world.start_box()
        world.advance(timedelta(minutes=1))
        mine, _ = (ec2.allocate_address(Domain="vpc") for _ in range(2))
        ec2.associate_address(AllocationId=mine["AllocationId"], InstanceId=box.id)
        compute = Ec2Compute(aws_of(world))
        found = compute.addresses(REGION, [box.id, bare.id], now=NINE)
        (one,) = found[box.id]
        assert (one.id, one.ip, one.since) == (mine["AllocationId"], mine["PublicIp"], NINE)
        assert found[bare.id] == ()
        world.fault(service="ec2", operation="DescribeAddresses", code="UnauthorizedOperation")
        with pytest.raises(Unavailable):
            compute.addresses(REGION, [box.id], now=NINE)
