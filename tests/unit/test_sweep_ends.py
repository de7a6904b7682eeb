"""How a sweep ends what must end: for good, once, and through every failure."""

import pytest

from chalicelib.domain.errors import Unavailable
from chalicelib.domain.lease import RequestType, Status
from chalicelib.domain.notices import Kind
from tests.builders import MINUTE, REGION, SECOND, Stage, at, minutes, usd
from tests.doubles.accidents import Crash
from tests.doubles.memory_compute import Call
from tests.unit.sweep_kit import BOTH, ONE_TIME, is_over, one_hour


@BOTH
def test_an_expired_lease_ends_for_good(kind: RequestType) -> None:
    """At its hour nothing of it runs, nothing can start it again, and the money is back."""
    stage = Stage()
    stage.put_budget()
    lease = one_hour(stage, kind)
    stage.until(at("09:59"))
    assert stage.alive
    record = stage.until(at("10:00"))
    assert record.ended == (lease.id,)
    assert is_over(stage)
    receipt = stage.receipt(lease.id)
    assert (receipt.cause, receipt.status, receipt.ended_at) == ("expired", "done", at("10:00"))
    assert stage.left() == usd(100) - receipt.cost_usd.quantize(usd("0.000001"), rounding="ROUND_CEILING")
    assert usd("1") < receipt.cost_usd < lease.hold.total_usd


def test_the_request_is_cancelled_before_its_instance_is_terminated() -> None:
    """The other order makes AWS start another box."""
    stage = Stage()
    lease = one_hour(stage)
    stage.until(at("10:00"))
    assert [(call.operation, call.ids) for call in stage.ending_calls] == [
        ("cancel_spot_requests", lease.spot_request_ids),
        ("terminate", lease.instance_ids),
    ]


@BOTH
def test_nothing_comes_back(kind: RequestType) -> None:
    """An hour of sweeps later there is still nothing, and nothing more was called."""
    stage = Stage()
    one_hour(stage, kind)
    stage.until(at("11:00"))
    assert is_over(stage)
    assert len(stage.ending_calls) == 2


@BOTH
@pytest.mark.parametrize("phase", ["before", "after"])
@pytest.mark.parametrize(
    "call", ["save_lease", "cancel_spot_requests", "terminate", "observe", "close_lease"]
)
def test_a_process_killed_anywhere_in_an_end_is_taken_over_a_minute_later(
    call: str, phase: str, kind: RequestType
) -> None:
    """In particular between cancel and terminate: no open request, no instance, one receipt, one message."""
    stage = Stage()
    lease = one_hour(stage, kind)
    stage.until(at("09:59"))
    stage.clock.advance(MINUTE)
    died = die_at(stage, call, phase)
    with pytest.raises(Crash):
        stage.sweep()
    assert died
    stage.after(MINUTE)
    if stage.store.open_leases():
        stage.after(MINUTE)  # what died before it had claimed the lease leaves one more look
    assert is_over(stage)
    assert stage.receipt(lease.id).status == "done"
    assert len(stage.told(Kind.ENDED)) == 1


def die_at(stage: Stage, name: str, phase: str) -> list[str]:
    """The process ends at the next such call (the look after acting, for `observe`)."""
    died: list[str] = []
    looks = [1 if name == "observe" else 0]

    def step(method: str, when: str) -> None:
        if method == name and when == phase and not died:
            looks[0] -= 1
            if looks[0] < 0:
                died.append(method)
                raise Crash

    stage.store.hook = step
    stage.compute.on_call = lambda when, call: step(call.operation, when)
    return died


def test_a_sweep_right_after_a_death_waits_for_the_claim_to_run_out() -> None:
    """The dead writer may still be at it: nobody acts beside it, and then somebody does."""
    stage = Stage()
    one_hour(stage)
    stage.until(at("09:59"))
    stage.clock.advance(MINUTE)
    die_at(stage, "terminate", "before")
    with pytest.raises(Crash):
        stage.sweep()
    stage.after(30 * SECOND)
    assert stage.alive
    stage.after(30 * SECOND)
    assert is_over(stage)


def test_a_cancel_that_fails_keeps_a_persistent_box_from_being_terminated() -> None:
    """It would only come back; the next sweep tries again, and people are told."""
    stage = Stage()
    one_hour(stage)
    stage.until(at("09:59"))
    stage.compute.fail("cancel_spot_requests", times=2)
    record = stage.until(at("10:00"))
    assert record.ending
    assert "terminate" not in [call.operation for call in stage.ending_calls]
    assert len(stage.told(Kind.STUCK)) == 1
    stage.until(at("10:02"))
    assert is_over(stage)
    assert len(stage.compute.ec2.boxes) == 1


def test_a_cancel_that_fails_does_not_keep_a_one_time_box_alive() -> None:
    """It never comes back: what must end ends, and the lease closes once its request is over."""
    stage = Stage()
    one_hour(stage, ONE_TIME)
    stage.until(at("09:59"))
    stage.compute.fail("cancel_spot_requests", times=99)
    stage.until(at("10:00"))
    assert stage.alive == []
    stage.until(at("10:02"))
    assert is_over(stage)


@pytest.mark.parametrize("relaunches_after", [0, 3])
def test_a_request_too_new_to_be_known_does_not_bring_its_box_back(relaunches_after: int) -> None:
    """Cancel answered NotFound and the box was terminated: what its request starts, at once or later, ends too."""
    stage = Stage()
    lease = one_hour(stage)
    stage.compute.ec2.relaunches_after = minutes(relaunches_after)
    stage.until(at("09:59"))
    stage.compute.fail("cancel_spot_requests", code="InvalidSpotInstanceRequestID.NotFound")
    stage.until(at("10:00"))
    assert stage.only_lease().status is Status.ENDING
    stage.until(at("10:02"))
    assert (stage.alive, stage.armed) == ([], [])
    stage.until(at("10:07"))
    assert is_over(stage)
    assert stage.receipt(lease.id).status == "done"
    stage.until(at("10:10"))
    assert stage.told(Kind.ADOPTED) == []


def test_a_box_that_comes_to_light_while_its_lease_ends_ends_with_it() -> None:
    """Its request started another in the same second as it was cancelled: the lease is not closed over it."""
    stage = Stage()
    lease = one_hour(stage)
    stage.until(at("09:59"))
    stage.clock.advance(MINUTE)

    def another(when: str, call: Call) -> None:
        if (when, call.operation) == ("after", "terminate"):
            stage.compute.on_call = lambda *_: None
            stage.compute.start(request_id=lease.spot_request_ids[0], lifecycle="spot")

    stage.compute.on_call = another
    stage.sweep()
    assert stage.only_lease().status is Status.ENDING
    stage.after(MINUTE)
    assert is_over(stage)
    assert len(stage.receipt(lease.id).instance_ids) == 2


def test_a_box_that_takes_minutes_to_end_is_waited_for_and_not_called_again() -> None:
    """The lease closes when EC2 says `terminated`, and the meter stops where the end began."""
    stage = Stage()
    lease = one_hour(stage)
    stage.compute.ec2.shutting_down_for = minutes(3)
    stage.until(at("10:02"))
    assert stage.only_lease().status is Status.ENDING
    stage.until(at("10:04"))
    assert is_over(stage)
    assert stage.receipt(lease.id).ended_at == at("10:00")
    assert [call.operation for call in stage.ending_calls] == ["cancel_spot_requests", "terminate"]


def test_a_terminate_that_fails_is_tried_every_minute() -> None:
    """An end goes on until it is proven."""
    stage = Stage()
    one_hour(stage)
    stage.until(at("09:59"))
    stage.compute.fail("terminate", times=3)
    stage.until(at("10:02"))
    assert stage.alive
    stage.until(at("10:03"))
    assert is_over(stage)


def test_a_failed_look_after_acting_closes_nothing() -> None:
    """Without proof the lease stays open for the next sweep."""
    stage = Stage()
    one_hour(stage)
    stage.until(at("09:59"))
    stage.clock.advance(MINUTE)

    def fail_the_second_look(when: str, call: Call) -> None:
        if (when, call.operation) == ("after", "terminate"):
            stage.compute.fail("observe", REGION)

    stage.compute.on_call = fail_the_second_look
    stage.sweep()
    assert stage.only_lease().status is Status.ENDING
    stage.compute.on_call = lambda *_: None
    stage.after(MINUTE)
    assert is_over(stage)


def test_a_relaunched_box_without_tags_ends_with_its_lease() -> None:
    """Killed by hand, its request starts another without a tag: that one joins the lease and ends with it."""
    stage = Stage()
    lease = one_hour(stage)
    stage.until(at("09:20"))
    stage.compute.terminate(REGION, lease.instance_ids)
    (again,) = stage.compute.alive
    assert again.tags == {}
    stage.until(at("09:30"))
    assert stage.only_lease().instance_ids == (*lease.instance_ids, again.id)
    stage.until(at("10:00"))
    assert is_over(stage)


def test_a_protected_box_is_stopped_and_reported() -> None:
    """Termination is refused: it is stopped, so that compute ends, and people are told."""
    stage = Stage()
    stage.put_policy(unleased={"for": "PT1H", "grace": "PT0S"})
    box = stage.compute.start(is_protected=True)
    stage.until(at("10:01"))
    assert stage.box(box).state == "stopped"
    assert "OperationNotPermitted" in stage.told(Kind.STUCK)[0].lines[0]
    (lease,) = stage.store.open_leases()
    assert lease.ending is not None
    assert lease.ending.steps[0].call == "TerminateInstances, StopInstances"


def test_protection_is_lifted_where_the_policy_says_so() -> None:
    """`teardown.lift_termination_protection` ends it all the same."""
    stage = Stage()
    stage.put_policy(
        unleased={"for": "PT1H", "grace": "PT0S"}, teardown={"lift_termination_protection": True}
    )
    stage.compute.start(is_protected=True)
    stage.until(at("10:01"))
    assert is_over(stage)
    (receipt,) = stage.store.receipts(limit=1, cursor=None).items
    assert receipt.steps[0].call == (
        "TerminateInstances, ModifyInstanceAttribute DisableApiTermination=false, TerminateInstances"
    )


def test_one_poisoned_box_shields_nobody() -> None:
    """Of three that end one is refused: the others end."""
    stage = Stage()
    stage.put_policy(unleased={"for": "PT1H", "grace": "PT0S"})
    stage.compute.start(is_protected=True)
    others = [stage.compute.start(), stage.compute.start(market="persistent")]
    stage.until(at("10:01"))
    assert not set(others) & set(stage.alive)


def test_a_lease_whose_write_fails_does_not_keep_the_others() -> None:
    """The table refuses one lease: the rest end now, that one with the next sweep."""
    stage = Stage()
    for _ in range(3):
        one_hour(stage)
    stage.until(at("09:59"))
    stage.clock.advance(MINUTE)
    stage.store.inject("save_lease", Unavailable("throttled"))
    stage.sweep()
    assert len(stage.alive) == 1
    stage.after(MINUTE)
    assert is_over(stage)


def test_a_record_that_can_t_be_written_stops_no_sweep() -> None:
    """What a box's look changed is written with the next one; the sweep goes on to its end."""
    stage = Stage()
    lease = stage.launch()
    stage.store.inject("save_lease", Unavailable("throttled"))
    assert stage.after(MINUTE).is_complete
    assert stage.lease(lease.id).runs == ()
    stage.after(MINUTE)
    assert len(stage.lease(lease.id).runs) == 1


def test_a_lost_answer_of_the_table_delays_an_end_by_a_minute() -> None:
    """The intent was written though nobody knew: the next sweep takes it up."""
    stage = Stage()
    one_hour(stage)
    stage.until(at("09:59"))
    stage.clock.advance(MINUTE)
    stage.store.inject("save_lease", Unavailable("no answer"), after=True)
    stage.sweep()
    stage.after(MINUTE)
    assert is_over(stage)
