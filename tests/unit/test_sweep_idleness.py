"""Warnings and idleness."""

import pytest

from chalicelib.domain.lease import Status
from chalicelib.domain.notices import Kind
from chalicelib.usecases.extend import extend
from chalicelib.usecases.report import lease as lease_report
from tests.builders import HOUR, MINUTE, REGION, Stage, at, minutes
from tests.unit.sweep_kit import idle_box, is_over, one_hour


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
