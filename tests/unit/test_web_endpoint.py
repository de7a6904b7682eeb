"""The door: who is let in, what is read, and what goes out whatever a view does."""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from http.client import HTTPConnection
from typing import Any

import pytest
from chalice.app import Chalice, Request, Response
from chalice.config import Config
from chalice.local import LocalDevServer, create_local_server
from chalice.test import Client
from pydantic import Field

from chalicelib.domain.errors import BudgetExceeded, Unavailable
from chalicelib.settings import SettingsError
from chalicelib.web.endpoint import Answer, Call, Door, as_problem
from chalicelib.web.models import NoBody, NoQuery, PageQuery, Sent
from tests.doubles.memory_compute import MemoryCompute
from tests.doubles.memory_ports import MemoryClock
from tests.doubles.memory_store import MemoryStore
from tests.unit.web_kit import ADMIN, TOKEN, is_problem, logged, on_doubles, settings

ANY = ["*/*"]


class Wish(Sent):
    """A body with one amount."""

    usd: Decimal = Field(description="dollars")


def small_app() -> tuple[Chalice, Door]:
    """An app with a view for each way to answer and to fail."""
    app = Chalice(app_name="small", configure_logs=False)
    clock = MemoryClock()
    services = on_doubles(clock, MemoryCompute(clock), MemoryStore())
    door = Door(app, services=lambda: services, settings=settings)

    @app.route("/wishes", methods=["POST"], content_types=ANY)
    @door.endpoint(body=Wish, query=NoQuery)
    def wish(call: Call[Wish, NoQuery]) -> Answer:
        return Answer(
            status=201, body={"usd": call.body.usd, "owner": call.owner}, headers={"Location": "/wishes/1"}
        )

    @app.route("/wishes", methods=["GET"], content_types=ANY)
    @door.endpoint(body=NoBody, query=PageQuery)
    def wishes(call: Call[NoBody, PageQuery]) -> Answer:
        return Answer(body={"limit": call.query.limit, "cursor": call.query.cursor})

    @app.route("/wishes/{wish_id}", methods=["GET"], content_types=ANY)
    @door.endpoint(body=NoBody, query=NoQuery)
    def show(call: Call[NoBody, NoQuery], wish_id: str) -> Answer:
        return Answer(body={"id": wish_id})

    @app.route("/wishes/{wish_id}", methods=["DELETE"], content_types=ANY)
    @door.endpoint(body=NoBody, query=NoQuery)
    def forget(call: Call[NoBody, NoQuery], wish_id: str) -> Answer:
        return Answer(status=204)

    @app.route("/open", methods=["GET"], content_types=ANY)
    @door.endpoint(body=NoBody, query=NoQuery, is_public=True)
    def opened(call: Call[NoBody, NoQuery]) -> Answer:
        return Answer(body={"caller": call.caller and call.caller.owner})

    @app.route("/fails/{how}", methods=["GET"], content_types=ANY)
    @door.endpoint(body=NoBody, query=NoQuery)
    def fails(call: Call[NoBody, NoQuery], how: str) -> Answer:
        raise {
            "budget": BudgetExceeded("no room", budget="gpu", left_usd=Decimal("1.10")),
            "away": Unavailable("EC2 did not answer"),
            "bug": KeyError(f"secret inside {TOKEN}"),
            "settings": SettingsError("CURFEW_TABLE is not set"),
        }[how]

    @app.route("/unspeakable", methods=["GET"], content_types=ANY)
    @door.endpoint(body=NoBody, query=NoQuery)
    def unspeakable(call: Call[NoBody, NoQuery]) -> Answer:
        return Answer(body=object())

    @app.middleware("http")
    def speak(event: Request, get_response: Callable[[Request], Response]) -> Response:
        return as_problem(get_response(event), event)

    return app, door


class Caller:
    """Sends requests to the app and reads what comes back."""

    def __init__(self, app: Chalice) -> None:
        self.http = Client(app, project_dir="/nonexistent").http

    def __call__(
        self, method: str, path: str, body: object = None, headers: Mapping[str, str] = ADMIN
    ) -> tuple[int, Any, Mapping[str, str]]:
        raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        answer = self.http.request(method, path, headers=dict(headers), body=raw)
        return answer.status_code, answer.json_body, answer.headers


@pytest.fixture
def call() -> Caller:
    """A caller of the small app."""
    return Caller(small_app()[0])


@pytest.fixture
def lines() -> Iterator[list[dict[str, Any]]]:
    """What is logged meanwhile."""
    with logged() as told:
        yield told


def test_a_view_gets_what_was_sent_and_its_answer_goes_out(call: Caller) -> None:
    """Status, headers and body are the view's; money stays exact on both ways."""
    status, body, headers = call("POST", "/wishes", b'{"usd": 0.10}')
    assert (status, body) == (201, {"usd": "0.10", "owner": "admin"})
    assert (headers["Location"], headers["Content-Type"]) == ("/wishes/1", "application/json")


@pytest.mark.parametrize(
    "headers", [{}, {"Authorization": "Bearer wrong"}, {"authorization": "Basic c2VzYW1l"}]
)
def test_without_a_valid_token_nobody_gets_in(call: Caller, headers: dict[str, str]) -> None:
    """Before the body is looked at."""
    answer = call("POST", "/wishes", b"{broken", headers)
    assert is_problem(answer, 401, "unauthorized")
    assert answer[2]["WWW-Authenticate"].startswith("Bearer")


def test_a_public_route_takes_nobody_but_no_liar(call: Caller) -> None:
    """A wrong token is worth telling even where none is needed."""
    assert call("GET", "/open", headers={})[1] == {"caller": None}
    assert call("GET", "/open")[1] == {"caller": "admin"}
    assert is_problem(call("GET", "/open", headers={"Authorization": "Bearer wrong"}), 401, "unauthorized")


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "application/json; charset=utf-8",
        "application/x-www-form-urlencoded",
        "APPLICATION/JSON",
        "application/merge-patch+json",
        "text/plain",
        "application/octet-stream",
        None,
    ],
)
def test_json_is_json_whatever_curl_calls_it(call: Caller, content_type: str | None) -> None:
    """`curl -d` without a header sends a form's type."""
    headers = {**ADMIN, **({"content-type": content_type} if content_type else {})}
    assert call("POST", "/wishes", b'{"usd": "1"}', headers)[0] == 201


def test_a_body_that_no_call_needs_is_not_parsed(call: Caller) -> None:
    """413 beyond 128 KB: two routes take bodies from anybody, and parsing megabytes takes seconds."""
    answer = call("POST", "/wishes", b"[" * (128 * 1024 + 1))
    assert is_problem(answer, 413, "body-too-large")


def test_thousands_of_bad_fields_are_answered_with_a_hundred(call: Caller) -> None:
    """An answer many times as long as the question would be a way to make Curfew work."""
    sent = {f"field{number}": 1 for number in range(8_000)}
    answer = call("POST", "/wishes", json.dumps(sent).encode())
    assert is_problem(answer, 422, "invalid")
    assert len(answer[1]["errors"]) == 100


def test_a_body_that_says_it_is_xml_is_not_read(call: Caller) -> None:
    """415, as a problem."""
    answer = call("POST", "/wishes", b"<usd/>", {**ADMIN, "Content-Type": "application/xml"})
    assert is_problem(answer, 415, "unsupported-media-type")


@pytest.mark.parametrize(
    "raw",
    [
        b"{",
        b"usd=1",
        b'{"usd": NaN}',
        b'{"usd": Infinity}',
        b"\xff\xfe\x00",
        b"[" * 100_000,
        b'{"usd": "\\ud800"}',
        b'{"usd": 1, "usd": 2}',
        b'{"usd": {"of": 1, "of": 1}}',
    ],
)
def test_what_is_no_json_is_a_400(call: Caller, raw: bytes) -> None:
    """Also what Python's parser would let through, such as a key that comes twice: which of both was meant?"""
    assert is_problem(call("POST", "/wishes", raw), 400, "bad-json")


@pytest.mark.parametrize(
    "raw, field",
    [(b"[]", "body"), (b'"x"', "body"), (b"{}", "usd"), (b"", "usd"), (b'{"usd": 1, "eur": 1}', "eur")],
)
def test_what_the_schema_forbids_is_a_422_that_names_the_field(call: Caller, raw: bytes, field: str) -> None:
    """Each with a sentence."""
    answer = call("POST", "/wishes", raw)
    assert is_problem(answer, 422, "invalid")
    assert [error["field"] for error in answer[1]["errors"]] == [field]
    assert all(error["detail"] for error in answer[1]["errors"])


def test_a_query_key_comes_once(call: Caller) -> None:
    """Which of two was meant is not guessed, even where both say the same."""
    for query in ("limit=3&limit=7", "limit=3&cursor=a&limit=3"):
        answer = call("GET", f"/wishes?{query}")
        assert is_problem(answer, 422, "invalid")
        assert answer[1]["errors"] == [{"field": "limit", "detail": "has to be given once in the query"}]


@pytest.mark.parametrize("query", ["limit=0", "limit=201", "limit=many", "limit=", "cursor=", "sort=asc"])
def test_a_query_is_checked_as_strictly_as_a_body(call: Caller, query: str) -> None:
    """An ignored key could be the one that mattered."""
    answer = call("GET", f"/wishes?{query}")
    assert is_problem(answer, 422, "invalid")
    assert answer[1]["errors"][0]["field"] == query.partition("=")[0]


def test_a_dry_run_that_a_call_does_not_know_stops_it(call: Caller) -> None:
    """`DELETE …?dry_run=true` must not delete, and neither must a body that asks for it."""
    assert is_problem(call("DELETE", "/wishes/a?dry_run=true"), 422, "invalid")
    assert is_problem(call("DELETE", "/wishes/a", {"dry_run": True}), 422, "invalid")
    assert call("DELETE", "/wishes/a")[0] == 204


def test_path_parts_are_decoded_and_must_look_like_ids(call: Caller) -> None:
    """Anything else names nothing."""
    assert call("GET", "/wishes/a%2Db")[1] == {"id": "a-b"}
    for strange in ("%00", "a%20b", "%2e%2e", "a" * 300, "%F0%9F%98%80"):
        assert is_problem(call("GET", f"/wishes/{strange}"), 404, "not-found")


def test_expected_errors_keep_their_members(call: Caller) -> None:
    """The budget's name is of use to the caller."""
    answer = call("GET", "/fails/budget")
    assert is_problem(answer, 409, "budget-exceeded")
    assert (answer[1]["budget"], answer[1]["left_usd"], answer[1]["detail"]) == ("gpu", "1.10", "no room")
    assert is_problem(call("GET", "/fails/away"), 503, "unavailable")


def test_a_mistake_of_ours_is_a_problem_without_internals(call: Caller, lines: list[dict[str, Any]]) -> None:
    """The traceback goes to the log, under the request's id."""
    answer = call("GET", "/fails/bug")
    assert is_problem(answer, 500, "internal-error")
    assert "secret" not in json.dumps(answer[1])
    failure = next(line for line in lines if line["level"] == "error")
    assert "KeyError" in failure["traceback"]
    assert failure["request_id"] == answer[1]["request_id"]


def test_an_answer_that_has_no_json_form_is_a_problem_too(call: Caller) -> None:
    """Encoding happens behind the same door."""
    assert is_problem(call("GET", "/unspeakable"), 500, "internal-error")


def test_a_missing_setting_is_told_to_the_log_only(call: Caller, lines: list[dict[str, Any]]) -> None:
    """Callers learn that it is not set up; operators learn what is missing."""
    answer = call("GET", "/fails/settings")
    assert is_problem(answer, 500, "not-configured")
    assert "CURFEW_TABLE" not in json.dumps(answer[1])
    assert "CURFEW_TABLE is not set" in lines[0]["traceback"]


@pytest.mark.parametrize("method", ["PUT", "PATCH", "HEAD"])
def test_a_method_that_a_path_does_not_take_is_a_problem(call: Caller, method: str) -> None:
    """Chalice answers these itself; the form is the same all the same."""
    answer = call(method, "/wishes")
    assert is_problem(answer, 405, "method-not-allowed")
    assert answer[2]["Allow"] == "POST, GET"


def test_each_request_leaves_one_line_without_secrets(call: Caller, lines: list[dict[str, Any]]) -> None:
    """The route's pattern, never the token, the body, the query or the id."""
    call("POST", "/wishes", b'{"usd": "123456"}')
    call("GET", "/wishes/hidden-id")
    call("GET", "/wishes?cursor=hidden", headers={"Authorization": "Bearer hidden"})
    assert [
        (line["method"], line["path"], line["status"], line["caller"], line["problem"]) for line in lines
    ] == [
        ("POST", "/wishes", 201, "admin", None),
        ("GET", "/wishes/{wish_id}", 200, "admin", None),
        ("GET", "/wishes", 401, None, "unauthorized"),
    ]
    assert not any(word in json.dumps(lines) for word in (TOKEN, "hidden", "123456"))


@pytest.fixture
def server() -> Iterator[LocalDevServer]:
    """The small app on Chalice's own development server."""
    app, _ = small_app()
    served = create_local_server(app, Config.create(), "127.0.0.1", 0)
    thread = threading.Thread(target=served.server.serve_forever, daemon=True)
    thread.start()
    yield served
    served.shutdown()
    served.server.server_close()
    thread.join()


def test_over_a_real_socket_a_bare_curl_works(server: LocalDevServer) -> None:
    """`curl -d '{…}'` sends `application/x-www-form-urlencoded`, and no query."""
    connection = HTTPConnection("127.0.0.1", server.server.server_address[1], timeout=10)
    headers = {**ADMIN, "Content-Type": "application/x-www-form-urlencoded"}
    connection.request("POST", "/wishes", body='{"usd": "1"}', headers=headers)
    answer = connection.getresponse()
    assert (answer.status, json.loads(answer.read())) == (201, {"usd": "1", "owner": "admin"})
    connection.request("DELETE", "/wishes/a", headers=ADMIN)
    answer = connection.getresponse()
    assert (answer.status, answer.read()) == (204, b"")
    connection.close()
