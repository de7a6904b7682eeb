"""Client tokens: the same request once, however often it is sent.

Sources: EC2 guide, "Ensuring idempotency": a repeated request gets the first answer and starts nothing; the same token
with other parameters is IdempotentParameterMismatch; tokens count per region. botocore, TransactWriteItems: a
ClientRequestToken is good for ten minutes, then with other parameters IdempotentParameterMismatchException.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from localaws.errors import AwsError
from localaws.wire import CallId, HttpResponse


@dataclass(frozen=True, slots=True)
class Rule:
    """How one operation takes its token."""

    field: str
    mismatch: str
    lasts: timedelta


EC2 = Rule("ClientToken", "IdempotentParameterMismatch", timedelta(days=1))
RULES = {
    ("ec2", "RunInstances"): EC2,
    ("ec2", "CreateFleet"): EC2,
    ("ec2", "CreateLaunchTemplate"): EC2,
    ("ec2", "RequestSpotInstances"): EC2,
    ("ec2", "RequestSpotFleet"): EC2,
    ("dynamodb", "TransactWriteItems"): Rule(
        "ClientRequestToken", "IdempotentParameterMismatchException", timedelta(minutes=10)
    ),
}
Key = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Answered:
    params: dict[str, Any]
    response: HttpResponse
    until: datetime


def takes_token(call: CallId) -> bool:
    return (call.service, call.operation) in RULES


class ClientTokens:
    """The answers given so far, by region, operation and token."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._answers: dict[Key, Answered] = {}

    def replay(self, call: CallId, params: dict[str, Any]) -> HttpResponse | None:
        """The first answer to this token, None for a new one."""
        key = _key(call, params)
        known = self._answers.get(key) if key else None
        if known is None or known.until <= self._now():
            return None
        if known.params != params:
            raise AwsError(
                RULES[call.service, call.operation].mismatch,
                "Arguments on this idempotent request are inconsistent with arguments used in previous request(s).",
            )
        return known.response

    def remember(self, call: CallId, params: dict[str, Any], response: HttpResponse) -> None:
        key = _key(call, params)
        if key is None:
            return
        now = self._now()
        # Old answers lie first: entries are kept in the order they were made.
        while self._answers and (oldest := next(iter(self._answers.items())))[1].until <= now:
            del self._answers[oldest[0]]
        self._answers[key] = Answered(params, response, now + RULES[call.service, call.operation].lasts)


def _key(call: CallId, params: dict[str, Any]) -> Key | None:
    rule = RULES.get((call.service, call.operation))
    token = params.get(rule.field) if rule else None
    return (call.region, call.operation, token) if token else None
