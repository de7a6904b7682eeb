"""Timers at EventBridge Scheduler, on localaws: made, moved, removed, and what they call."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from chalicelib.domain.ends import TERMINATE
from chalicelib.domain.errors import Unavailable
from chalicelib.domain.guard import Item
from chalicelib.domain.timer import EXPIRE, Timer
from chalicelib.gateways.aws import Aws
from chalicelib.gateways.ledger import MemoryLedger
from chalicelib.gateways.scheduler import SchedulerTimers
from localaws.world import World

ROLE = "arn:aws:iam::123456789012:role/curfew-timers"
FUNCTION = "arn:aws:lambda:us-east-1:123456789012:function:expire"
MINUTE = timedelta(minutes=1)


@pytest.fixture
def world() -> Iterator[World]:
    with World(seed=7) as one:
        yield one


def timers_in(world: World, ledger: MemoryLedger | None = None) -> SchedulerTimers:
    aws = Aws(world.home_region, session=world.session()._session, ledger=ledger)
    return SchedulerTimers(aws, role_arn=ROLE, expire_arn=FUNCTION)


def names(world: World) -> list[str]:
    """What schedules there are in the home region."""
    return [one["Name"] for one in world.session().client("scheduler").list_schedules()["Schedules"]]


def end_of(world: World, instance_id: str, *, after: timedelta = 10 * MINUTE) -> Timer:
    return Timer(
        name="curfew-lease-1-terminate",
        region="us-east-1",
        at=world.now + after,
        call=TERMINATE,
        input=json.dumps({"InstanceIds": [instance_id]}),
    )


def test_a_timer_ends_a_box_and_is_gone_itself(world: World) -> None:
    """AWS makes the call within a minute of its time, with nobody's help."""
    box, timers = world.start_box("g5.xlarge"), timers_in(world)
    timers.put(end_of(world, box.id))
    assert names(world) == ["curfew-lease-1-terminate"]
    world.advance(9 * MINUTE)
    assert box.state == "running"
    world.advance(3 * MINUTE)
    assert box.state == "terminated"
    assert names(world) == []


def test_a_timer_that_is_put_again_is_moved(world: World) -> None:
    """One name is one timer: the later word stands, whether it is earlier or later."""
    box, timers = world.start_box("g5.xlarge"), timers_in(world)
    first = end_of(world, box.id)
    for _ in range(2):
        timers.put(first)
    timers.put(replace(first, at=first.at + 10 * MINUTE))
    world.advance(12 * MINUTE)
    assert box.state == "running"
    timers.put(first := replace(first, at=world.now + MINUTE))
    world.advance(3 * MINUTE)
    assert box.state == "terminated"


def test_what_is_moved_back_to_where_it_was_is_moved(world: World) -> None:
    """The ClientToken of the first call must not make the third one nothing."""
    box, timers = world.start_box("g5.xlarge"), timers_in(world)
    first = end_of(world, box.id)
    for at in (first.at, first.at + 10 * MINUTE, first.at):
        timers.put(replace(first, at=at))
    world.advance(12 * MINUTE)
    assert box.state == "terminated"


def test_a_lost_answer_is_asked_for_again(world: World) -> None:
    """The timer is there though nobody knows; making it again is no error and makes no second one."""
    box, timers = world.start_box("g5.xlarge"), timers_in(world)
    world.fault(service="scheduler", operation="CreateSchedule", lost_answer=True, times=1)
    with pytest.raises(Unavailable):
        timers.put(end_of(world, box.id))
    timers.put(end_of(world, box.id))
    assert len(names(world)) == 1


def test_a_timer_can_be_removed_twice(world: World) -> None:
    """What is not there is removed."""
    box, timers = world.start_box("g5.xlarge"), timers_in(world)
    timers.put(end_of(world, box.id))
    for _ in range(2):
        timers.delete("us-east-1", "curfew-lease-1-terminate")
    world.advance(20 * MINUTE)
    assert box.state == "running"


def test_a_timer_in_the_past_is_refused(world: World) -> None:
    """And said, so that nothing waits for it (DefangLabs/pulumi-defang pull request 425)."""
    box = world.start_box("g5.xlarge")
    with pytest.raises(Unavailable, match="ValidationException"):
        timers_in(world).put(end_of(world, box.id, after=-MINUTE))


@pytest.mark.parametrize("code", ["ThrottlingException", "InternalServerException", "AccessDeniedException"])
def test_a_scheduler_that_fails_is_unavailable(world: World, code: str) -> None:
    """Whatever it says: arming is tried again by the next sweep."""
    box, timers = world.start_box("g5.xlarge"), timers_in(world)
    world.fault(service="scheduler", code=code)
    with pytest.raises(Unavailable, match=code):
        timers.put(end_of(world, box.id))
    with pytest.raises(Unavailable, match=code):
        timers.delete("us-east-1", "curfew-lease-1-terminate")


def test_the_expire_timer_calls_the_function(world: World) -> None:
    """With the lease's id, and nothing that could be out of date."""
    world.functions = frozenset({"expire"})
    timers_in(world).put(
        replace(end_of(world, "i-1"), name="curfew-lease-1-expire", call=EXPIRE, input='{"lease":"lease-1"}')
    )
    world.advance(12 * MINUTE)
    invocation = world.take_invocation()
    assert invocation is not None
    assert (invocation.function, invocation.event) == ("expire", {"lease": "lease-1"})


def test_each_timer_is_counted_once(world: World) -> None:
    """It bills when it fires; moving and removing it costs nothing."""
    box, ledger = world.start_box("g5.xlarge"), MemoryLedger()
    timers = timers_in(world, ledger)
    timers.put(end_of(world, box.id))
    timers.put(end_of(world, box.id, after=20 * MINUTE))
    timers.delete("us-east-1", "curfew-lease-1-terminate")
    assert ledger.hand_over(world.now, every=MINUTE) == {Item.SCHEDULES: 1}
