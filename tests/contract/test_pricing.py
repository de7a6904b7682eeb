"""Prices: the dated table, spot as it moved, the cache between sweeps, and a deadline that holds."""

import time
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from botocore.stub import Stubber

from chalicelib.domain.errors import Unavailable
from chalicelib.domain.lease import Run
from chalicelib.domain.prices import region_of
from chalicelib.gateways.aws import HURRIED, Aws, new_session
from chalicelib.gateways.pricing import Ec2Prices, on_demand_book
from localaws.world import World
from tests.contract.compute_labs import REGION, aws_of, let_finish
from tests.doubles.memory_ports import START, MemoryPrices

HOUR = timedelta(hours=1)
POOL = ("us-east-1a", "g5.xlarge")
OTHER = ("us-west-2a", "g4dn.xlarge")


@pytest.fixture
def world() -> Iterator[World]:
    with World(seed=7) as found:
        yield found


class Counted:
    """Prices on a world, and the regions they asked, in order."""

    def __init__(self, world: World, *, deadline_seconds: float = 60) -> None:
        self.regions: list[str] = []
        session = world.session()._session
        session.register("before-call.ec2.DescribeSpotPriceHistory", self._note)
        self.prices = Ec2Prices(Aws(REGION, session=session), deadline_seconds=deadline_seconds)

    def _note(self, **event: Any) -> None:
        self.regions.append(event["context"]["client_region"])


def test_the_table_is_dated_and_has_no_free_boxes() -> None:
    """Every price is above zero and the table says of when it is."""
    book = on_demand_book()
    assert book.as_of > "2026"
    assert book.on_demand["g5.xlarge"] == Decimal("1.006")
    assert min(book.on_demand.values()) > 0


@pytest.mark.parametrize(
    "zone, region",
    [
        ("us-east-1a", "us-east-1"),
        ("us-west-2-lax-1a", "us-west-2"),
        ("us-gov-west-1b", "us-gov-west-1"),
        ("", None),
    ],
)
def test_a_zone_names_its_region(zone: str, region: str | None) -> None:
    """Local zones too."""
    assert region_of(zone) == region


def test_spot_as_it_moved_bills_as_aws_does(world: World) -> None:
    """The meter over this history comes to what AWS billed, to the cent."""
    box = world.start_box("g5.xlarge", market="one-time", zone="us-east-1a")
    world.advance(30 * HOUR)
    book = Ec2Prices(aws_of(world)).book([POOL], since=world.now - 31 * HOUR, now=world.now)
    assert len(book.spot[POOL]) > 1
    run = Run(
        instance_id=box.id, instance_type=box.type, zone=box.zone, is_spot=True, started_at=box.runs[0].start
    )
    billed = world.bill(box).compute_usd
    assert abs(book.compute_usd(run, world.now) - billed) < Decimal("0.01")


def test_starts_with_the_price_in_force(world: World) -> None:
    """The first point is at or before the moment asked from; none is later than now."""
    world.advance(3 * HOUR)
    since = world.now - HOUR
    path = Ec2Prices(aws_of(world)).book([POOL], since=since, now=world.now).spot[POOL]
    assert path[0][0] <= since
    assert all(since < at <= world.now for at, _ in path[1:])
    assert path == tuple(sorted(path))


def test_regions_are_asked_side_by_side_and_only_for_what_is_wanted(world: World) -> None:
    """One question a region; exactly the pools asked for."""
    counted = Counted(world)
    book = counted.prices.book([POOL, OTHER], since=world.now - HOUR, now=world.now)
    assert set(book.spot) == {POOL, OTHER}
    assert sorted(counted.regions) == ["us-east-1", "us-west-2"]


def test_asks_again_only_after_five_minutes(world: World) -> None:
    """What is known is kept; then only what is new is asked for, and found."""
    counted = Counted(world)
    prices = counted.prices
    start = world.now
    prices.book([POOL], since=start - HOUR, now=world.now)
    world.advance(timedelta(minutes=2))
    prices.book([POOL], since=start - HOUR, now=world.now)
    assert len(counted.regions) == 1
    world.set_price(*POOL, Decimal("0.9999"))
    world.advance(timedelta(minutes=4))
    book = prices.book([POOL], since=start - HOUR, now=world.now)
    assert len(counted.regions) == 2
    assert book.spot[POOL][-1][1] == Decimal("0.9999")
    assert book.spot[POOL][0][0] <= start - HOUR


def test_an_earlier_start_is_asked_for_at_once(world: World) -> None:
    """A longer lease needs an older history."""
    prices = Ec2Prices(aws_of(world))
    prices.book([POOL], since=world.now - HOUR, now=world.now)
    book = prices.book([POOL], since=world.now - 100 * HOUR, now=world.now)
    assert book.spot[POOL][0][0] <= world.now - 100 * HOUR


def test_an_outage_leaves_out_what_is_not_known(world: World) -> None:
    """The table stays, the other region is known, and what was known before still is."""
    prices = Ec2Prices(aws_of(world))
    world.fault(service="ec2", operation="DescribeSpotPriceHistory", region="us-west-2", code="InternalError")
    book = prices.book([POOL, OTHER], since=world.now - HOUR, now=world.now)
    assert set(book.spot) == {POOL}
    assert book.knows("g5.xlarge")
    world.clear_faults()
    world.fault(service="ec2", operation="DescribeSpotPriceHistory", code="RequestLimitExceeded")
    world.advance(HOUR)
    assert set(prices.book([POOL, OTHER], since=world.now - HOUR, now=world.now).spot) == {POOL}


def test_one_failure_leaves_no_price_unknown(world: World) -> None:
    """A lease whose price is not known counts at its cap and may end for that, so EC2 is asked a second time."""
    prices = Ec2Prices(aws_of(world))
    world.fault(service="ec2", operation="DescribeSpotPriceHistory", code="InternalError", times=1)
    assert set(prices.book([POOL], since=world.now - HOUR, now=world.now).spot) == {POOL}


def test_prices_are_no_longer_waited_for_than_the_deadline(world: World) -> None:
    """A silent EC2 costs the sweep the deadline and nothing else."""
    prices = Ec2Prices(aws_of(world), deadline_seconds=0.05)
    with world.lock:  # the world answers nobody while it is held
        began = time.monotonic()
        book = prices.book([POOL], since=world.now - HOUR, now=world.now)
        assert time.monotonic() - began < 1
    let_finish("prices")
    assert book.spot == {}


def test_a_price_of_zero_is_no_price() -> None:
    """Nothing is free: such a point is passed over, as is one that is no number."""
    session = new_session()
    session.set_credentials("testing", "testing")
    aws = Aws(REGION, session=session)
    row = {"AvailabilityZone": POOL[0], "InstanceType": POOL[1], "Timestamp": START}
    with Stubber(aws.ec2(REGION, HURRIED)) as stubber:
        rows = [{**row, "SpotPrice": "0.0000"}, {**row, "SpotPrice": "n/a"}, {**row, "SpotPrice": "NaN"}, {}]
        stubber.add_response("describe_spot_price_history", {"SpotPriceHistory": rows})
        assert Ec2Prices(aws).book([POOL], since=START - HOUR, now=START).spot == {}


def test_a_type_s_history_is_told_zone_by_zone(world: World) -> None:
    """Every zone of the region and no other, from the price in force at the start."""
    world.advance(30 * HOUR)
    since = world.now - 24 * HOUR
    told = Ec2Prices(aws_of(world)).spot_history(REGION, "g5.xlarge", since=since, now=world.now)
    assert POOL[0] in told
    assert {region_of(zone) for zone in told} == {REGION}
    book = Ec2Prices(aws_of(world)).book([POOL], since=since, now=world.now)
    assert told[POOL[0]] == book.spot[POOL]
    assert told[POOL[0]][0][0] <= since


def test_a_history_that_can_t_be_asked_is_unavailable(world: World) -> None:
    """Whoever asks for it has to say so."""
    world.fault(service="ec2", operation="DescribeSpotPriceHistory", code="UnauthorizedOperation")
    with pytest.raises(Unavailable, match="UnauthorizedOperation"):
        Ec2Prices(aws_of(world)).spot_history(REGION, "g5.xlarge", since=world.now - HOUR, now=world.now)


def test_the_twin_answers_as_the_gateway(world: World) -> None:
    """The same history gives the same book."""
    gateway, twin = Ec2Prices(aws_of(world)), MemoryPrices()
    world.set_price(*POOL, Decimal("0.5"))
    world.advance(HOUR)
    since = world.now
    world.advance(HOUR)
    for at, usd in gateway.book([POOL], since=since - 3 * HOUR, now=world.now).spot[POOL]:
        twin.set_spot(*POOL, usd, at=at)
    asked = {"since": since, "now": world.now}
    assert gateway.book([POOL], **asked).spot == twin.book([POOL], **asked).spot
