"""The meter: every second that really ran, at the price in force; never free for want of a price."""

from dataclasses import replace
from decimal import Decimal

from chalicelib.domain.lease import Run
from chalicelib.domain.meter import measure
from chalicelib.domain.money import hours
from chalicelib.domain.prices import PriceBook
from tests.builders import (
    DAY,
    HOUR,
    MINUTE,
    PRICE,
    PUBLIC_IPV4_USD_PER_HOUR,
    SECOND,
    at,
    lease,
    prices,
    run,
    storage_usd,
    usd,
)
from tests.doubles.memory_ports import ON_DEMAND


def compute(*runs: Run, book: PriceBook | None = None, now: str = "12:00") -> Decimal:
    return measure(lease(runs=runs), book or prices(), at(now)).compute_usd


def test_a_moving_spot_price_is_integrated_to_the_second() -> None:
    """Each price counts for as long as it was in force, not the price at launch."""
    book = prices((at("08:00"), "0.30"), (at("10:00"), "0.60"), (at("11:30:30"), "0.40"))
    expected = (
        usd("0.30") * 1
        + usd("0.60") * hours(at("11:30:30") - at("10:00"))
        + usd("0.40") * hours(at("12:00") - at("11:30:30"))
    )
    assert compute(run(at("09:00")), book=book) == expected


def test_before_the_first_known_price_the_cap_is_assumed() -> None:
    """What is not known is taken at its dearest: the cap that was sent."""
    book = prices((at("10:00"), "0.20"))
    assert compute(run(at("09:00"), max_price_usd=usd("0.90")), book=book) == usd("0.90") + 2 * usd("0.20")


def test_without_any_spot_price_the_cap_else_on_demand_is_assumed() -> None:
    """No history is no discount."""
    assert compute(run(at("09:00"), max_price_usd=usd("0.5"))) == 3 * usd("0.5")
    assert compute(run(at("09:00"))) == 3 * PRICE


def test_a_spot_price_of_zero_is_not_believed() -> None:
    """A price of 0 is an error, never free."""
    assert compute(run(at("09:00")), book=prices((at("08:00"), "0"))) == 3 * PRICE


def test_another_zone_s_history_is_not_this_box_s() -> None:
    """Zones of a region differ by up to 3.3 times."""
    book = prices((at("08:00"), "0.10"))
    assert compute(run(at("09:00"), zone="us-east-1b"), book=book) == 3 * PRICE


def test_on_demand_bills_by_the_table_whatever_spot_does() -> None:
    """An on-demand box has nothing to do with spot prices."""
    assert compute(run(at("09:00"), is_spot=False), book=prices((at("08:00"), "0.10"))) == 3 * PRICE


def test_a_type_that_is_not_in_the_table_costs_as_the_dearest_of_its_family() -> None:
    """An unknown price is never free."""
    book = prices()
    assert book.on_demand_usd("g5.99xlarge") == ON_DEMAND["g5.12xlarge"]
    assert book.on_demand_usd("zz9.large") == max(ON_DEMAND.values())
    assert not book.knows("g5.99xlarge")
    assert not prices(**{"g5.xlarge": usd(0)}).knows("g5.xlarge")


def test_every_start_bills_sixty_seconds_at_least() -> None:
    """Ten seconds cost a minute, and each restart begins a new one."""
    short = run(at("09:00"), at("09:00:10"))
    again = run(at("09:30"), at("09:30:20"))
    assert compute(short) == PRICE * hours(MINUTE)
    assert compute(short, again) == 2 * PRICE * hours(MINUTE)
    assert compute(run(at("09:00"), at("09:01:01"))) == PRICE * hours(61 * SECOND)


def test_stops_are_not_billed_as_running() -> None:
    """Only the intervals in which it ran count."""
    assert compute(run(at("09:00"), at("10:00")), run(at("11:00"))) == 2 * PRICE


def test_a_public_address_bills_while_it_runs() -> None:
    """$0.005 an hour, and nothing without one."""
    cost = measure(lease(runs=(run(at("09:00")),)), prices(), at("11:00"))
    assert cost.public_ipv4_usd == 2 * PUBLIC_IPV4_USD_PER_HOUR
    bare = measure(lease(runs=(run(at("09:00"), has_public_ip=False),)), prices(), at("11:00"))
    assert bare.public_ipv4_usd == 0


def test_a_stopped_box_bills_its_disk_and_nothing_else_an_hour() -> None:
    """Compute ends with the stop; the disk goes on until the box is gone."""
    stopped = lease(runs=(run(at("09:00"), at("10:00")),), storage_gib=100)
    cost = measure(stopped, prices(), at("13:00"))
    assert cost.storage_usd == storage_usd(100, 4 * HOUR)
    assert cost.hourly_usd == storage_usd(100, HOUR)
    gone = replace(stopped, runs=(run(at("09:00"), at("10:00"), disk_ended_at=at("11:00")),))
    assert measure(gone, prices(), at("13:00")).storage_usd == storage_usd(100, 2 * HOUR)
    assert measure(gone, prices(), at("13:00")).hourly_usd == 0


def test_each_box_has_its_own_disk_also_after_it_has_ended() -> None:
    """Two boxes' disks bill twice, each from its own start to its own end."""
    two = lease(
        storage_gib=50,
        runs=(
            run(at("09:00"), at("11:00"), disk_ended_at=at("11:00")),
            run(at("10:00"), instance_id="i-2"),
        ),
    )
    assert measure(two, prices(), at("12:00")).storage_usd == storage_usd(50, 2 * HOUR) + storage_usd(
        50, 2 * HOUR
    )


def test_a_restarted_box_s_disk_bills_through_the_stop() -> None:
    """The disk is one from the first start on."""
    restarted = lease(storage_gib=50, runs=(run(at("09:00"), at("10:00")), run(at("11:00"))))
    assert measure(restarted, prices(), at("12:00")).storage_usd == storage_usd(50, 3 * HOUR)


def test_a_closed_lease_s_meter_stands_still() -> None:
    """After the close nothing is added."""
    closed = lease(storage_gib=50, runs=(run(at("09:00"), at("10:00")),), closed_at=at("10:00"))
    assert measure(closed, prices(), at("12:00")) == measure(closed, prices(), at("12:00") + DAY)


def test_what_has_not_started_costs_nothing() -> None:
    """A lease without a run has no cost."""
    assert measure(lease(runs=(), storage_gib=50), prices(), at("12:00")).accrued_usd == 0


def test_a_clock_that_lags_behind_the_start_never_makes_a_negative_cost() -> None:
    """Two machines' clocks differ by seconds."""
    cost = measure(lease(runs=(run(at("09:00:05")),), storage_gib=50), prices(), at("09:00"))
    assert cost.public_ipv4_usd == 0
    assert cost.storage_usd == 0
    assert cost.compute_usd == PRICE * hours(MINUTE)


def test_the_hourly_price_is_what_is_in_force_and_the_ceiling_what_it_can_become() -> None:
    """The sum over all boxes that run, addresses and disks included."""
    book = prices((at("08:00"), "0.30"))
    cost = measure(lease(runs=(run(max_price_usd=usd("0.8")),), storage_gib=100), book, at("12:00"))
    assert cost.hourly_usd == usd("0.30") + PUBLIC_IPV4_USD_PER_HOUR + storage_usd(100, HOUR)
    assert cost.ceiling_usd == usd("0.80") + PUBLIC_IPV4_USD_PER_HOUR + storage_usd(100, HOUR)
