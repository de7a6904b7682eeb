"""Days of the bill and turns of Cost Explorer in the store."""

from datetime import date, timedelta

import pytest

from chalicelib.domain.bill_turn import BillTurn
from chalicelib.domain.bills import BilledDay, Trouble
from chalicelib.domain.errors import Stale
from chalicelib.gateways.dynamodb import DynamoStore
from chalicelib.ports import Store
from tests.contract.store_examples import MINUTE, NOW, notice, usd
from tests.doubles.faulty_client import FaultyClient, lost, once

DAY = date(2026, 11, 20)


def billed(day: date = DAY, amount: str = "1.10") -> BilledDay:
    """A day with something in it."""
    return BilledDay(
        day=day,
        modelled={"compute/us-east-1/g5.xlarge": usd(amount)},
        outside={"Tax": usd("0.33")},
        is_estimated=False,
        answered_at=NOW,
        same_since=NOW - MINUTE,
        beyond_meter_usd=usd("-0.0000001"),
    )


def test_days_come_back_in_order_and_as_they_were_told(store: Store) -> None:
    """From the first up to, not with, the last; the later answer stands."""
    days = [billed(DAY + timedelta(days=number)) for number in range(4)]
    store.put_billed_days(days[::-1])
    store.put_billed_days([billed(days[1].day, "2")])
    found = store.billed_days(DAY, days[3].day)
    assert found == (days[0], billed(days[1].day, "2"), days[2])
    assert store.billed_days(date(2025, 1, 1), DAY) == ()
    assert store.billed_days(DAY, DAY) == ()


def test_a_month_is_kept_in_a_few_calls(dynamo_store: DynamoStore, client: FaultyClient) -> None:
    """Ten days each: a call for every day would take a sweep's time. A day that is named twice counts as named last."""
    month = [billed(DAY + timedelta(days=number)) for number in range(31)]
    client.calls.clear()
    dynamo_store.put_billed_days([billed(DAY, "9"), *month])
    assert len(client.calls) == 4
    assert dynamo_store.billed_days(DAY, DAY + timedelta(days=31)) == tuple(month)


def test_of_two_that_take_a_turn_one_asks(store: Store) -> None:
    """Whoever read the turn before, and finds another in its place, has lost."""
    assert store.bill_turn() is None
    first = BillTurn(asked_at=NOW)
    store.put_bill_turn(first, over=None)
    with pytest.raises(Stale):
        store.put_bill_turn(BillTurn(asked_at=NOW + MINUTE), over=None)
    second = BillTurn(
        asked_at=NOW + MINUTE, answered_at=NOW, newest_day=DAY, trouble=Trouble.DENIED, failures=2
    )
    store.put_bill_turn(second, over=NOW)
    with pytest.raises(Stale):
        store.put_bill_turn(first, over=NOW)
    assert store.bill_turn() == second


def test_a_turn_is_kept_together_with_what_people_are_told(store: Store) -> None:
    """And a message whose turn is lost is not told."""
    store.put_bill_turn(BillTurn(asked_at=NOW), over=None, notices=[notice("off")])
    with pytest.raises(Stale):
        store.put_bill_turn(BillTurn(asked_at=NOW), over=None, notices=[notice("late")])
    assert store.waiting_notices() == 1


def test_a_turn_whose_answer_was_lost_is_one_s_own(dynamo_store: DynamoStore, client: FaultyClient) -> None:
    """It meets itself when it is written again: nobody else has it."""
    client.after = once("put_item", lost())
    dynamo_store.put_bill_turn(BillTurn(asked_at=NOW), over=None)
    assert dynamo_store.bill_turn() == BillTurn(asked_at=NOW)


def test_a_day_vanishes_after_14_months(dynamo_store: DynamoStore, client: FaultyClient) -> None:
    """As Cost Explorer itself forgets it."""
    dynamo_store.put_billed_days([billed()])
    item = client.calls[-1][1]["Item"]
    kept_for = int(item["expires_epoch"]["N"]) - int(NOW.timestamp())
    assert timedelta(days=420) < timedelta(seconds=kept_for) < timedelta(days=428)
