"""The conditions and resources of the policies admit the calls that are really made, and stop those that never are.

A small reading of IAM: literal patterns, and the condition operators that the policies use; an unknown one is an error.
"""

import ast
import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fnmatch import fnmatchcase
from typing import Any

import pytest

from chalicelib.domain.ends import CANCEL, CANCEL_SPOT_FLEET, DELETE_FLEET, TERMINATE
from chalicelib.domain.lease import LaunchOrder, RequestType
from chalicelib.domain.tags import LEASE_TAG
from chalicelib.gateways import ec2_attempts
from chalicelib.gateways.ec2_attempts import CREATE_FLEET
from chalicelib.ports import Image
from chalicelib.usecases import tagging
from tests.architecture.sources import GATEWAYS, ROOT, source
from tests.architecture.test_iam import ACTING, FUNCTIONS, statements
from tests.builders import lease

RESOURCES: dict[str, Any] = json.loads((ROOT / ".chalice" / "resources.json").read_text())
NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
TABLE = "arn:aws:dynamodb:us-east-1:123456789012:table/stack-CurfewTable-1"
NAMES = {
    "AWS::Partition": "aws",
    "AWS::AccountId": "123456789012",
    "AWS::Region": "us-east-1",
    "CurfewTable.Arn": TABLE,
    "CurfewLogs.Arn": "arn:aws:logs:us-east-1:123456789012:log-group:curfew:*",
    "CurfewTransfers.Arn": "arn:aws:s3:::stack-curfewtransfers-1",
    "CurfewTimers.Arn": "arn:aws:iam::123456789012:role/stack-CurfewTimers-1",
    "CurfewEc2Events.Arn": "arn:aws:sqs:us-east-1:123456789012:events",
    **{name: str(one.get("Default")) for name, one in RESOURCES["Parameters"].items()},
}

Context = Mapping[str, set[str]]


def patterns(resource: Any) -> Iterator[str]:
    """What a statement's Resource comes to in a deployed stack."""
    match resource:
        case list():
            for one in resource:
                yield from patterns(one)
        case {"Fn::If": [str(), *either]}:
            yield from patterns(either)
        case {"Ref": str(name)}:
            yield NAMES[name]
        case {"Fn::GetAtt": [name, attribute]}:
            yield NAMES[f"{name}.{attribute}"]
        case {"Fn::Sub": str(text)}:
            yield re.sub(r"\$\{([^}]+)\}", lambda found: NAMES[found[1]], text)
        case str():
            yield resource


def holds(operator: str, key: str, wanted: Any, context: Context) -> bool:
    """Whether a condition holds; of an absent key only `Null` and `ForAllValues` do."""
    allowed = wanted if isinstance(wanted, list) else [wanted]
    values = context.get(key, set())
    match operator:
        case "StringEquals":
            return bool(values) and values <= set(allowed)
        case "StringEqualsIgnoreCase":
            return bool(values) and {v.lower() for v in values} <= {one.lower() for one in allowed}
        case "StringLike":
            return bool(values) and all(any(fnmatchcase(value, one) for one in allowed) for value in values)
        case "ForAllValues:StringLike":
            return all(any(fnmatchcase(value, one) for one in allowed) for value in values)
        case "Null":
            return (not values) == (allowed == ["true"])
    raise NotImplementedError(operator)


def admits(function: str, action: str, resource: str, context: Context | None = None) -> bool:
    """Whether a function's policy allows an action on a resource."""
    return any(
        action in statement["Action"]
        and any(fnmatchcase(resource, pattern) for pattern in patterns(statement["Resource"]))
        and all(
            holds(operator, key, wanted, context or {})
            for operator, keys in statement.get("Condition", {}).items()
            for key, wanted in keys.items()
        )
        for statement in statements(function)
    )


def ec2(resource_type: str, name: str = "x-0abc") -> str:
    """A resource of EC2 in some region."""
    return f"arn:aws:ec2:eu-west-1:123456789012:{resource_type}/{name}"


def tagged_at_launch() -> Iterator[tuple[str, str, set[str]]]:
    """EC2's own name of the call that tags, the type of what it tags, and the keys: of every kind of launch."""
    for kind in (RequestType.ONE_TIME, RequestType.PERSISTENT):
        order = LaunchOrder(
            instance_types=("g5.xlarge",),
            image="ami-1",
            region="eu-west-1",
            lasts_for=timedelta(hours=1),
            request_type=kind,
            project="vision",
        )
        for attempt in ec2_attempts.attempts(
            order,
            lease_id="lease-1",
            owner="ann",
            price_caps={"g5.xlarge": Decimal(1)},
            image=Image(id="ami-1", root_device="/dev/xvda", root_gib=8),
            expires_at=NOW,
            valid_until=NOW,
            now=NOW,
        ):
            if attempt.operation == CREATE_FLEET:
                template, fleet = attempt.parameters["launch_template"], attempt.parameters["fleet"]
                # What a fleet starts, it starts by RunInstances; whichever of both EC2 names has to do.
                tagging_calls = [("CreateLaunchTemplate", template)]
                tagging_calls += [
                    (call, part)
                    for call in ("CreateFleet", "RunInstances")
                    for part in (fleet, template["LaunchTemplateData"])
                ]
            else:
                tagging_calls = [(attempt.operation, attempt.parameters)]
            for call, part in tagging_calls:
                for one in part["TagSpecifications"]:
                    yield call, one["ResourceType"], {tag["Key"] for tag in one["Tags"]}


def test_a_launch_may_tag_what_it_starts() -> None:
    """EC2 refuses a whole launch for one resource type that may not be tagged at its creation."""
    found = list(tagged_at_launch())
    assert {"fleet", "instance", "launch-template", "spot-instances-request", "volume"} == {
        resource_type for _, resource_type, _ in found
    }
    refused = [
        (call, resource_type)
        for call, resource_type, keys in found
        if not admits(
            "api_handler",
            "ec2:CreateTags",
            ec2(resource_type),
            {"ec2:CreateAction": {call}, "aws:TagKeys": keys},
        )
    ]
    assert refused == []


@pytest.mark.parametrize("function", ACTING)
def test_boxes_may_be_tagged_afterwards_with_curfew_s_own_keys_alone(function: str) -> None:
    """Nobody's cost tags and nobody's protection by other products are ever written over."""
    keys = set(tagging._tags(lease(owner="ann", project="vision")))
    assert admits(function, "ec2:CreateTags", ec2("instance"), {"aws:TagKeys": keys})
    assert not admits(function, "ec2:CreateTags", ec2("instance"), {"aws:TagKeys": {*keys, "CostCenter"}})


@pytest.mark.parametrize("function", ACTING)
def test_only_a_launch_template_of_a_lease_may_be_removed(function: str) -> None:
    """It carries the lease's tag from its creation; others stay."""
    (keys,) = [keys for call, kind, keys in tagged_at_launch() if kind == "launch-template"]
    assert LEASE_TAG in keys
    context = {f"aws:ResourceTag/{key}": {"value"} for key in keys}
    assert admits(function, "ec2:DeleteLaunchTemplate", ec2("launch-template"), context)
    assert not admits(function, "ec2:DeleteLaunchTemplate", ec2("launch-template"))


def attributes_modified() -> set[str]:
    """What the gateways pass to ModifyInstanceAttribute beside the id."""
    return {
        str(keyword.arg)
        for path in GATEWAYS.rglob("*.py")
        for node in ast.walk(source(path).tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "modify_instance_attribute"
        for keyword in node.keywords
        if keyword.arg != "InstanceId"
    }


@pytest.mark.parametrize("function", ACTING)
def test_no_attribute_of_an_instance_may_be_changed_but_its_termination_protection(function: str) -> None:
    """Neither its user data nor its role."""
    changed = attributes_modified()
    assert changed == {"DisableApiTermination"}
    may = {
        attribute: admits(
            function, "ec2:ModifyInstanceAttribute", ec2("instance"), {"ec2:Attribute": {attribute}}
        )
        for attribute in (*changed, "UserData", "InstanceType")
    }
    assert may == {"DisableApiTermination": True, "UserData": False, "InstanceType": False}


@pytest.mark.parametrize("function", ACTING)
def test_any_box_may_be_ended_whoever_started_it(function: str) -> None:
    """No tag and no name is asked for: strays have neither."""
    for action, kind in (
        ("TerminateInstances", "instance"),
        ("StopInstances", "instance"),
        ("CancelSpotInstanceRequests", "spot-instances-request"),
    ):
        assert admits(function, f"ec2:{action}", ec2(kind)), action


@pytest.mark.parametrize("function", FUNCTIONS)
def test_records_are_read_and_written_in_the_table_and_its_indexes_alone(function: str) -> None:
    """A query by an index is asked of the index's own ARN."""
    properties = RESOURCES["Resources"]["CurfewTable"]["Properties"]
    indexes = [f"{TABLE}/index/{one['IndexName']}" for one in properties["GlobalSecondaryIndexes"]]
    writes = ("PutItem", "UpdateItem", "DeleteItem", "ConditionCheckItem", "GetItem", "BatchGetItem")
    assert all(admits(function, f"dynamodb:{action}", TABLE) for action in writes)
    assert all(admits(function, "dynamodb:Query", place) for place in (TABLE, *indexes))
    assert not admits(function, "dynamodb:Query", TABLE.replace("CurfewTable", "OtherTable"))


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("name", ["/curfew/slack", "/curfew/prod/slack-webhook_2"])
def test_each_parameter_that_may_be_named_may_be_read(function: str, name: str) -> None:
    """What the template takes as the webhook's parameter, and no other secret."""
    taken = RESOURCES["Parameters"]["SlackWebhookParameter"]["AllowedPattern"]
    ssm = "arn:aws:ssm:us-east-1:123456789012:parameter"
    assert re.fullmatch(taken, name)
    assert admits(function, "ssm:GetParameter", f"{ssm}{name}")
    assert not re.fullmatch(taken, "/other/secret")
    assert not admits(function, "ssm:GetParameter", f"{ssm}/other/secret")


def test_a_box_may_get_a_role_of_the_deployment_s_pattern_alone() -> None:
    """instance_profile hands out no other rights, and only to EC2."""
    passed = {"iam:PassedToService": {"ec2.amazonaws.com"}}
    role = "arn:aws:iam::123456789012:role/"
    assert admits("api_handler", "iam:PassRole", f"{role}curfew-trainer", passed)
    assert not admits("api_handler", "iam:PassRole", f"{role}admin", passed)
    assert not admits(
        "api_handler",
        "iam:PassRole",
        f"{role}curfew-trainer",
        {"iam:PassedToService": {"lambda.amazonaws.com"}},
    )


@pytest.mark.parametrize("function", ACTING)
def test_timers_get_their_own_role_and_no_other(function: str) -> None:
    """Scheduler calls in nobody else's name, and Curfew touches no timer of others."""
    passed = {"iam:PassedToService": {"scheduler.amazonaws.com"}}
    assert admits(function, "iam:PassRole", NAMES["CurfewTimers.Arn"], passed)
    assert not admits(function, "iam:PassRole", "arn:aws:iam::123456789012:role/admin", passed)
    schedule = "arn:aws:scheduler:eu-west-1:123456789012:schedule/default/"
    for action in ("CreateSchedule", "UpdateSchedule", "DeleteSchedule"):
        assert admits(function, f"scheduler:{action}", f"{schedule}curfew-lease-1-expire")
        assert not admits(function, f"scheduler:{action}", f"{schedule}backup")


def test_the_role_of_the_timers_may_make_their_calls_and_no_others() -> None:
    """It ends and calls Curfew; it starts nothing."""
    role = RESOURCES["Resources"]["CurfewTimers"]["Properties"]
    (policy,) = role["Policies"]
    allowed = {
        action
        for one in policy["PolicyDocument"]["Statement"]
        for action in ([one["Action"]] if isinstance(one["Action"], str) else one["Action"])
    }
    calls = {
        f"ec2:{call[4].upper()}{call[5:]}" for call in (CANCEL, CANCEL_SPOT_FLEET, DELETE_FLEET, TERMINATE)
    }
    assert allowed == {*calls, "lambda:InvokeFunction"}
    (trust,) = role["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Service": "scheduler.amazonaws.com"}


def test_the_function_that_timers_call_is_named_as_the_settings_say() -> None:
    """By a name of its own: its ARN in its own environment would be a circle."""
    name = RESOURCES["Resources"]["Expire"]["Properties"]["FunctionName"]["Fn::Sub"]
    variables = RESOURCES["Globals"]["Function"]["Environment"]["Variables"]
    assert variables["CURFEW_EXPIRE_ARN"]["Fn::Sub"].endswith(f":function:{name}")
    (policy,) = RESOURCES["Resources"]["CurfewTimers"]["Properties"]["Policies"]
    (call,) = [one for one in policy["PolicyDocument"]["Statement"] if one["Sid"] == "CallCurfew"]
    assert call["Resource"]["Fn::Sub"] == variables["CURFEW_EXPIRE_ARN"]["Fn::Sub"]
