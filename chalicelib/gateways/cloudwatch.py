"""GPU use from CloudWatch, as its agent writes it: one metric a box, because AWS bills by the metric asked for.

The agent must aggregate by InstanceId alone (`aggregation_dimensions`); the maximum over all GPUs and over the period
is what counts, so one busy GPU of eight is a busy box.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from chalicelib.domain.errors import Unavailable
from chalicelib.domain.evidence import Series
from chalicelib.gateways.aws import AWS_ERRORS, Aws, explain, unavailable

SOURCE = "GPU"
QUERIES_A_CALL = 500
UNANSWERED = frozenset({"InternalError", "Forbidden"})
"""Status codes of a metric within an answer that say nothing of the metric (botocore, MetricDataResult)."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Metric:
    """A metric of a box, how its samples are put together, and over how many seconds."""

    namespace: str
    name: str
    statistic: str
    period: int


GPU_USE = _Metric(namespace="CWAgent", name="nvidia_smi_utilization_gpu", statistic="Maximum", period=60)
NETWORK_OUT = _Metric(namespace="AWS/EC2", name="NetworkOut", statistic="Sum", period=300)
"""Every five minutes, as EC2 sends it without detailed monitoring."""


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
        if since >= until:
            return {}
        ids = list(dict.fromkeys(instance_ids))
        found: dict[str, tuple[Series, ...]] = {}
        failures: list[Unavailable] = []
        parts = [ids[start : start + QUERIES_A_CALL] for start in range(0, len(ids), QUERIES_A_CALL)]
        for part in parts:
            try:
                found |= self._ask(region, part, since=since, until=until)
            except AWS_ERRORS as error:
                log.warning(
                    "GetMetricData in %s failed for %d instances: %s", region, len(part), explain(error)
                )
                failures.append(unavailable(f"asking CloudWatch in {region}", error))
        if failures and len(failures) == len(parts):
            raise failures[0]
        return found

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
            queries = [
                _query(f"m{number}", instance_id, NETWORK_OUT) for number, instance_id in enumerate(part)
            ]
            try:
                for result in self._results(region, queries, since=since, until=until):
                    if result.get("StatusCode") in {"InternalError", "Forbidden"}:
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
        self, region: str, ids: Sequence[str], *, since: datetime, until: datetime
    ) -> dict[str, tuple[Series, ...]]:
        samples: dict[str, list[tuple[datetime, float]]] = {one: [] for one in ids}
        by_query = {f"m{number}": instance_id for number, instance_id in enumerate(ids)}
        unanswered: set[str] = set()
        queries = [_query(query_id, instance_id, GPU_USE) for query_id, instance_id in by_query.items()]
        for result in self._results(region, queries, since=since, until=until):
            instance_id = by_query.get(result.get("Id") or "")
            if instance_id is None:
                continue
            if result.get("StatusCode") in UNANSWERED:
                unanswered.add(instance_id)
            pairs = zip(result.get("Timestamps") or [], result.get("Values") or [], strict=False)
            samples[instance_id].extend(pairs)
        return {
            instance_id: (Series(source=SOURCE, samples=tuple(pairs)),) if pairs else ()
            for instance_id, pairs in samples.items()
            if instance_id not in unanswered
        }

    def _results(
        self, region: str, queries: Any, *, since: datetime, until: datetime
    ) -> Iterator[Mapping[str, Any]]:
        paginator = self._aws.cloudwatch(region).get_paginator("get_metric_data")
        for page in paginator.paginate(
            MetricDataQueries=queries, StartTime=since, EndTime=until, ScanBy="TimestampAscending"
        ):
            yield from page.get("MetricDataResults") or []


def _query(query_id: str, instance_id: str, metric: _Metric) -> dict[str, Any]:
    return {
        "Id": query_id,
        "Label": instance_id,
        "MetricStat": {
            "Metric": {
                "Namespace": metric.namespace,
                "MetricName": metric.name,
                "Dimensions": [{"Name": "InstanceId", "Value": instance_id}],
            },
            "Period": metric.period,
            "Stat": metric.statistic,
        },
        "ReturnData": True,
    }
