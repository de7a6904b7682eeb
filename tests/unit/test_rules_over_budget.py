"""over_budget: a lease ends while its hold can still pay for the end, or when a budget it counts against is spent."""

from decimal import Decimal
from typing import Any

import pytest

from chalicelib.domain.budget import Consequence, Threshold
from chalicelib.domain.case import Effect
from chalicelib.domain.decide import decide
from chalicelib.domain.lease import Hold, Lease
from chalicelib.domain.meter import Cost
from tests.builders import (
    adopted,
    at,
    budget,
    busy_at,
    case,
    effect_of,
    lease,
    policy,
    ruled,
    state,
    usd,
)


def cost(accrued: str, *, hourly: str = "1", ceiling: str = "1") -> Cost:
    return Cost(compute_usd=usd(accrued), hourly_usd=usd(hourly), ceiling_usd=usd(ceiling))


HELD = lease(hold=Hold(compute_usd=usd(9), egress_usd=usd(1)))
"""$10 are held, of which $1 is for egress; a quarter of an hour to end it costs $0.25."""


@pytest.mark.parametrize(
    "accrued, effect",
    [
        ("8.58", Effect.KEEP),
        ("8.59", Effect.WARN),
        ("8.7499", Effect.WARN),
        ("8.75", Effect.END),
        ("20", Effect.END),
    ],
)
def test_it_ends_at_the_hold_less_egress_and_less_what_ending_costs(accrued: str, effect: Effect) -> None:
    """Of $10 held it ends at $8.75 and warns while ten minutes of money are left."""
    assert effect_of("over_budget", case(at("12:00"), lease=HELD, cost=cost(accrued))) is effect


def test_ending_is_reckoned_at_the_dearest_price_not_at_today_s() -> None:
    """While it is being ended spot may rise to the cap."""
    judged = case(at("12:00"), lease=HELD, cost=cost("8.1", hourly="0.3", ceiling="4"))
    assert effect_of("over_budget", judged) is Effect.END


def test_an_adopted_box_may_use_its_hold_up() -> None:
    """It ends when its meter reaches the hold, without a reserve."""
    found = adopted(hold=Hold(compute_usd=usd(2)))
    assert effect_of("over_budget", case(at("12:00"), lease=found, cost=cost("1.99"))) is Effect.WARN
    assert effect_of("over_budget", case(at("12:00"), lease=found, cost=cost("2"))) is Effect.END


def test_what_an_adopted_box_sends_is_paid_for_by_its_allowance_first() -> None:
    """Within it nothing ends; beyond it every cent counts against the rest; unused it pays for no hour more."""
    found = adopted(hold=Hold(compute_usd=usd(2), egress_usd=usd("4.50")))
    for compute, egress, effect in (
        ("1.00", "4.50", Effect.KEEP),
        ("1.00", "5.40", Effect.KEEP),
        ("1.00", "5.50", Effect.END),
        ("1.90", "0.00", Effect.KEEP),
        ("2.00", "0.00", Effect.END),
    ):
        judged = case(at("12:00"), lease=found, cost=Cost(compute_usd=usd(compute), egress_usd=usd(egress)))
        assert effect_of("over_budget", judged) is effect


def test_a_box_adopted_into_a_budget_without_room_is_over_at_once() -> None:
    """A hold of nothing is reached by nothing."""
    found = adopted(hold=Hold())
    assert effect_of("over_budget", case(at("12:00"), lease=found, cost=cost("0"))) is Effect.END


def test_work_does_not_keep_what_is_over_its_money() -> None:
    """Money is certain: what the box does is no excuse."""
    judged = case(at("12:00"), lease=HELD, cost=cost("9"), evidence=busy_at(at("12:00")))
    assert decide(judged).effect is Effect.END


def test_warn_before_zero_means_no_warning() -> None:
    """With `warn_before` 0 it is kept to the last cent and then ends."""
    silent = policy(idle={"warn_before": "PT0S"})
    assert (
        effect_of("over_budget", case(at("12:00"), lease=HELD, cost=cost("8.74"), policy=silent))
        is Effect.KEEP
    )
    assert (
        effect_of("over_budget", case(at("12:00"), lease=HELD, cost=cost("8.75"), policy=silent))
        is Effect.END
    )


def test_nothing_that_bills_is_not_about_to_run_out() -> None:
    """With nothing billing there is no hour at which the money ends."""
    found = ruled(
        decide(case(at("12:00"), lease=HELD, cost=cost("8.6", hourly="0", ceiling="0"))), "over_budget"
    )
    assert (found.effect, found.ends_at) == (Effect.KEEP, None)


def test_it_says_when_the_money_ends() -> None:
    """At $1 an hour $4 last until 16:00."""
    found = ruled(decide(case(at("12:00"), lease=HELD, cost=cost("4.75"))), "over_budget")
    assert found.ends_at == at("16:00")
    assert found.figures["ends_at_usd"] == "8.75"


def test_years_of_money_are_no_overflow() -> None:
    """A huge hold at a tiny price still gives a date."""
    rich = lease(hold=Hold(compute_usd=usd(10**9)))
    assert (
        effect_of("over_budget", case(at("12:00"), lease=rich, cost=cost("0", hourly="0.0001")))
        is Effect.KEEP
    )


def spent(amount: str, *, of: str = "100", lease_: Lease = HELD, **facts: Any) -> Effect:
    known = state(budget(limit=of, **facts))
    judged = case(
        at("12:00"), lease=lease_, cost=cost("1"), budgets=(known,), spent_usd={"team": usd(amount)}
    )
    return effect_of("over_budget", judged)


def test_a_budget_that_is_spent_ends_what_counts_against_it() -> None:
    """At 100 % of what is really spent, not of what is held, everything on the budget ends."""
    assert spent("99.99") is Effect.KEEP
    assert spent("100") is Effect.END


def test_thresholds_are_the_budget_s_own() -> None:
    """A budget may ask for the end at another percentage, or never."""
    early = (Threshold(at_percent=Decimal(60), do=(Consequence.END,)),)
    never = (Threshold(at_percent=Decimal(60), do=(Consequence.NOTIFY, Consequence.STOP_LAUNCHES)),)
    assert spent("60", thresholds=early) is Effect.END
    assert spent("59.99", thresholds=early) is Effect.KEEP
    assert spent("600", thresholds=never) is Effect.KEEP


def test_the_reason_names_the_budget_and_its_figures() -> None:
    """Every decision is explained."""
    judged = case(at("12:00"), lease=HELD, cost=cost("1"), budgets=(state(),), spent_usd={"team": usd(100)})
    found = ruled(decide(judged), "over_budget")
    assert "'team' is spent" in found.reason
    assert found.figures["budget"] == "team"


def test_a_budget_of_zero_ends_what_costs_anything() -> None:
    """A limit of 0 is reached by the first cent, and not by nothing."""
    assert spent("0", of="0") is Effect.KEEP
    assert spent("0.01", of="0") is Effect.END


def test_the_margin_is_the_policy_s() -> None:
    """`teardown.margin` says how long an end may take."""
    patient = policy(teardown={"margin": "PT2H"})
    assert (
        effect_of("over_budget", case(at("12:00"), lease=HELD, cost=cost("7"), policy=patient)) is Effect.END
    )
