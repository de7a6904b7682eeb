"""Failures on demand: which calls, events and Lambdas go wrong, how, and how often.

{"service": "ec2", "operation": "RunInstances", "code": "InternalError", "lost_answer": true}   a call
{"service": "events", "operation": "EC2 Spot Instance Interruption Warning", "code": "late", "delay_seconds": 90}
{"service": "lambda", "operation": "sweep", "dies_at": 5, "after": true, "times": 1}            an invocation
{"service": "lambda", "operation": "sweep", "code": "skipped", "rate": 0.2}                     a scheduled one
{"service": "api", "operation": "POST", "code": "429", "times": 1}                              an HTTP call
"""

from __future__ import annotations

import random
from dataclasses import asdict, dataclass
from typing import Any, Literal

from localaws.errors import AwsError, RequestError
from localaws.protocol.wire import SIGNING_NAME_TO_SERVICE, CallId, error_status

SERVER_ERRORS = frozenset(
    {
        "InternalError",
        "InternalFailure",
        "InternalServerError",
        "InternalServerException",
        "InsufficientInstanceCapacity",
        "Unavailable",
        "ServiceUnavailable",
        "RequestLimitExceeded",
    }
)
"""Codes that EC2 and its siblings answer with status 5xx (EC2 API reference, "Error codes")."""
RETURNED_AS_503 = frozenset({"RequestLimitExceeded", "Unavailable", "ServiceUnavailable"})
CONFLICTS = frozenset({"TransactionConflict", "TransactionConflictException", "TransactionCanceledException"})
MAY_CONFLICT = frozenset(
    {"PutItem", "UpdateItem", "DeleteItem", "ExecuteStatement", "TransactWriteItems", "TransactGetItems"}
)
"""DynamoDB's operations that a transaction can stand in the way of; plain reads never wait for one (botocore)."""
DROP = "drop"
ANY = "*"
EVENTS, LOST, LATE, DOUBLED = "events", "lost", "late", "doubled"
FUNCTIONS, SKIPPED, DIED = "lambda", "skipped", "died"
API = "api"
"""What a Lambda fault calls the function behind every HTTP call; and API Gateway in front of it."""
REFUSED, UNANSWERED = "429", "504"
Kind = Literal["call", "event", "invocation", "gateway"]


@dataclass(slots=True, kw_only=True)
class Fault:
    """One kind of failure. `service`, `operation` and `region` are names or `*`.

    Of a call: `code` is AWS's, an HTTP status, or `drop`: the connection ends without an answer. `delay_seconds` are
    real ones; with no code at all the call is only late.
    Of EC2's events (`service` events, `operation` a detail-type): `lost`, `late` by `delay_seconds` of virtual time, or
    `doubled`: events are delivered at least once and best effort.
    Of a Lambda (`service` lambda, `operation` a function, or `api`): its invocation `dies_at` its k-th call of AWS,
    before or `after` it; or a scheduled one is `skipped`.
    Of an HTTP call of the application (`service` api, `operation` a method): API Gateway throttles it (`code` 429), or
    has no answer in time although the function does its work (504).
    """

    id: int = 0
    service: str = ANY
    operation: str = ANY
    region: str = ANY
    rate: float = 1.0
    code: str = "InternalError"
    lost_answer: bool = False
    times: int | None = None
    delay_seconds: float = 0.0
    dies_at: int | None = None
    after: bool = False
    hits: int = 0

    @property
    def kind(self) -> Kind:
        """What it is that goes wrong."""
        if self.service == EVENTS and self.code in (LOST, LATE, DOUBLED):
            return "event"
        if self.service == FUNCTIONS and self.code in (DIED, SKIPPED):
            return "invocation"
        return "gateway" if self.service == API else "call"

    def matches(self, call: CallId) -> bool:
        return all(
            mine in (ANY, theirs)
            for mine, theirs in (
                (self.service, call.service),
                (self.operation, call.operation),
                (self.region, call.region),
            )
        )

    @property
    def breaks(self) -> bool:
        """Whether the call fails, or is only late."""
        return bool(self.code) or self.lost_answer


class Faults:
    """The failures in force. What a rate hits depends on the seed and the order of the calls (or events) alone."""

    def __init__(self, seed: int) -> None:
        self._rngs: dict[Kind, random.Random] = {
            "call": random.Random(f"{seed}/faults"),
            "event": random.Random(f"{seed}/faults/events"),
            "invocation": random.Random(f"{seed}/faults/invocations"),
            "gateway": random.Random(f"{seed}/faults/gateway"),
        }
        self._faults: list[Fault] = []
        self._next_id = 1

    def add(self, fault: Fault) -> Fault:
        if fault.dies_at is not None:
            fault.code = DIED
        _check(fault)
        fault.id, self._next_id = self._next_id, self._next_id + 1
        fault.service = SIGNING_NAME_TO_SERVICE.get(fault.service, fault.service)
        self._faults.append(fault)
        return fault

    def remove(self, fault_id: int | None = None) -> None:
        """Take one fault away, or all of them."""
        self._faults = [] if fault_id is None else [fault for fault in self._faults if fault.id != fault_id]

    def as_dicts(self) -> list[dict[str, Any]]:
        return [asdict(fault) for fault in self._faults]

    def strike(self, call: CallId, kind: Kind = "call", *, code: str | None = None) -> Fault | None:
        """The fault that hits this call, event or invocation, if one does; `code` leaves all others aside."""
        for fault in self._faults:
            due = fault.kind == kind and code in (None, fault.code) and fault.matches(call)
            due = due and (fault.times is None or fault.hits < fault.times) and _can_meet(call, fault)
            if due and (fault.rate >= 1 or self._rngs[kind].random() < fault.rate):
                fault.hits += 1
                return fault
        return None


def _can_meet(call: CallId, fault: Fault) -> bool:
    """A conflict of transactions passes by what has none, so that `*` hits what AWS would refuse."""
    conflicts = call.service == "dynamodb" and fault.code in CONFLICTS
    return not conflicts or call.operation in MAY_CONFLICT


def _check(fault: Fault) -> None:
    """Refuse what can't be meant."""
    if not 0 <= fault.rate <= 1:
        raise RequestError(f"rate must be between 0 and 1, not {fault.rate}", field="rate")
    if fault.kind == "event" and fault.code == LATE and fault.delay_seconds <= 0:
        raise RequestError("late must say by how many virtual seconds", field="delay_seconds")
    if fault.service == API and fault.code not in (REFUSED, UNANSWERED):
        raise RequestError(
            f"of the service api code is {REFUSED} (throttled) or {UNANSWERED} (no answer in time)",
            field="code",
        )
    if fault.dies_at is not None and (fault.service != FUNCTIONS or not _is_count(fault.dies_at)):
        raise RequestError(
            "dies_at is the number, from 1 on, of the call of AWS at which a Lambda dies: service must be lambda",
            field="dies_at",
        )
    if fault.after and fault.dies_at is None:
        raise RequestError("after needs dies_at: the call that a Lambda dies after", field="after")


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def as_aws_error(fault: Fault, call: CallId, transaction_items: int = 1) -> AwsError:
    """The error that AWS would answer; DynamoDB names a conflict differently in and out of transactions."""
    code = fault.code or "InternalError"
    if call.service == "dynamodb" and code in CONFLICTS:
        if call.operation.startswith("Transact"):
            return transaction_cancelled(transaction_items)
        code = "TransactionConflictException"
    if code.isdigit():
        return AwsError("InternalError", f"status {code}: a fault that was asked for", status=int(code))
    usual = 503 if code in RETURNED_AS_503 else 500 if code in SERVER_ERRORS else 400
    status = error_status(call, code) or usual
    return AwsError(code, f"{code}: a fault that was asked for", status=status)


def transaction_cancelled(items: int) -> AwsError:
    """A transaction that met another one on its first item (botocore, TransactionCanceledException)."""
    codes = ["TransactionConflict"] + ["None"] * (items - 1)
    reasons: list[dict[str, str]] = [{"Code": code} for code in codes]
    reasons[0]["Message"] = "Transaction is ongoing for the item"
    message = (
        f"Transaction cancelled, please refer cancellation reasons for specific reasons [{', '.join(codes)}]"
    )
    return AwsError("TransactionCanceledException", message, extra={"CancellationReasons": reasons})
