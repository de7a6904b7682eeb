"""moto's DynamoDB, quick enough for a sweep a minute over weeks.

moto copies the whole table once an item before each transaction, so that a thousand transactions take minutes; here the
items of the transaction alone are remembered and put back when it fails. And moto walks through the service model for
every attribute that it answers; items are JSON already, and are written as such. A query sorts the whole table; here it
sorts the partition asked for. Nor does moto ever let go of an item.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from moto.core.common_models import BaseModel
from moto.core.responses import ActionContext
from moto.dynamodb.models import DynamoDBBackend, dynamodb_backends
from moto.dynamodb.models.dynamo_type import DynamoType, Item
from moto.dynamodb.models.table import Table
from moto.dynamodb.responses import DynamoResult

from localaws.events.bus import ACCOUNT

ON_ITEMS = frozenset(
    {"GetItem", "PutItem", "UpdateItem", "DeleteItem", "Query", "Scan", "BatchGetItem", "TransactGetItems"}
)
TOO_OLD = timedelta(days=5 * 365).total_seconds()
_moto_result = DynamoResult.execute_result
_moto_query, _moto_all_items = Table.query, Table.all_items
INDEX_AT = 6
"""Where, after the key, moto's callers put the name of the index that a query asks."""


def take_over() -> None:
    """Let new tables be those of `LightDynamoDBBackend`."""
    dynamodb_backends.backend = LightDynamoDBBackend
    Item.__new__ = _untracked  # type: ignore[method-assign,assignment]
    DynamoResult.execute_result = _quick_result  # type: ignore[method-assign,assignment]
    Table.query = _query  # type: ignore[method-assign,assignment]
    Table.all_items = _all_items  # type: ignore[method-assign,assignment]


def let_go() -> None:
    dynamodb_backends.backend = DynamoDBBackend
    Item.__new__ = BaseModel.__new__  # type: ignore[method-assign]
    DynamoResult.execute_result = _moto_result  # type: ignore[method-assign]
    Table.query, Table.all_items = _moto_query, _moto_all_items  # type: ignore[method-assign]


def expire(now: datetime) -> None:
    """Take away every item whose time to live was over at a moment.

    Sources: botocore, UpdateTimeToLive (seconds since 1970; an expired item may be read until it is taken away, mostly
    within two days); DynamoDB guide, "Using time to live" (only numbers count, and nothing over five years old).
    """
    for backend in dynamodb_backends[ACCOUNT].values():
        for table in backend.tables.values():
            name = table.ttl.get("AttributeName")
            if table.ttl.get("TimeToLiveStatus") != "ENABLED" or not name:
                continue
            for item in table.all_items():
                until = item.attrs.get(name)
                if (
                    until is not None
                    and until.type == "N"
                    and 0 < now.timestamp() - float(until.value) < TOO_OLD
                ):
                    table.delete_item(item.hash_key, item.range_key)


class LightDynamoDBBackend(DynamoDBBackend):
    """moto's backend; only the way back from a failed transaction is another."""

    __module__ = "moto.dynamodb.models"  # moto finds its URLs by the module name of the backend

    def transact_write_items(self, transact_items: list[dict[str, Any]]) -> None:
        """All or nothing, called with a lock held: the world's, or a test's."""
        before = [saved for item in transact_items for saved in self._touched(item)]
        try:
            with _tables_not_copied():
                super().transact_write_items(transact_items)
        except Exception:  # whatever it was, nothing of it may stay; it is raised again
            for table, hash_key, range_key, item in before:
                _put_back(table, hash_key, range_key, item)
            raise

    def _touched(self, item: dict[str, Any]) -> Iterator[tuple[Table, DynamoType, DynamoType | None, Any]]:
        for operation in item.values():
            table = self.tables.get(operation.get("TableName", ""))
            keys = operation.get("Key") or operation.get("Item")
            if table is None or not keys or table.hash_key_attr not in keys:
                continue
            hash_key = DynamoType(keys[table.hash_key_attr])
            range_name = table.range_key_attr
            range_key = DynamoType(keys[range_name]) if range_name and range_name in keys else None
            yield table, hash_key, range_key, copy.deepcopy(table.get_item(hash_key, range_key))


@contextmanager
def _tables_not_copied() -> Iterator[None]:
    Table.__deepcopy__ = lambda table, _: table  # type: ignore[attr-defined]
    try:
        yield
    finally:
        del Table.__deepcopy__  # type: ignore[attr-defined]


def _put_back(table: Table, hash_key: DynamoType, range_key: DynamoType | None, item: Any) -> None:
    if item is None:
        table.delete_item(hash_key, range_key)
    elif range_key is None:
        table.items[hash_key] = item
    else:
        table.items[hash_key][range_key] = item


def _quick_result(self: DynamoResult, context: ActionContext) -> Any:
    model = context.operation_model
    if model.name not in ON_ITEMS or not isinstance(self.result, dict):
        return _moto_result(self, context)
    members = model.output_shape.members if model.output_shape else {}
    try:
        body = json.dumps(
            {name: value for name, value in self.result.items() if name in members and value is not None}
        )
    except TypeError:  # binary attributes need moto's serializer
        return _moto_result(self, context)
    return 200, {"Content-Type": "application/x-amz-json-1.0"}, body


def _query(table: Table, hash_key: DynamoType | None, *args: Any, **options: Any) -> Any:
    """moto's, over one partition where the table itself is asked and not an index."""
    index = args[INDEX_AT] if len(args) > INDEX_AT else options.get("index_name")
    if hash_key is None or index:
        return _moto_query(table, hash_key, *args, **options)
    table.asked_partition = hash_key  # type: ignore[attr-defined]
    try:
        return _moto_query(table, hash_key, *args, **options)
    finally:
        del table.asked_partition  # type: ignore[attr-defined]


def _all_items(table: Table) -> list[Item]:
    """In the order of their keys, compared as what they are and not as DynamoDB's types of it."""
    asked = getattr(table, "asked_partition", None)
    partitions = [table.items.get(asked, {})] if asked is not None else table.items.values()
    if not table.range_key_attr:
        alone = [item for item in partitions if isinstance(item, Item)]
        return sorted(alone, key=lambda item: item.hash_key.cast_value)
    items = [item for partition in partitions for item in partition.values()]
    return sorted(
        items,
        key=lambda item: (item.hash_key.cast_value, item.range_key.cast_value if item.range_key else ""),
    )


def _untracked(cls: type[Item], *_: Any, **__: Any) -> Item:
    """moto keeps every item it ever made in a list, for its dashboard."""
    return object.__new__(cls)
