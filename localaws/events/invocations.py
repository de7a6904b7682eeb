"""Functions that were asked for and not run yet: Lambda takes asynchronous invocations and answers before it runs them.

Source: Lambda guide, "Invoking a Lambda function asynchronously" and "How Lambda handles errors and retries with
asynchronous invocation".
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Invocation:
    """One asynchronous invocation; `attempt` counts up when it has failed and is made again."""

    function: str
    event: Any
    accepted_at: datetime
    attempt: int = 1


class Invocations:
    """Accepted and not yet run, in order; listeners are told that there is one more."""

    def __init__(self) -> None:
        self._waiting: deque[Invocation] = deque()
        self._listeners: list[Callable[[], None]] = []

    def subscribe(self, listener: Callable[[], None]) -> None:
        self._listeners.append(listener)

    def put(self, invocation: Invocation) -> None:
        self._waiting.append(invocation)
        for listener in self._listeners:
            listener()

    def take(self) -> Invocation | None:
        """The oldest one that nobody has taken."""
        return self._waiting.popleft() if self._waiting else None
