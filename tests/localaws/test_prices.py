"""Prices: spot prices that move by zone, on-demand ones from the table."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from localaws.price_list import OnDemandPrices
from localaws.world import World

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def history(ec2: Any, **options: Any) -> list[dict[str, Any]]:
    pages = ec2.get_paginator("describe_spot_price_history").paginate(
        **{"InstanceTypes": ["g5.xlarge"], "ProductDescriptions": ["Linux/UNIX"], **options}
    )
    return [row for page in pages for row in page["SpotPriceHistory"]]


def test_spot_prices_differ_by_zone_and_stay_between_a_quarter_and_seven_tenths(
    world: World, ec2: Any
) -> None:
    """Every step of a week lies between 25 and 70 % of the on-demand price, and no two zones are alike."""
    rows = history(ec2, StartTime=world.now - 7 * DAY, EndTime=world.now)
    ratios = [Decimal(row["SpotPrice"]) / Decimal("1.006") for row in rows]
    assert Decimal("0.249") < min(ratios) < max(ratios) < Decimal("0.701")
    now = {row["AvailabilityZone"]: row["SpotPrice"] for row in reversed(rows)}
    assert len(now) == len(set(now.values())) == 6


def test_the_history_is_newest_first_and_begins_with_the_price_in_force(world: World, ec2: Any) -> None:
    """One row a zone is at or before StartTime: the price that was in force then."""
    start = world.now - DAY
    rows = history(ec2, StartTime=start, EndTime=world.now, AvailabilityZone="us-east-1a")
    times = [row["Timestamp"] for row in rows]
    assert times == sorted(times, reverse=True)
    assert times[-1] <= start
    assert all(start < time <= world.now for time in times[:-1])
    assert {row["AvailabilityZone"] for row in rows} == {"us-east-1a"}


def test_the_current_price_is_the_newest_of_the_history(world: World, ec2: Any) -> None:
    """Without times the answer is one row a zone: what a launch would pay now."""
    box = world.start_box("g5.xlarge", market="one-time")
    rows = history(ec2, AvailabilityZone=box.zone)
    assert [Decimal(row["SpotPrice"]) for row in rows] == [
        world.market.curve(box.zone, box.type).at(world.now)
    ]


def test_the_history_is_paged_and_knows_only_linux(world: World, ec2: Any) -> None:
    """Small pages hold the same rows; another product has none."""
    span = {"StartTime": world.now - 7 * DAY, "EndTime": world.now}
    assert history(ec2, **span, PaginationConfig={"PageSize": 7}) == history(ec2, **span)
    assert history(ec2, **span, ProductDescriptions=["Windows"]) == []


def test_prices_depend_on_the_seed_alone() -> None:
    """Two worlds with one seed have one course of prices, whatever was asked before; another seed has another."""

    def course(seed: int, asked_before: str | None) -> list[str]:
        with World(seed=seed) as world:
            client = world.session().client("ec2")
            if asked_before:
                history(client, InstanceTypes=[asked_before])
            world.advance(2 * DAY)
            return [row["SpotPrice"] for row in history(client, StartTime=world.now - 9 * DAY)]

    assert course(1, None) == course(1, "p3.2xlarge")
    assert course(1, None) != course(2, None)


def test_prices_move_as_time_goes_on_and_the_past_stays_as_it_was(world: World, ec2: Any) -> None:
    """Later answers continue the earlier history."""
    start = world.now - DAY
    before = history(ec2, StartTime=start, AvailabilityZone="us-east-1a")
    world.advance(2 * DAY)
    after = history(ec2, StartTime=start, AvailabilityZone="us-east-1a")
    assert after[-len(before) :] == before
    assert len(after) > len(before)


def test_a_price_can_be_pinned_and_let_go(world: World, ec2: Any) -> None:
    """`set_price` holds from now on, and the history keeps what was before."""
    before = history(ec2, StartTime=world.now - DAY, AvailabilityZone="us-east-1a")
    world.advance(HOUR)
    world.set_price("us-east-1a", "g5.xlarge", Decimal("0.5"))
    world.advance(3 * DAY)
    assert history(ec2, AvailabilityZone="us-east-1a")[0]["SpotPrice"] == "0.500000"
    assert before[-1] in history(ec2, StartTime=before[-1]["Timestamp"], AvailabilityZone="us-east-1a")
    world.set_price("us-east-1a", "g5.xlarge", None)
    world.advance(3 * DAY)
    assert history(ec2, AvailabilityZone="us-east-1a")[0]["SpotPrice"] != "0.500000"


@pytest.mark.parametrize(
    "kind, usd",
    [("g5.xlarge", "1.006"), ("p3.2xlarge", "3.06"), ("t3.micro", "0.0104"), ("zz9.4xlarge", "0.6656")],
)
def test_on_demand_prices_come_from_the_dated_table(kind: str, usd: str) -> None:
    """Types outside the table cost what a t3 of their size does: nothing is free."""
    assert OnDemandPrices().usd(kind) == Decimal(usd)
