"""While EC2 takes calls and never answers, every call over HTTP is answered within 25 s, and says what is not known."""

from collections.abc import Iterator
from threading import Event

import pytest

from chalicelib.ports import Page
from tests.contract.compute_labs import let_finish
from tests.doubles.memory_compute import Call
from tests.doubles.memory_ports import MemoryPrices
from tests.unit.web_kit import LAUNCH, World, open_world

CONTRACT_SECONDS = 25
REGIONS_SECONDS, PRICES_SECONDS, LAUNCH_SECONDS = 3, 7, 16
"""What those calls take at most where nothing answers: see test_ec2_hanging."""


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """The app on doubles; after `hang` nothing of EC2 answers in its time."""
    yield open_world(monkeypatch)
    let_finish("end")


def hang(world: World) -> None:
    """Every region hangs, DescribeRegions and prices with them."""
    world.compute.hanging = set(world.compute.names)
    waits = {"regions": REGIONS_SECONDS, "launch": LAUNCH_SECONDS}

    def wait(when: str, call: Call) -> None:
        if when == "before" and call.operation in waits:
            world.clock.sleep(waits[call.operation])

    world.compute.on_call = wait
    prices = world.services.prices
    assert isinstance(prices, MemoryPrices)
    on_demand = prices.on_demand

    def slowly() -> object:
        world.clock.sleep(PRICES_SECONDS)
        return on_demand()

    setattr(prices, "on_demand", slowly)  # noqa: B010 (mypy)


def seconds(world: World, method: str, path: str, body: object = None) -> tuple[int, float]:
    """The status, and how long that took."""
    begun = world.clock.elapsed()
    status, _ = world(method, path, body)
    return status, world.clock.elapsed() - begun


@pytest.mark.parametrize(
    "method, path, body",
    [
        ("GET", "/leases", None),
        ("GET", "/leases/{id}", None),
        ("GET", "/instances", None),
        ("GET", "/spot-requests", None),
        ("GET", "/budgets", None),
        ("GET", "/budgets/team", None),
        ("PUT", "/budgets/team", {"limit_usd": 200}),
        ("PUT", "/budgets/new", {"limit_usd": 200}),
        ("DELETE", "/budgets/team", None),
        ("PATCH", "/leases/{id}", {"hours": 9}),
        ("GET", "/spend", None),
    ],
)
def test_a_call_is_answered_while_every_region_hangs(
    world: World, method: str, path: str, body: object
) -> None:
    """With what is known from the table, and never later than 25 s."""
    lease = world.launched()
    world("PUT", "/budgets/team", {"limit_usd": 100})
    hang(world)
    status, took = seconds(world, method, path.format(**lease), body)
    assert status in {200, 204}
    assert took <= CONTRACT_SECONDS


def test_a_budget_is_put_after_one_look(world: World) -> None:
    """What is answered is that look with the table read anew: a second one would double the time."""
    world.launched()
    world.compute.calls.clear()
    world("PUT", "/budgets/team", {"limit_usd": 100})
    assert [call.operation for call in world.compute.calls] == ["regions", *["observe"] * 3]


@pytest.mark.parametrize(
    "path", ["/leases/{id}", "/instances/{instance_ids[0]}", "/spot-requests/{spot_request_ids[0]}"]
)
def test_an_end_that_hangs_is_a_202(world: World, path: str) -> None:
    """It goes on by the ids that are known, and the caller polls its lease."""
    lease = world.launched()
    hang(world)
    slow, answers = world.compute.on_call, Event()

    def hang_in_the_end(when: str, call: Call) -> None:
        slow(when, call)
        if when == "before" and call.operation == "observe":
            world.clock.sleep(CONTRACT_SECONDS)  # by then nothing is waited for: the test takes no real time
        if when == "before" and call.operation in {"terminate", "cancel_spot_requests"}:
            answers.wait()

    world.compute.on_call = hang_in_the_end
    status, receipt = world("DELETE", path.format(**lease))
    answers.set()
    assert (status, receipt["status"]) == (202, "ending")


def test_waiting_for_a_lease_leaves_time_for_the_answer(world: World) -> None:
    """`wait=25` on a lease that goes on ending in a region that hangs."""
    lease = world.launched()
    world.compute.fail("terminate", times=9)
    assert world("DELETE", f"/leases/{lease['id']}")[0] == 202
    hang(world)
    status, took = seconds(world, "GET", f"/leases/{lease['id']}?wait=25")
    assert status == 200
    assert 10 <= took <= CONTRACT_SECONDS


def test_a_launch_that_hangs_is_a_202_with_its_bare_record(world: World) -> None:
    """Its hold stays until the sweep knows; no look that hangs as well is waited for."""
    hang(world)
    world.compute.fail("launch", times=9)
    begun = world.clock.elapsed()
    status, lease = world("POST", "/spot-requests", LAUNCH)
    assert (status, lease["status"]) == (202, "requested")
    assert world.clock.elapsed() - begun <= CONTRACT_SECONDS
    assert lease["id"]


def test_a_launch_that_has_to_wait_for_what_it_must_know_is_not_begun(world: World) -> None:
    """503: nothing was launched, nothing is held, and the same key may be used again."""

    def slow_image(when: str, call: Call) -> None:
        if (when, call.operation) == ("before", "image"):
            world.clock.sleep(9)

    world.compute.on_call = slow_image
    status, problem = world("POST", "/spot-requests", LAUNCH)
    assert (status, problem["type"]) == (503, "/problems/unavailable")
    assert "nothing was launched" in problem["detail"]
    assert "Idempotency-Key" in problem["detail"]
    assert world.store.leases(limit=9, cursor=None) == Page(())
    assert world.compute.acts == []


def test_a_sweep_by_hand_leaves_messages_and_tags_to_the_next(world: World) -> None:
    """Whoever asked has an answer; what is not sent stays in the outbox."""
    for _ in range(5):
        world.compute.start()
    waits = {"regions": REGIONS_SECONDS, "observe": 17 / 3, "tag": 4}

    def tag_slowly(when: str, call: Call) -> None:
        if when == "before":
            world.clock.sleep(waits.get(call.operation, 0))

    world.compute.on_call = tag_slowly
    status, took = seconds(world, "POST", "/sweeps", {})
    assert len(world.compute.alive) == 5
    assert status == 200
    assert took <= CONTRACT_SECONDS
