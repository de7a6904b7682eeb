"""Calls that AWS bills by themselves: Cost Explorer's, and CloudWatch's readings.

Sources: Cost Explorer pricing ($0.01 a request, each page being one) and CloudWatch pricing (GetMetricData: $0.01 per
1,000 metrics asked for, never free; other calls $0.01 per 1,000 after a million a month).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from localaws.protocol.wire import CallId


@dataclass(frozen=True, slots=True)
class Billed:
    """One kind of call in one hour."""

    hour: datetime
    service: str
    operation: str
    region: str


class Requests:
    """How many of them there were in each hour."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._counts: dict[Billed, int] = {}

    def __iter__(self) -> Iterator[tuple[Billed, int]]:
        yield from self._counts.items()

    def note(self, call: CallId, params: dict[str, Any]) -> None:
        """Count a call that AWS has answered, if it is one that bills."""
        units = _units(call, params)
        if units:
            hour = self._now().replace(minute=0, second=0)
            key = Billed(hour, call.service, call.operation, call.region)
            self._counts[key] = self._counts.get(key, 0) + units

    def total(self, service: str, operation: str | None = None) -> int:
        """How many of a service, or of one of its operations, in all."""
        return sum(
            units
            for billed, units in self._counts.items()
            if billed.service == service and operation in (None, billed.operation)
        )


def _units(call: CallId, params: dict[str, Any]) -> int:
    if call.service == "ce":
        return 1
    if call.service != "cloudwatch":
        return 0
    if call.operation == "GetMetricData":
        return sum("MetricStat" in query for query in params.get("MetricDataQueries", []))
    return 1 if call.operation in ("GetMetricStatistics", "ListMetrics") else 0
