"""A budget holds whatever the bill says, and however late it says it."""

from contextlib import suppress
from datetime import date, datetime
from decimal import Decimal
from functools import cache

from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.domain.budget import Period, ScopeKind
from chalicelib.domain.errors import BudgetExceeded
from chalicelib.usecases.spend import spend
from tests.builders import HOUR, MINUTE, TYPE, Stage, at, usd

EC2 = "Amazon Elastic Compute Cloud - Compute"


def keeps_launching(stage: Stage, *, hours: int) -> None:
    """Somebody launches a box each hour, as long as the budget lets them, and sweeps come every ten minutes."""
    for number in range(hours * 6):
        if number % 6 == 0:
            with suppress(BudgetExceeded):
                stage.launch(lasts_for=3 * HOUR, egress_gb=0)
        stage.after(10 * MINUTE)


def test_a_budget_of_ten_dollars_holds_while_the_bill_shows_nothing() -> None:
    """Cost Explorer is late and credits pay for everything: it answers zeros. The meter and the holds need no bill."""
    stage = Stage()
    stage.put_budget(limit=10, period=Period.TOTAL)
    keeps_launching(stage, hours=24)
    assert len(stage.bills.calls) == 3
    assert stage.alive == []
    found = spend(stage.services, None)
    assert found.billed_usd == 0
    assert 6 < found.metered_usd == found.spent_usd <= 10


ADA_S = {"scope_kind": ScopeKind.OWNER, "scope_value": "ada"}


@settings(max_examples=10)
@given(
    amounts=st.lists(st.decimals(min_value=0, max_value=50, places=2), min_size=2, max_size=2),
    trouble=st.sampled_from([None, "denied", "not-enabled", "throttled", "failed"]),
)
def test_whatever_the_bill_says_no_box_of_an_owner_s_budget_lives_longer_or_shorter(
    amounts: list[object], trouble: str | None
) -> None:
    """No line of a bill says whose it is, so these go by the meter: the same boxes end at the same minute as without any
    bill."""
    ends = closed(billed(amounts, trouble, **ADA_S))
    assert ends == unbilled(trouble, is_ada_s=True) != []
    assert sum((final or usd(0) for _, _, final in ends), usd(0)) <= 10


@settings(max_examples=10)
@given(
    amounts=st.lists(st.decimals(min_value=0, max_value=50, places=2), min_size=2, max_size=2),
    trouble=st.sampled_from([None, "denied", "not-enabled", "throttled", "failed"]),
)
def test_a_bill_never_lets_the_account_s_budget_be_passed(amounts: list[object], trouble: str | None) -> None:
    """What it has beyond the meter leaves less for launches, never more; one that can't be had changes nothing."""
    without, stage = unbilled(None), billed(amounts, trouble)
    cost = sum((final or usd(0) for _, _, final in closed(stage)), usd(0))
    assert cost <= sum((final or usd(0) for _, _, final in without), usd(0)) <= 10
    if trouble:
        assert closed(stage) == without


def billed(amounts: list[object], trouble: str | None, **scope: object) -> Stage:
    """Half a day of launches on $10, while two days are billed so."""
    stage = Stage()
    stage.put_budget(limit=10, period=Period.TOTAL, **scope)
    for number, amount in enumerate(amounts):
        stage.bills.bill(date(2026, 11, 23 + number), EC2, f"SpotUsage:{TYPE}", str(amount))
    if trouble:
        stage.bills.fail(trouble)
    keeps_launching(stage, hours=12)
    return stage


@cache
def unbilled(
    trouble: str | None, *, is_ada_s: bool = False
) -> list[tuple[datetime, datetime | None, Decimal | None]]:
    """The same half day without any bill, lived once."""
    return closed(billed([], trouble, **(ADA_S if is_ada_s else {})))


def closed(stage: Stage) -> list[tuple[datetime, datetime | None, Decimal | None]]:
    """When each box began and ended, and what it cost."""
    leases = stage.store.closed_leases(since=at("00:00"))
    return [(lease.requested_at, lease.closed_at, lease.final_usd) for lease in leases]
