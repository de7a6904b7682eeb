"""The price book by region: told, of the table, or assumed; never lower than the table, and never free."""

from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.lease import Run
from chalicelib.domain.prices import ABROAD, AS_CHEAP_AS_THE_TABLE, ListPrices, PriceBook, Told
from chalicelib.domain.rates import US_EAST_1
from tests.builders import usd
from tests.doubles.memory_ports import ON_DEMAND, START

DUBLIN = "eu-west-1"
HOUR, MONTH = timedelta(hours=1), timedelta(hours=730)
G5 = ON_DEMAND["g5.xlarge"]


def book(**told: str) -> PriceBook:
    """The table of the doubles, with what was told of Dublin by type (`g5_xlarge="1.1"`)."""
    prices = {name.replace("_", "."): Told(usd=usd(price), at=START) for name, price in told.items()}
    listed = {DUBLIN: ListPrices(region=DUBLIN, on_demand=prices)} if told else {}
    return PriceBook(on_demand=ON_DEMAND, as_of="2026-11-01", listed=listed)


def on_demand(zone: str | None, instance_type: str = "g5.xlarge") -> Run:
    """An on-demand box in a zone."""
    return Run(instance_id="i-1", instance_type=instance_type, zone=zone, is_spot=False, started_at=START)


@pytest.mark.parametrize(
    "zone, expected",
    [("eu-west-1a", "1.1"), ("us-east-1a", "1.006"), ("us-west-2-lax-1a", "1.006"), (None, "1.006")],
)
def test_a_run_costs_what_its_zone_s_region_charges(zone: str | None, expected: str) -> None:
    """By the hour at most, now, and over a time."""
    prices, run = book(g5_xlarge="1.1"), on_demand(zone)
    assert prices.ceiling_usd(run) == prices.hourly_usd(run, START) == usd(expected)
    assert prices.compute_usd(run, START + HOUR) == usd(expected)


@given(
    region=st.from_regex(r"[a-z]{2}-[a-z]{4,9}-[1-9]", fullmatch=True),
    name=st.sampled_from([*ON_DEMAND, "g5.99xlarge", "zz9.large"]),
)
def test_what_is_assumed_is_never_lower_than_the_table(region: str, name: str) -> None:
    """Wherever it is, whatever it is: compute, disks, snapshots, addresses and data."""
    prices = book()
    assert prices.on_demand_usd(name, region) >= prices.on_demand_usd(name) > 0
    told, home = prices.rates_in(region), US_EAST_1
    assert told.public_ipv4_usd(HOUR) >= home.public_ipv4_usd(HOUR) > 0
    assert told.egress_usd(1) >= home.egress_usd(1) > 0
    assert told.snapshot_usd(1, HOUR) >= home.snapshot_usd(1, HOUR) > 0
    assert all(
        told.volume_usd(1, HOUR, kind=kind) >= home.volume_usd(1, HOUR, kind=kind) > 0
        for kind in home.volumes
    )


def test_regions_of_one_list_price_are_not_doubled() -> None:
    """The table is theirs too; everywhere else it is doubled."""
    assert {book().on_demand_usd("g5.xlarge", region) for region in AS_CHEAP_AS_THE_TABLE} == {G5}
    assert book().on_demand_usd("g5.xlarge", "sa-east-1") == G5 * ABROAD
    assert book().origin("g5.xlarge", "sa-east-1").source == "table of us-east-1, times 2"


def test_a_type_that_only_its_region_tells_is_known_there() -> None:
    """And nowhere else."""
    prices = book(g9_xlarge="3")
    assert prices.knows("g9.xlarge", DUBLIN)
    assert not prices.knows("g9.xlarge")
    assert prices.on_demand_usd("g9.xlarge", DUBLIN) == 3


def test_an_unknown_type_costs_what_the_dearest_of_its_family_does_there() -> None:
    """Told or of the table, whichever is more."""
    assert book(g5_48xlarge="40").on_demand_usd("g5.99xlarge", DUBLIN) == 40
    assert book(g5_48xlarge="3").on_demand_usd("g5.99xlarge", DUBLIN) == ON_DEMAND["g5.12xlarge"] * ABROAD


def test_a_price_of_zero_that_was_told_is_none() -> None:
    """Nothing is free, also not in a record."""
    assert book(g5_xlarge="0").on_demand_usd("g5.xlarge", DUBLIN) == G5 * ABROAD


@pytest.mark.parametrize(
    "kind, iops, mibps, expected",
    [
        ("gp3", 0, 0, "8"),
        ("gp3", 3_000, 125, "8"),
        ("gp3", 4_000, 225, "17"),
        ("gp2", 0, 0, "10"),
        ("io1", 1_000, 0, "77.5"),
        ("io2", 32_000, 0, "2092.5"),
        ("io2", 64_000, 0, "3564.5"),
        ("io2", 100_000, 0, "4716.5"),
        ("st1", 0, 0, "4.5"),
        ("sc1", 0, 0, "1.5"),
        ("io9", 0, 0, "12.5"),
    ],
)
def test_a_volume_costs_its_size_and_what_is_provisioned(
    kind: str, iops: int, mibps: int, expected: str
) -> None:
    """100 GiB for a month, above what is included; a kind that nobody knows costs as much as the dearest."""
    told = US_EAST_1.volume_usd(100, MONTH, kind=kind, iops=iops, mibps=mibps)
    assert told == Decimal(expected)
