"""GET /spend: a month's meter beside its bill, whose it is, how fresh the bill is, and what is to come."""

from datetime import date
from typing import Any

import pytest

from chalicelib.domain.lease import Lease, OnEnd
from chalicelib.domain.money import MICRO
from chalicelib.usecases.spend import SpendReport, spend
from tests.builders import HOUR, PRICE, REGION, SECOND, TYPE, Stage, at, usd
from tests.unit.sweep_kit import one_hour
from tests.unit.web_kit import World, open_world

EC2 = "Amazon Elastic Compute Cloud - Compute"
TODAY = date(2026, 11, 23)


def of(stage: Stage, period: str | None = None) -> SpendReport:
    return spend(stage.services, period)


def owner(lease: Lease) -> str:
    return lease.owner


def test_an_empty_month_costs_nothing_and_says_that_nothing_was_asked() -> None:
    """Every day up to today is there."""
    found = of(Stage())
    assert (found.period, found.spent_usd, found.billed_usd) == ("2026-11", 0, 0)
    assert [day.day.day for day in found.days] == list(range(1, 24))
    assert {day.status for day in found.days} == {"unbilled"}
    assert (found.cost_explorer.status, found.cost_explorer.next_at) == ("not asked yet", at("09:00"))


def test_the_meter_stands_beside_the_bill() -> None:
    """What the bill does not have yet is in the spend by the meter; what it alone has is added."""
    stage = Stage()
    stage.launch(lasts_for=20 * HOUR)
    stage.bills.bill(TODAY, EC2, f"SpotUsage:{TYPE}", "0.40")
    stage.bills.bill(TODAY, "AWS Glue", "Crawler", "2.50")
    stage.sweep()
    stage.after(4 * HOUR)
    found = of(stage)
    today = found.days[-1]
    assert abs(today.metered["compute"] - 4 * PRICE) <= MICRO
    assert today.billed["compute"] == usd("0.40")
    assert today.spent_usd == found.spent_usd == found.metered_usd + usd("2.50")
    assert (today.status, found.not_metered) == ("estimated", {"AWS Glue": usd("2.50")})
    assert (found.cost_explorer.status, found.cost_explorer.newest_day) == ("ok", TODAY)
    assert found.cost_explorer.data_age_for == 4 * HOUR
    assert found.cost_explorer.next_at == at("17:00")


def test_it_is_told_by_owner_project_region_and_lease() -> None:
    """Open and closed leases, the dearest first; together they are the meter."""
    stage = Stage()
    one_hour(stage, owner="ada", project="vision")
    stage.until(at("10:02"))
    stage.launch(owner="bob", lasts_for=8 * HOUR)
    stage.launch(owner="ada", lasts_for=8 * HOUR, region="eu-west-1")
    stage.after(6 * HOUR)
    found = of(stage)
    assert [name for name, _ in found.by(owner)] == ["ada", "bob"]
    assert [name for name, _ in found.by(lambda lease: lease.project)] == [None, "vision"]
    by_region = found.by(lambda lease: lease.region)
    assert {name for name, _ in by_region} == {REGION, "eu-west-1"}
    assert sum((amount for _, amount in by_region), usd(0)) == found.metered_usd
    assert len(found.leases) == 3
    assert found.leases[-1].lease.project == "vision"


def test_the_forecast_is_what_runs_until_it_expires_and_no_more_than_its_hold() -> None:
    """On top of what is spent; what is ending adds nothing."""
    stage = Stage()
    lease = stage.launch(lasts_for=8 * HOUR)
    stage.after(2 * HOUR)
    found = of(stage).forecast
    hourly = PRICE + usd("0.005")
    assert 6 * hourly < found.leases[lease.id] < 6 * hourly + usd("0.1")
    assert found.total_usd == of(stage).spent_usd + found.leases[lease.id]
    assert found.leases[lease.id] + of(stage).metered_usd < lease.hold.total_usd
    stage.until(at("17:01"))
    assert of(stage).forecast.leases == {}


def test_a_lease_over_the_month_s_end_is_split_there() -> None:
    """What comes after it is the next month's."""
    stage = Stage()
    stage.clock.at = at("21:00", day=7)
    lease = stage.launch(lasts_for=8 * HOUR)
    stage.sweep()
    stage.clock.at = at("22:00", day=7)
    november, december = of(stage), of(stage, "2026-12")
    assert november.period == "2026-11"
    assert 2 * PRICE < november.forecast.leases[lease.id] < 2 * PRICE + usd("0.1")
    assert 5 * PRICE < december.forecast.leases[lease.id] < 5 * PRICE + usd("0.1")
    assert (december.spent_usd, december.days) == (0, ())
    stage.clock.at = at("02:00", day=8)
    assert of(stage, "2026-11").days[-1].metered["compute"] == 3 * PRICE
    assert of(stage).days[0].metered["compute"] == 2 * PRICE


def test_a_bill_that_can_t_be_had_says_why() -> None:
    """And the meter stands alone."""
    stage = Stage()
    stage.launch()
    stage.bills.fail("denied", "AccessDeniedException: no")
    stage.sweep()
    stage.after(HOUR)
    found = of(stage)
    assert (found.cost_explorer.status, found.cost_explorer.detail) == ("denied", "AccessDeniedException: no")
    assert found.cost_explorer.next_at == at("09:00", day=1)
    assert found.spent_usd == found.metered_usd > PRICE


# -- over HTTP


def test_boxes_without_a_lease_are_named_as_not_counted() -> None:
    """With what each costs an hour, so that the gap to the bill is explained; nothing before the first sweep."""
    stage = Stage()
    box = stage.compute.start(managed_by="eks.amazonaws.com")
    assert of(stage).not_counted.as_of is None
    stage.sweep()
    for _ in range(30):
        stage.clock.advance(SECOND)
        stage.sweep(box)
    found = of(stage).not_counted
    (one,) = found.boxes
    assert (found.as_of, one["instance_id"]) == (at("09:00"), box)
    assert found.hourly_usd >= usd(one["hourly_usd"]) > 0
    assert "eks" in one["reason"]


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return open_world(monkeypatch)


def test_spend_is_told_over_http(world: World) -> None:
    """Money as strings with every digit, days as dates."""
    lease = world.launched(project="vision")
    assert world("POST", "/sweeps", {})[0] == 200
    world.clock.advance(2 * HOUR)
    status, body = world("GET", "/spend")
    assert status == 200
    assert set(body) == {
        *("period", "spent_usd", "accelerators_usd", "metered_usd", "billed_usd", "days", "not_metered"),
        *(
            "by_owner",
            "by_project",
            "by_region",
            "by_lease",
            "forecast",
            "cost_explorer",
            "guard",
            "kept_images",
            "not_counted",
        ),
    }
    today: dict[str, Any] = body["days"][-1]
    assert (today["day"], today["status"], today["billed_usd"]) == ("2026-11-23", "unbilled", "0")
    assert today["variance_usd"] is None
    assert abs(usd(today["metered"]["compute"]) - 2 * PRICE) <= MICRO
    assert body["by_project"][0]["project"] == "vision"
    assert body["by_region"] == [{"region": REGION, "usd": body["metered_usd"]}]
    assert body["by_lease"][0]["lease_id"] == lease["id"] == body["forecast"]["leases"][0]["lease_id"]
    assert body["forecast"]["until"] == "2026-12-01T00:00:00Z"
    assert body["cost_explorer"]["status"] == "not asked yet"
    assert usd(body["spent_usd"]) == usd(body["by_owner"][0]["usd"]) > 2


@pytest.mark.parametrize("period", ["2026", "2026-13", "november", "2026-1", "2026-11-23"])
def test_what_is_no_month_is_refused(world: World, period: str) -> None:
    """With the field and an example."""
    status, body = world("GET", f"/spend?period={period}")
    assert (status, body["errors"][0]["field"]) == (422, "period")
    assert "2026-11" in str(body["errors"])


def test_other_months_are_answered_too(world: World) -> None:
    """Past ones whole, coming ones without days."""
    assert len(world("GET", "/spend?period=2026-02")[1]["days"]) == 28
    assert world("GET", "/spend?period=2027-01")[1]["days"] == []


def test_what_was_saved_in_a_month_is_named_with_what_it_goes_on_to_cost() -> None:
    """In no figure of the meter beyond its lease's: its snapshots are billed by and by."""
    stage = Stage()
    lease = one_hour(stage, on_end=OnEnd.IMAGE)
    stage.until(at("10:20"))
    (image,) = of(stage).kept_images
    assert (image.state, image.instance_id, image.monthly_usd) == (
        "available",
        lease.instance_ids[0],
        usd("2.25"),
    )
    assert of(stage).metered_usd < usd("2.25")
    assert of(stage, "2026-10").kept_images == ()
