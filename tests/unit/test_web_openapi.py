"""GET /openapi.json: what it says of every route. That answers are as it says is checked wherever a test asks for one."""

import subprocess
import sys

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

import app as curfew
from tests.unit.web_kit import World, open_world


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    """The app on doubles."""
    return open_world(monkeypatch)


def test_the_document_is_public_and_valid(world: World) -> None:
    """A client generator needs no token to read it."""
    answer = world.respond("GET", "/openapi.json")
    assert (answer.status_code, answer.json_body["openapi"]) == (200, "3.1.0")
    assert list(OpenAPIV31SpecValidator(answer.json_body).iter_errors()) == []


def test_every_route_says_what_it_answers(world: World) -> None:
    """Also one that nobody thought of when this test was written."""
    _, told = world("GET", "/openapi.json")
    told_of = {(method.upper(), path) for path, item in told["paths"].items() for method in item}
    assert told_of == {(method, path) for path, methods in curfew.app.routes.items() for method in methods}
    for path, item in told["paths"].items():
        for method, operation in item.items():
            done = [status for status in operation["responses"] if status.startswith("2")]
            assert done, f"{method} {path} says nothing of its answers: give door.endpoint `says`"
            assert operation["summary"], path


def test_a_body_is_described_as_it_is_checked(world: World) -> None:
    """Fields, what is required, and no others."""
    _, told = world("GET", "/openapi.json")
    body = told["components"]["schemas"]["LaunchBody"]
    assert (body["required"], body["additionalProperties"]) == (["image"], False)
    assert [one["required"] for one in body["anyOf"]] == [["instance_types"], ["gpu"]]
    operation = told["paths"]["/spot-requests"]["post"]
    assert operation["requestBody"]["required"] is True
    assert {each["name"] for each in operation["parameters"]} == {"Idempotency-Key"}
    assert [each["name"] for each in told["paths"]["/leases/{lease_id}"]["get"]["parameters"]] == [
        *("lease_id", "wait")
    ]


def test_only_public_routes_do_without_a_token(world: World) -> None:
    """Everything else needs the bearer token, by the document's own default."""
    _, told = world("GET", "/openapi.json")
    free = {path for path, item in told["paths"].items() for each in item.values() if "security" in each}
    assert told["security"] == [{"token": []}]
    assert free == {"/health", "/heartbeats", "/openapi.json", "/snooze/{token}", "/sync"}


def test_every_operation_tells_whom_it_lets_in(world: World) -> None:
    """In words: OpenAPI has no roles for bearer tokens."""
    _, told = world("GET", "/openapi.json")
    assert told["paths"]["/policy"]["put"]["description"].count("Let in: admin.") == 1
    assert told["paths"]["/leases"]["get"]["description"].count("Let in: any role.") == 1
    assert "Let in" not in told["paths"]["/health"]["get"]["description"]


def test_a_cold_start_makes_no_document() -> None:
    """Whoever does not ask for it does not wait for it."""
    asked = "import app, sys; sys.exit('chalicelib.web.openapi' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", asked], check=False).returncode == 0
