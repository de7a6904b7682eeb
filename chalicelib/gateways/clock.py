"""The time of this machine."""

import time
from datetime import UTC, datetime


class SystemClock:
    """The Clock of production."""

    def now(self) -> datetime:
        """The present, as an aware UTC datetime."""
        return datetime.now(UTC)

    def sleep(self, seconds: float) -> None:
        """Wait in real time."""
        time.sleep(seconds)

    def elapsed(self) -> float:
        """Seconds since some moment; nobody sets this clock."""
        return time.monotonic()
