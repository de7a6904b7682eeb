"""Metrics from CloudWatch: as few as the question allows, because AWS bills by the metric asked for."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal

from chalicelib.domain.errors import Unavailable
from chalicelib.domain.evidence import Series
from chalicelib.domain.metrics import GPU_METRIC, GPU_NAMESPACE, Dimensions, Metric, all_gpus
from chalicelib.gateways.aws import AWS_ERRORS, Aws, explain, unavailable

SOURCE = "GPU"
QUERIES_A_CALL = 500
UNANSWERED = frozenset({"InternalError", "Forbidden"})
"""Status codes of a metric within an answer that say nothing of the metric (botocore, MetricDataResult)."""
RECENTLY: Literal["PT3H"] = "PT3H"
"""ListMetrics knows this one span: what had samples within it."""

Samples = tuple[tuple[datetime, float], ...]

log = logging.getLogger(__name__)


class CloudWatchMetrics:
    """Metrics of CloudWatch."""

    def __init__(self, aws: Aws) -> None:
        self._aws = aws

    def gpu_use(
        self, region: str, instance_ids: Collection[str], *, since: datetime, until: datetime
    ) -> Mapping[str, tuple[Series, ...]]:
        """The highest GPU duty cycle of each instance per period: no series where it has no such metric, no entry where
        CloudWatch did not say.

        What part of CloudWatch answers is returned: silence is never taken for idleness. Raises Unavailable only where
        nothing was answered.
        """
        metrics = {one: all_gpus(one) for one in dict.fromkeys(instance_ids)}
        told = self.read(region, list(metrics.values()), since=since, until=until)
        return {
            one: (Series(source=SOURCE, samples=told[metric]),) if told[metric] else ()
            for one, metric in metrics.items()
            if metric in told
        }

    def read(
        self, region: str, wanted: Collection[Metric], *, since: datetime, until: datetime
    ) -> Mapping[Metric, Samples]:
        """The samples of each metric, of whole periods from the one that `since` falls in: none where it has none, no
        entry where CloudWatch did not say. Raises Unavailable only where nothing was answered."""
        if since >= until:
            return {}
        metrics = list(dict.fromkeys(wanted))
        found: dict[Metric, Samples] = {}
        failures: list[Unavailable] = []
        parts = [metrics[start : start + QUERIES_A_CALL] for start in range(0, len(metrics), QUERIES_A_CALL)]
        for part in parts:
            try:
                found |= self._ask(region, part, since=since, until=until)
            except AWS_ERRORS as error:
                log.warning(
                    "GetMetricData in %s failed for %d metrics: %s", region, len(part), explain(error)
                )
                failures.append(unavailable(f"asking CloudWatch in {region}", error))
        if failures and len(failures) == len(parts):
            raise failures[0]
        return found

    def list_gpus(self, region: str) -> tuple[Dimensions, ...]:
        """The dimensions of every GPU metric with samples in the last three hours, all pages. Raises Unavailable."""
        paginator = self._aws.cloudwatch(region).get_paginator("list_metrics")
        pages = paginator.paginate(Namespace=GPU_NAMESPACE, MetricName=GPU_METRIC, RecentlyActive=RECENTLY)
        try:
            listed = [one for page in pages for one in page.get("Metrics") or []]
        except AWS_ERRORS as error:
            raise unavailable(f"asking CloudWatch in {region} which GPUs send metrics", error) from error
        return tuple(
            tuple(sorted((str(part["Name"]), str(part["Value"])) for part in one.get("Dimensions") or []))
            for one in listed
        )

    def network_out(
        self, region: str, instance_ids: Collection[str], *, since: datetime, until: datetime
    ) -> Mapping[str, int]:
        """Bytes that each instance has sent; all or nothing, so that no part is taken for known that is not."""
        if since >= until:
            return {}
        ids = list(dict.fromkeys(instance_ids))
        sent = dict.fromkeys(ids, 0)
        for start in range(0, len(ids), QUERIES_A_CALL):
            part = ids[start : start + QUERIES_A_CALL]
            queries = [_query(f"m{number}", _network_out(one)) for number, one in enumerate(part)]
            try:
                for result in self._results(region, queries, since=since, until=until):
                    if result.get("StatusCode") in UNANSWERED:
                        raise Unavailable(
                            f"asking CloudWatch in {region} what was sent: {result['StatusCode']}"
                        )
                    number = str(result.get("Id") or "")
                    if number[:1] == "m" and int(number[1:]) < len(part):
                        sent[part[int(number[1:])]] += int(sum(result.get("Values") or []))
            except AWS_ERRORS as error:
                raise unavailable(f"asking CloudWatch in {region} what was sent", error) from error
        return sent

    def _ask(
        self, region: str, metrics: Sequence[Metric], *, since: datetime, until: datetime
    ) -> dict[Metric, Samples]:
        by_query = {f"m{number}": metric for number, metric in enumerate(metrics)}
        samples: dict[str, list[tuple[datetime, float]]] = {query_id: [] for query_id in by_query}
        unanswered: set[str] = set()
        queries = [_query(query_id, metric) for query_id, metric in by_query.items()]
        for result in self._results(region, queries, since=since, until=until):
            query_id = str(result.get("Id") or "")
            if query_id not in by_query:
                continue
            if result.get("StatusCode") in UNANSWERED:
                unanswered.add(query_id)
            pairs = zip(result.get("Timestamps") or [], result.get("Values") or [], strict=False)
            samples[query_id].extend(pairs)
        return {by_query[one]: tuple(pairs) for one, pairs in samples.items() if one not in unanswered}

    def _results(
        self, region: str, queries: Any, *, since: datetime, until: datetime
    ) -> Iterator[Mapping[str, Any]]:
        paginator = self._aws.cloudwatch(region).get_paginator("get_metric_data")
        for page in paginator.paginate(
            MetricDataQueries=queries, StartTime=since, EndTime=until, ScanBy="TimestampAscending"
        ):
            yield from page.get("MetricDataResults") or []


def _network_out(instance_id: str) -> Metric:
    """Every five minutes, as EC2 sends it without detailed monitoring."""
    return Metric(
        namespace="AWS/EC2",
        name="NetworkOut",
        dimensions=(("InstanceId", instance_id),),
        statistic="Sum",
        period=timedelta(minutes=5),
    )


def _query(query_id: str, metric: Metric) -> dict[str, Any]:
    return {
        "Id": query_id,
        "MetricStat": {
            "Metric": {
                "Namespace": metric.namespace,
                "MetricName": metric.name,
                "Dimensions": [{"Name": name, "Value": value} for name, value in metric.dimensions],
            },
            "Period": int(metric.period.total_seconds()),
            "Stat": metric.statistic,
        },
        "ReturnData": True,
    }
