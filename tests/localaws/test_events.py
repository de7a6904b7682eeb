"""EC2's events: which are sent, their exact form, and what becomes of them on their way."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from localaws.errors import LocalAwsError, RequestError
from localaws.world import World

MINUTE = timedelta(minutes=1)


def taken(world: World) -> list[dict[str, Any]]:
    events = []
    while (event := world.take_event()) is not None:
        events.append(event)
    return events


def told(world: World) -> list[str]:
    """What was said, in short."""
    return [
        event["detail"].get("state") or event["detail-type"].removeprefix("EC2 Spot Instance ")
        for event in taken(world)
    ]


def test_a_state_change_has_the_form_that_eventbridge_delivers(world: World) -> None:
    """The notification names the instance in its detail and in its ARN (EC2 guide, "State change events for your
    instances")."""
    box = world.start_box("g5.xlarge")
    event = taken(world)[0]
    assert event.pop("id")
    assert event == {
        "version": "0",
        "detail-type": "EC2 Instance State-change Notification",
        "source": "aws.ec2",
        "account": "123456789012",
        "time": "2026-03-02T09:00:00Z",
        "region": "us-east-1",
        "resources": [f"arn:aws:ec2:us-east-1:123456789012:instance/{box.id}"],
        "detail": {"instance-id": box.id, "state": "pending"},
    }


def test_every_state_of_an_instance_is_told_in_order(world: World, ec2: Any) -> None:
    """pending, running, stopping, stopped, pending, running, shutting-down, terminated (EC2 guide, "State change events
    for your instances")."""
    box = world.start_box("g5.xlarge")
    for act in (ec2.stop_instances, ec2.start_instances, ec2.terminate_instances):
        world.advance(MINUTE)
        act(InstanceIds=[box.id])
    world.advance(MINUTE)
    assert told(world) == [
        "pending",
        "running",
        "stopping",
        "stopped",
        "pending",
        "running",
        "shutting-down",
        "terminated",
    ]


def test_a_fulfilment_names_the_request_and_the_instance(world: World) -> None:
    """`EC2 Spot Instance Request Fulfillment` carries both ids (EC2 guide, "Spot Instance request fulfillment")."""
    box = world.start_box("g5.xlarge", market="one-time")
    (event,) = [
        event for event in taken(world) if event["detail-type"] == "EC2 Spot Instance Request Fulfillment"
    ]
    assert event["detail"] == {"spot-instance-request-id": box.request_id, "instance-id": box.id}


def test_an_interruption_warning_has_a_zone_in_its_arn_and_no_account(world: World) -> None:
    """The ARN is arn:aws:ec2:<zone>:instance/<id>; the action is what will happen (EC2 guide, "Spot Instance
    interruption notices")."""
    box = world.start_box("g5.xlarge", market="persistent")
    world.advance(MINUTE)
    taken(world)
    world.interrupt(box.id)
    (event,) = taken(world)
    assert event["detail-type"] == "EC2 Spot Instance Interruption Warning"
    assert event["resources"] == [f"arn:aws:ec2:{box.zone}:instance/{box.id}"]
    assert event["detail"] == {"instance-id": box.id, "instance-action": "stop"}
    world.advance(3 * MINUTE)
    assert told(world) == ["stopping", "stopped"]


def test_a_relaunch_is_told(world: World, ec2: Any) -> None:
    """The replacement of a persistent request's box is fulfilled and pending like any other (EC2 guide, "Spot Instance
    request states")."""
    box = world.start_box("g5.xlarge", market="persistent")
    world.advance(MINUTE)
    taken(world)
    ec2.terminate_instances(InstanceIds=[box.id])
    world.advance(2 * MINUTE)
    assert sorted(told(world)) == sorted(
        ["shutting-down", "terminated", "pending", "Request Fulfillment", "running"]
    )


def test_a_listener_is_woken_by_each_event(world: World) -> None:
    """`on_event` is how the server knows at once that there is something to deliver."""
    woken = []
    world.on_event(lambda: woken.append(world.now))
    world.start_box("g5.xlarge")
    assert woken == [world.now]


def test_a_rebalance_recommendation_names_the_zone_and_nothing_comes_of_it(world: World) -> None:
    """It warns of a risk, ahead of an interruption or without one (EC2 guide, "EC2 instance rebalance recommendations";
    the ARN's form is that of the events which aws-node-termination-handler tests with)."""
    box = world.start_box("g5.xlarge", market="one-time")
    world.advance(MINUTE)
    taken(world)
    world.recommend_rebalance(box.id)
    (event,) = taken(world)
    assert event["detail-type"] == "EC2 Instance Rebalance Recommendation"
    assert (event["source"], event["region"]) == ("aws.ec2", "us-east-1")
    assert event["resources"] == [f"arn:aws:ec2:{box.zone}:instance/{box.id}"]
    assert event["detail"] == {"instance-id": box.id}
    world.advance(10 * MINUTE)
    assert (box.state, taken(world)) == ("running", [])


def test_only_a_live_spot_instance_is_recommended_anything(world: World) -> None:
    """Rebalance recommendations are for Spot Instances (EC2 guide, "EC2 instance rebalance recommendations")."""
    with pytest.raises(LocalAwsError, match="no live spot instance"):
        world.recommend_rebalance(world.start_box("g5.xlarge").id)


def test_a_recommendation_comes_ahead_of_some_interruptions(world: World) -> None:
    """Before the notice, along with it, or not at all (EC2 guide, "EC2 instance rebalance recommendations")."""
    boxes = [world.start_box("g5.xlarge", market="one-time") for _ in range(20)]
    for box in boxes:
        box.cap_usd = Decimal("0.9")
    zone = boxes[0].zone
    world.set_price(zone, "g5.xlarge", Decimal("0.3"))
    world.advance(5 * MINUTE)
    taken(world)
    world.set_price(zone, "g5.xlarge", Decimal("0.95"))
    world.advance(3 * MINUTE)
    told = [(event["detail-type"], event["detail"]["instance-id"]) for event in taken(world)]
    warned = [box_id for kind, box_id in told if "Warning" in kind]
    recommended = [box_id for kind, box_id in told if "Rebalance" in kind]
    assert sorted(warned) == sorted(box.id for box in boxes)
    assert 4 < len(recommended) < 16
    assert set(recommended) <= set(warned)


def samples() -> list[dict[str, Any]]:
    folder = Path(os.environ.get("CURFEW_DATA_DIR", Path(__file__).parents[3] / "shared" / "data"))
    found = folder / "events" / "eventbridge_events.json"
    if not found.exists():
        pytest.skip(f"{found} is not here: real events to compare with")
    every: list[dict[str, Any]] = json.loads(found.read_text())
    return every


@pytest.mark.parametrize(
    "kind", ["EC2 Spot Instance Interruption Warning", "EC2 Instance Rebalance Recommendation"]
)
def test_spot_events_look_as_real_ones_do(world: World, kind: str) -> None:
    """The same keys and the same form of ARN (events/eventbridge_events.json of aws-node-termination-handler)."""
    (real,) = [event for event in samples() if event["detail-type"] == kind]
    box = world.start_box("g5.xlarge", market="one-time")
    world.advance(MINUTE)
    world.recommend_rebalance(box.id)
    world.interrupt(box.id)
    (ours,) = [event for event in taken(world) if event["detail-type"] == kind]
    assert (set(ours), set(ours["detail"])) == (set(real), set(real["detail"]))
    assert form(ours["resources"][0]) == form(real["resources"][0])


def form(arn: str) -> str:
    return re.sub(r"i-[0-9a-f]+", "i-", re.sub(r"us-east-1[a-f]", "ZONE", arn))


def starts(world: World, count: int) -> list[str]:
    """What is told of this many boxes that begin: one `pending` each."""
    return [world.start_box("g5.xlarge").id for _ in range(count)]


def ids(world: World, kind: str = "pending") -> list[str]:
    return [event["detail"]["instance-id"] for event in taken(world) if event["detail"].get("state") == kind]


def test_a_share_of_the_events_is_lost(world: World) -> None:
    """Best effort means that some never come (EC2 guide, "Automate Amazon EC2 using EventBridge")."""
    world.fault(service="events", code="lost", rate=0.5)
    started = starts(world, 40)
    told = ids(world)
    assert 10 < len(told) < 30
    assert set(told) < set(started)
    world.clear_faults()
    assert starts(world, 1) == ids(world)


def test_an_event_that_is_late_tells_the_time_at_which_it_happened(world: World) -> None:
    """It comes after others that happened later (EventBridge guide, "Amazon EventBridge events": order is not kept)."""
    world.fault(service="events", code="late", delay_seconds=300, times=1)
    (late,) = starts(world, 1)
    world.advance(MINUTE)
    (prompt,) = starts(world, 1)
    assert ids(world) == [prompt]
    world.advance(4 * MINUTE)
    (event,) = [event for event in taken(world) if event["detail"].get("state") == "pending"]
    assert (event["detail"]["instance-id"], event["time"]) == (late, "2026-03-02T09:00:00Z")


def test_a_doubled_event_comes_twice_with_one_id(world: World) -> None:
    """Delivery is at least once (EventBridge guide, "How EventBridge retries delivering events")."""
    world.fault(service="events", code="doubled", times=1)
    (box_id,) = starts(world, 1)
    first, second = taken(world)
    assert first == second
    assert first["detail"]["instance-id"] == box_id
    assert first["detail"] is not second["detail"]


def test_faults_of_events_can_be_narrowed_to_a_detail_type_and_a_region(world: World) -> None:
    """Only us-west-2's warnings get lost; nothing happens to calls (EC2 guide, "Spot Instance interruption notices":
    a warning is best effort)."""
    world.fault(
        service="events",
        operation="EC2 Spot Instance Interruption Warning",
        region="us-west-2",
        code="lost",
    )
    boxes = [
        world.start_box("g5.xlarge", market="one-time", region=region)
        for region in ("us-east-1", "us-west-2")
    ]
    world.advance(MINUTE)
    for box in boxes:
        world.interrupt(box.id)
    warned = [event["region"] for event in taken(world) if "Warning" in event["detail-type"]]
    assert warned == ["us-east-1"]
    assert world.faults.as_dicts()[0]["hits"] == 1


def test_the_same_seed_loses_the_same_events() -> None:
    """Faults of events are drawn apart from those of calls, so that neither moves the other (localaws's own promise)."""

    def told(*, calls_fail: bool) -> list[int]:
        with World(seed=3) as world:
            world.fault(service="events", code="lost", rate=0.5)
            if calls_fail:
                world.fault(service="slack", code="500", rate=0.5)
            told = []
            for number in range(30):
                world.slack.fault()
                starts(world, 1)
                told += [number] * len(taken(world))
            return told

    assert told(calls_fail=True) == told(calls_fail=False)


def test_late_must_say_by_how_much(world: World) -> None:
    """A mistake names its field (localaws's own promise)."""
    with pytest.raises(RequestError) as caught:
        world.fault(service="events", code="late")
    assert caught.value.field == "delay_seconds"


# Regions


@pytest.fixture
def apart() -> Iterator[World]:
    """A world in which only us-west-2 has a forwarder."""
    regions = ("us-east-1", "us-west-2", "eu-west-1")
    with World(regions=regions, forwarded=("us-west-2",), seed=1) as opened:
        yield opened


def heard(world: World) -> set[str]:
    """Start a box in every region: from which ones that is heard in the home region."""
    taken(world)
    for region in world.regions:
        world.start_box("g5.xlarge", region=region)
    return {event["region"] for event in taken(world)}


def test_an_event_of_a_region_without_a_forwarder_is_dropped(apart: World) -> None:
    """Rules see their own region's events only (EventBridge guide, "Sending and receiving events between AWS Regions")."""
    assert heard(apart) == {"us-east-1", "us-west-2"}
    assert apart.truth()["forwarded"] == ["us-west-2"]


def test_forwarders_come_and_go(apart: World) -> None:
    """The home region needs none (EventBridge guide, "Sending and receiving events between AWS Regions")."""
    apart.forward_events(["eu-west-1", "us-east-1"])
    assert heard(apart) == {"us-east-1", "eu-west-1"}
    apart.forward_events([])
    assert heard(apart) == {"us-east-1"}
    apart.forward_events(None)
    assert heard(apart) == set(apart.regions)
    apart.start_over()
    assert apart.truth()["forwarded"] == ["us-west-2"]


def test_the_forwarders_own_rule_decides_what_it_sends_on(tmp_path: Path) -> None:
    """Only what its pattern names leaves the region (CloudFormation, AWS::Events::Rule, EventPattern)."""
    pattern = {
        "source": ["aws.ec2"],
        "region": [{"Ref": "AWS::Region"}],
        "detail-type": ["EC2 Spot Instance Request Fulfillment"],
    }
    rule = {"Type": "AWS::Events::Rule", "Properties": {"EventPattern": pattern}}
    (tmp_path / ".chalice").mkdir()
    (tmp_path / ".chalice" / "forwarder.json").write_text(json.dumps({"Resources": {"Rule": rule}}))
    with World(regions=("us-east-1", "us-west-2"), app_dir=tmp_path) as world:
        box = world.start_box("g5.xlarge", market="one-time", region="us-west-2")
        world.start_box("g5.xlarge")
        assert [(event["region"], event["detail-type"]) for event in taken(world)] == [
            ("us-west-2", "EC2 Spot Instance Request Fulfillment"),
            ("us-east-1", "EC2 Instance State-change Notification"),
        ]
        assert box.request_id
