"""The virtual clock: stands still until somebody moves it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import time_machine


class Clock:
    """Holds the process's wall clock (`datetime.now`, `time.time`) at `now`; `time.monotonic` stays real.

    time-machine moves the clock of moto, botocore and Curfew alike, since they all ask the same interpreter.
    """

    def __init__(self, start: datetime) -> None:
        if start.tzinfo is None:
            raise ValueError("start must be an aware datetime")
        self._now = start.astimezone(UTC)
        self._travel: time_machine.travel | None = None
        self._traveller: time_machine.Traveller | None = None

    @property
    def now(self) -> datetime:
        return self._now

    def take_over(self) -> None:
        """From here on the process sees this clock."""
        self._travel = time_machine.travel(self._now, tick=False)
        self._traveller = self._travel.start()

    def let_go(self) -> None:
        """Give the process its real clock back."""
        if self._travel is not None:
            self._travel.stop()
            self._travel = self._traveller = None

    def move_to(self, when: datetime) -> None:
        """Move on to `when`; never backwards."""
        if when < self._now:
            raise ValueError(f"the clock can't go back from {self._now} to {when}")
        self._now = when.astimezone(UTC)
        if self._traveller is not None:
            self._traveller.move_to(self._now)

    def advance(self, by: timedelta) -> None:
        self.move_to(self._now + by)
