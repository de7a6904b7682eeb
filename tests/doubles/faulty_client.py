"""A boto3 client with accidents: errors instead of the call, and answers that are lost after it took effect.

Calls go one by one through a lock, because moto is not safe between threads.
"""

import threading
from collections.abc import Callable, Iterable
from typing import Any

from botocore.exceptions import ClientError, ReadTimeoutError

LOCK = threading.RLock()

Accident = Callable[[str], BaseException | None]
"""What happens to a call of a method: an error, or None when it goes well."""


def refused(code: str, *, status: int = 400, reasons: Iterable[str] = ()) -> ClientError:
    """An error as AWS answers it; `reasons` are a cancelled transaction's codes."""
    response: dict[str, Any] = {
        "Error": {"Code": code, "Message": f"made up: {code}"},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    if reasons:
        response["CancellationReasons"] = [{"Code": reason} for reason in reasons]
    return ClientError(response, "Made up")  # type: ignore[arg-type]


def conflict() -> ClientError:
    """Another transaction touches one of the items."""
    return refused("TransactionCanceledException", reasons=["TransactionConflict", "None"])


def lost() -> ReadTimeoutError:
    """No answer came in time."""
    return ReadTimeoutError(endpoint_url="https://dynamodb.example")


def nothing(method: str) -> None:
    """Every call goes well."""
    del method


class FaultyClient:
    """`before` may refuse a call, `after` may lose its answer. `calls` are the methods called, in order."""

    def __init__(self, client: Any, *, before: Accident = nothing, after: Accident = nothing) -> None:
        self.client = client
        self.before = before
        self.after = after
        self.calls: list[tuple[str, dict[str, Any]]] = []

    def __getattr__(self, method: str) -> Callable[..., Any]:
        def call(**request: Any) -> Any:
            with LOCK:
                self.calls.append((method, request))
                _raise(self.before(method))
                answer = getattr(self.client, method)(**request)
                _raise(self.after(method))
                return answer

        return call


def _raise(error: BaseException | None) -> None:
    if error:
        raise error


def once(method: str, *errors: BaseException) -> Accident:
    """The errors, one a call of a method, then nothing."""
    waiting = list(errors)

    def accident(called: str) -> BaseException | None:
        return waiting.pop(0) if called == method and waiting else None

    return accident


def always(error: BaseException) -> Accident:
    """The same error whatever is called."""

    def accident(called: str) -> BaseException:
        del called
        return error

    return accident
