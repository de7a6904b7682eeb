"""DeleteSecurityGroup: EC2 refuses it for a group that something uses, which moto removes all the same."""

from __future__ import annotations

from typing import Any

from localaws.errors import AwsError
from localaws.onmoto import backend
from localaws.operations import Call, operation


@operation("ec2", "DeleteSecurityGroup")
def delete_security_group(call: Call) -> dict[str, Any] | None:
    """DependencyViolation while a network interface is in it; a VPC's default group never goes (botocore)."""
    ec2 = backend.ec2_backend(call.region)
    group_id = call.params.get("GroupId")
    group = ec2.get_security_group_from_id(group_id) if group_id else None
    if group is None:
        return None
    if group.name == "default":
        raise AwsError(
            "CannotDelete", f'the specified group: "{group_id}" name: "default" cannot be deleted by a user'
        )
    if any(group.id in {one.id for one in eni.group_set} for eni in ec2.enis.values()):
        raise AwsError("DependencyViolation", f"resource {group.id} has a dependent object")
    return None
