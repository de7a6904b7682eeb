"""What AWS answers to calls that nobody simulates, or that break: an error in its own form."""

from __future__ import annotations

from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from localaws.world import World
from tests.localaws.conftest import Running

ONCE = Config(retries={"total_max_attempts": 1})


def answer_to(client: Any, call: str, **params: Any) -> tuple[str, str, int]:
    with pytest.raises(ClientError) as caught:
        getattr(client, call)(**params)
    answered = caught.value.response
    return (
        answered["Error"]["Code"],
        answered["Error"]["Message"],
        answered["ResponseMetadata"]["HTTPStatusCode"],
    )


@pytest.mark.parametrize(
    "service, call, operation",
    [
        ("ec2", "describe_ipams", "DescribeIpams"),
        ("autoscaling", "describe_account_limits", "DescribeAccountLimits"),
        ("dynamodb", "list_global_tables", "ListGlobalTables"),
    ],
)
def test_what_nobody_simulates_is_an_unsupported_operation(
    world: World, service: str, call: str, operation: str
) -> None:
    """The error names the call, in the form of its service (EC2 API reference, "Error codes")."""
    code, message, status = answer_to(world.session().client(service, config=ONCE), call)
    assert (code, status) == ("UnsupportedOperation", 400)
    assert operation in message


def test_what_breaks_is_an_internal_error(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """A server error that a client tries again, and the traceback on stderr (EC2 API reference, "Error codes")."""
    client = world.session().client("autoscaling", config=ONCE)
    code, message, status = answer_to(client, "describe_auto_scaling_groups", MaxRecords=101)
    assert (code, status) == ("InternalError", 500)
    assert "DescribeAutoScalingGroups" in message
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.e2e
def test_no_call_ends_without_an_answer_on_the_aws_port(server: Running) -> None:
    """Over HTTP too there is always an answer."""
    client = boto3.client(
        "ec2",
        region_name="us-east-1",
        endpoint_url=server.aws_url,
        aws_access_key_id="x",
        aws_secret_access_key="x",
        config=ONCE,
    )
    assert answer_to(client, "describe_ipams")[0] == "UnsupportedOperation"
