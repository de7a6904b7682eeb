"""When Curfew could not do its work: what a bound may add as `retries`, and nothing else."""

from __future__ import annotations

from datetime import datetime, timedelta

RECOVERY = timedelta(minutes=2)
"""The sweep after a failure, and the one after that if the first one's minute was half over."""
RETRIED = timedelta(minutes=10)
"""EventBridge Scheduler tries again what failed after 8 minutes at most, and its call has effect a minute later."""


class Outages:
    """Stretches of time in which sweeps were skipped, died, or met failing calls; overlapping ones count once."""

    def __init__(self, recovery: timedelta = RECOVERY) -> None:
        self._recovery = recovery
        self._stretches: list[tuple[datetime, datetime]] = []

    def note(self, start: datetime, end: datetime) -> None:
        """Something was hindered from `start` to `end`, and needs `recovery` to catch up."""
        until = end + self._recovery
        if self._stretches and start <= self._stretches[-1][1]:
            first, last = self._stretches[-1]
            self._stretches[-1] = (min(first, start), max(last, until))
        else:
            self._stretches.append((start, until))

    def within(self, start: datetime, end: datetime) -> timedelta:
        """How much of [start, end] was hindered."""
        total = timedelta(0)
        for first, last in reversed(self._stretches):
            if last <= start:
                break
            total += max(timedelta(0), min(end, last) - max(start, first))
        return total

    @property
    def longest(self) -> timedelta:
        """The longest stretch so far."""
        return max((last - first for first, last in self._stretches), default=timedelta(0))
