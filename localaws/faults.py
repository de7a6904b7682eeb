"""Failures on demand: which calls go wrong, how, and how often."""

from __future__ import annotations

import random
from dataclasses import asdict, dataclass
from typing import Any

from localaws.errors import AwsError, RequestError
from localaws.wire import SIGNING_NAME_TO_SERVICE, CallId

SERVER_ERRORS = frozenset(
    {
        "InternalError",
        "InternalFailure",
        "InternalServerError",
        "InsufficientInstanceCapacity",
        "Unavailable",
        "ServiceUnavailable",
        "RequestLimitExceeded",
    }
)
"""Codes that EC2 and its siblings answer with status 5xx (EC2 API reference, "Error codes")."""
RETURNED_AS_503 = frozenset({"RequestLimitExceeded", "Unavailable", "ServiceUnavailable"})
CONFLICTS = frozenset({"TransactionConflict", "TransactionConflictException", "TransactionCanceledException"})
DROP = "drop"
ANY = "*"


@dataclass(slots=True, kw_only=True)
class Fault:
    """One kind of failure. `service`, `operation` and `region` are names or `*`.

    `code` is AWS's, an HTTP status, or `drop`: the connection ends without an answer. `delay_seconds` are real ones;
    with no code at all the call is only late.
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
    hits: int = 0

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
    """The failures in force. Which calls a rate hits depends on the seed and the order of the calls alone."""

    def __init__(self, seed: int) -> None:
        self._rng = random.Random(f"{seed}/faults")
        self._faults: list[Fault] = []
        self._next_id = 1

    def add(self, fault: Fault) -> Fault:
        if not 0 <= fault.rate <= 1:
            raise RequestError(f"rate must be between 0 and 1, not {fault.rate}", field="rate")
        fault.id, self._next_id = self._next_id, self._next_id + 1
        fault.service = SIGNING_NAME_TO_SERVICE.get(fault.service, fault.service)
        self._faults.append(fault)
        return fault

    def remove(self, fault_id: int | None = None) -> None:
        """Take one fault away, or all of them."""
        self._faults = [] if fault_id is None else [fault for fault in self._faults if fault.id != fault_id]

    def as_dicts(self) -> list[dict[str, Any]]:
        return [asdict(fault) for fault in self._faults]

    def strike(self, call: CallId) -> Fault | None:
        """The fault that hits this call, if one does."""
        for fault in self._faults:
            due = fault.matches(call) and (fault.times is None or fault.hits < fault.times)
            if due and (fault.rate >= 1 or self._rng.random() < fault.rate):
                fault.hits += 1
                return fault
        return None


def as_aws_error(fault: Fault, call: CallId, transaction_items: int = 1) -> AwsError:
    """The error that AWS would answer; DynamoDB names a conflict differently in and out of transactions."""
    code = fault.code or "InternalError"
    if call.service == "dynamodb" and code in CONFLICTS:
        if call.operation.startswith("Transact"):
            return transaction_cancelled(transaction_items)
        code = "TransactionConflictException"
    if code.isdigit():
        return AwsError("InternalError", f"status {code}: a fault that was asked for", status=int(code))
    status = 503 if code in RETURNED_AS_503 else 500 if code in SERVER_ERRORS else 400
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
