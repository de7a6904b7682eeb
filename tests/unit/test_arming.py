"""Which timers a lease is to have, and in which order they move."""

from dataclasses import replace

from chalicelib.domain.arming import change, shifted
from chalicelib.domain.ends import timers_of
from tests.builders import HOUR, REGION, Stage, at, lease
from tests.doubles.memory_timers import MemoryTimers

ITS = lease(expires_at=at("10:00"))
TIMERS = timers_of(ITS, home_region=REGION)


def test_a_moment_that_has_passed_is_neither_armed_nor_removed() -> None:
    """Scheduler refuses a time in the past: one such timer would keep those that follow it pending for ever."""
    expire, *direct = TIMERS
    assert direct
    assert change(ITS, TIMERS, at("10:01")).put == tuple(direct)
    assert change(ITS, TIMERS, at("10:01"), anew=True).put == tuple(direct)
    assert change(replace(ITS, timers=TIMERS), (), at("10:01")).drop == tuple(direct)
    assert expire.at < at("10:01")


def test_what_ends_a_box_is_moved_to_later_before_the_call_of_curfew() -> None:
    """However they were armed: a crash between them leaves Curfew, which looks first, and not a call that does not."""
    armed = replace(ITS, timers=TIMERS)
    moved = shifted(armed, at("12:00"), at("09:30"))
    assert [one.name for one in moved] == [one.name for one in (*TIMERS[1:], TIMERS[0])]
    assert [one.at - old.at for one, old in zip(moved, (*TIMERS[1:], TIMERS[0]), strict=True)] == [
        2 * HOUR for _ in moved
    ]


def test_no_timer_deletes_a_fleet_that_may_have_started_something_else() -> None:
    """A call can't tell accelerators from a web server: one that its fleet could have launched is nobody's to end."""
    timers = MemoryTimers()
    stage = Stage(timers=timers)
    stage.compute.start(fleet_id="fleet-1", fleet_type="maintain")
    stage.compute.ec2.controllers.fleets["fleet-1"].may_start.add("m5.large")
    stage.sweep()
    assert timers.of(stage.only_lease().id) == {"expire": at("17:00")}


def test_no_timer_ends_a_box_of_a_fleet_that_a_group_would_replace() -> None:
    """The fleet gone, the group starts the next one."""
    timers = MemoryTimers()
    stage = Stage(timers=timers)
    stage.compute.start(fleet_id="fleet-1", fleet_type="maintain", group="web")
    stage.sweep()
    assert timers.of(stage.only_lease().id) == {"expire": at("17:00")}
