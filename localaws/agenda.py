"""What will happen later: actions in order of their virtual time."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from datetime import datetime

Action = Callable[[], None]


class Agenda:
    """Actions due at a time; those of the same moment run in the order they were entered."""

    def __init__(self) -> None:
        self._heap: list[tuple[datetime, int, Action]] = []
        self._order = itertools.count()

    def add(self, at: datetime, action: Action) -> None:
        heapq.heappush(self._heap, (at, next(self._order), action))

    @property
    def next_at(self) -> datetime | None:
        return self._heap[0][0] if self._heap else None

    def pop_due(self, now: datetime) -> Action | None:
        """The first action due at or before `now`, taken off the list."""
        if self._heap and self._heap[0][0] <= now:
            return heapq.heappop(self._heap)[2]
        return None
