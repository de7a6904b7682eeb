"""Two at once that take boxes out of one fleet: each takes its own, and neither sets a size that the other has changed."""

from typing import Any

import pytest

from chalicelib.domain.errors import Unavailable
from chalicelib.usecases.alone import alone_in
from chalicelib.usecases.end import end_instance
from chalicelib.usecases.gather import gather
from tests.builders import REGION, Stage, minutes
from tests.doubles.memory_compute import Call
from tests.unit.test_sweep_controllers import FLEET, KINDS, wanted


def in_between(stage: Stage, operation: str, when: str, act: Any) -> None:
    """Once, around the next call of an operation."""

    def hook(phase: str, call: Call) -> None:
        if (phase, call.operation, call.region) == (when, operation, REGION):
            stage.compute.on_call = lambda *_: None
            act()

    stage.compute.on_call = hook


@KINDS
@pytest.mark.parametrize("operation", ["observe", "terminate"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_two_that_end_boxes_of_one_fleet_at_once_shrink_it_by_two(
    facts: dict[str, Any], operation: str, when: str
) -> None:
    """Also where one has looked before the other acted: nothing is started in place of what has ended."""
    stage = Stage()
    boxes = [stage.compute.start(**facts) for _ in range(3)]
    stage.sweep()
    in_between(stage, operation, when, lambda: end_instance(stage.services, boxes[0], by="bob"))
    end_instance(stage.services, boxes[1], by="ada")
    for _ in range(7):
        stage.after(minutes(1))
    assert (stage.alive, wanted(stage, facts)) == ([boxes[2]], 1)
    assert len(stage.compute.ec2.boxes) == 3


@pytest.mark.parametrize("operation", ["shrink_fleet"])
def test_who_finds_another_at_it_waits_for_the_next_sweep(operation: str) -> None:
    """A size is set by one at a time; the other's box ends a minute later."""
    stage = Stage()
    boxes = [stage.compute.start(**FLEET) for _ in range(3)]
    stage.sweep()
    in_between(stage, operation, "before", lambda: end_instance(stage.services, boxes[0], by="bob"))
    end_instance(stage.services, boxes[1], by="ada")
    assert set(boxes[1:]) & set(stage.alive) == {boxes[2]}
    for _ in range(7):
        stage.after(minutes(1))
    assert (stage.alive, wanted(stage, FLEET)) == ([boxes[2]], 1)


def test_a_dead_holder_keeps_nobody_out_for_longer_than_its_claim() -> None:
    """After 55 s the lock is anybody's, and what the dead one does later it does without it."""
    stage = Stage()
    stage.compute.start(**FLEET)
    facts = gather(stage.services, stage.clock.now())
    held = alone_in(stage.services, facts, REGION)
    with held as first:
        assert first
        with alone_in(stage.services, facts, REGION) as second:
            assert second is None
        stage.clock.advance(minutes(1))
        with alone_in(stage.services, facts, REGION) as third:
            assert third
            assert third.fence > first.fence
            assert not first.is_still_so
            assert third.is_still_so


def test_a_lock_that_the_table_does_not_confirm_is_nobody_s() -> None:
    """A size that may be another's to set is not set."""
    stage = Stage()
    stage.compute.start(**FLEET)
    with alone_in(stage.services, gather(stage.services, stage.clock.now()), REGION) as held:
        assert held
        stage.store.inject("holds_lock", Unavailable("DynamoDB: InternalServerError"))
        assert not held.is_still_so
        assert held.is_still_so


def test_a_lock_that_is_given_back_is_free_at_once() -> None:
    """The next one waits for nobody's 55 s."""
    stage = Stage()
    stage.compute.start(**FLEET)
    facts = gather(stage.services, stage.clock.now())
    with alone_in(stage.services, facts, REGION):
        pass
    before = stage.clock.now()
    with alone_in(stage.services, facts, REGION) as held:
        assert held
    assert stage.clock.now() == before


def test_what_needs_no_lock_takes_none() -> None:
    """A box that nothing starts again is ended without one."""
    stage = Stage()
    box = stage.compute.start()
    stage.sweep()
    end_instance(stage.services, box, by="ada")
    assert "lock" not in stage.store.calls
