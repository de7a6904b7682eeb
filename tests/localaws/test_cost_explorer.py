"""Cost Explorer: the account's bill, late, by day and group, at a cent a question."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from localaws.model import Box
from localaws.world import World
from tests.localaws.bills import billed

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
START = datetime(2026, 3, 2, 0, 0, tzinfo=UTC)
COMPUTE, OTHER = "Amazon Elastic Compute Cloud - Compute", "EC2 - Other"
A_DAY = Decimal("1.006") * 24
Costs = dict[tuple[str, ...], Decimal]


@pytest.fixture
def world() -> Iterator[World]:
    with World(regions=("us-east-1", "us-west-2"), seed=1, start=START) as opened:
        yield opened


@pytest.fixture
def ce(world: World) -> Any:
    return world.session().client("ce")


def ask(ce: Any, start: date, end: date, *group_by: str, **more: Any) -> dict[str, Any]:
    """One GetCostAndUsage by dimensions, or tags as `tag:key`."""
    definitions = [
        {"Type": "TAG", "Key": key[4:]} if key.startswith("tag:") else {"Type": "DIMENSION", "Key": key}
        for key in group_by
    ]
    answer: dict[str, Any] = ce.get_cost_and_usage(
        **{
            "TimePeriod": {"Start": f"{start:%Y-%m-%d}", "End": f"{end:%Y-%m-%d}"},
            "Granularity": "DAILY",
            "Metrics": ["UnblendedCost"],
            **({"GroupBy": definitions} if definitions else {}),
            **more,
        }
    )
    return answer


def costs(result: dict[str, Any]) -> Costs:
    """The groups of one period."""
    return {
        tuple(group["Keys"]): Decimal(group["Metrics"]["UnblendedCost"]["Amount"])
        for group in result["Groups"]
    }


def settled(world: World, market: Any = "on-demand", **more: Any) -> Box:
    """A box that ran on the first day alone, and everything about it known."""
    box = world.start_box("g5.xlarge", market=market, **more)
    world.advance(DAY - HOUR)
    world.boxes.end(box, by="test")
    world.advance(5 * DAY + HOUR)
    return box


def test_the_end_of_the_period_is_exclusive_and_each_day_is_a_result(world: World, ce: Any) -> None:
    """Three days from the second to the fifth (botocore, DateInterval)."""
    settled(world)
    results = ask(ce, date(2026, 3, 2), date(2026, 3, 5))["ResultsByTime"]
    assert [one["TimePeriod"] for one in results] == [
        {"Start": f"2026-03-0{day}", "End": f"2026-03-0{day + 1}"} for day in (2, 3, 4)
    ]


def test_amounts_are_strings_of_dollars_and_match_the_bill(world: World, ce: Any) -> None:
    """At most ten decimals, no trailing zeros (a real answer of 2024; botocore, MetricValue)."""
    settled(world)
    bill = Decimal(world.truth()["account_usd"])
    total = ask(ce, date(2026, 3, 2), date(2026, 3, 6))["ResultsByTime"]
    amounts = [one["Total"]["UnblendedCost"]["Amount"] for one in total]
    assert amounts[1:] == ["0", "0", "0"]
    assert all(one["Total"]["UnblendedCost"]["Unit"] == "USD" for one in total)
    assert len(amounts[0].partition(".")[2]) <= 10
    assert abs(Decimal(amounts[0]) - bill) < Decimal("1e-9")


def test_costs_are_grouped_by_up_to_two_dimensions(world: World, ce: Any) -> None:
    """Each group has its keys in the order asked, Total is empty beside groups (a real answer of 2024)."""
    settled(world)
    answer = ask(ce, date(2026, 3, 2), date(2026, 3, 4), "SERVICE", "USAGE_TYPE")
    first, second = answer["ResultsByTime"]
    assert set(costs(first)) == {
        (COMPUTE, "BoxUsage:g5.xlarge"),
        (OTHER, "EBS:VolumeUsage.gp3"),
        ("Amazon Virtual Private Cloud", "USE1-PublicIPv4:InUseAddress"),
    }
    assert abs(costs(first)[COMPUTE, "BoxUsage:g5.xlarge"] - billed(world, "BoxUsage:g5.xlarge")) < Decimal(
        "1e-9"
    )
    assert (first["Total"], second["Groups"]) == ({}, [])
    assert answer["GroupDefinitions"][0] == {"Type": "DIMENSION", "Key": "SERVICE"}
    with pytest.raises(ClientError, match="ValidationException"):
        ask(ce, date(2026, 3, 2), date(2026, 3, 4), "SERVICE", "USAGE_TYPE", "REGION")


def test_costs_are_grouped_by_region_instance_type_and_record_type(world: World, ce: Any) -> None:
    """What is no instance has NoInstanceType (botocore, GroupDefinition)."""
    settled(world, region="us-west-2")
    (day,) = ask(ce, date(2026, 3, 2), date(2026, 3, 3), "INSTANCE_TYPE", "RECORD_TYPE")["ResultsByTime"]
    assert set(costs(day)) == {("g5.xlarge", "Usage"), ("NoInstanceType", "Usage")}
    (day,) = ask(ce, date(2026, 3, 2), date(2026, 3, 3), "REGION")["ResultsByTime"]
    assert set(costs(day)) == {("us-west-2",)}


def test_months_are_whole_or_as_far_as_they_are_asked_for(world: World, ce: Any) -> None:
    """MONTHLY results end with their month or with the period (botocore, Granularity)."""
    settled(world)
    answer = ask(ce, date(2026, 2, 10), date(2026, 3, 20), Granularity="MONTHLY")
    assert [tuple(one["TimePeriod"].values()) for one in answer["ResultsByTime"]] == [
        ("2026-02-10", "2026-03-01"),
        ("2026-03-01", "2026-03-20"),
    ]
    assert Decimal(answer["ResultsByTime"][1]["Total"]["UnblendedCost"]["Amount"]) > 20


def test_filters_combine_and_or_and_not(world: World, ce: Any) -> None:
    """Dimensions with any of their values, nested as wanted (botocore, Expression)."""
    settled(world)
    compute = {"Dimensions": {"Key": "SERVICE", "Values": [COMPUTE]}}
    other = {"Dimensions": {"Key": "SERVICE", "Values": [OTHER]}}
    here = {"Dimensions": {"Key": "REGION", "Values": ["us-east-1"]}}

    def services(wanted: dict[str, Any]) -> set[tuple[str, ...]]:
        answer = ask(ce, date(2026, 3, 2), date(2026, 3, 3), "SERVICE", Filter=wanted)
        return set(costs(answer["ResultsByTime"][0]))

    assert services(compute) == {(COMPUTE,)}
    assert services({"Or": [compute, other]}) == {(COMPUTE,), (OTHER,)}
    assert services({"And": [here, {"Not": compute}]}) == {(OTHER,), ("Amazon Virtual Private Cloud",)}
    for wrong in (
        {"And": [here]},
        compute | {"Not": other},
        {"Dimensions": {"Key": "SCOPE", "Values": ["x"]}},
    ):
        with pytest.raises(ClientError, match="ValidationException"):
            services(wrong)


@pytest.mark.parametrize(
    "start, end, words",
    [
        (date(2026, 3, 3), date(2026, 3, 3), "should be before end date"),
        (date(2026, 3, 2), date(2026, 4, 2), "past the beginning of next month"),
        (date(2025, 1, 1), date(2026, 3, 3), "14 months"),
        (date(2026, 3, 20), date(2026, 3, 21), "after the current date"),
    ],
)
def test_periods_without_data_are_refused(ce: Any, start: date, end: date, words: str) -> None:
    """ValidationException names the date that is wrong (aws-sdk-js issue 2732; instance-watcher issue 18)."""
    with pytest.raises(ClientError, match=words) as caught:
        ask(ce, start, end)
    assert caught.value.response["Error"]["Code"] == "ValidationException"


def test_the_open_month_is_estimated_and_the_last_one_final_after_some_days(world: World, ce: Any) -> None:
    """Every day of it, also settled ones (Cost Management guide; a real answer of 2024: all of April on the 27th)."""
    settled(world)
    assert {one["Estimated"] for one in ask(ce, date(2026, 3, 2), date(2026, 3, 8))["ResultsByTime"]} == {
        True
    }
    world.advance(40 * DAY)
    results = ask(ce, date(2026, 3, 30), date(2026, 4, 3))["ResultsByTime"]
    assert [one["Estimated"] for one in results] == [False, False, True, True]


def test_costs_are_eight_to_twenty_four_hours_late(world: World, ce: Any) -> None:
    """Nothing of the last 8 hours is known, everything older than 24 is (Cost Management guide: refreshed within 24
    hours)."""
    world.start_box("g5.xlarge")
    only = {"Filter": {"Dimensions": {"Key": "SERVICE", "Values": [COMPUTE]}}}
    for _ in range(12):
        world.advance(5 * HOUR)
        results = ask(ce, date(2026, 3, 2), date(2026, 3, 6), **only)["ResultsByTime"]
        known = sum(Decimal(one["Total"]["UnblendedCost"]["Amount"]) for one in results) / Decimal("1.006")
        hours = Decimal((world.now - START).total_seconds()) / 3600
        assert max(hours - 26, Decimal(0)) * Decimal("0.9") < known + Decimal("0.1")
        assert known <= max(hours - 8, Decimal(0))


def test_costs_are_refreshed_at_most_three_times_a_day(world: World, ce: Any) -> None:
    """Between two refreshes the answer does not move (Billing guide: updated up to three times daily)."""
    world.start_box("g5.xlarge")
    world.advance(2 * DAY)
    seen = []
    for _ in range(24):
        seen.append(str(ask(ce, date(2026, 3, 2), date(2026, 3, 6), "SERVICE")["ResultsByTime"][:3]))
        world.advance(HOUR)
    changes = sum(before != after for before, after in pairwise(seen))
    assert 1 <= changes <= 3


def test_late_costs_still_grow_and_settle_after_three_days() -> None:
    """Some lines of a day are incomplete at first and never change after 72 hours (Billing guide, estimated charges)."""
    grew = 0
    for seed in range(6):
        with World(seed=seed, start=START) as world:
            client = world.session().client("ce")
            box = world.start_box("g5.xlarge")
            world.advance(DAY)
            world.boxes.end(box, by="test")
            world.advance(DAY)
            early = ask(client, date(2026, 3, 2), date(2026, 3, 3))["ResultsByTime"][0]["Total"]
            world.advance(3 * DAY)
            late = ask(client, date(2026, 3, 2), date(2026, 3, 3))["ResultsByTime"][0]["Total"]
            world.advance(10 * DAY)
            assert ask(client, date(2026, 3, 2), date(2026, 3, 3))["ResultsByTime"][0]["Total"] == late
            grew += Decimal(early["UnblendedCost"]["Amount"]) < Decimal(late["UnblendedCost"]["Amount"])
    assert grew > 0


def test_small_pages_hold_the_same_groups(world: World, ce: Any) -> None:
    """NextPageToken leads on, a day may go on on the next page; the token is good for its own question alone (botocore,
    InvalidNextTokenException and RequestChangedException)."""
    settled(world)
    whole = ask(ce, date(2026, 3, 2), date(2026, 3, 4), "SERVICE")["ResultsByTime"]
    world.ce_page_size = 2
    first = ask(ce, date(2026, 3, 2), date(2026, 3, 4), "SERVICE")
    token = first["NextPageToken"]
    second = ask(ce, date(2026, 3, 2), date(2026, 3, 4), "SERVICE", NextPageToken=token)
    assert "NextPageToken" not in second
    merged = costs(first["ResultsByTime"][0]) | costs(second["ResultsByTime"][0])
    assert merged == costs(whole[0])
    assert second["ResultsByTime"][0]["TimePeriod"] == first["ResultsByTime"][0]["TimePeriod"]
    with pytest.raises(ClientError, match="RequestChangedException"):
        ask(ce, date(2026, 3, 2), date(2026, 3, 4), "REGION", NextPageToken=token)
    with pytest.raises(ClientError, match="InvalidNextTokenException"):
        ask(ce, date(2026, 3, 2), date(2026, 3, 4), "SERVICE", NextPageToken="mine")


def test_each_request_and_page_costs_a_cent_and_shows_in_a_later_bill(world: World, ce: Any) -> None:
    """Cost Explorer bills itself, a day late like all else (Cost Explorer pricing)."""
    for _ in range(3):
        ask(ce, date(2026, 3, 1), date(2026, 3, 3))
    truth = world.truth()
    assert truth["paid_requests"]["cost_explorer"] == 3
    assert truth["bill"]["services"] == {"AWS Cost Explorer": "0.03"}
    world.advance(5 * DAY)
    only = {"Filter": {"Dimensions": {"Key": "SERVICE", "Values": ["AWS Cost Explorer"]}}}
    (day,) = ask(ce, date(2026, 3, 2), date(2026, 3, 3), "USAGE_TYPE", **only)["ResultsByTime"]
    assert costs(day) == {("USE1-APIRequest",): Decimal("0.03")}


def test_credits_hide_what_was_spent_unless_record_types_are_told_apart(world: World, ce: Any) -> None:
    """A credit is a negative amount beside its usage, until it is used up (Billing guide, "Applying AWS credits")."""
    world.grant_credit(30)
    box = world.start_box("g5.xlarge")
    world.advance(2 * DAY)
    world.boxes.end(box, by="test")
    world.advance(5 * DAY)
    first, second = ask(ce, date(2026, 3, 2), date(2026, 3, 4))["ResultsByTime"]
    assert first["Total"]["UnblendedCost"]["Amount"] == "0"
    assert 0 < Decimal(second["Total"]["UnblendedCost"]["Amount"]) < A_DAY
    first, second = ask(ce, date(2026, 3, 2), date(2026, 3, 4), "RECORD_TYPE")["ResultsByTime"]
    assert costs(first)["Credit",] == -costs(first)["Usage",]
    assert costs(first)["Credit",] + costs(second)["Credit",] == -30
    usage = {"Not": {"Dimensions": {"Key": "RECORD_TYPE", "Values": ["Credit", "Refund"]}}}
    first, _ = ask(ce, date(2026, 3, 2), date(2026, 3, 4), Filter=usage)["ResultsByTime"]
    assert Decimal(first["Total"]["UnblendedCost"]["Amount"]) > A_DAY - 1


def test_a_refund_is_a_negative_amount_on_its_day(world: World, ce: Any) -> None:
    """RECORD_TYPE Refund (Cost Management guide, charge types)."""
    world.grant_credit(Decimal("12.5"), "Refund")
    world.advance(3 * DAY)
    (day,) = ask(ce, date(2026, 3, 2), date(2026, 3, 3), "RECORD_TYPE")["ResultsByTime"]
    assert costs(day) == {("Refund",): Decimal("-12.5")}


def test_tags_are_told_apart_once_they_are_activated(world: World, ce: Any) -> None:
    """A tag that is not activated for cost allocation is unknown to Cost Explorer, and usage from before stays without
    (Billing guide, "Activating user-defined cost allocation tags")."""
    box = world.start_box("g5.xlarge", tags={"curfew:owner": "ada"})
    world.advance(2 * DAY)
    ce.update_cost_allocation_tags_status(
        CostAllocationTagsStatus=[{"TagKey": "curfew:owner", "Status": "Active"}]
    )
    assert ce.list_cost_allocation_tags()["CostAllocationTags"][0]["TagKey"] == "curfew:owner"
    world.advance(DAY)
    world.boxes.end(box, by="test")
    world.advance(5 * DAY)
    results = ask(ce, date(2026, 3, 3), date(2026, 3, 5), "tag:curfew:owner")["ResultsByTime"]
    assert [set(costs(one)) for one in results] == [
        {("curfew:owner$",)},
        {("curfew:owner$",), ("curfew:owner$ada",)},
    ]
    mine = {"Tags": {"Key": "curfew:owner", "Values": ["ada"]}}
    (day,) = ask(ce, date(2026, 3, 4), date(2026, 3, 5), "SERVICE", Filter=mine)["ResultsByTime"]
    assert set(costs(day)) == {(COMPUTE,), ("Amazon Virtual Private Cloud",)}


def test_usage_is_summed_in_its_unit(world: World, ce: Any) -> None:
    """Hours of one usage type are hours; hours and gigabytes together have no unit (botocore, GetCostAndUsage)."""
    settled(world)
    more = {"Metrics": ["UsageQuantity", "UNBLENDED_COST"]}
    (day,) = ask(ce, date(2026, 3, 2), date(2026, 3, 3), "USAGE_TYPE", **more)["ResultsByTime"]
    units = {group["Keys"][0]: group["Metrics"]["UsageQuantity"] for group in day["Groups"]}
    assert units["BoxUsage:g5.xlarge"]["Unit"] == "Hrs"
    assert 22 < Decimal(units["BoxUsage:g5.xlarge"]["Amount"]) < 23
    (day,) = ask(ce, date(2026, 3, 2), date(2026, 3, 3), **more)["ResultsByTime"]
    assert day["Total"]["UsageQuantity"]["Unit"] == "N/A"


def test_cost_explorer_must_be_switched_on_and_takes_a_day() -> None:
    """AccessDeniedException before, DataUnavailableException for a day after (aws-cost-explorer-report issue 15)."""
    with World(cost_explorer=False, start=START) as world:
        client = world.session().client("ce")
        with pytest.raises(ClientError, match="User not enabled") as caught:
            ask(client, date(2026, 3, 1), date(2026, 3, 3))
        assert caught.value.response["Error"]["Code"] == "AccessDeniedException"
        world.switch_cost_explorer(on=True)
        with pytest.raises(ClientError, match="DataUnavailableException"):
            ask(client, date(2026, 3, 1), date(2026, 3, 3))
        world.advance(DAY)
        assert len(ask(client, date(2026, 3, 1), date(2026, 3, 3))["ResultsByTime"]) == 2
        assert world.truth()["paid_requests"]["cost_explorer"] == 1


def test_hourly_data_must_be_switched_on_and_goes_back_two_weeks(world: World, ce: Any) -> None:
    """Hours are refused until then (Cost Explorer pricing, hourly granularity: 14 days)."""
    world.start_box("g5.xlarge")
    world.advance(3 * DAY)
    span = {
        "TimePeriod": {"Start": "2026-03-02T00:00:00Z", "End": "2026-03-02T03:00:00Z"},
        "Granularity": "HOURLY",
        "Metrics": ["UnblendedCost"],
    }
    with pytest.raises(ClientError, match="DataUnavailableException"):
        ce.get_cost_and_usage(**span)
    world.ce_hourly = True
    results = ce.get_cost_and_usage(**span)["ResultsByTime"]
    assert [one["TimePeriod"]["Start"] for one in results] == [
        f"2026-03-02T0{hour}:00:00Z" for hour in range(3)
    ]
    assert Decimal(results[1]["Total"]["UnblendedCost"]["Amount"]) > Decimal("1.006")
    world.advance(14 * DAY)
    with pytest.raises(ClientError, match="14 days"):
        ce.get_cost_and_usage(**span)


def test_throttling_is_a_limit_exceeded_exception(world: World, ce: Any) -> None:
    """What is refused costs nothing (botocore, LimitExceededException)."""
    world.fault(service="ce", operation="GetCostAndUsage", code="LimitExceededException")
    with pytest.raises(ClientError, match="LimitExceededException"):
        ask(ce, date(2026, 3, 1), date(2026, 3, 3))
    assert world.truth()["paid_requests"]["cost_explorer"] == 0


def test_the_values_of_a_dimension_are_listed(world: World, ce: Any) -> None:
    """Those that occur in the period, searched by a part, paged (botocore, GetDimensionValues)."""
    settled(world)
    period = {"Start": "2026-03-02", "End": "2026-03-03"}
    answer = ce.get_dimension_values(TimePeriod=period, Dimension="SERVICE")
    assert [one["Value"] for one in answer["DimensionValues"]] == [
        COMPUTE,
        "Amazon Virtual Private Cloud",
        OTHER,
    ]
    assert (answer["ReturnSize"], answer["TotalSize"]) == (3, 3)
    found = ce.get_dimension_values(TimePeriod=period, Dimension="SERVICE", SearchString="cloud")
    assert len(found["DimensionValues"]) == 2
    world.ce_page_size = 1
    paged = ce.get_dimension_values(TimePeriod=period, Dimension="SERVICE")
    assert (paged["ReturnSize"], paged["TotalSize"], bool(paged["NextPageToken"])) == (1, 3, True)
    with pytest.raises(ClientError, match="ValidationException"):
        ce.get_dimension_values(TimePeriod=period, Dimension="CACHE_ENGINE")


def test_a_forecast_needs_a_full_month_of_bills_and_looks_ahead(world: World, ce: Any) -> None:
    """Insufficient data at first, then a mean within its bounds, never of the past (instance-watcher issues 13 and 38;
    botocore, GetCostForecast)."""
    world.start_box("g5.xlarge")
    span = {"TimePeriod": {"Start": "2026-03-03", "End": "2026-04-01"}, "Metric": "UNBLENDED_COST"}
    world.advance(DAY)
    with pytest.raises(ClientError, match="Insufficient amount of historical data") as caught:
        ce.get_cost_forecast(**span, Granularity="DAILY")
    assert caught.value.response["Error"]["Code"] == "DataUnavailableException"
    world.advance(60 * DAY)
    with pytest.raises(ClientError, match="ValidationException"):
        ce.get_cost_forecast(**span, Granularity="DAILY")
    span["TimePeriod"] = {"Start": "2026-05-10", "End": "2026-05-20"}
    answer = ce.get_cost_forecast(**span, Granularity="DAILY")
    days = answer["ForecastResultsByTime"]
    assert len(days) == 10
    assert Decimal(days[0]["PredictionIntervalLowerBound"]) <= Decimal(days[0]["MeanValue"])
    assert abs(Decimal(answer["Total"]["Amount"]) - 10 * A_DAY) < 10
    (month,) = ce.get_cost_forecast(**span, Granularity="MONTHLY")["ForecastResultsByTime"]
    assert abs(Decimal(month["MeanValue"]) - Decimal(answer["Total"]["Amount"])) < Decimal("0.01")
    with pytest.raises(ClientError, match="MONTHLY"):
        ce.get_cost_forecast(**span, Granularity="HOURLY")


def test_the_answers_depend_on_the_seed_alone() -> None:
    """Two worlds with one seed answer alike."""

    def answer() -> str:
        with World(seed=3, start=START) as world:
            world.start_box("g5.xlarge", market="one-time")
            world.advance(3 * DAY)
            asked = ask(world.session().client("ce"), date(2026, 3, 2), date(2026, 3, 6), "USAGE_TYPE")
            return str(asked["ResultsByTime"])

    assert answer() == answer()


def test_cost_explorer_is_reached_from_any_region(world: World) -> None:
    """Its one endpoint is in us-east-1, where botocore sends every client (Cost Management guide, service endpoint)."""
    elsewhere = world.session("us-west-2").client("ce")
    assert ask(elsewhere, date(2026, 3, 1), date(2026, 3, 3))["ResultsByTime"]


def shape(value: Any) -> Any:
    """The names and kinds of a JSON document, lists by their first item."""
    if isinstance(value, dict):
        return {key: shape(one) for key, one in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return type(value).__name__


def test_an_answer_has_the_shape_of_a_real_one(world: World, ce: Any) -> None:
    """Names, nesting, and amounts as strings (a real answer of 2024, daily by service)."""
    folder = Path(os.environ.get("CURFEW_DATA_DIR", Path(__file__).parents[3] / "shared" / "data"))
    real = folder / "billing" / "get_cost_and_usage_daily_by_service_2024.json"
    if not real.exists():
        pytest.skip(f"no real answer at {real}: CURFEW_DATA_DIR says where it is")
    settled(world)
    answer = ask(ce, date(2026, 3, 2), date(2026, 3, 4), "SERVICE")
    theirs = json.loads(real.read_text(encoding="utf-8"))["ResultsByTime"]
    assert shape(answer["ResultsByTime"][0]) == shape(theirs[0])
    names = {group["Keys"][0] for day in theirs for group in day["Groups"]}
    assert {COMPUTE, OTHER, "Amazon Virtual Private Cloud", "AWS Cost Explorer", "AmazonCloudWatch"} <= names
