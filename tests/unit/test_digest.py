"""The digest: once a date, at the hour of the policy's zone whatever its clocks do; figures that can be checked."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from chalicelib.domain.digest import due_day, saved_by
from chalicelib.domain.lease import Ending, Lease, Status
from chalicelib.domain.notices import Kind
from chalicelib.gateways.slack_blocks import to_message
from chalicelib.usecases.digest import tell_digest
from tests.builders import HOUR, MINUTE, Stage, at, lease, usd
from tests.doubles.memory_ports import START
from tests.unit.sweep_kit import idle_box

QUARTER = 15 * MINUTE
NAIVE = START.replace(tzinfo=None)
ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Asia/Kathmandu",
    "Pacific/Chatham",
    "Pacific/Apia",
    "Africa/Cairo",
]


def ticks(since: datetime, days: int) -> Iterator[datetime]:
    """Every quarter of an hour."""
    return (since + number * QUARTER for number in range(days * 96))


def told_on(zone: str, hour: str, since: datetime, days: int) -> list[tuple[date, datetime]]:
    """When each date's digest is told, as the outbox lets each be told once."""
    told: dict[date, datetime] = {}
    for now in ticks(since, days):
        day = due_day(now, ZoneInfo(zone), hour)
        if day is not None:
            told.setdefault(day, now)
    return sorted(told.items())


@settings(max_examples=40)
@given(
    some.sampled_from(ZONES),
    some.times().map(lambda one: f"{one:%H:%M}"),
    some.datetimes(NAIVE.replace(year=2020), NAIVE.replace(year=2030)).map(
        lambda one: one.replace(tzinfo=UTC)
    ),
)
def test_every_date_has_its_digest_once_and_in_time(zone: str, hour: str, since: datetime) -> None:
    """Whatever the zone, the hour and daylight saving: dates follow each other, each soon after its hour."""
    told = told_on(zone, hour, since, days=10)
    days = [day for day, _ in told]
    assert days == [days[0] + timedelta(days=number) for number in range(len(days))]
    assert len(days) >= 9
    for day, now in told[1:]:
        due_at = datetime.combine(day, datetime.strptime(hour, "%H:%M").time(), tzinfo=ZoneInfo(zone))  # noqa: DTZ007
        assert timedelta(0) <= now - due_at.astimezone(UTC) < QUARTER


@pytest.mark.parametrize("begin", ["2026-03-27", "2026-10-23"])
def test_an_hour_that_clocks_skip_or_repeat_has_one_digest(begin: str) -> None:
    """02:30 in Berlin, the night its clocks change."""
    since = datetime.fromisoformat(begin).replace(tzinfo=UTC)
    told = told_on("Europe/Berlin", "02:30", since, days=4)
    assert len(told) == len({day for day, _ in told}) == 4


def test_yesterday_s_digest_is_no_news() -> None:
    """After three hours it is left out; the next one comes at its hour."""
    assert due_day(at("12:00") - MINUTE, ZoneInfo("UTC"), "09:00") == date(2026, 11, 23)
    assert due_day(at("12:00"), ZoneInfo("UTC"), "09:00") is None
    assert due_day(at("00:10"), ZoneInfo("UTC"), "23:55") == date(2026, 11, 22)


def ended(cause: str = "idle", **changes: object) -> Lease:
    """A lease that was to end at 17:00 and was ended at 12:00."""
    why = Ending(
        cause=cause,
        reason="r",
        figures={"hourly_usd": "1.5"},
        decided_at=at("12:00"),
        claimed_until=at("12:01"),
    )
    facts = {"status": Status.CLOSED, "ending": why, "closed_at": at("12:00"), "final_usd": usd(1), **changes}
    return replace(lease(expires_at=at("17:00")), **facts)  # type: ignore[arg-type]


def test_what_an_idle_end_saves_is_what_was_left_of_its_lease() -> None:
    """Five hours at $1.50, but never more than was left of its hold ($10, of which it has cost $1, or $8)."""
    assert saved_by([ended()]).usd == usd("7.5")
    assert saved_by([ended(final_usd=usd(8))]).usd == usd(2)
    assert saved_by([ended(final_usd=usd(11))]).usd == usd(0)


def test_ends_by_time_money_or_people_save_nothing_that_anybody_could_know() -> None:
    """They count neither as dollars nor as ends."""
    for cause in ("expired", "over_budget", "request", "gone"):
        assert saved_by([ended(cause)]).ends == 0


def stage_of_a_day() -> Stage:
    """An idle box that ended, one that runs, a budget; at nine the next morning."""
    stage = Stage()
    stage.put_budget()
    idle_box(stage)
    stage.until(at("10:05"))
    stage.launch(owner="<b>eve", lasts_for=40 * HOUR)
    stage.sweep()
    stage.clock.at = at("09:00") + timedelta(days=1)
    stage.sweep()
    return stage


def test_a_digest_tells_what_the_day_was_like() -> None:
    """Bars for seven days, the dearest boxes, what is saved and what the guard costs, leases, budgets, what is missing."""
    stage = stage_of_a_day()
    assert tell_digest(stage.services) == date(2026, 11, 24)
    (told,) = stage.told(Kind.DIGEST)
    text = "\n".join(told.lines)
    assert sum("█" in line or line.rstrip().endswith("$0.00") for line in told.lines) >= 7
    for part in (
        "Tue 24",
        "Dearest",
        "<b>eve",
        "Open: 1",
        "team",
        "Ended for idleness in 24 h: 1, which saved up to $",
        "Curfew itself costs",
    ):
        assert part in text, part
    shown = str(to_message(told)["blocks"])
    assert "<b>eve" not in shown
    assert "```" in shown


def test_it_is_told_once_a_date() -> None:
    """However often and by however many it is looked at; the next morning again."""
    stage = stage_of_a_day()
    for _ in range(3):
        tell_digest(stage.services)
        stage.clock.advance(QUARTER)
    assert len(stage.told(Kind.DIGEST)) == 1
    stage.clock.at = at("09:00") + timedelta(days=2)
    assert tell_digest(stage.services)
    assert len(stage.told(Kind.DIGEST)) == 2


def test_it_comes_at_the_policy_s_hour_in_its_zone() -> None:
    """18:30 in Shanghai is 10:30 UTC."""
    stage = Stage()
    stage.put_policy(notify={"time_zone": "Asia/Shanghai", "digest_at": "18:30"})
    for now in ticks(at("00:00"), 1):
        stage.clock.at = now
        tell_digest(stage.services)
    (told,) = stage.told(Kind.DIGEST)
    assert told.at == at("10:30")


def test_nobody_to_tell_costs_nothing() -> None:
    """Nothing is reckoned, nothing is kept."""
    stage = Stage()
    stage.notifier.is_configured = False
    assert tell_digest(stage.services) is None
    assert stage.told(Kind.DIGEST) == []


def test_a_rehearsal_has_saved_nothing_yet() -> None:
    """It would have."""
    stage = Stage(is_dry_run=True)
    tell_digest(stage.services)
    (told,) = stage.told(Kind.DIGEST)
    assert any("would have saved" in line for line in told.lines)
