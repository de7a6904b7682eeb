"""ClientToken: the same token with the same parameters is the same launch.

Source: EC2 guide, "Ensuring idempotency": a repeated request gets the first answer and starts nothing; the same token
with other parameters is IdempotentParameterMismatch; tokens count per region.
"""

from __future__ import annotations

from typing import Any

from localaws.errors import AwsError
from localaws.wire import CallId, HttpResponse

IDEMPOTENT = frozenset(
    {"RunInstances", "CreateFleet", "CreateLaunchTemplate", "RequestSpotInstances", "RequestSpotFleet"}
)


class ClientTokens:
    """The answers given so far, by region, operation and token."""

    def __init__(self) -> None:
        self._answers: dict[tuple[str, str, str], tuple[dict[str, Any], HttpResponse]] = {}

    def replay(self, call: CallId, params: dict[str, Any]) -> HttpResponse | None:
        """The first answer to this token, None for a new one."""
        known = self._answers.get(self._key(call, params)) if _counts(call, params) else None
        if known is None:
            return None
        if known[0] != params:
            raise AwsError(
                "IdempotentParameterMismatch",
                "Arguments on this idempotent request are inconsistent with arguments used in previous request(s).",
            )
        return known[1]

    def remember(self, call: CallId, params: dict[str, Any], response: HttpResponse) -> None:
        if _counts(call, params):
            self._answers[self._key(call, params)] = (params, response)

    @staticmethod
    def _key(call: CallId, params: dict[str, Any]) -> tuple[str, str, str]:
        return (call.region, call.operation, params["ClientToken"])


def _counts(call: CallId, params: dict[str, Any]) -> bool:
    return call.service == "ec2" and call.operation in IDEMPOTENT and bool(params.get("ClientToken"))
