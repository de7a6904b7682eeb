"""The world in a process: its clock, its agenda, and that there is one of it."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from localaws.agenda import Agenda
from localaws.clock import Clock
from localaws.errors import LocalAwsError
from localaws.world import World

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


def test_the_clock_of_the_process_stands_at_the_worlds_time_and_is_given_back() -> None:
    """datetime.now follows `advance` inside, is real outside, and time.monotonic is real throughout."""
    before, monotonic = datetime.now(UTC), time.monotonic()
    with World(start=START) as world:
        assert datetime.now(UTC) == world.now == START
        world.advance(HOUR)
        assert datetime.now(UTC) == world.now == START + HOUR
        assert time.monotonic() - monotonic < 60
    assert datetime.now(UTC) - before < MINUTE


def test_one_world_at_a_time(world: World) -> None:
    """A second one is refused in words: moto's state and the clock belong to the process."""
    with pytest.raises(LocalAwsError, match="another World"), World():
        pass


def test_what_is_due_happens_at_its_own_moment_and_in_order(world: World) -> None:
    """Actions see the time they were due at, those of one moment in the order they were entered."""
    seen: list[tuple[str, datetime]] = []
    for name, minutes in (("late", 9), ("early", 1), ("also early", 1), ("never", 11)):
        world.later(minutes * MINUTE, lambda name=name: seen.append((name, world.now)))  # type: ignore[misc]
    began = world.now
    world.advance(10 * MINUTE)
    assert seen == [
        ("early", began + MINUTE),
        ("also early", began + MINUTE),
        ("late", began + 9 * MINUTE),
    ]


def test_an_action_may_plan_another_within_the_same_move(world: World) -> None:
    """A chain of minutes runs to the end of the move."""
    seen: list[datetime] = []

    def again() -> None:
        seen.append(world.now)
        world.later(MINUTE, again)

    world.later(MINUTE, again)
    world.advance(5 * MINUTE)
    assert len(seen) == 5


def test_the_clock_never_goes_back() -> None:
    """Neither does it take a time without its zone."""
    with pytest.raises(ValueError, match="go back"):
        Clock(START).move_to(START - MINUTE)
    with pytest.raises(ValueError, match="aware"):
        Clock(START.replace(tzinfo=None))


def test_an_empty_agenda_has_nothing_due() -> None:
    """No next moment, no action."""
    agenda = Agenda()
    assert (agenda.next_at, agenda.pop_due(START)) == (None, None)


def test_starting_over_leaves_nothing_but_the_time(world: World, ec2: Any) -> None:
    """Boxes, requests, calls and faults are gone, the clock goes on from where it is."""
    world.start_box("g5.xlarge", market="persistent")
    world.fault(service="ec2", operation="StopInstances")
    world.advance(HOUR)
    now = world.now
    world.start_over()
    truth = world.truth()
    assert (truth["instances"], truth["spot_requests"], truth["calls"]) == ([], [], [])
    assert (world.now, world.faults.as_dicts()) == (now, [])
    assert ec2.describe_instances()["Reservations"] == []
    world.advance(HOUR)
    assert world.truth()["instances"] == []


def test_the_truth_is_the_same_for_the_same_seed() -> None:
    """Ids, zones, delays and bills of a run can be repeated exactly."""

    def run() -> Any:
        with World(seed=5) as world:
            box = world.start_box("g5.xlarge", market="persistent")
            world.advance(HOUR)
            world.session().client("ec2").terminate_instances(InstanceIds=[box.id])
            world.advance(HOUR)
            return world.truth()

    first = run()
    assert first == run()
    assert len(first["instances"]) == 2


def test_ended_boxes_stay_in_the_truth_for_ever(world: World, ec2: Any) -> None:
    """AWS forgets after an hour, the truth never does."""
    box = world.start_box("g5.xlarge")
    ec2.terminate_instances(InstanceIds=[box.id])
    world.advance(100 * HOUR)
    assert [row["id"] for row in world.truth()["instances"]] == [box.id]
