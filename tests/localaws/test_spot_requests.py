"""Spot requests: their states, status codes, and what each call does to the box."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from botocore.exceptions import ClientError

from localaws.model import Box
from localaws.world import World
from tests.localaws.conftest import IMAGE

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
PERSISTENT = {"SpotInstanceType": "persistent", "InstanceInterruptionBehavior": "stop"}


def run_spot(ec2: Any, options: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    market: dict[str, Any] = {"MarketType": "spot"}
    if options:
        market["SpotOptions"] = options
    launched: dict[str, Any] = ec2.run_instances(
        ImageId=IMAGE, InstanceType="g5.xlarge", MinCount=1, MaxCount=1, InstanceMarketOptions=market, **more
    )["Instances"][0]
    return launched


def request_of(ec2: Any, request_id: str | None) -> dict[str, Any]:
    shown: dict[str, Any] = ec2.describe_spot_instance_requests(SpotInstanceRequestIds=[request_id])[
        "SpotInstanceRequests"
    ][0]
    return shown


def status(ec2: Any, request_id: str | None) -> tuple[str, str]:
    request = request_of(ec2, request_id)
    return request["State"], request["Status"]["Code"]


def live(world: World) -> list[Box]:
    return [box for box in world.boxes if box.live]


@pytest.mark.parametrize("options, kind", [(None, "one-time"), (PERSISTENT, "persistent")])
def test_run_instances_with_market_options_makes_a_request_that_is_linked_both_ways(
    ec2: Any, options: dict[str, Any] | None, kind: str
) -> None:
    """The instance names its request and the request its instance; the request is active and fulfilled."""
    instance = run_spot(ec2, options)
    request = request_of(ec2, instance["SpotInstanceRequestId"])
    assert instance["InstanceLifecycle"] == "spot"
    assert request["InstanceId"] == instance["InstanceId"]
    assert (request["State"], request["Status"]["Code"], request["Type"]) == ("active", "fulfilled", kind)
    assert request["LaunchedAvailabilityZone"] == instance["Placement"]["AvailabilityZone"]
    assert request["LaunchSpecification"]["InstanceType"] == "g5.xlarge"


def test_a_request_shows_its_cap_its_expiry_and_its_tags(world: World, ec2: Any) -> None:
    """SpotPrice, ValidUntil, CreateTime and the tags of the spot-instances-request specification are in the answer."""
    until = world.now + 8 * HOUR
    tags = [{"ResourceType": "spot-instances-request", "Tags": [{"Key": "curfew:lease", "Value": "l1"}]}]
    options = {**PERSISTENT, "MaxPrice": "0.9", "ValidUntil": until}
    instance = run_spot(ec2, options, TagSpecifications=tags)
    request = request_of(ec2, instance["SpotInstanceRequestId"])
    assert (request["SpotPrice"], request["ValidUntil"], request["CreateTime"]) == (
        "0.900000",
        until,
        world.now,
    )
    assert request["Tags"] == [{"Key": "curfew:lease", "Value": "l1"}]
    assert request["InstanceInterruptionBehavior"] == "stop"


def test_persistent_needs_the_interruption_behaviour_stop_or_hibernate(ec2: Any) -> None:
    """RunInstances refuses a persistent request that would terminate on interruption."""
    with pytest.raises(ClientError, match="InvalidParameterCombination"):
        run_spot(ec2, {"SpotInstanceType": "persistent"})


def test_valid_until_goes_only_with_persistent(world: World, ec2: Any) -> None:
    """RunInstances refuses ValidUntil on a one-time request."""
    with pytest.raises(ClientError, match="InvalidParameterCombination"):
        run_spot(ec2, {"ValidUntil": world.now + HOUR})


def test_a_one_time_request_closes_with_its_instance(world: World, ec2: Any) -> None:
    """closed / instance-terminated-by-user, still visible, and nothing comes back."""
    instance = run_spot(ec2)
    world.advance(MINUTE)
    ec2.terminate_instances(InstanceIds=[instance["InstanceId"]])
    world.advance(10 * MINUTE)
    assert status(ec2, instance["SpotInstanceRequestId"]) == ("closed", "instance-terminated-by-user")
    assert live(world) == []


def test_a_persistent_request_reopens_and_relaunches_without_tags(world: World, ec2: Any) -> None:
    """The request is open at once; within a minute AWS starts another box on it, without the first one's tags."""
    tags = [{"ResourceType": "instance", "Tags": [{"Key": "curfew:lease", "Value": "l1"}]}]
    first = run_spot(ec2, PERSISTENT, TagSpecifications=tags)
    world.advance(MINUTE)
    ec2.terminate_instances(InstanceIds=[first["InstanceId"]])
    assert status(ec2, first["SpotInstanceRequestId"])[0] == "open"
    world.advance(MINUTE)
    (second,) = live(world)
    row = world.row(second.id)
    assert status(ec2, first["SpotInstanceRequestId"]) == ("active", "fulfilled")
    assert request_of(ec2, first["SpotInstanceRequestId"])["InstanceId"] == second.id
    assert (row["tags"], row["market"]) == ({}, "persistent")
    assert (row["relaunched_by"], row["relaunch_of"]) == (first["SpotInstanceRequestId"], first["InstanceId"])


def test_a_world_can_be_told_to_relaunch_with_tags() -> None:
    """`relaunch_with_tags` keeps the tags of the first launch."""
    with World(seed=1, relaunch_with_tags=True) as world:
        box = world.start_box("g5.xlarge", market="persistent", tags={"a": "b"})
        world.session().client("ec2").terminate_instances(InstanceIds=[box.id])
        world.advance(MINUTE)
        assert [world.row(one.id)["tags"] for one in live(world)] == [{"a": "b"}]


def test_a_cancelled_request_does_not_relaunch(world: World, ec2: Any) -> None:
    """Cancel first, then terminate: the request stays cancelled and visible, and no box comes back."""
    instance = run_spot(ec2, PERSISTENT)
    world.advance(MINUTE)
    ec2.cancel_spot_instance_requests(SpotInstanceRequestIds=[instance["SpotInstanceRequestId"]])
    ec2.terminate_instances(InstanceIds=[instance["InstanceId"]])
    world.advance(HOUR)
    assert status(ec2, instance["SpotInstanceRequestId"]) == ("cancelled", "instance-terminated-by-user")
    assert live(world) == []


def test_cancelling_an_active_request_leaves_the_box_running(world: World, ec2: Any) -> None:
    """cancelled / request-canceled-and-instance-running, and the box bills on."""
    instance = run_spot(ec2)
    world.advance(MINUTE)
    ec2.cancel_spot_instance_requests(SpotInstanceRequestIds=[instance["SpotInstanceRequestId"]])
    world.advance(HOUR)
    assert status(ec2, instance["SpotInstanceRequestId"]) == (
        "cancelled",
        "request-canceled-and-instance-running",
    )
    assert [box.state for box in live(world)] == ["running"]


def test_cancelling_an_open_request_ends_it_before_fulfilment(world: World, ec2: Any) -> None:
    """cancelled / canceled-before-fulfillment, and nothing is launched later."""
    asked = ec2.request_spot_instances(LaunchSpecification={"ImageId": IMAGE, "InstanceType": "g5.xlarge"})
    request_id = asked["SpotInstanceRequests"][0]["SpotInstanceRequestId"]
    assert status(ec2, request_id) == ("open", "pending-evaluation")
    ec2.cancel_spot_instance_requests(SpotInstanceRequestIds=[request_id])
    world.advance(HOUR)
    assert status(ec2, request_id) == ("cancelled", "canceled-before-fulfillment")
    assert list(world.boxes) == []


def test_cancelling_a_disabled_request_terminates_its_stopped_box(world: World, ec2: Any) -> None:
    """A stopped box goes with its request."""
    instance = run_spot(ec2, PERSISTENT)
    world.advance(MINUTE)
    ec2.stop_instances(InstanceIds=[instance["InstanceId"]])
    world.advance(MINUTE)
    ec2.cancel_spot_instance_requests(SpotInstanceRequestIds=[instance["SpotInstanceRequestId"]])
    world.advance(10 * MINUTE)
    assert live(world) == []
    assert world.row(instance["InstanceId"])["ended_by"] == "CancelSpotInstanceRequests"


def test_cancelling_an_unknown_request_is_not_found_and_fails_the_call(world: World, ec2: Any) -> None:
    """InvalidSpotInstanceRequestID.NotFound, and the known one of the same call is not cancelled."""
    instance = run_spot(ec2)
    with pytest.raises(ClientError, match=r"InvalidSpotInstanceRequestID\.NotFound"):
        ec2.cancel_spot_instance_requests(
            SpotInstanceRequestIds=[instance["SpotInstanceRequestId"], "sir-00000000"]
        )
    assert status(ec2, instance["SpotInstanceRequestId"])[0] == "active"


def test_cancelling_a_cancelled_request_succeeds(ec2: Any) -> None:
    """The second cancel answers `cancelled` as the first did."""
    request_id = run_spot(ec2)["SpotInstanceRequestId"]
    for _ in range(2):
        answer = ec2.cancel_spot_instance_requests(SpotInstanceRequestIds=[request_id])[
            "CancelledSpotInstanceRequests"
        ]
        assert answer == [{"SpotInstanceRequestId": request_id, "State": "cancelled"}]


def test_stopping_makes_the_request_disabled_and_starting_active_again(world: World, ec2: Any) -> None:
    """disabled / instance-stopped-by-user while stopped, and AWS does not start it by itself."""
    instance = run_spot(ec2, PERSISTENT)
    world.advance(MINUTE)
    ec2.stop_instances(InstanceIds=[instance["InstanceId"]])
    world.advance(HOUR)
    assert status(ec2, instance["SpotInstanceRequestId"]) == ("disabled", "instance-stopped-by-user")
    assert [box.state for box in live(world)] == ["stopped"]
    ec2.start_instances(InstanceIds=[instance["InstanceId"]])
    world.advance(MINUTE)
    assert status(ec2, instance["SpotInstanceRequestId"]) == ("active", "fulfilled")
    assert [box.state for box in live(world)] == ["running"]


def test_a_one_time_spot_box_cannot_be_stopped(world: World, ec2: Any) -> None:
    """StopInstances is UnsupportedOperation for a one-time request."""
    instance = run_spot(ec2)
    world.advance(MINUTE)
    with pytest.raises(ClientError, match="UnsupportedOperation"):
        ec2.stop_instances(InstanceIds=[instance["InstanceId"]])


def test_a_spot_box_cannot_be_stopped_once_its_request_is_cancelled(world: World, ec2: Any) -> None:
    """StopInstances is UnsupportedOperation after the cancel, although the request was persistent."""
    instance = run_spot(ec2, PERSISTENT)
    world.advance(MINUTE)
    ec2.cancel_spot_instance_requests(SpotInstanceRequestIds=[instance["SpotInstanceRequestId"]])
    with pytest.raises(ClientError, match="UnsupportedOperation"):
        ec2.stop_instances(InstanceIds=[instance["InstanceId"]])


def test_valid_until_ends_the_request_and_not_the_box(world: World, ec2: Any) -> None:
    """After ValidUntil the box runs on, and once it is ended nothing replaces it."""
    instance = run_spot(ec2, {**PERSISTENT, "ValidUntil": world.now + HOUR})
    world.advance(2 * HOUR)
    assert status(ec2, instance["SpotInstanceRequestId"])[0] == "cancelled"
    assert [box.state for box in live(world)] == ["running"]
    ec2.terminate_instances(InstanceIds=[instance["InstanceId"]])
    world.advance(HOUR)
    assert live(world) == []


def test_request_spot_instances_is_open_and_fulfilled_seconds_later(world: World, ec2: Any) -> None:
    """The old call answers with open requests; each gets its box within a minute."""
    asked = ec2.request_spot_instances(
        InstanceCount=2,
        Type="persistent",
        SpotPrice="1.0",
        LaunchSpecification={"ImageId": IMAGE, "InstanceType": "g5.xlarge"},
    )["SpotInstanceRequests"]
    assert [request["State"] for request in asked] == ["open", "open"]
    world.advance(2 * MINUTE)
    assert [status(ec2, request["SpotInstanceRequestId"]) for request in asked] == [
        ("active", "fulfilled")
    ] * 2
    assert [box.state for box in live(world)] == ["running", "running"]


def test_an_open_request_waits_for_capacity_and_for_its_price(world: World, ec2: Any) -> None:
    """capacity-not-available and price-too-low while it waits; fulfilled as soon as there is some."""
    world.set_capacity("*", "g5.xlarge", available=False)
    launch = {"ImageId": IMAGE, "InstanceType": "g5.xlarge"}
    waiting = ec2.request_spot_instances(LaunchSpecification=launch)["SpotInstanceRequests"][0][
        "SpotInstanceRequestId"
    ]
    cheap = ec2.request_spot_instances(LaunchSpecification=launch, SpotPrice="0.001")["SpotInstanceRequests"][
        0
    ]
    world.advance(2 * MINUTE)
    assert status(ec2, waiting) == ("open", "capacity-not-available")
    world.set_capacity("*", "g5.xlarge", available=True)
    world.advance(2 * MINUTE)
    assert status(ec2, waiting) == ("active", "fulfilled")
    assert status(ec2, cheap["SpotInstanceRequestId"]) == ("open", "price-too-low")


def test_a_cap_under_the_price_refuses_the_launch_and_leaves_no_request(ec2: Any) -> None:
    """RunInstances answers SpotMaxPriceTooLow."""
    with pytest.raises(ClientError, match="SpotMaxPriceTooLow"):
        run_spot(ec2, {"MaxPrice": "0.001"})
    assert ec2.describe_spot_instance_requests()["SpotInstanceRequests"] == []


def test_an_interruption_warns_and_ends_the_box_two_minutes_later(world: World, ec2: Any) -> None:
    """marked-for-termination, then instance-terminated-no-capacity; a one-time request is closed with it."""
    instance = run_spot(ec2)
    world.advance(MINUTE)
    world.interrupt(instance["InstanceId"])
    assert status(ec2, instance["SpotInstanceRequestId"])[1] == "marked-for-termination"
    world.advance(timedelta(seconds=119))
    assert [box.state for box in live(world)] == ["running"]
    world.advance(MINUTE)
    assert status(ec2, instance["SpotInstanceRequestId"]) == ("closed", "instance-terminated-no-capacity")
    assert world.row(instance["InstanceId"])["ended_by"] == "ec2-interruption"


def test_an_interruption_stopped_box_is_restarted_by_aws(world: World, ec2: Any) -> None:
    """A persistent request with behaviour stop is open while its box is stopped, and AWS starts the box again."""
    instance = run_spot(ec2, PERSISTENT)
    world.advance(MINUTE)
    world.interrupt(instance["InstanceId"])
    world.advance(3 * MINUTE)
    assert status(ec2, instance["SpotInstanceRequestId"]) == ("open", "instance-stopped-no-capacity")
    assert [box.state for box in live(world)] == ["stopped"]
    world.advance(30 * MINUTE)
    assert status(ec2, instance["SpotInstanceRequestId"]) == ("active", "fulfilled")
    assert [(box.id, box.state) for box in live(world)] == [(instance["InstanceId"], "running")]


def test_a_price_above_the_cap_interrupts_after_the_two_minute_warning(world: World, ec2: Any) -> None:
    """instance-terminated-by-price once the price in force has passed the cap."""
    instance = run_spot(ec2, {"MaxPrice": "0.9"})
    world.advance(10 * MINUTE)
    world.set_price(instance["Placement"]["AvailabilityZone"], "g5.xlarge", Decimal("0.95"))
    world.advance(MINUTE)
    assert [box.state for box in live(world)] == ["running"]
    world.advance(2 * MINUTE)
    assert live(world) == []
    assert status(ec2, instance["SpotInstanceRequestId"]) == ("closed", "instance-terminated-by-price")


def test_requests_can_be_filtered(world: World, ec2: Any) -> None:
    """By state, instance, request id, tag and tag key."""
    first, second = run_spot(ec2), run_spot(ec2, PERSISTENT)
    ec2.cancel_spot_instance_requests(SpotInstanceRequestIds=[first["SpotInstanceRequestId"]])
    ec2.create_tags(Resources=[second["SpotInstanceRequestId"]], Tags=[{"Key": "team", "Value": "vision"}])

    def ids(name: str, value: str) -> list[str]:
        rows = ec2.describe_spot_instance_requests(Filters=[{"Name": name, "Values": [value]}])[
            "SpotInstanceRequests"
        ]
        return [row["SpotInstanceRequestId"] for row in rows]

    assert ids("state", "cancelled") == [first["SpotInstanceRequestId"]]
    for name, value in {
        "instance-id": second["InstanceId"],
        "spot-instance-request-id": second["SpotInstanceRequestId"],
        "tag:team": "vision",
        "tag-key": "team",
        "type": "persistent",
    }.items():
        assert ids(name, value) == [second["SpotInstanceRequestId"]]


def test_a_guest_shutdown_of_a_one_time_spot_box_ends_it(world: World, ec2: Any) -> None:
    """A one-time spot box can't be stopped, so that a shutdown inside ends it whatever its behaviour says."""
    instance = run_spot(ec2, InstanceInitiatedShutdownBehavior="stop")
    world.advance(MINUTE)
    world.guest_shutdown(instance["InstanceId"])
    world.advance(MINUTE)
    assert live(world) == []
