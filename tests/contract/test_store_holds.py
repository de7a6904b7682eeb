"""Holds on budgets in the store: taken with the lease or not at all, given back when it closes, exact to the digit."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from chalicelib.domain.errors import BudgetExceeded, Stale
from chalicelib.ports import Store
from tests.contract.store_examples import (
    MONTH,
    NOW,
    budget,
    charge,
    closing,
    lease,
    left,
    notice,
    usd,
    with_budget,
)

DECEMBER = datetime(2026, 12, 1, tzinfo=UTC)


def test_a_hold_is_taken_from_every_budget_it_falls_in(store: Store) -> None:
    """All or nothing, exact to the digit."""
    with_budget(store, budget("account", "10"))
    at = with_budget(store, budget("ana", "5.00"))

    store.open_lease(
        lease("lease-1", charge("0.1"), charge("0.1", name="ana")), revision=at, notices=[notice()]
    )
    store.open_lease(lease("lease-2", charge("0.2"), charge("0.2", name="ana")), revision=at)

    assert left(store) == usd("9.7")
    assert left(store, "ana") == usd("4.7")


def test_two_charges_on_one_period_count_as_their_sum(store: Store) -> None:
    """A lease may be charged in parts."""
    at = with_budget(store, budget(limit="10"))

    store.open_lease(lease("lease-1", charge("4"), charge("5")), revision=at)

    assert left(store) == 1
    with pytest.raises(BudgetExceeded):
        store.open_lease(lease("lease-2", charge("0.6"), charge("0.5")), revision=at)


def test_a_hold_that_fits_exactly_is_taken(store: Store) -> None:
    """The limit itself may be used up."""
    at = with_budget(store, budget(limit="10"))
    store.open_lease(lease("lease-1", charge("10")), revision=at)
    assert left(store) == 0


@pytest.mark.parametrize("before", [None, "0", "6"])
def test_a_hold_without_room_changes_nothing(store: Store, before: str | None) -> None:
    """Refused by name, with what is left and what was asked; no lease, no charge on the others, no notice. Also when it
    would be the first charge of its period."""
    with_budget(store, budget("roomy", "1000"))
    at = with_budget(store, budget("small", "10"), used={MONTH: usd(before)} if before else {})
    asked = lease("lease-1", charge("10.5", name="roomy"), charge("10.5", name="small"))

    with pytest.raises(BudgetExceeded, match="'small'") as caught:
        store.open_lease(asked, revision=at, notices=[notice()])

    extra = caught.value.extra
    assert extra["budget"] == "small"
    assert Decimal(str(extra["left_usd"])) == 10 - usd(before or "0")
    assert Decimal(str(extra["hold_usd"])) == usd("10.5")
    assert (store.lease("lease-1"), store.waiting_notices()) == (None, 0)
    assert left(store, "roomy") == 1000
    assert left(store, "small") == 10 - usd(before or "0")


def test_overdraft_where_it_is_allowed(store: Store) -> None:
    """What runs already is held even where there is no room: left goes below zero."""
    at = with_budget(store, budget(limit="10"))
    store.open_lease(lease("lease-1", charge("25")), revision=at, allow_overdraft=True)
    assert left(store) == -15
    with pytest.raises(BudgetExceeded):
        store.open_lease(lease("lease-2", charge("1")), revision=at)


def test_each_period_has_its_own_left(store: Store) -> None:
    """A new month starts with the whole limit; the old one keeps what it carries."""
    at = with_budget(store)
    store.open_lease(lease("lease-1", charge("30"), charge("20", period="2026-12")), revision=at)
    assert left(store) == 70
    assert left(store, at=DECEMBER) == 80


def test_a_launch_judged_by_old_budgets_is_stale(store: Store) -> None:
    """A budget made, changed or deleted since: nothing is written, also for a lease that no budget covers."""
    at = with_budget(store)
    with_budget(store, budget("later"))

    with pytest.raises(Stale):
        store.open_lease(lease("lease-1", charge("1")), revision=at)
    with pytest.raises(Stale):
        store.open_lease(lease("lease-1"), revision=0)

    assert store.lease("lease-1") is None
    assert left(store) == 100


def test_a_charge_on_a_budget_that_is_not_there_is_stale(store: Store) -> None:
    """Nothing is ever charged to a name alone."""
    at = with_budget(store)
    with pytest.raises(Stale):
        store.open_lease(lease("lease-1", charge("1", name="gone")), revision=at)


def test_closing_gives_back_what_was_not_spent(store: Store) -> None:
    """Hold less final cost returns to every budget the lease was charged to."""
    with_budget(store, budget("account", "10"))
    at = with_budget(store, budget("ana", "10"))
    opened = store.open_lease(lease("lease-1", charge("8"), charge("8", name="ana")), revision=at)

    store.close_lease(closing(opened, "1.23"), receipt=None)

    assert left(store) == usd("8.77")
    assert left(store, "ana") == usd("8.77")


@pytest.mark.parametrize("final, expected", [(None, "10"), ("0", "10"), ("8", "2"), ("9.5", "0.5")])
def test_closing_settles_any_final_cost(store: Store, final: str | None, expected: str) -> None:
    """A launch that never ran gives all back; one that cost more than its hold takes the rest as well."""
    at = with_budget(store, budget(limit="10"))
    opened = store.open_lease(lease("lease-1", charge("8")), revision=at)
    store.close_lease(closing(opened, final), receipt=None)
    assert left(store) == usd(expected)


def test_a_cost_finer_than_a_micro_dollar_counts_rounded_up(store: Store) -> None:
    """A budget never reads fuller than it is, and its sums stay exact."""
    at = with_budget(store, budget(limit="10"))
    opened = store.open_lease(lease("lease-1", charge("8")), revision=at)
    store.close_lease(closing(opened, "1.00000000000000000000000001"), receipt=None)
    assert left(store) == usd("8.999999")


def test_a_split_hold_is_spent_from_its_earliest_period_on(store: Store) -> None:
    """The cost fills November before December; what exceeds both stands on the last."""
    at = with_budget(store)
    charges = (charge("5"), charge("3", period="2026-12"))
    opened = store.open_lease(lease("lease-1", *charges), revision=at)
    over = store.open_lease(lease("lease-2", *charges), revision=at)

    store.close_lease(closing(opened, "6"), receipt=None)
    store.close_lease(closing(over, "9"), receipt=None)

    assert left(store) == 100 - 5 - 5
    assert left(store, at=DECEMBER) == 100 - 1 - 4


def test_a_stale_close_gives_nothing_back(store: Store) -> None:
    """The money moves with the lease or not at all."""
    at = with_budget(store, budget(limit="10"))
    opened = store.open_lease(lease("lease-1", charge("8")), revision=at)
    store.close_lease(closing(opened, "1"), receipt=None)
    with pytest.raises(Stale):
        store.close_lease(closing(opened, "0"), receipt=None)
    assert left(store) == 9


def test_rehold_moves_each_budget_by_the_difference(store: Store) -> None:
    """More here, less there, one added, one dropped."""
    names = ("more", "less", "added", "dropped", "same")
    at = max(with_budget(store, budget(name, "10")) for name in names)
    before = (
        charge("2", name="more"),
        charge("6", name="less"),
        charge("3", name="dropped"),
        charge("1", name="same"),
    )
    after = (
        charge("5", name="more"),
        charge("1", name="less"),
        charge("4", name="added"),
        charge("1", name="same"),
    )
    opened = store.open_lease(lease("lease-1", *before), revision=at)

    written = store.rehold(replace(opened, charges=after), before=before, revision=at, notices=[notice()])

    assert written.version == 2
    assert store.lease("lease-1") == written
    lefts = {state.budget.name: state.left_usd for state in store.budgets(NOW).states}
    assert lefts == {"more": 5, "less": 9, "added": 6, "dropped": 10, "same": 9}
    assert store.waiting_notices() == 1


def test_rehold_needs_room_for_what_it_adds(store: Store) -> None:
    """The difference must fit, not the whole; what does not fit changes nothing."""
    at = with_budget(store, budget(limit="10"))
    opened = store.open_lease(lease("lease-1", charge("6")), revision=at)

    with pytest.raises(BudgetExceeded) as caught:
        store.rehold(
            replace(opened, charges=(charge("10.5"),)), before=opened.charges, revision=at, notices=[notice()]
        )
    assert caught.value.extra["budget"] == "account"
    assert store.lease("lease-1") == opened
    assert left(store) == 4
    assert store.waiting_notices() == 0

    store.rehold(replace(opened, charges=(charge("10"),)), before=opened.charges, revision=at)
    assert left(store) == 0


def test_rehold_past_the_limit_where_it_is_allowed(store: Store) -> None:
    """A budget made after the lease carries its hold, room or not."""
    opened = store.open_lease(lease("lease-1"), revision=0)
    at = with_budget(store, budget(limit="10"))

    store.rehold(replace(opened, charges=(charge("25"),)), before=(), revision=at, allow_overdraft=True)

    assert left(store) == -15


def test_rehold_of_an_old_version_or_against_old_budgets_is_stale(store: Store) -> None:
    """Neither the lease nor any budget moves."""
    at = with_budget(store)
    opened = store.open_lease(lease("lease-1", charge("6")), revision=at)
    saved = store.save_lease(opened)
    more = (charge("7"),)

    with pytest.raises(Stale):
        store.rehold(replace(opened, charges=more), before=opened.charges, revision=at)
    with pytest.raises(Stale):
        store.rehold(replace(saved, charges=more), before=opened.charges, revision=at - 1)

    assert left(store) == 94
    assert store.lease("lease-1") == saved
