"""Prices: spot prices that move by zone, on-demand ones from the table."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from localaws.errors import LocalAwsError
from localaws.money.price_list import OnDemandPrices
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
    """Each zone has its own course, well below on demand (EC2 guide, "Spot Instance pricing history")."""
    rows = history(ec2, StartTime=world.now - 7 * DAY, EndTime=world.now)
    ratios = [Decimal(row["SpotPrice"]) / Decimal("1.006") for row in rows]
    assert Decimal("0.249") < min(ratios) < max(ratios) < Decimal("0.701")
    now = {row["AvailabilityZone"]: row["SpotPrice"] for row in reversed(rows)}
    assert len(now) == len(set(now.values())) == 6


def test_the_history_is_newest_first_and_begins_with_the_price_in_force(world: World, ec2: Any) -> None:
    """One row a zone is at or before StartTime: what was in force then (botocore, DescribeSpotPriceHistory)."""
    start = world.now - DAY
    rows = history(ec2, StartTime=start, EndTime=world.now, AvailabilityZone="us-east-1a")
    times = [row["Timestamp"] for row in rows]
    assert times == sorted(times, reverse=True)
    assert times[-1] <= start
    assert all(start < time <= world.now for time in times[:-1])
    assert {row["AvailabilityZone"] for row in rows} == {"us-east-1a"}


def test_the_current_price_is_the_newest_of_the_history(world: World, ec2: Any) -> None:
    """Without times the answer is one row a zone: what a launch pays now (botocore, DescribeSpotPriceHistory)."""
    box = world.start_box("g5.xlarge", market="one-time")
    rows = history(ec2, AvailabilityZone=box.zone)
    assert [Decimal(row["SpotPrice"]) for row in rows] == [
        world.market.curve(box.zone, box.type).at(world.now)
    ]


def test_the_history_is_paged_and_knows_only_linux(world: World, ec2: Any) -> None:
    """Small pages hold the same rows; another product has none (botocore, DescribeSpotPriceHistory)."""
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


def steps_from(world: World, *prices: tuple[int, str]) -> list[tuple[datetime, Decimal]]:
    """Prices at so many hours from now."""
    return [(world.now + hours * HOUR, Decimal(usd)) for hours, usd in prices]


def test_a_series_of_prices_can_be_played(world: World, ec2: Any) -> None:
    """From now on the history is the series, each step at its time; after the last it stays."""
    before = history(ec2, StartTime=world.now - DAY, AvailabilityZone="us-east-1a")
    world.play_prices(
        "us-east-1a", "g5.xlarge", steps_from(world, (-5, "0.9"), (0, "0.4"), (2, "0.5"), (4, "0.3"))
    )
    assert history(ec2, AvailabilityZone="us-east-1a")[0]["SpotPrice"] == "0.400000"
    start = world.now
    world.advance(3 * DAY)
    rows = history(ec2, StartTime=start, AvailabilityZone="us-east-1a")
    assert [(row["Timestamp"], row["SpotPrice"]) for row in rows] == [
        (start + 4 * HOUR, "0.300000"),
        (start + 2 * HOUR, "0.500000"),
        (start, "0.400000"),
    ]
    assert set(map(str, before[1:])) <= set(
        map(str, history(ec2, StartTime=start - DAY, AvailabilityZone="us-east-1a"))
    )


def test_a_series_that_begins_later_leaves_the_price_until_then(world: World) -> None:
    """What is in force stays to the first step, and a pinned price ends the series."""
    curve = world.market.curve("us-east-1a", "g5.xlarge")
    now = curve.at(world.now)
    world.play_prices("us-east-1a", "g5.xlarge", steps_from(world, (6, "0.7"), (8, "0.1")))
    world.advance(5 * HOUR)
    assert curve.at(world.now) == now
    world.advance(HOUR)
    assert curve.at(world.now) == Decimal("0.7")
    world.set_price("us-east-1a", "g5.xlarge", Decimal("0.2"))
    world.advance(3 * HOUR)
    assert curve.at(world.now) == Decimal("0.2")


def test_a_box_is_billed_by_the_series_and_interrupted_when_it_passes_its_cap(world: World, ec2: Any) -> None:
    """A cap is watched against prices that were played after its launch (EC2 guide, "Spot Instance interruptions")."""
    world.set_price("us-east-1a", "g5.xlarge", Decimal("0.3"))
    box_id = ec2.run_instances(
        ImageId="ami-0123456789abcdef0",
        InstanceType="g5.xlarge",
        MinCount=1,
        MaxCount=1,
        Placement={"AvailabilityZone": "us-east-1a"},
        InstanceMarketOptions={"MarketType": "spot", "SpotOptions": {"MaxPrice": "0.5"}},
    )["Instances"][0]["InstanceId"]
    world.advance(HOUR)
    box = world.boxes.of(box_id)
    world.play_prices("us-east-1a", "g5.xlarge", steps_from(world, (2, "0.5"), (4, "0.51")))
    world.advance(4 * HOUR)
    assert box.state == "running"
    world.advance(timedelta(minutes=2))
    assert (box.state, box.ended_by) == ("shutting-down", "ec2-interruption")
    run = box.runs[0]
    first = Decimal((run.start - box.launched_at).seconds) / 3600
    expected = Decimal("0.3") * (3 - first) + Decimal("0.5") * 2 + Decimal("0.51") * 2 / 60
    assert abs(world.bill(box).compute_usd - expected) < Decimal("1e-9")


@pytest.mark.parametrize("prices", [[], [(2, "0.5"), (1, "0.4")], [(1, "0")]])
def test_a_series_that_makes_no_sense_is_refused(world: World, prices: list[tuple[int, str]]) -> None:
    """At least one step, in order of time, and nothing is free."""
    with pytest.raises(LocalAwsError, match="series of prices"):
        world.play_prices("us-east-1a", "g5.xlarge", steps_from(world, *prices))
