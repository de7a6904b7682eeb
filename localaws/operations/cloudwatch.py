"""GetMetricData, GetMetricStatistics and ListMetrics for the metrics of the world's boxes; others are moto's."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from botocore.utils import parse_timestamp

from localaws.ec2.metrics import NAMESPACES, STATISTICS, Series, datapoints, find_series, series_of
from localaws.errors import AwsError
from localaws.load import align_down
from localaws.model import Box
from localaws.operations import Call, operation

MOST_QUERIES = 500
Span = tuple[datetime, datetime]


@operation("cloudwatch", "GetMetricData")
def get_metric_data(call: Call) -> dict[str, Any] | None:
    """At most 500 queries; newest first unless ScanBy says otherwise (botocore, GetMetricData)."""
    queries = call.params.get("MetricDataQueries", [])
    if len(queries) > MOST_QUERIES:
        raise AwsError(
            "ValidationError",
            f"The collection MetricDataQueries must not have a size greater than {MOST_QUERIES}.",
        )
    if not all(_is_ours(query) for query in queries):
        return None
    start, end = moment(call.params["StartTime"]), moment(call.params["EndTime"])
    if start >= end:
        raise AwsError("ValidationError", "The parameter StartTime must be less than the parameter EndTime.")
    newest_first = call.params.get("ScanBy", "TimestampDescending") == "TimestampDescending"
    return {
        "MetricDataResults": [
            _result(call, query, (start, end), newest_first=newest_first)
            for query in queries
            if query.get("ReturnData", True)
        ],
        "Messages": [],
    }


def _is_ours(query: dict[str, Any]) -> bool:
    return query.get("MetricStat", {}).get("Metric", {}).get("Namespace") in NAMESPACES


def _result(call: Call, query: dict[str, Any], span: Span, *, newest_first: bool) -> dict[str, Any]:
    stat = query["MetricStat"]
    series = _series(call, stat["Metric"])
    points = _points(call, series, span, int(stat["Period"]), stat["Stat"])
    if newest_first:
        points.reverse()
    return {
        "Id": query["Id"],
        "Label": query.get("Label", stat["Metric"]["MetricName"]),
        "Timestamps": [at for at, _ in points],
        "Values": [value for _, value in points],
        "StatusCode": "Complete",
    }


@operation("cloudwatch", "GetMetricStatistics")
def get_metric_statistics(call: Call) -> dict[str, Any] | None:
    params = call.params
    if params["Namespace"] not in NAMESPACES:
        return None
    start, end, period = moment(params["StartTime"]), moment(params["EndTime"]), int(params["Period"])
    series = _series(call, params)
    rows: dict[datetime, dict[str, Any]] = {}
    for statistic in params.get("Statistics", []):
        for at, value in _points(call, series, (start, end), period, statistic):
            rows.setdefault(at, {"Timestamp": at, "Unit": series.unit if series else "None"})[statistic] = (
                value
            )
    return {"Label": params["MetricName"], "Datapoints": list(rows.values())}


@operation("cloudwatch", "ListMetrics")
def list_metrics(call: Call) -> dict[str, Any] | None:
    params = call.params
    if params.get("Namespace") not in NAMESPACES:
        return None
    wanted = {one["Name"]: one.get("Value") for one in params.get("Dimensions", [])}
    found = [
        series
        for box in call.world.boxes
        if box.region == call.region and wanted.get("InstanceId") in (None, box.id)
        for series in series_of(box)
        if series.namespace == params["Namespace"]
        and series.name == params.get("MetricName", series.name)
        and all(
            series.dimensions.get(k) is not None and v in (None, series.dimensions[k])
            for k, v in wanted.items()
        )
        and series.has_samples()
    ]
    return {
        "Metrics": [
            {
                "Namespace": series.namespace,
                "MetricName": series.name,
                "Dimensions": [{"Name": name, "Value": value} for name, value in series.dimensions.items()],
            }
            for series in found
        ]
    }


def _series(call: Call, metric: dict[str, Any]) -> Series | None:
    dimensions = {one["Name"]: one["Value"] for one in metric.get("Dimensions", [])}
    boxes = call.world.boxes

    def named(of: dict[str, str]) -> Box | None:
        if "host" not in of:
            return boxes.ever(of.get("InstanceId", ""), call.region)
        return next(
            (box for box in boxes if box.region == call.region and box.moto.private_dns_name == of["host"]),
            None,
        )

    return find_series(named, metric["Namespace"], metric["MetricName"], dimensions)


def _points(
    call: Call, series: Series | None, span: Span, period: int, statistic: str
) -> list[tuple[datetime, float]]:
    if statistic not in STATISTICS:
        raise AwsError("ValidationError", f"The statistic {statistic} is not known here")
    if series is None:
        return []
    # A sample is there once its moment is past; a point carries the start of its period.
    return list(
        datapoints(series, align_down(span[0], period), min(span[1], call.world.now), period, statistic)
    )


def moment(value: datetime | float | str) -> datetime:
    """A time as JSON sends it, seconds since 1970 or ISO 8601, or as `query` is read: naive UTC."""
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC)
    return parse_timestamp(value).astimezone(UTC)  # type: ignore[arg-type]
