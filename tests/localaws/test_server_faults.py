"""What can go wrong in the server by asking for it over HTTP: Lambdas, schedules, events, calls; and timers that fire."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.localaws.conftest import Answer, Running, http

pytestmark = pytest.mark.e2e

ROLE = "arn:aws:iam::123456789012:role/timers"


def client(server: Running, service: Any, region: str = "us-east-1") -> Any:
    return boto3.client(
        service,
        region_name=region,
        endpoint_url=server.aws_url,
        aws_access_key_id="x",
        aws_secret_access_key="x",
        config=Config(retries={"total_max_attempts": 1}),
    )


def fault(server: Running, **body: Any) -> Any:
    answer = server.world("POST", "/faults", body)
    assert answer.status == 201, answer
    return answer.body


def work(server: Running) -> Answer:
    return http("POST", f"{server.api_url}/work", {})


def launched(server: Running) -> int:
    return len(server.world("GET").body["instances"])


@pytest.mark.parametrize("after, boxes", [(False, 0), (True, 1)])
def test_an_api_call_whose_lambda_dies_is_a_bad_gateway(server: Running, *, after: bool, boxes: int) -> None:
    """502 as the template words it; only what had reached AWS has happened, no except or finally runs (API Gateway
    guide, "Gateway response types", INTEGRATION_FAILURE and the 502 of a malformed proxy response)."""
    told = fault(server, service="lambda", operation="api", dies_at=4, after=after, times=1)
    assert (told["code"], told["dies_at"], told["after"]) == ("died", 4, after)
    answer = work(server)
    assert (answer.status, answer.body["type"]) == (502, "/problems/no-answer")
    assert launched(server) == boxes
    assert work(server).status == 200
    assert launched(server) == boxes + 2


def test_a_throttled_api_call_never_reaches_the_function(server: Running) -> None:
    """429 as the template words it, as often as was asked for (API Gateway guide, "Throttle requests")."""
    fault(server, service="api", operation="POST", code="429", times=1)
    answer = work(server)
    assert (answer.status, answer.body["type"]) == (429, "/problems/too-many-requests")
    assert launched(server) == 0
    assert work(server).status == 200


def test_an_api_call_that_takes_too_long_is_done_and_not_answered(server: Running) -> None:
    """504 from API Gateway while the function goes on (API Gateway guide, INTEGRATION_TIMEOUT)."""
    fault(server, service="api", code="504", times=1)
    answer = work(server)
    assert (answer.status, answer.body["type"]) == (504, "/problems/no-answer")
    assert launched(server) == 2


def test_a_body_of_more_than_10_mb_never_reaches_the_function(server: Running) -> None:
    """413, and the connection goes on (API Gateway guide, quotas)."""
    answer = http("POST", f"{server.api_url}/work", b" " * (10 * 1024 * 1024 + 1))
    assert (answer.status, answer.body["type"]) == (413, "/problems/body-too-large")
    assert launched(server) == 0


def test_a_gateway_fault_that_can_not_be_meant_is_refused(server: Running) -> None:
    """API Gateway has no other answers of its own to choose from."""
    answer = server.world("POST", "/faults", {"service": "api", "code": "InternalError"})
    assert (answer.status, "429" in str(answer.body)) == (422, True)


def test_a_fresh_container_follows_a_dead_one(server: Running) -> None:
    """What the application has kept for its next calls is gone (Lambda guide, "Lambda execution environment
    lifecycle")."""
    before = work(server).body["container"]
    assert work(server).body["container"] == before
    fault(server, service="lambda", operation="api", dies_at=1, times=1)
    assert work(server).status == 502
    assert work(server).body["container"] != before


def test_only_the_invocation_that_was_hit_dies(server: Running) -> None:
    """Others that run at the same time have containers of their own (Lambda guide, "Understanding Lambda function
    scaling")."""
    fault(server, service="lambda", operation="api", dies_at=3, times=1)
    with ThreadPoolExecutor(3) as pool:
        statuses = sorted(answer.status for answer in pool.map(lambda _: work(server), range(3)))
    assert statuses == [200, 200, 502]
    assert launched(server) == 4


def test_a_scheduled_function_may_die_or_not_be_invoked_at_all(server: Running) -> None:
    """The next minute's runs all the same (EventBridge guide, "Creating a rule that runs on a schedule")."""
    server.advance(60)
    before = len(server.api("GET", "/seen")["sweeps"])
    fault(server, service="lambda", operation="sweep", code="skipped", times=2)
    server.advance(300)
    assert len(server.api("GET", "/seen")["sweeps"]) - before == 3
    fault(server, service="lambda", operation="sweep", dies_at=1, times=1)
    server.advance(120)
    assert len(server.api("GET", "/seen")["sweeps"]) - before == 5
    assert "the function sweep died" in server.errors.read_text()
    assert [row["hits"] for row in server.world("GET", "/faults").body] == [2, 1]


def test_timers_fire_in_the_server(server: Running) -> None:
    """A function of app.py by its name, and a call in the schedule's own region (EventBridge Scheduler guide, "Managing
    targets")."""
    now = server.world("GET").body["now"].removesuffix("Z")
    west = server.world("POST", "/instances", {"type": "g5.xlarge", "region": "us-west-2"}).body["id"]
    for region, name, arn, what in (
        ("us-east-1", "expire-1", "arn:aws:lambda:us-east-1:123456789012:function:expire", {"lease": "l-1"}),
        ("us-west-2", "end-1", "arn:aws:scheduler:::aws-sdk:ec2:terminateInstances", {"InstanceIds": [west]}),
        ("us-east-1", "lost-1", "arn:aws:lambda:us-east-1:123456789012:function:nobody", {}),
    ):
        client(server, "scheduler", region).create_schedule(
            Name=name,
            ScheduleExpression=f"at({now})",
            FlexibleTimeWindow={"Mode": "OFF"},
            Target={"Arn": arn, "RoleArn": ROLE, "Input": json.dumps(what)},
            ActionAfterCompletion="DELETE",
        )
    server.advance(120)
    truth = server.world("GET").body
    timers = {row["name"]: row for row in truth["timers"]}
    assert server.api("GET", "/seen")["expired"][-1:] == [{"lease": "l-1"}]
    assert timers["expire-1"]["state"] == timers["end-1"]["state"] == "DELETED"
    assert timers["lost-1"]["code"] == "ResourceNotFoundException"
    (call,) = truth["calls"]
    assert (call["by"], call["operation"], call["region"]) == ("end-1", "TerminateInstances", "us-west-2")
    assert [row["state"] for row in truth["instances"]] == ["terminated"]


def test_events_can_be_dropped_lost_and_recommended_over_http(server: Running) -> None:
    """Forwarders, event faults and rebalance recommendations (EC2 guide, "EC2 instance rebalance recommendations";
    EventBridge guide, "Sending and receiving events between AWS Regions")."""
    before = len(server.api("GET", "/seen")["events"])
    assert server.world("GET").body["forwarded"] == ["us-west-2", "eu-west-1"]
    assert server.world("PUT", "/forwarders", {"regions": ["us-west-2"]}).body == {"regions": ["us-west-2"]}
    assert server.world("GET").body["forwarded"] == ["us-west-2"]
    wrong = server.world("PUT", "/forwarders", {"regions": ["mars-1"]})
    assert (wrong.status, wrong.body["field"]) == (422, "regions")
    fault(server, service="events", operation="EC2 Spot Instance Request Fulfillment", code="lost")
    boxes = {
        region: server.world(
            "POST", "/instances", {"type": "g5.xlarge", "market": "one-time", "region": region}
        ).body["id"]
        for region in ("us-east-1", "us-west-2", "eu-west-1")
    }
    assert server.world("POST", f"/rebalance/{boxes['us-west-2']}").status == 202
    on_demand = server.world("POST", "/instances", {"type": "g5.xlarge"}).body["id"]
    assert server.world("POST", f"/rebalance/{on_demand}").status == 409
    server.advance(1)
    told: dict[str, list[str]] = {
        region: [
            event["detail"].get("state", event["detail-type"])
            for event in server.api("GET", "/seen")["events"][before:]
            if event["detail"]["instance-id"] == box
        ]
        for region, box in boxes.items()
    }
    assert told == {
        "us-east-1": ["pending"],
        "us-west-2": ["pending", "EC2 Instance Rebalance Recommendation"],
        "eu-west-1": [],
    }


@pytest.mark.parametrize(
    "service, call, code",
    [
        ("cloudwatch", "list_metrics", "InternalServiceFault"),
        ("dynamodb", "list_tables", "ProvisionedThroughputExceededException"),
        ("autoscaling", "describe_auto_scaling_groups", "ResourceContention"),
        ("scheduler", "list_schedules", "ThrottlingException"),
        ("ce", "list_cost_allocation_tags", "LimitExceededException"),
        ("pricing", "describe_services", "InternalErrorException"),
        ("ec2", "describe_instances", "RequestLimitExceeded"),
    ],
)
def test_calls_of_every_service_fail_on_demand(
    server: Running, *, service: str, call: str, code: str
) -> None:
    """By their service's name, in its own words; those of other regions go on (botocore's model of each service)."""
    fault(server, service=service, region="us-east-1", code=code)
    with pytest.raises(ClientError) as caught:
        getattr(client(server, service), call)()
    assert caught.value.response["Error"]["Code"] == code
    assert server.world("GET", "/faults").body[0]["hits"] == 1


@pytest.mark.parametrize(
    "body, field",
    [
        ({"service": "events", "code": "late"}, "delay_seconds"),
        ({"service": "ec2", "dies_at": 1}, "dies_at"),
        ({"service": "lambda", "dies_at": 0}, "dies_at"),
        ({"service": "lambda", "dies_at": "soon"}, "dies_at"),
        ({"service": "lambda", "after": True}, "after"),
    ],
)
def test_a_fault_that_makes_no_sense_is_refused(server: Running, *, body: dict[str, Any], field: str) -> None:
    """With the field to change (localaws's own promise)."""
    answer = server.world("POST", "/faults", body)
    assert (answer.status, answer.body["field"]) == (422, field)
