"""ClientToken: the same launch once, however often it is asked for."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from localaws.world import World
from tests.localaws.conftest import IMAGE

LAUNCH = {"ImageId": IMAGE, "InstanceType": "g5.xlarge", "MinCount": 1, "MaxCount": 1}


def test_the_same_token_and_parameters_give_the_same_instance(world: World, ec2: Any) -> None:
    """A repeated RunInstances answers the first launch and starts nothing; the instance shows its token."""
    first, second = (ec2.run_instances(**LAUNCH, ClientToken="t-1")["Instances"][0] for _ in range(2))
    assert first["InstanceId"] == second["InstanceId"]
    assert first["ClientToken"] == "t-1"
    assert len(list(world.boxes)) == 1


def test_the_same_token_with_other_parameters_is_a_mismatch(ec2: Any) -> None:
    """IdempotentParameterMismatch, and nothing is started."""
    ec2.run_instances(**LAUNCH, ClientToken="t-1")
    with pytest.raises(ClientError, match="IdempotentParameterMismatch"):
        ec2.run_instances(**{**LAUNCH, "InstanceType": "g5.2xlarge"}, ClientToken="t-1")


def test_tokens_count_per_region(world: World, ec2: Any) -> None:
    """The same token in another region is another launch."""
    ec2.run_instances(**LAUNCH, ClientToken="t-1")
    world.session("us-west-2").client("ec2").run_instances(**LAUNCH, ClientToken="t-1")
    assert len(list(world.boxes)) == 2


def test_a_launch_that_failed_does_not_use_its_token_up(world: World, ec2: Any) -> None:
    """After InsufficientInstanceCapacity the same token may launch."""
    world.set_capacity("*", "*", available=False)
    with pytest.raises(ClientError, match="InsufficientInstanceCapacity"):
        ec2.run_instances(**LAUNCH, ClientToken="t-1")
    world.set_capacity("*", "*", available=True)
    ec2.run_instances(**LAUNCH, ClientToken="t-1")
    assert len(list(world.boxes)) == 1


def test_fleets_and_launch_templates_honour_their_tokens(world: World, ec2: Any) -> None:
    """CreateLaunchTemplate and CreateFleet answer the first result again; other parameters are a mismatch."""
    data = {"LaunchTemplateName": "t", "LaunchTemplateData": {"ImageId": IMAGE, "InstanceType": "g5.xlarge"}}
    ids = {
        ec2.create_launch_template(**data, ClientToken="a")["LaunchTemplate"]["LaunchTemplateId"]
        for _ in range(2)
    }
    assert len(ids) == 1
    fleet: dict[str, Any] = {
        "Type": "instant",
        "ClientToken": "b",
        "LaunchTemplateConfigs": [
            {"LaunchTemplateSpecification": {"LaunchTemplateId": ids.pop(), "Version": "1"}}
        ],
        "TargetCapacitySpecification": {"TotalTargetCapacity": 1, "DefaultTargetCapacityType": "spot"},
    }
    assert len({ec2.create_fleet(**fleet)["FleetId"] for _ in range(2)}) == 1
    assert len(list(world.boxes)) == 1
    with pytest.raises(ClientError, match="IdempotentParameterMismatch"):
        ec2.create_fleet(**{**fleet, "Type": "maintain"})
