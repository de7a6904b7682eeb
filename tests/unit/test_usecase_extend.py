"""Extend: the money moves before the time does, and neither beyond what policy and budgets allow."""

import pytest

from chalicelib.domain.errors import BudgetExceeded, NotFound, Refused
from chalicelib.domain.lease import Lease
from chalicelib.usecases.end import end_lease
from chalicelib.usecases.extend import extend
from tests.builders import HOUR, MINUTE, TYPE, ZONE, Stage, at, usd


def to(stage: Stage, lease: Lease, hours: float | None = None, budget: str | None = None) -> Lease:
    return extend(
        stage.services,
        lease.id,
        lasts_for=hours * HOUR if hours is not None else None,
        budget_usd=usd(budget) if budget else None,
        by="ada",
    )


def test_more_hours_hold_more_money_and_end_later() -> None:
    """Hours count from the start; the budget has less left by the difference."""
    stage = Stage()
    stage.put_budget()
    lease = stage.launch(lasts_for=HOUR)
    stage.until(at("09:30"))
    longer = to(stage, lease, 3)
    assert longer.expires_at == at("12:00")
    assert longer.hold.total_usd > lease.hold.total_usd
    assert stage.left() == usd(100) - longer.hold.total_usd
    stage.until(at("11:59"))
    assert stage.alive
    stage.until(at("12:00"))
    assert stage.alive == []


def test_fewer_hours_give_money_back_and_end_sooner() -> None:
    """Shortened, it ends at its new hour."""
    stage = Stage()
    stage.put_budget()
    lease = stage.launch(lasts_for=8 * HOUR)
    shorter = to(stage, lease, 1)
    assert shorter.hold.total_usd < lease.hold.total_usd
    assert stage.left() == usd(100) - shorter.hold.total_usd
    stage.until(at("10:00"))
    assert stage.alive == []


def test_a_list_price_that_came_down_lowers_no_hold_below_the_cap_that_was_sent() -> None:
    """Spot may still cost up to that cap: an hour more holds an hour of it more."""
    stage = Stage()
    lease = stage.launch(lasts_for=HOUR)
    stage.until(at("09:30"))
    stage.prices.table["g5.xlarge"] = usd("0.5")
    longer = to(stage, lease, 2)
    assert longer.hold.compute_usd - lease.hold.compute_usd == usd("1.01")  # 1.006, each hold up to its cent


def test_a_budget_without_room_refuses_and_changes_nothing() -> None:
    """409 that names it."""
    stage = Stage()
    stage.put_budget(limit=15)
    lease = stage.launch(lasts_for=8 * HOUR)
    with pytest.raises(BudgetExceeded) as told:
        to(stage, lease, 20)
    assert told.value.extra["budget"] == "team"
    assert stage.lease(lease.id).expires_at == at("17:00")
    assert stage.left() == usd(15) - lease.hold.total_usd


def test_longer_than_the_policy_allows_is_refused() -> None:
    """`lease.max_for` counts from the start; shortening a lease that a later policy would not allow is fine."""
    stage = Stage()
    lease = stage.launch(lasts_for=8 * HOUR)
    with pytest.raises(Refused) as told:
        to(stage, lease, 73)
    assert told.value.slug == "lease-limit"
    stage.put_policy(lease={"max_for": "PT1H"})
    assert to(stage, lease, 4).expires_at == at("13:00")


def test_an_hour_that_is_past_is_refused() -> None:
    """To end it now there is DELETE."""
    stage = Stage()
    lease = stage.launch(lasts_for=8 * HOUR)
    stage.clock.advance(2 * HOUR)
    for hours in (1, 2):
        with pytest.raises(Refused) as told:
            to(stage, lease, hours)
        assert told.value.slug == "lease-over"
    assert to(stage, lease, 2.1).expires_at == at("09:00") + 126 * MINUTE


def test_only_an_active_lease_can_be_changed() -> None:
    """In flight, ending or closed: too early or too late."""
    stage = Stage()
    stage.compute.fail("launch", times=9)
    flying = stage.launch()
    stage.compute.mend()
    over = stage.launch()
    end_lease(stage.services, over.id, by="ada")
    for lease in (flying, over):
        with pytest.raises(Refused) as told:
            to(stage, lease, 9)
        assert told.value.slug == "lease-over"
    with pytest.raises(NotFound):
        extend(stage.services, "lease-0", lasts_for=HOUR, budget_usd=None, by="ada")


def test_more_dollars_move_the_end_by_money() -> None:
    """`budget_usd` is the lease's cap: raised, it lasts longer within its hours."""
    stage = Stage()
    stage.put_budget()
    lease = stage.launch(lasts_for=8 * HOUR, budget_usd=usd(1))
    more = to(stage, lease, budget="3")
    assert more.hold.total_usd == 3
    assert stage.left() == usd(97)
    stage.until(at("11:00"))
    assert stage.alive
    stage.until(at("12:00"))
    assert stage.alive == []
    assert stage.receipt(lease.id).cost_usd <= 3


def test_more_hours_keep_the_cap_of_an_adopted_box() -> None:
    """`budget_usd` stays in force until another one is asked for, launched or adopted."""
    stage = Stage()
    stage.compute.start()
    stage.sweep()
    lease = stage.only_lease()
    assert to(stage, lease, budget="5").hold.total_usd == 5
    assert to(stage, lease, 10).hold.total_usd == 5
    assert to(stage, lease, budget="6").hold.total_usd == 6


def test_a_larger_margin_in_the_policy_ends_no_lease_that_runs() -> None:
    """Its hold was made with the margin of its launch, and pays for its end by that; so it does when extended."""
    stage = Stage()
    lease = stage.launch(lasts_for=8 * HOUR, budget_usd=usd(4))
    stage.put_policy(teardown={"margin": "PT8H"})
    stage.until(at("09:05"))
    assert stage.alive == list(lease.instance_ids)
    to(stage, lease, 7)
    stage.until(at("09:10"))
    assert stage.alive == list(lease.instance_ids)


def test_fewer_dollars_than_it_has_cost_are_refused() -> None:
    """A cap below what is spent would promise what can't be kept."""
    stage = Stage()
    lease = stage.launch(lasts_for=8 * HOUR)
    stage.until(at("12:00"))
    with pytest.raises(Refused) as told:
        to(stage, lease, budget="2")
    assert told.value.slug == "budget-too-small"
    assert stage.only_lease().hold == lease.hold


def test_a_cap_stays_when_only_hours_are_asked_for() -> None:
    """More time, the same money."""
    stage = Stage()
    lease = stage.launch(lasts_for=2 * HOUR, budget_usd=usd(1))
    assert to(stage, lease, 8).hold.total_usd == 1


def test_an_adopted_box_is_held_for_what_it_costs_until_its_new_end() -> None:
    """PATCH gives it hours and money alike."""
    stage = Stage()
    stage.put_budget()
    box = stage.compute.start()
    stage.sweep()
    lease = stage.only_lease()
    longer = to(stage, lease, 16)
    assert longer.hold.compute_usd >= lease.hold.compute_usd * usd("1.9")
    assert stage.left() == usd(100) - longer.hold.total_usd
    assert stage.alive == [box]


def test_an_extension_wins_over_a_sweep_that_decided_on_the_old_hour() -> None:
    """The sweep's write is refused, so that it does not end what was just extended."""
    stage = Stage()
    lease = stage.launch(lasts_for=HOUR)
    stage.until(at("09:59"))
    stage.clock.advance(MINUTE)

    def extend_meanwhile(method: str, phase: str) -> None:
        if (method, phase) == ("save_lease", "before"):
            stage.store.hook = lambda *_: None
            to(stage, lease, 4)

    stage.store.hook = extend_meanwhile
    stage.sweep()
    assert stage.alive == list(lease.instance_ids)
    assert stage.only_lease().expires_at == at("13:00")


def test_another_writer_in_between_is_no_error() -> None:
    """The change is worked out anew on what the lease has become."""
    stage = Stage()
    lease = stage.launch(lasts_for=2 * HOUR)

    def sweep_meanwhile(method: str, phase: str) -> None:
        if (method, phase) == ("rehold", "before"):
            stage.store.hook = lambda *_: None
            stage.sweep()

    stage.store.hook = sweep_meanwhile
    assert to(stage, lease, 5).expires_at == at("14:00")


def test_a_lower_limit_is_judged_by_what_spot_really_cost() -> None:
    """After four hours at 30 cents it may be lowered to $2, which the price cap would have passed long ago."""
    stage = Stage()
    stage.prices.set_spot(ZONE, TYPE, "0.30")
    lease = stage.launch(lasts_for=8 * HOUR)
    stage.until(at("13:00"))
    assert to(stage, lease, budget="2").hold.total_usd == usd(2)


def test_a_change_of_an_adopted_lease_keeps_the_egress_allowance_that_it_has() -> None:
    """All of it where the budgets had room when it was found, and what they had room for where not."""
    for limit, allowance in ((100, "4.50"), (9, "0.87")):
        stage = Stage()
        stage.put_budget(limit=limit)
        stage.compute.start(market="on-demand")
        stage.after(MINUTE)
        found = stage.only_lease()
        assert found.hold.egress_usd == usd(allowance)
        assert to(stage, found, 4).hold.egress_usd == usd(allowance)


def test_while_spot_prices_are_unknown_a_change_counts_the_cap() -> None:
    """It may have cost more than the new limit, so that one is refused."""
    stage = Stage()
    lease = stage.launch(lasts_for=8 * HOUR)
    stage.until(at("13:00"))
    with pytest.raises(Refused) as told:
        to(stage, lease, budget="2")
    assert told.value.slug == "budget-too-small"
