"""Launches that a fleet maintains: EC2 starts their boxes by and by, and another for each that ends."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from chalicelib.domain.disarm import is_armed, with_disarming
from chalicelib.domain.errors import Refused
from chalicelib.domain.fleets import FORGOTTEN, Fleet
from chalicelib.domain.lease import Lease, RequestType, Status
from chalicelib.domain.money import up_to_cent
from chalicelib.domain.notices import Kind
from chalicelib.domain.plan import begin_ending
from chalicelib.domain.steps import END_FLEET, open_steps
from chalicelib.domain.tracking import holdings
from chalicelib.usecases import report
from chalicelib.usecases.end import end_instance, end_lease, end_spot_request
from chalicelib.usecases.launch import quote
from chalicelib.web import views
from chalicelib.web.launches import wait_until_settled
from tests.builders import HOUR, REGION, TYPE, Stage, lease, minutes, order, sight, usd
from tests.doubles.accidents import Crash
from tests.doubles.memory_compute import Call

MAINTAIN = RequestType.MAINTAIN


def asked(stage: Stage, boxes: int = 2, **wishes: Any) -> Lease:
    return stage.launch(request_type=MAINTAIN, target_capacity=boxes, lasts_for=8 * HOUR, **wishes)


def up(stage: Stage, boxes: int = 2, **wishes: Any) -> Lease:
    """A launch whose boxes a sweep has seen."""
    launched = asked(stage, boxes, **wishes)
    stage.after(minutes(1))
    return stage.lease(launched.id)


def is_over(stage: Stage) -> bool:
    fleets = [one for one in stage.compute.ec2.controllers.fleets.values() if one.state == "active"]
    return (stage.alive, fleets, stage.store.open_leases()) == ([], [], ())


def during(stage: Stage, operation: str, act: Callable[[], object], *, when: str = "after") -> None:
    def hook(phase: str, call: Call) -> None:
        if (phase, call.operation) == (when, operation):
            stage.compute.on_call = lambda *_: None
            act()

    stage.compute.on_call = hook


def die() -> None:
    raise Crash


# -- the launch ----------------------------------------------------------------------------------------------------------


def test_a_launch_is_active_once_its_fleet_is_known() -> None:
    """Its boxes come later, and are the lease's by the fleet; the hold is for all of them from the start."""
    stage = Stage()
    stage.put_budget(limit=1000)
    launched = asked(stage, 3)
    assert (launched.status, launched.instance_ids) == (Status.ACTIVE, ())
    assert launched.fleet_id
    assert launched.launched_at == stage.clock.now()
    (told,) = stage.told(Kind.LAUNCHED)
    assert launched.fleet_id in told.title
    assert launched.hold.compute_usd == up_to_cent(3 * usd("1.006") * usd("8.25"))
    assert stage.left() == 1000 - launched.hold.total_usd
    stage.sweep()
    assert sorted(stage.only_lease().instance_ids) == sorted(stage.alive)
    assert len(stage.alive) == 3


def test_its_boxes_do_not_shut_themselves_down() -> None:
    """The fleet would start another for each: user data stays the caller's own, and no deadline is promised."""
    stage = Stage()
    launched = asked(stage, user_data="#!/bin/sh\necho hi\n")
    assert launched.guest_deadline is None
    assert launched.valid_until == stage.clock.now() + stage.store.policy()[0].lease.max_for


def test_a_lost_answer_is_the_same_fleet() -> None:
    """The call is made again with its token, at once; then the sweep looks the fleet up."""
    stage = Stage()
    stage.compute.fail("launch", takes_effect=True)
    assert asked(stage).status is Status.ACTIVE
    stage.compute.fail("launch", times=9, takes_effect=True)
    assert asked(stage).status is Status.REQUESTED
    stage.compute.mend()
    stage.until(stage.clock.now() + minutes(2))
    first, second = stage.store.open_leases()
    assert {first.status, second.status} == {Status.ACTIVE}
    assert first.fleet_id != second.fleet_id
    assert len(stage.alive) == 4
    assert sorted((*first.instance_ids, *second.instance_ids)) == sorted(stage.alive)


@pytest.mark.parametrize("has_room", [True, False])
def test_a_fleet_whose_launcher_died_is_found_with_boxes_and_without(*, has_room: bool) -> None:
    """A fleet that has started nothing yet is known by its own token; its boxes are never taken for strays."""
    stage = Stage()
    if not has_room:
        stage.compute.ec2.no_capacity.add((REGION, TYPE))
    during(stage, "launch", die)
    with pytest.raises(Crash):
        asked(stage)
    stage.until(stage.clock.now() + minutes(2))
    found = stage.only_lease()
    assert found.status is Status.ACTIVE
    assert found.fleet_id in stage.compute.ec2.controllers.fleets
    assert len(found.instance_ids) == (2 if has_room else 0)


def test_a_launcher_that_died_before_the_call_leaves_nothing() -> None:
    """The whole hold goes back."""
    stage = Stage()
    stage.put_budget(limit=1000)
    during(stage, "launch", die, when="before")
    with pytest.raises(Crash):
        asked(stage)
    stage.until(stage.clock.now() + minutes(7))
    assert is_over(stage)
    assert stage.left() == 1000


def test_a_lease_that_is_ended_while_it_launches_takes_its_fleet_along() -> None:
    """Deleted with what it runs, whoever gets there first."""
    stage = Stage()

    def end() -> None:
        end_lease(stage.services, stage.only_lease().id, by="ada")

    during(stage, "launch", end, when="before")
    with pytest.raises(Refused):
        asked(stage)
    stage.until(stage.clock.now() + minutes(7))
    assert is_over(stage)


def test_a_launch_whose_answer_was_lost_can_be_ended_at_once() -> None:
    """DELETE finds the fleet and ends it."""
    stage = Stage()
    stage.compute.fail("launch", times=9, takes_effect=True)
    launched = asked(stage)
    stage.compute.mend()
    end_lease(stage.services, launched.id, by="ada")
    stage.until(stage.clock.now() + minutes(2))
    assert is_over(stage)


# -- while it runs -------------------------------------------------------------------------------------------------------


def test_what_replaces_a_box_is_the_lease_s() -> None:
    """Never more than were asked for at a time; the meter has every run."""
    stage = Stage()
    launched = up(stage)
    stage.until(stage.clock.now() + minutes(90))
    first = stage.alive[0]
    stage.compute.ec2.interrupt(first)
    stage.until(stage.clock.now() + minutes(2))
    now = stage.only_lease()
    assert now.id == launched.id
    assert len(stage.alive) == 2
    assert set(stage.alive) < set(now.instance_ids)
    assert len(now.runs) == 3


def test_one_without_a_box_goes_on() -> None:
    """EC2 may have room again: until its time is over it holds its money, and then it ends."""
    stage = Stage()
    stage.put_budget(limit=1000)
    stage.compute.ec2.no_capacity.add((REGION, TYPE))
    launched = asked(stage)
    stage.until(stage.clock.now() + minutes(30))
    assert stage.left() == 1000 - launched.hold.total_usd
    stage.compute.ec2.no_capacity.clear()
    stage.sweep()
    assert len(stage.only_lease().instance_ids) == 2
    stage.compute.ec2.no_capacity.add((REGION, TYPE))
    for one in stage.alive:
        stage.compute.ec2.interrupt(one)
    stage.until(stage.clock.now() + minutes(30))
    assert stage.only_lease().status is Status.ACTIVE
    stage.clock.advance(8 * HOUR)
    stage.until(stage.clock.now() + minutes(7))
    assert is_over(stage)
    assert stage.receipt(launched.id).status == "done"


def test_a_fleet_that_somebody_ended_closes_its_lease() -> None:
    """With what it ran, or before it ran anything."""
    stage = Stage()
    stage.compute.ec2.no_capacity.add((REGION, TYPE))
    empty = asked(stage)
    stage.compute.ec2.no_capacity.clear()
    launched = up(stage)
    for one in (empty, launched):
        stage.compute.ec2.controllers.end_fleet(
            REGION, one.fleet_id or "", stage.compute.ec2.end, and_boxes=True
        )
    stage.until(stage.clock.now() + minutes(7))
    assert is_over(stage)
    assert stage.receipt(launched.id).cause == "gone"


def test_one_of_several_is_not_ended_alone() -> None:
    """Its boxes end together, and so does its fleet."""
    stage = Stage()
    launched = up(stage)
    with pytest.raises(Refused) as refusal:
        end_instance(stage.services, stage.alive[0], by="ada")
    assert refusal.value.slug == "shared-lease"
    assert end_spot_request(stage.services, launched.fleet_id or "", by="ada").lease_id == launched.id
    stage.until(stage.clock.now() + minutes(2))
    assert is_over(stage)


# -- the end -------------------------------------------------------------------------------------------------------------


def test_its_fleet_is_deleted_before_its_boxes_are_ended() -> None:
    """At its hour, for good."""
    stage = Stage()
    launched = up(stage)
    stage.clock.advance(8 * HOUR)
    stage.until(stage.clock.now() + minutes(3))
    calls = [call.operation for call in stage.ending_calls]
    assert calls[0] == "end_fleets"
    assert stage.ending_calls[0].ids == (launched.fleet_id,)
    stage.until(stage.clock.now() + minutes(30))
    assert is_over(stage)
    assert len(stage.receipt(launched.id).instance_ids) == 2


def test_a_fleet_that_can_t_be_deleted_keeps_its_boxes() -> None:
    """Ended first, they would be started anew."""
    stage = Stage()
    up(stage)
    stage.compute.fail("end_fleets", times=99)
    stage.clock.advance(8 * HOUR)
    stage.until(stage.clock.now() + minutes(5))
    assert len(stage.alive) == 2
    stage.compute.mend()
    stage.until(stage.clock.now() + minutes(2))
    assert is_over(stage)


def test_a_new_fleet_that_ec2_does_not_know_is_deleted_again() -> None:
    """For minutes after a launch `not found` is no proof; later it is."""
    stage = Stage()
    launched = asked(stage)
    stage.compute.fail("end_fleets", code="InvalidFleetId.NotFound")
    assert end_lease(stage.services, launched.id, by="ada").status == "ending"
    stage.until(stage.clock.now() + minutes(2))
    assert len([call for call in stage.ending_calls if call.operation == "end_fleets"]) == 2
    assert is_over(stage)


def test_requests_that_can_t_be_cancelled_keep_no_box() -> None:
    """Those of a fleet start their box once only."""
    stage = Stage()
    up(stage)
    stage.compute.fail("cancel_spot_requests", times=99)
    stage.clock.advance(8 * HOUR)
    stage.until(stage.clock.now() + minutes(2))
    assert stage.alive == []


def test_a_fleet_that_is_too_new_to_be_known_is_deleted_all_the_same() -> None:
    """EC2 may not know for minutes what it has launched: an unknown id proves nothing then."""
    started = lease(request_type=MAINTAIN, fleet_id="fleet-1", instance_ids=(), spot_request_ids=())
    at = started.launched_at
    assert at is not None
    look = sight(Fleet(id="fleet-1", region=REGION, state=FORGOTTEN))
    for after, is_believed in ((1, False), (6, True)):
        now = at + minutes(after)
        ending = begin_ending(
            started, cause="requested", reason="", figures={}, owned=holdings(started, look, now), now=now
        )
        (planned,) = with_disarming([ending], (), look, REGION, now)
        assert bool(open_steps([planned], END_FLEET)) != is_believed
        assert is_armed(started, look, now) != is_believed
    unknown = sight()
    assert is_armed(started, unknown, at + HOUR)
    assert not is_armed(replace(started, request_type=RequestType.ONE_TIME), unknown, at + HOUR)


# -- what is not seen, and what is told ----------------------------------------------------------------------------------


def test_boxes_that_nobody_could_see_so_far_are_metered_all_the_same() -> None:
    """While the region does not answer from the launch on, all of them are taken to run at the held price; the first
    look says better."""
    stage = Stage()
    stage.compute.fail("observe", REGION, times=3)
    launched = asked(stage)
    stage.until(stage.clock.now() + minutes(2))
    blind = stage.only_lease()
    assert [run.started_at for run in blind.runs] == [launched.launched_at] * 2
    assert blind.instance_ids == ()
    stage.until(stage.clock.now() + minutes(1))
    seen = stage.only_lease()
    assert sorted(run.instance_id for run in seen.runs) == sorted(seen.instance_ids) == sorted(stage.alive)


def test_a_box_that_shows_before_its_tags_is_no_stray() -> None:
    """For two minutes a bare spot box of an ordered type may be the fleet's; then somebody else started it."""
    stage = Stage()
    launched = up(stage)
    bare = stage.compute.start(TYPE, REGION, market="one-time")
    stage.until(stage.clock.now() + minutes(1))
    assert [one.id for one in stage.store.open_leases()] == [launched.id]
    other = stage.compute.start(TYPE, REGION, market="one-time", tags={"team": "vision"})
    stage.until(stage.clock.now() + minutes(2))
    strays = [one.instance_ids for one in stage.store.open_leases() if one.is_adopted]
    assert sorted(strays) == sorted([(bare,), (other,)])


def test_a_lease_says_what_keeps_its_fleet_from_its_boxes() -> None:
    """In EC2's words, asked only while boxes are missing; or why that is not known."""
    stage = Stage()
    stage.compute.ec2.no_capacity.add((REGION, TYPE))
    launched = asked(stage)
    told = report.lease(stage.services, launched.id)
    assert told.fleet_problem == "launchSpecTemporarilyBlacklisted: InsufficientInstanceCapacity"
    assert views.lease(told)["fleet_problem"] == told.fleet_problem
    stage.compute.fail("fleet_problem")
    assert str(report.lease(stage.services, launched.id).fleet_problem).startswith("not known: ")
    stage.compute.ec2.no_capacity.clear()
    stage.sweep()
    asked_before = len([call for call in stage.compute.calls if call.operation == "fleet_problem"])
    assert report.lease(stage.services, launched.id).fleet_problem is None
    assert len([call for call in stage.compute.calls if call.operation == "fleet_problem"]) == asked_before


def test_who_waits_for_a_lease_waits_for_its_first_box() -> None:
    """It is active before that; one that gets none is answered when the time is over."""
    stage = Stage()
    stage.compute.ec2.no_capacity.add((REGION, TYPE))
    launched = asked(stage)
    began = stage.clock.elapsed()
    wait_until_settled(stage.services, launched.id, seconds=5)
    assert stage.clock.elapsed() - began == 5
    stage.compute.ec2.no_capacity.clear()
    stage.sweep()
    began = stage.clock.elapsed()
    wait_until_settled(stage.services, launched.id, seconds=5)
    assert stage.clock.elapsed() == began


def test_a_price_cap_below_the_market_is_no_objection() -> None:
    """The fleet waits for the price, and says so."""
    stage = Stage()
    for zone in "abc":
        stage.prices.set_spot(f"{REGION}{zone}", TYPE, "0.90")
    cap = usd("0.10")
    refused = quote(stage.services, order(max_price_usd_per_hour=cap), owner="ada")
    assert refused.objections
    waiting = quote(stage.services, order(max_price_usd_per_hour=cap, request_type=MAINTAIN), owner="ada")
    assert waiting.objections == ()


def test_its_fleet_ends_before_its_boxes_where_the_region_shows_nothing() -> None:
    """Its hour comes while DescribeInstances fails: ended first, each box would be started again for as long as that."""
    stage = Stage()
    launched = up(stage)
    stage.compute.fail("observe", REGION, times=9)
    stage.clock.at = launched.expires_at
    started = len(stage.compute.ec2.boxes)
    for _ in range(3):
        stage.after(minutes(1))
    assert next(call.operation for call in stage.ending_calls) == "end_fleets"
    assert len(stage.compute.ec2.boxes) == started
    stage.until(stage.clock.now() + minutes(10))
    assert is_over(stage)
