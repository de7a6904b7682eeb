"""EC2's events on their way to a sweep of one instance."""

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from chalicelib.domain.instance import StateChange
from chalicelib.web.events import EventsFailed, Subject, changes_of, subject_of, work_off
from tests.unit.web_kit import logged

BOX = "i-0123456789abcdef0"


def event(kind: str, detail: dict[str, Any], region: str = "us-west-2") -> str:
    """An EventBridge event as SQS hands it over."""
    return json.dumps(
        {
            "version": "0",
            "id": "1",
            "detail-type": kind,
            "source": "aws.ec2",
            "account": "123456789012",
            "time": "2026-11-23T09:00:00Z",
            "region": region,
            "resources": [f"arn:aws:ec2:{region}a:instance/{BOX}"],
            "detail": detail,
        }
    )


@pytest.fixture
def lines() -> Iterator[list[dict[str, Any]]]:
    """What is logged meanwhile."""
    with logged() as told:
        yield told


@pytest.mark.parametrize(
    "kind, detail",
    [
        ("EC2 Instance State-change Notification", {"instance-id": BOX, "state": "running"}),
        ("EC2 Spot Instance Request Fulfillment", {"spot-instance-request-id": "sir-1", "instance-id": BOX}),
        ("EC2 Spot Instance Interruption Warning", {"instance-id": BOX, "instance-action": "terminate"}),
        ("EC2 Instance Rebalance Recommendation", {"instance-id": BOX}),
    ],
)
def test_an_event_names_an_instance_in_its_detail(kind: str, detail: dict[str, Any]) -> None:
    """Never in its ARN, which for an interruption has a zone for a region and no account."""
    assert subject_of(event(kind, detail)) == ("us-west-2", BOX)


@pytest.mark.parametrize(
    "body",
    [
        "",
        "not json",
        "[]",
        "null",
        '"text"',
        "{}",
        "[" * 100_000,
        json.dumps({"region": "us-east-1"}),
        json.dumps({"region": "us-east-1", "detail": None}),
        json.dumps({"region": "us-east-1", "detail": "i-1"}),
        json.dumps({"region": None, "detail": {"instance-id": BOX}}),
        event("EC2 Spot Instance Request Fulfillment", {"spot-instance-request-id": "sir-1"}),
        event("EC2 Instance State-change Notification", {"instance-id": ["i-1"]}),
        event("EC2 Instance State-change Notification", {"instance-id": "../i-1"}),
    ],
)
def test_what_names_no_instance_is_logged_and_skipped(body: str, lines: list[dict[str, Any]]) -> None:
    """It can never succeed, so raising would only bring it again."""
    assert subject_of(body) is None
    assert [line["what"] for line in lines] == ["event skipped"]


def test_one_failure_hides_no_other(lines: list[dict[str, Any]]) -> None:
    """All are tried, then the batch is handed back."""
    seen: list[Subject] = []

    def look_at(subject: Subject, _news: Sequence[StateChange]) -> None:
        seen.append(subject)
        if subject[1] == "i-0a":
            raise OSError("no answer")

    bodies = [event("x", {"instance-id": one}) for one in ("i-0a", "i-0b")]
    with pytest.raises(EventsFailed, match="1 of 2 events failed: us-west-2/i-0a"):
        work_off([bodies[0], "broken", bodies[1]], look_at)
    assert seen == [("us-west-2", "i-0a"), ("us-west-2", "i-0b")]
    assert [line["what"] for line in lines] == ["event skipped", "event failed"]


def test_an_instance_told_of_twice_is_looked_at_once() -> None:
    """The order of first mention is kept; the same id in another region is another box."""
    seen: list[Subject] = []
    bodies = [event("x", {"instance-id": BOX}, region) for region in ("us-west-2", "eu-west-1", "us-west-2")]
    assert work_off(bodies, lambda subject, _: seen.append(subject)) == 2
    assert seen == [("us-west-2", BOX), ("eu-west-1", BOX)]


def test_what_events_tell_of_an_instance_comes_with_it() -> None:
    """All its changes of state, each with its own time; other events tell none."""
    told: dict[Subject, Sequence[StateChange]] = {}
    changes = [event("x", {"instance-id": BOX, "state": state}) for state in ("pending", "running")]
    work_off([*changes, event("x", {"instance-id": BOX})], told.__setitem__)
    (news,) = told.values()
    at = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
    assert news == [StateChange(instance_id=BOX, state=one, at=at) for one in ("pending", "running")]


@pytest.mark.parametrize("time", ["soon", "2026-11-23T09:00:00", "", None, 5])
def test_a_change_without_a_time_tells_nothing(time: object) -> None:
    """It names its instance all the same."""
    body = {**json.loads(event("x", {"instance-id": BOX, "state": "running"})), "time": time}
    assert changes_of(json.dumps(body)) == ()
    assert subject_of(json.dumps(body)) == ("us-west-2", BOX)
