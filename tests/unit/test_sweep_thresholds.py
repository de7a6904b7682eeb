"""Thresholds: people are told once a period of each that is passed, and again only when it is passed again."""

from decimal import Decimal

import pytest

from chalicelib.domain.budget import Consequence, Period, Threshold
from chalicelib.domain.errors import Unavailable
from chalicelib.domain.notices import Kind
from tests.builders import HOUR, MINUTE, Stage, at, usd
from tests.doubles.accidents import Crash

HALF = (Threshold(at_percent=Decimal(50), do=(Consequence.NOTIFY,)),)


def told(stage: Stage) -> list[str]:
    return [notice.title for notice in stage.told(Kind.BUDGET)]


def stage_of_a_dollar(limit: str, period: Period = Period.MONTHLY) -> Stage:
    """A box of about a dollar an hour."""
    stage = Stage()
    stage.put_budget(limit=1000, thresholds=HALF, period=period)
    stage.launch(lasts_for=4 * HOUR, egress_gb=0, budget_usd=usd(5))
    stage.put_budget(limit=limit, thresholds=HALF, period=period, force=True)
    return stage


def test_each_is_told_once_a_period() -> None:
    """However many sweeps see it passed."""
    stage = stage_of_a_dollar("6.0")
    stage.until(at("11:55"))
    assert told(stage) == []
    stage.until(at("12:30"))
    assert len(told(stage)) == 1
    assert "over 50 %" in told(stage)[0]


def test_those_passed_at_once_are_one_message() -> None:
    """The highest with the others' names, and what all of them do."""
    stage = Stage()
    stage.put_budget(limit=100)
    stage.launch(lasts_for=8 * HOUR)
    stage.until(at("11:30"))
    assert told(stage) == []
    stage.put_budget(limit=1, force=True)
    stage.sweep()
    (one,) = stage.told(Kind.BUDGET)
    assert one.title.endswith("over 100 % (and 50 %, 80 %)")
    assert len(one.lines) == 2
    stage.after(MINUTE)
    assert len(told(stage)) == 1


def test_a_new_period_tells_anew() -> None:
    """What was told yesterday was of yesterday's money."""
    stage = stage_of_a_dollar("6.0", Period.DAILY)
    stage.until(at("13:10"))
    assert (len(told(stage)), stage.alive) == (1, [])
    stage.clock.at = at("09:00", day=1)
    stage.sweep()
    assert len(told(stage)) == 1
    stage.launch(lasts_for=4 * HOUR, egress_gb=0, budget_usd=usd(5))
    stage.until(at("12:10", day=1))
    assert len(told(stage)) == 2
    assert "2026-11-24" in told(stage)[1]


def test_passed_again_after_the_limit_was_raised_is_told_again() -> None:
    """It had fallen below, as people can see; the same crossing is not told twice."""
    stage = stage_of_a_dollar("6.0")
    stage.until(at("12:05"))
    assert len(told(stage)) == 1
    stage.put_budget(limit="6.4", thresholds=HALF)
    stage.until(at("12:06"))
    assert len(told(stage)) == 1
    stage.until(at("12:20"))
    assert len(told(stage)) == 2
    stage.until(at("12:40"))
    assert len(told(stage)) == 2


@pytest.mark.parametrize("after", [False, True])
def test_who_dies_over_it_tells_it_all_the_same(after: bool) -> None:  # noqa: FBT001
    """The memory and the message are one write: neither is there without the other."""
    stage = stage_of_a_dollar("6.0")
    stage.until(at("11:55"))
    stage.store.inject("tell_thresholds", Crash(), after=after)
    with pytest.raises(Crash):
        stage.until(at("12:10"))
    stage.after(MINUTE)
    assert len(told(stage)) == 1


def test_a_table_that_refuses_is_asked_again() -> None:
    """The next sweep tells it."""
    stage = stage_of_a_dollar("6.0")
    stage.until(at("11:55"))
    stage.store.inject("tell_thresholds", Unavailable("throttled"))
    stage.until(at("12:10"))
    assert len(told(stage)) == 1


def test_one_that_ends_leases_is_told_as_well() -> None:
    """People see what happened to their boxes, and why."""
    stage = Stage()
    end = (Threshold(at_percent=Decimal(2), do=(Consequence.END,)),)
    stage.put_budget(limit=100, thresholds=end)
    stage.launch(lasts_for=8 * HOUR)
    stage.until(at("11:30"))
    assert stage.alive == []
    assert len(told(stage)) == 1
    assert stage.told(Kind.BUDGET)[0].lines == ("What counts against it is ended.",)
