"""Launches, leases and what runs, over HTTP: what each route answers and with which status."""

from datetime import timedelta

import pytest

import app as curfew
from tests.doubles.memory_ports import MINUTE, MemoryPrices
from tests.unit.web_kit import LAUNCH, World, open_world


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    """The app on doubles."""
    return open_world(monkeypatch)


def test_the_routes_are_those_that_are_built() -> None:
    """What is not built yet is absent, never a stub."""
    routes = {(method, path) for path, methods in curfew.app.routes.items() for method in methods}
    assert routes == {
        ("POST", "/spot-requests"),
        ("GET", "/spot-requests"),
        ("GET", "/spot-requests/{spot_request_id}"),
        ("DELETE", "/spot-requests/{spot_request_id}"),
        ("GET", "/leases"),
        ("GET", "/leases/{lease_id}"),
        ("PATCH", "/leases/{lease_id}"),
        ("DELETE", "/leases/{lease_id}"),
        ("GET", "/instances"),
        ("DELETE", "/instances/{instance_id}"),
        ("POST", "/instances/{instance_id}/image"),
        ("GET", "/budgets"),
        ("GET", "/budgets/{name}"),
        ("PUT", "/budgets/{name}"),
        ("DELETE", "/budgets/{name}"),
        ("POST", "/heartbeats"),
        ("GET", "/quotes"),
        ("GET", "/spend"),
        ("GET", "/images"),
        ("DELETE", "/images/{image_id}"),
        ("GET", "/key-pairs"),
        ("POST", "/key-pairs"),
        ("GET", "/security-groups"),
        ("POST", "/security-groups"),
        ("DELETE", "/security-groups/{group_id}"),
        ("GET", "/policy"),
        ("PUT", "/policy"),
        ("POST", "/sweeps"),
        ("GET", "/sweeps"),
        ("GET", "/receipts"),
        ("GET", "/health"),
        ("GET", "/openapi.json"),
        ("GET", "/snooze/{token}"),
        ("POST", "/snooze/{token}"),
        ("POST", "/notifications/test"),
        ("POST", "/transfers"),
        ("GET", "/transfers"),
        ("POST", "/transfers/{transfer_id}/parts"),
        ("POST", "/transfers/{transfer_id}/complete"),
        ("DELETE", "/transfers/{transfer_id}"),
        ("POST", "/sync"),
        ("POST", "/tokens"),
        ("GET", "/tokens"),
        ("DELETE", "/tokens/{token_id}"),
        ("GET", "/audit"),
    }


def test_every_route_but_health_needs_a_token(world: World) -> None:
    """Also a route that nobody thought of when this test was written."""
    for path, methods in curfew.app.routes.items():
        for method in methods:
            answer = world.respond(
                method, path.replace("{", "").replace("}", ""), headers={"Authorization": "Bearer x"}
            )
            assert (answer.status_code, answer.headers["Content-Type"]) == (
                401,
                "application/problem+json",
            ), path
    status, body = world("GET", "/health", headers={"Authorization": ""})
    assert status == 401, body


def test_a_launch_answers_its_lease(world: World) -> None:
    """With exactly the keys that others rely on, and a few more."""
    world("POST", "/key-pairs", {"name": "lab"})
    answer = world.respond(
        "POST", "/spot-requests", {**LAUNCH, "key_name": "lab", "project": "demo", "hours": 2}
    )
    lease = answer.json_body
    assert (answer.status_code, answer.headers["Location"]) == (201, f"/leases/{lease['id']}")
    assert set(lease) == {
        *("id", "status", "owner", "project", "request_type", "region", "spot_request_ids", "fleet_id"),
        *(
            "instance_ids",
            "launched_at",
            "expires_at",
            "snoozed_until",
            "guest_deadline",
            "timers",
            "ran_before_for",
            "hold_usd",
            "accrued_usd",
            "hourly_usd",
        ),
        *("budgets", "verdict", "ssh", "ssh_host_keys", "receipts"),
        *("compute_usd", "storage_usd", "public_ipv4_usd", "egress_usd", "egress", "leftovers"),
        *("snapshot_usd", "images", "on_end"),
        *("hold", "origin", "requested_at", "closed_at", "failure"),
        *("is_storage", "launched_by", "fleet_problem", "network", "instance_types", "tried", "sync"),
    }
    assert (lease["instance_types"], lease["tried"]) == (LAUNCH["instance_types"], [])
    assert (lease["status"], lease["owner"], lease["project"], lease["request_type"]) == (
        *("active", "admin", "demo", "one-time"),
    )
    assert (lease["launched_at"], lease["expires_at"]) == ("2026-11-23T09:00:00Z", "2026-11-23T11:00:00Z")
    assert lease["ssh"] == "ssh -i lab.pem ec2-user@203.0.113.7"
    assert lease["verdict"]["effect"] == "keep"
    parts = ("compute_usd", "storage_usd", "public_ipv4_usd", "egress_usd")
    assert set(lease["hold"]) == {*parts, "snapshot_usd"}
    assert lease["on_end"] == "terminate"
    assert len(lease["instance_ids"]) == len(lease["spot_request_ids"]) == len(world.compute.alive) == 1
    assert world("GET", f"/leases/{lease['id']}") == (200, lease)
    assert world("GET", "/leases") == (200, {"items": [lease], "next": None, "unseen": {}})


def test_the_same_key_launches_once(world: World) -> None:
    """With the same body it answers the same lease, with another it refuses."""
    key = {"Idempotency-Key": "one"}
    first = world("POST", "/spot-requests", {**LAUNCH, "budget_usd": 5}, key)
    again = world("POST", "/spot-requests", {**LAUNCH, "budget_usd": "5.00"}, key)
    other = world("POST", "/spot-requests", {**LAUNCH, "budget_usd": 6}, key)
    assert (first[0], again[0], other[0]) == (201, 201, 409)
    assert first[1]["id"] == again[1]["id"]
    assert other[1]["type"] == "/problems/idempotency-key-reused"
    assert (
        world("POST", "/spot-requests", LAUNCH)[1]["id"] != world("POST", "/spot-requests", LAUNCH)[1]["id"]
    )


@pytest.mark.parametrize("key", ["", " ", "a\tb", "é", "x" * 256])
def test_a_key_is_printable(world: World, key: str) -> None:
    """Anything else is a mistake of the caller's, told before anything starts."""
    status, body = world("POST", "/spot-requests", LAUNCH, {"Idempotency-Key": key})
    assert (status, body["errors"][0]["field"]) == (422, "Idempotency-Key")
    assert world.compute.alive == []


def test_a_launch_whose_answer_is_lost_is_a_202(world: World) -> None:
    """It may run: the hold stays until a sweep knows."""
    world.compute.fail("launch", times=9)
    status, lease = world("POST", "/spot-requests", LAUNCH)
    assert (status, lease["status"]) == (202, "requested")


def test_a_launch_is_answered_even_while_ec2_cannot_be_seen(world: World) -> None:
    """What has started and is held must not turn into an error."""
    world.compute.fail("regions", times=99)
    world.compute.fail("observe", times=99)
    status, lease = world("POST", "/spot-requests", LAUNCH)
    assert (status, lease["status"]) == (201, "active")


def test_a_dry_run_tells_each_price_and_which_budgets_would_take_it(world: World) -> None:
    """By the types that its GPUs come to: what they cost now, their caps, and the hold on each budget beside its room."""
    world("PUT", "/budgets/team", {"limit_usd": 100})
    world("PUT", "/budgets/small", {"limit_usd": 1})
    prices = MemoryPrices()
    prices.set_spot("us-east-1b", "g5.xlarge", "0.4")
    world.put(prices=prices)
    body = {"gpu": {"memory_gib": 24}, "image": LAUNCH["image"], "dry_run": True}
    status, quote = world("POST", "/spot-requests", body)
    assert (status, quote["instance_types"]) == (200, ["g5.xlarge"])
    assert quote["spot_usd_per_hour"] == {"g5.xlarge": {"us-east-1b": "0.4"}}
    assert quote["price_caps_usd_per_hour"] == {"g5.xlarge": "1.006"}
    assert {one["name"]: one["has_room"] for one in quote["budgets"]} == {"team": True, "small": False}
    assert {one["hold_usd"] for one in quote["budgets"]} == {quote["hold_usd"]}
    assert [one["type"] for one in quote["objections"]] == ["/problems/budget-exceeded"]


def test_a_launch_by_gpus_says_which_types_it_may_start(world: World) -> None:
    """And one that nothing fits is a 409 with what is nearest."""
    status, lease = world("POST", "/spot-requests", {"gpu": {"count": 8}, "image": LAUNCH["image"]})
    assert (status, lease["instance_types"]) == (201, ["p5.48xlarge"])
    status, problem = world("POST", "/spot-requests", {"gpu": {"name": "RTX 4090"}, "image": LAUNCH["image"]})
    assert (status, problem["type"]) == (409, "/problems/no-such-gpu")
    assert problem["nearest"][0]["count"] >= 1
    status, problem = world("POST", "/spot-requests", {**LAUNCH, "gpu": {}})
    assert (status, problem["errors"][0]["field"]) == (422, "body")
    for name in ("instance_types", "gpu"):
        assert name in problem["errors"][0]["detail"]


def test_a_launch_that_started_nothing_is_a_closed_lease_that_says_why(world: World) -> None:
    """With the problem that was answered, and every type and zone that was tried."""
    world.compute.ec2.no_capacity = {("us-east-1", "g5.xlarge")}
    status, problem = world("POST", "/spot-requests", LAUNCH)
    assert (status, problem["type"]) == (409, "/problems/no-capacity")
    (lease,) = world("GET", "/leases")[1]["items"]
    assert (lease["status"], lease["failure"]["slug"]) == ("closed", "no-capacity")
    assert lease["tried"] == lease["failure"]["tried"] == problem["tried"]
    assert (problem["tried"][0]["instance_type"], problem["tried"][0]["zone"]) == ("g5.xlarge", "us-east-1a")


def test_a_dry_run_quotes_and_starts_nothing(world: World) -> None:
    """Everything that speaks against it is listed as the problem it would be."""
    world("PUT", "/budgets/small", {"limit_usd": "1"})
    status, quote = world("POST", "/spot-requests", {**LAUNCH, "dry_run": True, "hours": 100})
    assert status == 200
    assert (quote["dry_run"], quote["would_launch"]) == (True, False)
    assert {each["type"] for each in quote["objections"]} == {
        "/problems/lease-limit",
        "/problems/budget-exceeded",
    }
    assert quote["price_caps_usd_per_hour"] == {"g5.xlarge": "1.006"}
    assert world.compute.alive == []
    assert world("GET", "/leases")[1]["items"] == []
    world("DELETE", "/budgets/small")
    status, quote = world("POST", "/spot-requests", {**LAUNCH, "dry_run": True})
    assert (status, quote["would_launch"], quote["objections"]) == (200, True, [])


def test_a_budget_without_room_refuses_by_name(world: World) -> None:
    """And nothing was launched or held."""
    world("PUT", "/budgets/small", {"limit_usd": "1"})
    status, body = world("POST", "/spot-requests", LAUNCH)
    assert (status, body["type"], body["budget"]) == (409, "/problems/budget-exceeded", "small")
    assert world("GET", "/budgets/small")[1]["left_usd"] == "1"
    assert world.compute.alive == []


@pytest.mark.parametrize("way", ["leases", "spot-requests", "instances"])
def test_the_three_deletes_answer_the_same_receipt(world: World, way: str) -> None:
    """200 once it is over, and again the same when asked again."""
    lease = world.launched(request_type="persistent")
    named = {
        "leases": lease["id"],
        "spot-requests": lease["spot_request_ids"][0],
        "instances": lease["instance_ids"][0],
    }[way]
    status, receipt = world("DELETE", f"/{way}/{named}")
    assert (status, receipt["status"], receipt["lease_id"]) == (200, "done", lease["id"])
    assert [step["action"] for step in receipt["steps"]][:2] == ["cancel-spot-request", "terminate-instance"]
    assert all(step["at"] and step["call"] and step["answer"] for step in receipt["steps"])
    assert world.compute.alive == []
    assert world("DELETE", f"/{way}/{named}") == (200, receipt)
    assert world("GET", "/receipts") == (200, {"items": [receipt], "next": None})
    closed = world("GET", f"/leases/{lease['id']}")[1]
    assert (closed["status"], closed["receipts"], closed["verdict"]) == ("closed", [receipt], None)
    assert closed["accrued_usd"] == receipt["cost_usd"]


def test_an_end_that_takes_longer_is_a_202(world: World) -> None:
    """The receipt says `ending` until a sweep has seen it gone; `wait` waits for that no longer than asked."""
    world.compute.ec2.shutting_down_for = timedelta(minutes=2)
    world.compute.fail("terminate", times=9)
    lease = world.launched()
    status, receipt = world("DELETE", f"/leases/{lease['id']}")
    assert (status, receipt["status"]) == (202, "ending")
    status, seen = world("GET", f"/leases/{lease['id']}?wait=3")
    assert (status, seen["status"], world.clock.slept) == (200, "ending", [1, 1, 1])


def test_waiting_for_a_settled_lease_takes_no_time(world: World) -> None:
    """An active lease is answered at once, whatever `wait` says; more than 25 s is refused."""
    lease = world.launched()
    assert world("GET", f"/leases/{lease['id']}?wait=25")[0] == 200
    assert world.clock.slept == []
    assert world("GET", f"/leases/{lease['id']}?wait=26")[0] == 422


def test_a_lease_is_extended_within_its_limits(world: World) -> None:
    """`hours` is the new total length."""
    lease = world.launched(hours=1)
    status, longer = world("PATCH", f"/leases/{lease['id']}", {"hours": 5})
    assert (status, longer["expires_at"]) == (200, "2026-11-23T14:00:00Z")
    status, refused = world("PATCH", f"/leases/{lease['id']}", {"hours": 1000})
    assert (status, refused["type"]) == (409, "/problems/lease-limit")
    assert world("PATCH", f"/leases/{lease['id']}", {})[0] == 422


def test_what_others_started_is_listed_and_ended_too(world: World) -> None:
    """Spot requests and instances, leased or not."""
    box = world.compute.start("g5.xlarge", "us-west-2", market="persistent")
    _, boxes = world("GET", "/instances")
    assert [each["id"] for each in boxes["items"]] == [box]
    seen = boxes["items"][0]
    assert (seen["instance_type"], seen["region"], seen["lease_id"]) == ("g5.xlarge", "us-west-2", None)
    assert seen["evidence"]["use"] == "unknown"
    _, requests = world("GET", "/spot-requests")
    request = requests["items"][0]
    assert (request["request_type"], request["state"], request["instance_id"]) == (
        "persistent",
        "active",
        box,
    )
    assert world("GET", f"/spot-requests/{request['id']}") == (200, request)
    status, receipt = world("DELETE", f"/instances/{box}")
    assert (status, receipt["origin"], world.compute.alive) == (200, "adopted", [])


def test_lists_are_paged(world: World) -> None:
    """Every item once, in as many pages as the limit makes."""
    ids = {world.compute.start("g5.xlarge") for _ in range(5)}
    for _ in range(3):
        world("POST", "/sweeps")
        world.clock.advance(MINUTE)
    for path in ("/instances", "/sweeps"):
        seen: list[str] = []
        query: str | None = "limit=2"
        while query:
            _, page = world("GET", f"{path}?{query}")
            assert 0 < len(page["items"]) <= 2
            seen += [item["id"] for item in page["items"]]
            query = f"limit=2&cursor={page['next']}" if page["next"] else None
        assert len(seen) == len(set(seen)) >= 3
        assert path != "/instances" or set(seen) == ids
        assert world("GET", f"{path}?cursor=nonsense")[1]["type"] == "/problems/bad-cursor"


@pytest.mark.parametrize("path", ["/leases/nope", "/spot-requests/sir-nope", "/budgets/nope"])
def test_an_unknown_id_is_a_404(world: World, path: str) -> None:
    """As a problem that says where to look."""
    for method in ("GET", "DELETE"):
        status, body = world(method, path)
        assert (status, body["type"]) == (404, "/problems/not-found")
    assert world("DELETE", "/instances/i-0")[0] == 404
