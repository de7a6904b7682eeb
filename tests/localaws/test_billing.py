"""Bills: per second, with AWS's minimum and exceptions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from localaws.billing import addresses, compute, storage, stretches, total_usd
from localaws.model import Run, Volume, VolumeShape
from localaws.world import World

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
DOLLAR_AN_HOUR = [(START - HOUR, Decimal(1))]


def computed(*runs: Run, now: datetime = START + 9 * HOUR) -> Decimal:
    return total_usd(compute(runs, lambda *_: DOLLAR_AN_HOUR, now))


def test_running_time_is_billed_by_the_second() -> None:
    """1,801 seconds at a dollar an hour are 1,801/3,600 of a dollar."""
    assert computed(Run(START, START + 1801 * SECOND)) == Decimal(1801) / 3600


@pytest.mark.parametrize("length", [0, 1, 59, 60])
def test_a_start_is_billed_sixty_seconds_at_least(length: int) -> None:
    """Each start costs a minute, however short it was."""
    run = Run(START, START + length * SECOND)
    assert computed(run, run).quantize(Decimal("1e-20")) == (2 * Decimal(60) / 3600).quantize(
        Decimal("1e-20")
    )


def test_the_first_hour_is_free_when_ec2_interrupts_in_it() -> None:
    """Interrupted after 59 minutes: nothing; after 61 minutes: all of it; ended by its owner: all of it."""
    assert computed(Run(START, START + 59 * MINUTE, interrupted=True)) == 0
    assert computed(Run(START, START + 61 * MINUTE, interrupted=True)) == Decimal(61) / 60
    assert computed(Run(START, START + 59 * MINUTE)) == Decimal(59) / 60


def test_a_running_box_is_billed_until_now() -> None:
    """A run without an end bills up to the present."""
    assert computed(Run(START), now=START + 2 * HOUR) == 2


def test_a_price_that_moves_is_billed_as_it_moved() -> None:
    """Half an hour at 1, half at 3: two dollars; steps outside the run don't count."""
    steps = [(START - HOUR, Decimal(1)), (START + HOUR / 2, Decimal(3)), (START + HOUR, Decimal(9))]
    assert total_usd(stretches(steps, START, START + HOUR)) == 2


def test_volumes_bill_from_creation_to_deletion_by_the_gib_month() -> None:
    """100 GiB of gp3 for 730 hours: 8 dollars; gp2: 10."""
    month = timedelta(hours=730)
    gp3 = Volume("v", "us-east-1", [VolumeShape(START, 100, "gp3")], until=START + month)
    gp2 = Volume("v", "us-east-1", [VolumeShape(START, 100, "gp2")])
    assert total_usd(rate.stretch for rate in storage(gp3, START + 9 * month)) == 8
    assert total_usd(rate.stretch for rate in storage(gp2, START + month)) == 10


def test_a_public_address_bills_while_the_box_runs() -> None:
    """Half a cent an hour."""
    assert total_usd(addresses([(START, START + 10 * HOUR)])) == Decimal("0.05")


def test_the_truth_bills_compute_storage_and_address_of_a_spot_box(world: World) -> None:
    """The parts add up to `billed_usd`, and the compute part follows the price in force."""
    box = world.start_box("g5.xlarge", market="one-time")
    world.set_price(box.zone, box.type, Decimal("0.4"))
    world.advance(HOUR)
    world.set_price(box.zone, box.type, Decimal("0.6"))
    world.advance(HOUR)
    row = world.row(box.id)
    pending = box.runs[0].start - box.launched_at
    expected = Decimal(1) - Decimal("0.4") * Decimal(pending.seconds) / 3600
    assert Decimal(row["bill"]["compute_usd"]) == expected.quantize(Decimal("1e-10"))
    parts = sum(Decimal(part) for part in row["bill"].values())
    assert abs(parts - Decimal(row["billed_usd"])) < Decimal("1e-9")
    assert Decimal(world.truth()["billed_usd"]) == Decimal(row["billed_usd"])


def test_shutting_down_is_free_and_a_stopped_box_bills_its_volume_alone(world: World, ec2: Any) -> None:
    """Compute stops with the stop or the end; storage goes on until the volume is deleted."""
    box = world.start_box("g5.xlarge")
    world.advance(HOUR)
    ec2.stop_instances(InstanceIds=[box.id])
    at_stop = world.row(box.id)["bill"]
    world.advance(10 * HOUR)
    stopped = world.row(box.id)["bill"]
    assert stopped["compute_usd"] == at_stop["compute_usd"]
    assert stopped["ipv4_usd"] == at_stop["ipv4_usd"]
    assert Decimal(stopped["storage_usd"]) > Decimal(at_stop["storage_usd"])
    ec2.terminate_instances(InstanceIds=[box.id])
    world.advance(MINUTE)
    ended = world.row(box.id)
    world.advance(10 * HOUR)
    assert world.row(box.id)["billed_usd"] == ended["billed_usd"]


def test_a_volume_left_behind_bills_on(world: World, ec2: Any) -> None:
    """A data volume without DeleteOnTermination costs its box more after its end."""
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
    assert (after - before).quantize(Decimal("1e-6")) == (500 * Decimal("0.08") / 730).quantize(
        Decimal("1e-6")
    )
    (volume,) = ec2.describe_volumes()["Volumes"]
    ec2.delete_volume(VolumeId=volume["VolumeId"])
    world.advance(HOUR)
    assert Decimal(world.row(launched["InstanceId"])["billed_usd"]) == after
