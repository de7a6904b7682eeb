"""The audit trail over HTTP: who changed what, when, and what came of it."""

import json
from datetime import timedelta
from typing import Any

import pytest
from chalice.test import Client

import app as curfew
from chalicelib.domain.errors import Unavailable
from chalicelib.domain.links import Claim, Purpose
from tests.doubles.accidents import Crash
from tests.doubles.memory_links import MemoryLinks
from tests.doubles.memory_ports import MINUTE
from tests.unit.web_kit import LAUNCH, World, logged, open_world

SECRET = "a script that nobody else should read"


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    """The app on doubles."""
    return open_world(monkeypatch)


def trail(world: World, query: str = "") -> list[Any]:
    """The changes, newest first."""
    status, told = world("GET", f"/audit{query}")
    assert status == 200, told
    return list(told["items"])


def bearing(world: World, owner: str, role: str = "launcher") -> tuple[str, dict[str, str]]:
    """The id of somebody's new token, and its header."""
    _, made = world("POST", "/tokens", {"owner": owner, "role": role})
    return made["id"], {"Authorization": f"Bearer {made['token']}"}


def test_a_change_is_told_with_who_when_what_and_its_outcome(world: World) -> None:
    """A launch by somebody's token: the route, what came of it, and nothing of what was sent."""
    token_id, ada = bearing(world, "ada")
    world.clock.advance(timedelta(minutes=7))
    _, lease = world("POST", "/spot-requests", {**LAUNCH, "user_data": SECRET}, headers=ada)
    change = trail(world)[0]
    assert {name: change[name] for name in change if name not in {"id", "request_id"}} == {
        "at": "2026-11-23T09:07:00Z",
        "owner": "ada",
        "role": "launcher",
        "token_id": token_id,
        "method": "POST",
        "path": "/spot-requests",
        "subject": lease["id"],
        "status": 201,
        "problem": None,
    }
    assert SECRET not in json.dumps(trail(world))


def test_reading_is_no_change_and_who_is_not_let_in_changes_nothing(world: World) -> None:
    """Neither GETs nor what was answered 401 or 403 are in the trail."""
    _, vera = bearing(world, "vera", "viewer")
    before = trail(world)
    world("GET", "/leases", headers=vera)
    assert world("DELETE", "/leases/lease-1", headers=vera)[0] == 403
    assert world("DELETE", "/leases/lease-1", headers={"Authorization": "Bearer guess"})[0] == 401
    assert trail(world) == before


@pytest.mark.parametrize(
    "call, body, outcome",
    [
        ("DELETE /leases/lease-1", None, (404, "not-found", "lease-1")),
        ("POST /spot-requests", {"image": 1}, (422, "invalid", None)),
        ("PUT /budgets/lab", {"limit_usd": "7"}, (200, None, "lab")),
        ("PUT /policy", {"idle": {"after": "PT30M"}}, (200, None, None)),
        ("POST /sweeps", {"dry_run": True}, (200, None, None)),
        ("POST /key-pairs", {"name": "lab"}, (201, None, "lab")),
    ],
)
def test_what_was_refused_is_told_too(world: World, call: str, body: Any, outcome: Any) -> None:
    """With the problem's name, by whoever uses the deployment's token as `admin` without a token's id."""
    method, _, path = call.partition(" ")
    assert world(method, path, body)[0] == outcome[0]
    (change,) = trail(world)
    assert (change["status"], change["problem"], change["subject"]) == outcome
    assert (change["owner"], change["role"], change["token_id"]) == ("admin", "admin", None)


def test_a_token_sent_as_its_id_is_not_kept(world: World) -> None:
    """Whoever takes the whole of it for its id is refused, and the trail has no more than the id."""
    token = world("POST", "/tokens", {"owner": "ada", "role": "admin"})[1]["token"]
    assert world("DELETE", f"/tokens/{token}")[0] == 404
    told = json.dumps(trail(world))
    assert token.rpartition("_")[2] not in told
    assert token.rpartition("_")[0] in told


def test_a_mistake_of_ours_is_told_as_its_500(world: World) -> None:
    """What it had done by then is not known."""
    world.store.inject("budgets", RuntimeError("a bug"))
    assert world("PUT", "/budgets/lab", {"limit_usd": "7"})[0] == 500
    assert (trail(world)[0]["status"], trail(world)[0]["problem"]) == (500, "internal-error")


def test_a_change_that_was_cut_off_stands_there_without_an_outcome(world: World) -> None:
    """The process died after EC2 was called: who asked for what is known all the same."""
    lease = world.launched()
    world.clock.advance(MINUTE)
    world.store.inject("save_lease", Crash(), after=True)
    with pytest.raises(Crash):
        world("DELETE", f"/leases/{lease['id']}")
    change = trail(world)[0]
    assert (change["method"], change["subject"], change["status"]) == ("DELETE", lease["id"], None)


def test_no_end_waits_for_the_trail(world: World) -> None:
    """Where the table refuses it, or anything else goes wrong with it, the box is ended and the log has the entry."""
    for failure in (Unavailable("the table does not answer"), RuntimeError("a bug")):
        lease = world.launched()
        world.store.inject("note", failure)
        world.store.inject("note", failure)
        with logged() as lines:
            assert world("DELETE", f"/leases/{lease['id']}")[0] in {200, 202}
        begun, settled = (line["change"] for line in lines if line["what"] == "audit")
        assert (begun["subject"], begun["status"], settled["status"]) == (lease["id"], None, 200)
        assert begun["owner"] == "admin"


def test_the_trail_is_cut_by_time_and_by_owner(world: World) -> None:
    """Newest first, a page at a time."""
    _, ada = bearing(world, "ada")
    for hour in range(3):
        world.clock.advance(timedelta(hours=1))
        world("DELETE", f"/leases/lease-{hour}", headers=ada)
        world("DELETE", f"/leases/lease-{hour}0")
    assert [one["subject"] for one in trail(world, "?owner=ada")] == ["lease-2", "lease-1", "lease-0"]
    assert [one["subject"] for one in trail(world, "?since=PT1H&owner=admin")] == ["lease-20", "lease-10"]
    assert len(trail(world, "?since=2026-11-23T12:00:00Z")) == 2
    _, first = world("GET", "/audit?limit=4")
    _, second = world("GET", f"/audit?limit=4&cursor={first['next']}")
    assert [one["id"] for one in (*first["items"], *second["items"])] == [one["id"] for one in trail(world)]
    assert second["next"] is None
    assert world("GET", "/audit?cursor=nonsense")[0] == 409


def test_a_link_that_was_used_is_told_without_the_link(world: World) -> None:
    """Whoever has it is `link`; looking at it, and links that are none, are not in the trail."""
    links = MemoryLinks()
    world.put(links=links)
    lease = world.launched()
    until = world.clock.now() + timedelta(hours=5)
    claim = Claim(purpose=Purpose.KEEP_1H, lease_id=lease["id"], expires_at=until)
    token = links.url(claim).rpartition("/")[2]
    world.clock.advance(MINUTE)
    before = trail(world)
    world("GET", f"/snooze/{token}")
    assert world("POST", "/snooze/no-such-link")[0] == 404
    assert trail(world) == before
    http = Client(curfew.app, project_dir="/nonexistent").http
    assert http.post(f"/snooze/{token}").status_code == 200
    change = trail(world)[0]
    assert (change["owner"], change["role"], change["token_id"]) == ("link", "link", None)
    assert (change["path"], change["subject"], change["status"]) == ("/snooze/{token}", lease["id"], 200)
    assert token not in json.dumps(trail(world))


def test_what_boxes_tell_is_no_change(world: World) -> None:
    """Every minute of every box would be one."""
    world("POST", "/heartbeats", {})
    assert trail(world) == []


def test_the_private_part_of_a_key_is_in_no_entry(world: World) -> None:
    """Nor anything else of a body or an answer."""
    _, made = world("POST", "/key-pairs", {"name": "lab"})
    assert made["private_key"] not in json.dumps(trail(world))
