"""List prices: what the Pricing API tells, how seldom it is asked, and what is assumed while it does not answer."""

import json
from collections.abc import Iterator, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from botocore.stub import Stubber

from chalicelib.domain.errors import Unavailable
from chalicelib.domain.lease import Run
from chalicelib.domain.prices import ListPrices, SpotPrices, Told, assumed_rates
from chalicelib.domain.rates import US_EAST_1
from chalicelib.gateways.aws import HURRIED, Aws, new_session
from chalicelib.gateways.dynamodb import DynamoStore
from chalicelib.gateways.get_products import HOME, LINUX, rates_of, read
from chalicelib.gateways.pricing import Ec2Prices
from localaws.world import World
from tests.contract.compute_labs import REGION, let_finish
from tests.doubles.memory_ports import START

DUBLIN = "eu-west-1"
WANTED = [(DUBLIN, "g5.xlarge"), (DUBLIN, "g4dn.xlarge")]
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
TABLE_USD = Decimal("1.006")


@pytest.fixture
def world() -> Iterator[World]:
    """An AWS whose regions have prices of their own."""
    with World(seed=7, regional_prices=True) as found:
        yield found


class Kept:
    """A table of prices that may be out of order."""

    def __init__(self) -> None:
        self.items: dict[str, ListPrices] = {}
        self.spot: dict[str, SpotPrices] = {}
        self.spot_writes = 0
        self.is_down = False

    def list_prices(self) -> tuple[ListPrices, ...]:
        self._answer()
        return tuple(self.items.values())

    def keep_list_prices(self, prices: ListPrices) -> None:
        self._answer()
        self.items[prices.region] = prices

    def spot_prices(self) -> tuple[SpotPrices, ...]:
        self._answer()
        return tuple(self.spot.values())

    def keep_spot_prices(self, prices: SpotPrices) -> None:
        self._answer()
        self.spot_writes += 1
        self.spot[prices.region] = prices

    def _answer(self) -> None:
        if self.is_down:
            raise Unavailable("the table does not answer")


class Lambda:
    """One process that asks for prices, and what it asked the Pricing API."""

    def __init__(self, world: World, kept: Kept | None = None, *, deadline_seconds: float = 60) -> None:
        self.asked: list[str] = []
        self._world = world
        session = world.session()._session
        session.register("before-call.pricing.GetProducts", self._note)
        aws = Aws(REGION, session=session)
        self.prices = Ec2Prices(aws, cache=kept, deadline_seconds=deadline_seconds)

    def _note(self, **event: Any) -> None:
        filters = {one["Field"]: one["Value"] for one in json.loads(event["params"]["body"])["Filters"]}
        self.asked.append(filters.get("instanceType", "rates"))

    def refresh(
        self, wanted: Sequence[tuple[str, str]] = WANTED, *, only_unknown: bool = False
    ) -> tuple[str, ...]:
        return self.prices.refresh(wanted, now=self._world.now, only_unknown=only_unknown)

    def keep(self) -> None:
        self.prices.keep((), since=self._world.now, now=self._world.now)

    def usd(self, instance_type: str = "g5.xlarge", region: str = DUBLIN) -> Decimal:
        return self.prices.on_demand().on_demand_usd(instance_type, region)


def test_tells_what_a_region_bills(world: World) -> None:
    """Compute of each type, disks, snapshots, addresses and data, to the last digit; the book says since when."""
    one = Lambda(world)
    assert one.refresh() == ()
    for name in ("g5.xlarge", "g4dn.xlarge"):
        assert one.usd(name) == world.market.on_demand_usd(f"{DUBLIN}a", name)
    book = one.prices.on_demand()
    assert book.rates_in(DUBLIN) == US_EAST_1.times(Decimal("1.11"))
    assert book.origin("g5.xlarge", DUBLIN).as_of == f"{world.now:%Y-%m-%d}"
    assert book.origin("g5.xlarge", DUBLIN).source == "Pricing API"


def test_asks_once_a_day_and_only_for_what_matters(world: World) -> None:
    """A question for each type and seven for the region's rates; the next day the same again."""
    one = Lambda(world)
    one.refresh()
    assert sorted(set(one.asked)) == ["g4dn.xlarge", "g5.xlarge", "rates"]
    assert len(one.asked) == 9
    world.advance(DAY - HOUR)
    one.refresh()
    assert len(one.asked) == 9
    world.advance(HOUR)
    one.refresh()
    assert len(one.asked) == 18


def test_a_new_type_is_asked_alone(world: World) -> None:
    """What is known of the region stays."""
    one = Lambda(world)
    one.refresh()
    one.asked.clear()
    one.refresh([*WANTED, (DUBLIN, "p3.2xlarge")])
    assert one.asked == ["p3.2xlarge"]
    assert one.usd() == world.market.on_demand_usd(f"{DUBLIN}a", "g5.xlarge")


def test_nothing_is_written_before_the_kills(world: World) -> None:
    """Asking writes nothing: a throttled table would be waited for."""
    kept = Kept()
    one = Lambda(world, kept)
    one.refresh()
    one.refresh(only_unknown=True)
    assert kept.items == {}
    one.keep()
    assert set(kept.items) == {DUBLIN}


def test_a_failure_that_nobody_foresaw_stops_nothing(world: World) -> None:
    """It is no AWS error: the region is lacking and left alone for an hour all the same, and its prices are assumed."""

    class Broken(Lambda):
        def _note(self, **event: Any) -> None:
            super()._note(**event)
            raise RuntimeError("an answer of another kind")

    one = Broken(world)
    (lacking,) = one.refresh()
    assert lacking == f"GetProducts {DUBLIN}: RuntimeError: an answer of another kind"
    asked = len(one.asked)
    assert one.refresh() == (lacking,)
    assert len(one.asked) == asked
    assert one.usd() == 2 * TABLE_USD


def test_a_table_with_nonsense_in_it_stops_nothing(world: World) -> None:
    """Prices are asked for as if nothing were kept."""

    class Garbled(Kept):
        def list_prices(self) -> tuple[ListPrices, ...]:
            raise KeyError("doc")

    one = Lambda(world, Garbled())
    assert one.refresh() == ()
    assert one.usd() == TABLE_USD * Decimal("1.11")


def test_only_what_is_unknown(world: World) -> None:
    """What is old but known is left for after the kills."""
    one = Lambda(world)
    one.refresh()
    one.asked.clear()
    world.advance(2 * DAY)
    one.refresh([*WANTED, (DUBLIN, "p3.2xlarge")], only_unknown=True)
    assert one.asked == ["p3.2xlarge"]


def test_a_cold_process_takes_what_another_asked(world: World) -> None:
    """The table has it, so that AWS is not asked again; a warm one looks there before it asks, too."""
    kept = Kept()
    first, second = Lambda(world, kept), Lambda(world, kept)
    assert second.usd() == 2 * TABLE_USD
    first.refresh()
    first.keep()
    assert second.refresh() == ()
    assert second.usd() == first.usd() == Lambda(world, kept).usd() == TABLE_USD * Decimal("1.11")
    assert second.asked == []


def test_what_the_table_did_not_take_is_kept_later(world: World) -> None:
    """Neither reading nor writing a table that is down stops anything."""
    kept = Kept()
    kept.is_down = True
    one = Lambda(world, kept)
    assert one.refresh() == ()
    assert one.usd() == TABLE_USD * Decimal("1.11")
    one.keep()
    kept.is_down = False
    one.keep()
    assert set(kept.items) == {DUBLIN}


@pytest.mark.parametrize("code", ["AccessDeniedException", "ThrottlingException", "InternalErrorException"])
def test_where_it_does_not_answer_prices_are_assumed(world: World, code: str) -> None:
    """Twice us-east-1's abroad, us-east-1's where prices are the same; it is lacking, and left alone for an hour."""
    one = Lambda(world)
    world.fault(service="pricing", operation="GetProducts", code=code)
    (lacking,) = one.refresh()
    assert lacking.startswith(f"GetProducts {DUBLIN}: {code}")
    assert one.usd() == 2 * TABLE_USD
    assert one.usd(region="us-west-2") == TABLE_USD
    assert one.prices.on_demand().rates_in(DUBLIN) == US_EAST_1.times(Decimal(2))
    assert one.prices.on_demand().origin("g5.xlarge", DUBLIN).source == "table of us-east-1, times 2"
    asked = len(one.asked)
    world.advance(timedelta(minutes=59))
    assert one.refresh() == (lacking,)
    assert len(one.asked) == asked
    world.clear_faults()
    world.advance(timedelta(minutes=1))
    assert one.refresh() == ()
    assert one.usd() == TABLE_USD * Decimal("1.11")


def test_what_was_told_outlives_a_failure(world: World) -> None:
    """An old price of the region is nearer than an assumed one."""
    one = Lambda(world)
    one.refresh()
    world.advance(3 * DAY)
    world.fault(service="pricing", operation="GetProducts", code="AccessDeniedException")
    assert len(one.refresh()) == 1
    assert one.usd() == TABLE_USD * Decimal("1.11")


def test_silence_is_waited_for_no_longer_than_the_deadline(world: World) -> None:
    """The sweep goes on with what is assumed, and the late answer counts from then on."""
    one = Lambda(world, deadline_seconds=0.05)
    with world.lock:  # the world answers nobody while it is held
        (lacking,) = one.refresh(WANTED[:1])
        assert one.usd() == 2 * TABLE_USD
    assert lacking == f"GetProducts {DUBLIN}: no answer within 0.05 s"
    let_finish("price-list")
    assert one.refresh(WANTED[:1]) == ()
    assert one.usd() == TABLE_USD * Decimal("1.11")


def row(usd: str, *, unit: str = "Hrs", currency: str = "USD", family: str = "", **attributes: str) -> str:
    """A product as GetProducts writes it."""
    dimension = {"unit": unit, "pricePerUnit": {currency: usd}, "beginRange": "0", "endRange": "Inf"}
    return json.dumps(
        {
            "product": {
                "productFamily": family,
                "attributes": {"instanceType": "g5.xlarge", **LINUX, **attributes},
            },
            "terms": {"OnDemand": {"A.B": {"priceDimensions": {"A.B.C": dimension}}}},
        }
    )


def told(rows: Sequence[str]) -> Decimal:
    """The price of a g5.xlarge in a region about which the Pricing API answers these rows, and nothing else."""
    session = new_session()
    session.set_credentials("testing", "testing")
    aws = Aws(REGION, session=session)
    prices = Ec2Prices(aws)
    with Stubber(aws.client("pricing", HOME, HURRIED)) as stubber:
        for _ in range(8):
            stubber.add_response("get_products", {"FormatVersion": "aws_v1", "PriceList": list(rows)})
        assert prices.refresh([(DUBLIN, "g5.xlarge")], now=START) == ()
    book = prices.on_demand()
    assert book.rates_in(DUBLIN) == assumed_rates(DUBLIN)
    return book.on_demand_usd("g5.xlarge", DUBLIN)


@pytest.mark.parametrize(
    "rows",
    [
        [],
        ["", "[]", "null", "{", '{"product": {}}'],
        [row("0.0000000000")],
        [row("-1")],
        [row("NaN"), row("Infinity"), row("a dollar")],
        [row("7.5", currency="CNY")],
        [row("1.1", unit="Quantity")],
        [row("0.0001"), row("99")],
        [row("1.1", operatingSystem="Windows", operation="RunInstances:0002")],
        [row("1.1", capacitystatus="AllocatedCapacityReservation")],
        [row("1.1", instanceType="g5.2xlarge")],
    ],
)
def test_an_answer_without_a_price_is_none(rows: list[str]) -> None:
    """Nothing, nonsense, nothing to pay, another currency, another thing, ten times off: then it is assumed."""
    assert told(rows) == 2 * TABLE_USD


def test_rates_are_read_as_aws_writes_them() -> None:
    """io2's size has a unit of its own, its dearer steps a group each, and throughput is told by the GiB/s."""
    io2 = {"volumeApiName": "io2", "instanceType": ""}
    rows = [
        row("0.142", family="Storage", unit="GB-month", usagetype="APN1-EBS:VolumeUsage.io2", **io2),
        row("0.074", unit="IOPS-Mo", group="EBS IOPS", usagetype="APN1-EBS:VolumeP-IOPS.io2", **io2),
        row(
            "0.0518",
            unit="IOPS-Mo",
            group="EBS IOPS Tier 2",
            usagetype="APN1-EBS:VolumeP-IOPS.io2.tier2",
            **io2,
        ),
        row(
            "49.152",
            unit="GiBps-mo",
            group="EBS Throughput",
            usagetype="APN1-EBS:VolumeP-Throughput.gp3",
            volumeApiName="gp3",
        ),
        row(
            "0.03",
            unit="IOPS-Mo",
            group="EBS IOPS Tier 9",
            usagetype="APN1-EBS:VolumeP-IOPS.io2.tier9",
            **io2,
        ),
        row("0.008", group="VPCPublicIPv4Address", usagetype="APN1-PublicIPv4:ContiguousBlock"),
    ]
    assumed = assumed_rates("ap-northeast-1")
    told = rates_of([product for text in rows if (product := read(text))], assumed)
    assert told.volumes["io2"].gib_usd == Decimal("0.142")
    assert [step.usd for step in told.volumes["io2"].iops] == [
        Decimal("0.074"),
        Decimal("0.0518"),
        assumed.volumes["io2"].iops[2].usd,
    ]
    assert [step.usd for step in told.volumes["gp3"].mibps] == [Decimal("0.048")]
    assert told.public_ipv4_usd_per_hour == assumed.public_ipv4_usd_per_hour


def test_of_several_prices_the_dearest_counts() -> None:
    """A price too low would let a lease run on past its money."""
    assert told(["nonsense", row("0.0000000000"), row("1.2"), row("1.1")]) == Decimal("1.2")


def test_prices_are_kept_in_the_table_as_they_were_told(dynamo_store: DynamoStore) -> None:
    """Every digit, a region an item, the last one stays."""
    stale = ListPrices(region=DUBLIN)
    prices = ListPrices(
        region=DUBLIN,
        on_demand={"g5.xlarge": Told(usd=Decimal("1.1166600000"), at=START)},
        asked_at={"g5.xlarge": START},
        rates=US_EAST_1.times(Decimal("1.1")),
        rates_asked_at=START,
    )
    other = ListPrices(region="us-west-2")
    for each in (stale, other, prices):
        dynamo_store.keep_list_prices(each)
    assert dynamo_store.list_prices() == (prices, other)


def test_a_box_abroad_is_metered_as_aws_bills_it(world: World) -> None:
    """Compute and address of an on-demand box in another region, to the micro-dollar."""
    box = world.start_box("g5.xlarge", market="on-demand", region=DUBLIN)
    world.advance(30 * HOUR)
    one = Lambda(world)
    one.refresh([(DUBLIN, box.type)])
    book = one.prices.on_demand()
    run = Run(
        instance_id=box.id, instance_type=box.type, zone=box.zone, is_spot=False, started_at=box.runs[0].start
    )
    billed = world.bill(box)
    assert abs(book.compute_usd(run, world.now) - billed.compute_usd) < Decimal("0.000001")
    length = world.now - box.runs[0].start
    assert abs(book.rates_in(DUBLIN).public_ipv4_usd(length) - billed.ipv4_usd) < Decimal("0.001")
