"""Timers at EventBridge Scheduler: one-time schedules that delete themselves once they have fired.

A universal target calls the service in the schedule's own region, in the name of a role that may end things and nothing
else (EventBridge Scheduler guide, "Using universal targets"). Making and changing a schedule costs nothing; a firing
does. The ClientToken is botocore's own, another one a call: one made from the timer would let a schedule that was moved
there and back stay where it was.
"""

from __future__ import annotations

from datetime import UTC
from typing import Any

from chalicelib.domain.timer import EXPIRE, Timer
from chalicelib.gateways.aws import AWS_ERRORS, HURRIED, Aws, code_of, unavailable

EXISTS, ABSENT = "ConflictException", "ResourceNotFoundException"
RETRIES = {"MaximumEventAgeInSeconds": 86400, "MaximumRetryAttempts": 185}
"""The most there may be: what AWS's EC2 refuses now, it may take in an hour."""


class SchedulerTimers:
    """Implements chalicelib.ports.Timers. `role_arn`: in whose name AWS calls; `expire_arn`: Curfew's own function."""

    is_configured = True

    def __init__(self, aws: Aws, *, role_arn: str, expire_arn: str) -> None:
        self._aws = aws
        self._role_arn = role_arn
        self._expire_arn = expire_arn

    def put(self, timer: Timer) -> None:
        """Make a timer, or make the one of that name this one. Raises Unavailable."""
        scheduler, schedule = self._client(timer.region), self._schedule(timer)
        try:
            try:
                scheduler.create_schedule(**schedule)
            except AWS_ERRORS as error:
                if code_of(error) != EXISTS:
                    raise
                scheduler.update_schedule(**schedule)
        except AWS_ERRORS as error:
            raise unavailable(f"arming {timer.name} in {timer.region}", error) from error

    def delete(self, region: str, name: str) -> None:
        """Remove a timer; absent is fine. Raises Unavailable."""
        try:
            self._client(region).delete_schedule(Name=name)
        except AWS_ERRORS as error:
            if code_of(error) != ABSENT:
                raise unavailable(f"removing {name} in {region}", error) from error

    def _client(self, region: str) -> Any:
        return self._aws.client("scheduler", region, HURRIED)

    def _schedule(self, timer: Timer) -> dict[str, Any]:
        """The whole of it: what an update leaves out goes back to its default."""
        return {
            "Name": timer.name,
            "Description": "An end of a lease of Curfew's that comes also while Curfew is down",
            "ScheduleExpression": f"at({timer.at.astimezone(UTC):%Y-%m-%dT%H:%M:%S})",
            "ScheduleExpressionTimezone": "UTC",
            "FlexibleTimeWindow": {"Mode": "OFF"},
            "ActionAfterCompletion": "DELETE",
            "State": "ENABLED",
            "Target": {
                "Arn": self._arn(timer.call),
                "RoleArn": self._role_arn,
                "Input": timer.input,
                "RetryPolicy": RETRIES,
            },
        }

    def _arn(self, call: str) -> str:
        if call == EXPIRE:
            return self._expire_arn
        partition = self._role_arn.split(":")[1]
        return f"arn:{partition}:scheduler:::aws-sdk:{call}"
