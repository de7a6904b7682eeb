"""The one table's wire: reads, and writes that are all or nothing and sure of their outcome.

Whatever passes (throttling, a TransactionConflict, no answer) is tried again with growing, jittered waits for
`PATIENCE_SECONDS`, then it is `Unavailable`: never mistaken for a failed condition. A write whose answer was lost meets
itself when it is sent again: it is known by the id it left in an item (`Trace`).
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from random import SystemRandom
from typing import TYPE_CHECKING, Any, TypeVar

from botocore.exceptions import BotoCoreError, ClientError, ConnectionError, HTTPClientError  # noqa: A004

from chalicelib.domain.errors import CurfewError, Unavailable
from chalicelib.gateways.aws import code_of, explain, status_of
from chalicelib.gateways.dynamodb_codec import Item, Value, from_attributes, to_attributes

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

T = TypeVar("T")
Key = tuple[str, str]
"""pk and sk."""
Trace = tuple[Key, str]
"""The item in which a write leaves its id (attribute `write_id`), and that id."""

PATIENCE_SECONDS = 20.0
HASTE_SECONDS = 1.0
"""For what is written for its own sake, and that nobody should wait for."""
FIRST_WAIT_SECONDS = 0.02
LONGEST_WAIT_SECONDS = 1.0
PER_TRANSACTION = 100
PER_BATCH = 100
SERVER_ERROR = 500
FAILED_CONDITION = "ConditionalCheckFailed"
PASSING = frozenset(
    "LimitExceededException ProvisionedThroughputExceeded ProvisionedThroughputExceededException RequestLimitExceeded "
    "ThrottlingError ThrottlingException TransactionConflict TransactionConflictException "
    "TransactionInProgressException ReplicatedWriteConflictException".split()
)


class _Busy(Exception):
    """DynamoDB answered in part: the rest is asked for again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """One item of a transaction: `Put`, `Update`, `Delete` or `ConditionCheck`.

    When its condition fails `refusal` is raised, or what it makes of the item that stands there. Without one the write
    is optional: it is left out, with all others of its `group`, and the rest goes on.
    """

    operation: str
    key: Key
    item: Item = field(default_factory=dict)
    update: str = ""
    condition: str = ""
    values: Mapping[str, Value] = field(default_factory=dict)
    refusal: CurfewError | Callable[[Item], CurfewError] | None = None
    group: str = ""

    def request(self, table: str) -> dict[str, Any]:
        """As DynamoDB takes it, alone or in a transaction."""
        key = {"pk": self.key[0], "sk": self.key[1]}
        is_put = self.operation == "Put"
        body: dict[str, Any] = {
            "TableName": table,
            "Item" if is_put else "Key": to_attributes({**key, **self.item}),
        }
        if self.update:
            body["UpdateExpression"] = self.update
        if self.condition:
            body["ConditionExpression"] = self.condition
            body["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD"
        if self.values:
            body["ExpressionAttributeValues"] = to_attributes(self.values)
        return body


@dataclass(frozen=True, slots=True)
class Failed:
    """A write whose condition failed, and the item it met (empty: none, or DynamoDB did not say)."""

    write: Write
    met: Item

    def refusal(self) -> CurfewError | None:
        """What it is refused with; None where the write was optional."""
        made = self.write.refusal
        return made(self.met) if callable(made) else made


class Table:
    """One table. `client` makes the boto3 client at first use; its time-outs should be short and its own retries few,
    because they count against this patience. `sleep` and `elapsed` are time.sleep and time.monotonic, or a test's.
    """

    def __init__(
        self,
        client: Callable[[], DynamoDBClient],
        name: str,
        *,
        sleep: Callable[[float], None] = time.sleep,
        elapsed: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self._make_client = client
        self._made: DynamoDBClient | None = None
        self._sleep = sleep
        self._elapsed = elapsed
        self._random = SystemRandom()

    def get(self, key: Key, *, sentence: str = "") -> Item | None:
        """One item, read consistently. Raises Unavailable."""
        wanted = to_attributes({"pk": key[0], "sk": key[1]})
        answer = self._patiently(
            lambda: self._client().get_item(TableName=self.name, Key=wanted, ConsistentRead=True), sentence
        )
        found = answer.get("Item")
        return from_attributes(found) if found else None

    def get_many(self, keys: Iterable[Key]) -> dict[Key, Item]:
        """Those of the items that exist, each read consistently. Raises Unavailable."""
        found: dict[Key, Item] = {}
        distinct = list(dict.fromkeys(keys))
        for start in range(0, len(distinct), PER_BATCH):
            wanted = [to_attributes({"pk": pk, "sk": sk}) for pk, sk in distinct[start : start + PER_BATCH]]
            self._patiently(partial(self._get_rest, wanted, found))
        return found

    def _get_rest(self, wanted: list[dict[str, Any]], found: dict[Key, Item]) -> None:
        """Ask for what is wanted; what DynamoDB left out is wanted still."""
        answer = self._client().batch_get_item(
            RequestItems={self.name: {"Keys": wanted, "ConsistentRead": True}}
        )
        for attributes in answer.get("Responses", {}).get(self.name, []):
            item = from_attributes(attributes)
            found[str(item["pk"]), str(item["sk"])] = item
        left_out: Mapping[str, Any] = answer.get("UnprocessedKeys", {})
        wanted[:] = left_out.get(self.name, {}).get("Keys", [])
        if wanted:
            raise _Busy

    def query(
        self,
        condition: str,
        values: Mapping[str, Value],
        *,
        patience: float = PATIENCE_SECONDS,
        **options: Any,
    ) -> Iterator[Item]:
        """The items of a partition in order, all pages; consistent unless an index is asked. Raises Unavailable."""
        for page in self._pages(condition, values, patience=patience, **options):
            yield from map(from_attributes, page.get("Items", []))

    def count(self, condition: str, values: Mapping[str, Value]) -> int:
        """How many items a query finds. Raises Unavailable."""
        return sum(page["Count"] for page in self._pages(condition, values, Select="COUNT"))

    def _pages(
        self,
        condition: str,
        values: Mapping[str, Value],
        *,
        patience: float = PATIENCE_SECONDS,
        **options: Any,
    ) -> Iterator[Mapping[str, Any]]:
        request = {
            "TableName": self.name,
            "KeyConditionExpression": condition,
            "ExpressionAttributeValues": to_attributes(values),
            "ConsistentRead": "IndexName" not in options,
            **options,
        }
        while True:
            page = self._patiently(lambda: self._client().query(**request), patience=patience)
            yield page
            if "LastEvaluatedKey" not in page:
                return
            request["ExclusiveStartKey"] = page["LastEvaluatedKey"]

    def commit(
        self,
        writes: Sequence[Write],
        *,
        trace: Trace | None = None,
        sentence: str = "",
        patience: float = PATIENCE_SECONDS,
    ) -> frozenset[str]:
        """Write all or nothing; the groups of optional writes that were left out. `patience`: seconds.

        When a condition fails, `trace` tells whether it failed on this very write, whose answer had been lost. Raises
        the first failed write's refusal; Unavailable, with `sentence` on what that means for the money.
        """
        pending, dropped = list(writes), set[str]()
        while pending:
            send = partial(self._send, pending, str(uuid.uuid4()))
            failed = self._patiently(send, sentence, patience)
            if not failed or (trace and self._is_left(trace, sentence)):
                break
            for error in map(Failed.refusal, failed):
                if error:
                    raise error
            dropped |= {one.write.group for one in failed}
            pending = [write for write in pending if not write.group or write.group not in dropped]
        return frozenset(dropped)

    def _is_left(self, trace: Trace, sentence: str) -> bool:
        key, write_id = trace
        return (self.get(key, sentence=sentence) or {}).get("write_id") == write_id

    def _send(self, writes: Sequence[Write], token: str) -> list[Failed]:
        try:
            if len(writes) == 1:
                self._send_one(writes[0])
            else:
                items: list[Any] = [{write.operation: write.request(self.name)} for write in writes]
                self._client().transact_write_items(TransactItems=items, ClientRequestToken=token)
        except ClientError as error:
            failed = _failed_conditions(error, writes)
            if not failed:
                raise
            return failed
        return []

    def _send_one(self, write: Write) -> None:
        request = write.request(self.name)
        match write.operation:
            case "Put":
                self._client().put_item(**request)
            case "Update":
                self._client().update_item(**request)
            case "Delete":
                self._client().delete_item(**request)
            case other:
                raise ValueError(f"{other} writes nothing by itself")

    def _client(self) -> DynamoDBClient:
        self._made = self._made or self._make_client()
        return self._made

    def _patiently(self, call: Callable[[], T], sentence: str = "", patience: float = PATIENCE_SECONDS) -> T:
        started = self._elapsed()
        for tries in count(1):
            try:
                return call()
            except (ClientError, BotoCoreError, _Busy) as error:
                longest = min(LONGEST_WAIT_SECONDS, FIRST_WAIT_SECONDS * 2 ** min(tries, 10))
                wait = self._random.uniform(0, longest)
                used = self._elapsed() - started
                if not _passes(error) or used + wait > patience:
                    raise Unavailable(
                        f"the table {self.name} does not answer ({explain(error)}; {tries} tries in {used:.0f} s). "
                        + (sentence or "Nothing was changed; try again in a minute"),
                        code=code_of(error),
                    ) from error
            self._sleep(wait)
        raise AssertionError("count never ends")


def _failed_conditions(error: ClientError, writes: Sequence[Write]) -> list[Failed]:
    """The writes whose conditions failed; none when any other reason is among them, because then nobody can tell."""
    answer: Mapping[str, Any] = error.response
    if code_of(error) == "ConditionalCheckFailedException":
        return [Failed(writes[0], from_attributes(answer.get("Item", {})))]
    if code_of(error) != "TransactionCanceledException":
        return []
    reasons = answer.get("CancellationReasons", [])
    if {reason.get("Code", "None") for reason in reasons} - {"None", FAILED_CONDITION}:
        return []
    return [
        Failed(write, from_attributes(reason.get("Item", {})))
        for write, reason in zip(writes, reasons, strict=True)
        if reason.get("Code") == FAILED_CONDITION
    ]


def _passes(error: BaseException) -> bool:
    """Whether the same call may succeed later: throttled, in conflict, or without an answer."""
    if not isinstance(error, ClientError):
        return isinstance(error, (_Busy, HTTPClientError, ConnectionError))
    answer: Mapping[str, Any] = error.response
    codes = {reason.get("Code", "None") for reason in answer.get("CancellationReasons", [])}
    if codes:
        return bool(codes & PASSING) and codes <= PASSING | {"None", FAILED_CONDITION}
    return code_of(error) in PASSING or (status_of(error) or 0) >= SERVER_ERROR
