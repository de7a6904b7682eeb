"""CloudTrail as the gateway reads it: on localaws, and from events made up in its shape."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.stub import Stubber

from chalicelib.domain.creator import Caller
from chalicelib.domain.errors import Unavailable
from chalicelib.gateways.aws import HURRIED, Aws, new_session
from chalicelib.gateways.cloudtrail import CloudTrail, to_caller
from localaws.world import World
from tests.contract.compute_labs import REGION, aws_of

ADA = "arn:aws:iam::123456789012:user/ada"
START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


@pytest.fixture
def world() -> Iterator[World]:
    with World(regions=(REGION, "eu-west-1"), seed=1, start=START) as opened:
        yield opened


def trail_of(world: World) -> CloudTrail:
    return CloudTrail(aws_of(world), sleep=lambda _: None)


@pytest.mark.parametrize("market", ["on-demand", "one-time", "persistent"])
def test_who_ran_a_box_is_told_some_minutes_late(world: World, market: Any) -> None:
    """Nobody at first, and in its own region alone."""
    box, trail = world.start_box(market=market, by=ADA), trail_of(world)
    assert trail.started_by(REGION, box.id) is None
    world.advance(timedelta(minutes=15))
    assert trail.started_by(REGION, box.id) == Caller(arn=ADA)
    assert trail.started_by("eu-west-1", box.id) is None
    assert trail.started_by(REGION, "i-0aaaaaaaaaaaaaaaa") is None


@pytest.mark.parametrize("market", ["maintain", "spot-fleet", "asg"])
def test_a_controller_s_box_was_started_by_aws_and_the_controller_by_a_person(
    world: World, market: Any
) -> None:
    """The role of the service is told for what it is."""
    box, trail = world.start_box(market=market, by=ADA), trail_of(world)
    world.advance(timedelta(minutes=15))
    service = trail.started_by(REGION, box.id)
    assert service is not None
    assert service.is_service
    assert trail.started_by(REGION, box.fleet_id or box.group or "") == Caller(arn=ADA)


def test_what_aws_relaunches_was_started_by_its_spot_service(world: World) -> None:
    """The new box of a persistent request has no caller of its own."""
    box = world.start_box(market="persistent", by=ADA)
    world.advance(timedelta(minutes=2))
    world.boxes.end(box, by="test")
    world.advance(timedelta(minutes=30))
    new = next(one for one in world.boxes if one.relaunch_of == box.id)
    assert trail_of(world).started_by(REGION, new.id) == Caller(arn="spot.amazonaws.com", is_service=True)


def test_a_region_is_asked_twice_a_second_at_most() -> None:
    """CloudTrail throttles beyond; other regions need not wait."""
    waits: list[float] = []
    now = [0.0]
    with World(regions=(REGION, "eu-west-1")) as world:
        trail = CloudTrail(aws_of(world), sleep=waits.append, elapsed=lambda: now[0])
        for _ in range(3):
            trail.started_by(REGION, "i-1")
        trail.started_by("eu-west-1", "i-1")
        now[0] = 10.0
        trail.started_by(REGION, "i-1")
    assert waits == [0.5, 1.0]


def test_a_refusal_is_unavailable(world: World) -> None:
    """It is asked again later."""
    world.fault(service="cloudtrail", operation="LookupEvents", code="AccessDeniedException")
    with pytest.raises(Unavailable, match="CloudTrail in us-east-1"):
        trail_of(world).started_by(REGION, "i-1")


def event(identity: dict[str, Any], **facts: Any) -> dict[str, Any]:
    return {"CloudTrailEvent": json.dumps({"userIdentity": identity, **facts})}


@pytest.mark.parametrize(
    "told, expected",
    [
        (event({"type": "Root", "arn": "arn:aws:iam::1:root"}), Caller(arn="arn:aws:iam::1:root")),
        (
            event({"type": "AssumedRole", "arn": ADA, "invokedBy": "cloudformation.amazonaws.com"}),
            Caller(arn=ADA),
        ),
        (event({"arn": ADA}, errorCode="Client.UnauthorizedOperation"), None),
        (event({"type": "AWSAccount"}), None),
        ({"CloudTrailEvent": "no JSON"}, None),
        ({"CloudTrailEvent": "[]"}, None),
        ({}, None),
    ],
)
def test_an_event_names_its_caller(told: dict[str, Any], expected: Caller | None) -> None:
    """A failed call started nothing; what cannot be read says nothing."""
    assert to_caller(told) == expected


def test_a_start_that_stands_on_a_later_page_is_found() -> None:
    """The start of a box is its oldest event."""
    session = new_session()
    session.set_credentials("testing", "testing")
    aws = Aws(REGION, session=session)
    stubber = Stubber(aws.client("cloudtrail", REGION, HURRIED))
    question = {
        "LookupAttributes": [{"AttributeKey": "ResourceName", "AttributeValue": "i-1"}],
        "MaxResults": 50,
    }
    other = {"EventName": "CreateTags", **event({"arn": "arn:aws:iam::1:user/eve"})}
    stubber.add_response("lookup_events", {"Events": [other], "NextToken": "more"}, question)
    start = {"EventName": "RunInstances", **event({"arn": ADA})}
    stubber.add_response("lookup_events", {"Events": [start]}, {**question, "NextToken": "more"})
    with stubber:
        assert CloudTrail(aws, sleep=lambda _: None).started_by(REGION, "i-1") == Caller(arn=ADA)
