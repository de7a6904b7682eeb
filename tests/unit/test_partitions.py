"""China, GovCloud and the sovereign partitions are named as not supported, wherever one is named."""

from contextlib import suppress
from typing import Any

import pytest
from botocore.session import Session
from pydantic import BaseModel, TypeAdapter

import app as curfew
from chalicelib.domain.errors import Refused
from chalicelib.domain.partitions import partition_of, supported
from chalicelib.settings import SettingsError, read
from chalicelib.web.about import about_of
from tests.unit.web_kit import LAUNCH, World, open_world

ENOUGH = {"CURFEW_TABLE": "curfew", "CURFEW_ADMIN_TOKEN_SHA256": "0" * 64}


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    """The app on doubles."""
    return open_world(monkeypatch)


def test_every_region_that_botocore_knows_is_told_apart() -> None:
    """Those of `aws` are supported; all others are not, and none is mistaken for one."""
    session = Session()
    for partition in session.get_available_partitions():
        for region in session.get_available_regions("ec2", partition):
            assert (partition_of(region) is None) == (partition == "aws"), region
    with pytest.raises(Refused, match=r"AWS China .aws-cn., which Curfew does not support"):
        supported("cn-north-1")


@pytest.mark.parametrize("region", ["cn-north-1", "us-gov-west-1", "eusc-de-east-1"])
@pytest.mark.parametrize(
    "method, path, sent",
    [
        ("POST", "/spot-requests", {**LAUNCH, "region": ""}),
        ("POST", "/spot-requests", {**LAUNCH, "region": "", "dry_run": True}),
        ("POST", "/key-pairs", {"name": "laptop", "region": ""}),
        ("GET", "/key-pairs?region=", None),
        ("GET", "/images?region=", None),
        ("GET", "/quotes?instance_type=g5.xlarge&region=", None),
    ],
)
def test_a_call_that_names_such_a_region_is_refused(
    world: World, region: str, method: str, path: str, sent: Any
) -> None:
    """409 with the partition and the way out; EC2 is not asked."""
    body = sent and {**sent, "region": region}
    status, problem = world(method, path if sent else path + region, body)
    assert (status, problem["type"]) == (409, "/problems/partition-not-supported")
    assert region in problem["detail"]
    assert problem["partition"].startswith(("AWS", "the AWS"))
    assert world.compute.calls == []


@pytest.mark.parametrize(
    "setting", [{"CURFEW_REGIONS": "us-east-1,cn-northwest-1"}, {"AWS_REGION": "us-gov-west-1"}]
)
def test_a_deployment_there_is_an_error_that_names_the_setting(setting: dict[str, str]) -> None:
    """At the first call, not at the first bill."""
    (name,) = setting
    with pytest.raises(SettingsError, match=f"{name} has (cn|us-gov).*docs/limits.md"):
        read({**ENOUGH, **setting})


def test_every_region_of_the_common_partition_may_be_named() -> None:
    """Also those that an account has to switch on first."""
    assert read({**ENOUGH, "CURFEW_REGIONS": "us-east-1,ap-east-1", "AWS_REGION": "me-south-1"}).regions == (
        "us-east-1",
        "ap-east-1",
    )


def test_no_body_or_query_takes_a_region_unlooked_at() -> None:
    """Also of a route that nobody thought of when this test was written; receipts alone are only looked up."""
    views = [about_of(route.view_function) for path in curfew.app.routes.values() for route in path.values()]
    models = {model for about in views for model in (about.body, about.query)}
    named = {model for model in models if "region" in model.model_fields}
    assert {model.__name__ for model in named if takes(model, "cn-north-1")} == {"ReceiptQuery"}
    assert all(takes(model, "eu-west-1") for model in named)


def takes(model: type[BaseModel], region: str) -> bool:
    """Whether the field `region` of a model takes it."""
    with suppress(Refused):
        TypeAdapter(model.model_fields["region"].annotation).validate_python(region)
        return True
    return False
