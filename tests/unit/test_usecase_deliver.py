"""Deliver and the small use cases: messages come once, late if they must; health tells what the guard lacks."""

import itertools
from dataclasses import replace
from datetime import timedelta

import pytest

from chalicelib.domain.errors import Unavailable
from chalicelib.domain.notices import Kind, Notice
from chalicelib.usecases import policies, report
from chalicelib.usecases.deliver import deliver
from chalicelib.usecases.health import health
from tests.builders import HOUR, MINUTE, Stage, at, minutes, policy


def stage_with(number: int, *, apart: timedelta = timedelta(0)) -> Stage:
    """So many messages wait; more than a minute apart, each is one of its own."""
    stage = Stage()
    record = stage.sweep()
    told = [
        Notice(
            id=f"n{n:02}",
            kind=Kind.WARNED,
            at=at("09:00") - apart * (number - n - 1),
            title=f"message {n}",
        )
        for n in range(number)
    ]
    stage.store.record_sweep(record, notices=told)
    return stage


def sent(stage: Stage) -> list[str]:
    return [notice.id for notice in stage.notifier.sent]


def test_what_waits_is_sent_oldest_first_and_once() -> None:
    """A second delivery has nothing to do."""
    stage = stage_with(3)
    assert deliver(stage.services) is None
    assert deliver(stage.services) is None
    assert sent(stage) == ["n00", "n01", "n02"]
    assert stage.store.waiting_notices() == 0


def test_the_first_failure_leaves_the_rest_for_later() -> None:
    """A Slack that is down is not asked twenty times; a minute later all come."""
    stage = stage_with(3)
    stage.notifier.fail()
    assert "Slack answered 500" in str(deliver(stage.services))
    assert len(stage.notifier.tried) == 1
    assert deliver(stage.services) is None
    assert sent(stage) == []
    stage.clock.advance(MINUTE)
    assert deliver(stage.services) is None
    assert sent(stage) == ["n00", "n01", "n02"]


def test_after_slack_was_down_what_happened_first_is_told_first() -> None:
    """The warning before its end, and each says when it happened: the hour it names may be over."""
    stage = stage_with(1)
    stage.notifier.fail(times=10**6)
    while stage.clock.now() < at("09:40"):
        deliver(stage.services)
        stage.clock.advance(MINUTE)
    ended = Notice(id="ended", kind=Kind.ENDED, at=stage.clock.now(), title="it ended")
    stage.store.record_sweep(stage.sweep(), notices=[ended])
    stage.notifier.fail(times=0)
    stage.clock.advance(MINUTE)
    deliver(stage.services)
    assert sent(stage) == ["n00", "ended"]
    late, on_time = stage.notifier.sent
    assert late.lines[0].startswith("Late: this happened at 2026-11-23 09:00 UTC")
    assert on_time.lines == ()


@pytest.mark.parametrize(
    "status, others", [(400, ["n01", "n02"]), (413, ["n01", "n02"]), (500, []), (403, [])]
)
def test_a_message_that_is_refused_for_itself_keeps_no_other_waiting(status: int, others: list[str]) -> None:
    """A Slack that answers nothing else is left alone instead; nothing is given up."""
    stage = stage_with(3)
    send = stage.notifier.send

    def picky(notice: Notice) -> None:
        if notice.id == "n00":
            raise Unavailable(f"Slack answered {status}", status=status)
        send(notice)

    stage.notifier.send = picky  # type: ignore[method-assign]
    assert f"Slack answered {status}" in str(deliver(stage.services))
    assert sent(stage) == others
    assert stage.store.waiting_notices() == 3 - len(others)


def test_nobody_who_waits_for_an_answer_waits_for_slack() -> None:
    """With no time left nothing is sent: the next sweep does."""
    stage = stage_with(3, apart=2 * MINUTE)
    out_of_time = replace(stage.services, answer_by=stage.clock.elapsed() - 1)
    stage.clock.advance(MINUTE)
    stage.notifier.send = lambda _: stage.clock.sleep(5)  # type: ignore[method-assign]
    begun = stage.clock.elapsed()
    assert deliver(out_of_time)
    assert stage.clock.elapsed() - begun <= 5
    assert stage.store.waiting_notices() >= 2


def test_retries_come_ever_more_rarely_and_never_stop() -> None:
    """Doubling from a minute to a quarter of an hour."""
    stage = stage_with(1)
    stage.notifier.fail(times=10**6)
    tries = []
    while stage.clock.now() < at("12:00"):
        before = len(stage.notifier.tried)
        deliver(stage.services)
        if len(stage.notifier.tried) > before:
            tries.append(stage.clock.now())
        stage.clock.advance(MINUTE)
    waits = [(b - a) / MINUTE for a, b in itertools.pairwise(tries)]
    assert waits[:5] == [1, 2, 4, 8, 15]
    assert set(waits[5:]) == {15}


def test_a_slow_slack_gets_so_much_of_a_sweep_and_no_more() -> None:
    """After fifteen seconds the rest waits for the next one; nothing is lost or doubled."""
    stage = stage_with(10, apart=2 * MINUTE)
    send = stage.notifier.send

    def slowly(notice: Notice) -> None:
        stage.clock.advance(minutes(1 / 12))
        send(notice)

    stage.notifier.send = slowly  # type: ignore[method-assign]
    assert deliver(stage.services)
    assert 3 <= len(sent(stage)) <= 5
    stage.notifier.send = send  # type: ignore[method-assign]
    stage.clock.advance(2 * MINUTE)
    deliver(stage.services)
    assert sent(stage) == [f"n{n:02}" for n in range(10)]


def test_without_a_notifier_nothing_piles_up() -> None:
    """There is nobody to tell, and that is no failure."""
    stage = stage_with(3)
    stage.notifier.is_configured = False
    assert deliver(stage.services) is None
    assert (sent(stage), stage.store.waiting_notices()) == ([], 0)


def test_two_deliveries_at_once_send_nothing_twice() -> None:
    """What one has claimed the other does not get."""
    stage = stage_with(5)
    send = stage.notifier.send

    def meanwhile(notice: Notice) -> None:
        stage.notifier.send = send  # type: ignore[method-assign]
        deliver(stage.services)
        send(notice)

    stage.notifier.send = meanwhile  # type: ignore[method-assign]
    deliver(stage.services)
    assert sorted(sent(stage)) == [f"n{n:02}" for n in range(5)]


def test_health_is_failing_while_no_complete_sweep_is_recent() -> None:
    """Before the first, and five minutes after the last."""
    stage = Stage()
    assert health(stage.services).status == "failing"
    stage.put_budget()
    stage.sweep()
    assert health(stage.services).status == "ok"
    stage.clock.advance(5 * MINUTE)
    assert health(stage.services).status == "ok"
    stage.clock.advance(MINUTE)
    assert health(stage.services).status == "failing"


def test_health_names_what_is_missing() -> None:
    """No budget, a region that failed, what is not enforced, what waits."""
    stage = Stage(is_armed=False, is_dry_run=True)
    stage.metrics.fail("us-east-1")
    stage.sweep()
    told = health(stage.services)
    assert told.status == "degraded"
    assert told.missing[0]["what"] == "a budget"
    assert (told.mode, told.armed) == ("dry-run", False)
    assert set(told.regions.values()) == {"ok"}
    assert "scope.accounts" in told.not_enforced
    stage.clock.advance(MINUTE)
    stage.compute.fail("observe", "us-west-2", times=9)
    stage.until(at("09:08"))
    assert health(stage.services).status == "failing"
    assert health(stage.services).regions["us-west-2"].startswith("failed")


def test_an_event_s_sweep_is_no_sign_of_health() -> None:
    """It saw one box."""
    stage = Stage()
    box = stage.compute.start()
    stage.sweep(box)
    assert health(stage.services).last_complete_sweep is None


def test_a_policy_put_is_in_force_with_the_next_sweep() -> None:
    """Its version moves, and the sweep judges by it."""
    stage = Stage()
    assert policies.current(stage.services)[1] == 0
    changed = policy(idle={"after": "PT20M", "after_launch": "PT0S"})
    assert policies.put(stage.services, changed) == (changed, 1)
    lease = stage.launch()
    stage.works(lease.instance_ids[0], 0, since=at("09:00"), until=at("12:00"))
    stage.until(at("09:20"))
    assert stage.alive == []


def test_reports_judge_as_the_sweep_does_and_change_nothing() -> None:
    """The lease, its box, its request, its fleet and its verdict, as of now."""
    stage = Stage()
    lease = stage.launch(lasts_for=HOUR)
    loose = stage.compute.start("p5.48xlarge")
    stage.clock.advance(HOUR)
    (told,) = report.leases(stage.services, limit=10, cursor=None).items
    assert told.verdict is not None
    assert told.verdict.effect.name == "END"
    assert [box.instance.id for box in report.instances(stage.services).items] == [loose, *lease.instance_ids]
    assert report.lease(stage.services, lease.id).instances[0].id == lease.instance_ids[0]
    for request in report.spot_requests(stage.services).items:
        assert request.lease is not None
        assert report.spot_request(stage.services, request.request.id) == request
    assert stage.ending_calls == []
    assert stage.lease(lease.id) == lease
