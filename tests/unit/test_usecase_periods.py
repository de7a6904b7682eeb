"""Budgets by periods: what runs over midnight, or over a month's end, is held and counted where its seconds fall."""

from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.domain.budget import Period, ScopeKind
from chalicelib.domain.errors import BudgetExceeded, Refused
from chalicelib.domain.lease import Lease
from chalicelib.gateways import dynamodb_holds as holds
from chalicelib.usecases import budgets
from chalicelib.usecases.end import end_lease
from chalicelib.usecases.extend import extend
from tests.builders import HOUR, MINUTE, TYPE, ZONE, Stage, at, minutes, usd
from tests.doubles.accidents import Crash

DAILY, MONTHLY, TOTAL = Period.DAILY, Period.MONTHLY, Period.TOTAL
FEW = settings(max_examples=25)


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def stage_at(text: str) -> Stage:
    """Everything begins then."""
    stage = Stage()
    stage.clock.at = moment(text)
    return stage


def held(lease: Lease, budget: str = "team") -> dict[str, Decimal]:
    return {one.period_key: one.amount_usd for one in lease.charges if one.budget == budget}


def used(stage: Stage, name: str, *moments: datetime) -> list[Decimal]:
    """What a budget carries in the periods of these moments."""
    books = [stage.store.budgets(moment) for moment in moments]
    return [state.used_usd for book in books for state in book.states if state.budget.name == name]


def test_a_launch_over_a_month_s_end_is_held_in_both_months() -> None:
    """31 January, 23:30, eight hours: half an hour of January, 7:45 of February with the margin."""
    stage = stage_at("2027-01-31T23:30")
    stage.put_budget()
    stage.put_budget("ever", period=TOTAL)
    lease = stage.launch(egress_gb=0)
    assert sum(held(lease).values()) == held(lease, "ever")["total"] == lease.hold.total_usd
    assert held(lease)["2027-01"] == pytest.approx(lease.hold.hourly_usd / 2, abs=usd("0.000001"))
    assert set(held(lease)) == {"2027-01", "2027-02"}
    assert used(stage, "team", stage.clock.now(), moment("2027-02-01T00:00")) == [*held(lease).values()]


@pytest.mark.parametrize("full", ["2026-11-23", "2026-11-24", "2026-11-25", "2026-11-26"])
def test_a_launch_needs_room_in_every_period_and_is_told_in_which_there_is_none(full: str) -> None:
    """A 3-day lease on a daily budget, one of whose four days is taken."""
    stage = stage_at(f"{full}T00:00")
    stage.put_budget(limit=25, period=DAILY)
    stage.launch(lasts_for=6 * HOUR, egress_gb=0, max_price_usd_per_hour=usd(3))
    stage.clock.at = at("09:00")
    with pytest.raises(BudgetExceeded) as told:
        stage.launch(lasts_for=72 * HOUR, egress_gb=0)
    assert (told.value.extra["budget"], told.value.extra["period_key"]) == ("team", full)
    assert full in told.value.detail
    assert len(stage.store.open_leases()) == 1


def test_a_lease_counts_in_each_day_what_it_cost_there() -> None:
    """Open and closed alike: the spending of a day is that of its seconds, and the rest goes back."""
    stage = stage_at("2026-11-23T22:00")
    stage.put_budget(period=DAILY)
    stage.put_budget("month")
    lease = stage.launch(lasts_for=8 * HOUR)
    stage.until(moment("2026-11-24T01:00"))
    today = budgets.one(stage.services, "team")
    assert today.period_key == "2026-11-24"
    assert usd("0.9") < today.spent_usd < usd("1.1")
    assert usd("2.8") < budgets.one(stage.services, "month").spent_usd < usd("3.2")
    end_lease(stage.services, lease.id, by="ada")
    closed = stage.lease(lease.id)
    first, second = used(stage, "team", moment("2026-11-23T22:00"), stage.clock.now())
    assert {"2026-11-23": first, "2026-11-24": second} == closed.final_by_day
    assert first + second == closed.final_usd == used(stage, "month", stage.clock.now())[0]
    assert budgets.one(stage.services, "team").spent_usd == second


def test_what_outruns_its_hold_counts_in_the_day_in_which_it_runs() -> None:
    """A box that nothing may end goes on into a day on which nothing is held for it."""
    stage = stage_at("2026-11-23T15:00")
    stage.put_budget(period=DAILY)
    box = stage.compute.start()
    stage.sweep()
    lease = stage.only_lease()
    stage.compute.box(box).group = "web"
    stage.clock.at = moment("2026-11-24T03:00")
    stage.sweep()
    assert set(held(lease)) == {"2026-11-23"}
    assert 3 < budgets.one(stage.services, "team").spent_usd < usd("3.3")
    stage.compute.box(box).group = None
    end_lease(stage.services, lease.id, by="ada")
    assert used(stage, "team", stage.clock.now())[0] > 3


def test_a_budget_made_in_the_middle_of_a_lease_carries_what_falls_in_its_periods() -> None:
    """The open one by the share of each day, the closed one by what it cost since midnight."""
    stage = stage_at("2026-11-23T22:00")
    done = stage.launch(lasts_for=8 * HOUR, egress_gb=0)
    running = stage.launch(lasts_for=8 * HOUR, egress_gb=0)
    stage.until(moment("2026-11-24T01:00"))
    end_lease(stage.services, done.id, by="ada")
    stage.put_budget(limit=50, period=DAILY)
    share = held(stage.lease(running.id))
    assert set(share) == {"2026-11-23", "2026-11-24"}
    today = stage.lease(done.id).final_by_day["2026-11-24"]
    assert used(stage, "team", stage.clock.now()) == [share["2026-11-24"] + today]
    assert today < 2


def test_a_limit_below_what_the_next_month_holds_is_refused_and_forced_ends_only_what_helps() -> None:
    """Nothing of the lease that ends in November stands in December."""
    stage = stage_at("2026-11-30T20:00")
    stage.put_budget(limit=100)
    november = stage.launch(lasts_for=2 * HOUR, egress_gb=0, max_price_usd_per_hour=usd(4))
    over = stage.launch(lasts_for=24 * HOUR, egress_gb=0)
    with pytest.raises(BudgetExceeded) as told:
        stage.put_budget(limit=14)
    assert told.value.extra["period_key"] == "2026-12"
    assert told.value.extra["ending"] == [over.id]
    report = stage.put_budget(limit=14, force=True)
    assert report.ending == (over.id,)
    assert stage.alive == list(november.instance_ids)


def test_longer_and_shorter_move_each_period_by_the_difference() -> None:
    """A second day is held when a lease is extended into it, and given back when it is shortened again."""
    stage = stage_at("2026-11-23T18:00")
    stage.put_budget(limit=30, period=DAILY)
    lease = stage.launch(lasts_for=4 * HOUR, egress_gb=0)
    tomorrow = moment("2026-11-24T00:00")
    assert used(stage, "team", tomorrow) == [0]
    longer = extend(stage.services, lease.id, lasts_for=24 * HOUR, budget_usd=None, by="ada")
    assert used(stage, "team", stage.clock.now(), tomorrow) == [*held(longer).values()]
    assert used(stage, "team", tomorrow)[0] > 18
    extend(stage.services, lease.id, lasts_for=60 * HOUR, budget_usd=None, by="ada")
    with pytest.raises(BudgetExceeded) as told:
        stage.launch(lasts_for=40 * HOUR, egress_gb=0)
    assert told.value.extra["period_key"] == "2026-11-24"
    shorter = extend(stage.services, lease.id, lasts_for=HOUR, budget_usd=None, by="ada")
    assert used(stage, "team", stage.clock.now(), tomorrow) == [held(shorter)["2026-11-23"], 0]


def test_an_adopted_box_holds_no_more_than_each_day_has_left_and_ends_by_its_share() -> None:
    """Today has two dollars left: it ends tonight, though tomorrow has room for more."""
    stage = stage_at("2026-11-23T20:00")
    stage.put_budget(limit=2, period=DAILY)
    stage.compute.start()
    stage.sweep()
    lease = stage.only_lease()
    assert held(lease) == {"2026-11-23": usd(2), "2026-11-24": usd(2)}
    assert lease.hold.total_usd == 4
    stage.until(moment("2026-11-23T22:10"))
    assert stage.alive == []
    assert stage.receipt(lease.id).cause in {"over_share", "over_budget"}
    assert stage.receipt(lease.id).cost_usd < usd("2.05")


def test_money_that_a_cheap_day_leaves_is_there_the_next_day() -> None:
    """A lease with `budget_usd` ends by its money and not by the calendar, and no day passes its limit."""
    stage = stage_at("2026-11-23T12:00")
    stage.put_budget(limit=40, period=DAILY)
    stage.prices.set_spot(ZONE, TYPE, "0.40", at=at("00:00"))
    lease = stage.launch(lasts_for=60 * HOUR, budget_usd=usd(16), egress_gb=0)
    assert [(one.period_key, one.is_short) for one in lease.charges] == [
        ("2026-11-23", False),
        ("2026-11-24", True),
        ("2026-11-25", True),
        ("2026-11-26", True),
    ]
    stage.clock.at = moment("2026-11-23T23:30")
    stage.until(moment("2026-11-24T00:05"))
    stage.clock.at = moment("2026-11-24T09:00")
    stage.sweep()
    assert stage.alive == list(lease.instance_ids)
    assert sum(held(stage.lease(lease.id)).values()) <= 16
    stage.clock.at = moment("2026-11-24T23:40")
    stage.until(moment("2026-11-24T23:50"))
    assert stage.alive == list(lease.instance_ids)


def test_what_a_launch_sends_ends_it_before_it_takes_what_others_hold_that_day() -> None:
    """It has money left for tomorrow, and today has none beyond what is held for the other one, which runs on."""
    stage = stage_at("2026-11-23T12:00")
    stage.put_budget(limit=20, period=DAILY)
    lease = stage.launch(lasts_for=30 * HOUR, budget_usd=usd(18), egress_gb=0)
    other = stage.launch(lasts_for=7 * HOUR, egress_gb=0)
    stage.sweep()
    stage.metrics.send(lease.instance_ids[0], 100 * 2**30, at=moment("2026-11-23T12:20"))
    stage.until(moment("2026-11-23T18:50"))
    assert stage.alive == list(other.instance_ids)
    assert stage.receipt(lease.id).cause == "over_share"


def test_what_a_cheap_day_leaves_stays_held_where_no_period_is_short_of_it() -> None:
    """The lease may still cost its whole hold, by what it sends or by a disk that is attached to it: the month keeps
    that, and gives no launch its room."""
    stage = stage_at("2026-11-23T12:00")
    stage.put_budget(limit=40, period=DAILY)
    stage.put_budget("month", limit=40)
    stage.prices.set_spot(ZONE, TYPE, "0.40", at=at("00:00"))
    lease = stage.launch(lasts_for=30 * HOUR, budget_usd=usd(29))
    stage.clock.at = moment("2026-11-23T23:30")
    stage.until(moment("2026-11-24T00:05"))
    carried = stage.lease(lease.id)
    assert held(carried)["2026-11-24"] > held(lease)["2026-11-24"]
    assert held(carried, "month") == {"2026-11": carried.hold.total_usd}


def test_a_change_keeps_the_whole_hold_where_no_period_is_short_of_it() -> None:
    """The day that is over keeps what it cost; the month keeps all that the lease may still cost."""
    stage = stage_at("2026-11-23T12:00")
    stage.put_budget(limit=40, period=DAILY)
    stage.put_budget("month", limit=40)
    lease = stage.launch(lasts_for=30 * HOUR, budget_usd=usd(29))
    stage.sweep()
    stage.clock.at = moment("2026-11-24T10:00")
    changed = extend(stage.services, lease.id, lasts_for=29 * HOUR, budget_usd=usd(28), by="ada")
    assert held(changed, "month") == {"2026-11": usd(28)}


def test_what_was_never_seen_to_run_is_not_taken_for_free() -> None:
    """Its region has not answered since the launch: the day that is over keeps its worst case."""
    stage = stage_at("2026-11-23T12:00")
    stage.put_budget(limit=40, period=DAILY)
    lease = stage.launch(lasts_for=30 * HOUR, budget_usd=usd(20))
    stage.clock.at = moment("2026-11-24T10:00")
    changed = extend(stage.services, lease.id, lasts_for=29 * HOUR, budget_usd=None, by="ada")
    assert held(changed)["2026-11-23"] == held(lease)["2026-11-23"]


def test_a_lease_that_is_short_later_is_not_looked_up_before_there_is_something_to_move() -> None:
    """A sweep of a thousand of them reads no more than one of none."""
    stage = stage_at("2026-11-23T12:00")
    stage.put_budget(limit=100, period=DAILY)
    lease = stage.launch(lasts_for=30 * HOUR, budget_usd=usd(16), egress_gb=0)
    assert any(charge.is_short for charge in lease.charges)
    stage.sweep()
    stage.after(MINUTE)  # the first one has asked for the bill, which this one counts
    stage.store.calls.clear()
    stage.after(MINUTE)
    assert stage.store.calls.count("lease") == 0
    assert stage.store.calls.count("budgets") == 1


def test_a_lease_ends_before_a_day_that_can_t_pay_for_its_end() -> None:
    """Nothing is left for tomorrow: it ends while today still pays."""
    stage = stage_at("2026-11-23T12:00")
    stage.put_budget(limit=100, period=DAILY)
    worst = stage.launch(lasts_for=HOUR, egress_gb=0).hold.hourly_usd
    lease = stage.launch(lasts_for=24 * HOUR, budget_usd=worst * 12, egress_gb=0)
    stage.clock.at = moment("2026-11-23T23:30")
    stage.until(moment("2026-11-23T23:46"))
    assert lease.instance_ids[0] not in stage.alive
    assert used(stage, "team", moment("2026-11-24T00:00")) == [0]


def test_more_periods_than_a_transaction_takes_are_refused() -> None:
    """90 days on a daily budget; on a monthly one they are four."""
    stage = Stage()
    stage.put_policy(lease={"max_for": "P400D"})
    stage.put_budget(limit=10**6, period=DAILY)
    with pytest.raises(Refused) as told:
        stage.launch(lasts_for=90 * 24 * HOUR)
    assert told.value.slug == "too-many-periods"
    lease = stage.launch(lasts_for=60 * 24 * HOUR)
    with pytest.raises(Refused) as told:
        extend(stage.services, lease.id, lasts_for=90 * 24 * HOUR, budget_usd=None, by="ada")
    assert told.value.slug == "too-many-periods"
    assert stage.lease(lease.id) == lease
    budgets.delete(stage.services, "team")
    stage.put_budget("months", 10**6)
    longer = stage.launch(lasts_for=90 * 24 * HOUR)
    assert len(held(longer, "months")) == 4
    stage.put_budget("days", 10**6, period=DAILY)
    assert len(held(stage.lease(longer.id), "days")) == 80


def test_a_report_tells_when_the_limit_is_spent_and_what_the_next_period_holds() -> None:
    """At what its leases cost an hour now, each until it ends, and never beyond the period."""
    stage = stage_at("2026-11-23T12:00")
    stage.put_budget("little", 10, period=DAILY)
    assert budgets.one(stage.services, "little").exhausted_at is None
    stage.put_budget("much", 1000, period=DAILY)
    lease = stage.launch(lasts_for=24 * HOUR, budget_usd=usd("9.99"), egress_gb=0)
    stage.after(HOUR)
    little, much = budgets.one(stage.services, "little"), budgets.one(stage.services, "much")
    assert (little.exhausted_at, much.exhausted_at) == (None, None), "it ends before"
    assert much.next_period is not None
    assert much.next_period.held_usd == held(lease, "much")["2026-11-24"]
    stage.put_budget("little", "0.5", period=DAILY, force=True)
    assert budgets.one(stage.services, "little").exhausted_at == stage.clock.now()
    stage.put_budget("ever", 1000, period=TOTAL)
    assert budgets.one(stage.services, "ever").next_period is None


# -- the books ---------------------------------------------------------------------------------------------------------


steps = st.lists(
    st.tuples(
        st.sampled_from(["open", "extend", "shorten", "cap", "close", "wait", "find", "crash"]),
        st.integers(1, 40),
    ),
    min_size=1,
    max_size=10,
)


@FEW
@given(happens=steps, hour=st.integers(0, 23))
def test_the_books_balance_in_every_period(happens: list[tuple[str, int]], hour: int) -> None:
    """Whatever is opened, extended, shortened, capped and closed, and whoever dies: each period carries its open holds
    and what closed leases cost there, to the micro-dollar."""
    stage = stage_at(f"2027-01-30T{hour:02}:40")
    for kind in Period:
        stage.put_budget(kind.value, 10**6, period=kind)
    stage.put_budget("ada", 10**6, period=DAILY, scope_kind=ScopeKind.OWNER, scope_value="ada")
    for what, number in happens:
        with suppress(Crash):
            _happen(stage, what, number)
        _balanced(stage)
    for _ in range(3):
        with suppress(Crash):
            stage.after(minutes(2))
        _balanced(stage)


def _happen(stage: Stage, what: str, number: int) -> None:
    leases = stage.store.open_leases()
    of = leases[number % len(leases)].id if leases else ""
    match what:
        case "open":
            stage.launch(lasts_for=number * HOUR)
        case "find":
            stage.compute.start()
            stage.sweep()
        case "wait":
            stage.after(number * 20 * MINUTE)
        case "crash" if of:
            stage.store.inject("close_lease", Crash(), after=bool(number % 2))
            end_lease(stage.services, of, by="ada")
        case "close" if of:
            end_lease(stage.services, of, by="ada")
        case "extend" | "shorten" | "cap" if of:
            hours = {"extend": number + 30, "shorten": max(number / 10, 0.2)}.get(what)
            try:
                extend(
                    stage.services,
                    of,
                    lasts_for=hours * HOUR if hours else None,
                    budget_usd=usd(number) if what == "cap" else None,
                    by="ada",
                )
            except Refused:
                return


def _balanced(stage: Stage) -> None:
    carried: dict[holds.BudgetPeriod, Decimal] = {}
    for lease in _all(stage):
        for account, amount in (holds.taken(lease.charges) if lease.is_open else holds.kept(lease)).items():
            assert amount >= 0
            carried[account] = carried.get(account, usd(0)) + amount
    for day in range(6):
        for state in stage.store.budgets(moment("2027-01-30T12:00") + day * 24 * HOUR).states:
            account = holds.BudgetPeriod(state.budget.name, state.period_key, state.budget.generation)
            assert abs(state.used_usd - carried.get(account, usd(0))) <= usd("0.000002"), account


def _all(stage: Stage) -> Iterator[Lease]:
    yield from stage.store.open_leases()
    yield from stage.store.closed_leases(since=moment("2020-01-01T00:00"))
