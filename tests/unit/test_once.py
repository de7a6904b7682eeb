"""Idempotency-Key over HTTP: the same call is made once, whoever asks, whatever fails, and however many ask at once."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Event
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import app as curfew
from chalicelib.domain.errors import Unavailable
from chalicelib.domain.once import IN_FLIGHT_FOR, KEPT_FOR, KeptAnswer, KeyedCall, may_begin
from chalicelib.web.about import about_of
from tests.contract.store_examples import NOW
from tests.doubles.accidents import Crash
from tests.unit.web_kit import LAUNCH, World, is_problem, open_world

KEY = {"Idempotency-Key": "monday"}
POSTS = sorted(
    path
    for path, methods in curfew.app.routes.items()
    if "POST" in methods and not about_of(methods["POST"].view_function).is_public
)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    """The app on doubles."""
    return open_world(monkeypatch)


def launch(world: World, **more: Any) -> Any:
    """A launch under the key."""
    return world.respond("POST", "/spot-requests", {**LAUNCH, **more}, KEY)


def told(answer: Any) -> tuple[int, bytes, str | None]:
    """What of an answer is to be the same."""
    return answer.status_code, answer.body, answer.headers.get("Location")


def test_a_repeat_is_answered_as_the_first_call_was(world: World) -> None:
    """Status, headers and body, although the lease has become dearer since."""
    first = launch(world)
    world.clock.advance(timedelta(hours=1))
    assert told(launch(world)) == told(first)
    assert told(first)[2] == f"/leases/{first.json_body['id']}"
    assert len(world.compute.alive) == 1


def test_another_body_is_refused_for_a_day(world: World) -> None:
    """Also where it is a quote, which holds nothing."""
    launch(world)
    for more in ({"hours": 2}, {"dry_run": True}):
        answer = launch(world, **more)
        assert is_problem(
            (answer.status_code, answer.json_body, answer.headers), 409, "idempotency-key-reused"
        )
    assert len(world.compute.alive) == 1


def test_a_launchs_key_is_its_leases_for_longer_than_a_day(world: World) -> None:
    """What may run is never launched again by a key that was used."""
    first = launch(world).json_body
    world.clock.advance(KEPT_FOR)
    again = launch(world)
    assert (again.status_code, again.json_body["id"]) == (201, first["id"])
    assert len(world.compute.alive) == 1


def test_a_key_is_one_routes(world: World) -> None:
    """The same text on another route is another key."""
    assert launch(world).status_code == 201
    assert world("POST", "/sweeps", {}, KEY)[0] == 200
    assert world("POST", "/key-pairs", {"name": "laptop"}, KEY)[0] == 201


def test_a_launcher_is_not_answered_what_an_admin_of_the_same_name_was(world: World) -> None:
    """An admin's answer may be about anybody's box."""
    heads = [
        {
            **KEY,
            "Authorization": f"Bearer {world('POST', '/tokens', {'owner': owner, 'role': role})[1]['token']}",
        }
        for owner, role in (("bob", "launcher"), ("ada", "admin"), ("ada", "launcher"))
    ]
    box = world("POST", "/spot-requests", LAUNCH, heads[0])[1]["instance_ids"][0]
    answers = [world("POST", f"/instances/{box}/image", {"name": "x"}, head)[0] for head in heads[1:]]
    assert answers == [202, 404]


def test_a_sweep_is_made_once(world: World) -> None:
    """Until the day is over."""
    first = world("POST", "/sweeps", {}, KEY)
    world.clock.advance(KEPT_FOR - timedelta(seconds=1))
    assert world("POST", "/sweeps", {}, KEY) == first
    world.clock.advance(timedelta(seconds=1))
    assert world("POST", "/sweeps", {}, KEY)[1]["id"] != first[1]["id"]


def test_a_secret_is_told_once_and_kept_nowhere(world: World) -> None:
    """The repeat says what was made, and what to do about what it can't say."""
    body = {"name": "laptop"}
    first = world("POST", "/key-pairs", body, KEY)[1]
    again = world.respond("POST", "/key-pairs", body, KEY)
    assert is_problem((again.status_code, again.json_body, again.headers), 409, "secret-shown-once")
    assert again.json_body["withheld"] == ["private_key"]
    assert again.json_body["answer"] == {k: v for k, v in first.items() if k != "private_key"}
    assert "PRIVATE" not in repr(vars(world.store))


def test_an_import_of_a_key_has_no_secret(world: World) -> None:
    """It is answered again."""
    body = {
        "name": "laptop",
        "public_key": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEqgLRyomtbN1GlMlHSfjnYt3mCEWqN4o1LF0Tc5sGSr ada",
    }
    first = world("POST", "/key-pairs", body, KEY)
    assert first[0] == 201
    assert world("POST", "/key-pairs", body, KEY) == first


def test_what_was_refused_leaves_the_key_free(world: World) -> None:
    """A budget without room, mended: the same call with the same key launches."""
    world("PUT", "/budgets/account", {"limit_usd": "0.50", "period": "monthly"})
    assert launch(world).status_code == 409
    world("PUT", "/budgets/account", {"limit_usd": "500", "period": "monthly"})
    assert launch(world).status_code == 201


def test_what_the_schema_forbids_does_not_take_the_key(world: World) -> None:
    """The body can be mended under the same key."""
    assert launch(world, hours=-1).status_code == 422
    assert launch(world).status_code == 201


def test_what_failed_leaves_the_key_free(world: World) -> None:
    """A 500 is not remembered."""
    world.store.inject("record_sweep", ValueError("a mistake"))
    assert world("POST", "/sweeps", {}, KEY)[0] == 500
    assert world("POST", "/sweeps", {}, KEY)[0] == 200


def test_a_table_that_does_not_answer_begins_nothing(world: World) -> None:
    """The call is refused before it acts, and may be sent again."""
    world.store.inject("begin_call", Unavailable("the table does not answer. Nothing was done"))
    assert launch(world).status_code == 503
    assert world.compute.alive == []
    assert launch(world).status_code == 201


def test_a_call_without_a_key_asks_the_table_for_none(world: World) -> None:
    """It costs nothing more."""
    world("POST", "/sweeps", {})
    assert "begin_call" not in world.store.calls


def during(world: World, method: str, act: Callable[[], None]) -> None:
    """Do something once, right before a call of the store's."""
    done = []

    def hook(name: str, phase: str) -> None:
        if (name, phase) == (method, "before") and not done:
            done.append(name)
            act()

    world.store.hook = hook


def test_a_second_call_while_the_first_goes_on_is_in_flight(world: World) -> None:
    """It is told when to ask again, and then answered as the first was."""
    seen: list[Any] = []
    during(world, "open_lease", lambda: seen.extend([launch(world), launch(world, hours=3)]))
    first = launch(world)
    same, other = seen
    assert is_problem((same.status_code, same.json_body, same.headers), 409, "in-flight")
    assert same.headers["Retry-After"] == str(same.json_body["retry_after_seconds"])
    assert is_problem((other.status_code, other.json_body, other.headers), 409, "idempotency-key-reused")
    assert told(launch(world)) == told(first)
    assert len(world.compute.alive) == 1


def test_of_many_at_once_exactly_one_proceeds(world: World) -> None:
    """All others hear that it is in flight."""
    all_began, answers = Event(), 5

    def hook(name: str, phase: str) -> None:
        if (name, phase) == ("record_sweep", "before"):
            assert all_began.wait(10)

    world.store.hook = hook

    def ask(_: int) -> int:
        status, _body = world("POST", "/sweeps", {}, KEY)
        if status == 409:
            heard.append(status)
            if len(heard) == answers - 1:
                all_began.set()
        return status

    heard: list[int] = []
    with ThreadPoolExecutor(answers) as pool:
        assert sorted(pool.map(ask, range(answers))) == [200, *[409] * (answers - 1)]


@pytest.mark.parametrize("method", ["open_lease", "save_lease", "keep_call"])
@pytest.mark.parametrize("after", [True, False])
def test_a_launch_whose_process_died_is_never_made_twice(world: World, method: str, *, after: bool) -> None:
    """In flight for a minute; then the lease that the key has answers, or the launch is made for the first time."""
    world.store.inject(method, Crash(), after=after)
    with pytest.raises(Crash):
        launch(world)
    died_with = (method, after) == ("keep_call", True)
    assert launch(world).status_code == (201 if died_with else 409)
    world.clock.advance(IN_FLIGHT_FOR + timedelta(seconds=1))
    again = launch(world)
    assert again.status_code in {201, 202}
    assert len(world.compute.alive) <= 1
    assert len(world("GET", "/leases")[1]["items"]) == 1


def test_an_answer_that_could_not_be_kept_is_given_all_the_same(world: World) -> None:
    """The repeat finds the call in flight, then the lease."""
    world.store.inject("keep_call", Unavailable("no answer"))
    first = launch(world)
    assert first.status_code == 201
    assert launch(world).json_body["type"] == "/problems/in-flight"
    world.clock.advance(IN_FLIGHT_FOR + timedelta(seconds=1))
    assert launch(world).json_body["id"] == first.json_body["id"]


def test_a_launch_that_is_still_open_is_asked_of_its_lease(world: World) -> None:
    """A 202 is not the last word: the repeat says how far the launch has come, and starts nothing."""
    world.compute.fail("launch", times=9)
    first, again = launch(world), launch(world)
    assert (first.status_code, again.status_code) == (202, 202)
    assert again.json_body["id"] == first.json_body["id"]
    world.compute.fail("launch", times=0)
    world.clock.advance(timedelta(minutes=2))
    world("POST", "/sweeps", {})
    world.clock.advance(timedelta(minutes=5))
    world("POST", "/sweeps", {})
    over = launch(world)
    assert is_problem((over.status_code, over.json_body, over.headers), 409, "launch-lost")


@pytest.mark.parametrize("path", POSTS)
def test_every_post_of_a_person_takes_a_key(world: World, path: str) -> None:
    """Whoever adds one."""
    _, document = world("GET", "/openapi.json")
    names = [each["name"] for each in document["paths"][path]["post"]["parameters"]]
    assert "Idempotency-Key" in names
    bad = world("POST", path.replace("{", "").replace("}", ""), {}, {"Idempotency-Key": "x" * 256})
    assert bad[0] == 422


@given(
    age=st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=3)),
    is_same=st.booleans(),
    is_answered=st.booleans(),
)
@settings(max_examples=200)
def test_a_call_never_begins_over_an_answer_or_over_one_that_may_live(
    age: timedelta, *, is_same: bool, is_answered: bool
) -> None:
    """Within the day."""
    answer = KeptAnswer(status=200, body="{}") if is_answered else None
    standing = KeyedCall(id="k", fingerprint="a", holder="first", began_at=NOW, answer=answer)
    asked = KeyedCall(id="k", fingerprint="a" if is_same else "b", holder="second", began_at=NOW + age)
    if age < KEPT_FOR and (is_answered or not is_same or age <= IN_FLIGHT_FOR):
        assert not may_begin(asked, standing)
    else:
        assert may_begin(asked, standing)
