"""The meter beside what localaws bills, at prices that jump and at those of real histories."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from tests.simulation.meter_run import (
    MeterRun,
    compared_run,
    meter_run,
    replayed_offline,
    summed_up,
)
from tests.simulation.replay import PRICES, data_dir, read_prices

HOUR = timedelta(hours=1)
WEEK = timedelta(days=7)
PROMISED = Decimal("0.1")
"""Percent of each lease's bill."""
MICRO = Decimal("0.000001")


@pytest.mark.slow
def test_on_a_jumping_day_the_meter_is_the_bill() -> None:
    """Each lease within 0.1 % and never below, whatever became of its box; frozen prices are off by many times that."""
    compared = compared_run(1, seed=3)
    assert [one for one in compared if one.off_percent(one.metered_usd) > PROMISED] == []
    assert [one for one in compared if one.metered_usd < one.billed_usd - MICRO] == []
    run = summed_up(compared)
    assert run.leases >= 6
    assert run.frozen_worst_percent > 10


needs_data = pytest.mark.skipif(
    not data_dir().is_dir(), reason=f"no real data in {data_dir()}: CURFEW_DATA_DIR says where it is"
)


@needs_data
@pytest.mark.parametrize("length, frozen_percent", [(8 * HOUR, 3), (24 * HOUR, 9), (WEEK, 50)])
def test_on_real_histories_the_meter_is_the_bill(length: timedelta, frozen_percent: int) -> None:
    """Every zone and type there is, begun every half day: to the micro-dollar, where a frozen price is off by so much."""
    histories = read_prices(data_dir() / PRICES)
    compared = list(replayed_offline(histories, length=length, every=timedelta(hours=12)))
    assert len(compared) > 100
    assert [one for one in compared if abs(one.metered_usd - one.billed_usd) > MICRO] == []
    assert summed_up(compared).frozen_worst_percent > frozen_percent


@needs_data
@pytest.mark.slow
def test_real_histories_through_ec2_and_the_sweep() -> None:
    """The same as `DescribeSpotPriceHistory` tells them, on boxes that are launched, found, interrupted and ended."""
    histories = {
        place: steps
        for place, steps in read_prices(data_dir() / PRICES).items()
        if place[1].startswith("p3.")
    }
    run: MeterRun = meter_run(1, seed=5, histories=histories)
    assert run.worst_percent <= PROMISED
    assert run.under == 0
