"""EC2's events: which are sent, and their exact form."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

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
    """The notification names the instance in its detail and in its ARN."""
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
    """pending, running, stopping, stopped, pending, running, shutting-down, terminated."""
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
    """`EC2 Spot Instance Request Fulfillment` carries both ids."""
    box = world.start_box("g5.xlarge", market="one-time")
    (event,) = [
        event for event in taken(world) if event["detail-type"] == "EC2 Spot Instance Request Fulfillment"
    ]
    assert event["detail"] == {"spot-instance-request-id": box.request_id, "instance-id": box.id}


def test_an_interruption_warning_has_a_zone_in_its_arn_and_no_account(world: World) -> None:
    """The ARN is arn:aws:ec2:<zone>:instance/<id>; the action is what will happen."""
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
    """The replacement of a persistent request's box is fulfilled and pending like any other."""
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
