"""Every way to fail has a name, a title and a paragraph."""

import ast
import re
from collections.abc import Iterator

import pytest
from pydantic import BaseModel, ValidationError

from chalicelib.domain.errors import BudgetExceeded, CurfewError, NotFound, Refused, Stale, Unavailable
from chalicelib.domain.policy import Policy
from chalicelib.web.invalid import invalid_from
from chalicelib.web.launch_body import LaunchBody
from chalicelib.web.models import BudgetBody
from chalicelib.web.problems import (
    TITLES,
    Invalid,
    Unauthorized,
    problem_of,
    problem_of_unexpected,
    unknown_path,
)
from tests.architecture.sources import ROOT, sources

DOCUMENT = (ROOT / "docs" / "problems.md").read_text()
DOCUMENTED = set(re.findall(r"^## (.*)$", DOCUMENT, flags=re.MULTILINE))
NEVER_RAISED_BARE = {"error"}
MADE_AT_THE_DOOR = {"internal-error", "not-configured"}
MADE_BEFORE_THE_DOOR = set(
    re.findall(r"/problems/([a-z-]+)", (ROOT / ".chalice" / "resources.json").read_text())
)


def slugs() -> Iterator[str]:
    """Every slug that the product can raise: class attributes and `slug=` arguments."""
    for file in sources("chalicelib"):
        for node in ast.walk(file.tree):
            match node:
                case ast.keyword(arg="slug", value=ast.Constant(value=str(slug))):
                    yield slug
                case ast.Assign(targets=[ast.Name(id="slug")], value=ast.Constant(value=str(slug))):
                    yield slug
                case _:
                    pass


def test_every_slug_is_documented_and_titled_and_no_other() -> None:
    """docs/problems.md and the titles can't drift from the code."""
    raised = (set(slugs()) - NEVER_RAISED_BARE) | MADE_AT_THE_DOOR | MADE_BEFORE_THE_DOOR
    assert raised == DOCUMENTED
    assert raised == set(TITLES)


def test_the_documented_status_is_the_answered_one() -> None:
    """Each paragraph begins with its status."""
    by_slug = {
        error.slug: problem_of(error).status
        for error in (Stale("x"), NotFound("x"), Unavailable("x"), Invalid([]))
    }
    by_slug["unauthorized"] = problem_of(Unauthorized("x")).status
    for slug, status in by_slug.items():
        assert f"## {slug}\n\n{status}. " in DOCUMENT


def test_the_document_is_sorted() -> None:
    """So that a slug is found, and two people's additions don't collide at the end."""
    headings = re.findall(r"^## (.*)$", DOCUMENT, flags=re.MULTILINE)
    assert headings == sorted(headings)


@pytest.mark.parametrize(
    "error, status",
    [
        (NotFound("x"), 404),
        (Refused("x"), 409),
        (BudgetExceeded("x"), 409),
        (Unavailable("x"), 503),
        (Unauthorized("x"), 401),
        (CurfewError("x"), 500),
    ],
)
def test_an_errors_family_decides_its_status(error: CurfewError, status: int) -> None:
    """The status in the body is the one on the line."""
    problem = problem_of(error)
    assert (problem.status, problem.body["status"]) == (status, status)
    assert {"type", "title", "status", "detail"} <= set(problem.body)


def test_extra_members_never_hide_the_standard_ones() -> None:
    """A use case that adds a `status` of its own does not change what the problem says."""
    body = problem_of(
        Refused("the sentence", slug="lease-limit", status="odd", type="odd", leases=("a",))
    ).body
    assert body == {
        "type": "/problems/lease-limit",
        "title": TITLES["lease-limit"],
        "status": 409,
        "detail": "the sentence",
        "leases": ["a"],
    }


def test_each_bad_field_has_a_sentence_with_the_fix() -> None:
    """A person can mend the request from the answer alone."""
    sent = {
        "instance_types": [],
        "image": "deep-sleeping",
        "hours": 0,
        "ssh_form": "me",
        "idle": {"afterr": "PT1H"},
    }
    with pytest.raises(ValidationError) as refusal:
        LaunchBody.model_validate(sent)
    problem = problem_of(invalid_from(refusal.value, model=LaunchBody))
    told = {error["field"]: error["detail"] for error in problem.body["errors"]}
    assert set(told) == {"instance_types", "image", "hours", "ssh_form", "idle.after", "idle.afterr"}
    assert told["instance_types"].startswith("has to have at least 1 of them; a list of 1 to 20 types")
    assert told["idle.after"].startswith("this field is required; an ISO 8601 duration")
    assert "the id of an AMI" in told["image"]
    assert "greater than 0" in told["hours"]
    assert told["ssh_form"].startswith("there is no field 'ssh_form'; known: instance_types, gpu, image")
    assert problem.status == 422
    assert "ssh_form" in problem.body["detail"]


@pytest.mark.parametrize(
    "model, sent, told",
    [
        (BudgetBody, {"thresholds": "all"}, {"thresholds": "has to be a list"}),
        (
            LaunchBody,
            {"instance_types": "g5.xlarge", "image": "ami-1", "idle": {"after": 60}},
            {
                "instance_types": "has to be a list of 1 to 20 types such as",
                "idle.after": "has to be an ISO 8601 duration such as PT30M",
            },
        ),
        (BudgetBody, {"thresholds": [80]}, {"thresholds.0": "has to be an object; "}),
        (BudgetBody, {"scope": "account"}, {"scope": 'has to be an object; {"kind": "account"}'}),
        (
            BudgetBody,
            {"scope": {"name": "ada"}},
            {"scope.name": "there is no field 'name'; known: kind, value"},
        ),
        (
            BudgetBody,
            {"thresholds": [{"at_percent": 80, "do": ["notify", "page"]}]},
            {"thresholds.0.do.1": "has to be 'notify', 'stop_launches' or 'end'; a list of"},
        ),
        (
            BudgetBody,
            {"thresholds": [{"at_percent": 80, "do": []}]},
            {"thresholds.0.do": "has to have at least 1"},
        ),
        (
            BudgetBody,
            {"thresholds": [{"percent": 80, "do": ["end"]}]},
            {
                "thresholds.0.at_percent": "this field is required; percent of",
                "thresholds.0.percent": "there is no field 'percent'; known: at_percent, do",
            },
        ),
        (
            Policy,
            {"idle": {"afterr": "PT1H"}},
            {"idle.afterr": "there is no field 'afterr'; known: after, warn_before"},
        ),
        (
            Policy,
            {"unleased": {"run_fr": "PT1H"}},
            {"unleased.run_fr": "there is no field 'run_fr'; known: effect, for"},
        ),
        (Policy, {"scope": {"regions": "here"}}, {"scope.regions": "has to be 'all' or has to be a list"}),
        (Policy, {"stopped": []}, {"stopped": "has to be an object"}),
        (
            LaunchBody,
            {"instance_types": ["g5.xlarge"], "image": "latest", "sync_from": {"path": "../birds"}},
            {
                "image": "is not written as it has to be; the id of an AMI",
                "sync_from.path": "is not written as it has to be; a folder of yours",
            },
        ),
    ],
)
def test_a_422_speaks_of_what_was_sent(model: type[BaseModel], sent: object, told: dict[str, str]) -> None:
    """Lists and objects, each bad field once, what is known beside an unknown one: no word of how it is checked."""
    whole = {"limit_usd": 1, **sent} if model is BudgetBody and isinstance(sent, dict) else sent
    with pytest.raises(ValidationError) as refusal:
        model.model_validate(whole)
    errors = problem_of(invalid_from(refusal.value, model=model)).body["errors"]
    assert [error["field"] for error in errors] == list(told)
    for error in errors:
        assert error["detail"].startswith(told[error["field"]])
        assert not re.search(r"has to be (an? \w+).*; \1", error["detail"])
        assert not re.search(r"tuple|instance|Body|Input|valid ", error["detail"], flags=re.IGNORECASE)


def test_an_unexpected_error_tells_nothing_of_its_inside() -> None:
    """It says what becomes of the money, and under which id the log has the rest."""
    body = problem_of_unexpected("request-1").body
    assert (body["status"], body["request_id"]) == (500, "request-1")
    assert "stays held and leased" in body["detail"]


def test_a_path_without_a_route_is_a_problem_too() -> None:
    """For servers in front of Chalice, which never asks a view about such paths."""
    problem = unknown_path("/images")
    assert problem.status == 404
    assert "/images" in problem.body["detail"]
