"""Boxes that are saved or kept at their end: what is called, in which order, and what it may cost."""

import contextlib
import itertools
from datetime import timedelta
from typing import Any

import pytest

from chalicelib.domain.errors import Refused
from chalicelib.domain.lease import Lease, OnEnd, RequestType, Status
from chalicelib.domain.notices import Kind
from chalicelib.usecases.end import end_instance
from chalicelib.usecases.extend import extend
from tests.builders import HOUR, MINUTE, REGION, TYPE, Stage, at, usd
from tests.doubles.accidents import Crash
from tests.doubles.memory_compute import Call
from tests.unit.sweep_kit import BOTH, ONE_TIME, PERSISTENT

IMAGE = OnEnd.IMAGE


def one_hour(stage: Stage, kind: RequestType, **wishes: Any) -> Lease:
    """A launch at 09:00 that expires at 10:00 and is saved then."""
    return stage.launch(request_type=kind, lasts_for=HOUR, **{"on_end": IMAGE, **wishes})


def acts(stage: Stage, *names: str) -> list[str]:
    """The calls that matter here, in order, each once."""
    watched = names or ("stop", "save_image", "cancel_spot_requests", "terminate")
    called = [call.operation for call in stage.compute.calls if call.operation in watched and call.ids]
    return list(dict.fromkeys(called))


def adopted_stage(end: str, market: str = "on-demand", **facts: Any) -> tuple[Stage, str]:
    stage = Stage()
    stage.put_policy(unleased={"end": end, "for": "PT1H"})
    return stage, stage.compute.start(market=market, **facts)


@BOTH
def test_a_launch_is_saved_before_it_ends(kind: RequestType) -> None:
    """Its image is available, its box and its request are gone, and the receipt names what it costs a month."""
    stage = Stage()
    lease = one_hour(stage, kind)
    stage.until(at("10:20"))
    (image,) = stage.compute.ec2.albums.made.values()
    assert image.state == "available"
    assert (stage.alive, stage.armed, stage.store.open_leases()) == ([], [], ())
    (told,) = stage.receipt(lease.id).images
    assert (told.id, told.state, told.instance_id) == (image.id, "available", lease.instance_ids[0])
    assert told.monthly_usd == usd("2.25")


def test_a_persistent_box_is_stopped_then_imaged_then_its_request_is_cancelled() -> None:
    """Cancelling the request of a stopped box terminates it: that comes last."""
    stage = Stage()
    lease = one_hour(stage, PERSISTENT)
    stage.until(at("10:20"))
    assert acts(stage) == ["stop", "save_image", "cancel_spot_requests", "terminate"]
    assert list(stage.compute.ec2.albums.taken_in.values()) == ["stopped"]
    assert [step.action for step in stage.receipt(lease.id).steps] == [
        "stop-instance",
        "create-image",
        "wait-image",
        "cancel-spot-request",
        "terminate-instance",
    ]


@BOTH
def test_each_step_of_a_rescue_has_its_time_its_call_and_its_answer(kind: RequestType) -> None:
    """What was done to save a box can be read from the receipt."""
    stage = Stage()
    lease = one_hour(stage, kind)
    stage.until(at("10:20"))
    steps = stage.receipt(lease.id).steps
    stops = {"stop-instance": "StopInstances"} if kind is PERSISTENT else {}
    assert {step.action: step.call for step in steps} == {
        **stops,
        "create-image": "CreateImage NoReboot=true",
        "wait-image": "DescribeImages",
        "cancel-spot-request": "CancelSpotInstanceRequests",
        "terminate-instance": "TerminateInstances",
    }
    assert all(step.at and step.answer for step in steps)


def test_a_box_that_an_interruption_stopped_is_imaged_as_it_is() -> None:
    """It is not cancelled before that."""
    stage = Stage()
    lease = one_hour(stage, PERSISTENT)
    stage.until(at("09:30"))
    stage.compute.ec2.no_capacity.add((REGION, TYPE))
    stage.compute.ec2.interrupt(lease.instance_ids[0])
    stage.until(at("10:20"))
    assert acts(stage) == ["save_image", "cancel_spot_requests", "terminate"]
    assert list(stage.compute.ec2.albums.taken_in.values()) == ["stopped"]
    assert stage.receipt(lease.id).images[0].state == "available"


def test_a_one_time_box_is_imaged_while_it_runs_and_waited_for() -> None:
    """EC2 can't stop it; it ends as soon as its image is there, not at the end of the margin."""
    stage = Stage()
    one_hour(stage, ONE_TIME)
    stage.until(at("10:03"))
    assert len(stage.alive) == 1
    assert "terminate" not in acts(stage)
    stage.until(at("10:06"))
    assert stage.alive == []
    assert acts(stage, "stop") == []


@BOTH
def test_an_image_that_never_gets_ready_keeps_no_box_running_beyond_the_margin(kind: RequestType) -> None:
    """Money first; of a stopped box the disks alone bill, so its image has six hours."""
    stage = Stage()
    lease = one_hour(stage, kind)
    stage.compute.ec2.albums.taking = timedelta(days=9)
    stage.until(at("10:17"))
    if kind is ONE_TIME:
        assert stage.alive == []
        assert stage.receipt(lease.id).images == ()
    else:
        assert [stage.box(one).state for one in stage.alive] == ["stopped"]
        assert stage.lease(lease.id).status is Status.ENDING
        stage.clock.advance(6 * HOUR)
        stage.sweep()
        assert stage.alive == []
        stage.until(at("16:24"))
    assert stage.lease(lease.id).status is Status.CLOSED


@BOTH
def test_a_box_whose_image_is_refused_ends_within_the_margin(kind: RequestType) -> None:
    """It is tried every minute, people are told, and then it ends without."""
    stage = Stage()
    lease = one_hour(stage, kind)
    stage.compute.fail("save_image", times=99, code="UnauthorizedOperation")
    stage.until(at("10:14"))
    assert len(stage.alive) == 1
    assert stage.told(Kind.STUCK)
    stage.until(at("10:17"))
    assert stage.alive == []
    assert "not saved" in next(s.answer for s in stage.receipt(lease.id).steps if s.action == "wait-image")


def test_an_image_that_fails_is_begun_again_and_leaves_no_other() -> None:
    """Three times in all."""
    stage = Stage()
    lease = one_hour(stage, ONE_TIME)
    stage.compute.ec2.albums.fails = True
    stage.until(at("10:01"))
    stage.compute.ec2.albums.fails = False
    stage.until(at("10:12"))
    (image,) = stage.compute.ec2.albums.made.values()
    assert image.state == "available"
    assert [one.id for one in stage.receipt(lease.id).images] == [image.id]


def test_without_a_margin_a_box_ends_at_once_all_the_same() -> None:
    """Its image is begun; what comes of it is told."""
    stage = Stage()
    stage.put_policy(teardown={"margin": "PT0S"})
    one_hour(stage, ONE_TIME)
    stage.until(at("10:02"))
    assert stage.alive == []
    assert acts(stage)[0] == "save_image"


def test_the_hold_pays_for_the_first_month_and_the_end_leaves_it_its_money() -> None:
    """A lease with a cap ends so early that its image is paid for; its cost stays within its hold."""
    stage = Stage()
    stage.put_budget(limit=100)
    lease = one_hour(stage, ONE_TIME, budget_usd=usd(3), egress_gb=0)
    assert lease.hold.total_usd <= usd(3)
    assert lease.hold.snapshot_usd == usd("2.25")
    stage.until(at("10:20"))
    closed = stage.lease(lease.id)
    assert closed.final_usd is not None
    assert usd("2.25") < closed.final_usd <= lease.hold.total_usd
    assert stage.receipt(lease.id).snapshot_usd == usd("2.25")
    assert stage.left() == 100 - closed.final_usd


def test_a_lost_answer_and_a_dead_process_make_one_image() -> None:
    """It is found again by what it is of."""
    stage = Stage()
    lease = one_hour(stage, ONE_TIME)
    stage.until(at("09:59"))
    stage.compute.fail("save_image", takes_effect=True)
    stage.until(at("10:12"))
    assert len(stage.compute.ec2.albums.made) == 1
    assert len(stage.receipt(lease.id).images) == 1


def test_a_region_that_shows_no_image_ends_its_boxes_all_the_same() -> None:
    """DescribeImages fails from then on: the box is waited for as long as the margin."""
    stage = Stage()
    one_hour(stage, ONE_TIME)
    stage.until(at("10:00"))
    stage.compute.fail("saved_images", times=999)
    stage.until(at("10:17"))
    assert stage.alive == []


def test_a_dry_run_says_what_it_would_do_and_does_nothing() -> None:
    """The very same path, with the image in it."""
    stage = Stage()
    lease = one_hour(stage, PERSISTENT)
    stage.until(at("09:59"))
    stage.is_dry_run = True
    stage.until(at("10:01"))
    assert len(stage.alive) == 1
    assert not stage.compute.ec2.albums.made
    receipt = stage.receipt(lease.id)
    assert {step.action for step in receipt.steps} >= {"stop-instance", "create-image", "terminate-instance"}
    assert stage.lease(lease.id).status is Status.ACTIVE


@pytest.mark.parametrize("market", ["on-demand", "persistent", "one-time"])
def test_an_adopted_box_is_saved_if_the_policy_says_so(market: str) -> None:
    """Its lease's hour comes, and its image stays under the name of the box."""
    stage, box = adopted_stage("image", market)
    stage.until(at("10:30"))
    assert stage.alive == []
    (image,) = stage.compute.ec2.albums.made.values()
    assert (image.state, image.name) == ("available", box)
    assert list(stage.compute.ec2.albums.taken_in.values()) == [
        "running" if market == "one-time" else "stopped"
    ]


@pytest.mark.parametrize("market", ["on-demand", "persistent"])
def test_an_adopted_box_is_kept_stopped_if_the_policy_says_so(market: str) -> None:
    """Its request is left as it is, and its lease closes with what its disks cost a month."""
    stage, box = adopted_stage("stop", market)
    stage.until(at("10:00"))
    ended = stage.only_lease().id
    stage.until(at("10:10"))
    assert [(one, stage.box(one).state) for one in stage.alive] == [(box, "stopped")]
    assert acts(stage) == ["stop"]
    if market == "persistent":
        assert stage.request_of(box).state == "disabled"
    receipt = stage.receipt(ended)
    assert receipt.status == "done"
    assert [one.gib for one in receipt.leftovers] == [45]


def test_a_one_time_spot_box_can_only_be_terminated() -> None:
    """Whatever the policy would rather have."""
    stage, _ = adopted_stage("stop", "one-time")
    stage.until(at("10:05"))
    assert stage.alive == []


def test_a_box_that_refuses_to_be_stopped_for_good_is_terminated() -> None:
    """It would bill for ever."""
    stage, _ = adopted_stage("stop")
    stage.compute.fail("stop", times=99, code="UnsupportedOperation")
    stage.until(at("10:05"))
    assert stage.alive == []


def test_a_stop_that_fails_for_now_is_tried_again() -> None:
    """Nothing harsher than what was asked for."""
    stage, box = adopted_stage("stop")
    stage.compute.fail("stop", times=20)
    stage.until(at("10:15"))
    assert stage.box(box).state == "running"
    assert stage.told(Kind.STUCK)
    stage.until(at("10:30"))
    assert stage.box(box).state == "stopped"


def test_who_deletes_an_adopted_box_means_it() -> None:
    """The policy is for ends that nobody asked for by name."""
    stage, box = adopted_stage("stop")
    stage.until(at("09:30"))
    end_instance(stage.services, box, by="ada")
    stage.until(at("09:32"))
    assert stage.alive == []


def test_the_last_three_ends_of_a_name_keep_their_images() -> None:
    """The oldest goes once a newer one is available; another name's stay."""
    stage = Stage()
    one_hour(stage, ONE_TIME, project="other")
    for _ in range(5):
        one_hour(stage, ONE_TIME, project="train")
        stage.until(stage.clock.now() + 75 * MINUTE)
    names = [image.name for image in stage.compute.ec2.albums.made.values()]
    assert names == ["other", "train", "train", "train"]


def test_the_next_launch_finds_the_newest_as_mine() -> None:
    """Under its project's name, and with its own disk; its box carries nothing of the old one."""
    stage = Stage()
    for _ in range(2):
        one_hour(stage, ONE_TIME, project="train")
        stage.until(stage.clock.now() + 75 * MINUTE)
    newest = max(stage.compute.ec2.albums.made.values(), key=lambda image: image.created_at or at("00:00"))
    again = stage.launch(image="mine:train")
    (attempt,) = again.attempts
    assert stage.compute.sent(attempt)["launch_template"]["LaunchTemplateData"]["ImageId"] == newest.id
    assert stage.box(again.instance_ids[0]).tags["curfew:lease"] == again.id


@pytest.mark.parametrize("owner, name, region", [("bob", "train", REGION), ("ada", "other", REGION)])
def test_an_image_of_another_or_under_another_name_is_not_mine(owner: str, name: str, region: str) -> None:
    """Nothing is launched, and the answer says what would be found."""
    stage = Stage()
    one_hour(stage, ONE_TIME, project="train")
    stage.until(at("10:20"))
    with pytest.raises(Refused, match=f"has no saved image '{name}'") as refusal:
        stage.launch(owner=owner, image=f"mine:{name}", region=region)
    assert refusal.value.slug == "image-not-found"
    assert stage.alive == []


def test_an_image_on_its_way_is_named() -> None:
    """It may do in a minute."""
    stage = Stage()
    one_hour(stage, ONE_TIME, project="train")
    stage.until(at("10:02"))
    with pytest.raises(Refused, match="one is on its way"):
        stage.launch(image="mine:train")


def test_people_are_told_what_was_saved_and_what_it_costs() -> None:
    """With the words that launch from it."""
    stage = Stage()
    one_hour(stage, ONE_TIME, project="train")
    stage.until(at("10:20"))
    (told,) = stage.told(Kind.ENDED)
    assert any("image mine:train launches from it. It costs $2.25 a month" in line for line in told.lines)


def test_an_adopted_box_that_is_to_be_saved_is_held_for_it_and_a_longer_one_too() -> None:
    """The margin and the first month are in its hold, so that its end does not pass it."""
    stage, _ = adopted_stage("image", "one-time")
    stage.put_budget(limit=100)
    stage.sweep()
    lease = stage.only_lease()
    assert lease.hold.snapshot_usd == usd("2.25")
    assert lease.expires_at - lease.requested_at == HOUR
    longer = extend(stage.services, lease.id, lasts_for=2 * HOUR, budget_usd=None, by="ada")
    assert longer.hold.snapshot_usd == usd("2.25")
    assert longer.hold.compute_usd > usd(2) * lease.hold.compute_usd * usd("0.8")
    stage.until(at("11:20"))
    receipt = stage.receipt(lease.id)
    assert receipt.cost_usd <= receipt.hold_usd
    assert receipt.images[0].state == "available"


@pytest.mark.parametrize("kind", [ONE_TIME, PERSISTENT])
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("number", range(14))
def test_a_process_that_dies_anywhere_leaves_one_image_and_no_box(
    kind: RequestType, when: str, number: int
) -> None:
    """Killed before or after any call of the end: a later sweep finishes it, with one receipt and nothing held."""
    stage = Stage()
    stage.put_budget()
    lease = stage.launch(request_type=kind, lasts_for=2 * MINUTE, on_end=IMAGE, egress_gb=0)
    count = itertools.count()

    def die(phase: str, call: Call) -> None:
        if phase == when and call.operation not in {"regions", "volumes"} and next(count) == number:
            raise Crash

    stage.compute.on_call = die
    while stage.clock.now() < at("09:35"):
        stage.clock.advance(MINUTE)
        with contextlib.suppress(Crash):
            stage.sweep()
    assert (stage.alive, stage.armed, stage.store.open_leases()) == ([], [], ())
    assert len(stage.compute.ec2.albums.made) == 1
    receipt = stage.receipt(lease.id)
    assert receipt.images[0].state == "available"
    assert receipt.cost_usd <= lease.hold.total_usd
    assert stage.left() == 100 - receipt.cost_usd


@pytest.mark.parametrize("end, images", [("image", 2), ("stop", 0)])
@pytest.mark.parametrize(
    "facts",
    [
        {"fleet_id": "fleet-1", "fleet_type": "maintain"},
        {"spot_fleet_id": "sfr-1", "fleet_type": "maintain"},
        {"group": "web"},
    ],
    ids=["fleet", "spot fleet", "group"],
)
def test_boxes_of_a_fleet_or_group_are_saved_running_and_none_takes_their_place(
    end: str, images: int, facts: dict[str, Any]
) -> None:
    """Stopped, they would be replaced: the controller is disarmed first, and they are never stopped nor kept."""
    stage, _ = adopted_stage(end, **facts)
    stage.compute.start(**facts)
    started = len(stage.compute.ec2.boxes)
    stage.until(at("10:30"))
    assert (stage.alive, len(stage.compute.ec2.boxes)) == ([], started)
    albums = stage.compute.ec2.albums
    assert [image.state for image in albums.made.values()] == ["available"] * images
    assert set(albums.taken_in.values()) <= {"running"}
    assert acts(stage, "stop") == []
    called = [call.operation for call in stage.compute.acts]
    disarmed = min(called.index(name) for name in ("end_fleets", "detach") if name in called)
    assert disarmed < called.index("save_image" if images else "terminate")


@pytest.mark.parametrize("minute", ["10:00", "10:01", "10:02"])
@BOTH
def test_a_look_that_fails_costs_no_box_its_image(kind: RequestType, minute: str) -> None:
    """Its end was begun, or is due, while its region does not answer: nothing is cancelled or terminated unsaved."""
    stage = Stage()
    lease = one_hour(stage, kind)
    stage.until(at(minute) - MINUTE)
    stage.compute.fail("observe", REGION, times=2)
    stage.until(at("10:20"))
    assert (stage.alive, stage.armed, stage.store.open_leases()) == ([], [], ())
    assert [image.state for image in stage.receipt(lease.id).images] == ["available"]
    assert acts(stage)[-2:] == ["cancel_spot_requests", "terminate"] or kind is ONE_TIME
    assert acts(stage).index("save_image") < acts(stage).index("terminate")


@BOTH
def test_a_region_that_stays_silent_keeps_no_box_that_is_to_be_saved_beyond_the_margin(
    kind: RequestType,
) -> None:
    """Money first: what can't be seen can't be saved, and ends by the ids that are known."""
    stage = Stage()
    one_hour(stage, kind)
    stage.until(at("09:59"))
    stage.compute.fail("observe", REGION, times=999)
    stage.until(at("10:17"))
    assert (stage.alive, stage.armed) == ([], [])


def test_an_event_about_one_of_two_boxes_ends_not_the_other_unsaved() -> None:
    """Its look sees one box; the request of the other, which is being imaged, is not cancelled for it."""
    stage = Stage()
    lease = one_hour(stage, PERSISTENT, target_capacity=2)
    stage.until(at("10:01"))
    stage.clock.advance(MINUTE / 4)
    stage.sweep(only=lease.instance_ids[0])
    assert "cancel_spot_requests" not in acts(stage)
    stage.until(at("10:20"))
    assert [image.state for image in stage.receipt(lease.id).images] == ["available"] * 2


@pytest.mark.parametrize("minute", ["10:00", "10:01"])
def test_a_look_that_fails_costs_no_box_that_is_to_be_kept_its_request(minute: str) -> None:
    """Cancelling the request of a stopped box would delete it."""
    stage, box = adopted_stage("stop", "persistent")
    stage.until(at(minute))
    stage.compute.fail("observe", REGION, times=2)
    stage.until(at("10:10"))
    assert stage.box(box).state == "stopped"
    assert stage.request_of(box).state == "disabled"
