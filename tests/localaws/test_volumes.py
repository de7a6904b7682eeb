"""Volumes: what each kind costs, from creation to deletion."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from botocore.exceptions import ClientError

from localaws.world import World
from tests.localaws.bills import billed, is_close

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
MONTH = timedelta(hours=730)
ZONE = "us-east-1a"


def create(ec2: Any, **options: Any) -> str:
    made: str = ec2.create_volume(**{"AvailabilityZone": ZONE, "Size": 100, **options})["VolumeId"]
    return made


@pytest.mark.parametrize(
    "options, usage",
    [
        ({"VolumeType": "gp3"}, {"EBS:VolumeUsage.gp3": "8"}),
        ({}, {"EBS:VolumeUsage.gp2": "10"}),
        (
            {"VolumeType": "gp3", "Iops": 4000, "Throughput": 225},
            {"EBS:VolumeUsage.gp3": "8", "EBS:VolumeP-IOPS.gp3": "5", "EBS:VolumeP-Throughput.gp3": "4"},
        ),
        (
            {"VolumeType": "io1", "Iops": 1000},
            {"EBS:VolumeUsage.piops": "12.5", "EBS:VolumeP-IOPS.piops": "65"},
        ),
        (
            {"VolumeType": "io2", "Iops": 33_000},
            {
                "EBS:VolumeUsage.io2": "12.5",
                "EBS:VolumeP-IOPS.io2": "2080",
                "EBS:VolumeP-IOPS.io2.tier2": "46",
            },
        ),
        ({"VolumeType": "st1", "Size": 1000}, {"EBS:VolumeUsage.st1": "45"}),
        ({"VolumeType": "sc1", "Size": 1000}, {"EBS:VolumeUsage.sc1": "15"}),
    ],
)
def test_a_volume_bills_its_size_and_what_is_provisioned_above_the_included(
    world: World, ec2: Any, options: dict[str, Any], usage: dict[str, str]
) -> None:
    """Every GiB, gp3's IOPS over 3,000 and MiB/s over 125, all IOPS of io1 and io2 (Amazon EBS pricing)."""
    create(ec2, **options)
    world.advance(MONTH)
    found = world.truth()["bill"]["usage_types"]
    assert set(found) == set(usage)
    for name, usd in usage.items():
        assert is_close(Decimal(found[name]), usd)


def test_a_volume_bills_whether_or_not_it_is_attached(world: World, ec2: Any) -> None:
    """One that was never attached bills until it is deleted (Amazon EBS pricing: for storage provisioned)."""
    volume = create(ec2, VolumeType="gp3")
    world.advance(HOUR)
    an_hour = billed(world, "EBS:VolumeUsage.gp3")
    ec2.delete_volume(VolumeId=volume)
    world.advance(100 * HOUR)
    assert an_hour == billed(world, "EBS:VolumeUsage.gp3") > 0


def test_a_volume_that_its_box_leaves_behind_bills_on(world: World, ec2: Any) -> None:
    """Attached volumes are not deleted with their box, and go on billing (botocore, EbsBlockDevice.DeleteOnTermination;
    EC2 guide, "Preserve data when an instance is terminated")."""
    box = world.start_box("g5.xlarge", zone=ZONE)
    world.advance(MINUTE)
    mine = create(ec2, VolumeType="st1", Size=500)
    ec2.attach_volume(VolumeId=mine, InstanceId=box.id, Device="/dev/sdf")
    ec2.terminate_instances(InstanceIds=[box.id])
    world.advance(HOUR)
    at_end = billed(world, "EBS:VolumeUsage.st1")
    assert [volume["VolumeId"] for volume in ec2.describe_volumes()["Volumes"]] == [mine]
    world.advance(HOUR)
    assert is_close(billed(world, "EBS:VolumeUsage.st1") - at_end, 500 * Decimal("0.045") / 730)
    assert Decimal(world.row(box.id)["bill"]["storage_usd"]) < Decimal("0.001")


def test_a_volume_of_a_launch_that_stays_costs_its_box_more_after_its_end(world: World, ec2: Any) -> None:
    """A data volume outlives its box unless DeleteOnTermination says otherwise (botocore, EbsBlockDevice)."""
    launched = ec2.run_instances(
        ImageId="ami-0123456789abcdef0",
        InstanceType="g5.xlarge",
        MinCount=1,
        MaxCount=1,
        BlockDeviceMappings=[{"DeviceName": "/dev/sdf", "Ebs": {"VolumeSize": 500}}],
    )["Instances"][0]
    ec2.terminate_instances(InstanceIds=[launched["InstanceId"]])
    world.advance(MINUTE)
    before = Decimal(world.row(launched["InstanceId"])["billed_usd"])
    world.advance(HOUR)
    after = Decimal(world.row(launched["InstanceId"])["billed_usd"])
    assert is_close(after - before, 500 * Decimal("0.08") / 730)
    (volume,) = ec2.describe_volumes()["Volumes"]
    ec2.delete_volume(VolumeId=volume["VolumeId"])
    world.advance(HOUR)
    assert Decimal(world.row(launched["InstanceId"])["billed_usd"]) == after


def test_a_launch_provisions_iops_and_throughput(world: World, ec2: Any) -> None:
    """What a block device mapping asks for is what the volume is and bills (botocore, EbsBlockDevice)."""
    ebs = {"VolumeSize": 100, "VolumeType": "gp3", "Iops": 5000, "Throughput": 500}
    box_id = ec2.run_instances(
        ImageId="ami-0123456789abcdef0",
        InstanceType="g5.xlarge",
        MinCount=2,
        MaxCount=2,
        BlockDeviceMappings=[
            {"DeviceName": "/dev/sda1", "Ebs": {"VolumeType": "io1", "Iops": 100}},
            {"DeviceName": "/dev/sdf", "Ebs": ebs},
        ],
    )["Instances"][1]["InstanceId"]
    described = ec2.describe_volumes(Filters=[{"Name": "attachment.instance-id", "Values": [box_id]}])
    assert sorted(
        (one["VolumeType"], one["Iops"], one.get("Throughput")) for one in described["Volumes"]
    ) == [
        ("gp3", 5000, 500),
        ("io1", 100, None),
    ]
    world.advance(MONTH)
    assert is_close(billed(world, "EBS:VolumeP-IOPS.gp3"), 2 * 2000 * Decimal("0.005"))
    assert is_close(billed(world, "EBS:VolumeP-IOPS.piops"), 2 * 100 * Decimal("0.065"))


def test_a_modified_volume_bills_as_what_it_has_become(world: World, ec2: Any) -> None:
    """The new size, type and IOPS bill from the modification on (EBS guide, "Modify an Amazon EBS volume")."""
    volume = create(ec2, VolumeType="gp2")
    world.advance(MONTH)
    ec2.modify_volume(VolumeId=volume, VolumeType="gp3", Size=200, Iops=3500)
    world.advance(MONTH)
    assert is_close(billed(world, "EBS:VolumeUsage.gp2"), "10")
    assert is_close(billed(world, "EBS:VolumeUsage.gp3"), "16")
    assert is_close(billed(world, "EBS:VolumeP-IOPS.gp3"), "2.5")


@pytest.mark.parametrize(
    "options, code",
    [
        ({"VolumeType": "io2"}, "MissingParameter"),
        ({"VolumeType": "st1", "Size": 100}, "InvalidParameterValue"),
        ({"VolumeType": "gp2", "Iops": 3000}, "InvalidParameterCombination"),
        ({"VolumeType": "gp3", "Iops": 90_000}, "InvalidParameterValue"),
        ({"VolumeType": "gp2", "Throughput": 200}, "InvalidParameterCombination"),
        ({"VolumeType": "gp9"}, "InvalidParameterValue"),
        ({"AvailabilityZone": "us-east-1z"}, "InvalidZone.NotFound"),
    ],
)
def test_volumes_out_of_bounds_are_refused(ec2: Any, options: dict[str, Any], code: str) -> None:
    """Each kind has its sizes and its IOPS, which io1 and io2 must be given (botocore, CreateVolumeRequest)."""
    with pytest.raises(ClientError, match=code):
        create(ec2, **options)


def test_an_attached_volume_is_not_deleted(world: World, ec2: Any) -> None:
    """VolumeInUse until it is detached (botocore, DeleteVolume: must be in the available state)."""
    box = world.start_box("g5.xlarge")
    with pytest.raises(ClientError, match="VolumeInUse"):
        ec2.delete_volume(VolumeId=box.volumes[0].id)
