"""Budgets in the store: what is left is exact, and no hold gets past it."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from chalicelib.domain.budget import DEFAULT_THRESHOLDS, Period, ScopeKind
from chalicelib.domain.errors import BudgetExceeded, NotFound, Stale
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


@pytest.mark.parametrize("before", ["0", "6"])
def test_a_hold_without_room_changes_nothing(store: Store, before: str) -> None:
    """Refused by name, with what is left and what was asked; no lease, no charge on the others, no notice. Also when it
    would be the first charge of its period."""
    with_budget(store, budget("roomy", "1000"))
    at = with_budget(store, budget("small", "10"), **{MONTH: usd(before)})
    asked = lease("lease-1", charge("10.5", name="roomy"), charge("10.5", name="small"))

    with pytest.raises(BudgetExceeded, match="'small'") as caught:
        store.open_lease(asked, revision=at, notices=[notice()])

    extra = caught.value.extra
    assert extra["budget"] == "small"
    assert Decimal(str(extra["left_usd"])) == 10 - usd(before)
    assert Decimal(str(extra["hold_usd"])) == usd("10.5")
    assert (store.lease("lease-1"), store.waiting_notices()) == (None, 0)
    assert (left(store, "roomy"), left(store, "small")) == (1000, 10 - usd(before))


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


@pytest.mark.parametrize(("final", "expected"), [(None, "10"), ("0", "10"), ("8", "2"), ("9.5", "0.5")])
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
    for name in ("more", "less", "added", "dropped", "same"):
        at = with_budget(store, budget(name, "10"))
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
    assert (left(store), store.waiting_notices()) == (4, 0)

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
    with_budget(store, budget(limit="100"), **{MONTH: usd("12.5"), "2026-12": usd("3")})
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

    at = with_budget(store, budget(scope_kind=ScopeKind.OWNER, scope_value="ben"), **{MONTH: usd("2")})

    assert left(store) == 98
    assert left(store, at=DECEMBER) == 100


def test_other_thresholds_keep_the_count(store: Store) -> None:
    """Only what a budget counts decides whether its count is still right."""
    at = with_budget(store)
    store.open_lease(lease("lease-1", charge("30")), revision=at)
    with_budget(store, budget(thresholds=DEFAULT_THRESHOLDS[:1]), **{MONTH: usd("0")})
    assert left(store) == 70
    assert store.budgets(NOW).states[0].budget.thresholds == DEFAULT_THRESHOLDS[:1]


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

    with_budget(store)
    assert left(store) == 100
    store.close_lease(closing(opened, "1"), receipt=None)
    assert left(store) == 100


def test_a_budget_made_again_carries_the_charges_it_is_told_of(store: Store) -> None:
    """Charges that an earlier budget of the name has left on open leases are given back when they close."""
    at = with_budget(store)
    opened = store.open_lease(lease("lease-1", charge("30")), revision=at)
    store.delete_budget("account", revision=at)

    with_budget(store, **{MONTH: usd("30")})
    assert left(store) == 70
    store.close_lease(closing(opened, "1"), receipt=None)
    assert left(store) == 99
