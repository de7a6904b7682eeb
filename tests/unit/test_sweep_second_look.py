"""Right before a kill the box is looked at again, and a minute ends no more idle boxes than the policy allows."""

import pytest

from chalicelib.domain.errors import Unavailable
from chalicelib.domain.lease import Status
from chalicelib.domain.notices import Kind
from tests.builders import MINUTE, Stage, at
from tests.doubles.memory_compute import Call
from tests.unit.sweep_kit import idle_box, is_over, one_hour


def right_before_the_second_look(stage: Stage, act: object) -> None:
    """Once, when the sweep has decided and looks at one box again."""

    def hook(when: str, call: Call) -> None:
        if (when, call.operation) == ("before", "observe") and call.ids:
            stage.compute.on_call = lambda *_: None
            act()  # type: ignore[operator]

    stage.compute.on_call = hook


def about_to_end_for_idleness() -> tuple[Stage, str]:
    stage = Stage()
    lease = idle_box(stage)
    stage.until(at("09:59"))
    return stage, lease.instance_ids[0]


def test_an_idle_box_that_is_protected_in_the_meantime_is_not_ended() -> None:
    """The tag came between the look and the call: it counts."""
    stage, box = about_to_end_for_idleness()

    def protect() -> None:
        stage.box(box).tags["curfew:protect"] = "2026-11-24T00:00:00Z"

    right_before_the_second_look(stage, protect)
    stage.until(at("10:05"))
    assert stage.alive == [box]


def test_an_idle_box_ends_when_the_second_look_says_so_too() -> None:
    """Nothing changed: it ends in the same minute."""
    stage, _ = about_to_end_for_idleness()
    stage.until(at("10:05"))
    assert is_over(stage)


def test_an_idle_box_that_can_not_be_seen_again_waits_for_the_next_minute() -> None:
    """A look that fails spares it once, not for good."""
    stage, box = about_to_end_for_idleness()
    ends_at = next_end(stage)
    stage.clock.at = ends_at
    right_before_the_second_look(stage, lambda: stage.compute.fail("observe"))
    stage.sweep()
    assert stage.alive == [box]
    stage.after(MINUTE)
    assert is_over(stage)


def next_end(stage: Stage) -> object:
    """The minute at which a twin of it ends."""
    twin = Stage()
    idle_box(twin)
    twin.until(stage.clock.at)
    while twin.alive:
        twin.after(MINUTE)
    return twin.clock.at


def test_a_look_that_fails_spares_no_launch_at_its_hour() -> None:
    """What its hour ends is ended on what is known."""
    stage = Stage()
    one_hour(stage)
    stage.until(at("09:59"))
    right_before_the_second_look(stage, lambda: stage.compute.fail("observe", times=99))
    stage.until(at("10:00"))
    assert is_over(stage)


def test_a_look_that_fails_spares_no_adopted_box_at_its_hour() -> None:
    """Its adoption's hour is over, whether it can be seen again or not."""
    stage = Stage()
    stage.put_policy(unleased={"for": "PT40M"})
    box = stage.compute.start()
    stage.until(at("09:39"))
    stage.clock.advance(MINUTE)
    right_before_the_second_look(stage, lambda: stage.compute.fail("observe"))
    stage.sweep()
    assert box not in stage.alive


def test_an_adopted_box_that_is_protected_in_the_meantime_outlives_its_hour() -> None:
    """Protection covers the adoption's end, up to the last moment."""
    stage = Stage()
    stage.put_policy(unleased={"for": "PT40M"})
    box = stage.compute.start()
    stage.until(at("09:39"))
    stage.clock.advance(MINUTE)

    def protect() -> None:
        stage.box(box).tags["curfew:protect"] = "2026-11-24T00:00:00Z"

    right_before_the_second_look(stage, protect)
    stage.sweep()
    assert stage.alive == [box]
    assert stage.only_lease().status is Status.ACTIVE


def test_a_lease_that_was_changed_since_it_was_read_is_not_ended() -> None:
    """A PATCH between the decision and the claim wins."""
    stage, box = about_to_end_for_idleness()
    stage.clock.at = next_end(stage)  # type: ignore[assignment]

    def change() -> None:
        stage.store.save_lease(stage.only_lease())

    right_before_the_second_look(stage, change)
    stage.sweep()
    assert stage.alive == [box]


def test_where_the_minute_s_ends_can_t_be_counted_no_idle_box_ends() -> None:
    """It waits for the next minute, and people are told."""
    stage, box = about_to_end_for_idleness()
    stage.clock.at = next_end(stage)  # type: ignore[assignment]
    stage.store.inject("take_idle_end", Unavailable("DynamoDB: InternalServerError"))
    assert stage.sweep().deferred
    assert stage.alive == [box]
    stage.after(MINUTE)
    assert is_over(stage)


@pytest.mark.parametrize("cap", [1, 2])
def test_two_sweeps_in_one_minute_end_no_more_idle_boxes_than_one_may(cap: int) -> None:
    """The limit is the minute's, whoever sweeps; the rest waits and people are told."""
    stage = Stage()
    stage.put_policy(limits={"idle_ends_per_sweep": cap})
    for _ in range(5):
        idle_box(stage)
    stage.until(at("09:59"))
    stage.clock.at = next_end(stage)  # type: ignore[assignment]
    stage.sweep()
    record = stage.sweep()
    assert len(stage.alive) == 5 - cap
    assert len(record.deferred) == 5 - cap
    assert stage.told(Kind.DEFERRED)
    stage.after(MINUTE)
    assert len(stage.alive) == 5 - 2 * cap


def test_many_that_end_together_are_looked_at_in_one_look() -> None:
    """Hundreds of single ones would be throttled, and with them the ends; a tag set in between counts all the same."""
    stage = Stage()
    boxes = [stage.compute.start() for _ in range(12)]
    stage.sweep()
    stage.clock.at = at("17:00")
    stage.compute.calls.clear()

    def protect(when: str, call: Call) -> None:
        if (when, call.operation, call.region) == ("after", "observe", "us-east-1"):
            stage.box(boxes[7]).tags["curfew:protect"] = "2027-01-01"

    stage.compute.on_call = protect
    stage.sweep()
    assert len([call for call in stage.compute.calls if call.operation == "observe"]) <= 5
    assert stage.alive == [boxes[7]]
