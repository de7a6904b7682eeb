"""Calls that AWS makes by itself."""

from typing import Protocol

from chalicelib.domain.timer import Timer


class Timers(Protocol):
    """EventBridge Scheduler: calls that AWS makes by itself, in any region."""

    @property
    def is_configured(self) -> bool:
        """False: leases have no timers."""

    def put(self, timer: Timer) -> None:
        """Make a timer, or make the one of that name this one. Raises Unavailable."""

    def delete(self, region: str, name: str) -> None:
        """Remove a timer; absent is fine. Raises Unavailable."""


class NoTimers:
    """No role for timers is set: nothing is armed."""

    is_configured = False

    def put(self, timer: Timer) -> None:
        """Not done."""

    def delete(self, region: str, name: str) -> None:
        """Not done."""
