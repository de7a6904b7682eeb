"""Periods: a hold stands where its seconds fall, and a cost is found again in the days on which it was spent."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.domain.admission import capped
from chalicelib.domain.budget import Period
from chalicelib.domain.lease import Hold, Lease
from chalicelib.domain.meter import measure
from chalicelib.domain.money import MICRO, hours, to_micro, up_to_cent
from chalicelib.domain.periods import (
    Part,
    Spent,
    cost_by_day,
    cost_by_period,
    cost_in,
    cost_since,
    ends_at,
    keys,
    most_by_period,
    share_out,
    spans,
    starts_at,
    with_final_cost,
)
from tests.builders import HOUR, lease, minutes, prices, run, usd

MANY = settings(max_examples=150)
DAILY, MONTHLY, TOTAL = Period.DAILY, Period.MONTHLY, Period.TOTAL


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def hold_of(hourly: str, length: timedelta, egress: str = "4.50") -> Hold:
    return Hold(
        compute_usd=up_to_cent(usd(hourly) * hours(length)), egress_usd=usd(egress), hourly_usd=usd(hourly)
    )


def split(hold: Hold, kind: Period, start: datetime, length: timedelta) -> dict[str, Decimal]:
    parts = share_out(hold, most_by_period(hold, kind, start, start + length))
    return {part.key: part.amount_usd for part in parts}


def test_from_the_last_half_hour_of_january_seven_and_a_half_fall_in_february() -> None:
    """31 January 23:30 and eight hours, with a margin of 15 minutes; the egress allowance stands on the first."""
    start, length = moment("2027-01-31T23:30"), 8 * HOUR + minutes(15)
    for kind, first, second in ((MONTHLY, "2027-01", "2027-02"), (DAILY, "2027-01-31", "2027-02-01")):
        assert split(hold_of("2", length), kind, start, length) == {first: usd("5.50"), second: usd("15.50")}
    assert split(hold_of("2", length), TOTAL, start, length) == {"total": usd(21)}


@pytest.mark.parametrize(
    "start, length, months",
    [
        ("2028-02-29T20:00", 8 * HOUR, {"2028-02": "4", "2028-03": "4"}),
        ("2027-02-28T20:00", 8 * HOUR, {"2027-02": "4", "2027-03": "4"}),
        ("2028-02-28T20:00", 8 * HOUR, {"2028-02": "8"}),
        ("2026-12-31T22:00", 8 * HOUR, {"2026-12": "2", "2027-01": "6"}),
        ("2026-11-30T23:00", HOUR, {"2026-11": "1"}),
    ],
)
def test_leap_days_year_ends_and_exact_ends(start: str, length: timedelta, months: dict[str, str]) -> None:
    """February of a leap year has a 29th, December is followed by the next January, and an end at midnight is the old
    month's."""
    parts = split(hold_of("1", length, egress="0"), MONTHLY, moment(start), length)
    assert parts == {key: usd(amount) for key, amount in months.items()}


def test_the_leap_day_is_a_day() -> None:
    """29 February exists where it does."""
    touched = keys(DAILY, moment("2028-02-28T12:00"), moment("2028-03-01T12:00"), at_most=9)
    assert touched == ("2028-02-28", "2028-02-29", "2028-03-01")


def test_three_days_touch_four() -> None:
    """A lease of 72 hours with its margin on a daily budget."""
    length = 72 * HOUR + minutes(15)
    assert split(hold_of("1", length, egress="0"), DAILY, moment("2026-11-23T09:00"), length) == {
        "2026-11-23": usd(15),
        "2026-11-24": usd(24),
        "2026-11-25": usd(24),
        "2026-11-26": usd("9.25"),
    }


def test_a_hold_that_is_cut_fills_the_earliest_first_and_says_where_it_is_short() -> None:
    """$20 at $1 an hour from noon: twelve hours of today, eight of tomorrow."""
    start, length = moment("2026-11-23T12:00"), 48 * HOUR
    cut = capped(hold_of("1", length), usd(20))
    parts = share_out(cut, most_by_period(cut, DAILY, start, start + length))
    assert [(part.amount_usd, part.is_short) for part in parts] == [(12, False), (8, True), (0, True)]


def test_room_limits_each_period() -> None:
    """What does not fit into one is not put on another beyond what can be spent there."""
    start, length = moment("2026-11-23T12:00"), 36 * HOUR
    hold = hold_of("1", length, egress="0")
    most = most_by_period(hold, DAILY, start, start + length)
    parts = share_out(hold, most, {"2026-11-23": usd(3), "2026-11-24": usd(100)})
    assert [(part.amount_usd, part.is_short) for part in parts] == [(3, True), (24, False)]
    full = share_out(hold, most, {"2026-11-23": usd(-3), "2026-11-24": usd(0)})
    assert [(part.amount_usd, part.is_short) for part in full] == [(0, True), (0, True)]


def test_what_is_spent_frees_what_it_did_not_cost() -> None:
    """After a cheap first day the second has what the cut had taken from it."""
    start, length = moment("2026-11-23T12:00"), 36 * HOUR
    cut = capped(hold_of("1", length), usd(20))
    spent = Spent(at=moment("2026-11-24T00:00"), by_day={"2026-11-23": usd(5)})
    parts = share_out(cut, most_by_period(cut, DAILY, start, start + length, spent))
    assert [(part.key, part.amount_usd, part.is_short) for part in parts] == [
        ("2026-11-23", usd(5), False),
        ("2026-11-24", usd(15), True),
    ]


moments = st.datetimes(
    min_value=datetime(2026, 1, 1),  # noqa: DTZ001
    max_value=datetime(2029, 1, 1),  # noqa: DTZ001
    timezones=st.just(UTC),
)
lengths = st.timedeltas(min_value=timedelta(seconds=1), max_value=timedelta(days=40))
cents = st.integers(0, 10**6).map(lambda n: Decimal(n) / 100)


@MANY
@given(
    start=moments,
    length=lengths,
    hourly=st.integers(1, 10**9).map(lambda n: n * MICRO),
    egress=cents,
    cap=st.none() | st.integers(1, 10**10).map(lambda n: n * MICRO),
    kind=st.sampled_from(Period),
)
def test_the_parts_are_the_hold_and_none_is_negative(  # noqa: PLR0917
    start: datetime, length: timedelta, hourly: Decimal, egress: Decimal, cap: Decimal | None, kind: Period
) -> None:
    """To the micro-dollar, whatever the calendar; and no period is charged more than its seconds can cost."""
    hold = Hold(compute_usd=up_to_cent(hourly * hours(length)), egress_usd=egress, hourly_usd=hourly)
    hold = capped(hold, cap) if cap is not None else hold
    parts = share_out(hold, most_by_period(hold, kind, start, start + length))
    assert sum(part.amount_usd for part in parts) == hold.total_usd
    assert all(part.amount_usd >= 0 for part in parts)
    for part, span in zip(parts, spans(kind, start, start + length), strict=True):
        could = hourly * hours(span.ends_at - span.starts_at)
        beside = hold.egress_usd if part is parts[0] else usd(0)
        assert part.key == kind.key(span.starts_at)
        assert part.amount_usd - beside <= to_micro(could) + MICRO + (usd("0.01") if part is parts[-1] else 0)
    _held_where_it_can_be_spent(hold, parts, cap)


def _held_where_it_can_be_spent(hold: Hold, parts: tuple[Part, ...], cap: Decimal | None) -> None:
    if cap is None:
        assert not any(part.is_short for part in parts), hold


@MANY
@given(start=moments, length=lengths, kind=st.sampled_from(Period))
def test_spans_are_the_stretch_without_a_gap(start: datetime, length: timedelta, kind: Period) -> None:
    """Each begins where the last one ended, in a period of its own."""
    cut = list(spans(kind, start, start + length))
    assert (cut[0].starts_at, cut[-1].ends_at) == (start, start + length)
    assert all(a.ends_at == b.starts_at for a, b in pairwise(cut))
    assert len({span.key for span in cut}) == len(cut)
    for span in cut:
        assert starts_at(kind, span.starts_at) <= span.starts_at < ends_at(kind, span.starts_at)


@st.composite
def ran(draw: st.DrawFn) -> Lease:
    """A lease whose box has been stopped and started again, over some midnights."""
    at = draw(moments)
    begun, runs = at, []
    for _ in range(draw(st.integers(1, 4))):
        begun += draw(st.timedeltas(min_value=timedelta(0), max_value=timedelta(hours=30)))
        ended = begun + draw(st.timedeltas(min_value=timedelta(seconds=1), max_value=timedelta(days=4)))
        runs.append(run(begun, ended, is_interrupted=draw(st.booleans())))
        begun = ended
    return lease(
        requested_at=at, runs=tuple(runs), closed_at=begun + minutes(2), storage_gib=draw(st.integers(0, 500))
    )


@MANY
@given(over=ran(), moves=st.lists(st.integers(1, 200), max_size=5))
def test_the_days_of_a_lease_add_up_to_its_final_cost(over: Lease, moves: list[int]) -> None:
    """To the micro-dollar, none of them negative, and its months and its total are made of them."""
    assert over.closed_at is not None
    book = prices(*[(over.requested_at + n * 7 * HOUR, str(cents)) for n, cents in enumerate(moves)])
    closed = with_final_cost(over, book, over.closed_at)
    assert closed.final_usd == to_micro(measure(over, book, over.closed_at).accrued_usd)
    assert sum(closed.final_by_day.values()) == closed.final_usd
    assert all(amount > 0 for amount in closed.final_by_day.values())
    for kind in Period:
        by_period = cost_by_period(kind.key(over.requested_at), closed.final_by_day)
        assert sum(by_period.values()) == closed.final_usd
        assert all(cost_in(key, closed.final_by_day) == amount for key, amount in by_period.items())


@MANY
@given(over=ran(), share=st.integers(1, 9))
def test_what_accrued_since_a_day_began_is_what_its_days_say(over: Lease, share: int) -> None:
    """Asked of a lease that is open and of its days alike."""
    assert over.closed_at is not None
    now = over.requested_at + (over.closed_at - over.requested_at) * share / 10
    seen = lease(
        requested_at=over.requested_at,
        runs=tuple(
            run(one.started_at, min(one.ended_at or now, now)) for one in over.runs if one.started_at < now
        ),
        storage_gib=over.storage_gib,
    )
    accrued = measure(seen, prices(), now).accrued_usd
    since = cost_since(seen, prices(), starts_at(DAILY, now), accrued_usd=accrued)
    assert abs(since - cost_in(DAILY.key(now), cost_by_day(seen, prices(), now))) <= 2 * MICRO
