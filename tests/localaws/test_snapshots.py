"""Snapshots and images: what they go through, what they keep alive and what they cost."""

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
SNAPSHOTS = "EBS:SnapshotUsage"


def launch(world: World, ec2: Any, **options: Any) -> str:
    """A running box with a root volume of 50 GiB and another of 100."""
    box_id: str = ec2.run_instances(
        ImageId="ami-0123456789abcdef0",
        InstanceType="g5.xlarge",
        MinCount=1,
        MaxCount=1,
        BlockDeviceMappings=[
            {"DeviceName": "/dev/sda1", "Ebs": {"VolumeSize": 50}},
            {"DeviceName": "/dev/sdf", "Ebs": {"VolumeSize": 100, "VolumeType": "st1"}},
        ],
        **options,
    )["Instances"][0]["InstanceId"]
    world.advance(HOUR)
    return box_id


def images(ec2: Any, **options: Any) -> dict[str, str]:
    return {
        image["ImageId"]: image["State"]
        for image in ec2.describe_images(Owners=["self"], **options)["Images"]
    }


def test_a_snapshot_is_pending_for_minutes_and_then_completed(world: World, ec2: Any) -> None:
    """Its copy takes its time, and the waiter sees the end (EBS guide, "Create Amazon EBS snapshots": asynchronous)."""
    volume = ec2.create_volume(AvailabilityZone="us-east-1a", Size=100, VolumeType="gp3")["VolumeId"]
    made = ec2.create_snapshot(VolumeId=volume, Description="before the end")
    assert (made["State"], made["VolumeSize"]) == ("pending", 100)
    world.advance(HOUR)
    (shown,) = ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]
    assert (shown["State"], shown["Progress"], shown["Description"]) == (
        "completed",
        "100%",
        "before the end",
    )


def test_a_snapshot_outlives_its_volume_and_bills_five_cents_a_gib_month(world: World, ec2: Any) -> None:
    """Until it is deleted itself; the full size, as the most it can cost (Amazon EBS pricing, snapshots)."""
    volume = ec2.create_volume(AvailabilityZone="us-east-1a", Size=100, VolumeType="gp3")["VolumeId"]
    snapshot = ec2.create_snapshot(VolumeId=volume)["SnapshotId"]
    ec2.delete_volume(VolumeId=volume)
    world.advance(MONTH)
    assert is_close(billed(world, SNAPSHOTS), "5")
    ec2.delete_snapshot(SnapshotId=snapshot)
    world.advance(MONTH)
    assert is_close(billed(world, SNAPSHOTS), "5")
    with pytest.raises(ClientError, match=r"InvalidSnapshot\.NotFound"):
        ec2.describe_snapshots(SnapshotIds=[snapshot])


def test_a_volume_is_made_of_a_snapshot_with_its_size(world: World, ec2: Any) -> None:
    """Without a size it takes the snapshot's (botocore, CreateVolumeRequest.SnapshotId)."""
    volume = ec2.create_volume(AvailabilityZone="us-east-1a", Size=70)["VolumeId"]
    snapshot = ec2.create_snapshot(VolumeId=volume)["SnapshotId"]
    assert ec2.create_volume(AvailabilityZone="us-east-1b", SnapshotId=snapshot)["Size"] == 70


def test_an_image_is_pending_until_its_snapshots_are_complete(world: World, ec2: Any) -> None:
    """One snapshot of each attached volume; available some minutes later (botocore, CreateImage)."""
    box = launch(world, ec2)
    image = ec2.create_image(InstanceId=box, Name="saved", Description="work")["ImageId"]
    assert images(ec2) == {image: "pending"}
    world.advance(10 * MINUTE)
    (shown,) = ec2.describe_images(ImageIds=[image])["Images"]
    assert (shown["State"], shown["Name"], shown["SourceInstanceId"]) == ("available", "saved", box)
    sizes = {one["DeviceName"]: one["Ebs"]["VolumeSize"] for one in shown["BlockDeviceMappings"]}
    assert sizes == {"/dev/sda1": 50, "/dev/sdf": 100}
    assert {one["State"] for one in ec2.describe_snapshots()["Snapshots"]} == {"completed"}


def test_the_waiter_for_images_works(world: World, ec2: Any) -> None:
    """`image_available` asks until it is (botocore, waiters); here the time has passed before."""
    image = ec2.create_image(InstanceId=launch(world, ec2), Name="saved")["ImageId"]
    world.advance(HOUR)
    ec2.get_waiter("image_available").wait(ImageIds=[image])


def test_imaging_reboots_a_running_box_unless_told_otherwise_and_it_stays_running(
    world: World, ec2: Any
) -> None:
    """A reboot is no stop: state and bill go on (botocore, CreateImageRequest.NoReboot)."""
    box = launch(world, ec2)
    ec2.create_image(InstanceId=box, Name="gentle", NoReboot=True)
    assert world.row(box)["rebooted_at"] is None
    ec2.create_image(InstanceId=box, Name="plain")
    row = world.row(box)
    assert row["rebooted_at"] == world.truth()["now"]
    assert (row["state"], len(world.boxes.of(box).runs)) == ("running", 1)


def test_a_reboot_for_an_image_forgets_what_the_guest_had_planned(world: World, ec2: Any) -> None:
    """The system starts anew, so `shutdown +120` is gone; NoReboot leaves it (shutdown(8); botocore, CreateImage)."""
    box = launch(world, ec2, UserData="#!/bin/bash\nshutdown -h +120")
    ec2.create_image(InstanceId=box, Name="gentle", NoReboot=True)
    assert world.row(box)["shutdown_at"] is not None
    ec2.create_image(InstanceId=box, Name="plain")
    assert world.row(box)["shutdown_at"] is None


def test_a_stopped_box_can_be_imaged(world: World, ec2: Any) -> None:
    """Running or stopped, no other state (botocore, CreateImage)."""
    box = launch(world, ec2)
    ec2.stop_instances(InstanceIds=[box])
    with pytest.raises(ClientError, match="IncorrectState"):
        ec2.create_image(InstanceId=box, Name="early")
    world.advance(MINUTE)
    ec2.create_image(InstanceId=box, Name="saved")
    assert world.row(box)["rebooted_at"] is None


def test_a_box_that_ends_while_it_is_imaged_leaves_a_failed_image(world: World, ec2: Any) -> None:
    """Client.InstanceTerminated: the instance was terminated during AMI creation (botocore, StateReason)."""
    box = launch(world, ec2)
    image = ec2.create_image(InstanceId=box, Name="saved")["ImageId"]
    ec2.terminate_instances(InstanceIds=[box])
    world.advance(HOUR)
    (shown,) = ec2.describe_images(ImageIds=[image])["Images"]
    assert (shown["State"], shown["StateReason"]["Code"]) == ("failed", "Client.InstanceTerminated")
    at_end = billed(world, SNAPSHOTS)
    world.advance(MONTH)
    assert billed(world, SNAPSHOTS) == at_end


def test_an_image_name_is_used_once(world: World, ec2: Any) -> None:
    """3 to 128 characters, and no other image of that name in the region (botocore, CreateImageRequest.Name)."""
    box = launch(world, ec2)
    ec2.create_image(InstanceId=box, Name="saved")
    with pytest.raises(ClientError, match=r"InvalidAMIName\.Duplicate"):
        ec2.create_image(InstanceId=box, Name="saved")
    with pytest.raises(ClientError, match=r"InvalidAMIName\.Malformed"):
        ec2.create_image(InstanceId=box, Name="a*b")


def test_the_snapshots_of_an_image_bill_from_the_start(world: World, ec2: Any) -> None:
    """An image costs what its snapshots do (EC2 guide, "AMI billing information": the snapshots are charged)."""
    box = launch(world, ec2)
    ec2.create_image(InstanceId=box, Name="saved")
    world.advance(MONTH)
    assert is_close(billed(world, SNAPSHOTS), 150 * Decimal("0.05"))


def test_a_snapshot_that_an_image_uses_is_not_deleted(world: World, ec2: Any) -> None:
    """InvalidSnapshot.InUse until the image is deregistered (botocore, DeleteSnapshot)."""
    image = ec2.create_image(InstanceId=launch(world, ec2), Name="saved")["ImageId"]
    world.advance(HOUR)
    snapshots = [one["SnapshotId"] for one in ec2.describe_snapshots()["Snapshots"]]
    with pytest.raises(ClientError, match=r"InvalidSnapshot\.InUse"):
        ec2.delete_snapshot(SnapshotId=snapshots[0])
    ec2.deregister_image(ImageId=image)
    for snapshot in snapshots:
        ec2.delete_snapshot(SnapshotId=snapshot)
    assert ec2.describe_snapshots()["Snapshots"] == []


def test_deregistering_an_image_leaves_its_snapshots_which_bill_on(world: World, ec2: Any) -> None:
    """The image is gone, its snapshots stay (EC2 guide, "Deregister an Amazon EC2 AMI": you continue to pay)."""
    image = ec2.create_image(InstanceId=launch(world, ec2), Name="saved")["ImageId"]
    world.advance(HOUR)
    ec2.deregister_image(ImageId=image)
    assert images(ec2) == {}
    assert ec2.describe_images(ImageIds=[image])["Images"] == []
    before = billed(world, SNAPSHOTS)
    world.advance(MONTH)
    assert is_close(billed(world, SNAPSHOTS) - before, 150 * Decimal("0.05"))


def test_deregistering_can_delete_the_snapshots_too(world: World, ec2: Any) -> None:
    """DeleteAssociatedSnapshots answers for each what came of it (botocore, DeregisterImage)."""
    image = ec2.create_image(InstanceId=launch(world, ec2), Name="saved")["ImageId"]
    world.advance(HOUR)
    answer = ec2.deregister_image(ImageId=image, DeleteAssociatedSnapshots=True)
    assert [one["ReturnCode"] for one in answer["DeleteSnapshotResults"]] == ["success", "success"]
    assert ec2.describe_snapshots()["Snapshots"] == []


def test_an_image_launches_with_its_own_volumes(world: World, ec2: Any) -> None:
    """A box of an own image gets volumes of its sizes, made of its snapshots (botocore, CreateImage)."""
    image = ec2.create_image(InstanceId=launch(world, ec2), Name="saved")["ImageId"]
    with pytest.raises(ClientError, match=r"InvalidAMIID\.Unavailable"):
        ec2.run_instances(ImageId=image, InstanceType="g5.xlarge", MinCount=1, MaxCount=1)
    world.advance(HOUR)
    launched = ec2.run_instances(ImageId=image, InstanceType="g5.xlarge", MinCount=1, MaxCount=1)
    box = world.boxes.of(launched["Instances"][0]["InstanceId"])
    assert sorted((volume.gib, volume.kind) for volume in box.volumes) == [(50, "gp3"), (100, "st1")]
    ec2.deregister_image(ImageId=image)
    with pytest.raises(ClientError, match=r"InvalidAMIID\.Unavailable"):
        ec2.run_instances(ImageId=image, InstanceType="g5.xlarge", MinCount=1, MaxCount=1)


def test_images_and_snapshots_are_tagged_at_creation_and_found_by_filters(world: World, ec2: Any) -> None:
    """TagSpecifications for image and snapshot, CreateTags later, filters by tag and name (botocore, CreateImage)."""
    box = launch(world, ec2)
    tags = [{"Key": "curfew:lease", "Value": "l-1"}]
    image = ec2.create_image(
        InstanceId=box,
        Name="saved",
        TagSpecifications=[{"ResourceType": kind, "Tags": tags} for kind in ("image", "snapshot")],
    )["ImageId"]
    ec2.create_image(InstanceId=box, Name="other")
    ec2.create_tags(Resources=[image], Tags=[{"Key": "kept", "Value": "yes"}])
    by_tag = [{"Name": "tag:curfew:lease", "Values": ["l-1"]}]
    assert list(images(ec2, Filters=by_tag)) == [image]
    assert list(images(ec2, Filters=[{"Name": "name", "Values": ["sav*"]}])) == [image]
    assert list(images(ec2, Filters=[{"Name": "tag:kept", "Values": ["yes"]}])) == [image]
    assert len(ec2.describe_snapshots(Filters=by_tag)["Snapshots"]) == 2


def test_own_images_are_not_among_amazons(world: World, ec2: Any) -> None:
    """Owners scopes the search (botocore, DescribeImagesRequest.Owners)."""
    ec2.create_image(InstanceId=launch(world, ec2), Name="saved")
    assert "saved" not in {one["Name"] for one in ec2.describe_images(Owners=["amazon"])["Images"]}
    assert [one["Name"] for one in ec2.describe_images(Owners=["self"])["Images"]] == ["saved"]
