"""Schemathesis against the application on doubles: by GET /openapi.json it makes calls that fit and calls that don't.

It fails where an answer is not as the document says, what fits is a 422, what does not fit is taken, a token is not
asked for, or a method that is not listed is anything but a 405. OPTIONS alone is left out: Chalice's local gateway
answers it in place of the application.
"""

import json

import pytest
import schemathesis
from hypothesis import HealthCheck, settings

import app as curfew
from chalicelib.web import openapi
from tests.unit.web_kit import TOKEN, World, open_world
from tests.unit.wsgi_kit import Wsgi

schema = schemathesis.openapi.from_dict(json.loads(json.dumps(openapi.document(curfew.app))))
schema.app = Wsgi(curfew.app)
schema.config.phases.coverage.unexpected_methods = {"get", "put", "post", "patch", "delete", "head", "trace"}
for check in (schema.config.checks.negative_data_rejection, schema.config.checks.positive_data_acceptance):
    check.expected_statuses.append("412")


@schema.auth()
class Bearer:
    """The token that the doubles know."""

    def get(self, case: schemathesis.Case, context: object) -> str:
        """What to send."""
        del case, context
        return f"Bearer {TOKEN}"

    def set(self, case: schemathesis.Case, data: str, context: object) -> None:
        """Send it."""
        del context
        case.headers["Authorization"] = data


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    """The app on doubles, healthy: it has swept."""
    opened = open_world(monkeypatch)
    opened("POST", "/sweeps")
    return opened


@schema.parametrize()
@settings(max_examples=15, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_calls_are_answered_as_the_document_says(world: World, case: schemathesis.Case) -> None:
    """Whatever is sent."""
    case.call_and_validate()
