"""Quotes: percentiles by time in force, and what a launch would hold, part by part."""

from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.admission import worst_case
from chalicelib.domain.errors import Refused
from chalicelib.domain.quotes import HALF, NINE_TENTHS, enough_for, zone_prices
from chalicelib.usecases.quotes import MarketQuote, Wish, quote
from tests.builders import REGION, Stage, gp3, order, usd
from tests.doubles.memory_ports import START

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
Move = tuple[datetime, Decimal]


def path(*moves: tuple[float, str]) -> tuple[Move, ...]:
    """Prices by the hour from which they were in force."""
    return tuple((START + hour * HOUR, usd(price)) for hour, price in moves)


@pytest.mark.parametrize(
    "moves, p50, p90",
    [
        ([(0, "1")], "1", "1"),
        ([(0, "1"), (5, "3")], "1", "3"),
        ([(0, "3"), (5, "1")], "1", "3"),
        ([(0, "9"), (1, "1")], "1", "1"),
        ([(0, "9"), (1.01, "1")], "1", "9"),
        ([(0, "1"), (4, "2"), (6, "3")], "2", "3"),
        ([(-90, "9"), (0, "1")], "1", "1"),
        ([(-90, "2"), (10, "9")], "2", "2"),
    ],
)
def test_percentiles_are_weighted_by_time(moves: list[tuple[float, str]], p50: str, p90: str) -> None:
    """Over ten hours: what was enough for half of them and for nine, however often the price moved."""
    told = zone_prices("us-east-1a", path(*moves), since=START, until=START + 10 * HOUR)
    assert told is not None
    assert (told.p50_usd, told.p90_usd) == (usd(p50), usd(p90))


def test_a_history_that_begins_late_counts_from_there() -> None:
    """And the price now is the last one in force."""
    told = zone_prices("us-east-1a", path((6, "1"), (9, "2")), since=START, until=START + 10 * HOUR)
    assert told is not None
    assert (told.since, told.spot_usd, told.p50_usd) == (START + 6 * HOUR, usd(2), usd(1))


@pytest.mark.parametrize("moves", [[], [(11, "1")]])
def test_without_a_history_nothing_is_said(moves: list[tuple[float, str]]) -> None:
    """No price is better than an invented one."""
    assert zone_prices("us-east-1a", path(*moves), since=START, until=START + 10 * HOUR) is None


histories = st.lists(
    st.tuples(st.integers(-500, 500), st.integers(1, 50)), min_size=1, max_size=20, unique_by=lambda m: m[0]
).map(lambda moves: tuple((START + m * HOUR / 10, Decimal(p)) for m, p in sorted(moves)))


@given(history=histories, share=st.sampled_from([HALF, NINE_TENTHS, Decimal("0.01"), Decimal(1)]))
def test_a_percentile_is_enough_for_its_share_and_the_next_lower_price_is_not(
    history: tuple[Move, ...], share: Decimal
) -> None:
    """Counted minute by minute."""
    begin, end = max(history[0][0], START), START + 50 * HOUR
    found = enough_for(share, history, since=START, until=end)
    if found is None:
        assert begin >= end
        return
    minutes = [begin + n * timedelta(minutes=1) for n in range(int((end - begin) / timedelta(minutes=1)))]
    prices = [max((at, price) for at, price in history if at <= minute)[1] for minute in minutes]
    assert sum(price <= found for price in prices) >= share * len(prices)
    assert sum(price < found for price in prices) < share * len(prices)


def quoted(stage: Stage, **wishes: object) -> MarketQuote:
    """What five hours of a g5.xlarge would cost at home."""
    facts = {
        "instance_type": "g5.xlarge",
        "region": REGION,
        "lasts_for": 5 * HOUR,
        "volume_gib": 200,
        **wishes,
    }
    return quote(stage.services, Wish(**facts))  # type: ignore[arg-type]


def test_a_quote_has_spot_by_zone_and_the_list_price() -> None:
    """Cheapest zone first, 30 days back; on-demand with its date."""
    stage = Stage()
    stage.prices.set_spot(f"{REGION}a", "g5.xlarge", "0.5", at=START - 40 * DAY)
    stage.prices.set_spot(f"{REGION}a", "g5.xlarge", "0.7", at=START - 2 * DAY)
    stage.prices.set_spot(f"{REGION}b", "g5.xlarge", "0.6", at=START - 10 * DAY)
    stage.prices.set_spot("us-west-2a", "g5.xlarge", "0.1", at=START - 10 * DAY)
    told = quoted(stage)
    assert [(one.zone, one.spot_usd, one.p50_usd, one.p90_usd, one.since) for one in told.zones] == [
        (f"{REGION}b", usd("0.6"), usd("0.6"), usd("0.6"), START - 10 * DAY),
        (f"{REGION}a", usd("0.7"), usd("0.5"), usd("0.5"), START - 30 * DAY),
    ]
    assert (told.on_demand_usd, told.origin.as_of) == (usd("1.006"), "2026-11-01")
    assert told.lacking == ()


def test_a_quote_s_hold_is_what_the_launch_would_hold() -> None:
    """The parts for the time alone, and what the margin adds, come to the worst case."""
    stage = Stage()
    told = quoted(stage, target_capacity=2, egress_gb=7)
    wish = order(lasts_for=5 * HOUR, target_capacity=2, volume_gib=200, egress_gb=7)
    margin = told.margin_for
    assert margin > timedelta(0)
    hold = worst_case(wish, disks=gp3(200), prices=stage.prices.on_demand(), margin=margin)
    assert told.hold_usd == hold.total_usd == told.hold.total_usd + told.margin_usd
    assert told.margin_usd > 0


def test_a_quote_holds_nothing_and_launches_nothing() -> None:
    """Asking is free."""
    stage = Stage()
    stage.put_budget("account", "0.01")
    quoted(stage)
    assert (stage.store.open_leases(), stage.alive) == ((), [])


def test_a_quote_goes_without_what_does_not_answer() -> None:
    """No zones, and why; the hold stands."""
    stage = Stage()
    stage.prices.is_down = True
    told = quoted(stage)
    assert told.zones == ()
    assert told.hold_usd > 0
    assert [line.partition(":")[0] for line in told.lacking] == [f"DescribeSpotPriceHistory {REGION}"]


def test_a_type_without_a_price_has_no_quote() -> None:
    """As it could not be launched."""
    with pytest.raises(Refused) as told:
        quoted(Stage(), instance_type="q9.large")
    assert told.value.slug == "price-unknown"
