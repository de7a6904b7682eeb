"""What bodies may say."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import ValidationError

from chalicelib.domain.budget import Consequence, ScopeKind
from chalicelib.domain.errors import Refused
from chalicelib.domain.gpus import GpuNeed
from chalicelib.domain.lease import LaunchOrder, OnEnd, RequestType
from chalicelib.domain.network import Opening
from chalicelib.domain.policy import Policy
from chalicelib.domain.sync import SyncFrom, SyncTo
from chalicelib.web.budgets import budget_of
from chalicelib.web.launch_body import LaunchBody
from chalicelib.web.launches import body_hash, order_of
from chalicelib.web.models import BudgetBody, ExtendBody, SweepBody, length_of
from chalicelib.web.once import keyed
from chalicelib.web.problems import Invalid

SHORTEST = {"instance_types": ["g4dn.xlarge"], "image": "ami-0abcdef1234567890"}


def order(**more: Any) -> LaunchOrder:
    """The order of the shortest body and what is added."""
    body = LaunchBody.model_validate({**SHORTEST, **more})
    return order_of(body, policy=Policy(), home_region="eu-west-1")


def test_types_and_image_are_enough() -> None:
    """Everything else has a default, from the policy and the settings where they have a say."""
    assert order() == LaunchOrder(
        instance_types=("g4dn.xlarge",),
        image="ami-0abcdef1234567890",
        region="eu-west-1",
        request_type=RequestType.ONE_TIME,
        lasts_for=timedelta(hours=8),
        target_capacity=1,
        egress_gb=50,
    )


def test_every_wish_reaches_the_order() -> None:
    """No field is accepted and then dropped."""
    wishes: dict[str, Any] = {
        "instance_types": ["g5.xlarge", "g4dn.xlarge", "g5.xlarge"],
        "request_type": "persistent",
        "region": "us-west-2",
        "key_name": "my key",
        "subnet_id": "subnet-0abc",
        "hours": "1.5",
        "budget_usd": "2.50",
        "max_price_usd_per_hour": Decimal("0.4"),
        "volume_gib": 200,
        "egress_gb": 0,
        "target_capacity": 3,
        "project": "lab/α".replace("α", "a"),
        "on_end": "image",
        "idle": {"after": "PT20M"},
        "user_data": "#!/bin/sh\necho 1",
        "instance_profile": "arn:aws:iam::123456789012:instance-profile/curfew-box",
        "ssh_from": "0.0.0.0/0",
        "ports": [8888, 6006],
        "open_to_world": True,
        "security_group_ids": ["sg-0b", "sg-0a", "sg-0b"],
        "sync_from": {"path": "drive:birds"},
        "sync_to": {"folder": "/home/ann/out", "path": "runs"},
        "rclone": "/curfew/rclone/ann/drive",
    }
    assert order(**wishes) == LaunchOrder(
        instance_types=("g5.xlarge", "g4dn.xlarge"),
        image=SHORTEST["image"],  # type: ignore[arg-type]
        region="us-west-2",
        request_type=RequestType.PERSISTENT,
        lasts_for=timedelta(minutes=90),
        target_capacity=3,
        budget_usd=Decimal("2.50"),
        max_price_usd_per_hour=Decimal("0.4"),
        volume_gib=200,
        egress_gb=0,
        key_name="my key",
        subnet_id="subnet-0abc",
        project="lab/a",
        idle_after=timedelta(minutes=20),
        user_data="#!/bin/sh\necho 1",
        instance_profile="arn:aws:iam::123456789012:instance-profile/curfew-box",
        on_end=OnEnd.IMAGE,
        opening=Opening(cidr="0.0.0.0/0", ports=(22, 6006, 8888)),
        security_group_ids=("sg-0b", "sg-0a"),
        sync_from=SyncFrom(path="drive:birds", folder="/data"),
        sync_to=SyncTo(folder="/home/ann/out", path="runs"),
        rclone="/curfew/rclone/ann/drive",
    )
    assert set(wishes) | {"image", "dry_run", "gpu"} == set(LaunchBody.model_fields)


def test_gpus_stand_in_place_of_types() -> None:
    """The order has what is needed, and no types until they are chosen."""
    body = {"image": SHORTEST["image"], "gpu": {"count": 4, "memory_gib": 24, "name": "A10G"}}
    made = order_of(LaunchBody.model_validate(body), policy=Policy(), home_region="us-east-1")
    assert made.gpu == GpuNeed(count=4, memory_gib=24, name="A10G")
    assert made.instance_types == ()


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"instance_types": None},
        {"gpu": None},
        {"instance_types": ["g5.xlarge"], "gpu": {}},
        {"gpu": {"count": 0}},
        {"gpu": {"memory_gib": "16"}},
        {"gpu": {"vram": 16}},
        {"gpu": "A10G"},
    ],
)
def test_types_or_gpus_are_said_and_never_both(body: dict[str, Any]) -> None:
    """Refused by the schema as by the model."""
    body = {"image": SHORTEST["image"], **body}
    with pytest.raises(ValidationError):
        LaunchBody.model_validate(body)
    assert not Draft202012Validator(LaunchBody.model_json_schema()).is_valid(body)


@pytest.mark.parametrize(
    "field, value",
    [
        ("instance_types", []),
        ("instance_types", "g4dn.xlarge"),
        ("instance_types", ["g4dn"]),
        ("instance_types", ["G4DN.xlarge"]),
        ("instance_types", [f"g{n}.xlarge" for n in range(21)]),
        ("image", "deep-sleeping"),
        ("image", None),
        ("request_type", "forever"),
        ("request_type", "none"),
        ("region", "us east 1"),
        ("region", "us-east-1\n"),
        ("key_name", ""),
        ("subnet_id", "vpc-1"),
        ("hours", 0),
        ("hours", -1),
        ("hours", "soon"),
        ("hours", True),
        ("hours", 10**12),
        ("budget_usd", 0),
        ("budget_usd", "-1"),
        ("budget_usd", "NaN"),
        ("budget_usd", "1e400"),
        ("budget_usd", "12 dollars"),
        ("budget_usd", [1]),
        ("max_price_usd_per_hour", 0),
        ("volume_gib", 0),
        ("volume_gib", "100"),
        ("egress_gb", -1),
        ("target_capacity", 0),
        ("target_capacity", 101),
        ("target_capacity", True),
        ("project", "two words"),
        ("project", ""),
        ("on_end", "stop"),
        ("image", "mine:"),
        ("image", "mine:two words"),
        ("image", "theirs:train"),
        ("idle", {"after": 3600}),
        ("idle", {"after": "1 hour"}),
        ("idle", {"after": "-PT1H"}),
        ("idle", {"after": "PT1H", "gpu_below_percent": 5}),
        ("idle", {}),
        ("user_data", "é" * 8193),
        ("instance_profile", "two words"),
        ("dry_run", "yes"),
        ("dry_run", 1),
        ("ssh_from", "everybody"),
        ("ports", [0]),
        ("ports", list(range(1, 22))),
        ("open_to_world", "yes"),
        ("security_group_ids", ["default"]),
        ("gpu", "a100"),
    ],
)
def test_what_the_schema_forbids_is_refused_by_name(field: str, value: object) -> None:
    """One bad field, one error, and it names the field."""
    with pytest.raises(ValidationError) as refusal:
        LaunchBody.model_validate({**SHORTEST, field: value})
    assert {error["loc"][0] for error in refusal.value.errors()} == {field}


def test_a_lease_may_only_tighten_the_idle_window() -> None:
    """Just the policy's own length is allowed, a second more is not."""
    assert order(idle={"after": "PT1H"}).idle_after == timedelta(hours=1)
    with pytest.raises(Refused, match="PT1H1S is longer than the policy's PT1H") as refusal:
        order(idle={"after": "PT1H1S"})
    assert refusal.value.slug == "idle-looser"


def test_bodies_that_wish_the_same_have_the_same_hash() -> None:
    """An Idempotency-Key must not depend on how a number is written."""
    one = LaunchBody.model_validate({**SHORTEST, "budget_usd": 5, "hours": 2, "idle": {"after": "PT60M"}})
    same = LaunchBody.model_validate(
        {
            "image": SHORTEST["image"],
            "hours": "2.0",
            "budget_usd": "5.00",
            "egress_gb": 50,
            "idle": {"after": "PT1H"},
        }
        | {"instance_types": ["g4dn.xlarge", "g4dn.xlarge"]}
    )
    other = LaunchBody.model_validate({**SHORTEST, "budget_usd": 5, "hours": 3, "idle": {"after": "PT60M"}})
    assert body_hash(one) == body_hash(same)
    assert body_hash(one) != body_hash(other)


class LaterBody(LaunchBody):
    """What a later version takes."""

    is_shiny: bool = False


def test_a_call_is_the_same_to_the_version_that_is_deployed_between_it_and_its_repeat() -> None:
    """Whoever lost an answer and asks again is not refused for a field that nobody has sent."""
    sent = {**SHORTEST, "hours": 2}
    later, now = LaterBody.model_validate(sent), datetime(2026, 11, 23, tzinfo=UTC)
    assert body_hash(later) == body_hash(LaunchBody.model_validate(sent))
    prints = set()
    for body in (later, LaunchBody.model_validate(sent)):
        call = keyed(
            {"idempotency-key": "k"}, owner="ada", only=None, route="r", sent=(body,), parts={}, now=now
        )
        assert call
        prints.add(call.fingerprint)
    assert len(prints) == 1
    assert body_hash(LaterBody.model_validate({**sent, "is_shiny": True})) != body_hash(later)


@pytest.mark.parametrize("text", ["1e-999999", "1e-99999999999", "2e-10"])
def test_however_short_a_time_is_it_is_written_briefly(text: str) -> None:
    """What is sent in ten letters takes no million in a lease's record and its receipt."""
    body = LaunchBody.model_validate({**SHORTEST, "hours": Decimal(text)})
    assert len(body.model_dump_json(exclude_unset=True)) < 200
    assert body.hours is not None
    assert length_of(body.hours) == timedelta(microseconds=1)


@given(st.decimals(min_value="0.0000001", max_value=1000, places=7))
def test_hours_are_exact_and_never_shorter_than_asked(hours: Decimal) -> None:
    """To the microsecond."""
    micros = length_of(hours) // timedelta(microseconds=1)
    assert 0 <= micros - hours * 3_600_000_000 < 1


@pytest.mark.parametrize("amount", ["0.1", 0.1, "100.0000000001"])
def test_money_never_takes_a_detour_over_binary(amount: object) -> None:
    """JSON numbers are read as decimals already; a float from elsewhere is read by its shortest digits."""
    assert str(BudgetBody.model_validate({"limit_usd": amount}).limit_usd) == str(amount)


def test_a_patch_has_to_say_something() -> None:
    """An empty one would look as if it had done something."""
    for empty in ({}, {"hours": None}):
        with pytest.raises(ValidationError, match="give hours, budget_usd, or both"):
            ExtendBody.model_validate(empty)


def test_arming_is_no_dry_run() -> None:
    """One changes something, the other promises not to."""
    with pytest.raises(ValidationError, match="ask for one of them"):
        SweepBody.model_validate({"arm": True, "dry_run": True})


def test_a_limit_is_a_budget() -> None:
    """Monthly, for the account, with the default thresholds."""
    budget = budget_of("gpu", BudgetBody.model_validate({"limit_usd": "100"}))
    assert (budget.name, budget.limit_usd, budget.period.value) == ("gpu", Decimal(100), "monthly")
    assert [(int(t.at_percent), t.do) for t in budget.thresholds] == [
        (50, (Consequence.NOTIFY,)),
        (80, (Consequence.NOTIFY, Consequence.STOP_LAUNCHES)),
        (100, (Consequence.END,)),
    ]


def test_a_scope_names_an_owner_or_project() -> None:
    """The account has no name."""
    sent = json.loads(
        '{"limit_usd": 5, "period": "daily", "scope": {"kind": "project", "value": "lab"}, "thresholds": []}'
    )
    budget = budget_of("lab", BudgetBody.model_validate(sent))
    assert (budget.scope_kind, budget.scope_value, budget.thresholds) == (ScopeKind.PROJECT, "lab", ())


@pytest.mark.parametrize(
    "change",
    [
        {"scope": {"kind": "owner"}},
        {"scope": {"kind": "account", "value": "x"}},
        {"scope": {"kind": "team", "value": "x"}},
        {"services": "all", "scope": {"kind": "owner", "value": "ada"}},
        {"services": "some"},
        {"period": "weekly"},
        {"limit_usd": -1},
        {"limit_usd": None},
        {"limit_usd": True},
        {"thresholds": [{"at_percent": 80, "do": ["shout"]}]},
        {"thresholds": [{"at_percent": 80, "do": []}]},
        {"thresholds": [{"at_percent": -1, "do": ["end"]}]},
        {"treshold": 80},
    ],
)
def test_a_budget_that_makes_no_sense_is_refused(change: dict[str, Any]) -> None:
    """Values of later milestones among them."""
    with pytest.raises(ValidationError):
        BudgetBody.model_validate({"limit_usd": "1", **change})


@pytest.mark.parametrize("name", ["", "-a", "a b", "a/b", "a" * 65])
def test_a_budgets_name_fits_into_a_path(name: str) -> None:
    """What can't be asked for again can't be made."""
    with pytest.raises(Invalid, match="name"):
        budget_of(name, BudgetBody(limit_usd=Decimal(1)))
