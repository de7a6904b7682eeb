"""The time."""

from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """The time, read once per sweep or call and passed down."""

    def now(self) -> datetime:
        """The present, as an aware UTC datetime."""

    def sleep(self, seconds: float) -> None:
        """Wait in real time."""

    def elapsed(self) -> float:
        """Seconds of real time since some moment: for patience, whatever becomes of `now`."""
