"""What Curfew itself costs: counted as calls are answered, added up by the month, and held to its own limit."""

import json
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from botocore.stub import Stubber

from chalicelib.domain.case import Case
from chalicelib.domain.decide import decide
from chalicelib.domain.errors import Unavailable
from chalicelib.domain.guard import ALARMS, METRICS, Item, Usage, cost_of, month_of
from chalicelib.domain.meter import Cost
from chalicelib.domain.policy import OwnBill
from chalicelib.gateways.aws import Aws, new_session
from chalicelib.gateways.ledger import MemoryLedger, billed
from chalicelib.usecases import guard, health
from chalicelib.usecases.evidence import remember, with_evidence
from chalicelib.web import metering
from tests.architecture.sources import ROOT
from tests.builders import HOUR, MINUTE, REGION, Stage, at, box, case, lease, usd
from tests.unit.web_kit import World, open_world

NOW = at("09:00")
DEAR = {Item.METRICS_READ: Decimal(10**7)}
"""$100 worth."""


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return open_world(monkeypatch)


def item(text: str = "", **more: Any) -> dict[str, Any]:
    """As DynamoDB has it: `doc` and more attributes."""
    return {"doc": {"S": text}, **more}


def units(
    operation: str, params: dict[str, Any], answer: dict[str, Any] | None = None
) -> dict[Item, Decimal]:
    return dict(billed("dynamodb", operation, params, answer or {}))


@pytest.mark.parametrize(
    "operation, params, answer, reads",
    [
        ("GetItem", {"ConsistentRead": True}, {"Item": item("x" * 5000)}, "2"),
        ("GetItem", {}, {"Item": item("x" * 5000)}, "1"),
        ("GetItem", {"ConsistentRead": True}, {}, "1"),
        ("Query", {"ConsistentRead": True}, {"Items": [item("x" * 1000)] * 9, "ScannedCount": 9}, "3"),
        ("Query", {}, {"Items": [item("x" * 1000)] * 9, "ScannedCount": 9}, "1.5"),
        ("Query", {"ConsistentRead": True}, {"Items": [], "ScannedCount": 8}, "2"),
    ],
)
def test_reads_are_counted_by_size_and_consistency(
    operation: str, params: dict[str, Any], answer: dict[str, Any], reads: str
) -> None:
    """4 KB a unit, half of it where it may lag; a query by all that it passed over."""
    assert units(operation, params, answer) == {Item.TABLE_READS: usd(reads)}


def test_each_item_of_a_batch_is_a_unit_of_its_own() -> None:
    """Also those that are not there."""
    asked = {"RequestItems": {"t": {"Keys": [{}, {}, {}], "ConsistentRead": True}}}
    assert units("BatchGetItem", asked, {"Responses": {"t": [item("x" * 5000)]}}) == {Item.TABLE_READS: 4}


def test_writes_are_counted_with_their_index_and_twice_in_a_transaction() -> None:
    """1 KB a unit, also where the condition failed; what the index shows is written once more."""
    big, shown = item("x" * 1500), item("x" * 1500, view_pk={"S": "LEASES"})
    assert units("PutItem", {"Item": big}) == {Item.TABLE_WRITES: 2}
    assert units("PutItem", {"Item": shown}, {"Error": {"Code": "ConditionalCheckFailedException"}}) == {
        Item.TABLE_WRITES: 4
    }
    writes = [{"Put": {"Item": shown}}, {"ConditionCheck": {"Key": {}}}, {"Delete": {"Key": {}}}]
    assert units("TransactWriteItems", {"TransactItems": writes}) == {Item.TABLE_WRITES: 12}


def test_metrics_are_counted_by_the_metric_and_what_fails_is_not() -> None:
    """As botocore tells it, without a word from the gateway; Describe calls are free."""
    session = new_session()
    session.set_credentials("testing", "testing")
    ledger = MemoryLedger()
    aws = Aws(REGION, session=session, ledger=ledger)
    client: Any = aws.cloudwatch(REGION)
    asked = {"StartTime": NOW - HOUR, "EndTime": NOW, "MetricDataQueries": [{"Id": "a"}, {"Id": "b"}]}
    with Stubber(client) as stubber:
        stubber.add_response("get_metric_data", {"MetricDataResults": []})
        stubber.add_client_error("get_metric_data", "Throttling")
        client.get_metric_data(**asked)
        with pytest.raises(client.exceptions.ClientError):
            client.get_metric_data(**asked)
    assert ledger.hand_over(NOW, every=MINUTE) == {Item.METRICS_READ: 2}
    assert list(billed("ec2", "DescribeInstances", {}, {})) == []
    assert dict(billed("ce", "GetCostAndUsage", {}, {})) == {Item.COST_EXPLORER: 1}


def test_an_invocation_costs_its_time_at_its_memory_and_its_lines() -> None:
    """Half a gigabyte for two seconds is one gigabyte-second; over HTTP there is API Gateway too."""
    ledger = MemoryLedger(memory_mb=512)
    ledger.invoked(2, is_http=True, log_bytes=650)
    counted = ledger.hand_over(NOW, every=MINUTE)
    assert counted == {
        Item.LAMBDA_REQUESTS: 1,
        Item.LAMBDA_GB_SECONDS: 1,
        Item.LOG_BYTES: 1000,
        Item.API_REQUESTS: 1,
    }


def test_an_invocation_that_fails_is_counted_like_any_other() -> None:
    """AWS bills it, and what it failed with goes on to whoever called."""
    stage = Stage()
    with pytest.raises(ZeroDivisionError), metering.invocation(lambda: stage.services):
        raise ZeroDivisionError
    assert stage.store.usage("2026-11").counted[Item.LAMBDA_REQUESTS] == 1


def test_what_was_counted_is_handed_over_at_once_and_then_every_ten_minutes() -> None:
    """So a container that serves one call has told of it, and one that serves a thousand writes seldom."""
    stage = Stage()
    for _ in range(25):
        stage.ledger.invoked(1)
        guard.hand_over(stage.services)
        stage.clock.advance(MINUTE)
    assert stage.store.calls.count("add_usage") == 3
    assert stage.store.usage("2026-11").counted[Item.LAMBDA_REQUESTS] == 21


def test_a_count_that_can_t_be_written_is_lost_and_nothing_else_is() -> None:
    """Money does not hang on it."""
    stage = Stage()
    stage.ledger.invoked(1)
    stage.store.inject("add_usage", Unavailable("gone"))
    guard.hand_over(stage.services)
    assert stage.store.usage("2026-11") == Usage()


def test_a_month_is_projected_at_the_rate_it_was_counted_at() -> None:
    """Counted for a tenth of what is left: eleven times as much by the end, the standing costs by time alone."""
    begin = datetime.fromisoformat("2026-11-28T00:00:00+00:00")
    told = cost_of(
        Usage(counted={Item.COST_EXPLORER: Decimal(10)}, since=begin),
        now=begin + timedelta(hours=7.2),
        own=OwnBill(),
        boxes=10,
    )
    lines = {line.item: line for line in told.items}
    assert lines[Item.COST_EXPLORER].usd == usd("0.10") == told.paid_reads_usd
    assert lines[Item.COST_EXPLORER].projected_usd == usd("1.00")
    assert lines[Item.QUEUE_REQUESTS].quantity == Decimal(6480)
    assert (told.limit_usd, told.is_over) == (usd("4.50"), False)
    assert told.usd == sum(line.usd for line in told.items)


def test_every_item_has_a_price_and_the_template_s_alarms_are_known() -> None:
    """Every alarm, and the metric that each scheduled sweep tells of: any other's filter writes no zeros."""
    assert {line.item for line in cost_of(Usage(), now=NOW, own=OwnBill(), boxes=0).items} == set(Item)
    template = json.loads((ROOT / ".chalice" / "resources.json").read_text())
    made = template["Resources"]
    kinds = [resource.get("Type") for resource in made.values()]
    assert kinds.count("AWS::CloudWatch::Alarm") == ALARMS
    filters = {
        name: one["Properties"] for name, one in made.items() if one.get("Type") == "AWS::Logs::MetricFilter"
    }
    told_each_minute = [
        name
        for name, one in filters.items()
        if name == "CompleteSweeps" or any("DefaultValue" in to for to in one["MetricTransformations"])
    ]
    assert len(told_each_minute) == METRICS


def test_health_shows_the_cost_and_what_to_do_once_it_is_past_its_limit() -> None:
    """Itemised, beside what the policy allows."""
    stage = Stage()
    stage.launch()
    stage.store.add_usage(month_of(NOW), {Item.LAMBDA_REQUESTS: Decimal(10)}, since=NOW)
    told = health.health(stage.services)
    assert not told.guard.is_over
    assert "Curfew's own bill" not in {one["what"] for one in told.missing}
    stage.store.add_usage(month_of(NOW), DEAR, since=NOW)
    told = health.health(stage.services)
    assert told.guard.is_over
    assert told.guard.usd > told.guard.limit_usd == usd("4.05")
    (lack,) = [one for one in told.missing if one["what"] == "Curfew's own bill"]
    assert "own_usd_per_month" in lack["fix"]


def test_calls_over_http_are_counted_and_shown(world: World) -> None:
    """The first call of a container tells of itself at once."""
    assert world("GET", "/policy")[0] == 200
    for path in ("/health", "/spend"):
        items = {line["item"]: line for line in world("GET", path)[1]["guard"]["items"]}
        assert items["api_gateway_requests"]["quantity"] == "1.000"
        assert items["lambda_requests"]["usd"] == "0.000001"


def test_what_costs_less_than_its_questions_is_asked_less_often_past_the_limit() -> None:
    """A prepaid box saves nothing by ending: every quarter of an hour instead of every minute. All others as ever."""
    assert asked_in_an_hour(case_of("0"), past_limit=True) == 4
    assert asked_in_an_hour(case_of("0"), past_limit=False) == 60
    assert asked_in_an_hour(case_of("0.0007"), past_limit=True) == 60
    assert asked_in_an_hour(case_of("9", lifecycle="capacity-block"), past_limit=True) == 4


def case_of(hourly: str, **facts: Any) -> Case:
    """A box that has been warned about, so that every minute counts."""
    warned = lease(warned_at={"idle": at("11:00")}, expires_at=at("09:00", day=9))
    return case(at("12:00"), lease=warned, instances=(box(**facts),), cost=Cost(hourly_usd=usd(hourly)))


def asked_in_an_hour(seen: Case, *, past_limit: bool) -> int:
    stage = Stage()
    if past_limit:
        stage.store.add_usage("2026-11", DEAR, since=NOW)
    for number in range(60):
        now = seen.now + number * MINUTE
        (told,), _ = with_evidence(stage.services, (replace(seen, now=now),), ask=True)
        remember(stage.services, (decide(told),), now)
    return len(stage.metrics.calls)


def test_cost_explorer_is_asked_once_a_day_past_the_limit_unless_a_budget_counts_the_whole_bill() -> None:
    """Three times a day otherwise."""
    assert [bills_asked_in_two_days(past_limit, services) for past_limit, services in CASES] == [6, 2, 6]


CASES = [(False, "accelerators"), (True, "accelerators"), (True, "all")]


def bills_asked_in_two_days(past_limit: bool, services: str) -> int:  # noqa: FBT001 (a case's own word)
    stage = Stage()
    stage.put_budget(services=services, thresholds=())
    if past_limit:
        stage.store.add_usage("2026-11", DEAR, since=NOW)
    for _ in range(2 * 24 * 4):
        stage.after(15 * MINUTE)
    return len(stage.bills.calls)
