"""Budgets, policy, sweeps, health and the two triggers without HTTP."""

import json
from decimal import Decimal
from typing import Any

import pytest
from chalice.test import Client

import app as curfew
from chalicelib.web.events import EventsFailed
from tests.builders import HOUR
from tests.doubles.memory_ports import MINUTE, START
from tests.unit.web_kit import World, open_world

SECTION_6 = json.loads(
    """
    {"idle":      {"after": "PT1H", "warn_before": "PT10M", "gpu_below_percent": 1, "coverage": 0.8, "after_launch": "PT30M", "cpu_evidence": "ignore"},
     "lease":     {"default_for": "PT8H", "max_for": "P3D", "max_open_per_owner": 10},
     "unleased":  {"effect": "adopt", "for": "PT8H", "grace": "PT30M", "end": "terminate"},
     "stopped":   {"warn_after": "P1D", "end_after": null},
     "limits":    {"idle_ends_per_sweep": 10, "hourly_usd": null},
     "teardown":  {"margin": "PT15M", "lift_termination_protection": false},
     "bills":     {"cost_explorer_every": "PT8H", "own_usd_per_month": {"base": "4.00", "per_box": "0.05"}},
     "notify":    {"time_zone": "UTC", "digest_at": "09:00"},
     "scope":     {"regions": "all", "accounts": [], "include_types": [], "exclude_types": [], "exclude_tags": {}}}
    """
)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    """The app on doubles."""
    return open_world(monkeypatch)


def scheduled() -> dict[str, Any]:
    """What EventBridge hands to the sweep."""
    return {
        "version": "0",
        "id": "1",
        "account": "123456789012",
        "region": "us-east-1",
        "source": "aws.events",
        "detail-type": "Scheduled Event",
        "time": "2026-11-23T09:00:00Z",
        "resources": [],
        "detail": {},
    }


def queued(*bodies: str) -> dict[str, Any]:
    """What SQS hands over."""
    return {"Records": [{"body": body, "receiptHandle": "r"} for body in bodies]}


def news_of(instance_id: str) -> str:
    """An event about an instance."""
    return json.dumps({"region": "us-east-1", "detail": {"instance-id": instance_id, "state": "running"}})


def test_a_policy_that_warns_at_once_says_so_beside_its_document(world: World) -> None:
    """PUT and GET alike; the document itself stays as it was put."""
    for method, body in (("PUT", {"idle": {"after": "PT5M"}}), ("GET", None)):
        answer = world.respond(method, "/policy", body)
        assert answer.status_code == 200
        assert answer.json_body["idle"]["warn_before"] == "PT10M"
        assert "warned of idleness as soon as it is idle" in answer.headers["Curfew-Remark"]
        assert "judged over PT15M at least" in answer.headers["Curfew-Remark"]
    answer = world.respond("PUT", "/policy", {"idle": {"after": "PT1H"}})
    assert "Curfew-Remark" not in answer.headers


def test_a_budget_comes_back_as_it_was_put(world: World) -> None:
    """With where it stands."""
    sent = {
        "limit_usd": "100.50",
        "period": "daily",
        "scope": {"kind": "owner", "value": "admin"},
        "services": "accelerators",
        "thresholds": [{"at_percent": 90, "do": ["notify", "end"]}],
    }
    stands = {
        "period_key": "2026-11-23",
        "spent_usd": "0.00",
        "held_usd": "0",
        "left_usd": "100.50",
        "exhausted_at": None,
        "next_period": {"period_key": "2026-11-24", "held_usd": "0.00", "left_usd": "100.50"},
        "ending": [],
    }
    status, put = world("PUT", "/budgets/mine", sent)
    assert (status, put) == (200, {"name": "mine", **sent, **stands})
    assert world("GET", "/budgets/mine") == (200, put)
    assert world("GET", "/budgets") == (200, {"items": [put], "next": None})
    lease = world.launched()
    (share,) = lease["budgets"]
    assert (share["name"], share["period_key"], share["hold_usd"]) == (
        "mine",
        "2026-11-23",
        lease["hold_usd"],
    )
    assert world.respond("DELETE", "/budgets/mine").status_code == 204
    assert world("GET", "/budgets/mine")[0] == 404
    assert world("PUT", "/budgets/no%20name", sent)[0] in {404, 422}


def test_a_lease_tells_what_it_holds_on_a_budget_and_what_it_spent_there(world: World) -> None:
    """What is spent is held no more, and once it is closed nothing is."""
    world("PUT", "/budgets/all", {"limit_usd": 100})
    lease = world.launched()
    world.clock.advance(HOUR)
    (share,) = world("GET", f"/leases/{lease['id']}")[1]["budgets"]
    assert 1 < Decimal(share["spent_usd"]) < 2
    assert Decimal(share["held_usd"]) + Decimal(share["spent_usd"]) == Decimal(share["hold_usd"])
    world("DELETE", f"/leases/{lease['id']}")
    closed = world("GET", f"/leases/{lease['id']}")[1]
    (share,) = closed["budgets"]
    assert (share["hold_usd"], share["held_usd"]) == (lease["hold_usd"], "0")
    assert share["spent_usd"] == closed["accrued_usd"]


def test_a_limit_below_what_is_held_needs_force(world: World) -> None:
    """The refusal and the forced answer list the same leases."""
    world("PUT", "/budgets/all", {"limit_usd": 100})
    lease = world.launched()
    status, refused = world("PUT", "/budgets/all", {"limit_usd": 1})
    assert (status, refused["ending"]) == (409, [lease["id"]])
    assert len(world.compute.alive) == 1
    status, forced = world("PUT", "/budgets/all?force=true", {"limit_usd": 1})
    assert (status, forced["ending"], world.compute.alive) == (200, [lease["id"]], [])


def test_the_policy_is_one_bare_document(world: World) -> None:
    """The defaults are section 6 of the design to the letter, and what is read can be put."""
    answer = world.respond("GET", "/policy")
    assert (answer.json_body, answer.headers["ETag"]) == (SECTION_6, '"0"')
    changed = {**SECTION_6, "idle": {**SECTION_6["idle"], "after": "PT2H", "gpu_below_percent": 2.5}}
    answer = world.respond("PUT", "/policy", changed, {"If-Match": '"0"'})
    assert (answer.status_code, answer.json_body, answer.headers["ETag"]) == (200, changed, '"1"')
    assert world("GET", "/policy") == (200, changed)


@pytest.mark.parametrize("tag", ['"7"', "7", 'W/"7"', '"x"', ""])
def test_a_policy_put_over_another_version_is_refused(world: World, tag: str) -> None:
    """412, and the policy stays what it was."""
    status, body = world("PUT", "/policy", SECTION_6, {"If-Match": tag})
    assert (status, body["type"]) == (412, "/problems/precondition-failed")
    assert world.respond("GET", "/policy").headers["ETag"] == '"0"'


@pytest.mark.parametrize(
    "section, key, value",
    [
        ("idel", None, {}),
        ("idle", "afterr", "PT1H"),
        ("idle", "after", "an hour"),
        ("idle", "after", 60),
        ("lease", "max_for", "3600"),
        ("unleased", "end", "burn"),
        ("notify", "time_zone", "Mars"),
    ],
)
def test_a_misspelt_policy_is_refused_by_name(
    world: World, section: str, key: str | None, value: Any
) -> None:
    """A threshold that silently never fires is worse than none, and 60 is no length."""
    change = {section: value} if key is None else {section: {**SECTION_6[section], key: value}}
    status, body = world("PUT", "/policy", {**SECTION_6, **change})
    names = [error["field"] for error in body["errors"]]
    assert (status, names) == (422, [section if key is None else f"{section}.{key}"])
    assert world.respond("GET", "/policy").headers["ETag"] == '"0"'


@pytest.mark.parametrize(
    "sent", [{}, {"idle": {}}, {"idle": {"after": "PT2H"}}, {"bills": {"own_usd_per_month": {}}}]
)
def test_what_a_put_policy_leaves_out_stays_as_it_is(world: World, sent: Any) -> None:
    """No default comes back by leaving something out: forgotten exclude_tags would end the boxes they exclude."""
    own = {**SECTION_6, "scope": {**SECTION_6["scope"], "exclude_tags": {"team": "web"}}}
    own["idle"] = {**SECTION_6["idle"], "after": "PT3H", "warn_before": "PT5M"}
    world("PUT", "/policy", own)
    status, body = world("PUT", "/policy", sent)
    expected = {**own, "idle": {**own["idle"], **sent.get("idle", {})}}
    assert (status, body) == (200, expected)
    assert world("GET", "/policy") == (200, expected)


def test_putting_other_tags_to_exclude_replaces_them(world: World) -> None:
    """A value that is sent is the value: the tags of before are not mixed in."""
    world("PUT", "/policy", {"scope": {"exclude_tags": {"team": "web"}}})
    _, body = world("PUT", "/policy", {"scope": {"exclude_tags": {"team": "db"}}})
    assert body["scope"]["exclude_tags"] == {"team": "db"}


def test_a_sweep_can_be_asked_for_rehearsed_and_armed(world: World) -> None:
    """A rehearsal leaves no trace; arming says since when."""
    status, rehearsed = world("POST", "/sweeps", {"dry_run": True})
    assert (status, rehearsed["is_dry_run"]) == (200, True)
    assert world("GET", "/sweeps")[1]["items"] == []
    assert world.store.account().armed_at is None
    status, swept = world("POST", "/sweeps", {"arm": True})
    assert (status, swept["trigger"], swept["armed_at"]) == (200, "request", "2026-11-23T09:00:00Z")
    assert world.store.account().armed_at == START
    world.clock.advance(MINUTE)
    status, again = world("POST", "/sweeps")
    assert (status, again["armed_at"]) == (200, None)
    assert {each["id"] for each in world("GET", "/sweeps")[1]["items"]} == {swept["id"], again["id"]}


def test_health_is_one_word_for_strangers(world: World) -> None:
    """Monitors need no token, and read the last sweeps alone, however often they ask; everything else needs one."""
    stranger = Client(curfew.app, project_dir="/nonexistent").http.get("/health")
    assert (stranger.status_code, stranger.json_body) == (503, {"status": "failing"})
    world("POST", "/sweeps")
    asked: list[str] = []
    world.store.hook = lambda method, when: asked.append(method) if when == "before" else None
    stranger = Client(curfew.app, project_dir="/nonexistent").http.get("/health")
    assert (stranger.status_code, stranger.json_body, asked) == (200, {"status": "ok"}, ["sweeps"])
    status, health = world("GET", "/health")
    assert (status, health["status"]) == (200, "degraded")
    assert set(health) >= {
        "status",
        "last_complete_sweep",
        "regions",
        "missing",
        "not_enforced",
        "armed",
        "mode",
    }
    assert health["regions"] == {"eu-west-1": "ok", "us-east-1": "ok", "us-west-2": "ok"}


def test_the_schedule_sweeps_everything(world: World) -> None:
    """Whatever the event says, its time above all."""
    world.compute.start()
    record = curfew.sweep(scheduled(), None)
    assert (record["trigger"], record["seen"], len(record["adopted"])) == ("schedule", 1, 1)
    json.dumps(record)
    world.clock.advance(MINUTE)
    assert curfew.sweep(scheduled(), None)["adopted"] == []


def test_an_event_sweeps_its_own_instance(world: World) -> None:
    """The box is adopted within seconds of its start, and no other is touched."""
    box, other = world.compute.start(), world.compute.start()
    curfew.on_ec2_event(queued("rubbish", news_of(box)), None)
    leased = [instance for lease in world.store.open_leases() for instance in lease.instance_ids]
    assert leased == [box]
    assert other not in leased


def test_a_failed_event_comes_back_and_hides_no_other(world: World) -> None:
    """The queue brings the batch again; what was done stays done."""
    first, second = world.compute.start(), world.compute.start()
    world.store.inject("policy", OSError("the table is away"))
    with pytest.raises(EventsFailed, match=f"1 of 2 .*{first}"):
        curfew.on_ec2_event(queued(news_of(first), news_of(second)), None)
    assert [lease.instance_ids for lease in world.store.open_leases()] == [(second,)]
    curfew.on_ec2_event(queued(news_of(first), news_of(second)), None)
    assert len(world.store.open_leases()) == 2
