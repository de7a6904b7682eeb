"""Failures on demand, in the form each service would give them."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError

from localaws.template import create_table
from localaws.world import World
from tests.localaws.conftest import IMAGE

ONCE = Config(retries={"total_max_attempts": 1})
LAUNCH = {"ImageId": IMAGE, "InstanceType": "g5.xlarge", "MinCount": 1, "MaxCount": 1}
TABLE = {
    "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
    "BillingMode": "PAY_PER_REQUEST",
}


@pytest.fixture
def hasty(world: World) -> Any:
    """An EC2 client that does not try again."""
    return world.session().client("ec2", config=ONCE)


def test_a_fault_fails_the_call_before_it_does_anything(world: World, hasty: Any) -> None:
    """The code is AWS's and its status a server's, nothing was launched, and the record of calls shows the failure (EC2
    API reference, "Error codes", server errors)."""
    world.fault(service="ec2", operation="RunInstances", code="InsufficientInstanceCapacity")
    with pytest.raises(ClientError, match="InsufficientInstanceCapacity") as caught:
        hasty.run_instances(**LAUNCH)
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 500
    assert list(world.boxes) == []
    assert [(row["operation"], row["code"]) for row in world.truth()["calls"]] == [
        ("RunInstances", "InsufficientInstanceCapacity")
    ]


def test_a_fault_may_be_limited_to_a_region_and_a_number_of_times(world: World) -> None:
    """Only us-west-2 fails, and only twice."""
    world.fault(service="ec2", region="us-west-2", code="UnauthorizedOperation", times=2)
    west, east = (world.session(region).client("ec2", config=ONCE) for region in ("us-west-2", "us-east-1"))
    for _ in range(2):
        with pytest.raises(ClientError, match="UnauthorizedOperation"):
            west.describe_instances()
        east.describe_instances()
    west.describe_instances()


def test_a_rate_hits_its_share_of_the_calls_and_the_same_ones_for_the_same_seed() -> None:
    """30 % of 200 calls, give or take, and exactly the same ones again."""

    def hits() -> list[int]:
        with World(seed=7) as world:
            world.fault(service="ec2", operation="DescribeFleets", code="RequestLimitExceeded", rate=0.3)
            client = world.session().client("ec2", config=ONCE)
            failed = []
            for number in range(200):
                try:
                    client.describe_fleets()
                except ClientError:
                    failed.append(number)
            return failed

    first = hits()
    assert 40 < len(first) < 80
    assert first == hits()


def test_a_lost_answer_takes_effect(world: World, hasty: Any) -> None:
    """The client sees a server error, the box runs all the same, and asking again by token finds it (EC2 developer guide,
    "Ensuring idempotency in Amazon EC2 API requests")."""
    world.fault(service="ec2", operation="RunInstances", lost_answer=True, times=1)
    with pytest.raises(ClientError, match="InternalError"):
        hasty.run_instances(**LAUNCH, ClientToken="t-1")
    (box,) = world.boxes
    assert hasty.run_instances(**LAUNCH, ClientToken="t-1")["Instances"][0]["InstanceId"] == box.id
    assert [row["lost"] for row in world.truth()["calls"]] == [True]


def test_a_lost_answer_may_be_a_connection_that_ends(world: World, hasty: Any) -> None:
    """code `drop`: no answer at all; the call took effect (EC2 developer guide, "Ensuring idempotency in Amazon EC2 API
    requests": a request that timed out may have completed)."""
    world.fault(service="ec2", operation="TerminateInstances", lost_answer=True, code="drop")
    box = world.start_box("g5.xlarge")
    with pytest.raises(ConnectionClosedError):
        hasty.terminate_instances(InstanceIds=[box.id])
    assert box.state == "shutting-down"


def test_a_transaction_conflict_is_told_as_dynamodb_tells_it(world: World) -> None:
    """TransactionCanceledException with a reason an item, and nothing is written (botocore,
    TransactionCanceledException)."""
    create_table(world, TABLE, "t")
    dynamodb = world.session().client("dynamodb", config=ONCE)
    world.fault(service="dynamodb", operation="TransactWriteItems", code="TransactionConflict", times=1)
    items = [{"Put": {"TableName": "t", "Item": {"pk": {"S": name}}}} for name in "ab"]
    with pytest.raises(dynamodb.exceptions.TransactionCanceledException) as caught:
        dynamodb.transact_write_items(TransactItems=items)
    reasons = caught.value.response["CancellationReasons"]
    assert [reason["Code"] for reason in reasons] == ["TransactionConflict", "None"]
    assert dynamodb.scan(TableName="t")["Count"] == 0
    dynamodb.transact_write_items(TransactItems=items)
    assert dynamodb.scan(TableName="t")["Count"] == 2


def test_a_conflict_outside_a_transaction_has_its_own_name(world: World) -> None:
    """PutItem meets TransactionConflictException (botocore, TransactionConflictException)."""
    create_table(world, TABLE, "t")
    dynamodb = world.session().client("dynamodb", config=ONCE)
    world.fault(service="dynamodb", operation="PutItem", code="TransactionConflict")
    with pytest.raises(ClientError, match="TransactionConflictException"):
        dynamodb.put_item(TableName="t", Item={"pk": {"S": "a"}})


@pytest.mark.parametrize(
    "service, call",
    [
        ("autoscaling", "describe_auto_scaling_groups"),
        ("cloudwatch", "list_metrics"),
        ("sqs", "list_queues"),
        ("scheduler", "list_schedules"),
        ("sts", "get_caller_identity"),
        ("ssm", "describe_parameters"),
    ],
)
def test_every_protocol_can_say_access_denied(world: World, service: Any, call: str) -> None:
    """The client of each service reads the code from the answer (botocore's parsers of each protocol)."""
    world.fault(service=service, code="AccessDeniedException")
    client = world.session().client(service, config=ONCE)
    with pytest.raises(ClientError) as caught:
        getattr(client, call)()
    assert caught.value.response["Error"]["Code"] == "AccessDeniedException"


def test_a_rest_operation_can_be_named(world: World) -> None:
    """Scheduler's operations are known by their path (botocore's service model of scheduler)."""
    world.fault(service="scheduler", operation="DeleteSchedule", code="ThrottlingException")
    client = world.session().client("scheduler", config=ONCE)
    client.list_schedules()
    with pytest.raises(ClientError, match="ThrottlingException"):
        client.delete_schedule(Name="a")


def test_slack_can_fail_with_a_status(world: World) -> None:
    """`service: slack` with a status as code: the sink answers it and keeps nothing."""
    world.fault(service="slack", code="500", times=1)
    assert world.slack.post(world.now, b'{"text": "one"}', world.slack.fault()) == 500
    assert world.slack.post(world.now, b'{"text": "two"}', world.slack.fault()) == 200
    assert [message["body"] for message in world.slack.messages] == [{"text": "two"}]


@pytest.mark.parametrize(
    "blocks",
    [
        [{"type": "divider"}] * 51,
        [{"type": "section", "text": {"type": "mrkdwn", "text": "x" * 3001}}],
        [{"type": "header", "text": {"type": "plain_text", "text": ""}}],
    ],
)
def test_slack_refuses_what_it_could_not_show(world: World, blocks: list[Any]) -> None:
    """Too many blocks, too long a text, none at all."""
    assert world.slack.post(world.now, json.dumps({"text": "t", "blocks": blocks}).encode()) == 400
    assert world.slack.messages == []


def test_faults_go_away_when_cleared(world: World, hasty: Any) -> None:
    """`clear_faults` mends everything."""
    world.fault(service="*", code="InternalError")
    with pytest.raises(ClientError):
        hasty.describe_instances()
    world.clear_faults()
    hasty.describe_instances()


def test_a_fault_may_be_a_status_a_dropped_connection_or_a_delay(world: World, hasty: Any) -> None:
    """A number is an HTTP status, `drop` ends the connection, and a delay alone lets the call succeed late."""
    world.fault(service="ec2", code="503", times=1)
    with pytest.raises(ClientError) as caught:
        hasty.describe_instances()
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503
    world.fault(service="ec2", code="drop", times=1)
    with pytest.raises(ConnectionClosedError):
        hasty.run_instances(**LAUNCH)
    assert list(world.boxes) == []
    world.fault(service="ec2", code="", delay_seconds=0.05, times=1)
    began = time.monotonic()
    hasty.run_instances(**LAUNCH)
    assert time.monotonic() - began >= 0.05
    assert len(list(world.boxes)) == 1


def test_an_error_has_the_status_that_the_services_own_model_gives_it(world: World) -> None:
    """429 for Scheduler's throttling, 500 for what fails inside CloudWatch (botocore's service models)."""
    for service, call, code, status in (
        ("scheduler", "list_schedules", "ThrottlingException", 429),
        ("cloudwatch", "list_metrics", "InternalServiceFault", 500),
    ):
        world.fault(service=service, code=code)
        name: Any = service
        with pytest.raises(ClientError) as caught:
            getattr(world.session().client(name, config=ONCE), call)()
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == status


def test_faults_of_events_and_lambdas_are_no_faults_of_calls(world: World, hasty: Any) -> None:
    """And the other way round, though EventBridge and Lambda have APIs of those names (localaws's own promise)."""
    world.fault(service="events", code="lost")
    world.fault(service="lambda", dies_at=1)
    world.session().client("events", config=ONCE).list_rules()
    world.clear_faults()
    world.fault(service="*", code="InternalError")
    world.start_box("g5.xlarge")
    assert world.take_event() is not None
