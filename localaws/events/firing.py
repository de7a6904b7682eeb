"""One invocation of a schedule's target: tried again while it fails in a way that may pass, then a dead letter.

Sources: botocore's RetryPolicy and DeadLetterConfig of scheduler (how often, for how long, with exponential backoff);
EventBridge Scheduler guide, "Configuring a schedule's dead-letter queue" (what the dead letter says) and "Adding
context attributes". That refusals are not tried again is EventBridge's rule ("How EventBridge retries delivering
events"); the guide of Scheduler leaves it open, as it does how long the backoff is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import NAMESPACE_OID, uuid5

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError

from localaws.errors import AwsError
from localaws.events.bus import ACCOUNT
from localaws.events.targets import QUEUE, FunctionTarget, QueueTarget, Target, UniversalTarget
from localaws.protocol.faults import as_aws_error
from localaws.protocol.wire import CallId
from localaws.session import session_for

if TYPE_CHECKING:
    from localaws.world import World

ONCE = Config(retries={"total_max_attempts": 1})
FIRST_WAIT, LONGEST_WAIT = timedelta(seconds=1), timedelta(minutes=8)
"""With these 185 attempts, the most there may be, fit into the 24 hours that an invocation may be old at most."""
THROTTLES = re.compile(r"Throttl|RequestLimitExceeded|TooManyRequests|SlowDown|ProvisionedThroughputExceeded")


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a target could not be invoked, and whether that may pass."""

    code: str
    message: str
    may_pass: bool


@dataclass(slots=True, kw_only=True)
class Delivery:
    """One invocation on its way."""

    schedule_arn: str
    by: str
    region: str
    target: Target
    params: dict[str, Any]
    due: datetime
    began: datetime
    attempts: int = 0
    failure: Failure | None = None

    @property
    def id(self) -> str:
        return str(uuid5(NAMESPACE_OID, f"{self.schedule_arn}/{self.due}"))

    @property
    def text(self) -> str:
        """The input, with its context attributes filled in."""
        text = self.params.get("Input")
        if text is None:
            return "{}"
        for name, value in (
            ("schedule-arn", self.schedule_arn),
            ("scheduled-time", f"{self.due:%Y-%m-%dT%H:%M:%SZ}"),
            ("execution-id", self.id),
            ("attempt-number", str(self.attempts)),
        ):
            text = text.replace(f"<aws.scheduler.{name}>", value)
        return str(text)

    def limit_reached(self, next_try: datetime) -> str | None:
        """Which limit of the retry policy forbids another try at a time."""
        policy = self.params["RetryPolicy"]
        if self.attempts > policy["MaximumRetryAttempts"]:
            return "MaximumRetryAttempts"
        if next_try - self.began > timedelta(seconds=policy["MaximumEventAgeInSeconds"]):
            return "MaximumEventAgeInSeconds"
        return None


class Firing:
    """Invokes targets, on the world's clock."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._clients: dict[tuple[str, str], Any] = {}

    def start(self, delivery: Delivery, tried: Callable[[], None], done: Callable[[], None]) -> None:
        """Try now, and again later; `tried` is told of every try, `done` of the end, however it came."""
        with self._world.endpoint.calling_as(delivery.by):
            delivery.failure = self._invoke(delivery)
        delivery.attempts += 1
        tried()
        if delivery.failure is None:
            done()
            return
        again = self._world.now + min(FIRST_WAIT * 2 ** min(delivery.attempts - 1, 10), LONGEST_WAIT)
        limit = delivery.limit_reached(again)
        if delivery.failure.may_pass and limit is None:
            self._world.at(again, lambda: self.start(delivery, tried, done))
            return
        self._bury(delivery, delivery.failure, limit if delivery.failure.may_pass else None)
        done()

    def _invoke(self, delivery: Delivery) -> Failure | None:
        try:
            match delivery.target:
                case UniversalTarget():
                    client = self._client(delivery.target.service, delivery.region)
                    getattr(client, delivery.target.method)(**delivery.target.parameters(delivery.text))
                case FunctionTarget():
                    self._ask_for(delivery.target, delivery)
                case QueueTarget():
                    self._send(delivery.target, delivery.text)
        except ClientError as problem:
            return _failure(problem)
        except AwsError as problem:
            return Failure(problem.code, problem.message, may_pass=_may_pass(problem.code, problem.status))
        except ParamValidationError as problem:
            return Failure("ValidationException", str(problem), may_pass=False)
        except BotoCoreError as problem:  # no answer
            return Failure("SDK_CLIENT_ERROR", str(problem), may_pass=True)
        return None

    def _ask_for(self, target: FunctionTarget, delivery: Delivery) -> None:
        """Lambda accepts the invocation; what becomes of it is Lambda's business, not the schedule's."""
        names = self._world.functions
        call = CallId("lambda", delivery.region, "Invoke")
        fault = self._world.faults.strike(call)
        if fault is not None and fault.breaks and not fault.lost_answer:
            raise as_aws_error(fault, call)
        if names is not None and target.name not in names:
            raise AwsError("ResourceNotFoundException", f"Function not found: {target.name}", status=404)
        self._world.invoke(
            target.name, json.loads(delivery.text) if "Input" in delivery.params else _notice(delivery)
        )
        if fault is not None and fault.lost_answer:
            raise as_aws_error(fault, call)

    def _send(self, queue: QueueTarget, text: str, attributes: dict[str, Any] | None = None) -> None:
        sqs = self._client("sqs", queue.region)
        url = sqs.get_queue_url(QueueName=queue.name)["QueueUrl"]
        sqs.send_message(QueueUrl=url, MessageBody=text, MessageAttributes=attributes or {})

    def _bury(self, delivery: Delivery, failure: Failure, limit: str | None) -> None:
        """Send the dead letter, if there is a queue for it."""
        found = QUEUE.fullmatch(delivery.params.get("DeadLetterConfig", {}).get("Arn", ""))
        if found is None:
            return
        facts = {
            "ERROR_CODE": failure.code,
            "ERROR_MESSAGE": failure.message,
            "EXECUTION_ID": delivery.id,
            "EXHAUSTED_RETRY_CONDITION": limit,
            "IS_PAYLOAD_TRUNCATED": "false",
            "RETRY_ATTEMPTS": str(delivery.attempts - 1),
            "SCHEDULED_TIME": f"{delivery.due:%Y-%m-%dT%H:%M:%SZ}",
            "SCHEDULE_ARN": delivery.schedule_arn,
            "TARGET_ARN": delivery.params["Arn"],
        }
        attributes = {
            name: {"DataType": "String", "StringValue": value} for name, value in facts.items() if value
        }
        queue = QueueTarget(*found.groups())
        try:
            with self._world.endpoint.calling_as(delivery.by):
                self._send(queue, delivery.text, attributes)
        except (ClientError, BotoCoreError):
            return  # what can't be put there is lost
        self._world.dead_letters.append(
            {
                "at": self._world.now,
                "queue": queue.name,
                "receive_count": delivery.attempts,
                "body": delivery.text,
            }
        )

    def _client(self, service: str, region: str) -> Any:
        key = (service, region)
        if key not in self._clients:
            name: Any = service
            self._clients[key] = session_for(self._world, region).client(name, config=ONCE)
        return self._clients[key]


def _failure(problem: ClientError) -> Failure:
    said = problem.response["Error"]
    status = problem.response["ResponseMetadata"]["HTTPStatusCode"]
    code = str(said.get("Code") or "Unknown")
    return Failure(code, str(said.get("Message") or code), may_pass=_may_pass(code, status))


def _may_pass(code: str, status: int) -> bool:
    return status >= 500 or status == 429 or THROTTLES.search(code) is not None


def _notice(delivery: Delivery) -> dict[str, Any]:
    """What a function is told by a schedule without input."""
    return {
        "version": "0",
        "id": delivery.id,
        "detail-type": "Scheduled Event",
        "source": "aws.scheduler",
        "account": ACCOUNT,
        "time": f"{delivery.due:%Y-%m-%dT%H:%M:%SZ}",
        "region": delivery.region,
        "resources": [delivery.schedule_arn],
        "detail": "{}",
    }
