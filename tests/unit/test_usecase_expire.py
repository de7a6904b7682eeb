"""The expire function: one lease is judged anew and ended as a sweep would end it, with no sweep at all."""

from datetime import timedelta

import pytest

import app as curfew
from chalicelib.domain.errors import Unavailable
from chalicelib.domain.lease import RequestType, Status
from chalicelib.usecases.expire import expire
from chalicelib.usecases.extend import extend
from tests.builders import HOUR, REGION, Stage, at, minutes
from tests.doubles.memory_timers import MemoryTimers
from tests.unit.sweep_kit import BOTH, is_over, one_hour


@BOTH
def test_what_is_over_ends_without_a_sweep(kind: RequestType) -> None:
    """Its request and its box go; the record is closed once EC2 has shown that they are gone."""
    stage = Stage()
    lease = one_hour(stage, kind)
    stage.clock.advance(HOUR)
    outcomes = [expire(stage.services, lease.id)]
    while outcomes[-1] == "ending":
        stage.clock.advance(minutes(1))
        outcomes.append(expire(stage.services, lease.id))
    assert outcomes[-1] in {"done", "over"}
    assert is_over(stage)
    assert stage.receipt(lease.id).cause == "expired"


def test_what_has_been_extended_goes_on() -> None:
    """A timer knows a lease's id alone: when it ends is read from the lease."""
    stage = Stage()
    lease = one_hour(stage)
    extend(stage.services, lease.id, lasts_for=2 * HOUR, budget_usd=None, by="ada")
    stage.clock.advance(HOUR)
    assert expire(stage.services, lease.id) == "postponed"
    assert stage.lease(lease.id).status is Status.ACTIVE


def test_a_clock_that_is_slow_is_waited_for() -> None:
    """The timer came at its time: five seconds are no reason to do nothing."""
    stage = Stage()
    lease = one_hour(stage)
    stage.clock.advance(HOUR - timedelta(seconds=4))
    assert expire(stage.services, lease.id) in {"done", "ending"}
    assert stage.clock.now() == at("10:00")


def test_twice_is_once() -> None:
    """Lambda may invoke a function twice: the second finds nothing to do."""
    stage = Stage()
    lease = one_hour(stage)
    stage.clock.advance(HOUR)
    for _ in range(3):
        expire(stage.services, lease.id)
        stage.clock.advance(minutes(6))
    assert expire(stage.services, lease.id) == "over"
    assert len([call for call in stage.ending_calls if call.operation == "terminate"]) == 1


def test_what_something_spares_is_spared() -> None:
    """A timer has no more right than a sweep: an adopted box that is protected runs on."""
    stage = Stage()
    box = stage.compute.start()
    stage.sweep()
    lease = stage.only_lease()
    stage.box(box).tags["curfew:protect"] = at("20:00").isoformat()
    stage.clock.advance(8 * HOUR)
    assert expire(stage.services, lease.id) == "spared"
    assert stage.alive == [box]


def test_others_are_left_to_their_own_time() -> None:
    """It ends the lease it was called for, and looks at its region alone."""
    stage = Stage()
    first, second = one_hour(stage), one_hour(stage)
    stage.clock.advance(HOUR)
    expire(stage.services, first.id)
    assert stage.lease(second.id).status is Status.ACTIVE


def test_an_unknown_lease_is_over() -> None:
    """A timer of a lease that was never written is nobody's."""
    assert expire(Stage().services, "lease-0") == "over"


def test_a_table_that_fails_is_told_to_lambda() -> None:
    """Which calls again: an end is not lost for a minute's silence."""
    stage = Stage()
    lease = one_hour(stage)
    stage.clock.advance(HOUR)
    stage.store.inject("lease", Unavailable("DynamoDB: InternalServerError"))
    with pytest.raises(Unavailable):
        expire(stage.services, lease.id)


def test_what_it_closes_leaves_no_timers() -> None:
    """As a sweep's close does."""
    timers = MemoryTimers()
    stage = Stage(timers=timers)
    lease = one_hour(stage)
    stage.clock.advance(HOUR)
    while expire(stage.services, lease.id) not in {"done", "over"}:
        stage.clock.advance(minutes(1))
    assert {where for where, _ in timers.armed} <= {REGION}
    assert all(moment <= stage.clock.now() for moment in timers.of(lease.id).values())


def test_the_function_takes_an_event_and_a_context(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the timer sends: the lease's id."""
    stage = Stage()
    lease = one_hour(stage)
    monkeypatch.setattr(curfew.door, "services", lambda: stage.services)
    assert curfew.expire({"lease": lease.id}, None) == {"lease": lease.id, "outcome": "postponed"}
