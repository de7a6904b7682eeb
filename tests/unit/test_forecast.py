"""What goes on to cost: the forecast of a month and the moment at which a budget is used up are one reckoning."""

from datetime import timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.budget import Period
from chalicelib.domain.forecast import Burn, burn, to_come, used_up_at
from chalicelib.domain.lease import Status
from chalicelib.domain.meter import Cost
from chalicelib.usecases import budgets
from chalicelib.usecases.spend import spend
from tests.builders import DAY, HOUR, PRICE, START, Stage, at, lease, minutes, usd

HOURLY = Cost(hourly_usd=usd(2))
BURNS = st.lists(
    st.builds(
        lambda cents, ends: Burn(
            hourly_usd=Decimal(cents) / 100, ends_at=None if ends is None else START + ends
        ),
        st.integers(0, 5000),
        st.none() | st.timedeltas(timedelta(0), 90 * DAY),
    ),
    max_size=5,
)


def test_a_lease_costs_until_its_hour_and_no_further_than_its_hold() -> None:
    """Eight hours at $1 fit its $10; at $2 it ends after five."""
    assert burn(lease(), Cost(hourly_usd=usd(1)), START).ends_at == START + 8 * HOUR
    assert burn(lease(), HOURLY, START).ends_at == START + 5 * HOUR
    assert to_come(burn(lease(), HOURLY, START), START, START + DAY) == 10


def test_what_is_past_its_hold_or_its_hour_goes_on() -> None:
    """Something spares it: it costs on, until somebody ends it."""
    over = Cost(compute_usd=usd(11), hourly_usd=usd(2))
    assert burn(lease(), over, START).ends_at is None
    assert to_come(burn(lease(), HOURLY, START + 9 * HOUR), at("18:00"), at("20:00")) == 4
    assert burn(lease(), HOURLY, START, is_rehearsal=True).ends_at is None


def test_what_is_ending_costs_nothing_more() -> None:
    """Its end is under way."""
    assert to_come(burn(lease(status=Status.ENDING), HOURLY, START), START, START + DAY) == 0


@given(burning=BURNS, room=st.integers(0, 10**5), days=st.integers(1, 400))
def test_a_budget_is_used_up_when_what_goes_on_has_cost_what_is_left(
    burning: list[Burn], room: int, days: int
) -> None:
    """And not used up where all of it together costs less."""
    until = START + days * DAY
    found = used_up_at(Decimal(room), burning, START, until)
    if found is None:
        assert sum(to_come(one, START, until) for one in burning) <= room + 1
        return
    assert START <= found < until
    second = sum((one.hourly_usd for one in burning), usd(0)) / 3600
    last_digit = usd("0.000000001")  # what 28 digits leave of a sum
    assert room - second <= sum(to_come(one, START, found) for one in burning) <= room + last_digit


def test_the_forecast_and_the_budget_agree_about_a_box_that_nothing_ends() -> None:
    """It is past its hold and its hour, and uses up what the budget has left."""
    stage = Stage(is_dry_run=True)
    stage.put_budget(limit=30, period=Period.MONTHLY)
    stage.compute.start()
    stage.sweep()
    stage.after(20 * HOUR)
    lease_id = stage.only_lease().id
    forecast = spend(stage.services, None).forecast
    assert forecast.leases[lease_id] > 7 * 24 * PRICE - 24
    found = budgets.one(stage.services, "team")
    assert found.exhausted_at is not None
    hours_left = (found.left_usd + found.held_usd) / PRICE
    assert abs(found.exhausted_at - stage.clock.now() - timedelta(hours=float(hours_left))) < minutes(10)
