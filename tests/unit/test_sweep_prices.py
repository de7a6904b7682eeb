"""Sweeps and list prices: learnt for what runs, never in the way of an end."""

from collections.abc import Collection
from datetime import datetime

import pytest

from chalicelib.domain.prices import ListPrices, Told
from chalicelib.domain.rates import US_EAST_1
from chalicelib.usecases import report
from tests.builders import HOUR, ZONE, Stage, at, usd
from tests.doubles.memory_ports import START, MemoryPrices

DUBLIN = "eu-west-1"
TYPE = "g5.xlarge"


@pytest.fixture
def stage() -> Stage:
    """An account with a stray on-demand box in Dublin, where everything costs 1.11 times as much as at home."""
    stage = Stage(regions=("us-east-1", DUBLIN))
    stage.prices.told[DUBLIN] = ListPrices(
        region=DUBLIN,
        on_demand={TYPE: Told(usd=usd("1.11666"), at=START)},
        rates=US_EAST_1.times(usd("1.11")),
    )
    stage.sweep()
    stage.compute.start(TYPE, region=DUBLIN)
    return stage


def test_a_box_is_adopted_at_its_region_s_price(stage: Stage) -> None:
    """It is learnt before the hold is made."""
    stage.sweep()
    (lease,) = stage.store.open_leases()
    assert lease.hold.compute_usd == usd("8.94")  # 1.11666 × 8 h, up to the cent


def test_only_what_runs_is_asked_about(stage: Stage) -> None:
    """No region and no type of its own accord."""
    stage.sweep()
    assert {pair for wanted in stage.prices.refreshed for pair in wanted} == {(DUBLIN, TYPE)}


def test_while_prices_do_not_answer_leases_end_all_the_same(stage: Stage) -> None:
    """They are assumed, at twice the table's; the record and what people are told say what is lacking."""
    stage.prices.is_down = True
    record = stage.sweep()
    (lease,) = stage.store.open_leases()
    assert lease.hold.compute_usd == usd("16.10")  # 2 × 1.006 × 8 h, up to the cent
    assert [line.partition(":")[0] for line in record.lacking] == [f"GetProducts {DUBLIN}"]
    assert record.is_complete
    stage.until(at("17:00") + HOUR)
    assert stage.alive == []


def test_an_event_s_look_asks_for_nothing_that_is_old(stage: Stage) -> None:
    """The next minute's sweep does; an event asks at most for what nobody has told yet."""
    stage.sweep()
    box = stage.alive[0]
    before = len(stage.prices.refreshed)
    stage.sweep(only=box)
    assert len(stage.prices.refreshed) == before + 1


def test_prices_are_kept_for_other_processes_after_the_kills_only() -> None:
    """The table may be slow: a lease that ends in this sweep has ended before anything of prices is written."""
    alive: list[int] = []

    class Watched(MemoryPrices):
        def keep(self, zones: Collection[tuple[str, str]], *, since: datetime, now: datetime) -> None:
            alive.append(len(stage.alive))

    stage = Stage(prices=Watched())
    stage.launch(lasts_for=HOUR)
    stage.sweep()
    stage.after(HOUR)
    assert alive == [1, 0]


def test_the_pools_of_what_runs_are_kept_since_its_start() -> None:
    """By the scheduled sweep; an event's look and a view write nothing of prices."""
    stage = Stage()
    stage.launch()
    stage.sweep()
    assert stage.prices.kept == [(((ZONE, TYPE),), START - HOUR)]
    stage.sweep(only=stage.alive[0])
    report.instances(stage.services)
    assert len(stage.prices.kept) == 1
