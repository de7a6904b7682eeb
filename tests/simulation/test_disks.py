"""Dear disks of an image beside what localaws bills for them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from chalicelib.domain.lease import RequestType, Status
from localaws.world import World
from tests.simulation.town import IMAGE, MINUTE, Town

HOUR = timedelta(hours=1)
FAST: dict[str, Any] = {"VolumeSize": 100, "VolumeType": "io2", "Iops": 10_000, "DeleteOnTermination": False}
PROVISIONED: dict[str, Any] = {"VolumeSize": 50, "VolumeType": "gp3", "Iops": 6_000, "Throughput": 500}


def image_with_dear_disks(world: World) -> str:
    """An image of a box with a provisioned root and a fast disk, which is gone since."""
    ec2: Any = world.session().client("ec2", region_name="us-east-1")
    devices = [
        {"DeviceName": "/dev/sda1", "Ebs": PROVISIONED},
        {"DeviceName": "/dev/sdf", "Ebs": FAST},
    ]
    answer = ec2.run_instances(
        ImageId=IMAGE, InstanceType="t3.micro", MinCount=1, MaxCount=1, BlockDeviceMappings=devices
    )
    box = answer["Instances"][0]["InstanceId"]
    world.advance(2 * MINUTE)
    image = str(ec2.create_image(InstanceId=box, Name="dear")["ImageId"])
    world.advance(HOUR)
    ec2.terminate_instances(InstanceIds=[box])
    world.advance(HOUR)
    return image


@pytest.mark.parametrize("kind", [RequestType.ONE_TIME, RequestType.PERSISTENT])
def test_an_image_s_fast_disks_cost_no_more_than_was_held(kind: RequestType) -> None:
    """100 GiB of io2 with 10,000 IOPS for an hour: $0.9 that gp3's price would have put at a cent."""
    with World(regions=["us-east-1"], seed=3) as world:
        image = image_with_dear_disks(world)
        town = Town(world)
        order = town.order(
            instance_types=("g5.xlarge",),
            region="us-east-1",
            image=image,
            request_type=kind,
            lasts_for=HOUR,
            egress_gb=0,
        )
        lease = town.launch(order, key="dear")
        assert lease is not None
        box = world.boxes.of(lease.instance_ids[0])
        for _ in range(70):
            world.advance(MINUTE)
            town.sweep()
        closed = town.services.store.lease(lease.id)
        assert closed is not None
        assert closed.status is Status.CLOSED
        bill = world.bill(box)
        assert bill.storage_usd > 0.9
        assert bill.storage_usd <= lease.hold.storage_usd
        assert bill.total_usd <= lease.hold.total_usd
