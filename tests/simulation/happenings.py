"""What is to happen, in order of time: the list that people, AWS and bad luck write on."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from datetime import datetime, timedelta

from tests.simulation.town import Town

Action = Callable[[], object]


class Happenings:
    """Moments with an action each. `sleeps_until`: no sweep runs before, and if it `is_down` nothing else of Curfew;
    `dies_at`: the next sweep dies at that call."""

    def __init__(self, town: Town) -> None:
        self.town = town
        self.sleeps_until = town.now
        self.is_down = False
        self.dies_at: int | None = None
        self.dies_after = False
        self._heap: list[tuple[datetime, int, Action]] = []
        self._order = itertools.count()

    @property
    def next_at(self) -> datetime | None:
        """When something happens next."""
        return self._heap[0][0] if self._heap else None

    def play(self) -> int:
        """Let everything happen that is due. Answers how many things did."""
        played = 0
        while self._heap and self._heap[0][0] <= self.town.now:
            _, _, action = heapq.heappop(self._heap)
            action()
            played += 1
        return played

    def at(self, when: datetime, action: Action) -> None:
        """Let something happen."""
        heapq.heappush(self._heap, (when, next(self._order), action))

    def later(self, after: timedelta, action: Action) -> None:
        """Let something happen after a while."""
        self.at(self.town.now + after, action)
