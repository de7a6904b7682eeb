"""Turns and locks in memory: how many idle boxes a minute has ended, who may act on a controller, whose call it is."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from chalicelib.domain.network import GroupRecord
from chalicelib.domain.once import KeyedCall, may_begin
from tests.doubles.accidents import AccidentProne, call


class MemoryTurns(AccidentProne):
    """What sweeps that run at the same time share."""

    def __init__(self) -> None:
        super().__init__()
        self._idle_ends: dict[str, int] = {}
        self._denied: dict[str, datetime] = {}
        self._locks: dict[str, tuple[int, datetime | None]] = {}
        self._keyed: dict[str, KeyedCall] = {}
        self._groups: dict[tuple[str, str, str], GroupRecord] = {}

    @call
    def begin_call(self, asked: KeyedCall) -> KeyedCall:
        standing = self._keyed.get(asked.id)
        if standing is not None and not may_begin(asked, standing):
            return standing
        self._keyed[asked.id] = asked
        return asked

    @call
    def keep_call(self, answered: KeyedCall) -> None:
        if self._holds(answered):
            self._keyed[answered.id] = answered

    @call
    def forget_call(self, asked: KeyedCall) -> None:
        if self._holds(asked):
            del self._keyed[asked.id]

    def _holds(self, one: KeyedCall) -> bool:
        standing = self._keyed.get(one.id)
        return standing is not None and standing.holder == one.holder

    @call
    def group_records(self) -> tuple[GroupRecord, ...]:
        return tuple(record for _, record in sorted(self._groups.items()))

    @call
    def keep_group_record(self, record: GroupRecord) -> None:
        self._groups[record.region, record.vpc_id, record.name] = record

    @call
    def drop_group_record(self, record: GroupRecord) -> None:
        self._groups.pop((record.region, record.vpc_id, record.name), None)

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
