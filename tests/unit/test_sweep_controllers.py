"""Ends of boxes that a fleet or a group runs: the controller is disarmed first, and nothing comes back."""

import itertools
from contextlib import suppress
from typing import Any

import pytest

from chalicelib.domain.lease import Lease, Status
from chalicelib.domain.notices import Kind
from chalicelib.domain.steps import CLOSE_GROUP, END_FLEET, LEAVE_GROUP, SHRINK_FLEET
from chalicelib.usecases.end import end_instance
from tests.builders import REGION, Stage, at
from tests.doubles.accidents import Crash
from tests.doubles.memory_compute import Call

FLEET = {"fleet_id": "fleet-1", "fleet_type": "maintain"}
SPOT_FLEET = {"spot_fleet_id": "sfr-1", "fleet_type": "maintain"}
GROUP = {"group": "web"}
KINDS = pytest.mark.parametrize("facts", [FLEET, SPOT_FLEET, GROUP], ids=["fleet", "spot fleet", "group"])
PERSISTENT = {"market": "persistent"}


def short() -> Stage:
    """What nobody has launched lives for an hour."""
    stage = Stage()
    stage.put_policy(unleased={"for": "PT1H"})
    return stage


def wanted(stage: Stage, facts: dict[str, Any]) -> int:
    """What the controller would have run."""
    controllers = stage.compute.ec2.controllers
    if "group" in facts:
        return controllers.groups["web"].desired
    return controllers.fleets[facts.get("fleet_id") or facts["spot_fleet_id"]].target


def operations(stage: Stage) -> list[str]:
    return [call.operation for call in stage.ending_calls]


def lease_of(stage: Stage, box: str) -> Lease:
    return next(one for one in stage.store.open_leases() if box in one.instance_ids)


@pytest.mark.parametrize(
    "facts",
    [PERSISTENT, GROUP, SPOT_FLEET, FLEET],
    ids=["persistent requests", "groups", "spot fleets", "EC2 fleets"],
)
def test_of_40_boxes_none_runs_again_one_reconcile_later(facts: dict[str, Any]) -> None:
    """Measured on another tool: of 40 boxes that it ended 40 ran again. Here none does, that minute or later."""
    stage = Stage()
    stage.put_policy(unleased={"for": "PT10M", "grace": "PT0S"})
    for _ in range(40):
        stage.compute.start(**facts)
    stage.until(at("09:11"))
    assert stage.alive == []
    started = len(stage.compute.ec2.boxes)
    stage.until(at("09:40"))
    assert (stage.alive, stage.armed, len(stage.compute.ec2.boxes)) == ([], [], started)
    assert stage.store.open_leases() == ()


@KINDS
def test_a_controller_of_which_everything_ends_is_ended_once(facts: dict[str, Any]) -> None:
    """Each of its boxes has a lease of its own; they end together."""
    stage = short()
    for _ in range(3):
        stage.compute.start(**facts)
    stage.until(at("10:00"))
    calls = operations(stage)
    assert calls.count("end_fleets") + calls.count("resize_group") == 1
    assert "shrink_fleet" not in calls
    assert calls[-1] == "terminate"
    assert stage.alive == []


@KINDS
def test_one_that_also_runs_a_box_to_be_kept_is_shrunk_by_the_others(facts: dict[str, Any]) -> None:
    """The target is lowered without ending anything, and then the boxes are ended by their ids."""
    stage = short()
    boxes = [stage.compute.start(**facts) for _ in range(3)]
    stage.until(at("09:40"))
    stage.box(boxes[0]).tags["curfew:protect"] = "2027-01-01T00:00Z"
    stage.until(at("10:30"))
    assert stage.alive == boxes[:1]
    assert wanted(stage, facts) == 1
    assert operations(stage)[0] in {"shrink_fleet", "detach"}
    assert operations(stage)[-1] == "terminate"


@KINDS
def test_what_has_no_accelerator_is_never_ended(facts: dict[str, Any]) -> None:
    """A fleet of both kinds of boxes is shrunk by the dear ones."""
    stage = short()
    small = stage.compute.start("c5.large", **facts)
    stage.compute.start(**facts)
    stage.until(at("10:30"))
    assert (stage.alive, wanted(stage, facts)) == ([small], 1)


@KINDS
def test_one_box_ended_by_hand_takes_one_out(facts: dict[str, Any]) -> None:
    """DELETE of an instance leaves the rest of its fleet alone."""
    stage = Stage()
    boxes = [stage.compute.start(**facts) for _ in range(3)]
    stage.sweep()
    end_instance(stage.services, boxes[1], by="ada")
    stage.sweep()
    assert (stage.alive, wanted(stage, facts)) == ([boxes[0], boxes[2]], 2)
    end_instance(stage.services, boxes[0], by="ada")
    stage.sweep()
    assert (stage.alive, wanted(stage, facts)) == ([boxes[2]], 1)


@KINDS
@pytest.mark.parametrize("when, number", list(itertools.product(["before", "after"], range(5))))
def test_a_process_killed_at_any_call_never_shrinks_twice(
    facts: dict[str, Any], when: str, number: int
) -> None:
    """A later sweep goes on from what is written down and what is there: one box less, and one less is wanted."""
    stage = Stage()
    boxes = [stage.compute.start(**facts) for _ in range(3)]
    stage.sweep()
    left = [number]

    def die(phase: str, call: Call) -> None:
        if phase == when and call.operation not in {"observe", "regions"}:
            left[0] -= 1
            if left[0] == -1:
                raise Crash

    stage.compute.on_call = die
    with suppress(Crash):
        end_instance(stage.services, boxes[0], by="ada")
    stage.compute.on_call = lambda *_: None
    stage.until(at("09:10"))
    assert (stage.alive, wanted(stage, facts)) == (boxes[1:], 2)
    assert len(stage.store.open_leases()) == 2


@KINDS
@pytest.mark.parametrize("operation", ["shrink_fleet", "detach", "end_fleets", "resize_group", "terminate"])
@pytest.mark.parametrize("takes_effect", [True, False], ids=["answer lost", "call lost"])
@pytest.mark.parametrize("ends", [1, 3])
def test_a_lost_call_or_answer_is_made_up_for(
    facts: dict[str, Any], operation: str, ends: int, *, takes_effect: bool
) -> None:
    """Whatever of it took effect, neither more nor less is ended than was to be."""
    stage = Stage()
    boxes = [stage.compute.start(**facts) for _ in range(3)]
    stage.sweep()
    stage.compute.fail(operation, code="RequestTimeout", takes_effect=takes_effect)
    for box in boxes[:ends]:
        end_instance(stage.services, box, by="ada")
    stage.until(at("09:10"))
    assert (stage.alive, len(stage.compute.ec2.boxes)) == (boxes[ends:], 3)


def test_two_leases_of_one_fleet_do_not_undo_each_other() -> None:
    """While one has written down what it sets and has not done it, the other waits: it can't know the target."""
    stage = Stage()
    boxes = [stage.compute.start(**FLEET) for _ in range(3)]
    stage.sweep()
    stage.compute.fail("shrink_fleet", code="RequestTimeout")
    end_instance(stage.services, boxes[0], by="ada")
    end_instance(stage.services, boxes[1], by="ada")
    steps = [
        step
        for box in boxes[:2]
        for step in lease_of(stage, box).ending.steps  # type: ignore[union-attr]
        if step.action == SHRINK_FLEET
    ]
    assert [(step.before.get("total"), step.after.get("total")) for step in steps] in (
        [(3, 2), (None, None)],
        [(3, 2), (3, 2)],
    )
    stage.until(at("09:10"))
    assert (stage.alive, wanted(stage, FLEET)) == (boxes[2:], 1)
    assert len(stage.compute.ec2.boxes) == 3


def test_a_weighted_box_takes_its_weight_out() -> None:
    """A target is in units."""
    stage = Stage()
    fleets = stage.compute.ec2.controllers.fleets
    first = stage.compute.start("g5.xlarge", **FLEET)
    fleets["fleet-1"].weights["g5.12xlarge"] = 4
    second = stage.compute.start("g5.12xlarge", **FLEET)
    stage.sweep()
    end_instance(stage.services, second, by="ada")
    assert (stage.alive, fleets["fleet-1"].target) == ([first], 1)


def test_a_group_at_its_least_size_is_let_shrink() -> None:
    """The least size is lowered by what leaves, and no further."""
    stage = Stage()
    boxes = [stage.compute.start(**GROUP) for _ in range(3)]
    group = stage.compute.ec2.controllers.groups["web"]
    group.least = 3
    stage.sweep()
    end_instance(stage.services, boxes[0], by="ada")
    assert (stage.alive, group.least, group.desired) == (boxes[1:], 2, 2)
    assert operations(stage) == ["resize_group", "detach", "terminate"]


def test_a_group_is_set_to_zero_and_stays_its_owner_s() -> None:
    """It is never deleted; its sizes as they were stand in the receipt."""
    stage = Stage()
    box = stage.compute.start(**GROUP)
    group = stage.compute.ec2.controllers.groups["web"]
    group.least = 1
    stage.sweep()
    lease = lease_of(stage, box)
    end_instance(stage.services, box, by="ada")
    stage.sweep()
    assert (group.least, group.most, group.desired) == (0, 0, 0)
    closing = next(step for step in stage.receipt(lease.id).steps if step.action == CLOSE_GROUP)
    assert closing.before == {"min": 1, "max": 100, "desired": 1}


def test_a_fleet_of_type_request_is_left_as_it_is_until_its_last_box_ends() -> None:
    """It replaces none, and can't be modified."""
    stage = Stage()
    facts = {"fleet_id": "fleet-1", "fleet_type": "request"}
    boxes = [stage.compute.start(**facts) for _ in range(2)]
    stage.sweep()
    end_instance(stage.services, boxes[0], by="ada")
    assert operations(stage) == ["terminate"]
    end_instance(stage.services, boxes[1], by="ada")
    assert operations(stage)[1:] == ["end_fleets", "terminate"]


def test_a_box_of_a_fleet_that_ec2_does_not_tell_of_is_not_ended_before_its_fleet() -> None:
    """What it wants is not known: it can be ended as a whole, and not be shrunk. People are told."""
    stage = Stage()
    boxes = [stage.compute.start(fleet_id="fleet-1") for _ in range(2)]
    stage.sweep()
    end_instance(stage.services, boxes[0], by="ada")
    assert stage.alive == boxes
    assert stage.told(Kind.STUCK)
    end_instance(stage.services, boxes[1], by="ada")
    stage.until(at("09:05"))
    assert stage.alive == []


def test_what_a_fleet_starts_while_it_is_being_ended_belongs_to_the_same_lease() -> None:
    """No new lease, no new grace."""
    stage = Stage()
    box = stage.compute.start(**FLEET)
    stage.sweep()
    stage.compute.fail("end_fleets", times=3)
    lease = lease_of(stage, box)
    end_instance(stage.services, box, by="ada")
    fleet = stage.compute.ec2.controllers.fleets["fleet-1"]
    fleet.target += 1
    late = stage.compute.start(**(FLEET | {"tags": {"aws:ec2:fleet-id": "fleet-1"}}))
    stage.until(at("09:10"))
    assert stage.alive == []
    assert set(stage.receipt(lease.id).instance_ids) == {box, late}


def test_an_event_about_one_box_of_a_fleet_ends_no_other() -> None:
    """It sees one box; the others are known by their membership."""
    stage = Stage()
    boxes = [stage.compute.start(**FLEET) for _ in range(2)]
    stage.sweep()
    end_instance(stage.services, boxes[0], by="ada")
    stage.compute.fail("terminate")
    stage.sweep(only=boxes[0])
    assert stage.alive == boxes[1:]


def test_a_dry_run_says_how_a_fleet_would_be_disarmed_and_does_nothing() -> None:
    """The very same path, with receipts that say so."""
    stage = Stage(is_dry_run=True)
    box = stage.compute.start(**FLEET)
    stage.sweep()
    lease = lease_of(stage, box)
    receipt = end_instance(stage.services, box, by="ada")
    assert receipt.status == "dry-run"
    assert [(step.action, step.answer) for step in receipt.steps] == [
        (END_FLEET, "dry-run"),
        ("terminate-instance", "dry-run"),
    ]
    assert (stage.alive, stage.ending_calls) == ([box], [])
    assert stage.lease(lease.id).status is Status.ACTIVE


def test_each_step_has_its_time_its_call_and_its_answer() -> None:
    """What was done can be read from the receipt."""
    stage = Stage()
    boxes = [stage.compute.start(**GROUP) for _ in range(2)]
    stage.sweep()
    lease = lease_of(stage, boxes[0])
    end_instance(stage.services, boxes[0], by="ada")
    stage.sweep()
    told = {step.action: step for step in stage.receipt(lease.id).steps}
    assert told[LEAVE_GROUP].call == "DetachInstances ShouldDecrementDesiredCapacity=true"
    assert told["terminate-instance"].call == "TerminateInstances"
    assert all(step.at and step.answer for step in told.values())


def test_a_refused_box_does_not_keep_the_rest_of_its_fleet() -> None:
    """Termination protection on one; the fleet and the others end."""
    stage = short()
    boxes = [stage.compute.start(**FLEET) for _ in range(3)]
    stage.box(boxes[1]).is_protected = True
    stage.until(at("10:05"))
    assert stage.alive == [boxes[1]]
    assert stage.box(boxes[1]).state == "stopped"
    assert REGION in stage.told(Kind.STUCK)[0].title


def test_what_its_owner_has_an_emptied_group_start_is_no_part_of_what_is_being_ended() -> None:
    """A protected box keeps the lease ending for hours; a size that somebody sets meanwhile is wanted."""
    stage = short()
    box = stage.compute.start(**GROUP)
    stage.box(box).is_protected = True
    stage.until(at("10:05"))
    assert (wanted(stage, GROUP), lease_of(stage, box).status) == (0, Status.ENDING)
    new = stage.compute.start(**GROUP)
    stage.until(at("10:10"))
    assert stage.box(new).state == "running"
    assert lease_of(stage, new).status is Status.ACTIVE


def test_a_group_is_not_closed_over_a_box_that_could_not_leave_it() -> None:
    """Auto Scaling would end it by itself: past an owner's termination protection, and unsaved."""
    stage = short()
    box = stage.compute.start(**GROUP)
    stage.box(box).is_protected = True
    stage.until(at("09:59"))
    stage.compute.fail("detach", times=3, code="ResourceContention")
    stage.until(at("10:10"))
    assert stage.box(box).state != "terminated"
    assert wanted(stage, GROUP) == 0
