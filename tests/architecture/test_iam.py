"""Policies are written by hand: each call the gateways make is allowed where it is made, and nothing more is."""

import ast
import json
import re
from functools import cache
from typing import Any

import botocore.session
import pytest

from tests.architecture.sources import GATEWAYS, ROOT, source

CONFIG: dict[str, Any] = json.loads((ROOT / ".chalice" / "config.json").read_text())
FUNCTIONS: tuple[str, ...] = tuple(CONFIG["lambda_functions"])

# botocore's service → the prefix of its IAM actions. A gateway for another service adds its line here.
PREFIXES = {
    "autoscaling": "autoscaling",
    "ce": "ce",
    "cloudtrail": "cloudtrail",
    "cloudwatch": "cloudwatch",
    "dynamodb": "dynamodb",
    "ec2": "ec2",
    "freetier": "freetier",
    "pricing": "pricing",
    "s3": "s3",
    "scheduler": "scheduler",
    "sns": "sns",
    "sqs": "sqs",
    "ssm": "ssm",
    "sts": "sts",
}

# Calls that IAM knows by other names; an empty set needs no permission.
OTHER_NAMES = {
    "dynamodb:TransactGetItems": {"dynamodb:GetItem"},
    "dynamodb:TransactWriteItems": {
        "dynamodb:ConditionCheckItem",
        "dynamodb:DeleteItem",
        "dynamodb:PutItem",
        "dynamodb:UpdateItem",
    },
    "s3:CompleteMultipartUpload": {"s3:PutObject"},
    "s3:CreateMultipartUpload": {"s3:PutObject"},
    "s3:ListMultipartUploads": {"s3:ListBucketMultipartUploads"},
    "s3:ListObjectsV2": {"s3:ListBucket"},
    "s3:ListParts": {"s3:ListMultipartUploadParts"},
    "s3:UploadPart": {"s3:PutObject"},
    "sts:GetCallerIdentity": set(),
}

# What costs money or hands out rights: launches come in over HTTP alone, so only that function may make them.
LAUNCH = {
    "ec2:CreateFleet",
    "ec2:CreateLaunchTemplate",
    "ec2:RunInstances",
    "iam:CreateServiceLinkedRole",
    "iam:PassRole",
}

# What only callers ask for: no sweep needs it.
ASKED = {
    "ec2:AuthorizeSecurityGroupIngress",
    "ec2:CreateKeyPair",
    "ec2:CreateSecurityGroup",
    "ec2:DescribeKeyPairs",
    "ec2:DescribeSubnets",
    "ec2:DescribeVpcs",
    "ec2:ImportKeyPair",
    "s3:AbortMultipartUpload",
    "s3:GetObject",
    "s3:ListBucket",
    "s3:ListBucketMultipartUploads",
    "s3:ListMultipartUploadParts",
    "s3:PutObject",
    "ssm:GetParametersByPath",
}

# What only callers and the scheduled sweep do, which removes what nothing uses.
TIDYING = {"ec2:DeleteSecurityGroup", "ec2:DescribeNetworkInterfaces", "ec2:DescribeSecurityGroups"}

# What only the scheduled sweep does: each page of Cost Explorer costs a cent, and nobody waits for host keys.
SWEEP_ALONE = {"ce:GetCostAndUsage", "ec2:GetConsoleOutput"}

# All that the digest does beside the records and the log: it sends messages, and knows what things cost.
DIGEST_ALONE = {"freetier:GetAccountPlanState", "freetier:GetFreeTierUsage"}
DIGEST = {
    "ec2:DescribeSpotPriceHistory",
    "pricing:GetProducts",
    "sns:Publish",
    "ssm:GetParameter",
    *DIGEST_ALONE,
}
ACTING = tuple(sorted(set(FUNCTIONS) - {"digest"}))

# Allowed though no gateway names them, and why.
IMPLIED = {
    "ec2:DeleteSnapshot",  # EC2 asks for it where an image goes with its snapshots
    "iam:CreateServiceLinkedRole",  # EC2 asks for it at an account's first spot launch
    "iam:PassRole",  # EC2 asks for it at a launch with an instance profile, Scheduler for each timer
    "logs:CreateLogStream",  # Lambda's own
    "logs:PutLogEvents",
    "sqs:ChangeMessageVisibility",  # Lambda polls the queue in the function's name
    "sqs:DeleteMessage",
    "sqs:GetQueueAttributes",
    "sqs:ReceiveMessage",
}


@cache
def operations(service: str) -> dict[str, str]:
    """The methods of a boto3 client and the API operation behind each."""
    model = botocore.session.get_session().get_service_model(service)
    return {botocore.xform_name(name): name for name in model.operation_names}


def calls(tree: ast.AST) -> set[str]:
    """What a module calls: `x.describe_instances(…)`, or the name in a string, as paginators take it."""
    called = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    return called | {text for text in strings(tree) if re.fullmatch(r"[a-z]+(_[a-z0-9]+)+", text)}


def strings(tree: ast.AST) -> set[str]:
    """Every string of a module."""
    nodes = (node.value for node in ast.walk(tree) if isinstance(node, ast.Constant))
    return {value for value in nodes if isinstance(value, str)}


def services(tree: ast.AST) -> set[str]:
    """The services a module names, in a string or by the types of their clients; every one if it names none."""
    typed = {
        node.module.removeprefix("mypy_boto3_").partition(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("mypy_boto3_")
    }
    return typed | (strings(tree) & set(PREFIXES)) or set(PREFIXES)


@cache
def needed() -> dict[str, set[str]]:
    """Each call found in the gateways, and the IAM actions it needs."""
    found: dict[str, set[str]] = {}
    for path in sorted(GATEWAYS.rglob("*.py")):
        module = source(path)
        called = calls(module.tree)
        for service in services(module.tree):
            for method in called & set(operations(service)):
                action = f"{PREFIXES[service]}:{operations(service)[method]}"
                found[f"{module.path} {service}.{method}"] = OTHER_NAMES.get(action, {action})
    return found


def statements(function: str) -> list[dict[str, Any]]:
    """The statements of a function's policy."""
    name = CONFIG["lambda_functions"][function]["iam_policy_file"]
    document: dict[str, Any] = json.loads((ROOT / ".chalice" / name).read_text())
    return list(document["Statement"])


def allowed(function: str) -> set[str]:
    """The actions that a function's policy allows."""
    allowing = (one for one in statements(function) if one["Effect"] == "Allow")
    return {action for statement in allowing for action in statement["Action"]}


def test_policies_are_written_by_hand() -> None:
    """Chalice's own guess reads app.py only; every function has its file, on every stage."""
    assert CONFIG["autogen_policy"] is False
    for function in FUNCTIONS:
        assert CONFIG["lambda_functions"][function]["iam_policy_file"] == f"policy-{function}.json"
    assert all(
        "autogen_policy" not in stage and "iam_policy_file" not in stage
        for stage in CONFIG["stages"].values()
    )


def test_gateways_make_calls() -> None:
    """The reading of the sources finds something: the tests below would pass on nothing."""
    found = {call.partition(" ")[2] for call in needed()}
    assert {"ec2.describe_instances", "ec2.terminate_instances", "dynamodb.transact_write_items"} <= found


@pytest.mark.parametrize("function", ACTING)
def test_every_call_of_the_gateways_is_allowed(function: str) -> None:
    """What the code does on a simulated AWS it may do on the real one."""
    missing = {
        call: actions - allowed(function)
        for call, actions in needed().items()
        if actions
        - allowed(function)
        - DIGEST_ALONE
        - (set() if function == "api_handler" else LAUNCH | ASKED)
        - (set() if function in {"api_handler", "sweep"} else TIDYING)
        - (set() if function == "sweep" else SWEEP_ALONE)
    }
    assert missing == {}


@pytest.mark.parametrize("function", FUNCTIONS)
def test_nothing_is_allowed_that_no_code_uses(function: str) -> None:
    """Least privilege: an action leaves the policy with the last call of it."""
    used = set().union(*needed().values()) | IMPLIED
    assert allowed(function) - used == set()


def test_the_digest_acts_on_nothing() -> None:
    """It reads records, tells people, and may touch no box."""
    beside = {one for one in allowed("digest") if one.partition(":")[0] not in {"dynamodb", "logs"}}
    assert beside == DIGEST


@pytest.mark.parametrize("function", sorted(set(ACTING) - {"api_handler"}))
def test_only_the_http_function_can_launch(function: str) -> None:
    """Whatever goes wrong in a sweep, it cannot start anything."""
    for_timers = [one for one in statements(function) if one["Sid"] == "GiveTimersTheirRole"]
    assert [one["Condition"] for one in for_timers] == [
        {"StringEquals": {"iam:PassedToService": "scheduler.amazonaws.com"}}
    ]
    others = {action for one in statements(function) if one not in for_timers for action in one["Action"]}
    assert others & LAUNCH == set()


@pytest.mark.parametrize("function", sorted(set(FUNCTIONS) - {"sweep"}))
def test_only_the_sweep_can_ask_for_the_bill(function: str) -> None:
    """Neither events nor callers make Curfew pay for pages."""
    assert allowed(function) & SWEEP_ALONE == set()


@pytest.mark.parametrize("function", FUNCTIONS)
def test_policies_allow_named_actions_on_the_narrowest_resource_there_is(function: str) -> None:
    """No wildcard action; records, logs, queue and secrets by name; `*` only where EC2 takes no ARN or any box may be meant."""
    for statement in statements(function):
        assert statement["Effect"] == "Allow" or statement["Sid"] == "ButNobodysRemotes"
        assert not [action for action in statement["Action"] if "*" in action], statement["Sid"]
        if statement["Resource"] == "*":
            assert {action.partition(":")[0] for action in statement["Action"]} <= {
                "autoscaling",
                "ce",
                "cloudtrail",
                "cloudwatch",
                "ec2",
                "freetier",
                "pricing",
            }
    unconditioned = [statement for statement in statements(function) if "Condition" not in statement]
    for action in (
        "iam:PassRole",
        "iam:CreateServiceLinkedRole",
        "ec2:CreateTags",
        "ec2:ModifyInstanceAttribute",
    ):
        assert not [statement["Sid"] for statement in unconditioned if action in statement["Action"]], action


@pytest.mark.parametrize("function", sorted(set(FUNCTIONS) - {"api_handler"}))
def test_only_the_http_function_reads_people_s_remotes(function: str) -> None:
    """It checks at a launch, and hands to the box, what opens somebody's Drive; no sweep needs it."""
    (denied,) = (one for one in statements(function) if one["Effect"] == "Deny")
    assert denied["Action"] == ["ssm:GetParameter"]
    assert denied["Resource"]["Fn::Sub"].endswith(":parameter/curfew/rclone/*")


@pytest.mark.parametrize("function", FUNCTIONS)
def test_only_boxes_are_tagged_after_they_were_made(function: str) -> None:
    """What may be opened and removed is told by its tag: who could tag any group, image or template could remove it."""
    tagging = [one for one in statements(function) if "ec2:CreateTags" in one["Action"]]
    later = [one for one in tagging if "ec2:CreateAction" not in json.dumps(one["Condition"])]
    resources = {json.dumps(one["Resource"]) for one in later}
    assert all(resource.endswith(':${AWS::AccountId}:instance/*"}') for resource in resources), resources


@pytest.mark.parametrize("function", FUNCTIONS)
def test_actions_are_spelt_as_aws_spells_them(function: str) -> None:
    """A misspelt action allows nothing and says nothing."""
    by_prefix = {prefix: service for service, prefix in PREFIXES.items()}
    unknown = {
        action
        for action in allowed(function) - IMPLIED - {"dynamodb:ConditionCheckItem"}
        if action not in set().union(*OTHER_NAMES.values())
        and action.partition(":")[2] not in operations(by_prefix[action.partition(":")[0]]).values()
    }
    assert unknown == set()
