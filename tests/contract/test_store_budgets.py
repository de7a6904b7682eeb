"""Budgets in the store: made, changed and deleted by one at a time, and what is left of them exact."""

from datetime import UTC, datetime

import pytest

from chalicelib.domain.budget import DEFAULT_THRESHOLDS, Period, ScopeKind
from chalicelib.domain.errors import NotFound, Stale
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
    revision,
    usd,
    with_budget,
)

DECEMBER = datetime(2026, 12, 1, tzinfo=UTC)


def test_without_budgets_there_is_no_limit(store: Store) -> None:
    """An empty book at revision 0, and a launch without charges passes."""
    assert store.budgets(NOW).states == ()
    assert revision(store) == 0
    store.open_lease(lease(), revision=0)


def test_a_new_budget_is_read_with_its_whole_limit(store: Store) -> None:
    """Left is the limit until something is charged."""
    made = budget("gpu", "12.34", period=Period.DAILY, scope_kind=ScopeKind.OWNER, scope_value="ana")

    store.put_budget(made, used={}, revision=0)

    book = store.budgets(NOW)
    assert book.revision == 1
    assert [(one.budget, one.period_key, one.left_usd) for one in book.states] == [
        (made, "2026-11-23", usd("12.34"))
    ]


def test_budgets_come_by_name(store: Store) -> None:
    """The order does not depend on who came first."""
    for name in ("b", "a", "c"):
        with_budget(store, budget(name))
    assert [state.budget.name for state in store.budgets(NOW).states] == ["a", "b", "c"]


def test_a_changed_limit_moves_left_by_the_difference(store: Store) -> None:
    """In every period, and whatever the caller had counted meanwhile: the store's own count is exact."""
    at = with_budget(store, budget(limit="100"))
    store.open_lease(lease("lease-1", charge("30"), charge("10", period="2026-12")), revision=at)

    store.put_budget(budget(limit="80.5"), used={MONTH: usd("12")}, revision=at)

    assert left(store) == usd("50.5")
    assert left(store, at=DECEMBER) == usd("70.5")
    assert revision(store) == at + 1
    store.put_budget(budget(limit="20"), used={}, revision=at + 1)
    assert left(store) == -10


def test_a_new_budget_starts_from_what_was_used_already(store: Store) -> None:
    """Its periods carry what the caller counted."""
    with_budget(store, budget(limit="100"), used={MONTH: usd("12.5"), "2026-12": usd("3")})
    assert left(store) == usd("87.5")
    assert left(store, at=DECEMBER) == 97


def test_a_period_not_charged_yet_takes_the_callers_count(store: Store) -> None:
    """Where the store has counted nothing, what the caller knows stands."""
    at = with_budget(store)
    store.put_budget(budget(), used={MONTH: usd("5")}, revision=at)
    assert left(store) == 95


def test_a_budget_that_counts_something_else_starts_anew(store: Store) -> None:
    """Another scope: what the old one had counted is gone, in every period."""
    at = with_budget(store)
    store.open_lease(lease("lease-1", charge("30"), charge("10", period="2026-12")), revision=at)

    at = with_budget(store, budget(scope_kind=ScopeKind.OWNER, scope_value="ben"), used={MONTH: usd("2")})

    assert left(store) == 98
    assert left(store, at=DECEMBER) == 100


def test_of_two_budget_changes_one_loses(store: Store) -> None:
    """Whoever judged by old budgets is Stale, to put and to delete."""
    at = with_budget(store)
    with_budget(store, budget("b"))

    with pytest.raises(Stale):
        store.put_budget(budget("c"), used={MONTH: usd("5")}, revision=at)
    with pytest.raises(Stale):
        store.delete_budget("b", revision=at)

    assert [state.budget.name for state in store.budgets(NOW).states] == ["account", "b"]


def test_deleting_a_budget(store: Store) -> None:
    """It is gone, the others stay, and launches judged with it are Stale; a name that is not there is NotFound."""
    with_budget(store, budget("a"))
    at = with_budget(store, budget("b"))

    store.delete_budget("a", revision=at)

    assert [state.budget.name for state in store.budgets(NOW).states] == ["b"]
    assert revision(store) == at + 1
    with pytest.raises(Stale):
        store.open_lease(lease("lease-1", charge("1", name="b")), revision=at)
    with pytest.raises(NotFound):
        store.delete_budget("a", revision=at + 1)


def test_a_lease_closes_though_its_budget_is_gone(store: Store) -> None:
    """No budget can keep a lease from ending."""
    at = with_budget(store)
    opened = store.open_lease(lease("lease-1", charge("30")), revision=at)
    store.delete_budget("account", revision=at)

    store.close_lease(closing(opened, "1"), receipt=None, notices=[notice()])

    assert store.open_leases() == ()
    assert store.waiting_notices() == 1


def test_a_budget_made_again_does_not_inherit_the_old_count(store: Store) -> None:
    """It starts from what the caller counted; a lease charged to the old one gives nothing back that is not in it."""
    at = with_budget(store)
    opened = store.open_lease(lease("lease-1", charge("30")), revision=at)
    store.delete_budget("account", revision=at)

    at = with_budget(store)
    assert left(store) == 100
    store.open_lease(lease("lease-2", charge("5")), revision=at)
    store.close_lease(closing(opened, "1"), receipt=None)
    assert left(store) == 95


def test_a_budget_made_again_carries_the_charges_it_is_told_of(store: Store) -> None:
    """Charges that an earlier budget of the name has left on open leases are given back when they close."""
    at = with_budget(store)
    opened = store.open_lease(lease("lease-1", charge("30")), revision=at)
    store.delete_budget("account", revision=at)

    with_budget(store, used={MONTH: usd("30")})
    assert left(store) == 70
    store.close_lease(closing(opened, "1"), receipt=None)
    assert left(store) == 99


def test_other_thresholds_keep_the_count(store: Store) -> None:
    """Only what a budget counts decides whether its count is still right."""
    at = with_budget(store)
    store.open_lease(lease("lease-1", charge("30")), revision=at)
    with_budget(store, budget(thresholds=DEFAULT_THRESHOLDS[:1]), used={MONTH: usd("0")})
    assert left(store) == 70
    assert store.budgets(NOW).states[0].budget.thresholds == DEFAULT_THRESHOLDS[:1]
