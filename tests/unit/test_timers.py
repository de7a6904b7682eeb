"""Timers of leases: armed at the launch, kept right by the sweep, removed at the close, and never in anybody's way."""

from dataclasses import replace
from datetime import timedelta

import pytest

from chalicelib.domain.errors import NoCapacity, Unavailable
from chalicelib.domain.lease import RequestType
from chalicelib.usecases.end import end_lease
from chalicelib.usecases.health import health
from tests.builders import HOUR, REGION, Stage, at, minutes
from tests.doubles.accidents import Crash
from tests.doubles.memory_timers import MemoryTimers

ONE_TIME, PERSISTENT = RequestType.ONE_TIME, RequestType.PERSISTENT
FAR = "eu-west-1"


@pytest.fixture
def timers() -> MemoryTimers:
    return MemoryTimers()


@pytest.fixture
def stage(timers: MemoryTimers) -> Stage:
    return Stage(timers=timers)


def test_a_one_time_launch_arms_expire_and_then_what_terminates_it(
    stage: Stage, timers: MemoryTimers
) -> None:
    """In the order of the table, before the caller has an answer."""
    lease = stage.launch(lasts_for=HOUR)
    (box,) = lease.instance_ids
    assert list(timers.of(lease.id).items()) == [
        ("expire", at("10:00")),
        (f"terminate-{box}", at("10:03")),
    ]
    assert stage.lease(lease.id).timers_at == at("09:00")


def test_a_persistent_launch_cancels_its_request_before_it_terminates(
    stage: Stage, timers: MemoryTimers
) -> None:
    """Terminated first, its request would start another box."""
    lease = stage.launch(request_type=PERSISTENT, lasts_for=HOUR)
    (box,), (request,) = lease.instance_ids, lease.spot_request_ids
    assert list(timers.of(lease.id).items()) == [
        ("expire", at("10:00")),
        (f"cancel-{request}", at("10:03")),
        (f"terminate-{box}", at("10:05")),
    ]


def test_direct_timers_are_the_box_s_region_s_and_expire_is_at_home(
    stage: Stage, timers: MemoryTimers
) -> None:
    """A universal target calls the service in the schedule's own region."""
    lease = stage.launch(region=FAR, lasts_for=HOUR)
    assert [where for where, _ in timers.armed] == [REGION, FAR]
    assert {timer.region for timer in stage.lease(lease.id).timers} == {REGION, FAR}


def test_a_launch_never_fails_for_want_of_a_scheduler(stage: Stage, timers: MemoryTimers) -> None:
    """The box runs, its timers are pending, and the next sweep that can arms them."""
    timers.down = {REGION}
    lease = stage.launch(lasts_for=HOUR)
    assert stage.lease(lease.id).timers_at is None
    record = stage.after(minutes(1))
    assert any("Scheduler" in line for line in record.lacking)
    assert timers.armed == {}
    timers.down = set()
    stage.after(minutes(1))
    assert len(timers.of(lease.id)) == 2
    assert stage.lease(lease.id).timers_at == at("09:02")


def test_a_crash_before_the_record_is_repaired(stage: Stage, timers: MemoryTimers) -> None:
    """The box that a sweep finds by its token gets its timers from that sweep's repair, whatever was armed before."""
    timers.inject("put", Crash(), skip=1)
    with pytest.raises(Crash):
        stage.launch(lasts_for=HOUR)
    stage.until(at("09:08"))
    lease = stage.only_lease()
    assert set(timers.of(lease.id)) == {"expire", f"terminate-{lease.instance_ids[0]}"}


def test_what_survives_its_adoption_is_armed(stage: Stage, timers: MemoryTimers) -> None:
    """Within ten sweeps; here within the one that adopts it."""
    box = stage.compute.start(market="one-time")
    stage.sweep()
    lease = stage.only_lease()
    assert timers.of(lease.id) == {"expire": at("17:00"), f"terminate-{box}": at("17:03")}


def test_an_adopted_persistent_box_is_cancelled_first(stage: Stage, timers: MemoryTimers) -> None:
    """By what was found."""
    stage.compute.start(market="persistent")
    stage.sweep()
    names = list(timers.of(stage.only_lease().id))
    assert [name.partition("-")[0] for name in names] == ["expire", "cancel", "terminate"]


def test_a_timer_ends_nothing_that_the_policy_would_not(stage: Stage, timers: MemoryTimers) -> None:
    """Once the policy adopts no more, what it has adopted is spared, and by timers too."""
    stage.compute.start()
    stage.sweep()
    assert timers.armed != {}
    stage.put_policy(unleased={"effect": "warn"})
    stage.after(minutes(1))
    assert timers.armed == {}
    stage.put_policy(unleased={"effect": "adopt"})
    stage.after(minutes(1))
    assert timers.armed != {}


def test_a_protected_adopted_box_has_its_timers_later(stage: Stage, timers: MemoryTimers) -> None:
    """`curfew:protect` keeps the end of an adoption away: the timers follow it."""
    box = stage.compute.start()
    stage.sweep()
    lease = stage.only_lease()
    stage.box(box).tags["curfew:protect"] = at("20:00").isoformat()
    stage.after(minutes(1))
    assert timers.of(lease.id) == {"expire": at("20:00"), f"terminate-{box}": at("20:03")}


def test_what_a_group_would_replace_is_left_to_curfew(stage: Stage, timers: MemoryTimers) -> None:
    """A call that ends the box alone starts another one."""
    stage.compute.start(group="web")
    stage.sweep()
    assert timers.of(stage.only_lease().id) == {"expire": at("17:00")}


def test_a_fleet_that_runs_one_box_alone_goes_with_it(stage: Stage, timers: MemoryTimers) -> None:
    """Ended without its fleet the box would be replaced, so the fleet is deleted first."""
    box = stage.compute.start(fleet_id="fleet-1", fleet_type="maintain")
    stage.sweep()
    assert timers.of(stage.only_lease().id) == {
        "expire": at("17:00"),
        "fleet": at("17:03"),
        f"terminate-{box}": at("17:05"),
    }


@pytest.mark.parametrize("other", ["g5.xlarge", "m5.large"])
def test_no_timer_deletes_a_fleet_that_runs_more_than_the_box(
    stage: Stage, timers: MemoryTimers, other: str
) -> None:
    """The other's time may be another, or it is none of Curfew's: its function takes the box out of the fleet."""
    box = stage.compute.start(fleet_id="fleet-1", fleet_type="maintain")
    stage.compute.start(other, fleet_id="fleet-1", fleet_type="maintain")
    stage.sweep()
    lease = next(one for one in stage.store.open_leases() if box in one.instance_ids)
    assert timers.of(lease.id) == {"expire": at("17:00")}


def test_a_timer_that_somebody_removed_is_back_within_a_day(stage: Stage, timers: MemoryTimers) -> None:
    """It is missed at its moment only, so it is put again each day, whatever is recorded of it."""
    stage.put_policy(lease={"max_for": "P5D"})
    lease = stage.launch(lasts_for=72 * HOUR)
    armed = dict(timers.armed)
    timers.armed.clear()
    stage.after(23 * HOUR)
    assert timers.armed == {}
    stage.after(HOUR)
    assert timers.armed == armed
    assert stage.lease(lease.id).timers_at == at("09:00", day=1)


def test_a_new_box_of_a_request_is_armed_too(stage: Stage, timers: MemoryTimers) -> None:
    """A relaunched instance has another id, and none of the old timers names it."""
    lease = stage.launch(request_type=PERSISTENT, lasts_for=8 * HOUR)
    stage.sweep()
    stage.compute.terminate(REGION, lease.instance_ids)
    stage.until(at("09:10"))
    new = [one for one in stage.alive if one not in lease.instance_ids]
    assert new
    assert {f"terminate-{one}" for one in new} <= set(timers.of(lease.id))


def test_what_somebody_removed_is_there_again_in_the_last_hour(stage: Stage, timers: MemoryTimers) -> None:
    """Nothing is listed every minute; an hour before a lease's end every timer is put anew."""
    lease = stage.launch(lasts_for=3 * HOUR)
    timers.armed.clear()
    stage.until(at("10:59"))
    assert timers.armed == {}
    stage.until(at("11:01"))
    assert len(timers.of(lease.id)) == 2


def test_a_minute_in_which_all_is_well_asks_scheduler_nothing(stage: Stage, timers: MemoryTimers) -> None:
    """What is armed is remembered in the lease."""
    stage.launch(lasts_for=8 * HOUR)
    before = list(timers.calls)
    stage.until(at("09:30"))
    assert timers.calls == before


def test_a_close_takes_the_timers_away(stage: Stage, timers: MemoryTimers) -> None:
    """Nothing is left behind by a lease that ended in time."""
    stage.launch(lasts_for=HOUR)
    stage.until(at("10:02"))
    assert stage.store.open_leases() == ()
    assert [call for call in timers.calls if call == "delete"]
    assert {timer.at for timer in timers.armed.values()} <= {at("10:00")}


def test_a_close_needs_no_scheduler(stage: Stage, timers: MemoryTimers) -> None:
    """A timer that can't be removed names what is gone, and goes by itself."""
    stage.launch(lasts_for=HOUR)
    timers.down = {REGION}
    stage.until(at("10:02"))
    assert stage.store.open_leases() == ()


def test_a_region_without_scheduler_keeps_no_other_region_from_it(stage: Stage, timers: MemoryTimers) -> None:
    """Each region's is asked by itself."""
    timers.down = {FAR}
    far, near = stage.launch(region=FAR, lasts_for=HOUR), stage.launch(lasts_for=HOUR)
    stage.after(minutes(1))
    assert set(timers.of(far.id)) == {"expire"}
    assert len(timers.of(near.id)) == 2


def test_one_timer_that_is_refused_keeps_no_other_from_it(stage: Stage, timers: MemoryTimers) -> None:
    """A ValidationException is about one timer: the region's others are armed."""
    timers.down = {REGION}
    leases = [stage.launch(lasts_for=HOUR) for _ in range(3)]
    timers.down = set()
    timers.inject("put", Unavailable("ValidationException", code="ValidationException"))
    stage.after(minutes(1))
    armed = [len(timers.of(lease.id)) for lease in leases]
    assert sorted(armed) == [0, 2, 2]
    stage.after(minutes(1))
    assert all(len(timers.of(lease.id)) == 2 for lease in leases)


def test_whoever_moves_a_lease_meanwhile_wins(stage: Stage, timers: MemoryTimers) -> None:
    """A repair that a PATCH overtakes reads the lease again: its timers are the PATCH's."""
    timers.down = {REGION}
    lease = stage.launch(lasts_for=HOUR)
    timers.down = set()

    def overtake(method: str, phase: str) -> None:
        if (method, phase) == ("put", "after"):
            timers.hook = lambda *_: None
            current = stage.lease(lease.id)
            stage.store.save_lease(replace(current, expires_at=at("11:00")))

    timers.hook = overtake
    stage.after(minutes(1))
    assert set(timers.of(lease.id).values()) == {at("11:00"), at("11:03")}


def test_no_timer_terminates_a_box_that_its_owner_has_stopped(stage: Stage, timers: MemoryTimers) -> None:
    """Its lease closes once its timers are gone: one that stayed would delete a box at rest, or the next start of it."""
    box = stage.compute.start()
    stage.until(at("09:05"))
    lease = stage.only_lease()
    assert set(timers.of(lease.id)) == {"expire", f"terminate-{box}"}
    timers.down = {REGION}
    stage.compute.stop(REGION, [box])
    stage.until(at("09:10"))
    assert stage.only_lease().id == lease.id
    timers.down = set()
    stage.until(at("09:12"))
    assert timers.armed == {}
    assert stage.only_lease().is_storage


def test_a_launch_that_came_to_nothing_leaves_no_timer(stage: Stage, timers: MemoryTimers) -> None:
    """What was armed before it was refused is gone with the next sweep."""
    stage.compute.ec2.no_capacity = {(REGION, "g5.xlarge")}
    with pytest.raises(NoCapacity):
        stage.launch(instance_types=("g5.xlarge",))
    assert timers.armed != {}
    stage.after(minutes(1))
    assert timers.armed == {}


def test_a_process_that_died_right_after_a_close_leaves_no_timer(stage: Stage, timers: MemoryTimers) -> None:
    """The next sweep removes what it had not come to."""
    lease = stage.launch(lasts_for=HOUR)
    stage.store.inject("close_lease", Crash(), after=True)
    with pytest.raises(Crash):
        end_lease(stage.services, lease.id, by="ada")
    assert timers.armed != {}
    stage.after(minutes(1))
    assert timers.armed == {}


def test_a_rehearsal_arms_nothing(timers: MemoryTimers) -> None:
    """A dry run touches no timer."""
    stage = Stage(timers=timers, is_dry_run=True)
    stage.compute.start()
    stage.sweep()
    assert timers.calls == []


def test_a_dry_run_takes_away_what_would_end_a_box_all_the_same(stage: Stage, timers: MemoryTimers) -> None:
    """Timers that were armed before would fire: the next sweep removes them, and arms them again once it may act."""
    lease = stage.launch(lasts_for=HOUR)
    stage.is_dry_run = True
    stage.after(minutes(1))
    assert timers.armed == {}
    calls = list(timers.calls)
    stage.until(at("09:10"))
    assert timers.calls == calls
    stage.is_dry_run = False
    stage.after(minutes(1))
    assert len(timers.of(lease.id)) == 2


def test_without_a_role_there_are_no_timers() -> None:
    """And nothing else is different."""
    stage = Stage()
    stage.launch(lasts_for=HOUR)
    stage.until(at("10:02"))
    assert stage.store.open_leases() == ()


def test_a_hanging_clock_of_scheduler_delays_no_launch(stage: Stage, timers: MemoryTimers) -> None:
    """Timers that take their time are pending: the launch answers all the same."""

    def slow(method: str, phase: str) -> None:
        if (method, phase) == ("put", "before"):
            stage.clock.sleep(30)

    timers.hook = slow
    lease = stage.launch(lasts_for=HOUR, instance_types=("g5.xlarge",))
    assert stage.lease(lease.id).timers_at is None
    assert timers.calls == ["put"]
    timers.hook = lambda *_: None
    stage.after(timedelta(minutes=1))
    assert len(timers.of(lease.id)) == 2


def test_health_tells_of_what_was_not_armed_within_ten_sweeps(stage: Stage, timers: MemoryTimers) -> None:
    """Not of what is merely young."""
    stage.launch(lasts_for=8 * HOUR)
    timers.down, timers.armed = {REGION}, {}
    lease = stage.launch(lasts_for=8 * HOUR)

    def told() -> list[str]:
        return [one["why"] for one in health(stage.services).missing if one["what"] == "timers of leases"]

    stage.until(at("09:09"))
    assert told() == []
    stage.until(at("09:10"))
    assert [lease.id in why for why in told()] == [True]
    timers.down = set()
    stage.until(at("09:11"))
    assert told() == []
