"""Fleets that keep their target: the gateway on localaws and its twin."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from chalicelib.domain.errors import Unavailable
from chalicelib.domain.lease import RequestType
from chalicelib.gateways.aws import HURRIED
from tests.contract.compute_labs import (
    REGION,
    Lab,
    WorldLab,
    alive,
    an_order,
    attempts_of,
    instance_of,
    look,
    opened,
    stubbed,
)

MAINTAIN = RequestType.MAINTAIN
TEN_MINUTES = 600
NINE = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)


@pytest.fixture(params=["memory", "localaws"])
def lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    with opened(request.param) as lab:
        yield lab


@pytest.fixture
def aws() -> Iterator[WorldLab]:
    with opened("localaws") as lab:
        assert isinstance(lab, WorldLab)
        yield lab


def of_fleet(lab: Lab, fleet_id: str | None) -> list[str]:
    return [one for one in alive(lab) if instance_of(lab, one).fleet_id == fleet_id]


def test_its_answer_is_its_id_and_its_boxes_come_after(lab: Lab) -> None:
    """As many as were asked for, each named after it, tagged by its template and capped."""
    answer = lab.compute.launch(attempts_of(lab, an_order(MAINTAIN, target_capacity=2))[0])
    assert (answer.outcome, answer.instance_ids) == ("launched", ())
    lab.wait()
    boxes = of_fleet(lab, answer.fleet_id)
    assert len(boxes) == 2
    assert {instance_of(lab, one).tags["curfew:lease"] for one in boxes} == {"lease-1"}
    asked = [one for one in look(lab).spot_requests if one.instance_id in boxes]
    assert {float(one.max_price or 0) for one in asked} == {1.006}
    assert {one.type for one in asked} == {"one-time"}


def test_what_ends_is_replaced_until_it_is_deleted(lab: Lab) -> None:
    """A terminated box brings another; with the fleet deleted nothing comes."""
    answer = lab.compute.launch(attempts_of(lab, an_order(MAINTAIN, target_capacity=2))[0])
    lab.wait()
    first = of_fleet(lab, answer.fleet_id)
    lab.compute.terminate(REGION, first[:1])
    lab.wait(TEN_MINUTES)
    second = of_fleet(lab, answer.fleet_id)
    assert len(second) == 2
    assert first[1] in second
    outcomes = lab.compute.end_fleets(REGION, [answer.fleet_id or ""], and_boxes=True)
    assert all(one.accepted for one in outcomes.values())
    lab.wait(TEN_MINUTES)
    assert alive(lab) == []


def test_a_lost_answer_is_one_fleet_all_the_same(lab: Lab) -> None:
    """The same attempt again answers the same fleet."""
    attempt = attempts_of(lab, an_order(MAINTAIN))[0]
    lab.lose_answer("launch")
    first = lab.compute.launch(attempt)
    again = lab.compute.launch(attempt)
    assert first.fleet_id in {None, again.fleet_id}
    lab.wait()
    assert len(alive(lab)) == 1


@pytest.mark.parametrize("has_room", [True, False])
def test_what_an_attempt_made_is_found_again(lab: Lab, *, has_room: bool) -> None:
    """Also a fleet that runs nothing so far, and whose answer was lost; nobody else's is."""
    if not has_room:
        lab.lose_capacity("g5.xlarge")
    other = lab.compute.launch(attempts_of(lab, an_order(MAINTAIN), lease_id="lease-2")[0])
    attempt = attempts_of(lab, an_order(MAINTAIN))[0]
    tokens = [attempt.token]
    unknown = lab.compute.find_launched(REGION, lease_id="lease-1", tokens=tokens, maintains=True)
    assert unknown.outcome == "refused"
    made = lab.compute.launch(attempt)
    lab.wait()
    found = lab.compute.find_launched(REGION, lease_id="lease-1", tokens=tokens, maintains=True)
    assert (found.outcome, found.fleet_id) == ("launched", made.fleet_id)
    assert made.fleet_id != other.fleet_id
    assert list(found.instance_ids) == of_fleet(lab, made.fleet_id)
    assert len(found.instance_ids) == len(found.spot_request_ids) == (1 if has_room else 0)


def test_it_says_what_keeps_it_from_its_target(lab: Lab) -> None:
    """Its launch refuses nothing: its history tells, and nothing once it runs."""
    order = an_order(MAINTAIN)
    running = lab.compute.launch(attempts_of(lab, order)[0])
    lab.wait()
    since = lab.now - timedelta(hours=1)
    assert lab.compute.fleet_problem(REGION, running.fleet_id or "", since=since) is None
    lab.lose_capacity("g5.xlarge")
    waiting = lab.compute.launch(attempts_of(lab, order, lease_id="lease-2")[0])
    lab.wait()
    told = lab.compute.fleet_problem(REGION, waiting.fleet_id or "", since=since)
    assert told is not None
    assert "InsufficientInstanceCapacity" in told


def test_looking_for_a_fleet_can_fail(aws: WorldLab) -> None:
    """Not knowing is not the same as nothing."""
    for operation in ("DescribeFleets", "DescribeFleetHistory"):
        aws.world.fault(service="ec2", operation=operation, code="InternalError")
    with pytest.raises(Unavailable, match="lease-1"):
        aws.compute.find_launched(REGION, lease_id="lease-1", tokens=["0" * 32], maintains=True)
    with pytest.raises(Unavailable, match="fleet-1"):
        aws.compute.fleet_problem(REGION, "fleet-1", since=aws.now)


def test_it_ends_with_its_boxes_when_its_validity_does(aws: WorldLab) -> None:
    """EC2's own end, which needs nobody's call."""
    aws.compute.launch(attempts_of(aws, an_order(MAINTAIN, target_capacity=2))[0])
    aws.wait()
    assert len(alive(aws)) == 2
    aws.wait(3 * 24 * 3600)
    assert alive(aws) == []


def test_the_newest_trouble_of_a_long_history_is_told() -> None:
    """Whatever stands beside it, over some pages."""
    compute, stubber = stubbed(HURRIED)

    def record(minute: int, what: str, **more: str) -> dict[str, Any]:
        return {
            "Timestamp": NINE + timedelta(minutes=minute),
            "EventInformation": {"EventSubType": what, **more},
        }

    page = [
        record(1, "launchSpecUnusable", EventDescription="too dear"),
        record(2, "launched", InstanceId="i-1"),
    ]
    stubber.add_response("describe_fleet_history", {"HistoryRecords": page, "NextToken": "more"})
    page = [record(4, "spotInstanceCountLimitExceeded"), record(5, "active"), {}]
    stubber.add_response("describe_fleet_history", {"HistoryRecords": page})
    told = compute.fleet_problem(REGION, "fleet-1", since=NINE)
    assert told == "spotInstanceCountLimitExceeded: EC2 does not say more"


def test_a_cap_below_the_market_is_what_keeps_it(aws: WorldLab) -> None:
    """Told in EC2's words for that; the fleet is there, and waits."""
    order = an_order(MAINTAIN, max_price_usd_per_hour=Decimal("0.01"))
    answer = aws.compute.launch(attempts_of(aws, order)[0])
    aws.wait()
    told = aws.compute.fleet_problem(REGION, answer.fleet_id or "", since=aws.now - timedelta(hours=1))
    assert str(told).startswith("launchSpecUnusable: g5.xlarge")
    assert alive(aws) == []
