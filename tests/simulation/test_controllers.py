"""What the field measured on another tool, on localaws with the real gateways: whoever runs a box, ended is ended."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from chalicelib.domain.lease import Status
from chalicelib.domain.policy import Policy
from chalicelib.usecases.end import end_instance, end_spot_request
from chalicelib.usecases.sweep import sweep
from localaws.world import World
from tests.simulation.town import Town

HOME = "us-east-1"
START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
IMAGE = "ami-0123456789abcdef0"
ROLE = "arn:aws:iam::123456789012:role/fleet"


@pytest.fixture
def world() -> Iterator[World]:
    with World(regions=(HOME,), seed=1, start=START) as opened:
        yield opened


def town_of(world: World, **unleased: str) -> Town:
    """Armed; what is found lives so long."""
    town = Town(world)
    wanted = {"for": "PT5M", "grace": "PT0S", **unleased}
    town.services.store.put_policy(Policy.model_validate({"unleased": wanted}), if_version=None)
    return town


def swept(town: Town, minutes: int = 1) -> None:
    for _ in range(minutes):
        town.world.advance(MINUTE)
        sweep(town.services, trigger="schedule")


def alive(world: World) -> list[str]:
    return [box.id for box in world.boxes if box.live]


def relaunched(world: World) -> list[str]:
    return [box.id for box in world.boxes if box.relaunched_by]


def template(world: World, kind: str = "g5.xlarge") -> dict[str, str]:
    ec2: Any = world.session().client("ec2", region_name=HOME)
    name = f"t-{len(ec2.describe_launch_templates()['LaunchTemplates'])}"
    made = ec2.create_launch_template(
        LaunchTemplateName=name, LaunchTemplateData={"ImageId": IMAGE, "InstanceType": kind}
    )
    return {"LaunchTemplateId": made["LaunchTemplate"]["LaunchTemplateId"], "Version": "1"}


def start(world: World, kind: str, number: int) -> None:
    """One controller that runs so many boxes; of persistent requests one each."""
    ec2: Any = world.session().client("ec2", region_name=HOME)
    if kind == "persistent requests":
        for _ in range(number):
            world.start_box(market="persistent")
    elif kind == "groups":
        autoscaling: Any = world.session().client("autoscaling", region_name=HOME)
        autoscaling.create_auto_scaling_group(
            AutoScalingGroupName="web",
            MinSize=number,
            MaxSize=number,
            DesiredCapacity=number,
            AvailabilityZones=[f"{HOME}a"],
            LaunchTemplate=template(world),
        )
    elif kind == "spot fleets":
        ec2.request_spot_fleet(
            SpotFleetRequestConfig={
                "IamFleetRole": ROLE,
                "TargetCapacity": number,
                "LaunchSpecifications": [{"ImageId": IMAGE, "InstanceType": "g5.xlarge"}],
            }
        )
    else:
        target = {"TotalTargetCapacity": number, "DefaultTargetCapacityType": "spot"}
        ec2.create_fleet(
            Type="maintain",
            LaunchTemplateConfigs=[
                {"LaunchTemplateSpecification": template(world), "Overrides": [{"InstanceType": "g5.xlarge"}]}
            ],
            TargetCapacitySpecification=target,
        )
    world.advance(MINUTE)


WHOEVER = ("persistent requests", "groups", "spot fleets", "EC2 fleets")
KINDS = pytest.mark.parametrize("kind", WHOEVER)


def test_of_40_boxes_none_runs_again_one_reconcile_later(world: World) -> None:
    """Another tool ended boxes of every kind, and every one ran again."""
    town = town_of(world)
    for kind in WHOEVER:
        start(world, kind, 10)
    assert len(alive(world)) == 40
    swept(town)
    world.advance(3 * MINUTE)
    swept(town, 6)
    assert (alive(world), relaunched(world), town.services.store.open_leases()) == ([], [], ())


@KINDS
def test_of_a_box_ended_by_hand_the_others_do_not_notice(world: World, kind: str) -> None:
    """One less runs, and no other comes."""
    town = town_of(world, **{"for": "PT8H"})
    start(world, kind, 4)
    swept(town)
    first, second, *kept = alive(world)
    end_instance(town.services, first, by="ada")
    end_instance(town.services, second, by="ada")
    swept(town, 10)
    assert (alive(world), relaunched(world)) == (kept, [])


def test_a_replacement_without_a_tag_keeps_nothing_running(world: World) -> None:
    """It is found by its fleet's membership."""
    town = town_of(world)
    start(world, "EC2 fleets", 3)
    for box in world.boxes:
        box.moto.ec2_backend.tags.pop(box.id, None)
    swept(town, 20)
    assert (alive(world), relaunched(world)) == ([], [])


@pytest.mark.parametrize("kind", ["spot fleets", "EC2 fleets"])
def test_a_fleet_ends_by_its_id(world: World, kind: str) -> None:
    """Whoever made it."""
    town = town_of(world, **{"for": "PT8H"})
    start(world, kind, 3)
    swept(town)
    fleets = world.spot_fleets if kind == "spot fleets" else world.fleets
    (fleet,) = fleets
    receipt = end_spot_request(town.services, fleet.id, by="ada")
    swept(town, 10)
    assert (alive(world), relaunched(world)) == ([], [])
    lease = town.services.store.lease(receipt.lease_id)
    assert lease is not None
    assert lease.status is Status.CLOSED
