"""Turns and locks in memory: how many idle boxes a minute has ended, and who may act on a controller."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from tests.doubles.accidents import AccidentProne, call


class MemoryTurns(AccidentProne):
    """What sweeps that run at the same time share."""

    def __init__(self) -> None:
        super().__init__()
        self._idle_ends: dict[str, int] = {}
        self._denied: dict[str, datetime] = {}
        self._locks: dict[str, tuple[int, datetime | None]] = {}

    @call
    def denied_regions(self) -> Mapping[str, datetime]:
        return dict(self._denied)

    @call
    def put_denied_regions(self, denied: Mapping[str, datetime]) -> None:
        self._denied = dict(denied)

    @call
    def take_idle_end(self, at: datetime, *, at_most: int) -> bool:
        minute = f"{at:%Y-%m-%dT%H:%M}"
        ends = self._idle_ends.get(minute, 0)
        if ends >= at_most:
            return False
        self._idle_ends[minute] = ends + 1
        return True

    @call
    def lock(self, what: str, *, now: datetime, hold_for: timedelta) -> int | None:
        fence, until = self._locks.get(what, (0, None))
        if until is not None and until > now:
            return None
        self._locks[what] = (fence + 1, now + hold_for)
        return fence + 1

    @call
    def holds_lock(self, what: str, fence: int, *, now: datetime) -> bool:
        held, until = self._locks.get(what, (0, None))
        return held == fence and until is not None and until > now

    @call
    def unlock(self, what: str, fence: int) -> None:
        if self._locks.get(what, (0, None))[0] == fence:
            self._locks[what] = (fence, None)
