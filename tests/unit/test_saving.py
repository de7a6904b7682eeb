"""Saving a box while it lives: one image a wish, its money held first, and what is removed again."""

from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.domain.budget import Period
from chalicelib.domain.errors import BudgetExceeded, NotFound, Refused, Unavailable
from chalicelib.domain.images import ImageOrder, SavedImage, outdated
from chalicelib.domain.lease import Lease, OnEnd, RequestType, Status
from chalicelib.domain.saving import Saving, default_name
from chalicelib.ports import Outcome
from chalicelib.usecases import budgets
from chalicelib.usecases.end import end_lease
from chalicelib.usecases.extend import extend
from chalicelib.usecases.follow_images import follow_images
from chalicelib.usecases.gather import gather
from chalicelib.usecases.report import lease as report_of
from chalicelib.usecases.saving import forget, save
from chalicelib.web.launch_body import LaunchBody
from tests.builders import BOX, HOUR, MINUTE, REGION, TYPE, ZONE, Stage, adopted, at, minutes, usd
from tests.doubles.memory_ports import START
from tests.doubles.memory_timers import MemoryTimers
from tests.unit.web_kit import World, logged, open_world


def saved(stage: Stage, box: str, name: str | None = "epoch-90", **facts: Any) -> Saving:
    return save(stage.services, box, **{"name": name, "reboots": False, "by": "ada", **facts})


@pytest.fixture
def stage() -> Stage:
    return Stage()


@pytest.fixture
def lease(stage: Stage) -> Lease:
    stage.put_budget()
    begun = stage.launch(lasts_for=8 * HOUR, project="lab")
    stage.until(at("09:05"))
    return begun


def test_the_image_is_on_its_way_and_its_month_is_held(stage: Stage, lease: Lease) -> None:
    """On the lease and its budget, and metered as what an end has saved."""
    before, left = stage.lease(lease.id), stage.left()
    told = saved(stage, lease.instance_ids[0])
    after = stage.lease(lease.id)
    assert (told.image.state, told.image.name, told.image.owner) == ("pending", "epoch-90", "ada")
    assert told.lease_id == lease.id
    assert told.monthly_usd > 0
    assert after.hold.snapshot_usd == before.hold.snapshot_usd + told.monthly_usd
    assert stage.left() == left - told.monthly_usd
    assert [one.id for one in after.images] == [told.image.id]
    assert stage.alive == list(lease.instance_ids)
    stage.until(at("10:00"))
    receipt = end_lease(stage.services, lease.id, by="ada")
    assert (receipt.status, receipt.snapshot_usd) == ("done", told.monthly_usd)
    assert [one.state for one in receipt.images] == ["available"]


def test_its_month_counts_in_the_period_that_holds_it() -> None:
    """On a daily budget that is the last day: until then it takes nothing from the box, though spot costs its cap."""
    stage = Stage()
    stage.put_budget("day", 30, period=Period.DAILY)
    lease = stage.launch(lasts_for=20 * HOUR, egress_gb=0)
    (box,) = lease.instance_ids
    stage.prices.set_spot(ZONE, TYPE, "1.006")
    stage.works(box, 90, since=START, until=at("05:00", day=1))
    stage.until(at("09:05"))
    before = stage.left("day")
    saved(stage, box)
    assert stage.left("day") == before
    (today,) = budgets.all_budgets(stage.services)
    assert today.spent_usd < usd(1)
    for clock in ("18:00", "23:50", "23:59"):
        stage.clock.advance(at(clock) - stage.clock.now())
        stage.sweep()
        assert stage.alive
    stage.clock.advance(at("04:58", day=1) - stage.clock.now())
    stage.sweep()
    assert stage.alive
    (last,) = budgets.all_budgets(stage.services)
    assert last.spent_usd > usd("2.25") + 4
    stage.until(at("05:05", day=1))
    assert stage.lease(lease.id).ending.cause == "expired"  # type: ignore[union-attr]


@pytest.mark.parametrize("short, long", [(14, 20), (20, 14)])
def test_it_takes_nothing_from_today_while_its_end_moves(short: int, long: int) -> None:
    """A PATCH waits for Scheduler: the month counts where it is held, and today's full budget ends no box for it."""
    timers = MemoryTimers()
    stage = Stage(timers=timers)
    stage.put_budget("day", 40, period=Period.DAILY)
    lease = stage.launch(lasts_for=short * HOUR, egress_gb=0)
    (box,) = lease.instance_ids
    stage.prices.set_spot(ZONE, TYPE, "1.006")
    stage.works(box, 90, since=START, until=at("05:00", day=1))
    stage.until(at("09:05"))
    saved(stage, box)
    stage.clock.advance(at("22:30") - stage.clock.now())
    stage.sweep()
    timers.down = {REGION}
    with suppress(Unavailable):
        extend(stage.services, lease.id, lasts_for=long * HOUR, budget_usd=None, by="ada")
    assert stage.lease(lease.id).moving_to == START + long * HOUR
    stage.put_budget("day", 40 - stage.left("day"), period=Period.DAILY)
    assert stage.left("day") == 0
    stage.sweep()
    assert stage.lease(lease.id).status is Status.ACTIVE


def test_the_lease_tells_what_has_become_of_it(stage: Stage, lease: Lease) -> None:
    """Available within a minute of that, asked no more then; one that failed costs nothing."""
    box = lease.instance_ids[0]
    first = saved(stage, box).image.id
    stage.compute.ec2.albums.fails = True
    saved(stage, box, "unlucky")
    stage.until(at("09:12"))
    states = {one.name: one.state for one in stage.lease(lease.id).images}
    assert states == {"epoch-90": "available", "unlucky": "failed"}
    asked = [one for one in stage.compute.calls if one.operation == "saved_images"]
    stage.until(at("09:20"))
    assert [one for one in stage.compute.calls if one.operation == "saved_images"] == asked
    report = report_of(stage.services, lease.id)
    assert [one.id for one in report.cost.images] == [first]


def test_images_that_can_t_be_followed_are_lacking(stage: Stage, lease: Lease) -> None:
    """The sweep goes on, and asks again."""
    saved(stage, lease.instance_ids[0])
    stage.compute.fail("saved_images", code="InternalError")
    record = stage.after(MINUTE)
    assert any("DescribeImages" in one for one in record.lacking)
    stage.until(at("09:12"))
    assert [one.state for one in stage.lease(lease.id).images] == ["available"]


@pytest.mark.parametrize("left, looks", [(8.5, 0), (9.5, 1)])
def test_nobody_looks_who_could_not_wait_for_the_answer(
    stage: Stage, lease: Lease, left: float, looks: int
) -> None:
    """With a sweep's time nearly over it is the next one's."""
    saved(stage, lease.instance_ids[0])
    hurried = replace(stage.services, answer_by=stage.clock.elapsed() + left)
    facts, before = gather(hurried, stage.clock.now()), len(stage.compute.calls)
    follow_images(hurried, facts)
    assert [call.operation for call in stage.compute.calls[before:]] == ["saved_images"] * looks


def test_the_lease_runs_on_to_its_hour(stage: Stage) -> None:
    """What the image costs takes no time from the box."""
    lease = stage.launch(lasts_for=HOUR)
    stage.works(lease.instance_ids[0], 90, since=START, until=at("10:00"))
    stage.until(at("09:05"))
    saved(stage, lease.instance_ids[0])
    stage.until(at("09:59"))
    assert stage.alive
    stage.until(at("10:05"))
    assert stage.alive == []


def test_the_newest_under_the_name_is_launched(stage: Stage, lease: Lease) -> None:
    """As soon as it is available, before the box ends."""
    told = saved(stage, lease.instance_ids[0])
    with pytest.raises(Refused, match="on its way"):
        stage.launch(image="mine:epoch-90")
    stage.clock.advance(minutes(10))
    again = stage.launch(image="mine:epoch-90")
    assert again.made_of is not None
    assert again.made_of.image_id == told.image.id


def test_the_same_wish_again_is_the_same_image(stage: Stage, lease: Lease) -> None:
    """While it is on its way, with its name or without: nothing is held twice."""
    first, held = saved(stage, lease.instance_ids[0]), stage.lease(lease.id).hold
    assert saved(stage, lease.instance_ids[0]).image.id == first.image.id
    assert stage.lease(lease.id).hold == held
    unnamed = saved(stage, lease.instance_ids[0], None)
    stage.clock.advance(minutes(2))
    assert unnamed.image.id == first.image.id
    assert len(stage.compute.ec2.albums.made) == 1


def test_a_name_is_made_of_project_and_time(stage: Stage, lease: Lease) -> None:
    """Where nobody says one."""
    assert saved(stage, lease.instance_ids[0], None).image.name == "lab-20261123-0905"


def test_a_taken_name_names_the_image_that_has_it(stage: Stage, lease: Lease) -> None:
    """Of the same box once it is done, and of another one at once; nothing is held for it."""
    first = saved(stage, lease.instance_ids[0])
    other = stage.launch()
    held = stage.lease(other.id).hold
    for box in (other.instance_ids[0], lease.instance_ids[0]):
        with pytest.raises(Refused, match=first.image.id) as told:
            saved(stage, box)
        assert (told.value.slug, told.value.extra["image_id"]) == ("image-name-taken", first.image.id)
        stage.clock.advance(minutes(10))
        stage.compute.ec2.albums.settle()
    assert stage.lease(other.id).hold == held


def test_of_two_at_once_for_one_name_one_is_refused(stage: Stage, lease: Lease) -> None:
    """The look came before the other's call: EC2 takes a name once, and nothing stays held."""
    other = stage.launch()
    held = stage.lease(other.id).hold
    look = stage.compute.saved_images
    looks = iter([(), None])

    def blind(*args: Any, **facts: Any) -> Any:
        return () if next(looks, None) == () else look(*args, **facts)

    first = saved(stage, lease.instance_ids[0])
    stage.compute.saved_images = blind  # type: ignore[method-assign]
    with pytest.raises(Refused, match=first.image.id) as told:
        saved(stage, other.instance_ids[0])
    assert told.value.slug == "image-name-taken"
    assert stage.lease(other.id).hold == held


def test_others_have_names_of_their_own(stage: Stage, lease: Lease) -> None:
    """A name is its owner's."""
    saved(stage, lease.instance_ids[0])
    other = stage.launch(owner="bob")
    assert saved(stage, other.instance_ids[0], by="bob").image.owner == "bob"


def test_a_lost_answer_is_looked_up(stage: Stage, lease: Lease) -> None:
    """The image that EC2 made all the same is it; one that it did not make holds nothing."""
    made = stage.compute.save_image

    def lose(region: str, order: ImageOrder) -> Any:
        return replace(made(region, order), accepted=False, answer="ReadTimeout")

    stage.compute.save_image = lose  # type: ignore[method-assign]
    told = saved(stage, lease.instance_ids[0])
    assert told.image.id in stage.compute.ec2.albums.made
    stage.compute.save_image = made  # type: ignore[method-assign]
    held = stage.lease(lease.id).hold
    stage.compute.fail("save_image", code="RequestLimitExceeded")
    with pytest.raises(Refused, match="RequestLimitExceeded") as refusal:
        saved(stage, lease.instance_ids[0], "another")
    assert refusal.value.slug == "image-refused"
    assert stage.lease(lease.id).hold == held


def test_a_process_that_dies_after_the_call_is_found_by_the_next(stage: Stage, lease: Lease) -> None:
    """The image was begun and not written down: asked again it is the same one."""
    before = stage.lease(lease.id).hold.snapshot_usd
    stage.store.inject("save_lease", KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        saved(stage, lease.instance_ids[0])
    (only,) = stage.compute.ec2.albums.made
    told = saved(stage, lease.instance_ids[0])
    assert (told.image.id, told.lease_id) == (only, lease.id)
    after = stage.lease(lease.id)
    assert [one.id for one in after.images] == [only]
    assert after.hold.snapshot_usd == before + told.monthly_usd


def test_a_month_that_is_not_held_yet_is_held_with_the_image_that_is_found(
    stage: Stage, lease: Lease
) -> None:
    """Somebody has given it back, or another lease had the box then."""
    told = saved(stage, lease.instance_ids[0])
    bare = replace(stage.lease(lease.id), images=())
    stage.store.save_lease(replace(bare, hold=replace(bare.hold, snapshot_usd=usd(0))))
    assert saved(stage, lease.instance_ids[0]).lease_id == lease.id
    assert stage.lease(lease.id).hold.snapshot_usd == told.monthly_usd


def test_two_calls_for_one_wish_hold_one_month(stage: Stage, lease: Lease) -> None:
    """Both looked before either had begun, and both had held it: the second one gives its own back."""
    before, (box,) = stage.lease(lease.id).hold.snapshot_usd, lease.instance_ids
    made = stage.compute.save_image
    answers: list[Saving] = []

    def after_another(region: str, order: ImageOrder) -> Any:
        stage.compute.save_image = made  # type: ignore[method-assign]
        known = stage.compute.saved_images
        looks = iter([()])
        stage.compute.saved_images = lambda *args, **facts: next(looks, None) or known(*args, **facts)  # type: ignore[method-assign]
        answers.append(saved(stage, box))
        return made(region, order)

    stage.compute.save_image = after_another  # type: ignore[method-assign]
    answers.append(saved(stage, box))
    first, second = answers
    assert (first.image.id, first.lease_id) == (second.image.id, second.lease_id)
    after = stage.lease(lease.id)
    assert [one.id for one in after.images] == [first.image.id]
    assert after.hold.snapshot_usd == before + first.monthly_usd


def test_a_patch_in_between_drops_no_month(stage: Stage, lease: Lease) -> None:
    """The lease is moved after the month was held and before the image is there: it is held again."""
    made = stage.compute.save_image

    def moved(region: str, order: ImageOrder) -> Any:
        extend(stage.services, lease.id, lasts_for=9 * HOUR, budget_usd=None, by="ada")
        return made(region, order)

    stage.compute.save_image = moved  # type: ignore[method-assign]
    told = saved(stage, lease.instance_ids[0])
    assert told.lease_id == lease.id
    after = stage.lease(lease.id)
    assert after.hold.snapshot_usd == told.monthly_usd
    assert stage.left() == usd(100) - after.hold.total_usd


def test_a_lease_that_changes_meanwhile_gets_its_month_back(stage: Stage, lease: Lease) -> None:
    """A sweep wrote it while EC2 refused the image; of one that a PATCH has dropped nothing more is given back."""
    held = stage.lease(lease.id).hold

    def written(region: str, order: ImageOrder) -> Outcome:
        del region, order
        stage.store.save_lease(replace(stage.lease(lease.id), volumes_at=stage.clock.now()))
        return Outcome(accepted=False, answer="InvalidParameter")

    stage.compute.save_image = written  # type: ignore[method-assign]
    with pytest.raises(Refused):
        saved(stage, lease.instance_ids[0])
    assert stage.lease(lease.id).hold == held
    assert stage.left() == usd(100) - held.total_usd


def test_what_may_have_been_begun_stays_held(stage: Stage, lease: Lease) -> None:
    """Neither the call nor the look was answered: the month is held, once, until the same call finds the image."""
    before, (box,) = stage.lease(lease.id).hold.snapshot_usd, lease.instance_ids
    made = stage.compute.save_image

    def lost(region: str, order: ImageOrder) -> Outcome:
        assert made(region, order).accepted
        stage.compute.fail("saved_images", code="ReadTimeoutError")
        return Outcome(accepted=False, answer="ReadTimeoutError", may_have_happened=True)

    stage.compute.save_image = lost  # type: ignore[method-assign]
    with pytest.raises(Unavailable):
        saved(stage, box)
    told = saved(stage, box)
    after = stage.lease(lease.id)
    assert ([one.id for one in after.images], told.lease_id) == ([told.image.id], lease.id)
    assert after.hold.snapshot_usd == before + told.monthly_usd


def test_no_room_on_a_budget_saves_nothing(stage: Stage) -> None:
    """The 409 names the budget."""
    stage.put_budget(limit=9)
    lease = stage.launch(lasts_for=HOUR)
    stage.put_budget(limit=stage.lease(lease.id).hold.total_usd.__ceil__())
    with pytest.raises(BudgetExceeded) as told:
        saved(stage, lease.instance_ids[0])
    assert told.value.extra["budget"] == "team"
    assert stage.compute.ec2.albums.made == {}


def test_the_lease_s_own_limit_holds(stage: Stage) -> None:
    """`budget_usd` is the most it may cost, its images too; a PATCH makes room, and keeps it held."""
    lease = stage.launch(lasts_for=8 * HOUR, budget_usd=usd(5))
    with pytest.raises(Refused, match="budget_usd") as told:
        saved(stage, lease.instance_ids[0])
    assert told.value.slug == "budget-too-small"
    extend(stage.services, lease.id, lasts_for=None, budget_usd=usd(30), by="ada")
    image = saved(stage, lease.instance_ids[0])
    later = extend(stage.services, lease.id, lasts_for=9 * HOUR, budget_usd=None, by="ada")
    assert later.hold.snapshot_usd == image.monthly_usd


def test_an_end_makes_its_own_image_all_the_same(stage: Stage) -> None:
    """What was saved in the morning is not what the box has in the evening."""
    lease = stage.launch(lasts_for=8 * HOUR, on_end=OnEnd.IMAGE, project="lab")
    first = saved(stage, lease.instance_ids[0], "morning")
    stage.until(at("09:10"))
    end_lease(stage.services, lease.id, by="ada")
    stage.until(at("09:30"))
    receipt = stage.receipt(lease.id)
    assert receipt.status == "done"
    assert {one.name: one.state for one in receipt.images} == {"morning": "available", "lab": "available"}
    assert receipt.relaunch is not None
    own = next(one.id for one in receipt.images if one.id != first.image.id)
    assert receipt.relaunch.body["image"] == own


def test_a_box_that_ends_meanwhile_leaves_no_month(stage: Stage, lease: Lease) -> None:
    """EC2 fails an image whose box is gone: nothing of it bills, and the receipt says that nothing was saved."""
    saved(stage, lease.instance_ids[0])
    end_lease(stage.services, lease.id, by="ada")
    stage.until(at("09:20"))
    receipt = stage.receipt(lease.id)
    assert (receipt.status, receipt.images, receipt.snapshot_usd) == ("done", (), usd(0))
    assert receipt.relaunch is not None
    assert any("failed" in remark for remark in receipt.relaunch.remarks)


def test_what_can_t_be_saved_is_refused(stage: Stage, lease: Lease) -> None:
    """A box that ends, one that is not there, one of others, one that what maintains it would take for broken."""
    box = lease.instance_ids[0]
    with pytest.raises(NotFound):
        saved(stage, "i-0nothere")
    with pytest.raises(NotFound):
        saved(stage, box, only="bob", by="bob")
    maintained = stage.launch(request_type=RequestType.MAINTAIN)
    stage.until(at("09:08"))
    (member,) = stage.lease(maintained.id).instance_ids
    with pytest.raises(Refused, match="reboot") as told:
        saved(stage, member, reboots=True)
    assert told.value.slug == "controller"
    assert saved(stage, member, "fleet").image.state == "pending"
    stage.compute.ec2.shutting_down_for = 5 * MINUTE
    stage.compute.fail("terminate", times=9)
    end_lease(stage.services, lease.id, by="ada")
    with pytest.raises(Refused) as told:
        saved(stage, box)
    assert told.value.slug == "lease-over"


def test_what_could_not_be_looked_up_is_not_absent(stage: Stage, lease: Lease) -> None:
    """A region that does not answer, and EC2 that does not say which images there are: nothing is held or made."""
    held = stage.lease(lease.id).hold
    for operation in ("observe", "saved_images"):
        stage.compute.fail(operation, code="InternalError")
        with pytest.raises(Unavailable):
            saved(stage, lease.instance_ids[0])
    assert stage.lease(lease.id).hold == held
    assert stage.compute.ec2.albums.made == {}


def test_there_is_no_beginning_without_time_to_finish(stage: Stage, lease: Lease) -> None:
    """A caller who has waited long for the look is told to ask again."""
    hurried = replace(stage.services, answer_by=stage.clock.elapsed() + 5)
    with pytest.raises(Unavailable, match="too long"):
        save(hurried, lease.instance_ids[0], name=None, reboots=False, by="ada")
    assert stage.compute.ec2.albums.made == {}


def test_a_stopped_box_is_saved_whole() -> None:
    """No word of power cuts, and no reboot, whatever was asked."""
    stage = Stage()
    box = stage.compute.start(state="stopped")
    told = saved(stage, box, reboots=True)
    assert not any("power cut" in remark for remark in told.remarks)
    assert "scratch" in told.remarks[0]
    assert "has to live until" in told.remarks[1]


def test_a_found_box_s_image_is_whose_who_asks(stage: Stage) -> None:
    """Of a stray, under its lease once it has one."""
    box = stage.compute.start()
    stage.until(at("09:05"))
    told = saved(stage, box)
    assert (told.image.owner, told.lease_id) == ("ada", stage.only_lease().id)


def test_a_box_without_lease_counts_on_no_budget(stage: Stage) -> None:
    """And the answer says so."""
    stage.put_policy(unleased={"effect": "warn"})
    box = stage.compute.start()
    told = saved(stage, box)
    assert (told.lease_id, told.image.lease_id, told.image.instance_id) == (None, "unleased", box)
    assert told.monthly_usd > 0
    assert "no lease counts it" in told.remarks[-1]


@given(project=st.text(max_size=200))
def test_a_made_up_name_can_be_launched_from(project: str) -> None:
    """Whatever somebody wrote into a box's project tag."""
    name = default_name(adopted(project=project or None), BOX, START)
    LaunchBody.model_validate({"instance_types": ["g5.xlarge"], "image": f"mine:{name}"})


MOVES = st.lists(
    st.tuples(st.just("save"), st.integers(0, 3))
    | st.tuples(st.just("hours"), st.integers(2, 30))
    | st.tuples(st.just("wait"), st.integers(1, 40)),
    max_size=12,
)


@settings(max_examples=15)
@given(moves=MOVES)
def test_whatever_is_saved_and_moved_its_money_is_held(moves: list[tuple[str, int]]) -> None:
    """The months of all images stand on the lease's hold and on its budget, and no box ends for them."""
    stage = Stage()
    stage.put_budget(limit=200)
    lease = stage.launch(lasts_for=4 * HOUR)
    (box,) = lease.instance_ids
    for move, number in moves:
        with suppress(Refused):
            match move:
                case "save":
                    saved(stage, box, f"name-{number}")
                case "hours":
                    extend(stage.services, lease.id, lasts_for=number * HOUR, budget_usd=None, by="ada")
                case _:
                    stage.works(box, 90, since=stage.clock.now(), until=stage.clock.now() + minutes(number))
                    stage.after(minutes(number))
        now = stage.lease(lease.id)
        if now.status is not Status.ACTIVE:
            break
        cost = report_of(stage.services, lease.id).cost
        assert now.hold.snapshot_usd >= cost.snapshot_usd
        assert stage.left() == usd(200) - now.hold.total_usd
    ended = stage.lease(lease.id).ending
    assert ended is None or ended.cause in {"expired", "idle"}


def test_no_end_waits_for_a_look_at_people_s_images(stage: Stage, lease: Lease) -> None:
    """However many were asked for: they make no room, so nobody looks for what is old among them."""
    for number in range(3):
        saved(stage, lease.instance_ids[0], f"epoch-{number}")
    stage.until(at("10:00"))
    before = len(stage.compute.calls)
    assert end_lease(stage.services, lease.id, by="ada").status == "done"
    assert "saved_images" not in [call.operation for call in stage.compute.calls[before:]]


def test_people_s_images_are_never_pruned() -> None:
    """However many ends have saved under the same name since."""
    live = SavedImage(
        id="ami-live",
        region=REGION,
        image_of="lease-1/i-1/live",
        owner="ada",
        name="lab",
        state="available",
        gib=1,
        created_at=START,
    )
    ends = [
        replace(live, id=f"ami-{n}", image_of=f"lease-{n}/i-{n}", created_at=START + n * HOUR)
        for n in range(1, 6)
    ]
    assert [one.id for one in outdated([live, *ends])] == ["ami-2", "ami-1"]
    assert outdated([replace(live, state="failed")]) == ()


def test_what_was_saved_is_removed_once_nothing_needs_it(stage: Stage, lease: Lease) -> None:
    """Not while it is made, not while an open lease was launched from it, and nobody else's."""
    told = saved(stage, lease.instance_ids[0])

    def remove(**facts: Any) -> None:
        forget(stage.services, told.image.id, **{"region": REGION, **facts})

    with pytest.raises(Refused, match="still being made"):
        remove()
    stage.clock.advance(minutes(10))
    again = stage.launch(image="mine:epoch-90")
    with pytest.raises(Refused, match=again.id) as refusal:
        remove()
    assert refusal.value.slug == "image-in-use"
    end_lease(stage.services, again.id, by="ada")
    theirs = stage.launch(image=told.image.id, owner="bob")
    with pytest.raises(Refused, match="somebody else") as refusal:
        remove(only="ada")
    assert theirs.id not in str((refusal.value.detail, refusal.value.extra))
    end_lease(stage.services, theirs.id, by="bob")
    with pytest.raises(NotFound):
        remove(only="bob")
    with pytest.raises(NotFound, match="region"):
        remove(region="eu-west-1")
    stage.compute.fail("forget_image", code="InternalError")
    with pytest.raises(Unavailable, match="goes on billing"):
        remove()
    remove()
    assert stage.compute.ec2.albums.made == {}
    with pytest.raises(NotFound):
        remove()


def test_dry_run_saves_and_removes_nothing() -> None:
    """Curfew that only rehearses changes nothing at EC2."""
    stage = Stage(is_dry_run=True)
    with pytest.raises(Refused) as told:
        saved(stage, "i-1")
    assert told.value.slug == "dry-run"
    with pytest.raises(Refused):
        forget(stage.services, "ami-1", region=REGION)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return open_world(monkeypatch)


def test_over_http_it_is_a_202_with_what_to_know(world: World) -> None:
    """What it costs, what a launch calls it, what a power cut means, and what is in no image."""
    box = world.launched(project="lab")["instance_ids"][0]
    status, told = world("POST", f"/instances/{box}/image", {"name": "epoch-90"})
    assert status == 202, told
    assert (told["image"], told["state"], told["instance_id"]) == ("mine:epoch-90", "pending", box)
    assert "power cut" in told["remarks"][0]
    assert "instance store" in told["remarks"][1]
    assert "has to live until" in told["remarks"][2]
    assert world("DELETE", f"/images/{told['id']}")[0] == 409
    world.clock.advance(minutes(10))
    assert world("DELETE", f"/images/{told['id']}")[0] == 204
    assert world("DELETE", f"/images/{told['id']}")[0] == 404


@pytest.mark.parametrize(
    "body, field", [({"name": "a b"}, "name"), ({"reboot": 1}, "reboot"), ({"no_reboot": True}, "no_reboot")]
)
def test_a_bad_wish_names_its_field(world: World, body: dict[str, Any], field: str) -> None:
    """With the fix."""
    with logged():
        status, told = world("POST", "/instances/i-1/image", body)
    assert (status, told["errors"][0]["field"]) == (422, field)
