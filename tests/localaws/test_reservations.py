"""Capacity reservations: made, filled, cancelled, expired."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from localaws.world import World

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
ZONE = "us-east-1a"


def reserve(ec2: Any, count: int = 2, **options: Any) -> dict[str, Any]:
    asked = {
        "InstanceType": "g5.xlarge",
        "InstancePlatform": "Linux/UNIX",
        "AvailabilityZone": ZONE,
        "InstanceCount": count,
    }
    made: dict[str, Any] = ec2.create_capacity_reservation(**{**asked, **options})["CapacityReservation"]
    return made


def shown(ec2: Any, **options: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = ec2.describe_capacity_reservations(**options)["CapacityReservations"]
    return found


def test_a_reservation_is_active_until_it_is_cancelled(world: World, ec2: Any) -> None:
    """What was asked for is shown and stays, without a single instance; cancelling is for once (botocore,
    CapacityReservation and CancelCapacityReservation).
    """
    made = reserve(
        ec2,
        TagSpecifications=[{"ResourceType": "capacity-reservation", "Tags": [{"Key": "a", "Value": "b"}]}],
    )
    world.advance(30 * 24 * HOUR)
    (row,) = shown(ec2)
    assert {
        key: row[key] for key in ("CapacityReservationId", "State", "EndDateType", "InstanceMatchCriteria")
    } == {
        "CapacityReservationId": made["CapacityReservationId"],
        "State": "active",
        "EndDateType": "unlimited",
        "InstanceMatchCriteria": "open",
    }
    assert (row["TotalInstanceCount"], row["AvailableInstanceCount"], row["Tags"]) == (
        2,
        2,
        [{"Key": "a", "Value": "b"}],
    )
    ids = {"CapacityReservationId": made["CapacityReservationId"]}
    assert ec2.cancel_capacity_reservation(**ids)["Return"] is True
    assert shown(ec2)[0]["State"] == "cancelled"
    with pytest.raises(ClientError, match="InvalidCapacityReservationState"):
        ec2.cancel_capacity_reservation(**ids)
    (record,) = world.reservations
    assert (record.cancelled_at, record.over_at) == (world.now, world.now)


def test_matching_on_demand_instances_fill_a_reservation(world: World, ec2: Any) -> None:
    """Of its type and zone; spot ones and others don't; cancelling it leaves them running (EC2 guide, "Reserve compute
    capacity with EC2 On-Demand Capacity Reservations").
    """
    made = reserve(ec2)
    inside = world.start_box("g5.xlarge", zone=ZONE)
    world.start_box("g5.xlarge", zone="us-east-1b")
    world.start_box("g5.2xlarge", zone=ZONE)
    world.start_box("g5.xlarge", zone=ZONE, market="one-time")
    assert shown(ec2)[0]["AvailableInstanceCount"] == 1
    ec2.cancel_capacity_reservation(CapacityReservationId=made["CapacityReservationId"])
    world.advance(HOUR)
    assert inside.state == "running"


def test_a_limited_reservation_expires(world: World, ec2: Any) -> None:
    """At its EndDate, which goes with the type limited only (botocore, CreateCapacityReservationRequest)."""
    reserve(ec2, EndDateType="limited", EndDate=world.now + HOUR)
    world.advance(2 * HOUR)
    assert shown(ec2)[0]["State"] == "expired"
    for wrong in ({"EndDateType": "limited"}, {"EndDate": world.now + HOUR}):
        with pytest.raises(ClientError, match="InvalidParameterCombination"):
            reserve(ec2, **wrong)


def test_no_capacity_can_be_reserved_where_there_is_none(world: World, ec2: Any) -> None:
    """InsufficientInstanceCapacity (botocore, CreateCapacityReservation)."""
    world.set_capacity(ZONE, "g5.xlarge", available=False)
    with pytest.raises(ClientError, match="InsufficientInstanceCapacity"):
        reserve(ec2)
    assert shown(ec2) == []


def test_a_repeated_token_reserves_once(ec2: Any) -> None:
    """The first answer again (botocore, CreateCapacityReservationRequest.ClientToken)."""
    ids = {reserve(ec2, ClientToken="t-1")["CapacityReservationId"] for _ in range(2)}
    assert len(ids) == len(shown(ec2)) == 1


def test_reservations_are_found_by_id_and_filter_in_their_region(world: World, ec2: Any) -> None:
    """An unknown id is InvalidCapacityReservationId.NotFound (EC2 API reference, "Error codes")."""
    made = reserve(ec2)["CapacityReservationId"]
    reserve(ec2, InstanceType="p5.48xlarge")
    only = [{"Name": "instance-type", "Values": ["g5.*"]}, {"Name": "state", "Values": ["active"]}]
    assert [one["CapacityReservationId"] for one in shown(ec2, Filters=only)] == [made]
    assert [one["InstanceType"] for one in shown(ec2, CapacityReservationIds=[made])] == ["g5.xlarge"]
    assert shown(world.session("us-west-2").client("ec2")) == []
    with pytest.raises(ClientError, match=r"InvalidCapacityReservationId\.NotFound"):
        ec2.cancel_capacity_reservation(CapacityReservationId="cr-00000000000000000")


def test_the_truth_shows_reservations(world: World, ec2: Any) -> None:
    """Type, zone, count, how many are used, and from when until when."""
    made = reserve(ec2)
    world.start_box("g5.xlarge", zone=ZONE)
    (row,) = world.truth()["reservations"]
    assert row == {
        "id": made["CapacityReservationId"],
        "region": "us-east-1",
        "zone": ZONE,
        "type": "g5.xlarge",
        "count": 2,
        "used": 1,
        "state": "active",
        "created_at": "2026-03-02T09:00:00Z",
        "ends_at": None,
        "cancelled_at": None,
        "tags": {},
    }


def test_a_box_in_a_capacity_block_is_shown_so_and_bills_no_compute(world: World, ec2: Any) -> None:
    """The block was paid for before it began (EC2 guide, "Capacity Blocks for ML"); its disk and address bill on."""
    box = world.start_box("g5.xlarge", market="capacity-block")
    world.advance(2 * HOUR)
    (shown_as,) = ec2.describe_instances(InstanceIds=[box.id])["Reservations"][0]["Instances"]
    assert shown_as["InstanceLifecycle"] == "capacity-block"
    by_lifecycle = [{"Name": "instance-lifecycle", "Values": ["capacity-block"]}]
    assert len(ec2.describe_instances(Filters=by_lifecycle)["Reservations"]) == 1
    bill = world.bill(box)
    assert bill.compute_usd == 0
    assert bill.total_usd > 0
