"""GetCostAndUsage, GetCostForecast, GetDimensionValues and the activation of cost allocation tags.

A page holds `World.ce_page_size` rows: groups of one period, or periods without groups. AWS does not say where its
pages end; here one may end within a period, whose groups then go on on the next page under the same dates.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from hashlib import sha256
from itertools import groupby
from statistics import NormalDist, fmean, pstdev
from typing import Any

from localaws.errors import AwsError
from localaws.money.cost_explorer import CostExplorer
from localaws.money.cost_periods import (
    HOURS_KEPT,
    Period,
    check_granularity,
    interval,
    months_before,
    of_the_past,
    split,
    step_of,
)
from localaws.money.cost_query import (
    QUANTITY,
    Grouping,
    amount,
    dimension,
    grouped,
    invalid,
    metric_names,
    passes,
    totals,
)
from localaws.money.daily import DAY, Entry, midnight
from localaws.operations import Call, operation

Row = tuple[Period, tuple[str, ...] | None, dict[str, Any]]


@operation("ce", "GetCostAndUsage")
def get_cost_and_usage(call: Call) -> dict[str, Any]:
    """Costs by period and group, the end exclusive, amounts as strings, estimated while the month is open."""
    params = call.params
    explorer = CostExplorer(call.world)
    granularity = check_granularity(params.get("Granularity"))
    whole = of_the_past(params["TimePeriod"], call.world.now)
    if granularity == "HOURLY":
        _check_hourly(call, whole)
    asked = Question(
        explorer,
        metric_names(params.get("Metrics", [])),
        Grouping(tuple(params.get("GroupBy", [])), explorer.tags),
        params.get("Filter"),
    )
    rows, token = _page(call, list(asked.rows(whole, granularity)))
    answer = {"ResultsByTime": asked.results(rows), "DimensionValueAttributes": []}
    if params.get("GroupBy"):
        answer["GroupDefinitions"] = params["GroupBy"]
    return answer | ({"NextPageToken": token} if token else {})


@dataclass(frozen=True, slots=True)
class Question:
    """One GetCostAndUsage: what is looked at, how it is grouped, what is summed."""

    explorer: CostExplorer
    metrics: list[str]
    grouping: Grouping
    filter: dict[str, Any] | None

    def rows(self, whole: Period, granularity: str) -> Iterator[Row]:
        """A row for each period, or for each group of it; a period without any has one without keys."""
        known: dict[datetime, list[Entry]] = defaultdict(list)
        for entry in self.explorer.entries(whole.start, step_of(granularity)):
            if whole.holds(entry.at) and passes(entry, self.filter, self.explorer.tags):
                known[entry.at].append(entry)
        for period in split(whole, granularity):
            inside = [entry for at in sorted(known) if period.holds(at) for entry in known[at]]
            if not self.grouping.definitions or not inside:
                yield period, None, totals(inside, self.metrics)
                continue
            for keys, sums in grouped(inside, self.grouping, self.metrics).items():
                yield period, keys, sums

    def results(self, rows: list[Row]) -> list[dict[str, Any]]:
        return [self._result(period, list(some)) for period, some in groupby(rows, key=lambda row: row[0])]

    def _result(self, period: Period, rows: list[Row]) -> dict[str, Any]:
        groups = [{"Keys": list(keys), "Metrics": sums} for _, keys, sums in rows if keys is not None]
        return {
            "TimePeriod": period.shown(),
            "Total": {} if groups else rows[0][2],
            "Groups": groups,
            "Estimated": self.explorer.bill.is_estimate((period.end - step_of("HOURLY")).date()),
        }


def _check_hourly(call: Call, whole: Period) -> None:
    if not call.world.ce_hourly:
        raise AwsError(
            "DataUnavailableException", "Hourly data is not enabled in the Cost Management preferences"
        )
    if call.world.now - whole.start > HOURS_KEPT:
        raise invalid("Start date is more than 14 days ago for hourly granularity")


def _page(call: Call, rows: list[Any]) -> tuple[list[Any], str | None]:
    """One page; its token is good for the same question only (botocore, RequestChangedException)."""
    question = {key: value for key, value in call.params.items() if key != "NextPageToken"}
    mark = sha256(json.dumps(question, sort_keys=True).encode()).hexdigest()[:16]
    start, token = 0, call.params.get("NextPageToken")
    if token:
        known, _, number = token.partition(".")
        if not number.isdigit():
            raise AwsError("InvalidNextTokenException", "The pagination token is invalid.")
        if known != mark:
            raise AwsError("RequestChangedException", "Your request parameters changed between pages.")
        start = int(number)
    end = start + call.world.ce_page_size
    return rows[start:end], f"{mark}.{end}" if end < len(rows) else None


@operation("ce", "GetDimensionValues")
def get_dimension_values(call: Call) -> dict[str, Any]:
    """The values that a dimension has in a time, by name."""
    params = call.params
    explorer = CostExplorer(call.world)
    whole = of_the_past(params["TimePeriod"], call.world.now)
    value_of = dimension(params["Dimension"])
    searched = params.get("SearchString", "").lower()
    values = sorted(
        {
            value_of(entry)
            for entry in explorer.entries(whole.start)
            if whole.holds(entry.at) and passes(entry, params.get("Filter"), explorer.tags)
        }
    )
    found = [value for value in values if searched in value.lower()]
    some, token = _page(call, found)
    answer: dict[str, Any] = {
        "DimensionValues": [{"Value": value, "Attributes": {}} for value in some],
        "ReturnSize": len(some),
        "TotalSize": len(found),
    }
    return answer | ({"NextPageToken": token} if token else {})


@operation("ce", "GetCostForecast")
def get_cost_forecast(call: Call) -> dict[str, Any]:
    """The mean of the last thirty days that are known, with its spread; AWS's own model is not public.

    An account needs a full month of bills behind it (Cost Management guide, "Forecasting with Cost Explorer").
    """
    params = call.params
    explorer = CostExplorer(call.world)
    granularity = check_granularity(params.get("Granularity"))
    if granularity == "HOURLY":
        raise invalid("Granularity should be either 'MONTHLY' or 'DAILY'")
    if metric_names([params.get("Metric", "")]) == [QUANTITY]:
        raise invalid("Metric must be one of costs: a forecast of usage is GetUsageForecast")
    whole = interval(params["TimePeriod"])
    if whole.start < midnight(call.world.now.date()):
        raise invalid("Forecast start date must not be before the current date")
    if explorer.first_day() > months_before(call.world.now, 1):
        raise AwsError("DataUnavailableException", "Insufficient amount of historical data.")
    costs = _daily_costs(explorer, call, params.get("Filter"))
    mean, spread = Decimal(str(fmean(costs))), Decimal(str(pstdev(costs)))
    level = NormalDist().inv_cdf(0.5 + (params.get("PredictionIntervalLevel") or 80) / 200)
    periods = list(split(whole, granularity))
    return {
        "Total": {"Amount": amount(mean * ((whole.end - whole.start) // DAY)), "Unit": "USD"},
        "ForecastResultsByTime": [
            _forecast(one, mean, spread * Decimal(str(round(level, 4)))) for one in periods
        ],
    }


def _daily_costs(explorer: CostExplorer, call: Call, wanted: dict[str, Any] | None) -> list[float]:
    last = midnight(explorer.bill.refreshed_at.date()) - DAY
    days = {last - DAY * number: Decimal(0) for number in range(30)}
    for entry in explorer.entries(min(days)):
        if entry.at in days and passes(entry, wanted, explorer.tags):
            days[entry.at] += entry.usd
    return [float(usd) for usd in days.values()]


def _forecast(period: Period, mean: Decimal, margin: Decimal) -> dict[str, Any]:
    days = (period.end - period.start) // DAY
    return {
        "TimePeriod": period.shown(),
        "MeanValue": amount(mean * days),
        "PredictionIntervalLowerBound": amount(max((mean - margin) * days, Decimal(0))),
        "PredictionIntervalUpperBound": amount((mean + margin) * days),
    }


@operation("ce", "UpdateCostAllocationTagsStatus")
def update_cost_allocation_tags_status(call: Call) -> dict[str, Any]:
    """From now on costs can be told apart by these tags; what was billed before can not (Cost Management guide)."""
    tags = call.world.account.cost_tags
    for one in call.params["CostAllocationTagsStatus"]:
        if one["Status"] == "Active":
            tags.setdefault(one["TagKey"], call.world.now)
        else:
            tags.pop(one["TagKey"], None)
    return {"Errors": []}


@operation("ce", "ListCostAllocationTags")
def list_cost_allocation_tags(call: Call) -> dict[str, Any]:
    """Those that are active."""
    tags = call.world.account.cost_tags.items()
    return {
        "CostAllocationTags": [
            {
                "TagKey": key,
                "Type": "UserDefined",
                "Status": "Active",
                "LastUpdatedDate": f"{since:%Y-%m-%dT%H:%M:%SZ}",
            }
            for key, since in tags
        ]
    }
