"""How values look in JSON."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from chalicelib.domain.case import Effect
from chalicelib.domain.lease import Hold, Status
from chalicelib.domain.policy import MAX_LENGTH
from chalicelib.web.encode import duration, moment, plain


@pytest.mark.parametrize(
    "length, text",
    [
        (timedelta(hours=1), "PT1H"),
        (timedelta(days=3), "P3D"),
        (timedelta(minutes=10), "PT10M"),
        (timedelta(0), "PT0S"),
        (timedelta(days=1, minutes=30), "P1DT30M"),
        (timedelta(days=400), "P400D"),
        (MAX_LENGTH, "P99999D"),
        (timedelta(hours=25, seconds=1.5), "P1DT1H1.5S"),
    ],
)
def test_a_length_is_iso_8601_in_days_and_below(length: timedelta, text: str) -> None:
    """A year or a month has no fixed length, so neither is written."""
    assert duration(length) == text


@given(st.timedeltas(min_value=timedelta(0), max_value=MAX_LENGTH))
def test_a_length_reads_back_as_it_was(length: timedelta) -> None:
    """What GET /policy writes, PUT /policy takes."""
    assert TypeAdapter(timedelta).validate_python(duration(length)) == length


@given(st.decimals(min_value=0, max_value=10**12, places=10))
def test_money_keeps_every_digit_that_a_bill_has(amount: Decimal) -> None:
    """No float and no exponent is on the way."""
    text = plain(amount)
    assert Decimal(text) == amount
    assert "e" not in text.lower()


def test_money_ends_where_only_a_division_goes_on() -> None:
    """A third of a dollar is no 28 digits, two are two, and what a caller wrote stays as it was written."""
    told = [Decimal(1) / 3, 3 * (Decimal(2) / 3), Decimal("100.50"), Decimal("1E+2"), Decimal("0E-28")]
    assert plain(told) == ["0.3333333333", "2", "100.50", "100", "0"]


def test_times_are_utc_with_a_z() -> None:
    """Whatever zone a time comes in."""
    assert moment(datetime(2026, 11, 23, 9, 0, tzinfo=UTC)) == "2026-11-23T09:00:00Z"
    assert (
        moment(datetime(2026, 11, 23, 17, 0, tzinfo=timezone(timedelta(hours=8)))) == "2026-11-23T09:00:00Z"
    )


def test_records_nest() -> None:
    """Dataclasses, enums, mappings and sets turn into what JSON has."""
    value = {
        "hold": Hold(compute_usd=Decimal("1.50")),
        "status": Status.ACTIVE,
        "effect": Effect.END,
        "ids": {"b", "a"},
    }
    assert plain(value) == {
        "hold": {
            "compute_usd": "1.50",
            "storage_usd": "0",
            "public_ipv4_usd": "0",
            "egress_usd": "0",
            "hourly_usd": "0",
            "snapshot_usd": "0",
        },
        "status": "active",
        "effect": "end",
        "ids": ["a", "b"],
    }


def test_what_has_no_json_form_is_a_mistake_of_ours() -> None:
    """It must not go out as a repr."""
    with pytest.raises(TypeError, match="object"):
        plain(object())
