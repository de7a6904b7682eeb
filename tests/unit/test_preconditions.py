"""ETag and If-Match over HTTP: who changes what was read changes just that, or nothing."""

from datetime import timedelta
from typing import Any

import pytest

from chalicelib.domain.preconditions import IfMatch
from chalicelib.web import receive
from tests.unit.web_kit import World, is_problem, open_world

BUDGET = {"limit_usd": "100", "period": "monthly"}


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    """The app on doubles."""
    return open_world(monkeypatch)


def tag_of(world: World, path: str) -> str:
    """The ETag of what stands at a path."""
    return str(world.respond("GET", path).headers["ETag"])


def change(world: World, method: str, path: str, body: object, tag: str) -> Any:
    """A change over a state."""
    return world.respond(method, path, body, {"If-Match": tag})


def is_refused(answer: Any) -> bool:
    """Whether it is no longer as it was read."""
    return is_problem((answer.status_code, answer.json_body, answer.headers), 412, "precondition-failed")


def test_a_launch_answers_with_the_tag_of_its_lease(world: World) -> None:
    """The same that GET answers then."""
    answer = world.respond(
        "POST", "/spot-requests", {"instance_types": ["g5.xlarge"], "image": "ami-0123456789abcdef0"}
    )
    assert answer.headers["ETag"] == tag_of(world, f"/leases/{answer.json_body['id']}")


def test_a_lease_is_changed_over_what_was_read_alone(world: World) -> None:
    """Of two who have read the same the second is refused, and nothing of its wish is done."""
    path = f"/leases/{world.launched()['id']}"
    tag = tag_of(world, path)
    first = change(world, "PATCH", path, {"hours": 10}, tag)
    assert (first.status_code, first.headers["ETag"]) == (200, tag_of(world, path))
    assert first.headers["ETag"] != tag
    assert is_refused(change(world, "PATCH", path, {"hours": 12}, tag))
    assert world("GET", path)[1]["expires_at"] == first.json_body["expires_at"]
    assert change(world, "PATCH", path, {"hours": 12}, first.headers["ETag"]).status_code == 200


def test_the_meter_and_the_sweep_leave_a_leases_tag_alone(world: World) -> None:
    """It costs more, it was seen and metered: a change over what was read an hour ago is taken."""
    lease = world.launched()
    path = f"/leases/{lease['id']}"
    tag = tag_of(world, path)
    for _ in range(3):
        world.clock.advance(timedelta(minutes=20))
        world("POST", "/sweeps")
    now = world("GET", path)[1]
    assert now["accrued_usd"] != lease["accrued_usd"]
    assert tag_of(world, path) == tag
    assert change(world, "PATCH", path, {"hours": 12}, tag).status_code == 200


def test_a_lease_that_changed_is_not_ended_by_who_read_it_before(world: World) -> None:
    """It says that the lease bills on; without If-Match, or with the new tag, it ends."""
    path = f"/leases/{world.launched()['id']}"
    tag = tag_of(world, path)
    world("PATCH", path, {"hours": 10})
    refused = change(world, "DELETE", path, None, tag)
    assert is_refused(refused)
    assert "bills" in refused.json_body["detail"]
    assert len(world.compute.alive) == 1
    assert change(world, "DELETE", path, None, tag_of(world, path)).status_code in {200, 202}
    assert world.compute.alive == []


def test_an_end_is_asked_for_again_over_the_same_tag(world: World) -> None:
    """Whoever lost the first answer hears of the end, not of a change."""
    path = f"/leases/{world.launched()['id']}"
    tag = tag_of(world, path)
    assert change(world, "DELETE", path, None, tag).status_code in {200, 202}
    assert change(world, "DELETE", path, None, tag).status_code in {200, 202}


def test_a_budget_is_put_over_what_was_read_alone(world: World) -> None:
    """Also where two put at once; its figures leave the tag alone."""
    world("PUT", "/budgets/account", BUDGET)
    tag = tag_of(world, "/budgets/account")
    world.launched()
    assert tag_of(world, "/budgets/account") == tag
    first = change(world, "PUT", "/budgets/account", {**BUDGET, "limit_usd": "90"}, tag)
    assert (first.status_code, first.headers["ETag"]) == (200, tag_of(world, "/budgets/account"))
    assert is_refused(change(world, "PUT", "/budgets/account", {**BUDGET, "limit_usd": "80"}, tag))
    assert is_refused(change(world, "DELETE", "/budgets/account", None, tag))
    assert world("GET", "/budgets/account")[1]["limit_usd"] == "90"
    assert change(world, "DELETE", "/budgets/account", None, first.headers["ETag"]).status_code == 204


def test_a_rival_that_comes_between_reading_and_writing_is_noticed(world: World) -> None:
    """The definitions' revision is the write's condition, and the tag is looked at anew."""
    world("PUT", "/budgets/account", BUDGET)
    tag = tag_of(world, "/budgets/account")
    rivals = [lambda: world("PUT", "/budgets/account", {**BUDGET, "limit_usd": "70"})]

    def hook(name: str, phase: str) -> None:
        if (name, phase) == ("put_budget", "before") and rivals:
            rivals.pop()()

    world.store.hook = hook
    assert is_refused(change(world, "PUT", "/budgets/account", {**BUDGET, "limit_usd": "60"}, tag))
    assert world("GET", "/budgets/account")[1]["limit_usd"] == "70"


def test_a_budget_made_anew_is_another(world: World) -> None:
    """Although it says the same."""
    world("PUT", "/budgets/account", BUDGET)
    tag = tag_of(world, "/budgets/account")
    world("DELETE", "/budgets/account")
    world("PUT", "/budgets/account", BUDGET)
    assert tag_of(world, "/budgets/account") != tag


@pytest.mark.parametrize("tag", ['"anything"', "", 'W/"anything"'])
def test_what_has_no_tag_is_not_changed_over_one(world: World, tag: str) -> None:
    """A box that was to end under a condition runs on; with a star, or without If-Match, it ends."""
    box = world.launched()["instance_ids"][0]
    refused = change(world, "DELETE", f"/instances/{box}", None, tag)
    assert is_refused(refused)
    assert "bills" in refused.json_body["detail"]
    assert len(world.compute.alive) == 1
    assert change(world, "DELETE", f"/instances/{box}", None, "*").status_code in {200, 202}
    assert world.compute.alive == []


def test_a_star_means_whatever_is_there_but_something(world: World) -> None:
    """A budget that is not there is not made by it."""
    assert is_refused(change(world, "PUT", "/budgets/account", BUDGET, "*"))
    world("PUT", "/budgets/account", BUDGET)
    assert change(world, "PUT", "/budgets/account", BUDGET, "*").status_code == 200
    assert change(world, "DELETE", "/budgets/account", None, "*").status_code == 204
    assert change(world, "DELETE", "/budgets/account", None, "*").status_code == 404


def test_the_policy_that_is_known_is_not_told_again(world: World) -> None:
    """304 with its tag and nothing else."""
    tag = tag_of(world, "/policy")
    known = world.respond("GET", "/policy", None, {"If-None-Match": f'"x", W/{tag}'})
    assert (known.status_code, known.body, known.headers["ETag"]) == (304, b"", tag)
    world("PUT", "/policy", {"idle": {"after": "PT2H"}})
    assert world.respond("GET", "/policy", None, {"If-None-Match": tag}).status_code == 200


@pytest.mark.parametrize(
    "sent, tags",
    [
        ("*", None),
        ('"a"', {"a"}),
        ("a", {"a"}),
        ('"a", "b"', {"a", "b"}),
        ('W/"a"', set()),
        ('W/"a", "b"', {"b"}),
        ("", set()),
        (",,", set()),
    ],
)
def test_tags_are_read_as_http_writes_them(sent: str, tags: set[str] | None) -> None:
    """Weak ones are none; quotes that a shell has eaten are not missed."""
    assert receive.if_match({"if-match": sent}) == IfMatch(None if tags is None else frozenset(tags))


def test_without_the_header_nothing_is_required() -> None:
    """As ever."""
    assert receive.if_match({}) is None
