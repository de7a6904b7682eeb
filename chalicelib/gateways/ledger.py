"""What Curfew's calls cost, counted in memory as they are made and handed over in bulk: counting costs less than the
calls it counts.

Botocore tells of every call once it is answered, so that no gateway has to remember to count. What a container has not
handed over when it dies is lost; see docs/limits.md.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from threading import Lock
from typing import Any

from chalicelib.domain.guard import Item

READ_UNIT, WRITE_UNIT = 4096, 1024
NUMBER_BYTES = 10
LAMBDA_LINES = 350
"""Bytes that Lambda itself logs of an invocation: START, END and REPORT."""
LEAST_SECONDS = 0.001


class MemoryLedger:
    """Implements chalicelib.ports.Ledger. Shared by threads."""

    def __init__(self, *, memory_mb: int = 1024) -> None:
        self._gb = Decimal(memory_mb) / 1024
        self._counted: dict[Item, Decimal] = defaultdict(Decimal)
        self._since: datetime | None = None
        self._lock = Lock()

    def add(self, item: Item, quantity: Decimal | int = 1) -> None:
        """Count some of one item."""
        with self._lock:
            self._counted[item] += quantity

    def invoked(self, seconds: float, *, is_http: bool = False, log_bytes: int = 0) -> None:
        """Count one invocation of a function, and of API Gateway where it came over HTTP."""
        self.add(Item.LAMBDA_REQUESTS)
        self.add(
            Item.LAMBDA_GB_SECONDS, self._gb * Decimal(max(seconds, LEAST_SECONDS)).quantize(Decimal("0.001"))
        )
        self.add(Item.LOG_BYTES, LAMBDA_LINES + log_bytes)
        if is_http:
            self.add(Item.API_REQUESTS)

    def hand_over(self, now: datetime, *, every: timedelta) -> Mapping[Item, Decimal]:
        """Everything counted since the last time, at the first call and then once `every`; else nothing."""
        with self._lock:
            if self._since is not None and now - self._since < every:
                return {}
            counted, self._counted = dict(self._counted), defaultdict(Decimal)
            self._since = now
            return counted


def watch(client: Any, service: str, ledger: MemoryLedger) -> None:
    """Count what the calls of a botocore client cost, once each is answered."""

    def note(params: Any, context: Any, **_: Any) -> None:
        context["curfew_params"] = params

    def settle(parsed: Any, model: Any, context: Any, **_: Any) -> None:
        for item, quantity in billed(service, model.name, context.get("curfew_params") or {}, parsed):
            ledger.add(item, quantity)

    client.meta.events.register("provide-client-params", note)
    client.meta.events.register("after-call", settle)


def billed(
    service: str, operation: str, params: Mapping[str, Any], answer: Mapping[str, Any]
) -> Iterator[tuple[Item, Decimal]]:
    """What one answered call costs. DynamoDB bills a refused condition like a write; the others bill what succeeds."""
    if service == "dynamodb":
        yield from _of_table(operation, params, answer)
    elif "Error" in answer:
        return
    elif (service, operation) == ("cloudwatch", "GetMetricData"):
        yield Item.METRICS_READ, Decimal(len(params.get("MetricDataQueries", ())))
    elif (service, operation) == ("cloudwatch", "ListMetrics"):
        yield Item.METRICS_LISTED, Decimal(1)
    elif service == "ce":
        yield Item.COST_EXPLORER, Decimal(1)
    elif (service, operation) == ("sns", "Publish"):
        yield Item.TOPIC_MESSAGES, Decimal(1)
    elif (service, operation) == ("scheduler", "CreateSchedule"):
        yield Item.SCHEDULES, Decimal(1)  # it bills when it fires, once at most


def _of_table(
    operation: str, params: Mapping[str, Any], answer: Mapping[str, Any]
) -> Iterator[tuple[Item, Decimal]]:
    """Units by the sizes that were sent and received. What a delete, an update or a filter met is not told: it counts
    as one unit, or as what the others in the answer weigh."""
    match operation:
        case "GetItem":
            yield Item.TABLE_READS, _read([answer.get("Item") or {}], params.get("ConsistentRead", False))
        case "Query":
            yield Item.TABLE_READS, _queried(params, answer)
        case "BatchGetItem":
            for table, wanted in params.get("RequestItems", {}).items():
                found = answer.get("Responses", {}).get(table, [])
                none: list[Mapping[str, Any]] = [{}] * max(0, len(wanted["Keys"]) - len(found))
                is_consistent = wanted.get("ConsistentRead", False)
                yield (
                    Item.TABLE_READS,
                    sum((_read([one], is_consistent) for one in [*found, *none]), Decimal(0)),
                )
        case "PutItem" | "UpdateItem" | "DeleteItem":
            yield Item.TABLE_WRITES, _written(params)
        case "TransactWriteItems":
            writes = [next(iter(one.values())) for one in params.get("TransactItems", ())]
            yield Item.TABLE_WRITES, 2 * sum(map(_written, writes), Decimal(0))
        case _:
            return


def _queried(params: Mapping[str, Any], answer: Mapping[str, Any]) -> Decimal:
    items = answer.get("Items") or []
    hidden = max(0, answer.get("ScannedCount", 0) - len(items))
    weight = _size(items) + hidden * (_size(items) // len(items) if items else WRITE_UNIT)
    return _units(weight, READ_UNIT) / (1 if params.get("ConsistentRead", False) else 2)


def _read(items: list[Mapping[str, Any]], is_consistent: bool) -> Decimal:  # noqa: FBT001 (AWS's own flag)
    return _units(_size(items), READ_UNIT) / (1 if is_consistent else 2)


def _written(params: Mapping[str, Any]) -> Decimal:
    """Table and, for an item that the index `view` shows, index."""
    item = params.get("Item") or {}
    return _units(_size([item]), WRITE_UNIT) * (2 if "view_pk" in item else 1)


def _units(size: int, unit: int) -> Decimal:
    return Decimal(max(1, -(-size // unit)))


def _size(items: list[Mapping[str, Any]]) -> int:
    return sum(
        len(name) + sum(NUMBER_BYTES if kind == "N" else len(value) for kind, value in attribute.items())
        for item in items
        for name, attribute in item.items()
    )
