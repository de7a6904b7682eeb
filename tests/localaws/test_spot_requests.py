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


def ask_spot(ec2: Any, launch: dict[str, Any] | None = None, **options: Any) -> str:
    """One request of the older kind."""
    spec = {"ImageId": IMAGE, "InstanceType": "g5.xlarge", **(launch or {})}
    asked = ec2.request_spot_instances(LaunchSpecification=spec, **options)["SpotInstanceRequests"]
    return str(asked[0]["SpotInstanceRequestId"])


def live(world: World) -> list[Box]:
    return [box for box in world.boxes if box.live]


@pytest.mark.parametrize("options, kind", [(None, "one-time"), (PERSISTENT, "persistent")])
def test_run_instances_with_market_options_makes_a_request_that_is_linked_both_ways(
    ec2: Any, options: dict[str, Any] | None, kind: str
) -> None:
    """The instance names its request and the request its instance; the request is active and fulfilled (botocore,
    SpotInstanceRequest and Instance.SpotInstanceRequestId)."""
    instance = run_spot(ec2, options)
    request = request_of(ec2, instance["SpotInstanceRequestId"])
    assert instance["InstanceLifecycle"] == "spot"
    assert request["InstanceId"] == instance["InstanceId"]
    assert (request["State"], request["Status"]["Code"], request["Type"]) == ("active", "fulfilled", kind)
    assert request["LaunchedAvailabilityZone"] == instance["Placement"]["AvailabilityZone"]
    assert request["LaunchSpecification"]["InstanceType"] == "g5.xlarge"


def test_a_request_shows_its_cap_its_expiry_and_its_tags(world: World, ec2: Any) -> None:
    """SpotPrice, ValidUntil, CreateTime and the tags asked for are in the answer (botocore, SpotInstanceRequest)."""
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
    """RunInstances refuses a persistent request that would terminate on interruption (botocore,
    SpotMarketOptions.SpotInstanceType)."""
    with pytest.raises(ClientError, match="InvalidParameterCombination"):
        run_spot(ec2, {"SpotInstanceType": "persistent"})


def test_valid_until_goes_only_with_persistent(world: World, ec2: Any) -> None:
    """RunInstances refuses ValidUntil on a one-time request (botocore, SpotMarketOptions.ValidUntil)."""
    with pytest.raises(ClientError, match="InvalidParameterCombination"):
        run_spot(ec2, {"ValidUntil": world.now + HOUR})


def test_a_one_time_request_closes_with_its_instance(world: World, ec2: Any) -> None:
    """closed / instance-terminated-by-user, still visible, and nothing comes back (EC2 guide, "State changes for a Spot
    request")."""
    instance = run_spot(ec2)
    world.advance(MINUTE)
    ec2.terminate_instances(InstanceIds=[instance["InstanceId"]])
    world.advance(10 * MINUTE)
    assert status(ec2, instance["SpotInstanceRequestId"]) == ("closed", "instance-terminated-by-user")
    assert live(world) == []


def test_a_persistent_request_reopens_and_relaunches_without_tags(world: World, ec2: Any) -> None:
    """The request is open at once; within a minute AWS starts another box on it, without the first one's tags (EC2 guide,
    "Terminate a Spot Instance"; github-aws-runners/terraform-aws-github-runner pull request 5204)."""
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
    """Cancel first, then terminate: the request stays cancelled and no box comes back (EC2 guide, "Terminate a Spot
    Instance")."""
    instance = run_spot(ec2, PERSISTENT)
    world.advance(MINUTE)
    ec2.cancel_spot_instance_requests(SpotInstanceRequestIds=[instance["SpotInstanceRequestId"]])
    ec2.terminate_instances(InstanceIds=[instance["InstanceId"]])
    world.advance(HOUR)
    assert status(ec2, instance["SpotInstanceRequestId"]) == ("cancelled", "instance-terminated-by-user")
    assert live(world) == []


def test_cancelling_an_active_request_leaves_the_box_running(world: World, ec2: Any) -> None:
    """cancelled / request-canceled-and-instance-running, and the box bills on (EC2 guide, "Cancel a Spot Instance
    request")."""
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
    """cancelled / canceled-before-fulfillment, and nothing is launched later (EC2 guide, "State changes for a Spot
    request")."""
    asked = ec2.request_spot_instances(LaunchSpecification={"ImageId": IMAGE, "InstanceType": "g5.xlarge"})
    request_id = asked["SpotInstanceRequests"][0]["SpotInstanceRequestId"]
    assert status(ec2, request_id) == ("open", "pending-evaluation")
    ec2.cancel_spot_instance_requests(SpotInstanceRequestIds=[request_id])
    world.advance(HOUR)
    assert status(ec2, request_id) == ("cancelled", "canceled-before-fulfillment")
    assert list(world.boxes) == []


def test_cancelling_a_disabled_request_terminates_its_stopped_box(world: World, ec2: Any) -> None:
    """A stopped box goes with its request, some seconds later: instance-terminated-by-service (EC2 guide, "Cancel a Spot
    Instance request" and "Get the status of a Spot Instance request").
    """
    instance = run_spot(ec2, PERSISTENT)
    world.advance(MINUTE)
    ec2.stop_instances(InstanceIds=[instance["InstanceId"]])
    world.advance(MINUTE)
    ec2.cancel_spot_instance_requests(SpotInstanceRequestIds=[instance["SpotInstanceRequestId"]])
    assert status(ec2, instance["SpotInstanceRequestId"]) == ("cancelled", "instance-stopped-by-user")
    assert [box.state for box in live(world)] == ["stopped"]
    world.advance(MINUTE)
    assert live(world) == []
    assert world.row(instance["InstanceId"])["ended_by"] == "CancelSpotInstanceRequests"
    assert status(ec2, instance["SpotInstanceRequestId"]) == ("cancelled", "instance-terminated-by-service")


def test_cancelling_while_the_box_stops_terminates_it_all_the_same(world: World, ec2: Any) -> None:
    """A box on its way to `stopped` goes with its request as a stopped one does (EC2 guide, "Cancel a Spot Instance
    request").
    """
    instance = run_spot(ec2, PERSISTENT)
    world.advance(MINUTE)
    ec2.stop_instances(InstanceIds=[instance["InstanceId"]])
    ec2.cancel_spot_instance_requests(SpotInstanceRequestIds=[instance["SpotInstanceRequestId"]])
    world.advance(2 * MINUTE)
    assert live(world) == []
    assert status(ec2, instance["SpotInstanceRequestId"]) == ("cancelled", "instance-terminated-by-service")


def test_terminating_a_stopped_box_relaunches_on_its_open_request(world: World, ec2: Any) -> None:
    """Whether it ran or was stopped: the persistent request opens again and another box is started (EC2 guide, "Spot
    Instance request states").
    """
    first = run_spot(ec2, PERSISTENT)
    world.advance(MINUTE)
    ec2.stop_instances(InstanceIds=[first["InstanceId"]])
    world.advance(MINUTE)
    ec2.terminate_instances(InstanceIds=[first["InstanceId"]])
    assert status(ec2, first["SpotInstanceRequestId"]) == ("open", "pending-evaluation")
    world.advance(2 * MINUTE)
    assert [world.row(box.id)["relaunch_of"] for box in live(world)] == [first["InstanceId"]]


@pytest.mark.parametrize("state", ["pending", "running", "stopping", "stopped", "shutting-down"])
def test_terminating_a_persistent_spot_box_in_any_state_relaunches_once(
    world: World, ec2: Any, state: str
) -> None:
    """Whatever the box was doing, its open request starts one other, and one alone (EC2 guide, "Terminate a Spot
    Instance").
    """
    box_id = run_spot(ec2, PERSISTENT)["InstanceId"]
    box = world.boxes.of(box_id)
    if state != "pending":
        world.advance(MINUTE)
    if state in ("stopping", "stopped"):
        ec2.stop_instances(InstanceIds=[box_id])
    if state == "stopped":
        world.advance(MINUTE)
    if state == "shutting-down":
        ec2.terminate_instances(InstanceIds=[box_id])
    assert box.state == state
    ec2.terminate_instances(InstanceIds=[box_id])
    assert box.state == "shutting-down"
    world.advance(5 * MINUTE)
    assert [world.row(one.id)["relaunch_of"] for one in live(world)] == [box_id]


def test_a_box_that_never_ran_cannot_be_stopped(world: World, ec2: Any) -> None:
    """IncorrectInstanceState for a pending instance, spot or not, until it has run (cloud-custodian/cloud-custodian pull
    request 6014, flatcar/mantle pull request 315).
    """
    for box_id in (run_spot(ec2, PERSISTENT)["InstanceId"], world.start_box("g5.xlarge").id):
        with pytest.raises(ClientError, match="IncorrectInstanceState"):
            ec2.stop_instances(InstanceIds=[box_id])
    assert [box.state for box in live(world)] == ["pending", "pending"]


def test_stopping_twice_is_once_and_a_box_that_is_ending_cannot_be_stopped(world: World, ec2: Any) -> None:
    """A stopping spot box goes on stopping; one that shuts down is in no state to be stopped (EC2 guide, "Instance state
    changes").
    """
    instance = run_spot(ec2, PERSISTENT)
    world.advance(MINUTE)
    for before in ("running", "stopping"):
        change = ec2.stop_instances(InstanceIds=[instance["InstanceId"]])["StoppingInstances"][0]
        assert (change["PreviousState"]["Name"], change["CurrentState"]["Name"]) == (before, "stopping")
    ec2.terminate_instances(InstanceIds=[instance["InstanceId"]])
    with pytest.raises(ClientError, match="IncorrectInstanceState"):
        ec2.stop_instances(InstanceIds=[instance["InstanceId"]])


def test_cancelling_an_unknown_request_is_not_found_and_fails_the_call(world: World, ec2: Any) -> None:
    """InvalidSpotInstanceRequestID.NotFound, and the known one of the same call is not cancelled (EC2 API reference,
    "Error codes")."""
    instance = run_spot(ec2)
    with pytest.raises(ClientError, match=r"InvalidSpotInstanceRequestID\.NotFound"):
        ec2.cancel_spot_instance_requests(
            SpotInstanceRequestIds=[instance["SpotInstanceRequestId"], "sir-00000000"]
        )
    assert status(ec2, instance["SpotInstanceRequestId"])[0] == "active"


def test_cancelling_a_cancelled_request_succeeds(ec2: Any) -> None:
    """The second cancel answers `cancelled` as the first did (botocore, CancelledSpotInstanceRequest.State)."""
    request_id = run_spot(ec2)["SpotInstanceRequestId"]
    for _ in range(2):
        answer = ec2.cancel_spot_instance_requests(SpotInstanceRequestIds=[request_id])[
            "CancelledSpotInstanceRequests"
        ]
        assert answer == [{"SpotInstanceRequestId": request_id, "State": "cancelled"}]


def test_stopping_makes_the_request_disabled_and_starting_active_again(world: World, ec2: Any) -> None:
    """marked-for-stop while it stops, disabled / instance-stopped-by-user once it has, and AWS does not start it by itself
    (EC2 guide, "State changes for a Spot request").
    """
    instance = run_spot(ec2, PERSISTENT)
    world.advance(MINUTE)
    ec2.stop_instances(InstanceIds=[instance["InstanceId"]])
    assert status(ec2, instance["SpotInstanceRequestId"]) == ("active", "marked-for-stop")
    world.advance(HOUR)
    assert status(ec2, instance["SpotInstanceRequestId"]) == ("disabled", "instance-stopped-by-user")
    assert [box.state for box in live(world)] == ["stopped"]
    ec2.start_instances(InstanceIds=[instance["InstanceId"]])
    world.advance(MINUTE)
    assert status(ec2, instance["SpotInstanceRequestId"]) == ("active", "fulfilled")
    assert [box.state for box in live(world)] == ["running"]


def test_a_one_time_spot_box_cannot_be_stopped(world: World, ec2: Any) -> None:
    """StopInstances is UnsupportedOperation for a one-time request (EC2 guide, "Stop a Spot Instance")."""
    instance = run_spot(ec2)
    world.advance(MINUTE)
    with pytest.raises(ClientError, match="UnsupportedOperation"):
        ec2.stop_instances(InstanceIds=[instance["InstanceId"]])


def test_a_spot_box_cannot_be_stopped_once_its_request_is_cancelled(world: World, ec2: Any) -> None:
    """StopInstances is UnsupportedOperation after the cancel, although the request was persistent (EC2 guide, "Stop a Spot
    Instance")."""
    instance = run_spot(ec2, PERSISTENT)
    world.advance(MINUTE)
    ec2.cancel_spot_instance_requests(SpotInstanceRequestIds=[instance["SpotInstanceRequestId"]])
    with pytest.raises(ClientError, match="UnsupportedOperation"):
        ec2.stop_instances(InstanceIds=[instance["InstanceId"]])


def test_valid_until_ends_the_request_and_not_the_box(world: World, ec2: Any) -> None:
    """After ValidUntil the box runs on, and once it is ended nothing replaces it (botocore, SpotInstanceRequest.ValidUntil;
    EC2 guide, "Spot Instance request states")."""
    instance = run_spot(ec2, {**PERSISTENT, "ValidUntil": world.now + HOUR})
    world.advance(2 * HOUR)
    assert status(ec2, instance["SpotInstanceRequestId"])[0] == "cancelled"
    assert [box.state for box in live(world)] == ["running"]
    ec2.terminate_instances(InstanceIds=[instance["InstanceId"]])
    world.advance(HOUR)
    assert live(world) == []


def test_valid_until_leaves_a_stopped_box_stopped_for_good(world: World, ec2: Any) -> None:
    """cancelled / instance-stopped-by-user when the request of a stopped box expires (EC2 guide, "State changes for a Spot
    request").
    """
    instance = run_spot(ec2, {**PERSISTENT, "ValidUntil": world.now + HOUR})
    world.advance(MINUTE)
    ec2.stop_instances(InstanceIds=[instance["InstanceId"]])
    world.advance(2 * HOUR)
    assert status(ec2, instance["SpotInstanceRequestId"]) == ("cancelled", "instance-stopped-by-user")
    assert [box.state for box in live(world)] == ["stopped"]


def test_an_open_request_expires_at_its_valid_until(world: World, ec2: Any) -> None:
    """cancelled / schedule-expired when no box was launched in time (EC2 guide, "State changes for a Spot request")."""
    world.set_capacity("*", "*", available=False)
    request_id = ask_spot(ec2, ValidUntil=world.now + HOUR)
    world.advance(HOUR + MINUTE)
    assert status(ec2, request_id) == ("cancelled", "schedule-expired")
    world.set_capacity("*", "*", available=True)
    world.advance(HOUR)
    assert list(world.boxes) == []


def test_a_one_time_request_outlives_its_valid_until_with_its_box(world: World, ec2: Any) -> None:
    """It stands until its boxes are launched, for seven days unless told otherwise; then its box alone decides (botocore,
    RequestSpotInstancesRequest.ValidUntil).
    """
    request_id = ask_spot(ec2)
    assert request_of(ec2, request_id)["ValidUntil"] == world.now + timedelta(days=7)
    world.advance(timedelta(days=8))
    assert status(ec2, request_id) == ("active", "fulfilled")


def test_a_request_with_bad_parameters_fails(world: World, ec2: Any) -> None:
    """failed / bad-parameters when what it asks for does not exist; it launches nothing later either (EC2 guide, "State
    changes for a Spot request").
    """
    request_id = ask_spot(ec2, launch={"SecurityGroupIds": ["sg-0123456789abcdef0"]})
    world.advance(HOUR)
    assert status(ec2, request_id) == ("failed", "bad-parameters")
    assert list(world.boxes) == []


def test_a_request_may_be_valid_from_later(world: World, ec2: Any) -> None:
    """not-scheduled-yet until ValidFrom, then fulfilled (botocore, RequestSpotInstancesRequest.ValidFrom)."""
    request_id = ask_spot(ec2, ValidFrom=world.now + HOUR)
    world.advance(HOUR - MINUTE)
    assert status(ec2, request_id) == ("open", "not-scheduled-yet")
    world.advance(3 * MINUTE)
    assert status(ec2, request_id) == ("active", "fulfilled")


def test_request_spot_instances_may_stop_only_what_persists(ec2: Any) -> None:
    """InvalidParameterCombination for a one-time request with the behaviour stop (diux-dev/cluster issue 27)."""
    with pytest.raises(ClientError, match="InvalidParameterCombination"):
        ask_spot(ec2, InstanceInterruptionBehavior="stop")


def test_a_persistent_request_that_terminates_relaunches_after_an_interruption(
    world: World, ec2: Any
) -> None:
    """open / instance-terminated-no-capacity, then another box (EC2 guide, "State changes for a Spot request")."""
    request_id = ask_spot(ec2, Type="persistent")
    world.advance(2 * MINUTE)
    (first,) = live(world)
    world.set_capacity("*", "*", available=False)
    world.interrupt(first.id)
    world.advance(2 * MINUTE)
    assert status(ec2, request_id) == ("open", "instance-terminated-no-capacity")
    world.set_capacity("*", "*", available=True)
    world.advance(2 * MINUTE)
    assert [box.relaunch_of for box in live(world)] == [first.id]


def test_a_request_is_forgotten_four_hours_after_it_and_its_box_are_over(world: World, ec2: Any) -> None:
    """It stays visible while its box runs and for four hours after, and is then unknown (botocore,
    DescribeSpotInstanceRequests).
    """
    instance = run_spot(ec2)
    request_id = instance["SpotInstanceRequestId"]
    ec2.cancel_spot_instance_requests(SpotInstanceRequestIds=[request_id])
    world.advance(10 * HOUR)
    assert status(ec2, request_id)[0] == "cancelled"
    ec2.terminate_instances(InstanceIds=[instance["InstanceId"]])
    world.advance(4 * HOUR - MINUTE)
    assert status(ec2, request_id) == ("cancelled", "instance-terminated-by-user")
    world.advance(2 * MINUTE)
    assert ec2.describe_spot_instance_requests()["SpotInstanceRequests"] == []
    with pytest.raises(ClientError, match=r"InvalidSpotInstanceRequestID\.NotFound"):
        ec2.cancel_spot_instance_requests(SpotInstanceRequestIds=[request_id])
    assert [row["id"] for row in world.truth()["spot_requests"]] == [request_id]


def test_request_spot_instances_is_open_and_fulfilled_seconds_later(world: World, ec2: Any) -> None:
    """The old call answers with open requests; each gets its box within a minute (EC2 guide, "State changes for a Spot
    request")."""
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
    """capacity-not-available and price-too-low while it waits; fulfilled as soon as there is some (EC2 guide, "State changes
    for a Spot request")."""
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
    """RunInstances answers SpotMaxPriceTooLow and leaves no request (EC2 API reference, "Error codes")."""
    with pytest.raises(ClientError, match="SpotMaxPriceTooLow"):
        run_spot(ec2, {"MaxPrice": "0.001"})
    assert ec2.describe_spot_instance_requests()["SpotInstanceRequests"] == []


def test_an_interruption_warns_and_ends_the_box_two_minutes_later(world: World, ec2: Any) -> None:
    """marked-for-termination, then instance-terminated-no-capacity; a one-time request is closed with it (EC2 guide, "Spot
    Instance interruption notices" and "State changes for a Spot request")."""
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
    """disabled / instance-stopped-no-capacity while it is stopped, and AWS starts it again (EC2 guide, "State changes for
    a Spot request" and "Behavior of Spot Instance interruptions").
    """
    instance = run_spot(ec2, PERSISTENT)
    world.advance(MINUTE)
    world.interrupt(instance["InstanceId"])
    assert status(ec2, instance["SpotInstanceRequestId"]) == ("active", "marked-for-stop")
    world.advance(3 * MINUTE)
    assert status(ec2, instance["SpotInstanceRequestId"]) == ("disabled", "instance-stopped-no-capacity")
    shown = ec2.describe_instances(InstanceIds=[instance["InstanceId"]])["Reservations"][0]["Instances"][0]
    assert (shown["State"]["Name"], shown["StateReason"]["Code"]) == (
        "stopped",
        "Server.SpotInstanceShutdown",
    )
    world.advance(30 * MINUTE)
    assert status(ec2, instance["SpotInstanceRequestId"]) == ("active", "fulfilled")
    assert [(box.id, box.state) for box in live(world)] == [(instance["InstanceId"], "running")]


def test_only_aws_restarts_what_an_interruption_stopped(world: World, ec2: Any) -> None:
    """StartInstances is IncorrectSpotRequestState; AWS waits for capacity in the same zone (EC2 guide, "Behavior of Spot
    Instance interruptions").
    """
    instance = run_spot(ec2, PERSISTENT)
    world.advance(MINUTE)
    world.set_capacity(instance["Placement"]["AvailabilityZone"], "*", available=False)
    world.interrupt(instance["InstanceId"])
    world.advance(HOUR)
    with pytest.raises(ClientError, match="IncorrectSpotRequestState"):
        ec2.start_instances(InstanceIds=[instance["InstanceId"]])
    assert [box.state for box in live(world)] == ["stopped"]
    world.set_capacity(instance["Placement"]["AvailabilityZone"], "*", available=True)
    world.advance(3 * MINUTE)
    assert [box.state for box in live(world)] == ["running"]


def test_cancelling_the_request_of_an_interruption_stopped_box_terminates_it(world: World, ec2: Any) -> None:
    """What EC2 has stopped goes with its request (EC2 guide, "Behavior of Spot Instance interruptions")."""
    instance = run_spot(ec2, PERSISTENT)
    world.advance(MINUTE)
    world.interrupt(instance["InstanceId"])
    world.advance(3 * MINUTE)
    ec2.cancel_spot_instance_requests(SpotInstanceRequestIds=[instance["SpotInstanceRequestId"]])
    world.advance(HOUR)
    assert live(world) == []
    assert status(ec2, instance["SpotInstanceRequestId"]) == ("cancelled", "instance-terminated-by-service")


def test_hibernation_begins_with_its_notice(world: World, ec2: Any) -> None:
    """No two minutes: the box stops at once, and AWS resumes it later (EC2 guide, "Hibernate interrupted Spot
    Instances").
    """
    instance = run_spot(ec2, {"SpotInstanceType": "persistent", "InstanceInterruptionBehavior": "hibernate"})
    request_id = instance["SpotInstanceRequestId"]
    assert request_of(ec2, request_id)["InstanceInterruptionBehavior"] == "hibernate"
    world.advance(MINUTE)
    world.interrupt(instance["InstanceId"])
    world.advance(MINUTE)
    assert status(ec2, request_id) == ("disabled", "instance-stopped-no-capacity")
    warnings = [
        event["detail"]["instance-action"]
        for event in iter(world.take_event, None)
        if event["detail-type"] == "EC2 Spot Instance Interruption Warning"
    ]
    assert warnings == ["hibernate"]
    world.advance(30 * MINUTE)
    assert [box.state for box in live(world)] == ["running"]


def test_a_price_above_the_cap_interrupts_after_the_two_minute_warning(world: World, ec2: Any) -> None:
    """instance-terminated-by-price once the price in force has passed the cap (EC2 guide, "Spot Instance interruptions")."""
    instance = run_spot(ec2, {"MaxPrice": "0.9"})
    world.advance(10 * MINUTE)
    world.set_price(instance["Placement"]["AvailabilityZone"], "g5.xlarge", Decimal("0.95"))
    world.advance(MINUTE)
    assert [box.state for box in live(world)] == ["running"]
    world.advance(2 * MINUTE)
    assert live(world) == []
    assert status(ec2, instance["SpotInstanceRequestId"]) == ("closed", "instance-terminated-by-price")


def test_requests_can_be_filtered(world: World, ec2: Any) -> None:
    """By state, instance, request id, tag and tag key (botocore, DescribeSpotInstanceRequests.Filters)."""
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
    """A one-time spot box can't be stopped, so that a shutdown inside ends it whatever its behaviour says (EC2 guide, "Stop a
    Spot Instance")."""
    instance = run_spot(ec2, InstanceInitiatedShutdownBehavior="stop")
    world.advance(MINUTE)
    world.guest_shutdown(instance["InstanceId"])
    world.advance(MINUTE)
    assert live(world) == []


def spot_template(ec2: Any, **options: Any) -> dict[str, str]:
    market = {"MarketType": "spot", "SpotOptions": options}
    made = ec2.create_launch_template(
        LaunchTemplateName="spot",
        LaunchTemplateData={"ImageId": IMAGE, "InstanceType": "g5.xlarge", "InstanceMarketOptions": market},
    )
    return {"LaunchTemplateId": made["LaunchTemplate"]["LaunchTemplateId"]}


def test_a_launch_template_that_asks_for_spot_makes_a_spot_request(world: World, ec2: Any) -> None:
    """RunInstances takes type, behaviour and cap of the request from its template (botocore,
    LaunchTemplateSpotMarketOptionsRequest).
    """
    template = spot_template(ec2, **PERSISTENT, MaxPrice="0.9")
    instance = ec2.run_instances(LaunchTemplate=template, MinCount=1, MaxCount=1)["Instances"][0]
    request = request_of(ec2, instance["SpotInstanceRequestId"])
    assert (request["Type"], request["InstanceInterruptionBehavior"], request["SpotPrice"]) == (
        "persistent",
        "stop",
        "0.900000",
    )


def test_a_persistent_request_of_a_launch_template_is_valid_for_seven_days(world: World, ec2: Any) -> None:
    """Unless the template says otherwise; a request that RunInstances itself asks for has no end (botocore,
    LaunchTemplateSpotMarketOptionsRequest.ValidUntil and SpotMarketOptions.ValidUntil).
    """
    template = spot_template(ec2, **PERSISTENT)
    instance = ec2.run_instances(LaunchTemplate=template, MinCount=1, MaxCount=1)["Instances"][0]
    assert request_of(ec2, instance["SpotInstanceRequestId"])["ValidUntil"] == world.now + timedelta(days=7)
    assert "ValidUntil" not in request_of(ec2, run_spot(ec2, PERSISTENT)["SpotInstanceRequestId"])


def test_a_launch_templates_own_end_is_kept(world: World, ec2: Any) -> None:
    """ValidUntil of the template is that of the request (botocore, LaunchTemplateSpotMarketOptionsRequest.ValidUntil)."""
    until = world.now + 3 * HOUR
    template = spot_template(ec2, **PERSISTENT, ValidUntil=until)
    instance = ec2.run_instances(LaunchTemplate=template, MinCount=1, MaxCount=1)["Instances"][0]
    assert request_of(ec2, instance["SpotInstanceRequestId"])["ValidUntil"] == until


def test_market_options_of_the_call_replace_those_of_its_template(world: World, ec2: Any) -> None:
    """What the call says stands in the template's place (botocore, RunInstancesRequest.LaunchTemplate)."""
    template = spot_template(ec2, **PERSISTENT)
    instance = ec2.run_instances(
        LaunchTemplate=template, MinCount=1, MaxCount=1, InstanceMarketOptions={"MarketType": "spot"}
    )["Instances"][0]
    assert request_of(ec2, instance["SpotInstanceRequestId"])["Type"] == "one-time"


def test_a_cap_below_a_tenth_of_a_cent_is_invalid(ec2: Any) -> None:
    """InvalidParameterValue for a MaxPrice under $0.001 (botocore, SpotMarketOptions.MaxPrice)."""
    with pytest.raises(ClientError, match="InvalidParameterValue"):
        run_spot(ec2, {"MaxPrice": "0.0009"})


def test_hibernation_options_make_the_interruption_behaviour_hibernate(ec2: Any) -> None:
    """HibernationOptions.Configured sets it, and contradicts `stop` (botocore,
    SpotMarketOptions.InstanceInterruptionBehavior).
    """
    instance = run_spot(ec2, {"SpotInstanceType": "persistent"}, HibernationOptions={"Configured": True})
    request = request_of(ec2, instance["SpotInstanceRequestId"])
    assert request["InstanceInterruptionBehavior"] == "hibernate"
    with pytest.raises(ClientError, match="InvalidParameterCombination"):
        run_spot(ec2, PERSISTENT, HibernationOptions={"Configured": True})


def test_a_start_is_refused_while_the_price_is_over_the_cap(world: World, ec2: Any) -> None:
    """The spot price must be under the maximum for a stopped box to start (EC2 guide, "Start a Spot Instance")."""
    instance = run_spot(ec2, {**PERSISTENT, "MaxPrice": "0.9"})
    world.advance(MINUTE)
    ec2.stop_instances(InstanceIds=[instance["InstanceId"]])
    world.advance(MINUTE)
    world.set_price(instance["Placement"]["AvailabilityZone"], "g5.xlarge", Decimal("0.95"))
    with pytest.raises(ClientError, match="SpotMaxPriceTooLow"):
        ec2.start_instances(InstanceIds=[instance["InstanceId"]])
    assert [box.state for box in live(world)] == ["stopped"]
