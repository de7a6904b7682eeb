"""The account's bill beyond boxes and volumes: addresses, traffic, requests, regions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from botocore.exceptions import ClientError

from localaws.errors import RequestError
from localaws.world import World
from tests.localaws.bills import billed, is_close

SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
IN_USE, IDLE = "USE1-PublicIPv4:InUseAddress", "USE1-PublicIPv4:IdleAddress"
AN_HOUR = Decimal("0.005")
G5_USD = Decimal("1.006")
EGRESS = "DataTransfer-Out-Bytes"
LATE_IN_MARCH = datetime(2026, 3, 31, 12, 0, tzinfo=UTC)


def running(world: World, **more: Any) -> str:
    box = world.start_box("g5.xlarge", **more)
    while box.state == "pending":
        world.advance(SECOND)
    return box.id


def test_an_automatic_address_bills_while_its_box_runs(world: World, ec2: Any) -> None:
    """Half a cent an hour until the box stops, and again when it runs (VPC pricing, public IPv4 addresses)."""
    box = running(world)
    world.advance(10 * HOUR)
    assert is_close(billed(world, IN_USE), 10 * AN_HOUR)
    ec2.stop_instances(InstanceIds=[box])
    world.advance(10 * HOUR)
    assert is_close(billed(world, IN_USE), 10 * AN_HOUR)


def test_an_elastic_ip_bills_from_allocation_to_release_used_or_idle(world: World, ec2: Any) -> None:
    """Idle, in use and idle again cost the same (VPC pricing, public IPv4 addresses)."""
    box = running(world)
    world.advance(HOUR)
    address = ec2.allocate_address()["AllocationId"]
    world.advance(HOUR)
    association = ec2.associate_address(AllocationId=address, InstanceId=box)["AssociationId"]
    world.advance(HOUR)
    ec2.disassociate_address(AssociationId=association)
    world.advance(HOUR)
    ec2.release_address(AllocationId=address)
    world.advance(10 * HOUR)
    assert is_close(billed(world, IDLE), 2 * AN_HOUR)
    assert is_close(billed(world, IN_USE), (1 + 13) * AN_HOUR)


def test_a_box_with_an_elastic_ip_gives_its_own_address_back(world: World, ec2: Any) -> None:
    """It has one address at a time, and shows the Elastic IP, also after a restart (EC2 guide, "Elastic IP addresses")."""
    box = running(world)
    allocated = ec2.allocate_address()
    ec2.associate_address(AllocationId=allocated["AllocationId"], InstanceId=box)
    world.advance(HOUR)
    assert is_close(billed(world, IN_USE), AN_HOUR)
    ec2.stop_instances(InstanceIds=[box])
    world.advance(HOUR)
    ec2.start_instances(InstanceIds=[box])
    world.advance(MINUTE)
    (shown,) = ec2.describe_instances()["Reservations"][0]["Instances"]
    assert shown["PublicIpAddress"] == allocated["PublicIp"]


def test_an_elastic_ip_outlives_its_box_and_bills_on(world: World, ec2: Any) -> None:
    """A box that ends leaves it allocated and idle (EC2 guide, "Elastic IP addresses")."""
    box = running(world)
    address = ec2.allocate_address()["AllocationId"]
    ec2.associate_address(AllocationId=address, InstanceId=box)
    ec2.terminate_instances(InstanceIds=[box])
    world.advance(10 * HOUR)
    assert is_close(billed(world, IDLE), 10 * AN_HOUR)
    (shown,) = ec2.describe_addresses()["Addresses"]
    assert (shown["AllocationId"], "AssociationId" in shown) == (address, False)


def test_an_elastic_ip_moves_to_another_box_unless_that_is_forbidden(world: World, ec2: Any) -> None:
    """Reassociation is automatic, and asking twice for the same is no error (botocore, AssociateAddress)."""
    first, second = running(world), running(world)
    address = ec2.allocate_address()["AllocationId"]
    association = ec2.associate_address(AllocationId=address, InstanceId=first)["AssociationId"]
    assert ec2.associate_address(AllocationId=address, InstanceId=first)["AssociationId"] == association
    with pytest.raises(ClientError, match=r"Resource\.AlreadyAssociated"):
        ec2.associate_address(AllocationId=address, InstanceId=second, AllowReassociation=False)
    ec2.associate_address(AllocationId=address, InstanceId=second)
    assert ec2.describe_addresses()["Addresses"][0]["InstanceId"] == second


def test_the_first_hundred_gb_out_are_free_each_month_across_the_account(world: World) -> None:
    """Whichever box or region sends them; then $0.09 a GB (EC2 on-demand pricing, data transfer)."""
    here, there = running(world), running(world, region="us-west-2")
    world.egress(here, 60)
    world.advance(HOUR)
    world.egress(there, 60)
    world.egress(here, 10)
    assert is_close(billed(world, EGRESS), 10 * Decimal("0.09"))
    assert is_close(billed(world, f"USW2-{EGRESS}"), 20 * Decimal("0.09"))


def test_the_free_gb_begin_anew_with_the_month_and_much_costs_less_a_gb() -> None:
    """Ten TB at $0.09, then $0.085 (EC2 on-demand pricing, data transfer); a new month begins at nothing."""
    with World(start=LATE_IN_MARCH) as world:
        box = running(world)
        world.egress(box, 100 + 10 * 1024 + 1)
        march = billed(world, EGRESS)
        assert is_close(march, 10 * 1024 * Decimal("0.09") + Decimal("0.085"))
        world.advance(24 * HOUR)
        world.egress(box, 100)
        assert billed(world, EGRESS) == march


def test_only_a_running_box_sends(world: World, ec2: Any) -> None:
    """One that has ended, or less than nothing, is a mistake in words."""
    box = running(world)
    with pytest.raises(RequestError, match="below 0"):
        world.egress(box, -1)
    ec2.terminate_instances(InstanceIds=[box])
    with pytest.raises(RequestError, match="shutting-down"):
        world.egress(box, 1)


def test_what_is_sent_shows_in_network_out(world: World) -> None:
    """Bytes by the minute, zero where nothing was sent (EC2 guide, "List the available CloudWatch metrics")."""
    box = running(world)
    world.advance(10 * MINUTE)
    world.egress(box, Decimal("1.5"))
    world.egress(box, Decimal("0.5"))
    world.advance(10 * MINUTE)
    points = (
        world.session()
        .client("cloudwatch")
        .get_metric_statistics(
            Namespace="AWS/EC2",
            MetricName="NetworkOut",
            Dimensions=[{"Name": "InstanceId", "Value": box}],
            StartTime=world.now - HOUR,
            EndTime=world.now,
            Period=60,
            Statistics=["Sum"],
        )["Datapoints"]
    )
    assert sum(point["Sum"] for point in points) == 2 * 2**30
    assert max(point["Sum"] for point in points) == 2 * 2**30
    assert len(points) >= 19
    assert {point["Unit"] for point in points} == {"Bytes"}


def query(number: int, box: str) -> dict[str, Any]:
    metric = {
        "Namespace": "AWS/EC2",
        "MetricName": "CPUUtilization",
        "Dimensions": [{"Name": "InstanceId", "Value": box}],
    }
    return {"Id": f"q{number}", "MetricStat": {"Metric": metric, "Period": 60, "Stat": "Maximum"}}


def test_metrics_are_billed_by_how_many_are_asked_for(world: World) -> None:
    """A cent for 1,000 metrics of GetMetricData, however few calls ask for them (CloudWatch pricing)."""
    box = running(world)
    cloudwatch = world.session().client("cloudwatch")
    span = {"StartTime": world.now - HOUR, "EndTime": world.now}
    for _ in range(3):
        cloudwatch.get_metric_data(MetricDataQueries=[query(number, box) for number in range(500)], **span)
    assert world.truth()["paid_requests"]["metrics"] == 1500
    assert is_close(billed(world, "CW:GMD-Metrics"), "0.015")


def test_a_call_that_fails_is_not_billed(world: World) -> None:
    """A throttled request asks nothing (CloudWatch pricing)."""
    box = running(world)
    cloudwatch = world.session().client("cloudwatch")
    world.fault(service="cloudwatch", operation="GetMetricData", code="ValidationError", times=1)
    span = {"StartTime": world.now - HOUR, "EndTime": world.now}
    with pytest.raises(ClientError, match="ValidationError"):
        cloudwatch.get_metric_data(MetricDataQueries=[query(1, box)], **span)
    assert world.truth()["paid_requests"]["metrics"] == 0


def test_a_million_other_cloudwatch_requests_are_free(world: World) -> None:
    """GetMetricStatistics and ListMetrics are counted, and cost nothing for long (CloudWatch pricing, free tier)."""
    world.session().client("cloudwatch").list_metrics(Namespace="AWS/EC2")
    assert world.truth()["paid_requests"]["cloudwatch"] == 1
    assert billed(world, "CW:Requests") == 0


def reserve(ec2: Any, count: int, **options: Any) -> str:
    reserved: str = ec2.create_capacity_reservation(
        InstanceType="g5.xlarge",
        InstancePlatform="Linux/UNIX",
        AvailabilityZone="us-east-1a",
        InstanceCount=count,
        **options,
    )["CapacityReservation"]["CapacityReservationId"]
    return reserved


def test_a_reservation_bills_its_free_places_at_the_on_demand_price(world: World, ec2: Any) -> None:
    """Used places are billed as their instances, the others as unused, until it is cancelled (EC2 guide, "Capacity
    Reservation pricing and billing")."""
    reservation = reserve(ec2, 3)
    world.advance(HOUR)
    assert is_close(billed(world, "UnusedBox:g5.xlarge"), 3 * G5_USD)
    box = running(world, zone="us-east-1a")
    running(world, zone="us-east-1b")
    running(world, zone="us-east-1a", market="one-time")
    before = billed(world, "UnusedBox:g5.xlarge")
    world.advance(HOUR)
    assert is_close(billed(world, "UnusedBox:g5.xlarge") - before, 2 * G5_USD)
    ec2.terminate_instances(InstanceIds=[box])
    world.advance(HOUR)
    assert is_close(billed(world, "UnusedBox:g5.xlarge") - before, 5 * G5_USD)
    ec2.cancel_capacity_reservation(CapacityReservationId=reservation)
    at_end = billed(world, "UnusedBox:g5.xlarge")
    world.advance(HOUR)
    assert billed(world, "UnusedBox:g5.xlarge") == at_end


def test_instances_fill_the_oldest_open_reservation_and_never_a_targeted_one(world: World, ec2: Any) -> None:
    """Only instances that name it are in a targeted reservation (EC2 guide, "Capacity Reservation concepts")."""
    reserve(ec2, 5, InstanceMatchCriteria="targeted")
    reserve(ec2, 1)
    reserve(ec2, 1)
    running(world, zone="us-east-1a")
    before = billed(world, "UnusedBox:g5.xlarge")
    world.advance(HOUR)
    assert is_close(billed(world, "UnusedBox:g5.xlarge") - before, 6 * G5_USD)


def test_the_bill_is_the_sum_of_its_services_and_more_than_that_of_the_boxes(world: World, ec2: Any) -> None:
    """`account_usd` holds everything, `billed_usd` the boxes alone."""
    running(world)
    ec2.allocate_address()
    world.advance(HOUR)
    truth = world.truth()
    services = sum(Decimal(usd) for usd in truth["bill"]["services"].values())
    assert is_close(services, truth["account_usd"])  # type: ignore[arg-type]
    assert is_close(Decimal(truth["account_usd"]) - Decimal(truth["billed_usd"]), AN_HOUR)


def test_prices_are_those_of_us_east_1_everywhere_unless_asked_otherwise() -> None:
    """With `regional_prices` a region's factor holds for everything there; it is invented, for tests of a meter."""

    def bill(*, regional: bool) -> dict[str, Decimal]:
        with World(regions=("us-east-1", "eu-west-1"), regional_prices=regional) as world:
            world.start_box("g5.xlarge", region="eu-west-1")
            spot = world.start_box("g5.xlarge", market="one-time", region="eu-west-1")
            world.advance(HOUR)
            world.egress(spot.id, 200)
            return {name: Decimal(usd) for name, usd in world.truth()["bill"]["usage_types"].items()}

    same, own = bill(regional=False), bill(regional=True)
    assert set(own) == set(same)
    for name, usd in own.items():
        assert abs(usd / same[name] - Decimal("1.11")) < Decimal("0.001")
