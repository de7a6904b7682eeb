"""Budgets in the store: made, changed and deleted by one at a time, and what is left of them exact."""

from dataclasses import replace
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

    store.put_budget(made, revision=0)

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
    """In every period."""
    at = with_budget(store, budget(limit="100"))
    store.open_lease(lease("lease-1", charge("30"), charge("10", period="2026-12")), revision=at)

    store.put_budget(budget(limit="80.5"), revision=at)

    assert left(store) == usd("50.5")
    assert left(store, at=DECEMBER) == usd("70.5")
    assert revision(store) == at + 1
    store.put_budget(budget(limit="20"), revision=at + 1)
    assert left(store) == -10


def test_a_limit_judged_by_less_than_a_period_carries_is_stale(store: Store) -> None:
    """A hold that came after the caller had looked counts: nothing is changed."""
    at = with_budget(store, budget(limit="100"))
    store.put_budget(budget(limit="90"), at_most={MONTH: usd("0")}, revision=at)
    opened = store.open_lease(lease("lease-1", charge("30")), revision=at + 1)

    with pytest.raises(Stale):
        store.put_budget(budget(limit="20"), at_most={MONTH: usd("20")}, revision=at + 1)
    assert (left(store), revision(store)) == (60, at + 1)

    store.put_budget(budget(limit="30"), at_most={MONTH: usd("30")}, revision=at + 1)
    assert left(store) == 0
    assert store.lease("lease-1") == opened


def test_nobody_is_admitted_against_a_budget_that_is_filling(store: Store) -> None:
    """A launch tries again; what is charged in any case is, and what is given back is."""
    at = with_budget(store, budget(is_filling=True))

    with pytest.raises(Stale):
        store.open_lease(lease("lease-1", charge("30")), revision=at)
    opened = store.open_lease(lease("lease-1", charge("30")), revision=at, allow_overdraft=True)
    with pytest.raises(Stale):
        store.rehold(replace(opened, charges=(charge("31"),)), before=opened.charges, revision=at)
    opened = store.rehold(replace(opened, charges=(charge("20"),)), before=opened.charges, revision=at)
    assert left(store) == 80

    store.put_budget(budget(), used={MONTH: usd("5")}, revision=at)
    store.open_lease(lease("lease-2", charge("75")), revision=at + 1)
    assert left(store) == 0


def test_a_new_budget_starts_from_what_was_used_already(store: Store) -> None:
    """Its periods carry what the caller counted."""
    with_budget(store, budget(limit="100"), used={MONTH: usd("12.5"), "2026-12": usd("3")})
    assert left(store) == usd("87.5")
    assert left(store, at=DECEMBER) == 97


def test_what_the_caller_counted_is_added(store: Store) -> None:
    """To what a period carries, and where it carries nothing yet."""
    at = with_budget(store)
    store.put_budget(budget(), used={MONTH: usd("5")}, revision=at)
    assert left(store) == 95
    store.open_lease(lease("lease-1", charge("30")), revision=at + 1)
    store.put_budget(budget(), used={MONTH: usd("1")}, revision=at + 1)
    assert left(store) == 64


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
    with pytest.raises(NotFound, match="nothing was changed"):
        store.delete_budget("a", revision=at + 1)


def test_a_lease_closes_though_its_budget_is_gone(store: Store) -> None:
    """No budget can keep a lease from ending."""
    at = with_budget(store)
    opened = store.open_lease(lease("lease-1", charge("30")), revision=at)
    store.delete_budget("account", revision=at)

    store.close_lease(closing(opened, "1"), receipt=None, notices=[notice()])

    assert store.open_leases() == ()
    assert store.waiting_notices() == 1


def test_a_budget_of_another_generation_starts_anew(store: Store) -> None:
    """Nothing of the earlier one stands on it, in any period, and leases give back to the one they were charged to."""
    at = with_budget(store)
    opened = store.open_lease(lease("lease-1", charge("30"), charge("10", period="2026-12")), revision=at)
    store.delete_budget("account", revision=at)

    at = with_budget(store, budget(generation=3))
    assert (left(store), left(store, at=DECEMBER)) == (100, 100)
    with pytest.raises(Stale):
        store.open_lease(lease("lease-2", charge("5")), revision=at)
    store.open_lease(lease("lease-2", charge("35", generation=3)), revision=at)
    store.close_lease(closing(opened, "1"), receipt=None)
    assert left(store) == 65


def test_other_thresholds_keep_the_count(store: Store) -> None:
    """Only what a budget counts decides whether its count is still right."""
    at = with_budget(store)
    store.open_lease(lease("lease-1", charge("30")), revision=at)
    with_budget(store, budget(thresholds=DEFAULT_THRESHOLDS[:1]))
    assert left(store) == 70
    assert store.budgets(NOW).states[0].budget.thresholds == DEFAULT_THRESHOLDS[:1]
