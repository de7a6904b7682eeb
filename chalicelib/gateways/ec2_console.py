"""What a box has written to its console."""

from __future__ import annotations

from typing import Any

from chalicelib.gateways.aws import AWS_ERRORS, HURRIED, Aws, code_of, unavailable

NOT_ON_XEN = "UnsupportedOperation"
"""Types before Nitro have no latest output, only what EC2 keeps after a boot (botocore, GetConsoleOutput, `Latest`)."""


def console(aws: Aws, region: str, instance_id: str) -> str:
    """Its last 64 KB; empty while EC2 has none. Raises Unavailable."""
    ec2 = aws.ec2(region, HURRIED)
    try:
        try:
            answer: Any = ec2.get_console_output(InstanceId=instance_id, Latest=True)
        except AWS_ERRORS as error:
            if code_of(error) != NOT_ON_XEN:
                raise
            answer = ec2.get_console_output(InstanceId=instance_id)
    except AWS_ERRORS as error:
        raise unavailable(f"reading the console of {instance_id} in {region}", error) from error
    return str(answer.get("Output") or "")
