"""The bill against the meter: late bills hide nothing, nothing counts twice, and a wrong meter is told."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.bills import BilledDay
from chalicelib.domain.daily_meter import by_bucket, by_day
from chalicelib.domain.egress import Window, with_sent
from chalicelib.domain.lease import Lease, Status
from chalicelib.domain.meter import measure
from chalicelib.domain.money import to_micro
from chalicelib.domain.periods import cost_by_day, with_final_cost
from chalicelib.domain.reconcile import DaySpend, reconcile
from tests.builders import HOUR, at, lease, prices, run, usd
from tests.unit.test_periods import ran

DAY = date(2026, 11, 20)
G5, P5 = "compute/us-east-1/g5.xlarge", "compute/us-west-2/p5.48xlarge"
DISKS, IPS, SENT = "storage/us-east-1", "addresses/us-east-1", "egress/us-east-1"
Amounts = dict[str, Decimal]


def billed(
    modelled: Amounts | None = None, outside: Amounts | None = None, *, settled: bool = False
) -> BilledDay:
    """A day of the bill."""
    late = datetime(2026, 11, 30, tzinfo=UTC)
    return BilledDay(
        day=DAY,
        modelled=modelled or {},
        outside=outside or {},
        answered_at=late,
        same_since=late - timedelta(days=1) if settled else late,
    )


def day(
    modelled: Amounts | None, metered: Amounts, outside: Amounts | None = None, *, settled: bool = False
) -> DaySpend:
    bill = None if modelled is None else billed(modelled, outside, settled=settled)
    return reconcile(DAY, bill, metered)


def test_without_a_bill_the_meter_is_the_spend() -> None:
    """A day of which nothing is known yet is not free."""
    found = day(None, {G5: usd(10), DISKS: usd(1)})
    assert (found.status, found.spent_usd, found.accelerators_usd) == ("unbilled", 11, 11)
    assert (found.billed_usd, found.variance_usd, found.variance_percent) == (0, None, None)


def test_the_greater_of_bill_and_meter_counts_bucket_by_bucket() -> None:
    """What the bill has more of in one region hides nothing that it lacks in another."""
    found = day({G5: usd(100)}, {G5: usd(9), P5: usd(40)})
    assert (found.spent_usd, found.metered_usd, found.billed_usd) == (140, 49, 100)


def test_what_the_meter_does_not_model_is_added_whole() -> None:
    """Other services, taxes, and boxes that are no accelerators."""
    found = day(
        {G5: usd(10), "compute/us-east-1/m5.large": usd(3)},
        {G5: usd(10)},
        {"Tax": usd(2), "Amazon Simple Storage Service": usd(1)},
    )
    assert found.spent_usd == 16
    assert found.accelerators_usd == 10
    assert found.outside == {
        "Amazon Elastic Compute Cloud - Compute": 3,
        "Amazon Simple Storage Service": 1,
        "Tax": 2,
    }


def test_a_type_that_a_lease_runs_is_modelled_though_it_is_no_accelerator() -> None:
    """The policy's scope may include any type."""
    found = day({"compute/us-east-1/m5.large": usd(3)}, {"compute/us-east-1/m5.large": usd(2)})
    assert (found.spent_usd, found.accelerators_usd, found.outside) == (3, 3, {})


def test_disks_and_addresses_count_whole_for_the_account_and_by_the_meter_for_accelerators() -> None:
    """A bill can't say whose they are."""
    found = day({DISKS: usd(20), IPS: usd(5)}, {G5: usd(10), DISKS: usd(1), IPS: usd("0.5")})
    assert (found.spent_usd, found.accelerators_usd) == (35, usd("11.5"))


def test_a_settled_bill_replaces_the_upper_bound_of_what_was_sent() -> None:
    """NetworkOut also counts what never left AWS."""
    assert day({SENT: usd(1)}, {SENT: usd(9)}).spent_usd == 9
    assert day({SENT: usd(1)}, {SENT: usd(9)}, settled=True).spent_usd == 1


def test_variance_is_of_the_compute_of_gpu_boxes() -> None:
    """Bill less meter, in dollars and in percent of the bill."""
    found = day({G5: usd(8), DISKS: usd(90), "compute/us-east-1/m5.large": usd(7)}, {G5: usd(10)})
    assert (found.variance_usd, found.variance_percent) == (-2, -25)
    assert day({}, {G5: usd(10)}).variance_percent is None


def test_a_meter_that_is_off_is_told_on_settled_days_only() -> None:
    """Past a tenth and a dollar."""
    assert day({G5: usd(20)}, {G5: usd(17)}, settled=True).is_off
    assert day({}, {G5: usd(17)}, settled=True).is_off
    assert not day({G5: usd(20)}, {G5: usd(17)}).is_off
    assert not day({G5: usd(20)}, {G5: usd(18)}, settled=True).is_off
    assert not day({G5: usd("0.99")}, {}, settled=True).is_off


AMOUNTS = st.dictionaries(
    st.sampled_from([G5, P5, DISKS, IPS, "compute/us-east-1/m5.large"]),
    st.decimals(min_value=0, max_value=1000, places=2),
)
OUTSIDE = st.dictionaries(
    st.sampled_from(["Tax", "AWS Glue"]), st.decimals(min_value=0, max_value=9, places=2)
)


@given(bill=AMOUNTS, outside=OUTSIDE, meter=AMOUNTS)
def test_nothing_is_hidden_and_nothing_counts_twice(bill: Amounts, outside: Amounts, meter: Amounts) -> None:
    """A day's spend is at least the whole bill and the whole meter, and at most both together."""
    found = day(bill, meter, outside)
    total = sum(bill.values()) + sum(outside.values())
    assert max(total, sum(meter.values())) <= found.spent_usd <= total + sum(meter.values())
    assert found.accelerators_usd <= found.spent_usd
    assert found.billed_usd == total
    assert found.metered_usd == sum(meter.values())
    assert found.beyond_meter_usd + found.metered_usd == found.spent_usd
    assert 0 <= found.accelerators_beyond_usd <= total


@given(bill=AMOUNTS, late=AMOUNTS, meter=AMOUNTS)
def test_a_bill_that_grows_never_lowers_the_spend(bill: Amounts, late: Amounts, meter: Amounts) -> None:
    """What comes late is in the meter already, or is added."""
    whole = {key: bill.get(key, Decimal(0)) + late.get(key, Decimal(0)) for key in {*bill, *late}}
    assert day(bill, meter).spent_usd <= day(whole, meter).spent_usd


# -- the meter, day by day


def test_a_lease_s_days_are_cut_at_midnight_at_the_price_in_force() -> None:
    """15 h at $1, then 24 h of which 12 at $2, then 1 h at $2."""
    one = lease(
        runs=(run(at("09:00"), at("01:00", day=2), disk_ended_at=at("01:00", day=2)),), storage_gib=73
    )
    book = prices((at("08:00"), "1"), (at("12:00", day=1), "2"))
    days = by_day(one, book, at("12:00", day=5)).days
    assert [amounts[G5] for amounts in days.values() if G5 in amounts] == [15, 36, 2]
    assert [amounts[DISKS] for amounts in days.values() if DISKS in amounts] == [
        usd("0.12"),
        usd("0.192"),
        usd("0.008"),
    ]


def test_days_add_up_to_the_meter() -> None:
    """Also while it runs, and with a stop in between."""
    runs = (run(at("09:00"), at("23:30")), run(at("00:30", day=1)))
    one, now = lease(runs=runs, storage_gib=100), at("07:07", day=2)
    book = prices((at("08:00"), "0.7"))
    whole = by_day(one, book, now)
    assert whole.usd() == to_micro(measure(one, book, now).accrued_usd)
    assert by_bucket([whole, whole])[at("09:00").date()][G5] == 2 * whole.days[at("09:00").date()][G5]


def test_a_closed_lease_s_days_come_to_what_it_was_closed_at() -> None:
    """Its price history may be gone by now, or have been another then."""
    ended = at("03:00", day=1)
    one = lease(
        status=Status.CLOSED,
        closed_at=ended,
        final_usd=usd("7.77"),
        runs=(run(at("21:00"), ended, disk_ended_at=ended),),
    )
    days = by_day(one, prices(), at("12:00", day=9))
    assert days.usd() == usd("7.77")
    assert len(days.days) == 2


def test_a_run_that_turned_out_free_was_free_before_midnight_too() -> None:
    """EC2 took it back within its first hour, after midnight."""
    taken = run(at("23:40"), at("00:20", day=1), is_interrupted=True, disk_ended_at=at("00:20", day=1))
    days = by_day(lease(runs=(taken,)), prices((at("08:00"), "1")), at("09:00", day=1)).days
    assert all(G5 not in amounts for amounts in days.values())


def test_what_was_sent_counts_on_the_day_on_which_it_was_sent() -> None:
    """What was recorded without a day counts on the first, where it is held."""
    runs = (run(at("12:00"), at("12:00", day=1), disk_ended_at=at("12:00", day=1)),)
    now = at("12:00", day=1) + HOUR
    one = lease(
        runs=runs, egress_bytes=4 * 2**30, egress_by_day={"2026-11-23": 2**30, "2026-11-24": 2 * 2**30}
    )
    assert [amounts[SENT] for amounts in by_day(one, prices(), now).days.values()] == [usd("0.18")] * 2


@given(
    over=ran(),
    sent=st.lists(st.tuples(st.integers(0, 40), st.integers(0, 2**40)), max_size=4),
    is_closed=st.booleans(),
)
def test_a_day_costs_on_a_budget_what_it_costs_in_the_spend(
    over: Lease,
    sent: list[tuple[int, int]],
    is_closed: bool,  # noqa: FBT001
) -> None:
    """To the micro-dollar, open or closed, with what it sent: the two are one cut."""
    assert over.closed_at is not None
    now = over.closed_at
    one = replace(over, closed_at=None)
    for later, size in sent:
        since = over.requested_at + later * HOUR
        one = with_sent(one, size, Window(since=since, until=since + HOUR))
    if is_closed:
        one = with_final_cost(replace(one, closed_at=now), prices(), now)
    budgeted = one.final_by_day or cost_by_day(one, prices(), now)
    shown = {f"{day}": sum(amounts.values()) for day, amounts in by_day(one, prices(), now).days.items()}
    assert shown == budgeted
    assert sum(one.egress_by_day.values()) == one.egress_bytes
