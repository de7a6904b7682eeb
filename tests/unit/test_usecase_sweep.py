"""The sweep: what must end ends and stays ended, once, whatever fails beside it; what must not end does not."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from threading import Barrier
from typing import Any

import pytest

from chalicelib.domain.budget import Consequence, ScopeKind, Threshold
from chalicelib.domain.errors import Unavailable
from chalicelib.domain.lease import Charge, Lease, RequestType, Status
from chalicelib.domain.notices import Kind
from chalicelib.usecases.end import end_lease
from chalicelib.usecases.extend import extend
from chalicelib.usecases.report import lease as lease_report
from chalicelib.usecases.sweep import arm, sweep
from tests.builders import HOUR, MINUTE, REGION, SECOND, Stage, at, minutes, usd
from tests.builders import lease as example
from tests.doubles.accidents import Crash
from tests.doubles.memory_compute import Call

ONE_TIME, PERSISTENT = RequestType.ONE_TIME, RequestType.PERSISTENT
BOTH = pytest.mark.parametrize("kind", [ONE_TIME, PERSISTENT])


def one_hour(stage: Stage, kind: RequestType = PERSISTENT, **wishes: Any) -> Lease:
    """A launch at 09:00 that expires at 10:00."""
    return stage.launch(request_type=kind, lasts_for=HOUR, **wishes)


def is_over(stage: Stage) -> bool:
    return (stage.alive, stage.armed, stage.store.open_leases()) == ([], [], ())


# -- the end -------------------------------------------------------------------------------------------------------------


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


def test_protection_is_lifted_where_the_policy_says_so() -> None:
    """`teardown.lift_termination_protection` ends it all the same."""
    stage = Stage()
    stage.put_policy(
        unleased={"for": "PT1H", "grace": "PT0S"}, teardown={"lift_termination_protection": True}
    )
    stage.compute.start(is_protected=True)
    stage.until(at("10:01"))
    assert is_over(stage)


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


# -- twice, and in parallel ------------------------------------------------------------------------------------------------


@BOTH
def test_a_sweep_run_twice_does_nothing_twice(kind: RequestType) -> None:
    """The same minute again: one receipt, one message, each call once."""
    stage = Stage()
    one_hour(stage, kind)
    stage.until(at("10:00"))
    stage.sweep()
    assert [call.operation for call in stage.ending_calls] == ["cancel_spot_requests", "terminate"]
    assert len(stage.told(Kind.ENDED)) == 1


@pytest.mark.parametrize("minute", ["09:50", "10:00"], ids=["warning", "end"])
def test_sweeps_in_parallel_do_nothing_twice(minute: str) -> None:
    """Six at the same moment, over leases, a new box and warnings: everything once."""
    stage = Stage()
    leases = [one_hour(stage) for _ in range(3)]
    stage.until(at("09:49"))
    stage.clock.advance(at(minute) - stage.clock.now())
    loose = stage.compute.start()
    together = Barrier(6)

    def at_once(_: int) -> None:
        together.wait()
        stage.sweep()

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(at_once, range(6)))
    calls = [(call.operation, one) for call in stage.ending_calls for one in call.ids]
    assert len(calls) == len(set(calls))
    ids = [notice.id for notice in stage.notifier.sent]
    assert len(ids) == len(set(ids))
    assert stage.alive[-1] == loose
    owners = [one for one in stage.store.open_leases() if loose in one.instance_ids]
    assert len(owners) == 1
    if minute == "10:00":
        stage.after(MINUTE)
        assert stage.alive == [loose]
        assert {stage.receipt(one.id).status for one in leases} == {"done"}
        assert len(stage.told(Kind.ENDED)) == 3
    else:
        assert len(stage.told(Kind.WARNED)) == 3


def test_a_sweep_that_was_overtaken_tells_no_tales() -> None:
    """A box that another sweep adopts meanwhile is not reported as unguarded."""
    stage = Stage()
    stage.compute.start()

    def another(method: str, phase: str) -> None:
        if (method, phase) == ("open_lease", "before"):
            stage.store.hook = lambda *_: None
            stage.sweep()

    stage.store.hook = another
    stage.sweep()
    assert stage.told(Kind.REPORTED) == []
    assert len(stage.store.open_leases()) == 1


# -- warnings and idleness ---------------------------------------------------------------------------------------------------


def idle_box(stage: Stage, *, every: int = 1) -> Lease:
    """A persistent launch at 09:00 that never does anything."""
    lease = stage.launch(request_type=PERSISTENT)
    stage.works(lease.instance_ids[0], 0, since=at("09:00"), until=at("20:00"), every=minutes(every))
    return lease


@pytest.mark.parametrize("every", [1, 5], ids=["60 s", "300 s"])
def test_an_idle_box_is_warned_about_then_ended_and_stays_away(every: int) -> None:
    """Warned at 09:50, ended at 10:00, its request first."""
    stage = Stage()
    lease = idle_box(stage, every=every)
    stage.until(at("09:49"))
    assert stage.told(Kind.WARNED) == []
    stage.until(at("09:50"))
    (warning,) = stage.notifier.sent[-1:]
    assert warning.kind is Kind.WARNED
    assert "10:00 UTC" in warning.lines[0]
    stage.until(at("09:59"))
    assert stage.alive
    stage.until(at("10:00"))
    assert stage.receipt(lease.id).cause == "idle"
    assert is_over(stage)
    stage.until(at("10:30"))
    assert is_over(stage)
    assert len(stage.told(Kind.WARNED)) == 1


def test_work_after_the_warning_takes_it_back() -> None:
    """One busy minute after the warning: people are told that it goes on, and the hour begins anew."""
    stage = Stage()
    lease = idle_box(stage)
    stage.works(lease.instance_ids[0], 80, since=at("09:55"), until=at("09:56"))
    stage.until(at("09:58"))
    assert len(stage.told(Kind.TAKEN_BACK)) == 1
    stage.until(at("10:45"))
    assert len(stage.told(Kind.WARNED)) == 1
    stage.until(at("10:55"))
    assert stage.alive
    assert len(stage.told(Kind.WARNED)) == 2
    stage.until(at("10:56"))
    assert is_over(stage)


def test_a_box_without_metrics_is_never_ended_for_idleness_but_at_its_hour() -> None:
    """Missing is unknown; expiry goes on."""
    stage = Stage()
    stage.launch(lasts_for=3 * HOUR)
    stage.until(at("11:59"))
    assert stage.alive
    assert {notice.kind for notice in stage.notifier.sent} <= {Kind.LAUNCHED, Kind.WARNED}
    stage.until(at("12:00"))
    assert is_over(stage)


def test_a_box_whose_metrics_go_stale_is_never_ended_for_idleness() -> None:
    """Silent until 09:40, then no samples at all: nobody knows, so it lives."""
    stage = Stage()
    lease = stage.launch()
    stage.works(lease.instance_ids[0], 0, since=at("09:00"), until=at("09:40"))
    stage.until(at("13:00"))
    assert stage.alive


def test_metrics_that_can_t_be_asked_end_nothing_and_delay_nothing_else() -> None:
    """The sweep says what it lacks; money and time go on, and idleness is judged when CloudWatch is back."""
    stage = Stage()
    idle = idle_box(stage)
    one_hour(stage)
    stage.metrics.fail(REGION)
    record = stage.until(at("10:30"))
    assert any("GetMetricData us-east-1" in lack for lack in record.lacking)
    assert stage.alive == list(idle.instance_ids)
    verdict = lease_report(stage.services, idle.id).verdict
    assert verdict is not None
    assert "could not be asked" in verdict.case.evidence.reason
    stage.metrics.failing.clear()
    stage.until(at("10:41"))
    assert stage.receipt(idle.id).cause == "idle"


def test_what_can_t_end_for_idleness_yet_is_not_asked_about() -> None:
    """CloudWatch bills by the question: not before the warning could be due, not when it ends anyway."""
    stage = Stage()
    idle_box(stage)
    stage.until(at("09:49"))
    assert stage.metrics.calls == []
    stage.until(at("09:50"))
    assert len(stage.metrics.calls) == 1


def test_what_ends_anyway_or_already_is_not_asked_about() -> None:
    """An expired lease's idleness changes nothing, nor does that of one that is being ended."""
    stage = Stage()
    one_hour(stage)
    stage.until(at("09:49"))
    stage.after(minutes(11))
    assert (stage.alive, stage.metrics.calls) == ([], [])
    idle = stage.launch()
    stage.works(idle.instance_ids[0], 0, since=at("10:00"), until=at("20:00"))
    stage.until(at("10:59"))
    asked = len(stage.metrics.calls)
    stage.compute.fail("terminate", times=5)
    stage.until(at("11:04"))
    assert stage.only_lease().status is Status.ENDING
    assert len(stage.metrics.calls) == asked + 1


def test_a_busy_box_is_left_alone() -> None:
    """It works, so nothing is told and nothing is done."""
    stage = Stage()
    lease = stage.launch()
    stage.works(lease.instance_ids[0], 70, since=at("09:00"), until=at("20:00"))
    stage.until(at("13:00"))
    assert stage.alive
    assert [notice.kind for notice in stage.notifier.sent] == [Kind.LAUNCHED]
    assert stage.only_lease().runs == stage.lease(lease.id).runs


def test_idle_ends_are_capped_and_the_rest_follow() -> None:
    """Three at a time, told as deferred, without another warning."""
    stage = Stage()
    stage.put_policy(limits={"idle_ends_per_sweep": 3}, lease={"max_open_per_owner": 99})
    for _ in range(8):
        idle_box(stage)
    stage.until(at("10:00"))
    assert len(stage.alive) == 5
    assert len(stage.told(Kind.DEFERRED)) == 1
    stage.until(at("10:02"))
    assert is_over(stage)
    assert len(stage.told(Kind.WARNED)) == 8


def test_an_end_deferred_for_hours_is_still_due() -> None:
    """Silence alone never takes a warning back, however long the end has to wait."""
    stage = Stage()
    stage.put_policy(limits={"idle_ends_per_sweep": 0})
    idle_box(stage)
    stage.until(at("13:00"))
    assert len(stage.told(Kind.WARNED)) == 1
    assert stage.told(Kind.TAKEN_BACK) == []
    stage.put_policy()
    stage.after(MINUTE)
    assert is_over(stage)


def test_an_extension_takes_an_expiry_warning_back_and_the_next_one_is_told() -> None:
    """Each hour named has its own warning."""
    stage = Stage()
    stage.prices.set_spot(f"{REGION}a", "g5.xlarge", "0.4")
    lease = one_hour(stage)
    stage.until(at("09:51"))
    assert len(stage.told(Kind.WARNED)) == 1
    extend(stage.services, lease.id, lasts_for=2 * HOUR, budget_usd=None, by="ada")
    stage.until(at("10:50"))
    assert len(stage.told(Kind.TAKEN_BACK)) == 1
    assert len(stage.told(Kind.WARNED)) == 2
    stage.until(at("11:00"))
    assert is_over(stage)


# -- money -----------------------------------------------------------------------------------------------------------------


def test_a_lease_ends_when_its_meter_reaches_its_limit() -> None:
    """$1 pays for less than an hour of a $1 box, what ending it costs included."""
    stage = Stage()
    stage.put_budget()
    lease = stage.launch(request_type=PERSISTENT, budget_usd=usd(1))
    assert lease.hold.total_usd == 1
    stage.until(at("10:00"))
    assert is_over(stage)
    receipt = stage.receipt(lease.id)
    assert receipt.cause == "over_budget"
    assert usd("0.6") < receipt.cost_usd <= 1
    assert stage.told(Kind.WARNED)


def test_a_falling_price_buys_time() -> None:
    """The meter follows spot, not the price at launch."""
    stage = Stage()
    stage.prices.set_spot(f"{REGION}a", "g5.xlarge", "0.25", at=at("09:00"))
    stage.launch(budget_usd=usd(1))
    stage.until(at("11:00"))
    assert stage.alive
    stage.until(at("13:00"))
    assert is_over(stage)


def test_without_prices_the_cap_is_assumed_and_no_end_is_delayed() -> None:
    """Failing prices make everything dearer, never free."""
    stage = Stage()
    stage.prices.set_spot(f"{REGION}a", "g5.xlarge", "0.01", at=at("09:00"))
    stage.prices.is_down = True
    stage.launch(budget_usd=usd(1))
    stage.until(at("10:00"))
    assert is_over(stage)


def test_a_budget_that_is_spent_ends_all_that_counts_against_it_and_nothing_else() -> None:
    """At its threshold of what was really spent, by all its leases together, all of them end."""
    stage = Stage()
    fifth = (Threshold(at_percent=usd(20), do=(Consequence.END,)),)
    ada: Any = {"scope_kind": ScopeKind.OWNER, "scope_value": "ada", "thresholds": fifth}
    stage.put_budget("ada", 20, **ada)
    mine = [stage.launch(lasts_for=6 * HOUR, egress_gb=0) for _ in range(2)]
    other = stage.launch(owner="bob", lasts_for=20 * HOUR)
    stage.until(at("10:55"))
    assert len(stage.alive) == 3
    stage.until(at("11:00"))
    assert {stage.receipt(one.id).reason for one in mine} == {"budget 'ada' is spent"}
    assert stage.alive == list(other.instance_ids)


def test_people_are_told_once_when_a_budget_s_thresholds_are_reached() -> None:
    """Half and four fifths, each once in its period."""
    stage = Stage()
    stage.put_budget(limit=10)
    stage.launch(lasts_for=9 * HOUR, egress_gb=0)
    stage.until(at("13:30"))
    assert stage.told(Kind.BUDGET) == []
    stage.until(at("14:30"))
    assert [notice.title for notice in stage.told(Kind.BUDGET)] == [
        "Budget 'team' has spent $5.01 of $10.00 in 2026-11, over 50 %"
    ]
    stage.until(at("18:00"))
    assert len(stage.told(Kind.BUDGET)) == 2
    assert "No launch" in stage.told(Kind.BUDGET)[1].lines[0]


@pytest.mark.parametrize("read", ["open_leases", "budgets"])
@pytest.mark.parametrize("skip", [0, 1, 2])
@pytest.mark.parametrize("comes", [True, False], ids=["opens", "closes"])
def test_a_lease_that_comes_or_goes_between_two_reads_is_not_taken_for_spent_money(
    read: str, skip: int, *, comes: bool
) -> None:
    """Leases and budgets are read as of one moment: otherwise others would end for it."""
    stage = Stage()
    half = (Threshold(at_percent=usd(50), do=(Consequence.END,)),)
    stage.put_budget(limit=20, thresholds=half)
    stays = stage.launch(lasts_for=HOUR, egress_gb=0)

    def start() -> Lease:
        return stage.launch(owner="bob", lasts_for=12 * HOUR, egress_gb=0)

    there = None if comes else start()

    def happen() -> None:
        if there:
            end_lease(stage.services, there.id, by="bob")
        else:
            start()

    happen_after(stage, read, skip, happen)
    stage.sweep()
    assert stays.instance_ids[0] in stage.alive


def happen_after(stage: Stage, method: str, skip: int, act: Callable[[], object]) -> None:
    """Once, right after the n-th call of a method of the table."""
    left = [skip]

    def hook(name: str, phase: str) -> None:
        if (name, phase) == (method, "after"):
            left[0] -= 1
            if left[0] == -1:
                stage.store.hook = lambda *_: None
                act()

    stage.store.hook = hook


def test_a_lease_of_before_its_budget_is_charged_by_the_sweep() -> None:
    """A crash right after a budget was made leaves leases out: the sweep puts them on it."""
    stage = Stage()
    lease = stage.launch()
    stage.store.inject("rehold", Crash())
    with pytest.raises(Crash):
        stage.put_budget()
    assert stage.left() == 100
    stage.sweep()
    assert stage.left() == usd(100) - lease.hold.total_usd


# -- regions ---------------------------------------------------------------------------------------------------------------


def test_one_region_s_errors_do_not_stop_the_others() -> None:
    """The sweep is incomplete, says which region it has not seen, and sees it the next time."""
    stage = Stage()
    one_hour(stage)
    far = one_hour(stage, region="eu-west-1")
    stage.until(at("09:59"))
    stage.compute.fail("observe", "us-west-2", times=1, code="InternalError")
    record = stage.until(at("10:00"))
    assert is_over(stage)
    assert not record.is_complete
    assert record.regions["us-west-2"].startswith("failed")
    assert record.regions["eu-west-1"] == "ok"
    assert "us-west-2" in stage.told(Kind.INCOMPLETE)[0].title
    assert far.id in record.ended
    assert stage.after(MINUTE).is_complete


def test_a_launch_in_a_region_that_does_not_answer_ends_at_its_hour_all_the_same() -> None:
    """Its ids are known: the calls go out, and the lease closes once the region shows that it worked."""
    stage = Stage()
    one_hour(stage)
    stage.until(at("09:59"))
    stage.compute.fail("observe", REGION, times=6)
    stage.until(at("10:00"))
    assert (stage.alive, stage.armed) == ([], [])
    assert stage.only_lease().status is Status.ENDING
    stage.until(at("10:05"))
    assert is_over(stage)


@pytest.mark.parametrize("hidden_by", ["a failed region", "a partial answer"])
def test_an_adopted_box_is_not_ended_unseen(hidden_by: str) -> None:
    """Protected, stopped or a group's: where EC2 does not show it, nobody knows, and it is not ended blindly."""
    stage = Stage()
    stage.put_policy(unleased={"for": "PT1H", "grace": "PT0S"})
    box = stage.compute.start()
    stage.until(at("09:30"))
    stage.box(box).tags["curfew:protect"] = "2026-11-24T09:00Z"
    stage.until(at("09:59"))
    if hidden_by == "a failed region":
        stage.compute.fail("observe", REGION, times=3)
    else:
        stage.box(box).is_hidden = True
    stage.until(at("10:02"))
    assert stage.alive == [box]
    assert stage.ending_calls == []
    stage.box(box).is_hidden = False
    stage.until(at("10:10"))
    assert stage.alive == [box]


def test_a_region_that_is_denied_is_told_but_is_not_incomplete() -> None:
    """It will never answer."""
    stage = Stage()
    stage.compute.fail("observe", "us-west-2", code="UnauthorizedOperation")
    record = stage.sweep()
    assert record.is_complete
    assert record.regions["us-west-2"].startswith("denied")


def test_without_the_list_of_regions_the_known_ones_are_swept() -> None:
    """DescribeRegions fails: leases and what was seen before go on, and the sweep is not complete."""
    stage = Stage()
    one_hour(stage, region="eu-west-1")
    stage.until(at("09:59"))
    stage.compute.fail("regions")
    record = stage.until(at("10:00"))
    assert is_over(stage)
    assert not record.is_complete
    assert record.lacking[0].startswith("DescribeRegions")


def test_a_lease_s_region_is_swept_whatever_the_scope_says() -> None:
    """A policy or a setting that leaves the region out does not leave the lease behind."""
    stage = Stage()
    one_hour(stage, region="eu-west-1")
    stage.regions = ("us-east-1",)
    stage.put_policy(scope={"regions": ["us-east-1"]})
    record = stage.until(at("10:00"))
    assert set(record.regions) == {"us-east-1", "eu-west-1"}
    assert is_over(stage)


def test_only_the_regions_in_scope_are_swept() -> None:
    """Both the setting and the policy narrow it."""
    stage = Stage()
    stage.regions = ("us-east-1", "us-west-2")
    stage.put_policy(scope={"regions": ["us-west-2", "eu-west-1"]})
    assert set(stage.sweep().regions) == {"us-west-2"}


def test_half_missing_answers_do_not_break_a_sweep() -> None:
    """Untagged, without State or LaunchTime, unknown types, terminated ones still listed."""
    stage = Stage()
    bare = stage.compute.start("g9x.xlarge")
    stage.box(bare).launched_at, stage.box(bare).zone, stage.box(bare).state = None, None, "unknown"
    gone = stage.compute.start()
    stage.compute.terminate(REGION, [gone])
    stage.compute.start("unknown")
    lease = one_hour(stage)
    record = stage.until(at("10:00"))
    assert lease.id in record.ended
    assert stage.only_lease().instance_ids == (bare,)
    stage.until(at("17:01"))
    assert bare not in stage.alive


def test_an_instance_that_ec2_does_not_show_for_a_while_keeps_its_lease() -> None:
    """One empty answer deletes nothing; it comes back and goes on."""
    stage = Stage()
    lease = stage.launch()
    stage.until(at("09:10"))
    stage.box(lease.instance_ids[0]).is_hidden = True
    stage.until(at("09:13"))
    stage.box(lease.instance_ids[0]).is_hidden = False
    stage.until(at("09:30"))
    assert stage.only_lease().id == lease.id


def test_a_box_given_up_and_seen_again_is_guarded_again() -> None:
    """EC2 did not show it for ten minutes and its lease closed: seen again it gets a new one, as often as it takes."""
    stage = Stage()
    box = stage.compute.start()
    stage.until(at("09:05"))
    seen = {stage.only_lease().id}
    for start in ("09:20", "09:40"):
        stage.box(box).is_hidden = True
        stage.until(at(start))
        assert stage.store.open_leases() == ()
        stage.box(box).is_hidden = False
        stage.after(MINUTE)
        seen.add(stage.only_lease().id)
    assert len(seen) == 3


# -- ended outside ---------------------------------------------------------------------------------------------------------


@BOTH
def test_a_lease_whose_box_was_ended_outside_is_closed(kind: RequestType) -> None:
    """Its receipt says so, its hold goes back; a persistent one is cancelled by hand first."""
    stage = Stage()
    stage.put_budget()
    lease = stage.launch(request_type=kind)
    stage.until(at("09:30"))
    stage.compute.cancel_spot_requests(REGION, lease.spot_request_ids)
    stage.compute.terminate(REGION, lease.instance_ids)
    stage.after(MINUTE)
    receipt = stage.receipt(lease.id)
    assert (receipt.cause, receipt.ended_at) == ("gone", at("09:30"))
    assert is_over(stage)
    assert stage.left() > usd(99)


def test_a_persistent_box_that_waits_for_capacity_keeps_its_lease_until_its_hour() -> None:
    """Its request may start it again at any time; at the hour the request goes."""
    stage = Stage()
    lease = one_hour(stage)
    stage.until(at("09:10"))
    stage.compute.ec2.no_capacity = {(REGION, "g5.xlarge")}
    stage.compute.ec2.interrupt(lease.instance_ids[0])
    stage.until(at("09:59"))
    assert stage.only_lease().status is Status.ACTIVE
    stage.until(at("10:01"))
    assert is_over(stage)
    assert stage.receipt(lease.id).cost_usd < usd("0.3")


def test_a_persistent_request_without_a_box_keeps_its_lease() -> None:
    """Terminated by hand while there is no capacity: what its request starts an hour later is still the lease's."""
    stage = Stage()
    lease = stage.launch(request_type=PERSISTENT, lasts_for=3 * HOUR)
    stage.until(at("09:10"))
    stage.compute.ec2.no_capacity = {(REGION, "g5.xlarge")}
    stage.compute.ec2.terminate(REGION, lease.instance_ids[0])
    stage.until(at("10:10"))
    assert stage.only_lease().status is Status.ACTIVE
    stage.compute.ec2.no_capacity = set()
    stage.until(at("10:12"))
    assert stage.only_lease().id == lease.id
    assert stage.alive == [stage.only_lease().instance_ids[1]]
    stage.until(at("12:00"))
    assert is_over(stage)


def test_an_interrupted_one_time_box_closes_its_lease() -> None:
    """EC2 took it back: nothing is left to guard."""
    stage = Stage()
    lease = stage.launch()
    stage.until(at("09:30"))
    stage.compute.ec2.interrupt(lease.instance_ids[0])
    stage.after(MINUTE)
    assert stage.receipt(lease.id).cause == "gone"
    assert is_over(stage)


# -- Slack -----------------------------------------------------------------------------------------------------------------


def test_slack_down_changes_nothing_and_its_messages_come_later() -> None:
    """What ends ends; each message is delivered once Slack is back, none twice."""
    stage = Stage()
    stage.prices.set_spot(f"{REGION}a", "g5.xlarge", "0.4")
    one_hour(stage)
    stage.notifier.fail(times=1000)
    record = stage.until(at("10:00"))
    assert is_over(stage)
    assert any("Slack answered 500" in lack for lack in record.lacking)
    assert stage.notifier.sent == []
    stage.notifier.fail(times=0)
    stage.until(at("10:30"))
    kinds = [notice.kind for notice in stage.notifier.sent]
    assert sorted(kinds) == sorted([Kind.LAUNCHED, Kind.WARNED, Kind.ENDED])


def test_slack_is_spoken_to_after_everything_has_ended() -> None:
    """A message that never comes back delays no end."""
    stage = Stage()
    one_hour(stage)
    stage.until(at("09:59"))
    stage.clock.advance(MINUTE)

    def hang(*_: object) -> None:
        raise Crash

    stage.store.hook = lambda method, _phase: hang() if method == "claim_notices" else None
    with pytest.raises(Crash):
        stage.sweep()
    assert is_over(stage)


# -- first sight and arming -------------------------------------------------------------------------------------------------


def test_what_ran_before_curfew_came_is_reported_until_the_account_is_armed() -> None:
    """Told, not adopted, not ended; armed it is under a lease a minute later."""
    stage = Stage(is_armed=False)
    old = stage.compute.start()
    record = stage.until(at("21:00"))
    assert stage.store.open_leases() == ()
    assert "ran before" in record.reported[0]["reason"]
    assert stage.alive == [old]
    assert len(stage.told(Kind.REPORTED)) == 1
    assert arm(stage.services) == at("21:00")
    stage.after(MINUTE)
    assert stage.only_lease().instance_ids == (old,)
    stage.after(MINUTE)
    assert arm(stage.services) == at("21:00")


def test_what_starts_after_curfew_came_is_adopted_unarmed_too() -> None:
    """Only what ran before is spared."""
    stage = Stage(is_armed=False)
    stage.sweep()
    stage.clock.advance(MINUTE)
    new = stage.compute.start()
    stage.after(MINUTE)
    assert stage.only_lease().instance_ids == (new,)


def test_what_had_started_but_was_not_shown_yet_ran_before() -> None:
    """DescribeInstances is eventually consistent at first sight too."""
    stage = Stage(is_armed=False)
    late = stage.compute.start()
    stage.box(late).is_hidden = True
    stage.sweep()
    stage.box(late).is_hidden = False
    stage.after(MINUTE)
    assert stage.store.open_leases() == ()


def test_a_box_that_was_stopped_at_first_sight_did_not_run() -> None:
    """Started later, it is as new as any other."""
    stage = Stage(is_armed=False)
    box = stage.compute.start(state="stopped")
    stage.sweep()
    stage.clock.advance(MINUTE)
    stage.box(box).state, stage.box(box).launched_at = "running", stage.clock.now()
    stage.after(MINUTE)
    assert stage.only_lease().instance_ids == (box,)


def test_a_region_that_fails_at_first_has_its_first_sight_later() -> None:
    """What runs there is not taken for new because the region was not seen."""
    stage = Stage(is_armed=False)
    stage.compute.fail("observe", REGION, times=3)
    stage.compute.start()
    stage.until(at("09:10"))
    assert stage.store.open_leases() == ()


def test_an_event_before_the_first_sweep_adopts_nothing() -> None:
    """One box is no first sight."""
    stage = Stage(is_armed=False)
    old = stage.compute.start()
    stage.sweep(old)
    assert stage.store.open_leases() == ()
    assert stage.store.account().first_sights == {}
    stage.sweep()
    stage.after(MINUTE)
    assert stage.store.open_leases() == ()


# -- dry run ---------------------------------------------------------------------------------------------------------------


def test_a_dry_run_says_what_it_would_do_and_does_nothing() -> None:
    """Its receipts are marked, people are told once, nothing is called."""
    stage = Stage(is_dry_run=True)
    stage.put_policy(unleased={"for": "PT1H", "grace": "PT0S"})
    box = stage.compute.start(market="persistent")
    record = stage.until(at("11:00"))
    assert stage.alive == [box]
    assert stage.ending_calls == []
    lease = stage.only_lease()
    assert lease.status is Status.ACTIVE
    receipt = stage.receipt(lease.id)
    assert (receipt.status, {step.answer for step in receipt.steps}) == ("dry-run", {"dry-run"})
    assert len(stage.told(Kind.ENDED)) == 1
    assert "Dry run" in stage.told(Kind.ENDED)[0].title
    assert record.is_dry_run


def test_what_a_dry_run_has_rehearsed_ends_once_it_is_enforced() -> None:
    """The switch really ends it, with a receipt and a message of its own."""
    stage = Stage(is_dry_run=True)
    stage.put_policy(unleased={"for": "PT1H", "grace": "PT0S"})
    stage.compute.start(market="persistent")
    stage.until(at("10:30"))
    lease = stage.only_lease()
    stage.is_dry_run = False
    stage.after(MINUTE)
    assert is_over(stage)
    assert stage.receipt(lease.id).status == "done"
    assert len(stage.told(Kind.ENDED)) == 2


def test_an_end_under_way_stops_where_the_dry_run_begins() -> None:
    """Switched to dry-run between cancel and terminate: nothing more is called, and enforcing ends it."""
    stage = Stage()
    one_hour(stage)
    stage.until(at("09:59"))
    stage.compute.fail("terminate")
    stage.until(at("10:00"))
    stage.is_dry_run = True
    stage.after(MINUTE)
    assert stage.alive
    stage.is_dry_run = False
    stage.after(MINUTE)
    assert is_over(stage)


# -- adoption --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("market", ["on-demand", "one-time", "persistent"])
def test_a_box_started_behind_its_back_is_adopted_told_and_ended_at_its_hour(market: str) -> None:
    """Found by the next sweep, under a lease for eight hours, and gone after them for good."""
    stage = Stage()
    stage.put_budget()
    box = stage.compute.start(market=market)
    record = stage.after(MINUTE)
    lease = stage.only_lease()
    assert record.adopted == (lease.id,)
    assert (lease.instance_ids, lease.expires_at) == ((box,), at("17:01"))
    assert stage.left() == usd(100) - lease.hold.total_usd
    assert [notice.kind for notice in stage.notifier.sent] == [Kind.ADOPTED]
    stage.until(at("17:00"))
    assert stage.alive == [box]
    stage.until(at("17:01"))
    assert is_over(stage)
    assert stage.receipt(lease.id).cause in {"expired", "over_budget"}
    assert stage.left() > usd(100) - lease.hold.total_usd - usd("0.02")


def test_a_copied_lease_tag_does_not_hide_a_box() -> None:
    """It is adopted like any other, and the lease whose tag was copied does not own it."""
    stage = Stage()
    real = stage.launch()
    fake = stage.compute.start(tags={"curfew:lease": real.id, "curfew:owner": "ada"})
    stage.after(MINUTE)
    owners = {one.id: one.instance_ids for one in stage.store.open_leases()}
    assert owners[real.id] == real.instance_ids
    assert (fake,) in owners.values()


def test_a_box_adopted_into_a_budget_without_room_ends_after_its_grace() -> None:
    """Nothing left to hold: half an hour, then it ends for money, and its cost stands on the budget."""
    stage = Stage()
    stage.put_budget(limit=0)
    box = stage.compute.start()
    stage.sweep()
    assert stage.only_lease().hold.total_usd == 0
    stage.until(at("09:29"))
    assert stage.alive == [box]
    stage.until(at("09:30"))
    assert is_over(stage)
    assert usd("-1") < stage.left() < usd("-0.5")


def test_an_idle_adopted_box_is_judged_on_its_history_and_ends_after_its_grace() -> None:
    """Idle since long before it was found: warned at once, ended when the grace is over."""
    stage = Stage()
    box = stage.compute.start()
    stage.works(box, 0, since=at("09:00"), until=at("20:00"))
    stage.clock.advance(3 * HOUR)
    stage.sweep()
    assert len(stage.told(Kind.WARNED)) == 1
    stage.until(at("12:29"))
    assert stage.alive
    stage.until(at("12:30"))
    assert is_over(stage)


@pytest.mark.parametrize(
    "facts, word",
    [
        ({"tags": {"curfew:protect": "2026-11-25"}}, "curfew:protect"),
        ({"managed_by": "eks.amazonaws.com"}, "eks"),
        ({"lifecycle": "capacity-block"}, "prepaid"),
    ],
)
def test_what_is_spared_is_reported_daily_and_never_ended(facts: dict[str, Any], word: str) -> None:
    """Protected, managed by a service, or prepaid: seen, told, left alone."""
    stage = Stage()
    box = stage.compute.start(**facts)
    stage.after(8 * HOUR)
    stage.after(8 * HOUR)
    record = stage.after(8 * HOUR)
    assert stage.alive == [box]
    assert stage.store.open_leases() == ()
    assert word in record.reported[0]["reason"]
    assert len(stage.told(Kind.REPORTED)) == 2


@pytest.mark.parametrize(
    "facts",
    [{"group": "web"}, {"fleet_id": "fleet-1", "fleet_type": "maintain"}, {"fleet_id": "fleet-1"}],
    ids=["group", "maintain fleet", "unknown fleet"],
)
def test_a_box_whose_controller_can_t_be_disarmed_is_reported_and_not_ended(facts: dict[str, Any]) -> None:
    """Ending it would only start another: every sweep's record says so, people are told daily."""
    stage = Stage()
    box = stage.compute.start(**facts)
    record = stage.until(at("18:00"))
    assert stage.alive == [box]
    assert stage.ending_calls == []
    assert "would start another" in record.reported[0]["reason"]
    assert stage.told(Kind.REPORTED)


def test_an_instant_fleet_s_box_ends_like_any_other() -> None:
    """Nothing replaces it."""
    stage = Stage()
    stage.compute.start(fleet_id="fleet-1", fleet_type="instant")
    stage.until(at("17:01"))
    assert is_over(stage)


def test_a_protection_added_later_keeps_an_adopted_box_over_its_hour() -> None:
    """The adoption's hour stays away while the tag holds, and comes when it is over."""
    stage = Stage()
    stage.put_policy(unleased={"for": "PT1H", "grace": "PT0S"})
    stage.prices.set_spot(f"{REGION}a", "g5.xlarge", "0.1", at=at("08:00"))
    box = stage.compute.start(market="one-time")
    stage.until(at("09:30"))
    stage.box(box).tags["curfew:protect"] = "2026-11-23T12:00Z"
    stage.until(at("11:59"))
    assert stage.alive == [box]
    stage.until(at("12:00"))
    assert is_over(stage)


def test_an_adopted_box_that_is_stopped_is_left_alone_and_adopted_anew() -> None:
    """No clock deletes a disk, its hold goes back, and started again it has a new lease with all its grace."""
    stage = Stage()
    stage.put_budget()
    box = stage.compute.start()
    stage.until(at("09:10"))
    stage.compute.stop(REGION, [box])
    stage.until(at("18:00"))
    assert stage.alive == [box]
    assert [call.operation for call in stage.ending_calls] == ["stop"]
    assert stage.store.open_leases() == ()
    assert stage.left() > usd(99)
    stage.box(box).state, stage.box(box).launched_at = "running", stage.clock.now()
    stage.after(MINUTE)
    assert stage.alive == [box]
    assert stage.only_lease().expires_at == at("18:00") + 8 * HOUR + MINUTE


@pytest.mark.parametrize("end", ["stop", "image"])
def test_a_policy_that_asks_for_a_gentler_end_does_not_terminate(end: str) -> None:
    """Not built yet: reported, not ended."""
    stage = Stage()
    stage.put_policy(unleased={"end": end})
    box = stage.compute.start()
    stage.until(at("18:00"))
    assert stage.alive == [box]


@pytest.mark.parametrize("effect, told", [("warn", 1), ("ignore", 0)])
def test_the_policy_may_ask_to_warn_only_or_to_ignore(effect: str, told: int) -> None:
    """Then nothing is adopted."""
    stage = Stage()
    stage.put_policy(unleased={"effect": effect})
    box = stage.compute.start()
    record = stage.until(at("18:00"))
    assert stage.alive == [box]
    assert len(stage.told(Kind.REPORTED)) == told
    assert len(record.reported) == told


def test_failing_volume_sizes_do_not_stop_an_adoption() -> None:
    """A size is assumed rather than taken for nothing."""
    stage = Stage()
    stage.compute.start()
    stage.compute.fail("volume_gib")
    stage.sweep()
    assert stage.only_lease().storage_gib > 0


def test_a_table_that_refuses_an_adoption_delays_no_end() -> None:
    """What must end ends; the adoption is for the next sweep."""
    stage = Stage()
    one_hour(stage)
    stage.until(at("09:59"))
    box = stage.compute.start()
    stage.clock.advance(MINUTE)
    stage.store.inject("open_lease", Unavailable("throttled"))
    stage.sweep()
    assert stage.alive == [box]
    stage.after(MINUTE)
    assert stage.only_lease().instance_ids == (box,)


def test_a_launch_that_completes_during_a_sweep_is_not_adopted() -> None:
    """The leases were read before it, its box was seen after it: they are read again before any adoption."""
    stage = Stage()
    happen_after(stage, "open_leases", 0, stage.launch)
    stage.sweep()
    assert [one.is_adopted for one in stage.store.open_leases()] == [False]


def test_an_adoption_that_is_overtaken_by_launches_again_and_again_goes_through() -> None:
    """A box that runs costs money whether a budget has room or not: at last it is put on it all the same."""
    stage = Stage()
    stage.put_budget(limit=5)
    box = stage.compute.start()
    revision = stage.store.budgets(stage.clock.now()).revision
    others = count()

    def take_room(method: str, phase: str) -> None:
        if (method, phase) == ("open_lease", "before"):
            stage.store.hook = lambda *_: None
            charge = Charge(budget="team", period_key="2026-11", amount_usd=usd("0.4"), generation=1)
            stage.store.open_lease(lease_of_another(next(others), charge), revision=revision)
            stage.store.hook = take_room

    stage.store.hook = take_room
    stage.sweep()
    assert [one for one in stage.store.open_leases() if box in one.instance_ids]
    assert stage.left() < 0


def lease_of_another(number: int, charge: Charge) -> Lease:
    return example(id=f"lease-x{number}", instance_ids=(), spot_request_ids=(), runs=(), charges=(charge,))


def test_two_boxes_found_at_once_share_what_is_left() -> None:
    """The second's hold is what the first has left."""
    stage = Stage()
    stage.put_budget(limit=10)
    stage.compute.start()
    stage.compute.start()
    stage.sweep()
    assert min(one.hold.total_usd for one in stage.store.open_leases()) < usd("2")
    assert stage.left() == 0


# -- events ----------------------------------------------------------------------------------------------------------------


def test_an_event_s_sweep_looks_at_its_box_only() -> None:
    """One region, one instance: nobody else is missing, judged, warned or ended."""
    stage = Stage()
    others = [one_hour(stage), one_hour(stage, region="eu-west-1")]
    stage.until(at("09:40"))
    stage.clock.advance(minutes(25))
    new = stage.compute.start()
    stage.compute.calls.clear()
    record = stage.sweep(new)
    looks = [(call.region, call.ids) for call in stage.compute.calls if call.operation == "observe"]
    assert looks == [(REGION, (new,))]
    assert not record.is_complete
    assert record.adopted
    assert all(stage.lease(one.id).missing_since == {} for one in others)
    assert len(stage.alive) == 3


def test_an_event_s_sweep_ends_its_own_box() -> None:
    """An expired one goes at once, not within a minute."""
    stage = Stage()
    lease = one_hour(stage)
    stage.until(at("09:30"))
    stage.clock.advance(HOUR)
    stage.sweep(lease.instance_ids[0])
    assert is_over(stage)


def test_an_event_s_sweep_does_not_misjudge_a_budget() -> None:
    """What the other boxes have cost is in the records, seen or not."""
    stage = Stage()
    stage.put_budget(limit=30)
    one = stage.launch(lasts_for=8 * HOUR, egress_gb=0)
    stage.launch(lasts_for=8 * HOUR, egress_gb=0)
    stage.until(at("10:00"))
    stage.clock.advance(6 * HOUR)
    stage.sweep(one.instance_ids[0])
    assert len(stage.alive) == 2
    assert stage.told(Kind.BUDGET) == [] or all(
        "50 %" not in n.title or "$1" in n.title for n in stage.told(Kind.BUDGET)
    )


def test_an_event_about_one_of_several_boxes_judges_no_idleness() -> None:
    """The idle one of two is news; the busy one keeps them both."""
    stage = Stage()
    lease = stage.launch(target_capacity=2)
    idle, busy = lease.instance_ids
    stage.works(idle, 0, since=at("09:00"), until=at("20:00"))
    stage.works(busy, 90, since=at("09:00"), until=at("20:00"))
    stage.until(at("10:30"))
    for _ in range(20):
        stage.sweep(idle)
        stage.clock.advance(MINUTE)
    assert set(stage.alive) == {idle, busy}
    assert stage.told(Kind.WARNED) == []


def test_events_do_not_pass_the_cap_on_idle_ends() -> None:
    """However many come, idleness is judged by the minute's sweep alone."""
    stage = Stage()
    stage.put_policy(limits={"idle_ends_per_sweep": 1})
    leases = [idle_box(stage) for _ in range(4)]
    stage.until(at("10:00"))
    assert len(stage.alive) == 3
    stage.clock.advance(30 * SECOND)
    for lease in leases:
        stage.sweep(lease.instance_ids[0])
    assert len(stage.alive) == 3


def test_an_event_of_a_relaunch_brings_the_box_to_its_lease() -> None:
    """Known by its request at once, tagged or not."""
    stage = Stage()
    lease = one_hour(stage)
    stage.until(at("09:10"))
    stage.compute.terminate(REGION, lease.instance_ids)
    (again,) = stage.alive
    stage.sweep(again)
    assert again in stage.only_lease().instance_ids


def test_an_event_about_a_box_that_is_gone_or_unknown_is_harmless() -> None:
    """Events come late and twice."""
    stage = Stage()
    lease = one_hour(stage)
    stage.until(at("10:00"))
    stage.sweep(lease.instance_ids[0])
    record = sweep(stage.services, trigger="event", only=(REGION, "i-00000000000000000"))
    assert record.seen == 0
    assert is_over(stage)


def test_sweeps_are_recorded() -> None:
    """What was seen and done stays for thirty days."""
    stage = Stage()
    lease = one_hour(stage)
    stage.until(at("10:00"))
    newest = stage.store.sweeps(limit=1, cursor=None).items[0]
    assert newest.ended == (lease.id,)
    assert (newest.trigger, newest.is_complete, newest.started_at) == ("schedule", True, at("10:00"))
