"""A PATCH moves every end of a lease in an order in which none is ever later than what is held for."""

from datetime import datetime, timedelta

import pytest

from chalicelib.domain.errors import Unavailable
from chalicelib.domain.lease import Lease, RequestType
from chalicelib.usecases.extend import extend
from tests.builders import HOUR, REGION, Stage, at, minutes
from tests.doubles.accidents import Crash
from tests.doubles.memory_timers import MemoryTimers

LONG = {"later": 3 * HOUR, "earlier": HOUR}
SHORT = {"later": HOUR, "earlier": 3 * HOUR}
CALLS = 12
"""More than a PATCH makes, so that the last cases are without an accident."""


def stage_with_timers() -> tuple[Stage, MemoryTimers]:
    timers = MemoryTimers()
    stage = Stage(timers=timers)
    stage.put_budget(limit=100)
    return stage, timers


def patch(stage: Stage, lease: Lease, length: timedelta) -> Lease:
    return extend(stage.services, lease.id, lasts_for=length, budget_usd=None, by="ada")


def held_until(stage: Stage, lease: Lease) -> datetime:
    """To which end its hold reaches: that of one hour is smaller than that of three."""
    one, three = (Stage().launch(request_type=lease.request_type, lasts_for=n * HOUR).hold for n in (1, 3))
    total = stage.lease(lease.id).hold.total_usd
    assert total in {one.total_usd, three.total_usd}
    return at("10:00") if total == one.total_usd else at("12:00")


def dies_at(stage: Stage, timers: MemoryTimers, number: int, phase: str) -> None:
    """The process ends before or after the n-th call that is made."""
    left = [number]

    def hook(method: str, when: str) -> None:
        if when != phase or method in {"lease", "policy", "budgets", "open_leases", "closed_leases"}:
            return
        left[0] -= 1
        if left[0] == 0:
            raise Crash

    stage.store.hook = timers.hook = hook


@pytest.mark.parametrize("kind", [RequestType.ONE_TIME, RequestType.PERSISTENT])
@pytest.mark.parametrize("way", ["later", "earlier"])
@pytest.mark.parametrize("phase", ["before", "after"])
@pytest.mark.parametrize("number", range(1, CALLS))
def test_a_crash_anywhere_leaves_no_end_later_than_what_is_held_for(
    kind: RequestType, way: str, phase: str, number: int
) -> None:
    """And a later sweep finishes: the end, its timers and its hold agree again."""
    stage, timers = stage_with_timers()
    lease = stage.launch(request_type=kind, lasts_for=SHORT[way])
    stage.sweep()
    dies_at(stage, timers, number, phase)
    done = False
    try:
        patch(stage, lease, LONG[way])
        done = True
    except Crash:
        pass
    stage.store.hook = timers.hook = lambda *_: None
    latest = held_until(stage, lease)
    assert stage.lease(lease.id).expires_at <= latest
    assert all(moment <= latest + minutes(5) for moment in timers.of(lease.id).values())
    stage.until(at("09:02"))
    now = stage.lease(lease.id)
    assert now.moving_to is None
    assert now.expires_at == held_until(stage, lease)
    assert not done or now.expires_at == at("09:00") + LONG[way]
    assert timers.of(lease.id)["expire"] == now.expires_at
    assert max(timers.of(lease.id).values()) - now.expires_at in {minutes(3), minutes(5)}
    assert stage.left() == 100 - now.hold.total_usd


@pytest.mark.parametrize("way", ["later", "earlier"])
def test_ends_move_in_the_order_of_the_design(way: str) -> None:
    """To later: hold, direct timers, expire, lease. To earlier: the reverse, the hold last."""
    stage, timers = stage_with_timers()
    lease = stage.launch(request_type=RequestType.PERSISTENT, lasts_for=SHORT[way])
    order: list[str] = []
    known = timers.of(lease.id)

    def note(method: str, when: str) -> None:
        if when == "after" and method in {"rehold", "save_lease"}:
            order.append(method)
        if when == "after" and method == "put":
            (moved,) = (name for name, moment in timers.of(lease.id).items() if known[name] != moment)
            known.update(timers.of(lease.id))
            order.append(moved.partition("-")[0])

    stage.store.hook = timers.hook = note
    patch(stage, lease, LONG[way])
    expected = ["rehold", "cancel", "terminate", "expire", "save_lease"]
    assert order == (expected if way == "later" else expected[::-1])


def test_a_sweep_in_the_midst_of_a_patch_tells_no_box_of_a_later_end() -> None:
    """It writes on each box what the lease says, which had to say the earlier end before the box was told of it."""
    stage, _ = stage_with_timers()
    lease = stage.launch(lasts_for=3 * HOUR)
    stage.sweep()
    waiting = ["save_lease"]

    def sweep_first(method: str, when: str) -> None:
        if when == "before" and method in waiting:
            waiting.clear()
            stage.sweep()

    stage.store.hook = sweep_first
    assert patch(stage, lease, HOUR).expires_at == at("10:00")
    assert stage.box(lease.instance_ids[0]).tags["curfew:expires-at"] == at("10:00").isoformat()


def test_a_silent_scheduler_lets_nothing_be_longer_than_its_timers() -> None:
    """More is held, the old end stands and the caller is told; the sweep goes on once Scheduler answers."""
    stage, timers = stage_with_timers()
    lease = stage.launch(lasts_for=HOUR)
    timers.down = {REGION}
    with pytest.raises(Unavailable, match="ends at its old time"):
        patch(stage, lease, 3 * HOUR)
    stage.until(at("09:02"))
    assert stage.lease(lease.id).expires_at == at("10:00")
    timers.down = set()
    stage.until(at("09:03"))
    assert stage.lease(lease.id).expires_at == at("12:00")
    assert timers.of(lease.id)["expire"] == at("12:00")


def test_a_silent_scheduler_keeps_the_hold_of_what_its_timers_would_let_run() -> None:
    """To earlier the lease ends at once as asked; what is held for the later timers stays until they have moved."""
    stage, timers = stage_with_timers()
    lease = stage.launch(lasts_for=3 * HOUR)
    timers.down = {REGION}
    cut = patch(stage, lease, HOUR)
    assert (cut.expires_at, cut.hold) == (at("10:00"), lease.hold)
    timers.down = set()
    stage.until(at("09:02"))
    assert stage.lease(lease.id).hold.total_usd < lease.hold.total_usd
    assert timers.of(lease.id)["expire"] == at("10:00")


def test_a_lease_whose_timers_are_pending_is_moved_all_the_same() -> None:
    """Nothing is armed that could end it too early."""
    stage, timers = stage_with_timers()
    timers.down = {REGION}
    lease = stage.launch(lasts_for=HOUR)
    assert patch(stage, lease, 3 * HOUR).expires_at == at("12:00")
    timers.down = set()
    stage.after(minutes(1))
    assert timers.of(lease.id)["expire"] == at("12:00")


@pytest.mark.parametrize("first", [HOUR, 3 * HOUR])
def test_two_changes_after_each_other_end_where_the_second_says(first: timedelta) -> None:
    """A change that was left is finished before the next one."""
    stage, timers = stage_with_timers()
    lease = stage.launch(lasts_for=2 * HOUR)
    timers.inject("put", Crash(), skip=1)
    with pytest.raises(Crash):
        patch(stage, lease, first)
    last = patch(stage, stage.lease(lease.id), 5 * HOUR)
    assert (last.expires_at, last.moving_to) == (at("14:00"), None)
    assert timers.of(lease.id)["expire"] == at("14:00")
