"""What a box costs: per second, with AWS's minimum and exceptions."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from localaws.model import Box
from localaws.world import World
from tests.localaws.bills import billed, is_close

SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
G5_USD = Decimal("1.006")
IMAGE = "ami-0123456789abcdef0"


def running(world: World, market: Any = "on-demand", **more: Any) -> Box:
    """A box that has just begun to run; spot at a dollar an hour."""
    for zone in ("us-east-1a", "us-east-1b", "us-east-1c", "us-east-1d", "us-east-1e", "us-east-1f"):
        world.set_price(zone, "g5.xlarge", Decimal(1))
    box = world.start_box("g5.xlarge", market=market, **more)
    while box.state == "pending":
        world.advance(SECOND)
    return box


def compute(world: World, box: Box) -> Decimal:
    return world.bill(box).compute_usd


def interrupted_after(world: World, box: Box, after: timedelta) -> None:
    """EC2 takes it back when it has run so long; the warning comes two minutes earlier."""
    world.advance(after - 2 * MINUTE)
    world.interrupt(box.id)
    world.advance(2 * MINUTE)
    assert box.runs[-1].end == box.runs[-1].start + after


def test_running_time_is_billed_by_the_second_at_the_list_price(world: World, ec2: Any) -> None:
    """1,801 seconds on demand cost 1,801/3,600 of the hourly list price (EC2 on-demand pricing, "per second")."""
    box = running(world)
    world.advance(1801 * SECOND)
    ec2.terminate_instances(InstanceIds=[box.id])
    world.advance(HOUR)
    assert compute(world, box) == G5_USD * 1801 / 3600


@pytest.mark.parametrize("length", [1, 59, 60])
def test_each_start_is_billed_sixty_seconds_at_least(world: World, ec2: Any, length: int) -> None:
    """A start bills a minute however short it was, and so does the next (EC2 guide, "Stop and start instances")."""
    box = running(world)
    for starts in (1, 2):
        world.advance(length * SECOND)
        ec2.stop_instances(InstanceIds=[box.id])
        world.advance(MINUTE)
        assert is_close(compute(world, box), G5_USD * starts / 60)
        ec2.start_instances(InstanceIds=[box.id])
        while box.state == "pending":
            world.advance(SECOND)


def test_pending_stopping_and_shutting_down_are_free(world: World, ec2: Any) -> None:
    """Compute bills from `running` to the stop or the end alone (EC2 guide, "Instance state changes")."""
    box = world.start_box("g5.xlarge")
    world.advance(4 * SECOND)
    assert (box.state, compute(world, box)) == ("pending", 0)
    world.advance(HOUR)
    ec2.stop_instances(InstanceIds=[box.id])
    at_stop = compute(world, box)
    world.advance(5 * SECOND)
    assert (box.state, compute(world, box)) == ("stopping", at_stop)
    world.advance(HOUR)
    ec2.terminate_instances(InstanceIds=[box.id])
    world.advance(5 * SECOND)
    assert (box.state, compute(world, box)) == ("shutting-down", at_stop)


def test_stopping_is_billed_while_a_box_hibernates(world: World, ec2: Any) -> None:
    """A hibernating box bills until it has stopped (EC2 guide, "Instance state changes", stopping)."""
    launched = ec2.run_instances(
        ImageId=IMAGE,
        InstanceType="g5.xlarge",
        MinCount=1,
        MaxCount=1,
        HibernationOptions={"Configured": True},
    )["Instances"][0]["InstanceId"]
    world.advance(HOUR)
    box = world.boxes.of(launched)
    ec2.stop_instances(InstanceIds=[launched], Hibernate=True)
    at_stop = compute(world, box)
    world.advance(5 * SECOND)
    assert box.state == "stopping"
    assert is_close(compute(world, box) - at_stop, G5_USD * 5 / 3600)
    world.advance(MINUTE)
    hibernated = compute(world, box)
    world.advance(HOUR)
    assert compute(world, box) == hibernated


def test_only_boxes_launched_for_it_hibernate(world: World, ec2: Any) -> None:
    """Hibernate needs HibernationOptions at launch (EC2 error codes, UnsupportedHibernationConfiguration)."""
    box = running(world)
    with pytest.raises(ec2.exceptions.ClientError, match="UnsupportedHibernationConfiguration"):
        ec2.stop_instances(InstanceIds=[box.id], Hibernate=True)


def test_spot_is_billed_at_the_price_in_force_as_it_moves(world: World) -> None:
    """An hour at 0.4 and one at 0.6 cost a dollar (EC2 guide, "Spot Instance pricing history": the price in effect)."""
    box = running(world, "one-time")
    world.set_price(box.zone, box.type, Decimal("0.4"))
    world.advance(HOUR)
    world.set_price(box.zone, box.type, Decimal("0.6"))
    world.advance(HOUR)
    assert compute(world, box) == 1


def test_a_run_that_ec2_interrupts_in_its_first_hour_is_free(world: World) -> None:
    """59 minutes of running cost nothing when EC2 ends them (EC2 guide, "Billing for interrupted Spot Instances")."""
    box = running(world, "one-time")
    world.advance(30 * MINUTE)
    assert compute(world, box) == Decimal(1) / 2
    world.advance(27 * MINUTE)
    world.interrupt(box.id)
    world.advance(2 * MINUTE)
    assert box.runs[-1].end == box.runs[-1].start + 59 * MINUTE
    assert compute(world, box) == 0


def test_a_run_that_ec2_interrupts_later_is_billed_to_the_second(world: World) -> None:
    """A full hour has to have run, not a clock hour: 60 minutes are billed (Spot whitepaper, "How Spot Instances
    work": before a full hour of running time)."""
    box = running(world, "one-time")
    interrupted_after(world, box, HOUR)
    assert compute(world, box) == 1


def test_the_first_hour_is_billed_when_its_owner_ends_it(world: World, ec2: Any) -> None:
    """Ended by its owner after 59 minutes, also after EC2's warning, it costs 59 minutes (EC2 guide, "Billing for
    interrupted Spot Instances")."""
    box = running(world, "one-time")
    world.advance(58 * MINUTE)
    world.interrupt(box.id)
    world.advance(MINUTE)
    ec2.terminate_instances(InstanceIds=[box.id])
    world.advance(HOUR)
    assert compute(world, box) == Decimal(59) / 60


def test_an_interruption_that_stops_a_box_is_free_in_the_first_hour_of_each_run(world: World) -> None:
    """A stop by EC2 counts like an end, and a restart begins a first hour anew (EC2 guide, "Billing for interrupted
    Spot Instances", and Spot FAQ: terminated or stopped in the first instance hour)."""
    box = running(world, "persistent")
    interrupted_after(world, box, 90 * MINUTE)
    assert compute(world, box) == Decimal("1.5")
    world.advance(HOUR)
    assert (box.state, len(box.runs)) == ("running", 2)
    world.interrupt(box.id)
    world.advance(2 * MINUTE)
    assert box.runs[1].end is not None
    assert box.runs[1].end - box.runs[1].start < HOUR
    assert compute(world, box) == Decimal("1.5")


def test_the_truth_bills_compute_storage_and_address_of_a_box(world: World) -> None:
    """The parts add up to `billed_usd` (EC2 guide, "Instance state changes": storage and addresses bill besides)."""
    box = running(world, "one-time")
    world.advance(HOUR)
    row = world.row(box.id)
    assert Decimal(row["bill"]["compute_usd"]) == 1
    assert is_close(sum(Decimal(part) for part in row["bill"].values()), row["billed_usd"])  # type: ignore[arg-type]
    assert Decimal(world.truth()["billed_usd"]) == Decimal(row["billed_usd"])


def test_a_stopped_box_bills_its_volume_alone(world: World, ec2: Any) -> None:
    """Compute and the automatic address stop with the stop, storage goes on until the end (EC2 guide, "Stop and start
    Amazon EC2 instances")."""
    box = running(world)
    world.advance(HOUR)
    ec2.stop_instances(InstanceIds=[box.id])
    at_stop = world.row(box.id)["bill"]
    world.advance(10 * HOUR)
    stopped = world.row(box.id)["bill"]
    assert (stopped["compute_usd"], stopped["ipv4_usd"]) == (at_stop["compute_usd"], at_stop["ipv4_usd"])
    assert Decimal(stopped["storage_usd"]) > Decimal(at_stop["storage_usd"])
    ec2.terminate_instances(InstanceIds=[box.id])
    world.advance(MINUTE)
    ended = world.row(box.id)
    world.advance(10 * HOUR)
    assert world.row(box.id)["billed_usd"] == ended["billed_usd"]


def test_a_box_shows_in_the_bill_under_awss_names(world: World) -> None:
    """On demand it is BoxUsage, spot is SpotUsage, each with its region's prefix (price list, usagetype)."""
    world.start_box("g5.xlarge")
    world.start_box("g5.xlarge", market="one-time", region="us-west-2")
    world.advance(HOUR)
    assert billed(world, "BoxUsage:g5.xlarge") > 1
    assert billed(world, "USW2-SpotUsage:g5.xlarge") > 0
    assert set(world.truth()["bill"]["services"]) == {
        "Amazon Elastic Compute Cloud - Compute",
        "Amazon Virtual Private Cloud",
        "EC2 - Other",
    }
