"""over_share: what a day or month could hold only in part ends before it costs more there."""

from dataclasses import replace
from typing import Any

import pytest

from chalicelib.domain.budget import BudgetState, Period
from chalicelib.domain.case import Case, Effect
from chalicelib.domain.decide import decide
from chalicelib.domain.lease import Charge, Hold, Lease
from chalicelib.domain.meter import Cost
from tests.builders import adopted, at, budget, case, effect_of, lease, ruled, usd

DAYS = budget(period=Period.DAILY)
TODAY, TOMORROW = "2026-11-23", "2026-11-24"


def shares(today: str, tomorrow: str = "24", *, is_short: bool = True) -> tuple[Charge, ...]:
    return tuple(
        Charge(budget="team", period_key=key, amount_usd=usd(amount), is_short=is_short)
        for key, amount in ((TODAY, today), (TOMORROW, tomorrow))
    )


def judged(
    of: Lease, accrued: str, *, clock: str = "12:00", left: str = "0", hourly: str = "1", **facts: Any
) -> Case:
    """A lease that has cost that much today, at a dollar an hour."""
    cost = Cost(compute_usd=usd(accrued), hourly_usd=usd(hourly), ceiling_usd=usd(hourly))
    return case(
        at(clock),
        lease=of,
        cost=cost,
        budgets=(BudgetState(budget=DAYS, period_key=TODAY, left_usd=usd(left)),),
        accrued_in_usd={TODAY: usd(accrued)},
        **facts,
    )


FOUND = adopted(hold=Hold(compute_usd=usd(100)), charges=shares("2"))
LAUNCHED = lease(hold=Hold(compute_usd=usd(100)), charges=shares("2"))


@pytest.mark.parametrize("accrued, effect", [("1.99", Effect.KEEP), ("2", Effect.END), ("9", Effect.END)])
def test_an_adopted_box_ends_when_it_has_cost_its_share(accrued: str, effect: Effect) -> None:
    """Long before its hold is used up."""
    assert effect_of("over_share", judged(FOUND, accrued)) is effect


@pytest.mark.parametrize("accrued, effect", [("1.74", Effect.KEEP), ("1.75", Effect.END)])
def test_a_launch_ends_while_its_share_still_pays_for_its_end(accrued: str, effect: Effect) -> None:
    """A quarter of an hour at a dollar."""
    assert effect_of("over_share", judged(LAUNCHED, accrued)) is effect


@pytest.mark.parametrize("make, reserve", [(adopted, "0"), (lease, "0.25")])
@pytest.mark.parametrize(
    "compute, egress, effect",
    [
        ("1.70", "3", Effect.KEEP),
        ("1.70", "3.29", Effect.KEEP),
        ("1.70", "3.31", Effect.END),
        ("2", "0", Effect.END),
    ],
)
def test_what_a_box_sends_within_its_allowance_takes_nothing_from_its_share(
    make: Any, reserve: str, compute: str, egress: str, effect: Effect
) -> None:
    """The allowance of $3 stands on its first day beside $2 for the time; what it sends beyond it counts there."""
    of = make(hold=Hold(compute_usd=usd(100), egress_usd=usd(3)), charges=shares(str(usd(5) + usd(reserve))))
    cost = Cost(compute_usd=usd(compute), egress_usd=usd(egress), hourly_usd=usd(1), ceiling_usd=usd(1))
    found = replace(judged(of, compute), cost=cost, accrued_in_usd={TODAY: cost.accrued_usd})
    assert effect_of("over_share", found) is effect


@pytest.mark.parametrize("last, effect", [(TODAY, Effect.END), (TOMORROW, Effect.KEEP)])
def test_what_is_held_for_images_is_no_part_of_a_share_that_time_may_use_up(
    last: str, effect: Effect
) -> None:
    """$0.50 of the last day's share pays for the images of its end; on any other day they take nothing."""
    charges = tuple(one for one in shares("2") if one.period_key <= last)
    found = adopted(hold=Hold(compute_usd=usd(100), snapshot_usd=usd("0.50")), charges=charges)
    assert effect_of("over_share", judged(found, "1.49")) is Effect.KEEP
    assert effect_of("over_share", judged(found, "1.50")) is effect


@pytest.mark.parametrize(
    "clock, tomorrow, effect",
    [
        ("23:44", "0", Effect.KEEP),
        ("23:45", "0", Effect.END),
        ("23:45", "0.24", Effect.END),
        ("23:45", "0.25", Effect.KEEP),
    ],
)
def test_a_launch_ends_before_a_day_that_can_t_pay_for_its_end(
    clock: str, tomorrow: str, effect: Effect
) -> None:
    """Its end is paid for by today."""
    of = lease(hold=Hold(compute_usd=usd(100)), charges=shares("90", tomorrow), expires_at=at("20:00", day=1))
    assert effect_of("over_share", judged(of, "5", clock=clock)) is effect


def test_what_is_held_in_full_has_no_share_to_pass() -> None:
    """Its hold speaks for it, while the day has room for what it has cost beyond its part."""
    full = lease(hold=Hold(compute_usd=usd(100)), charges=shares("2", is_short=False))
    assert all(finding.rule != "over_share" for finding in decide(judged(full, "50", left="49")).findings)
    assert all(finding.rule != "over_share" for finding in decide(judged(full, "2.01")).findings)
    assert effect_of("over_share", judged(full, "50", left="48")) is Effect.END
    assert all(finding.rule != "over_share" for finding in decide(case(at("12:00"))).findings)


@pytest.mark.parametrize("left, spared", [("0", False), ("10", True)])
def test_protection_holds_while_the_budget_has_room_for_what_lies_beyond(left: str, *, spared: bool) -> None:
    """Budgets go on over `curfew:protect`; a share alone does not."""
    found = ruled(decide(judged(FOUND, "3", left=left)), "over_share")
    assert ("budget" in found.figures) is not spared


def test_it_is_due_when_the_share_could_be_used_up() -> None:
    """At the most that it costs an hour."""
    due_at = ruled(decide(judged(FOUND, "1", hourly="2")), "over_share").due_at
    assert due_at == at("12:30")
