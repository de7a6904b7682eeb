"""Meters, limits and budgets in a sweep."""

from typing import Any

import pytest

from chalicelib.domain.budget import Consequence, ScopeKind, Threshold
from chalicelib.domain.errors import Unavailable
from chalicelib.domain.lease import Lease
from chalicelib.domain.notices import Kind
from chalicelib.usecases.end import end_lease
from tests.builders import HOUR, REGION, Stage, at, usd
from tests.doubles.accidents import Crash
from tests.unit.sweep_kit import PERSISTENT, happen_after, is_over


def test_a_lease_ends_when_its_meter_reaches_its_limit() -> None:
    """$1 pays for less than an hour of a $1 box, what ending it costs included."""
    stage = Stage()
    stage.put_budget()
    lease = stage.launch(request_type=PERSISTENT, budget_usd=usd(1))
    assert lease.hold.total_usd == 1
    stage.until(at("10:00"))
    assert is_over(stage)
    receipt = stage.receipt(lease.id)
    assert receipt.cause == "over_budget"
    assert usd("0.6") < receipt.cost_usd <= 1
    assert stage.told(Kind.WARNED)


def test_a_falling_price_buys_time() -> None:
    """The meter follows spot, not the price at launch."""
    stage = Stage()
    stage.prices.set_spot(f"{REGION}a", "g5.xlarge", "0.25", at=at("09:00"))
    stage.launch(budget_usd=usd(1))
    stage.until(at("11:00"))
    assert stage.alive
    stage.until(at("13:00"))
    assert is_over(stage)


def test_without_prices_the_cap_is_assumed_and_no_end_is_delayed() -> None:
    """Failing prices make everything dearer, never free."""
    stage = Stage()
    stage.prices.set_spot(f"{REGION}a", "g5.xlarge", "0.01", at=at("09:00"))
    stage.prices.is_down = True
    stage.launch(budget_usd=usd(1))
    stage.until(at("10:00"))
    assert is_over(stage)


def test_a_budget_that_is_spent_ends_all_that_counts_against_it_and_nothing_else() -> None:
    """At its threshold of what was really spent, by all its leases together, all of them end."""
    stage = Stage()
    fifth = (Threshold(at_percent=usd(20), do=(Consequence.END,)),)
    ada: Any = {"scope_kind": ScopeKind.OWNER, "scope_value": "ada", "thresholds": fifth}
    stage.put_budget("ada", 20, **ada)
    mine = [stage.launch(lasts_for=6 * HOUR, egress_gb=0) for _ in range(2)]
    other = stage.launch(owner="bob", lasts_for=20 * HOUR)
    stage.until(at("10:55"))
    assert len(stage.alive) == 3
    stage.until(at("11:00"))
    assert {stage.receipt(one.id).reason for one in mine} == {"budget 'ada' is spent"}
    assert stage.alive == list(other.instance_ids)


def test_people_are_told_once_when_a_budget_s_thresholds_are_reached() -> None:
    """Half and four fifths, each once in its period."""
    stage = Stage()
    stage.put_budget(limit=10)
    stage.launch(lasts_for=9 * HOUR, egress_gb=0)
    stage.until(at("13:30"))
    assert stage.told(Kind.BUDGET) == []
    stage.until(at("14:30"))
    assert [notice.title for notice in stage.told(Kind.BUDGET)] == [
        "Budget 'team' has spent $5.01 of $10.00 in 2026-11, over 50 %"
    ]
    stage.until(at("18:00"))
    assert len(stage.told(Kind.BUDGET)) == 2
    assert "No launch" in stage.told(Kind.BUDGET)[1].lines[0]


@pytest.mark.parametrize("read", ["open_leases", "budgets"])
@pytest.mark.parametrize("skip", [0, 1, 2])
@pytest.mark.parametrize("comes", [True, False], ids=["opens", "closes"])
def test_a_lease_that_comes_or_goes_between_two_reads_is_not_taken_for_spent_money(
    read: str, skip: int, *, comes: bool
) -> None:
    """Leases and budgets are read as of one moment: otherwise others would end for it."""
    stage = Stage()
    half = (Threshold(at_percent=usd(50), do=(Consequence.END,)),)
    stage.put_budget(limit=20, thresholds=half)
    stays = stage.launch(lasts_for=HOUR, egress_gb=0)

    def start() -> Lease:
        return stage.launch(owner="bob", lasts_for=12 * HOUR, egress_gb=0)

    there = None if comes else start()

    def happen() -> None:
        if there:
            end_lease(stage.services, there.id, by="bob")
        else:
            start()

    happen_after(stage, read, skip, happen)
    stage.sweep()
    assert stays.instance_ids[0] in stage.alive


def test_a_lease_of_before_its_budget_is_charged_by_the_sweep() -> None:
    """A crash right after a budget was made leaves leases out: the sweep puts them on it."""
    stage = Stage()
    lease = stage.launch()
    stage.store.inject("rehold", Crash())
    with pytest.raises(Crash):
        stage.put_budget()
    assert stage.left() == 100
    stage.sweep()
    assert stage.left() == usd(100) - lease.hold.total_usd


def test_a_charge_that_the_table_refuses_keeps_nobody_from_being_told() -> None:
    """The budget stays closed to launches, what waits is delivered, and the next sweep charges the lease."""
    stage = Stage()
    lease = stage.launch()
    stage.store.inject("rehold", Crash())
    with pytest.raises(Crash):
        stage.put_budget()
    stage.store.inject("rehold", Unavailable("throttled"))
    stage.sweep()
    assert stage.store.waiting_notices() == 0
    assert stage.left() == 100
    stage.sweep()
    assert stage.left() == usd(100) - lease.hold.total_usd
