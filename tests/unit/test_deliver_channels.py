"""Deliver: similar messages as one, Slack's wishes kept, and the SNS topic for what Slack does not take."""

from contextlib import suppress
from datetime import datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as some

from chalicelib.domain.bundles import MOST, as_one, bundles
from chalicelib.domain.links import Purpose
from chalicelib.domain.notices import Kind, Notice
from chalicelib.usecases.channels import FIXES, NEW_WEBHOOK, try_channels
from chalicelib.usecases.deliver import deliver
from chalicelib.usecases.health import health
from tests.builders import MINUTE, Stage, at
from tests.doubles.accidents import Crash
from tests.doubles.memory_links import ADDRESS, MemoryLinks
from tests.doubles.memory_ports import MemoryNotifier
from tests.unit.sweep_kit import idle_box

DAY = timedelta(days=1)


def told(number: int, *, kind: Kind = Kind.LAUNCHED, moment: datetime | None = None) -> list[Notice]:
    """So many messages of a kind at one moment."""
    moment = moment or at("09:00")
    return [
        Notice(id=f"{kind}-{moment:%d%H%M}-{n:02}", kind=kind, at=moment, title=f"box {n}")
        for n in range(number)
    ]


def with_topic() -> Stage:
    """Slack and SNS."""
    return Stage(topic=MemoryNotifier())


def missing(stage: Stage) -> list[str]:
    return [one["what"] for one in health(stage.services).missing]


def test_ten_launches_at_once_are_one_message() -> None:
    """It says how many, and has each of them."""
    stage = Stage()
    stage.store.tell(told(10))
    assert deliver(stage.services) is None
    (message,) = stage.notifier.messages
    assert message.title == "10 launches"
    assert [part.title for part in message.parts] == [f"box {n}" for n in range(10)]


def test_a_sweep_that_warns_some_and_ends_others_tells_two_messages() -> None:
    """Each kind once, although the outbox has them by lease, the kinds mixed."""
    stage = Stage()
    kinds = (Kind.ENDED, Kind.WARNED) * 3
    stage.store.tell(
        [
            Notice(id=f"lease-{n}:{kind}", kind=kind, at=at("09:00"), title=f"box {n}", lease_id=f"lease-{n}")
            for n, kind in enumerate(kinds)
        ]
    )
    deliver(stage.services)
    assert [message.title for message in stage.notifier.messages] == ["3 ends", "3 warnings"]


KINDS = some.sampled_from([Kind.WARNED, Kind.ENDED, Kind.DIGEST])


@given(
    some.lists(some.tuples(KINDS, some.integers(0, 300), some.sampled_from([None, "a", "b"])), max_size=40)
)
def test_bundles_keep_everything_and_the_order_of_each_lease(
    happened: list[tuple[Kind, int, str | None]],
) -> None:
    """One kind within a minute, ten at most; a digest always alone; what no lease's order forbids is together."""
    waiting = [
        Notice(id=str(number), kind=kind, at=at("09:00") + timedelta(seconds=s), title="t", lease_id=lease)
        for number, (kind, s, lease) in enumerate(sorted(happened, key=lambda row: row[1]))
    ]
    groups = bundles(waiting)
    told = [one for group in groups for one in group]
    assert sorted(told, key=waiting.index) == waiting
    assert [group[0] for group in groups] == sorted((group[0] for group in groups), key=waiting.index)
    for lease in ("a", "b"):
        own = [one for one in told if one.lease_id == lease]
        assert own == sorted(own, key=waiting.index)
    for group in groups:
        assert len({one.kind for one in group}) == 1
        assert len(group) <= (1 if group[0].kind is Kind.DIGEST else MOST)
        assert group[-1].at - group[0].at < MINUTE
        assert (as_one(group).parts or group) == group
    if not any(one.lease_id for one in waiting):
        for kind in (Kind.WARNED, Kind.ENDED):
            own_kind = [group for group in groups if group[0].kind is kind]
            for group, after in pairwise(own_kind):
                assert len(group) == MOST or after[0].at - group[0].at >= MINUTE


def test_what_one_message_tells_is_noted_in_one_write() -> None:
    """Who dies before it sends all of them again; who dies after it, none."""
    for phase, sent in (("before", 6), ("after", 3)):
        stage = Stage()
        stage.store.tell(told(3))

        def die(method: str, when: str, phase: str = phase) -> None:
            if (method, when) == ("settle_notices", phase):
                raise Crash

        stage.store.hook = die
        with pytest.raises(Crash):
            deliver(stage.services)
        stage.store.hook = lambda *_: None
        stage.clock.advance(MINUTE)
        deliver(stage.services)
        assert len(stage.notifier.sent) == sent
        assert stage.store.waiting_notices() == 0


@given(some.lists(some.sampled_from(["ok", "500", "429", "400", "dies before", "dies after"]), max_size=12))
def test_nothing_is_lost_and_only_a_death_after_slack_s_answer_tells_anything_twice(days: list[str]) -> None:
    """Whatever happens to each delivery, every message arrives; twice at most as often as a process died like that."""
    stage = Stage()
    stage.store.tell([*told(2), *told(2, kind=Kind.ENDED)])

    def die(method: str, when: str) -> None:
        if (method, when) == ("settle_notices", "before"):
            raise Crash

    for day in days:
        stage.notifier.fail(times=0)
        stage.store.hook = die if day == "dies after" else lambda *_: None
        if day.isdigit():
            stage.notifier.fail(times=9, status=int(day))
        if day == "dies before":
            stage.store.claim_notices(now=stage.clock.now(), hold_for=MINUTE, limit=20)
        else:
            with suppress(Crash):
                deliver(stage.services)
        stage.clock.advance(15 * MINUTE)
    stage.notifier.fail(times=0)
    stage.store.hook = lambda *_: None
    deliver(stage.services)
    assert stage.store.waiting_notices() == 0
    for one in (*told(2), *told(2, kind=Kind.ENDED)):
        times = sum(1 for sent in stage.notifier.sent if sent.id == one.id)
        assert 1 <= times <= 1 + days.count("dies after")


def test_slack_is_left_alone_for_as_long_as_it_asks() -> None:
    """A few seconds are waited for; more than a sweep has are for the next ones."""
    stage = Stage()
    stage.store.tell(told(1))
    stage.notifier.fail(status=429, retry_after=3)
    begun = stage.clock.elapsed()
    assert deliver(stage.services) is None
    assert stage.clock.elapsed() - begun == 3
    stage.store.tell(told(1, moment=at("10:00")))
    stage.clock.at = at("10:00")
    stage.notifier.fail(times=1, status=429, retry_after=600)
    assert "429" in str(deliver(stage.services))
    for minutes, sent in ((9, 1), (10, 2)):
        stage.clock.at = at("10:00") + minutes * MINUTE
        deliver(stage.services)
        assert len(stage.notifier.sent) == sent


def test_slack_is_left_alone_as_long_as_it_asks_also_by_what_happens_meanwhile() -> None:
    """Messages of the next minutes wait with the one that was refused, and all come once that time is over."""
    stage = Stage()
    stage.store.tell(told(1))
    stage.notifier.fail(status=429, retry_after=600)
    deliver(stage.services)
    for number in range(1, 10):
        stage.clock.at = at("09:00") + number * MINUTE
        stage.store.tell(told(1, moment=stage.clock.at))
        assert "left alone" in str(deliver(stage.services))
    assert len(stage.notifier.tried) == 1
    stage.clock.at = at("09:10")
    assert deliver(stage.services) is None
    assert len(stage.notifier.sent) == 10
    assert stage.store.trouble() is None


def test_a_warning_has_its_links_when_it_is_sent() -> None:
    """Three, each with its own purpose; the outbox has none of them."""
    stage = Stage(links=MemoryLinks())
    idle_box(stage)
    stage.until(at("09:50"))
    (warning,) = (one for one in stage.notifier.sent if one.kind is Kind.WARNED)
    assert [link.label for link in warning.links] == ["Keep it 1 h", "Keep it 4 h", "Show me"]
    assert all(link.url.startswith(ADDRESS) for link in warning.links)
    assert len({link.url for link in warning.links}) == len(Purpose)


def test_a_warning_does_not_wait_for_its_links() -> None:
    """Where the secret can't be read, or no address is set, it comes without."""
    links = MemoryLinks()
    links.is_down = True
    for stage in (Stage(links=links), Stage()):
        idle_box(stage)
        stage.until(at("09:50"))
        (warning,) = (one for one in stage.notifier.sent if one.kind is Kind.WARNED)
        assert warning.links == ()
        assert any("ends at 2026-11-23 10:00 UTC" in line for line in warning.lines)


def test_where_there_is_no_slack_the_topic_is_told() -> None:
    """Everything, and nothing is said of Slack."""
    stage = with_topic()
    stage.notifier.is_configured = False
    stage.store.tell(told(2))
    assert deliver(stage.services) is None
    assert [one.title for one in stage.topic.sent] == ["box 0", "box 1"]
    assert all(one.lines == () for one in stage.topic.sent)


def test_a_webhook_that_fails_for_a_day_goes_to_the_topic_and_into_health() -> None:
    """Not before; then also what happens anew, at once, until Slack takes something again."""
    stage = with_topic()
    stage.put_budget()
    stage.sweep()
    stage.notifier.fail(times=10**6)
    stage.store.tell(told(1))
    while stage.clock.now() < at("09:00") + DAY - 15 * MINUTE:
        deliver(stage.services)
        stage.clock.advance(15 * MINUTE)
    assert (stage.topic.sent, "slack webhook" in missing(stage)) == ([], False)
    stage.clock.at = at("09:00") + DAY
    assert deliver(stage.services) is None
    (first,) = stage.topic.messages
    assert "Slack fails since 2026-11-23 09:00 UTC: Slack answered 500" in first.lines[0]
    assert "slack webhook" in missing(stage)
    stage.store.tell(told(1, moment=stage.clock.now()))
    stage.clock.advance(MINUTE)
    deliver(stage.services)
    assert len(stage.topic.sent) == 2
    stage.notifier.fail(times=0)
    stage.store.tell(told(1, moment=stage.clock.now()))
    deliver(stage.services)
    assert (len(stage.topic.sent), len(stage.notifier.sent)) == (2, 1)
    assert "slack webhook" not in missing(stage)


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_a_webhook_that_is_gone_is_not_waited_for(status: int) -> None:
    """No time heals it: the topic is told at once, and /health says so."""
    stage = with_topic()
    stage.notifier.fail(times=10**6, status=status)
    stage.store.tell(told(1))
    assert deliver(stage.services) is None
    assert len(stage.topic.sent) == 1
    (told_of,) = [one for one in health(stage.services).missing if one["what"] == "slack webhook"]
    assert told_of["fix"].startswith(NEW_WEBHOOK)


def test_a_test_message_that_finds_the_webhook_gone_says_so_in_health() -> None:
    """Until one arrives; a webhook that only fails is told of after a day."""
    stage = with_topic()
    stage.notifier.fail(times=1, status=500)
    try_channels(stage.services)
    assert "slack webhook" not in missing(stage)
    stage.clock.advance(DAY)
    stage.notifier.fail(times=1, status=500)
    try_channels(stage.services)
    assert "slack webhook" in missing(stage)
    try_channels(stage.services)
    assert "slack webhook" not in missing(stage)
    stage.notifier.fail(times=1, status=404)
    slack, _ = try_channels(stage.services)
    assert (slack.ok, slack.fix, slack.slug) == (False, FIXES[404], "webhook-gone")
    assert "slack webhook" in missing(stage)


def test_without_a_topic_a_message_waits_for_ever() -> None:
    """It is tried every quarter of an hour; nothing is given up."""
    stage = Stage()
    stage.notifier.fail(times=10**6, status=404)
    stage.store.tell(told(1))
    for _ in range(3 * 24 * 4):
        deliver(stage.services)
        stage.clock.advance(15 * MINUTE)
    assert stage.store.waiting_notices() == 1
    stage.notifier.fail(times=0)
    deliver(stage.services)
    assert len(stage.notifier.sent) == 1


def test_what_neither_takes_waits() -> None:
    """And what failed is said."""
    stage = with_topic()
    stage.notifier.fail(times=10, status=404)
    stage.topic.fail(times=10)
    stage.store.tell(told(2))
    assert deliver(stage.services)
    assert stage.store.waiting_notices() == 2
