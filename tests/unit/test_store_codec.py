"""How documents, keys and cursors are written."""

import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.errors import Refused
from chalicelib.domain.lease import Attempt, Charge, Hold
from chalicelib.domain.policy import Policy
from chalicelib.gateways import dynamodb_codec as codec
from chalicelib.gateways import dynamodb_holds as holds
from chalicelib.gateways.dynamodb_holds import BudgetPeriod
from tests.contract.store_examples import NOW, charge, closing, lease

TIMES = st.datetimes(min_value=datetime(2006, 1, 1), max_value=datetime(2999, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
MONEY = st.decimals(min_value=-(10**9), max_value=10**9, allow_nan=False, allow_infinity=False)


def test_a_document_names_its_fields() -> None:
    """A person can read an item in the console: money as strings, times and lengths as ISO 8601."""
    written = json.loads(codec.to_text(lease("lease-1", charge("1.10"))))
    assert written["charges"] == [
        {
            "budget": "account",
            "period_key": "2026-11",
            "amount_usd": "1.10",
            "generation": 0,
            "is_short": False,
        }
    ]
    assert written["requested_at"] == "2026-11-23T10:00:00Z"
    assert written["order"]["lasts_for"] == "PT8H"
    assert written["status"] == "requested"


@given(compute=MONEY, at=TIMES, length=st.timedeltas(min_value=timedelta(0)))
def test_documents_come_back_equal(compute: Decimal, at: datetime, length: timedelta) -> None:
    """Whatever the digits of money, time and length."""
    document = lease(at=NOW, launched_at=at, hold=Hold(compute_usd=compute), ran_before_for=length)
    assert codec.from_text(type(document), codec.to_text(document)) == document


def test_an_older_document_takes_the_defaults_and_a_newer_one_is_read_without_its_news() -> None:
    """Two versions of Curfew share a table while one replaces the other."""
    fields = json.loads(codec.to_text(lease()))
    del fields["runs"], fields["version"]
    fields["from_the_future"] = {"x": 1}
    assert codec.from_text(type(lease()), json.dumps(fields)) == lease()


def test_free_mappings_come_back_as_json_has_them() -> None:
    """An attempt's parameters: tuples as lists, times as text."""
    attempt = Attempt(
        token="t",
        operation="RunInstances",
        region="r",
        parameters={"Ids": ("a",), "Until": NOW},
        started_at=NOW,
    )
    read = codec.from_text(Attempt, codec.to_text(attempt))
    assert read.parameters == {"Ids": ["a"], "Until": "2026-11-23T10:00:00Z"}


def test_the_policy_keeps_its_public_keys() -> None:
    """`unleased.for`, as people write it."""
    assert json.loads(codec.to_text(Policy()))["unleased"]["for"] == "PT8H"


def test_long_documents_are_deflated() -> None:
    """Far below the 400 KB of an item, and read back the same."""
    long = lease(owner="o" * 500_000)
    item = codec.document(long)
    assert isinstance(item["doc_deflated"], bytes)
    assert len(item["doc_deflated"]) < 10_000
    assert codec.read(type(long), codec.from_attributes(codec.to_attributes(item))) == long
    assert set(codec.document(lease())) == {"doc"}


@given(amount=MONEY)
def test_numbers_are_exact_and_plain(amount: Decimal) -> None:
    """No exponent, no float: every digit goes and comes back."""
    written = codec.to_attributes({"n": amount})["n"]["N"]
    assert "E" not in written
    assert codec.from_attributes({"n": {"N": written}})["n"] == amount


@given(one=TIMES, other=TIMES)
def test_stamps_sort_as_times_do(one: datetime, other: datetime) -> None:
    """Sort keys are in order of time, to the microsecond."""
    assert (codec.stamp(one) < codec.stamp(other)) == (one < other)
    assert datetime.fromisoformat(codec.stamp(one)) == one


def test_stamps_are_utc() -> None:
    """The same moment in another zone is the same key."""
    assert codec.stamp(NOW.astimezone(timezone(timedelta(hours=8)))) == codec.stamp(NOW)


@given(place=st.text(min_size=1))
def test_cursors_bring_one_back_to_the_place(place: str) -> None:
    """Whatever the place is called; the text is safe in a URL."""
    cursor = codec.cursor("LEASES", place)
    assert codec.position("LEASES", cursor) == place
    assert cursor.replace("-", "").replace("_", "").isalnum()


@given(text=st.text())
def test_other_text_is_refused_or_a_place(text: str) -> None:
    """Nothing a caller sends makes it crash."""
    with suppress(Refused):
        assert codec.position("LEASES", text)


@given(amount=MONEY)
def test_rounding_goes_up_and_never_far(amount: Decimal) -> None:
    """By less than a micro-dollar, and not at all where it is no finer."""
    up = holds.rounded(amount)
    assert 0 <= up - amount < holds.MICRO
    assert holds.rounded(up) == up


@pytest.mark.parametrize("amount", ["12.5", "12.50", "0.000001", "1E+2"])
def test_what_is_no_finer_stays_as_it_is(amount: str) -> None:
    """No trailing zeros come in."""
    assert str(holds.rounded(Decimal(amount))) == amount


@given(
    held=st.lists(st.integers(0, 1000), min_size=1, max_size=4),
    final=st.integers(0, 5000),
)
def test_settling_leaves_the_final_cost_on_each_budget(held: list[int], final: int) -> None:
    """However the hold was split: holds plus moves are the cost, no earlier period keeps more than it held."""
    charges = [
        charge(str(amount), name=name, period=f"2026-{month + 1:02}")
        for name in ("a", "b")
        for month, amount in enumerate(held)
    ]
    moves = holds.settled(closing(lease("lease-1", *charges), str(final)))
    after = {period: amount + moves.get(period, 0) for period, amount in holds.taken(charges).items()}
    for name in ("a", "b"):
        kept = [amount for period, amount in sorted(after.items()) if period.budget == name]
        assert sum(kept) == final
        assert all(0 <= amount <= before for amount, before in zip(kept[:-1], held, strict=False))


def test_a_change_of_charges_is_the_difference() -> None:
    """What does not move is left out."""
    before = [charge("3", name="a"), charge("2", name="b"), charge("1", name="c")]
    after = [
        charge("5", name="a"),
        charge("2", name="b"),
        Charge(budget="d", period_key="total", amount_usd=Decimal(4)),
    ]
    assert holds.changed(before=before, after=after) == {
        BudgetPeriod("a", "2026-11"): 2,
        BudgetPeriod("c", "2026-11"): -1,
        BudgetPeriod("d", "total"): 4,
    }
