"""Asking for the bill: after the ends, at most every so often, and no failure of it touches anything else."""

from datetime import date, timedelta

import pytest

from chalicelib.domain.errors import Unavailable
from chalicelib.domain.money import MICRO
from chalicelib.domain.notices import Kind
from chalicelib.domain.policy import NOT_ENFORCED
from chalicelib.usecases.bills import LATEST_START
from chalicelib.usecases.health import health
from chalicelib.usecases.spend import spend
from chalicelib.usecases.sweep import sweep
from tests.builders import DAY, HOUR, MINUTE, PRICE, REGION, TYPE, Stage, at, usd
from tests.doubles.accidents import Crash
from tests.unit.sweep_kit import is_over, one_hour

EC2 = "Amazon Elastic Compute Cloud - Compute"
TODAY = date(2026, 11, 23)


def test_the_first_sweep_asks_about_the_whole_month() -> None:
    """And keeps every day of it, also those of which there is nothing."""
    stage = Stage()
    stage.bills.bill(date(2026, 11, 3), "AWS Glue", "Crawler", "2.50")
    stage.sweep()
    assert stage.bills.calls == [(date(2026, 11, 1), date(2026, 11, 24))]
    days = stage.store.billed_days(date(2026, 11, 1), date(2026, 12, 1))
    assert [day.day.day for day in days] == list(range(1, 24))
    assert days[2].outside == {"AWS Glue": usd("2.50")}


def test_it_is_asked_as_often_as_the_policy_says() -> None:
    """Three times a day by default, however many sweeps there are."""
    stage = Stage()
    for _ in range(24 * 6):
        stage.after(10 * MINUTE)
    assert len(stage.bills.calls) == 3
    stage.put_policy(bills={"cost_explorer_every": "PT1H"})
    for _ in range(12):
        stage.after(10 * MINUTE)
    assert len(stage.bills.calls) == 5
    assert "bills.cost_explorer_every" not in NOT_ENFORCED


def test_what_is_settled_is_not_asked_again() -> None:
    """The question begins with the oldest day that may still move."""
    stage = Stage()
    for _ in range(4):
        stage.after(8 * HOUR)
    assert stage.bills.calls[-1][0] == date(2026, 11, 21)


def test_only_scheduled_sweeps_ask() -> None:
    """Neither an event, nor a caller, nor a rehearsal pays for pages."""
    stage = Stage()
    stage.compute.start(TYPE, REGION)
    sweep(stage.services, trigger="request")
    stage.sweep(only=stage.alive[0])
    assert stage.bills.calls == []


def test_of_two_sweeps_at_once_one_asks() -> None:
    """The turn is taken by a write that only one of them wins."""
    stage = Stage()

    def meanwhile(name: str, phase: str) -> None:
        if (name, phase) == ("bill_turn", "after"):
            stage.store.hook = lambda *_: None
            sweep(stage.services, trigger="schedule")

    stage.store.hook = meanwhile
    stage.sweep()
    assert len(stage.bills.calls) == 1


def test_a_process_that_dies_on_the_way_pays_once() -> None:
    """The turn was taken before: the next one is as far off as ever."""
    stage = Stage()
    stage.store.inject("put_billed_days", Crash())
    with pytest.raises(Crash):
        stage.sweep()
    for _ in range(7):
        stage.after(HOUR)
    assert len(stage.bills.calls) == 1
    stage.after(HOUR)
    assert len(stage.bills.calls) == 2


def test_it_is_left_for_later_when_the_sweep_took_long() -> None:
    """The Lambda has a minute, and ends come first."""
    stage = Stage()
    late = [LATEST_START + MINUTE / 60]

    def slow(name: str, phase: str) -> None:
        if (name, phase) == ("record_sweep", "before") and late:
            stage.clock.advance(late.pop())

    stage.store.hook = slow
    stage.sweep()
    assert stage.bills.calls == []
    stage.after(MINUTE)
    assert len(stage.bills.calls) == 1


@pytest.mark.parametrize("trouble", ["denied", "not-enabled", "throttled", "failed"])
def test_a_bill_that_can_t_be_had_changes_nothing_for_the_ends(trouble: str) -> None:
    """Boxes end at their minute, /health says what mends it, and the next turn is later."""
    stage = Stage()
    stage.bills.fail(trouble, "AWS's own words")
    lease = one_hour(stage)
    stage.until(at("09:59"))
    assert stage.alive != []
    assert stage.after(MINUTE).ended == (lease.id,)
    assert is_over(stage)
    (missing,) = [one for one in health(stage.services).missing if one["what"] == "Cost Explorer"]
    assert "AWS's own words" in missing["why"]
    assert "aws ce get-cost-and-usage" in missing["fix"]
    assert len(stage.bills.calls) == 1


def test_a_failure_is_in_the_answer_of_its_sweep_and_backs_off() -> None:
    """Twice the interval after the first, up to a day; an answer ends it, and /health forgets it."""
    stage = Stage()
    stage.bills.fail()
    assert stage.sweep().lacking == ("Cost Explorer: InternalServerError",)
    for _ in range(15):
        stage.after(HOUR)
    assert len(stage.bills.calls) == 1
    stage.bills.failure = None
    stage.after(HOUR)
    assert len(stage.bills.calls) == 2
    assert not [one for one in health(stage.services).missing if one["what"] == "Cost Explorer"]


@pytest.mark.parametrize("method", ["bill_turn", "put_bill_turn", "billed_days", "put_billed_days"])
def test_a_table_that_does_not_answer_here_stops_no_sweep(method: str) -> None:
    """It comes after everything that ends boxes."""
    stage = Stage()
    stage.store.inject(method, Unavailable("the table is gone"))
    assert stage.sweep().lacking == ("Cost Explorer: the table is gone",)


def test_a_policy_that_asks_for_it_each_minute_has_it_each_hour() -> None:
    """The policy takes every length from 0; GET /spend shows when it is asked next."""
    stage = Stage()
    stage.put_policy(bills={"cost_explorer_every": "PT0S"})
    stage.until(at("12:00"))
    assert len(stage.bills.calls) == 4
    assert spend(stage.services, None).cost_explorer.next_at == at("13:00")


def test_the_bill_is_asked_for_after_the_ends_and_the_messages() -> None:
    """Whatever it takes, nobody waits for it."""
    stage = Stage()
    one_hour(stage)
    stage.until(at("09:59"))
    stage.put_policy(bills={"cost_explorer_every": "PT0S"})
    stage.store.calls.clear()
    stage.after(MINUTE)
    calls = stage.store.calls
    assert calls.index("bill_turn") > calls.index("record_sweep")
    assert calls.index("bill_turn") > calls.index("claim_notices")


def test_what_the_bill_has_beyond_the_meter_is_kept_with_the_day() -> None:
    """So that a budget on everything is the meter and this."""
    stage = Stage()
    stage.launch(lasts_for=20 * HOUR)
    stage.sweep()
    stage.bills.bill(TODAY, EC2, f"SpotUsage:{TYPE}", "50")
    stage.bills.bill(TODAY, "AWS Glue", "Crawler", "3")
    stage.after(8 * HOUR)
    (day,) = stage.store.billed_days(TODAY, TODAY + DAY)
    assert abs(day.beyond_meter_usd - (53 - 8 * PRICE)) <= MICRO


def settled(stage: Stage) -> None:
    """Time passes until the first day can be settled."""
    for _ in range(14):
        stage.after(8 * HOUR)


def test_a_settled_day_on_which_the_meter_was_off_is_told_once() -> None:
    """With both figures, and only past a tenth and a dollar."""
    stage = Stage()
    stage.bills.bill(TODAY, EC2, f"SpotUsage:{TYPE}", "12.34")
    stage.bills.bill(TODAY + timedelta(days=1), EC2, f"SpotUsage:{TYPE}", "0.90")
    settled(stage)
    (notice,) = stage.told(Kind.VARIANCE)
    assert "2026-11-23" in notice.title
    (figures,) = [line for line in notice.lines if "$12.34" in line]
    assert "$0" in figures


def test_a_meter_that_agrees_with_the_bill_is_not_told() -> None:
    """Within a tenth."""
    stage = Stage()
    lease = stage.launch(lasts_for=2 * HOUR)
    stage.until(at("11:03"))
    cost = stage.lease(lease.id).final_usd
    assert cost is not None
    stage.bills.bill(TODAY, EC2, f"SpotUsage:{TYPE}", cost)
    settled(stage)
    assert stage.told(Kind.VARIANCE) == []
