"""The account's budgets: the meter, and beside it what the bill has beyond the meter, as late as it comes."""

from datetime import date, datetime
from decimal import Decimal

import pytest

from chalicelib.domain.bill_turn import BillTurn
from chalicelib.domain.bills import BilledDay
from chalicelib.domain.budget import Consequence, Period, ScopeKind, Threshold
from chalicelib.domain.errors import BudgetExceeded, Refused, Unavailable
from chalicelib.usecases import budgets
from chalicelib.web.budgets import budget_of
from chalicelib.web.models import BudgetBody
from tests.builders import HOUR, MINUTE, PRICE, TYPE, Stage, at, usd
from tests.unit.test_usecase_bills import EC2, TODAY


def billed(stage: Stage, answered_at: datetime, **beyond: str) -> None:
    """Cost Explorer told what days of November have beyond the meter: `d22="30"`."""
    turn = stage.store.bill_turn()
    stage.store.put_billed_days(
        [
            BilledDay(
                day=date(2026, 11, int(day[1:])),
                answered_at=answered_at,
                same_since=answered_at,
                beyond_meter_usd=usd(amount),
            )
            for day, amount in beyond.items()
        ]
    )
    stage.store.put_bill_turn(
        BillTurn(asked_at=answered_at, answered_at=answered_at), over=turn.asked_at if turn else None
    )


def spent(stage: Stage, name: str = "all") -> Decimal:
    return budgets.one(stage.services, name).spent_usd


def test_it_counts_the_meter_and_what_the_bill_has_beyond_it() -> None:
    """Once each, however many sweeps see an answer; a new answer replaces the old one."""
    stage = Stage()
    stage.put_budget("all", services="all")
    stage.put_budget("boxes")
    stage.launch(lasts_for=4 * HOUR)
    billed(stage, at("09:00"), d01="10", d22="20.5")
    stage.until(at("10:00"))
    assert spent(stage) == spent(stage, "boxes") + usd("30.5")
    assert stage.left("all") == stage.left("boxes") - usd("30.5")
    billed(stage, at("10:00"), d22="12", d23="1")
    stage.after(MINUTE)
    assert spent(stage) == spent(stage, "boxes") + 23


def test_each_period_counts_its_own_days() -> None:
    """A daily budget knows nothing of yesterday's bill, a total one all of it."""
    stage = Stage()
    billed(stage, at("09:00"), d22="20", d23="1")
    for period in Period:
        stage.put_budget(period.value, services="all", period=period)
    assert [stage.left(period.value) for period in Period] == [79, 99, 79]


def test_a_launch_finds_no_room_where_the_bill_has_taken_it() -> None:
    """By hold and bill together."""
    stage = Stage()
    stage.put_budget("all", 40, services="all", thresholds=())
    billed(stage, at("09:00"), d22="35")
    stage.sweep()
    with pytest.raises(BudgetExceeded) as told:
        stage.launch()
    assert told.value.extra["left_usd"] == "5"


def test_a_limit_below_what_the_bill_says_is_refused_from_the_start() -> None:
    """Also of a budget that is only being made."""
    stage = Stage()
    billed(stage, at("09:00"), d22="35")
    with pytest.raises(BudgetExceeded):
        stage.put_budget("all", 30, services="all")
    assert budgets.all_budgets(stage.services) == ()
    assert stage.put_budget("all", 30, services="all", force=True).left_usd == -5


def test_it_ends_boxes_only_where_that_was_asked_for() -> None:
    """By default it stops launches: what something else costs is not saved by ending a GPU box."""
    stage = Stage()
    by_default = budget_of("all", BudgetBody.model_validate({"limit_usd": 50, "services": "all"}))
    assert {what for each in by_default.thresholds for what in each.do} == {
        Consequence.NOTIFY,
        Consequence.STOP_LAUNCHES,
    }
    budgets.put(stage.services, by_default, force=False)
    stage.launch()
    billed(stage, at("09:00"), d22="60")
    stage.until(at("09:05"))
    assert len(stage.alive) == 1
    end = (Threshold(at_percent=Decimal(100), do=(Consequence.END,)),)
    stage.put_budget("all", 55, services="all", thresholds=end, force=True)
    stage.until(at("09:10"))
    assert stage.alive == []


def test_a_budget_of_accelerators_counts_their_bill_where_it_is_above_their_meter() -> None:
    """What others started and nobody metered is spent as well; once, and nothing else of the bill is."""
    stage = Stage()
    stage.put_budget("boxes")
    stage.put_budget("all", services="all")
    lease = stage.launch(lasts_for=4 * HOUR)
    stage.until(lease.expires_at)
    meter = spent(stage, "boxes")
    stage.bills.bill(TODAY, EC2, f"SpotUsage:{TYPE}", 4 * PRICE + 7)
    stage.bills.bill(TODAY, EC2, "BoxUsage:p5.48xlarge", "30")
    stage.bills.bill(TODAY, EC2, "BoxUsage:m5.large", "5")
    stage.bills.bill(TODAY, "EC2 - Other", "EBS:VolumeUsage.gp3", "3")
    for _ in range(3):
        stage.after(8 * HOUR)
    assert abs(spent(stage, "boxes") - meter - 37) < usd("0.01")
    assert abs(stage.left("boxes") - (100 - meter - 37)) < usd("0.01")
    assert spent(stage, "all") > spent(stage, "boxes") + 5


def test_a_bill_of_accelerators_that_is_late_hides_nothing_of_their_meter() -> None:
    """Less on the bill than on the meter takes nothing away."""
    stage = Stage()
    stage.put_budget("boxes")
    lease = stage.launch(lasts_for=4 * HOUR)
    stage.until(lease.expires_at)
    before = spent(stage, "boxes")
    stage.bills.bill(TODAY, EC2, f"SpotUsage:{TYPE}", "0.40")
    stage.after(8 * HOUR)
    assert spent(stage, "boxes") == before


def test_a_bill_of_accelerators_counts_on_nobody_s_own_budget() -> None:
    """No line of it says whose a box was."""
    stage = Stage()
    stage.put_budget("ada", scope_kind=ScopeKind.OWNER, scope_value="ada")
    stage.bills.bill(TODAY, EC2, "BoxUsage:p5.48xlarge", "30")
    stage.sweep()
    stage.after(8 * HOUR)
    assert (spent(stage, "ada"), stage.left("ada")) == (0, 100)


def test_a_new_budget_of_accelerators_knows_their_bill_at_once() -> None:
    """And its limit is judged by it."""
    stage = Stage()
    stage.bills.bill(TODAY, EC2, "BoxUsage:p5.48xlarge", "30")
    stage.sweep()
    with pytest.raises(BudgetExceeded):
        stage.put_budget("boxes", 20)
    assert stage.put_budget("boxes", 40).spent_usd == 30


def test_what_it_counts_stays_what_it_is() -> None:
    """What was counted by one rule is not judged by another."""
    stage = Stage()
    stage.put_budget("all", services="all")
    with pytest.raises(Refused) as told:
        stage.put_budget("all")
    assert told.value.slug == "budget-fixed"


@pytest.mark.parametrize("call", ["bill_turn", "billed_days", "put_billed"])
def test_a_table_that_refuses_is_asked_by_the_next_sweep(call: str) -> None:
    """Nothing stops for it, and nothing counts twice."""
    stage = Stage()
    stage.put_budget("all", services="all")
    stage.sweep()
    billed(stage, at("09:00"), d22="20")
    stage.clock.advance(MINUTE)
    stage.store.inject(call, Unavailable("throttled"))
    for _ in range(3):
        stage.after(MINUTE)
    assert stage.left("all") == 80
