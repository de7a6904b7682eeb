"""Spent, held and left: what a lease costs beyond its hold leaves less, and is held for nobody."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.budget import Period
from chalicelib.domain.errors import BudgetExceeded
from chalicelib.domain.standing import standing
from chalicelib.usecases import budgets
from tests.builders import HOUR, PRICE, Stage, state, usd

MONEY = st.decimals(min_value=0, max_value=200, places=6)
PARTS = st.lists(st.tuples(MONEY, MONEY), max_size=6)


@given(parts=PARTS, closed=MONEY)
def test_spent_held_and_left_are_the_limit_whatever_passes_its_hold(
    parts: list[tuple[Decimal, Decimal]], closed: Decimal
) -> None:
    """Nothing is held that is spent, nothing held is below nothing, and what is beyond a hold is taken from what is
    left."""
    held, cost = (sum((part[side] for part in parts), usd(0)) for side in (0, 1))
    of = state(left=str(100 - closed - held))
    found = standing(of, parts)
    assert found.spent_usd + found.held_usd + found.left_usd(usd(100)) == 100
    assert found.spent_usd == closed + cost
    assert 0 <= found.held_usd <= held
    assert found.left_usd(usd(100)) == of.left_usd - sum(max(cost - hold, usd(0)) for hold, cost in parts)


@given(hold=MONEY, beyond=MONEY, other=MONEY)
def test_a_lease_past_its_hold_uses_up_nobody_else_s(hold: Decimal, beyond: Decimal, other: Decimal) -> None:
    """The other one's hold stays whole."""
    of = state(left=str(100 - hold - other))
    assert standing(of, [(hold, hold + beyond), (other, usd(0))]).held_usd == other


@pytest.fixture
def spared() -> Stage:
    """A box that costs more than its hold because nothing may end it, and another one that holds all of its own."""
    stage = Stage(is_dry_run=True)
    stage.put_budget(period=Period.TOTAL)
    stage.compute.start()
    stage.sweep()
    stage.after(20 * HOUR)
    stage.compute.start()
    stage.sweep()
    return stage


def test_a_report_counts_what_a_spared_box_costs_beyond_its_hold(spared: Stage) -> None:
    """As spent, out of what is left."""
    old, fresh = sorted(spared.store.open_leases(), key=lambda one: one.requested_at)
    told = budgets.one(spared.services, "team")
    assert told.spent_usd > 20 * PRICE > old.hold.total_usd
    assert (
        fresh.hold.total_usd - PRICE / 50 < told.held_usd < fresh.hold.total_usd
    )  # its first minute is spent
    assert told.spent_usd + told.held_usd + told.left_usd == 100
    assert told.left_usd < spared.left()


def test_a_launch_finds_no_room_that_a_spared_box_has_used_up(spared: Stage) -> None:
    """It is refused by what is left as the report tells it, not by what is held."""
    spared.is_dry_run = False
    told = budgets.one(spared.services, "team")
    between = (told.left_usd + spared.left()) / 2
    with pytest.raises(BudgetExceeded) as refused:
        spared.launch(instance_types=("p5.48xlarge",), lasts_for=72 * HOUR, budget_usd=between)
    assert Decimal(str(refused.value.extra["left_usd"])) == told.left_usd
    assert spared.launch(instance_types=("p5.48xlarge",), budget_usd=told.left_usd - 1).hold.total_usd > 30


def test_a_limit_below_what_is_spent_beyond_a_hold_needs_force(spared: Stage) -> None:
    """It is judged by what is spent and held, as the report tells it."""
    told = budgets.one(spared.services, "team")
    with pytest.raises(BudgetExceeded):
        spared.put_budget(limit=str(told.spent_usd + told.held_usd - 1), period=Period.TOTAL)
    again = spared.put_budget(limit=str(told.spent_usd + told.held_usd), period=Period.TOTAL)
    assert again.left_usd == 0
