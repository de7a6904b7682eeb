"""What sweeps share: how many idle boxes a minute has ended, locks with a fencing number, regions that were denied."""

import uuid
from collections.abc import Mapping
from datetime import datetime, timedelta

from chalicelib.gateways import dynamodb_codec as codec
from chalicelib.gateways.dynamodb_records import Records
from chalicelib.gateways.dynamodb_table import Key, Write

TURNS = "TURNS"
LOCKS = "LOCKS"
DENIED: Key = ("REGIONS", "DENIED")
KEPT_FOR = timedelta(days=1)
FREE = "0"
"""Sorts before every time: held until then, that is by nobody."""


class TurnRecords(Records):
    """Turns and locks. Whatever is refused here is refused for a minute at most."""

    def denied_regions(self) -> Mapping[str, datetime]:
        """Regions that AWS denied, and when it last did. Raises Unavailable."""
        item = self._table.get(DENIED)
        return codec.read(dict[str, datetime], item) if item else {}

    def put_denied_regions(self, denied: Mapping[str, datetime]) -> None:
        """Replace them. Raises Unavailable."""
        self._table.commit([Write(operation="Put", key=DENIED, item=codec.document(dict(denied)))])

    def take_idle_end(self, at: datetime, *, at_most: int) -> bool:
        """Count one end for idleness in the minute of `at`; False where it has had `at_most`. Raises Unavailable."""
        count = Write(
            operation="Update",
            key=(TURNS, f"IDLE#{at:%Y-%m-%dT%H:%M}"),
            update="SET ends = if_not_exists(ends, :none) + :one, expires_epoch = :epoch",
            condition="attribute_not_exists(ends) OR ends < :most",
            values={":none": 0, ":one": 1, ":most": at_most, ":epoch": int((at + KEPT_FOR).timestamp())},
            group="idle",
        )
        return at_most > 0 and not self._table.commit([count])

    def lock(self, what: str, *, now: datetime, hold_for: timedelta) -> int | None:
        """Take a lock for a time: its fencing number, higher than every one before, or None where another holds it.
        Raises Unavailable."""
        mine = uuid.uuid4().hex
        take = Write(
            operation="Update",
            key=_lock(what),
            update="SET held_until = :until, holder = :mine, fence = if_not_exists(fence, :none) + :one",
            condition="attribute_not_exists(held_until) OR held_until <= :now OR holder = :mine",
            values={
                ":until": codec.stamp(now + hold_for),
                ":now": codec.stamp(now),
                ":mine": mine,
                ":none": 0,
                ":one": 1,
            },
            group="lock",
        )
        if self._table.commit([take]):
            return None
        held = self._table.get(_lock(what)) or {}
        return int(str(held["fence"])) if held.get("holder") == mine else None

    def holds_lock(self, what: str, fence: int, *, now: datetime) -> bool:
        """Whether nobody has taken the lock since it was given this number, and its time is not over. Raises
        Unavailable."""
        held = self._table.get(_lock(what)) or {}
        return str(held.get("fence")) == str(fence) and str(held.get("held_until", FREE)) > codec.stamp(now)

    def unlock(self, what: str, fence: int) -> None:
        """Give a lock back; one that another has taken meanwhile stays theirs. Raises Unavailable."""
        free = Write(
            operation="Update",
            key=_lock(what),
            update="SET held_until = :free",
            condition="fence = :fence",
            values={":free": FREE, ":fence": fence},
            group="unlock",
        )
        self._table.commit([free])


def _lock(what: str) -> Key:
    return LOCKS, what
