"""Holds over several periods in the store: taken in all or in none, given back in each what it did not cost there."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from chalicelib.domain.budget import BudgetState, Period
from chalicelib.domain.errors import BudgetExceeded, Stale
from chalicelib.domain.lease import Charge, Lease
from chalicelib.gateways.dynamodb import DynamoStore
from chalicelib.ports import Store
from tests.contract.store_examples import (
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
from tests.doubles.faulty_client import FaultyClient, conflict, lost, nothing

DAY = timedelta(days=1)
DAYS = [f"{NOW + number * DAY:%Y-%m-%d}" for number in range(90)]


def over(days: int, amount: str = "1", name: str = "account", *, start: int = 0) -> tuple[Charge, ...]:
    """The same share of as many days."""
    return tuple(charge(amount, name=name, period=day) for day in DAYS[start : start + days])


def lefts(store: Store, days: int, name: str = "account") -> list[Decimal]:
    """What is left of a daily budget on each of the next days, today first."""
    book = store.budgets(NOW, until=NOW + (days - 1) * DAY)
    return [one.left_usd for one in (*book.states, *book.later) if one.budget.name == name]


def spent(of: Lease, **by_day: str) -> Lease:
    """A lease about to be closed, with what it cost on `d0`, `d1` …"""
    days = {DAYS[int(day[1:])]: usd(amount) for day, amount in by_day.items()}
    return replace(closing(of, str(sum(days.values()))), final_by_day=days)


def test_what_is_left_can_be_asked_of_later_periods(store: Store) -> None:
    """Each budget in the period of now, and in those that are reached until then."""
    with_budget(store, budget("days", period=Period.DAILY))
    with_budget(store, budget("ever", period=Period.TOTAL))
    at = with_budget(store, budget("months"))
    store.open_lease(lease("lease-1", *over(2, "5", "days")), revision=at)

    book = store.budgets(NOW, until=NOW + 2 * DAY)

    assert [(one.budget.name, one.period_key) for one in book.states] == [
        ("days", DAYS[0]),
        ("ever", "total"),
        ("months", "2026-11"),
    ]
    assert [(one.budget.name, one.period_key, one.left_usd) for one in book.later] == [
        ("days", DAYS[1], 95),
        ("days", DAYS[2], 100),
    ]
    assert store.budgets(NOW).later == ()
    assert len(store.budgets(NOW, until=datetime(2999, 1, 1, tzinfo=UTC)).later) < 160


def test_one_full_day_refuses_all_of_them(store: Store) -> None:
    """The refusal names the budget and the day; the other days are as they were."""
    at = with_budget(store, budget(limit="10", period=Period.DAILY))
    store.open_lease(lease("lease-1", *over(1, "8", start=2)), revision=at)
    with pytest.raises(BudgetExceeded) as told:
        store.open_lease(lease("lease-2", *over(4, "3")), revision=at, notices=[notice()])
    assert (told.value.extra["budget"], told.value.extra["period_key"]) == ("account", DAYS[2])
    assert (told.value.extra["left_usd"], told.value.extra["hold_usd"]) == ("2", "3")
    assert lefts(store, 4) == [10, 10, 2, 10]
    assert store.waiting_notices() == 0


def test_closing_leaves_in_each_period_what_it_cost_there(store: Store) -> None:
    """Also in one that it did not hold, and on each budget by the budget's own periods."""
    with_budget(store, budget("days", period=Period.DAILY))
    at = with_budget(store, budget("months"))
    charges = (*over(2, "10", "days"), charge("20", name="months"))
    opened = store.open_lease(lease("lease-1", *charges), revision=at)
    store.close_lease(spent(opened, d0="2", d1="3.5", d2="0.25"), receipt=None)
    assert lefts(store, 4, "days") == [98, usd("96.5"), usd("99.75"), 100]
    assert left(store, "months") == usd("94.25")


def test_rehold_moves_each_day(store: Store) -> None:
    """Longer takes from new days, shorter gives them back, and a day without room changes nothing."""
    at = with_budget(store, budget(limit="10", period=Period.DAILY))
    store.open_lease(lease("lease-2", *over(1, "8", start=3)), revision=at)
    opened = store.open_lease(lease("lease-1", *over(1, "4")), revision=at)
    longer = store.rehold(replace(opened, charges=over(3, "4")), before=opened.charges, revision=at)
    assert lefts(store, 4) == [6, 6, 6, 2]
    with pytest.raises(BudgetExceeded) as told:
        store.rehold(replace(longer, charges=over(4, "4")), before=longer.charges, revision=at)
    assert told.value.extra["period_key"] == DAYS[3]
    assert store.lease("lease-1") == longer
    store.rehold(replace(longer, charges=over(1, "3")), before=longer.charges, revision=at)
    assert lefts(store, 4) == [7, 10, 10, 2]


def test_of_two_launches_at_once_one_gets_the_last_room(store: Store) -> None:
    """They touch different days and meet on one."""
    at = with_budget(store, budget(limit="10", period=Period.DAILY))

    def launch(start: int) -> str:
        try:
            store.open_lease(lease(f"lease-{start}", *over(3, "6", start=start)), revision=at)
        except BudgetExceeded as refusal:
            return str(refusal.extra["period_key"])
        return "admitted"

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(launch, (0, 2))) == [DAYS[2], "admitted"]
    assert len(store.open_leases()) == 1
    assert sum(lefts(store, 5)) == 50 - 18


def test_as_many_charges_as_a_lease_may_have_fit_into_one_transaction(store: Store) -> None:
    """80 with two messages: opened, moved and closed."""
    at = with_budget(store, budget(period=Period.DAILY))
    told = [notice("one"), notice("two")]
    opened = store.open_lease(lease("lease-1", *over(80)), revision=at, notices=told)
    more = store.rehold(replace(opened, charges=over(80, "2")), before=opened.charges, revision=at)
    assert lefts(store, 80) == [98] * 80
    store.close_lease(spent(more, d0="1"), receipt=None, notices=[notice("three"), notice("four")])
    assert [*lefts(store, 80), left(store, at=NOW + 80 * DAY)] == [99, *[100] * 80]
    assert store.waiting_notices() == 4


def test_a_lease_with_more_charges_closes_all_the_same(store: Store) -> None:
    """Budgets that were made after it may bring it more than a transaction takes."""
    for name in "ab":
        at = with_budget(store, budget(name, period=Period.DAILY))
    opened = store.open_lease(lease("lease-1", *over(70, name="a")), revision=at)
    both = (*opened.charges, *over(70, name="b"))
    opened = store.rehold(
        replace(opened, charges=both), before=opened.charges, revision=at, allow_overdraft=True
    )
    closed = store.close_lease(spent(opened, d0="1"), receipt=None)
    assert store.lease("lease-1") == closed
    assert lefts(store, 70, "a") == lefts(store, 70, "b") == [99, *[100] * 69]


def test_a_last_day_that_follows_alone_is_given_back_once(
    client: FaultyClient, dynamo_store: DynamoStore
) -> None:
    """One more than the close itself carries, its answer lost: what another lease holds that day stays held."""
    for name in "ab":
        at = with_budget(dynamo_store, budget(name, period=Period.DAILY))
    opened = dynamo_store.open_lease(lease("lease-1", *over(42, name="a")), revision=at)
    both = (*opened.charges, *over(41, name="b"))
    opened = dynamo_store.rehold(
        replace(opened, charges=both), before=opened.charges, revision=at, allow_overdraft=True
    )
    dynamo_store.open_lease(lease("lease-2", *over(1, name="b", start=40)), revision=at)
    lose = iter([False, True])
    client.after = lambda method: (
        lost() if method in {"update_item", "transact_write_items"} and next(lose, False) else None
    )
    dynamo_store.close_lease(spent(opened, d0="1"), receipt=None)
    client.after = nothing
    assert next(lose, None) is None
    assert lefts(dynamo_store, 41, "b") == [99, *[100] * 39, 99]


def test_conflicts_and_lost_answers_move_no_day_twice(
    client: FaultyClient, dynamo_store: DynamoStore
) -> None:
    """Opened, extended and closed while every second answer is lost and every third transaction meets another."""
    at = with_budget(dynamo_store, budget(period=Period.DAILY))
    calls = iter(range(10**6))
    client.before = lambda method: (
        conflict() if method == "transact_write_items" and next(calls) % 3 == 0 else None
    )
    client.after = lambda method: (
        lost() if method == "transact_write_items" and next(calls) % 2 == 0 else None
    )
    opened = dynamo_store.open_lease(lease("lease-1", *over(3, "5")), revision=at)
    more = dynamo_store.rehold(replace(opened, charges=over(4, "6")), before=opened.charges, revision=at)
    dynamo_store.close_lease(spent(more, d0="1", d4="2"), receipt=None)
    client.before = client.after = nothing
    assert lefts(dynamo_store, 6) == [99, 100, 100, 100, 98, 100]
    assert dynamo_store.open_leases() == ()


# -- thresholds --------------------------------------------------------------------------------------------------------


def state(store: Store, at: datetime = NOW) -> BudgetState:
    (found,) = store.budgets(at).states
    return found


def test_thresholds_that_were_told_are_kept_by_period(store: Store) -> None:
    """With the message, beside what the period carries, and of no other period."""
    at = with_budget(store)
    assert (state(store).told, state(store).crossings) == ((), 0)
    store.tell_thresholds(state(store), (usd("50"), usd("80.5")), notices=[notice("half")])
    assert (state(store).told, state(store).crossings) == ((usd("50"), usd("80.5")), 1)
    store.open_lease(lease("lease-1", charge("30")), revision=at)
    store.tell_thresholds(state(store), (), notices=[])
    assert (state(store).told, state(store).crossings, state(store).left_usd) == ((), 2, 70)
    assert state(store, NOW + 30 * DAY).crossings == 0
    assert store.waiting_notices() == 1


def test_what_the_bill_says_takes_the_place_of_what_it_said(store: Store) -> None:
    """It stands beside the holds, in its period; of two who count the same answer one is Stale."""
    at = with_budget(store, budget(services="all"))
    seen = state(store)
    store.put_billed(seen, usd("30.5"), at=NOW)
    with pytest.raises(Stale):
        store.put_billed(seen, usd("30.5"), at=NOW)
    store.open_lease(lease("lease-1", charge("60")), revision=at)
    with pytest.raises(BudgetExceeded):
        store.open_lease(lease("lease-2", charge("10")), revision=at)
    assert (state(store).billed_usd, state(store).billed_at) == (usd("30.5"), NOW)
    store.put_billed(state(store), usd("20"), at=NOW + DAY)
    assert (state(store).left_usd, state(store).billed_at) == (20, NOW + DAY)
    assert state(store, NOW + 30 * DAY).billed_at is None


def test_of_two_who_tell_one_is_stale(store: Store) -> None:
    """And its message is not there either."""
    with_budget(store)
    seen = state(store)
    store.tell_thresholds(seen, (usd("50"),), notices=[notice("mine")])
    for _ in range(2):
        with pytest.raises(Stale):
            store.tell_thresholds(seen, (usd("50"),), notices=[notice("theirs")])
    assert store.waiting_notices() == 1
