"""Launch: held before it starts, started once, and never lost, whatever breaks in between."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Any

import pytest

from chalicelib.domain.catalogue import PublicImage
from chalicelib.domain.errors import BudgetExceeded, CurfewError, NoCapacity, Refused, Stale, Unavailable
from chalicelib.domain.lease import Lease, RequestType, Status
from chalicelib.domain.notices import Kind
from chalicelib.ports import Image
from chalicelib.usecases.end import end_lease
from chalicelib.usecases.launch import quote
from chalicelib.web.problems import TITLES
from tests.builders import AMI, HOUR, MINUTE, REGION, TYPE, Stage, minutes, order, usd
from tests.doubles.accidents import Crash
from tests.doubles.memory_catalogue import MemoryCatalogue
from tests.doubles.memory_compute import Call

BOTH = pytest.mark.parametrize("kind", [RequestType.ONE_TIME, RequestType.PERSISTENT])


def launched(stage: Stage) -> list[Call]:
    return [call for call in stage.compute.calls if call.operation == "launch"]


# -- what goes well ------------------------------------------------------------------------------------------------------


@BOTH
def test_a_launch_is_held_recorded_started_and_told(kind: RequestType) -> None:
    """Its lease is active, owns the box and its request, and the budget has less left by the hold."""
    stage = Stage()
    stage.put_budget()
    lease = stage.launch(request_type=kind)
    assert lease.status is Status.ACTIVE
    assert stage.alive == list(lease.instance_ids)
    assert stage.armed == list(lease.spot_request_ids)
    assert stage.left() == usd(100) - lease.hold.total_usd
    assert [attempt.outcome for attempt in lease.attempts] == ["launched"]
    assert len(stage.told(Kind.LAUNCHED)) == 1


@BOTH
def test_every_launch_sends_a_price_cap(kind: RequestType) -> None:
    """Without one EC2 bills whatever spot costs."""
    stage = Stage()
    stage.launch(request_type=kind)
    stage.launch(request_type=kind, max_price_usd_per_hour=usd("0.42"))
    assert [request.max_price for request in stage.compute.ec2.requests.values()] == ["1.006", "0.42"]


def test_the_attempt_is_recorded_in_full_before_the_call() -> None:
    """When EC2 is called, the table has the token and the parameters already."""
    stage, seen = Stage(), list[Lease]()

    def look(when: str, call: Call) -> None:
        if (when, call.operation) == ("before", "launch"):
            seen.extend(stage.store.open_leases())

    stage.compute.on_call = look
    stage.launch()
    (before,) = seen
    assert before.status is Status.REQUESTED
    assert before.attempts[-1].outcome is None
    assert before.attempts[-1].token
    assert before.attempts[-1].parameters


def test_the_same_key_answers_the_same_lease() -> None:
    """A caller who asks twice gets one box."""
    stage = Stage()
    first, again = stage.launch(key="k"), stage.launch(key="k")
    assert again.id == first.id
    assert len(stage.alive) == 1


def test_keys_are_the_owner_s_own() -> None:
    """Two people may use the same key, and none can be told apart from another by a slash."""
    stage = Stage()
    assert stage.launch(key="k").id != stage.launch(key="k", owner="bob").id
    assert stage.launch(key="b/c", owner="a").id != stage.launch(key="c", owner="a/b").id


def test_the_same_key_with_another_body_is_refused() -> None:
    """A key stands for one order."""
    stage = Stage()
    stage.launch(key="k")
    with pytest.raises(Refused) as told:
        stage.launch(key="k", body="another")
    assert told.value.slug == "idempotency-key-reused"
    assert len(stage.alive) == 1


def test_a_quote_holds_and_launches_nothing() -> None:
    """It tells the hold and all that speaks against it."""
    stage = Stage()
    stage.put_budget(limit=1)
    told = quote(stage.services, order(), owner="ada")
    assert told.hold.total_usd > 1
    assert [objection.slug for objection in told.objections] == ["budget-exceeded"]
    assert told.price_caps == {TYPE: usd("1.006")}
    assert stage.store.open_leases() == ()
    assert stage.compute.acts == []


def spot(stage: Stage, **usd_by_zone: str) -> None:
    """What spot costs in zones of the region."""
    for zone, price in usd_by_zone.items():
        stage.prices.set_spot(f"{REGION}{zone}", TYPE, price)


def test_a_quote_tells_that_the_cap_is_below_the_market() -> None:
    """It would start nowhere: the objection names what spot costs where it is cheapest, and what to raise."""
    stage = Stage()
    spot(stage, a="0.45", b="0.40")
    (objection,) = quote(stage.services, order(max_price_usd_per_hour=usd("0.39")), owner="ada").objections
    assert objection.slug == "price-too-low"
    assert objection.extra["spot_usd_per_hour"] == {TYPE: {f"{REGION}a": "0.45", f"{REGION}b": "0.40"}}
    for part in ("$0.39", "below the market", "$0.40", "Raise max_price_usd_per_hour"):
        assert part in objection.detail


@pytest.mark.parametrize("cap", ["0.40", "0.42", None])
def test_a_cap_that_meets_the_market_somewhere_is_no_objection(cap: str | None) -> None:
    """One zone is enough; and without a cap of its own an order has the on-demand price."""
    stage = Stage()
    spot(stage, a="0.45", b="0.40")
    wish = order(max_price_usd_per_hour=None if cap is None else usd(cap))
    assert quote(stage.services, wish, owner="ada").objections == ()


def test_a_market_that_is_not_known_is_no_objection() -> None:
    """EC2 told no price of a type, or does not answer: it may be cheap enough."""
    stage = Stage()
    low = order(instance_types=(TYPE, "g4dn.xlarge"), max_price_usd_per_hour=usd("0.01"))
    assert quote(stage.services, low, owner="ada").objections == ()
    spot(stage, a="0.45")
    assert quote(stage.services, low, owner="ada").objections == ()
    stage.prices.is_down = True
    assert quote(stage.services, low, owner="ada").objections == ()


# -- what is refused -----------------------------------------------------------------------------------------------------


def test_a_launch_its_budget_can_t_hold_is_refused() -> None:
    """Nothing runs, nothing is held, no lease is left."""
    stage = Stage()
    stage.put_budget(limit=3)
    with pytest.raises(BudgetExceeded) as told:
        stage.launch()
    assert told.value.extra["budget"] == "team"
    assert (stage.alive, stage.left(), stage.store.open_leases()) == ([], usd(3), ())


@BOTH
def test_without_capacity_the_hold_goes_back(kind: RequestType) -> None:
    """Every attempt was refused: 409 with what was tried, and the same key answers the same again."""
    stage = Stage()
    stage.put_budget()
    stage.compute.ec2.no_capacity = {(REGION, TYPE), (REGION, "g4dn.xlarge")}
    with pytest.raises(NoCapacity) as told:
        stage.launch(key="k", request_type=kind, instance_types=(TYPE, "g4dn.xlarge"))
    assert told.value.extra["tried"]
    assert (stage.alive, stage.left(), stage.store.open_leases()) == ([], usd(100), ())
    with pytest.raises(NoCapacity) as again:
        stage.launch(key="k", request_type=kind, instance_types=(TYPE, "g4dn.xlarge"))
    assert again.value.detail == told.value.detail


def test_a_cap_below_the_market_is_told_as_such() -> None:
    """EC2 says no more than that there is no capacity: the answer says what spot costs, now and for the same key."""
    stage = Stage()
    stage.put_budget()
    spot(stage, a="0.45")
    for _ in range(2):
        stage.compute.fail("launch", code="SpotMaxPriceTooLow")
        with pytest.raises(Refused, match=r"below the market.*\$0.45.*nothing is held. Raise") as told:
            stage.launch(key="k", max_price_usd_per_hour=usd("0.01"))
        assert told.value.slug == "price-too-low"
        assert told.value.extra["tried"]
    assert (stage.alive, stage.left()) == ([], usd(100))


def test_spot_above_the_on_demand_price_is_told_as_such() -> None:
    """The cap that is sent where none was given: what spot costs in each zone is in the answer."""
    stage = Stage()
    spot(stage, a="1.45", b="1.40")
    stage.compute.fail("launch", code="SpotMaxPriceTooLow")
    with pytest.raises(Refused, match=r"the on-demand price.*nothing is held\. Send max_price_usd") as told:
        stage.launch()
    assert told.value.slug == "price-too-low"
    assert told.value.extra["spot_usd_per_hour"] == {TYPE: {f"{REGION}a": "1.45", f"{REGION}b": "1.40"}}


def test_an_image_of_another_region_names_the_region() -> None:
    """Where it can be seen: launch there, or take that region's own id."""
    elsewhere = PublicImage(
        id="ami-0fffffffffffffff0",
        name="mine",
        region="eu-west-1",
        owner_id="123456789012",
        owner_alias=None,
        architecture="x86_64",
        gib=8,
        created_at=None,
    )
    stage = Stage(catalogue=MemoryCatalogue(images=[elsewhere]))
    with pytest.raises(Refused, match="There is one in eu-west-1: launch there") as told:
        stage.launch(image=elsewhere.id)
    assert (told.value.slug, told.value.extra["regions"]) == ("image-not-found", ["eu-west-1"])


def test_an_image_for_other_processors_is_refused_before_anything_is_held() -> None:
    """Of a type whose processors are known; EC2 judges others."""
    stage = Stage()
    stage.compute.ec2.images[AMI] = Image(id=AMI, root_device="/dev/xvda", root_gib=45, architecture="arm64")
    with pytest.raises(Refused, match=r"is for arm64, which g5.xlarge \(x86_64\) can't run") as told:
        stage.launch(instance_types=("g5g.xlarge", TYPE))
    assert told.value.slug == "image-architecture"
    assert (stage.store.open_leases(), launched(stage)) == ((), [])


def test_the_next_type_is_tried_where_the_first_has_no_capacity() -> None:
    """A refused attempt is recorded as such, and the next is made."""
    stage = Stage()
    stage.compute.ec2.no_capacity = {(REGION, "g4dn.xlarge")}
    lease = stage.launch(request_type=RequestType.PERSISTENT, instance_types=(TYPE, "g4dn.xlarge"))
    assert [attempt.outcome for attempt in lease.attempts] == ["refused", "launched"]
    assert [stage.box(one).type for one in lease.instance_ids] == [TYPE]


def slow_launches(stage: Stage) -> None:
    """Each call takes ten seconds."""
    stage.compute.on_call = lambda when, call: (
        stage.clock.sleep(10) if (when, call.operation) == ("before", "launch") else None
    )


def test_a_launch_cut_off_by_the_time_keeps_what_ec2_said() -> None:
    """The first type has no capacity and there is no time for the second: no-capacity, now and for the same key, and
    the hold goes back at once."""
    stage = Stage()
    stage.put_budget()
    stage.compute.ec2.no_capacity = {(REGION, "g4dn.xlarge")}
    slow_launches(stage)
    for _ in range(2):
        with pytest.raises(NoCapacity, match="no time to try 1 of these types") as told:
            stage.launch(key="k", request_type=RequestType.PERSISTENT, instance_types=(TYPE, "g4dn.xlarge"))
        assert [one["code"] for one in told.value.extra["tried"]] == ["InsufficientInstanceCapacity"]
    assert (stage.alive, stage.left(), stage.store.open_leases()) == ([], usd(100), ())
    assert len(launched(stage)) == 1


@pytest.mark.parametrize("number, slug", [(1, "launch-lost"), (2, "no-capacity")])
def test_a_launch_that_started_nothing_before_its_launcher_died_says_why(number: int, slug: str) -> None:
    """EC2's refusals where they are all recorded; else that it was cut off, which is a documented problem too."""
    stage = Stage()
    stage.compute.ec2.no_capacity = {(REGION, TYPE)}
    saves = count(1)

    def die(method: str, phase: str) -> None:
        if (method, phase) == ("save_lease", "after") and next(saves) == number:
            stage.store.hook = lambda *_: None
            raise Crash

    stage.store.hook = die
    with pytest.raises(Crash):
        stage.launch(key="k")
    stage.until(stage.clock.now() + minutes(7))
    with pytest.raises(Refused) as told:
        stage.launch(key="k")
    assert told.value.slug == slug
    assert slug in TITLES


def test_a_refusal_that_the_caller_can_mend_says_so() -> None:
    """It is not told as want of capacity."""
    stage = Stage()
    stage.compute.fail("launch", code="InvalidParameterValue")
    with pytest.raises(Refused) as told:
        stage.launch()
    assert told.value.slug == "launch-refused"
    assert told.value.detail.count("InvalidParameterValue") == 1
    assert stage.store.open_leases() == ()


def test_a_subnet_that_is_not_there_is_told_by_its_field_and_region() -> None:
    """Ids differ by region, so the answer says which region was asked."""
    stage = Stage()
    stage.compute.fail("launch", code="InvalidSubnetID.NotFound")
    with pytest.raises(Refused, match="subnet_id subnet-0123 is none of this account's in us-east-1"):
        stage.launch(subnet_id="subnet-0123")


@pytest.mark.parametrize(
    "wishes, slug",
    [
        ({"image": "ami-0fffffffffffffff0"}, "image-not-found"),
        ({"volume_gib": 8}, "volume-too-small"),
        ({"instance_types": ("q9.large",)}, "price-unknown"),
        ({"lasts_for": 100 * HOUR}, "lease-limit"),
    ],
)
def test_what_can_t_be_launched_is_refused_before_anything_is_held(wishes: dict[str, Any], slug: str) -> None:
    """No lease, no call."""
    stage = Stage()
    with pytest.raises(Refused) as told:
        stage.launch(**wishes)
    assert told.value.slug == slug
    assert (stage.store.open_leases(), launched(stage)) == ((), [])


# -- lost answers --------------------------------------------------------------------------------------------------------


@BOTH
def test_a_lost_answer_is_asked_for_again_with_the_same_token(kind: RequestType) -> None:
    """The call took effect, its answer was lost: the replay finds it and starts nothing new."""
    stage = Stage()
    stage.compute.fail("launch", code="RequestTimeout", takes_effect=True)
    lease = stage.launch(request_type=kind)
    assert lease.status is Status.ACTIVE
    assert stage.alive == list(lease.instance_ids)
    assert len({call.ids for call in launched(stage)}) == 1


@BOTH
@pytest.mark.parametrize("takes_effect", [True, False])
def test_while_the_answer_is_not_known_no_other_attempt_is_made(
    kind: RequestType, *, takes_effect: bool
) -> None:
    """The lease stays `requested`; a sweep keeps what runs, or gives the hold back once nothing can show up."""
    stage = Stage()
    stage.put_budget()
    stage.compute.fail("launch", times=9, code="InternalError", takes_effect=takes_effect)
    lease = stage.launch(key="k", request_type=kind, instance_types=(TYPE, "g4dn.xlarge"))
    assert lease.status is Status.REQUESTED
    assert len({call.ids for call in launched(stage)}) == 1
    assert stage.launch(key="k").id == lease.id
    stage.compute.mend()
    stage.until(stage.clock.now() + minutes(6))
    if takes_effect:
        assert stage.lease(lease.id).status is Status.ACTIVE
        assert stage.alive == list(stage.lease(lease.id).instance_ids)
    else:
        assert stage.store.open_leases() == ()
        assert stage.left() == usd(100)


@BOTH
@pytest.mark.parametrize(
    "code", ["UnauthorizedOperation", "IdempotentInstanceTerminated", "InsufficientInstanceCapacity"]
)
def test_a_refused_replay_does_not_prove_that_nothing_runs(kind: RequestType, code: str) -> None:
    """The first call took effect, its answer was lost, and the replay is refused: no second attempt, and the sweep
    finds the box by its token."""
    stage = Stage()
    stage.put_budget()
    stage.compute.fail("launch", code="ReadTimeoutError", takes_effect=True)
    stage.compute.fail("launch", code=code)
    lease = stage.launch(request_type=kind, instance_types=(TYPE, "g4dn.xlarge"))
    assert lease.status is Status.REQUESTED
    assert len(stage.alive) == 1
    stage.until(stage.clock.now() + minutes(2))
    assert stage.only_lease().id == lease.id
    assert list(stage.only_lease().instance_ids) == stage.alive
    assert stage.told(Kind.ADOPTED) == []


def test_a_template_that_ec2_does_not_see_yet_is_waited_for() -> None:
    """CreateFleet right after CreateLaunchTemplate: the same call again, and still a plain refusal if that is one."""
    stage = Stage()
    stage.compute.fail("launch", code="InvalidLaunchTemplateName.NotFoundException")
    assert stage.launch().status is Status.ACTIVE
    assert len(stage.alive) == 1
    stage.compute.fail("launch", code="InvalidLaunchTemplateId.NotFound")
    stage.compute.fail("launch", code="InsufficientInstanceCapacity")
    with pytest.raises(NoCapacity):
        stage.launch()


def test_what_a_lost_call_started_late_is_waited_for() -> None:
    """DescribeInstances shows it minutes later: the hold stays until then, and the box is kept, not adopted."""
    stage = Stage()
    stage.compute.fail("launch", times=9, takes_effect=True)
    lease = stage.launch()
    (box,) = stage.compute.alive
    box.is_hidden = True
    stage.compute.mend()
    stage.until(stage.clock.now() + minutes(4))
    assert stage.lease(lease.id).status is Status.REQUESTED
    box.is_hidden = False
    stage.after(MINUTE)
    assert stage.only_lease().id == lease.id
    assert stage.only_lease().instance_ids == (box.id,)


def test_the_table_s_answer_may_be_lost_too() -> None:
    """A 503 to the caller; the hold that was written all the same goes back with the sweep."""
    stage = Stage()
    stage.put_budget()
    stage.store.inject("open_lease", Unavailable("no answer"), after=True)
    with pytest.raises(Unavailable):
        stage.launch()
    assert stage.left() < usd(100)
    stage.after(MINUTE)
    assert (stage.alive, stage.left(), stage.store.open_leases()) == ([], usd(100), ())


# -- crashes -------------------------------------------------------------------------------------------------------------


def calls_of_a_launch(kind: RequestType) -> int:
    """How many calls of the table and of EC2 a launch makes."""
    stage, calls = Stage(), list[str]()
    stage.store.hook = lambda method, phase: calls.append(method) if phase == "before" else None
    stage.compute.on_call = lambda when, call: calls.append(call.operation) if when == "before" else None
    stage.launch(request_type=kind, instance_types=("g4dn.xlarge", TYPE))
    return len(calls)


def crash_at(stage: Stage, number: int, phase: str) -> None:
    """Let the process die before or after its n-th call, whatever that is."""
    left = [number]

    def step(when: str) -> None:
        if when == phase:
            left[0] -= 1
            if left[0] == -1:
                stage.store.hook, stage.compute.on_call = (lambda *_: None), (lambda *_: None)
                raise Crash

    stage.store.hook = lambda _method, when: step(when)
    stage.compute.on_call = lambda when, _call: step(when)


@BOTH
@pytest.mark.parametrize("phase", ["before", "after"])
def test_a_crash_anywhere_leaves_nothing_or_what_the_next_sweeps_find(kind: RequestType, phase: str) -> None:
    """Killed at each call in turn: no box without a lease, no second box, no hold without a box."""
    for number in range(calls_of_a_launch(kind)):
        stage = Stage()
        stage.put_budget()
        crash_at(stage, number, phase)
        with pytest.raises(Crash):
            stage.launch(key="k", request_type=kind, instance_types=("g4dn.xlarge", TYPE))
        stage.until(stage.clock.now() + minutes(7))
        leases = stage.store.open_leases()
        assert len(stage.alive) == len(leases) <= 1, number
        for lease in leases:
            assert lease.status is Status.ACTIVE
            assert not lease.is_adopted
            assert list(lease.instance_ids) == stage.alive
            assert stage.left() == usd(100) - lease.hold.total_usd
        if not leases:
            assert stage.left() == usd(100), number


@BOTH
def test_asking_again_after_a_crash_doubles_nothing(kind: RequestType) -> None:
    """The caller repeats with its key at once, and again after the sweep has resolved it."""
    for number in range(calls_of_a_launch(kind)):
        stage = Stage()
        crash_at(stage, number, "after")
        with pytest.raises(Crash):
            stage.launch(key="k", request_type=kind)
        for _ in range(3):
            with_key(stage, kind)
            stage.until(stage.clock.now() + minutes(3))
        assert len(stage.alive) <= 1, number
        assert len(stage.store.open_leases()) == len(stage.alive), number


def with_key(stage: Stage, kind: RequestType) -> None:
    try:
        stage.launch(key="k", request_type=kind)
    except CurfewError:
        return


# -- two at once ---------------------------------------------------------------------------------------------------------


def during(stage: Stage, operation: str, act: Callable[[], object], *, when: str = "after") -> None:
    """Once, while EC2 is called, somebody else does something."""

    def hook(phase: str, call: Call) -> None:
        if (phase, call.operation) == (when, operation):
            stage.compute.on_call = lambda *_: None
            act()

    stage.compute.on_call = hook


@BOTH
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_lease_ended_while_it_launches_ends_with_what_has_started(kind: RequestType, when: str) -> None:
    """DELETE comes while EC2 is at it: the box that starts all the same does not outlive the lease."""
    stage = Stage()
    stage.put_budget()
    during(stage, "launch", lambda: end_lease(stage.services, stage.only_lease().id, by="ada"), when=when)
    with pytest.raises(Refused):
        stage.launch(request_type=kind)
    assert (stage.alive, stage.armed) == ([], [])
    stage.until(stage.clock.now() + minutes(7))
    assert (stage.alive, stage.armed, stage.store.open_leases()) == ([], [], ())
    assert stage.left() > usd("99.9")


@BOTH
def test_a_lease_ended_while_it_launches_and_a_launcher_that_dies(kind: RequestType) -> None:
    """The lease is not closed over a box that is yet to show up."""
    stage = Stage()

    def end_and_die() -> None:
        end_lease(stage.services, stage.only_lease().id, by="ada")
        raise Crash

    stage.compute.fail("find_launched")
    during(stage, "launch", end_and_die)
    with pytest.raises(Crash):
        stage.launch(request_type=kind)
    assert stage.only_lease().status is Status.ENDING
    stage.until(stage.clock.now() + minutes(7))
    assert (stage.alive, stage.armed, stage.store.open_leases()) == ([], [], ())


@BOTH
def test_what_could_not_be_ended_at_once_ends_under_its_own_lease(kind: RequestType) -> None:
    """The launcher's own attempt to undo fails: the lease stays open until its box is gone, and has its receipt."""
    stage = Stage()

    def end_and_break() -> None:
        end_lease(stage.services, stage.only_lease().id, by="ada")
        stage.compute.fail("terminate")

    during(stage, "launch", end_and_break, when="before")
    with pytest.raises(Refused):
        stage.launch(request_type=kind)
    lease = stage.only_lease()
    assert stage.alive == list(lease.instance_ids)
    stage.until(stage.clock.now() + minutes(2))
    assert (stage.alive, stage.armed, stage.store.open_leases()) == ([], [], ())
    assert (stage.receipt(lease.id).status, stage.told(Kind.ADOPTED)) == ("done", [])


@BOTH
def test_a_launch_whose_answer_was_lost_can_be_ended_at_once(kind: RequestType) -> None:
    """DELETE looks for what the lost call has started, and ends that."""
    stage = Stage()
    stage.compute.fail("launch", times=9, takes_effect=True)
    lease = stage.launch(request_type=kind)
    stage.compute.mend()
    assert end_lease(stage.services, lease.id, by="ada").status == "done"
    assert (stage.alive, stage.armed) == ([], [])


def test_a_sweep_before_the_first_attempt_is_recorded_gives_nothing_up() -> None:
    """For a minute a launch without a trace is taken for one in flight."""
    stage = Stage()

    def look(method: str, phase: str) -> None:
        if (method, phase) == ("save_lease", "before"):
            stage.store.hook = lambda *_: None
            stage.clock.advance(minutes(0.9))
            stage.sweep()

    stage.store.hook = look
    assert stage.launch().status is Status.ACTIVE


def test_a_budget_made_while_it_launches_does_not_disturb_it() -> None:
    """The launch goes through, and the sweep charges it to the new budget."""
    stage = Stage()
    during(stage, "launch", stage.put_budget)
    lease = stage.launch()
    assert lease.status is Status.ACTIVE
    stage.sweep()
    assert stage.left() == usd(100) - lease.hold.total_usd


def test_a_budget_made_before_its_first_attempt_does_not_disturb_it_either() -> None:
    """Nobody else writes a lease that is being launched."""
    stage = Stage()

    def put(method: str, phase: str) -> None:
        if (method, phase) == ("save_lease", "before"):
            stage.store.hook = lambda *_: None
            stage.put_budget()

    stage.store.hook = put
    assert stage.launch().status is Status.ACTIVE


def test_an_answer_whose_writing_was_overtaken_is_written_again() -> None:
    """What runs is the lease's, whoever wrote in between."""
    stage = Stage()
    stage.store.inject("save_lease", Stale("overtaken"), skip=1)
    lease = stage.launch()
    assert lease.status is Status.ACTIVE
    assert stage.alive == list(lease.instance_ids)


def test_a_sweep_and_an_event_during_a_launch_leave_it_alone() -> None:
    """A box whose launch is in flight is not adopted."""
    stage = Stage()

    def look() -> None:
        (box,) = stage.compute.alive
        stage.sweep(box.id)
        stage.sweep()

    during(stage, "launch", look)
    lease = stage.launch()
    assert [one.id for one in stage.store.open_leases()] == [lease.id]
    assert stage.told(Kind.REPORTED) == []


def test_two_calls_with_one_key_at_once_start_one_box() -> None:
    """Whoever comes second is answered with what the first one does."""
    stage = Stage()
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: stage.launch(key="k"), range(8)))
    assert len({lease.id for lease in answers}) == 1
    assert len(stage.alive) == 1


def test_launches_at_once_never_pass_a_budget() -> None:
    """Forty at once into a budget that holds ten admit ten."""
    stage = Stage()
    hold = quote(stage.services, order(), owner="ada").hold.total_usd
    stage.put_policy(lease={"max_open_per_owner": 1000})
    stage.put_budget(limit=str(10 * hold + usd("0.01")))

    def attempt(number: int) -> bool:
        try:
            stage.launch(key=f"k{number}")
        except BudgetExceeded:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        admitted = sum(pool.map(attempt, range(40)))
    assert admitted == 10
    assert len(stage.alive) == 10
    assert stage.left() == usd("0.01")


def test_an_answered_call_is_kept_without_its_parameters() -> None:
    """User data would be most of what a lease weighs, and every sweep reads every lease."""
    stage = Stage()
    lease = stage.launch(user_data="#!/bin/sh\n" + "echo train\n" * 100)
    (attempt,) = lease.attempts
    assert (attempt.outcome, attempt.parameters) == ("launched", {})
    assert attempt.token
