"""What the deployment template declares, read from .chalice/resources.json: the table, and which events reach whom."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chalice.utils import to_cfn_resource_name

from localaws.errors import LocalAwsError
from localaws.events.delivery import QueueSettings
from localaws.events.patterns import matches

if TYPE_CHECKING:
    from localaws.world import World

ALL_EC2_EVENTS = {"source": ["aws.ec2"]}
NOT_FOR_CREATE_TABLE = ("TimeToLiveSpecification", "PointInTimeRecoverySpecification", "TableName", "Tags")


@dataclass(frozen=True, slots=True)
class GatewayAnswer:
    """What API Gateway itself answers, by the template's GatewayResponses."""

    status: int
    headers: Mapping[str, str]
    body: str


def _usual(status: int, error: str, message: str) -> GatewayAnswer:
    return GatewayAnswer(
        status,
        {"Content-Type": "application/json", "x-amzn-ErrorType": error},
        json.dumps({"message": message}),
    )


UNKNOWN_PATH, TOO_LARGE = "MISSING_AUTHENTICATION_TOKEN", "REQUEST_TOO_LARGE"
THROTTLED, TIMED_OUT, FAILED = "THROTTLED", "INTEGRATION_TIMEOUT", "DEFAULT_5XX"
USUAL_ANSWERS: Mapping[str, GatewayAnswer] = {
    UNKNOWN_PATH: _usual(403, "MissingAuthenticationTokenException", "Missing Authentication Token"),
    TOO_LARGE: _usual(413, "RequestEntityTooLargeException", "Request Too Long"),
    THROTTLED: _usual(429, "TooManyRequestsException", "Too Many Requests"),
    TIMED_OUT: _usual(504, "InternalServerErrorException", "Endpoint request timed out"),
    FAILED: _usual(502, "InternalServerErrorException", "Internal server error"),
}


@dataclass(frozen=True, slots=True)
class RetryRule:
    """How often, and for how long, Lambda runs an asynchronous invocation again that has failed."""

    retries: int = 2
    max_age: timedelta = timedelta(hours=6)


class Template:
    """The resources of one application."""

    def __init__(self, app_dir: Path) -> None:
        self._path = app_dir / ".chalice" / "resources.json"
        content = json.loads(self._path.read_text(encoding="utf-8")) if self._path.exists() else {}
        self._resources: dict[str, Any] = content.get("Resources", {})

    def table_properties(self) -> dict[str, Any]:
        """The `Properties` of `CurfewTable`."""
        try:
            return dict(self._resources["CurfewTable"]["Properties"])
        except KeyError as problem:
            raise LocalAwsError(
                f"{self._path} has no resource CurfewTable with Properties to make the table from"
            ) from problem

    def wants(self, event: Mapping[str, Any]) -> bool:
        """Whether a rule sends this event on; without any rule all EC2 events go on."""
        patterns = [
            resource["Properties"]["EventPattern"]
            for resource in self._resources.values()
            if resource.get("Type") == "AWS::Events::Rule"
            and "EventPattern" in resource.get("Properties", {})
        ]
        return any(matches(pattern, event) for pattern in patterns or [ALL_EC2_EVENTS])

    def retry_rule(self, function: str) -> RetryRule:
        """The function's EventInvokeConfig, by default two retries within six hours (Lambda guide, "Invoking a Lambda
        function asynchronously")."""
        config = self._properties(to_cfn_resource_name(function)).get("EventInvokeConfig", {})
        usual = RetryRule()
        return RetryRule(
            int(config.get("MaximumRetryAttempts", usual.retries)),
            timedelta(seconds=config.get("MaximumEventAgeInSeconds", usual.max_age.total_seconds())),
        )

    def queue_of(self, function: str) -> QueueSettings:
        """The queue that the function's event source names, as the template makes it."""
        sources = self._properties(to_cfn_resource_name(function)).get("Events", {}).values()
        source: dict[str, Any] = next(
            (one["Properties"] for one in sources if "Queue" in one.get("Properties", {})), {}
        )
        name = str(source.get("Queue", {}).get("Fn::Sub", "")).removeprefix("${").removesuffix(".Arn}")
        queue = self._properties(name)
        redrive = queue.get("RedrivePolicy", {})
        dead = redrive.get("deadLetterTargetArn", {}).get("Fn::GetAtt", [None])[0]
        usual = QueueSettings()
        return QueueSettings(
            name=name or usual.name,
            dead_letter_queue=dead,
            visibility=_seconds(queue.get("VisibilityTimeout"), usual.visibility),
            retention=_seconds(queue.get("MessageRetentionPeriod"), usual.retention),
            max_receives=redrive.get("maxReceiveCount"),
            partial_failures="ReportBatchItemFailures" in source.get("FunctionResponseTypes", ()),
        )

    def _properties(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self._resources.get(name, {}).get("Properties", {})
        return found

    def gateway_answer(self, kind: str) -> GatewayAnswer:
        """What API Gateway itself answers of a kind: as the template has it, or has all others of its class, else as
        AWS does (API Gateway guide, "Gateway response types")."""
        usual = USUAL_ANSWERS[kind]
        declared = self._properties("RestAPI").get("GatewayResponses", {})
        found = declared.get(kind) or declared.get(f"DEFAULT_{usual.status // 100}XX")
        if found is None:
            return usual
        headers = found.get("ResponseParameters", {}).get("Headers", {})
        return GatewayAnswer(
            status=int(found["StatusCode"]),
            headers={name: value.strip("'") for name, value in headers.items()},
            body=found["ResponseTemplates"]["application/json"],
        )


def _seconds(value: int | None, usual: timedelta) -> timedelta:
    return usual if value is None else timedelta(seconds=value)


def create_table(world: World, properties: dict[str, Any], name: str) -> None:
    """The application's table in the home region; its expiry is set by a call of its own, as CloudFormation does."""
    client = world.session().client("dynamodb")
    wanted = {key: value for key, value in properties.items() if key not in NOT_FOR_CREATE_TABLE}
    client.create_table(TableName=name, **wanted)
    expiry = properties.get("TimeToLiveSpecification")
    if expiry:
        client.update_time_to_live(TableName=name, TimeToLiveSpecification=expiry)
