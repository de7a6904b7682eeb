"""Finding the group of a call, and saying what is wrong with one."""

from __future__ import annotations

from typing import Any

from localaws.errors import AwsError
from localaws.operations import Call


def asked_group(call: Call) -> Any:
    """moto's record of the group that a call names."""
    name = call.params["AutoScalingGroupName"]
    group = call.world.groups.find(call.region, name)
    if group is None:
        raise invalid(f"AutoScalingGroup name not found - AutoScalingGroup '{name}' not found")
    return group


def invalid(message: str) -> AwsError:
    """Auto Scaling's answer to almost any mistake."""
    return AwsError("ValidationError", message)
