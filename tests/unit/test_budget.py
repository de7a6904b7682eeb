"""Budgets: whose money, in which period, and what happens at which share of it."""

from decimal import Decimal

import pytest

from chalicelib.domain.budget import BudgetBook, Consequence, Period, ScopeKind, Threshold
from tests.builders import at, budget, owner_budget, state, usd

END, NOTIFY, STOP = Consequence.END, Consequence.NOTIFY, Consequence.STOP_LAUNCHES


@pytest.mark.parametrize(
    "kind, value, owner, project, covers",
    [
        (ScopeKind.ACCOUNT, None, "ada", None, True),
        (ScopeKind.OWNER, "ada", "ada", "x", True),
        (ScopeKind.OWNER, "ada", "bob", "x", False),
        (ScopeKind.PROJECT, "x", "bob", "x", True),
        (ScopeKind.PROJECT, "x", "bob", None, False),
        (ScopeKind.PROJECT, None, "bob", None, False),
    ],
)
def test_a_scope_covers_its_own(
    kind: ScopeKind, value: str | None, owner: str, project: str | None, *, covers: bool
) -> None:
    """The account covers all, an owner and a project what is theirs."""
    assert budget(scope_kind=kind, scope_value=value).covers(owner=owner, project=project) is covers


@pytest.mark.parametrize(
    "period, key",
    [(Period.MONTHLY, "2026-11"), (Period.DAILY, "2026-11-23"), (Period.TOTAL, "total")],
)
def test_a_period_has_a_key(period: Period, key: str) -> None:
    """Months and days are calendar ones, UTC."""
    assert budget(period=period).period_key(at("23:59:59")) == key


@pytest.mark.parametrize(
    "spent, crossed",
    [
        ("0", set()),
        ("49.99", set()),
        ("50", {NOTIFY}),
        ("80", {NOTIFY, STOP}),
        ("99.99", {NOTIFY, STOP}),
        ("100", {NOTIFY, STOP, END}),
    ],
)
def test_the_default_thresholds(spent: str, crossed: set[Consequence]) -> None:
    """50 % tells, 80 % stops launches, 100 % ends."""
    assert budget().crossed(usd(spent)) == crossed


def test_own_thresholds_replace_the_defaults() -> None:
    """A budget that asks to end at 10 % does, and asks nothing else."""
    strict = budget(thresholds=(Threshold(at_percent=Decimal(10), do=(END,)),))
    assert strict.crossed(usd("9.99")) == set()
    assert strict.crossed(usd(100)) == {END}


def test_a_limit_of_zero_is_reached_by_anything_but_nothing() -> None:
    """A budget of 0 must not end boxes that cost nothing yet."""
    assert budget(limit=0).crossed(usd(0)) == set()
    assert END in budget(limit=0).crossed(usd("0.01"))


def test_a_book_knows_the_budgets_of_a_lease() -> None:
    """Every budget whose scope it falls in, and no other."""
    book = BudgetBook(
        revision=1, states=(state(budget()), state(owner_budget("a", "ada")), state(owner_budget("b", "bob")))
    )
    assert [one.budget.name for one in book.covering(owner="ada", project=None)] == ["team", "a"]
