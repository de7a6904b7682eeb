"""Tokens over HTTP: made, shown once, listed, taken back; and what they let nobody see."""

import json
import re
from datetime import timedelta
from typing import Any

import pytest

from chalicelib.domain.errors import Unavailable
from chalicelib.domain.tokens import Needs, Role
from tests.unit.web_kit import LAUNCH, TOKEN, World, logged, open_world

FORM = re.compile(r"curfew_[0-9a-f]{12}_[0-9a-f]{64}")
"""As docs/people.md tells secret scanners."""
ADA = {"owner": "ada", "role": "launcher"}


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    """The app on doubles."""
    return open_world(monkeypatch)


def minted(world: World, **more: Any) -> Any:
    """The answer with a new token."""
    status, told = world("POST", "/tokens", {**ADA, **more})
    assert status == 201, told
    return told


def bearing(told: Any) -> dict[str, str]:
    """Its header."""
    return {"Authorization": f"Bearer {told['token']}"}


def test_a_token_is_shown_once_and_its_hash_never(world: World) -> None:
    """The list has its id, owner, role and times; the table has no more than a hash."""
    told = minted(world)
    assert FORM.fullmatch(told["token"])
    assert told["token"].startswith(f"curfew_{told['id']}_")
    _, listed = world("GET", "/tokens")
    (item,) = listed["items"]
    assert set(told) - set(item) == {"token", "budget"}
    assert {**item, "token": told["token"], "budget": None} == told
    assert (item["owner"], item["role"], item["status"], item["created_by"]) == (
        *("ada", "launcher", "active"),
        "admin",
    )
    assert told["token"].rpartition("_")[2] not in repr(vars(world.store))


def test_no_two_tokens_are_alike(world: World) -> None:
    """Their ids and secrets are chance."""
    made = [minted(world)["token"] for _ in range(20)]
    assert len({part for token in made for part in token.split("_")[1:]}) == 40


def test_whoever_has_a_token_is_its_owner(world: World) -> None:
    """A launch is theirs, and counts on their budget."""
    told = minted(world, budget={"limit_usd": "20"})
    assert told["budget"] == "ada"
    status, lease = world("POST", "/spot-requests", LAUNCH, headers=bearing(told))
    assert (status, lease["owner"], [one["name"] for one in lease["budgets"]]) == (201, "ada", ["ada"])


def test_a_token_that_was_taken_back_is_let_in_nowhere(world: World) -> None:
    """From the next call on; taking it back again changes nothing."""
    told = minted(world)
    assert world("GET", "/leases", headers=bearing(told))[0] == 200
    assert world("DELETE", f"/tokens/{told['id']}") == (204, None)
    status, problem = world("GET", "/leases", headers=bearing(told))
    assert (status, problem["type"]) == (401, "/problems/unauthorized")
    world.clock.advance(timedelta(hours=1))
    assert world("DELETE", f"/tokens/{told['id']}")[0] == 204
    (listed,) = world("GET", "/tokens")[1]["items"]
    assert (listed["status"], listed["revoked_at"]) == ("revoked", "2026-11-23T09:00:00Z")
    assert world("DELETE", "/tokens/0123456789ab")[0] == 404


@pytest.mark.parametrize(
    "more, until",
    [
        ({"expires_in": "PT2H"}, "2026-11-23T11:00:00Z"),
        ({"expires_at": "2026-11-23T11:00:00Z"}, "2026-11-23T11:00:00Z"),
        ({"expires_at": "2026-11-24"}, "2026-11-24T00:00:00Z"),
    ],
)
def test_a_token_may_end_by_itself(world: World, more: Any, until: str) -> None:
    """After a time, or at one."""
    told = minted(world, **more)
    assert told["expires_at"] == until
    world.clock.advance(timedelta(hours=15, seconds=-1))
    world.clock.advance(timedelta(seconds=1))
    assert world("GET", "/leases", headers=bearing(told))[0] == 401
    assert world("GET", "/tokens")[1]["items"][0]["status"] == "expired"


@pytest.mark.parametrize(
    "body, status",
    [
        ({"owner": "ada"}, 422),
        ({**ADA, "role": "root"}, 422),
        ({**ADA, "owner": "a b"}, 422),
        ({**ADA, "expires_in": "PT1H", "expires_at": "2027-01-01"}, 422),
        ({**ADA, "expires_at": "2026-11-01"}, 409),
        ({**ADA, "expires_in": "PT0S"}, 409),
        ({**ADA, "owner": "unleased"}, 409),
    ],
)
def test_a_token_that_makes_no_sense_is_not_made(world: World, body: Any, status: int) -> None:
    """What the schema forbids, times that are past, and the name of boxes that nobody has claimed."""
    assert world("POST", "/tokens", body)[0] == status
    assert world("GET", "/tokens")[1]["items"] == []


def test_the_budget_of_a_token_is_its_owners(world: World) -> None:
    """Made with the first token, changed with the second: its thresholds stay. Other letters become `-`."""
    world(
        "PUT",
        "/budgets/ada",
        {"limit_usd": "20", "scope": {"kind": "owner", "value": "ada"}, "thresholds": []},
    )
    minted(world, budget={"limit_usd": "50"})
    _, budget = world("GET", "/budgets/ada")
    assert (budget["limit_usd"], budget["thresholds"]) == ("50", [])
    told = minted(world, owner="ada@example.org", budget={"limit_usd": "7", "period": "daily"})
    _, budget = world("GET", f"/budgets/{told['budget']}")
    assert (told["budget"], budget["period"]) == ("ada-example.org", "daily")
    assert budget["scope"] == {"kind": "owner", "value": "ada@example.org"}


def test_where_the_budget_is_refused_no_token_is_made(world: World) -> None:
    """Somebody else's budget of that name, or one of another period: nobody gets a token without its limit."""
    world("PUT", "/budgets/ada", {"limit_usd": "20"})
    status, problem = world("POST", "/tokens", {**ADA, "budget": {"limit_usd": "50"}})
    assert (status, problem["type"]) == (409, "/problems/budget-fixed")
    assert world("GET", "/tokens")[1]["items"] == []


def test_a_repeated_call_tells_no_secret_again(world: World) -> None:
    """Under one Idempotency-Key one token is made, and its text is nowhere."""
    key = {"Idempotency-Key": "once"}
    first = world("POST", "/tokens", ADA, headers=key)
    status, again = world("POST", "/tokens", ADA, headers=key)
    assert (first[0], status, "token" in again) == (201, 409, False)
    assert again["type"] == "/problems/secret-shown-once"
    assert len(world("GET", "/tokens")[1]["items"]) == 1
    assert first[1]["token"].rpartition("_")[2] not in repr(vars(world.store))


def test_no_token_is_ever_logged(world: World) -> None:
    """Not in paths or tracebacks, whole or without its beginning, right or wrong."""
    told = minted(world)
    secret = told["token"].rpartition("_")[2]
    wrong = f"{told['token'][:-1]}0"
    with logged() as lines:
        world("GET", f"/leases/{told['token']}", headers=bearing(told))
        world("DELETE", f"/tokens/{told['token']}")
        world("GET", "/leases", headers={"Authorization": f"Bearer {wrong}"})
        world("GET", f"/leases?cursor={told['token']}", headers=bearing(told))
        world.store.inject("leases", RuntimeError(f"failed with {told['token']}"))
        assert world("GET", "/leases", headers=bearing(told))[0] == 500
    assert len(lines) >= 5
    written = json.dumps(lines)
    assert secret[:20] not in written
    assert TOKEN not in written
    assert told["id"] in written


def test_wrong_tokens_are_told_with_the_health(world: World) -> None:
    """By day, to whoever may see the account's."""
    for _ in range(3):
        world("GET", "/leases", headers={"Authorization": "Bearer guess"})
    world.clock.advance(timedelta(minutes=1))
    world("GET", "/leases")
    assert world("GET", "/health")[1]["wrong_tokens"] == {"2026-11-23": 3}


def test_the_admins_token_ends_boxes_while_tokens_cannot_be_read(world: World) -> None:
    """It is compared with the deployment's hash alone; nobody else can be known then."""
    told, lease = minted(world, role="admin"), world.launched()
    world.store.inject("token", Unavailable("the table does not answer"))
    world.store.inject("note", Unavailable("the table does not answer"))
    assert world("DELETE", f"/leases/{lease['id']}", headers=bearing(told))[0] == 503
    assert world("DELETE", f"/leases/{lease['id']}")[0] in {200, 202}


@pytest.mark.parametrize("needs", Needs)
def test_admin_is_let_in_everywhere_and_named_where_it_is_needed(needs: Needs) -> None:
    """What a route needs is told by the roles that it admits."""
    admitted = {role for role in Role if needs.admits(role)}
    assert Role.ADMIN in admitted
    assert admitted == set(Role) or all(role in needs for role in admitted)
