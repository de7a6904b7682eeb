"""Client tokens: the same request once, however often it is sent.

Sources: EC2 developer guide, "Ensuring idempotency in Amazon EC2 API requests": a token is at most 64 ASCII
characters; a repeated request does nothing more and its answer may carry newer information; the same token with other
parameters is IdempotentParameterMismatch; tokens count per region, those of a RunInstances that names its zone per
zone. EC2 API reference of 2016, "Ensuring Idempotency": only the state may differ in a repeated answer, and a token is
good for 24 hours after the termination of its instance at least. EC2's error codes: IdempotentInstanceTerminated.
botocore, TransactWriteItems: a ClientRequestToken is good for ten minutes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from localaws.errors import AwsError
from localaws.places import asked_zone
from localaws.protocol.wire import CallId, HttpResponse

if TYPE_CHECKING:
    from localaws.world import World


@dataclass(frozen=True, slots=True)
class Rule:
    """How one operation takes its token."""

    field: str
    mismatch: str
    lasts: timedelta
    longest: int
    inside: str = ""
    """The structure of the request that has the token, where it is not the request itself."""


EC2 = Rule("ClientToken", "IdempotentParameterMismatch", timedelta(days=1), 64)
TEMPLATE = Rule("ClientToken", "IdempotentParameterMismatch", timedelta(days=1), 128)
RULES = {
    ("ec2", "RunInstances"): EC2,
    ("ec2", "CreateFleet"): EC2,
    ("ec2", "CreateVolume"): EC2,
    ("ec2", "CreateLaunchTemplate"): TEMPLATE,
    ("ec2", "CreateLaunchTemplateVersion"): TEMPLATE,
    ("ec2", "RequestSpotInstances"): EC2,
    ("ec2", "RequestSpotFleet"): replace(EC2, inside="SpotFleetRequestConfig"),
    ("ec2", "CreateCapacityReservation"): EC2,
    ("dynamodb", "TransactWriteItems"): Rule(
        "ClientRequestToken", "IdempotentParameterMismatchException", timedelta(minutes=10), 36
    ),
}
Key = tuple[str, str, str, str]


@dataclass(frozen=True, slots=True)
class Answered:
    """A request that was done; `answer` is None where moto gave it."""

    at: datetime
    rule: Rule
    params: dict[str, Any]
    answer: Mapping[str, Any] | None
    response: HttpResponse

    @property
    def instance_ids(self) -> list[str]:
        """What RunInstances has started."""
        instances = (self.answer or {}).get("Instances", [])
        return [one["InstanceId"] for one in instances if "InstanceId" in one]


def takes_token(call: CallId) -> bool:
    return (call.service, call.operation) in RULES


class ClientTokens:
    """What was done so far, by region, operation, token and zone."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._done: dict[Key, Answered] = {}

    def done(self, call: CallId, params: dict[str, Any]) -> Answered | None:
        """The request with this token, None for a new one."""
        key = _key(call, params)
        known = self._done.get(key) if key else None
        if known is None or self._is_over(known):
            return None
        if known.params != params:
            raise AwsError(
                known.rule.mismatch,
                "Arguments on this idempotent request are inconsistent with arguments used in previous request(s).",
            )
        return known

    def remember(
        self,
        call: CallId,
        params: dict[str, Any],
        answer: Mapping[str, Any] | None,
        response: HttpResponse,
    ) -> None:
        key = _key(call, params)
        if key is None:
            return
        # Old ones lie first: entries are kept in the order they were made.
        while self._done and self._is_over((oldest := next(iter(self._done.items())))[1]):
            del self._done[oldest[0]]
        rule = RULES[call.service, call.operation]
        self._done[key] = Answered(self._world.now, rule, params, answer, response)

    def _is_over(self, known: Answered) -> bool:
        """A launch's token outlives its instances."""
        last = known.at
        for box_id in known.instance_ids:
            ended_at = self._world.boxes.of(box_id).ended_at
            if ended_at is None:
                return False
            last = max(last, ended_at)
        return last + known.rule.lasts <= self._world.now


def _key(call: CallId, params: dict[str, Any]) -> Key | None:
    rule = RULES.get((call.service, call.operation))
    if rule is None:
        return None
    token = (params.get(rule.inside, {}) if rule.inside else params).get(rule.field)
    if not token:
        return None
    if len(token) > rule.longest or not token.isascii():
        raise AwsError(
            "InvalidParameterValue",
            f"{rule.field} must be at most {rule.longest} ASCII characters, not {token!r}",
        )
    zone = asked_zone(call.region, params) if call.operation == "RunInstances" else None
    return (call.region, call.operation, token, zone or "")
