"""What Curfew knows of itself: what CloudWatch last answered, 500 leases an item; what its calls add up to, an item a
month.

Neither is worth a transaction: a lost answer costs a question, a lost count fractions of a cent. So each is a plain put
or update, and of two at once the later one stands. The first item of what was answered says how many there are
(`shards`) and is written last: what a dead process left halfway mixes old answers with new ones, and of each lease the
newest counts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from math import ceil

from chalicelib.domain.guard import Item as Counted
from chalicelib.domain.guard import Usage
from chalicelib.domain.learned import Learned
from chalicelib.gateways import dynamodb_codec as codec
from chalicelib.gateways.dynamodb_records import Records
from chalicelib.gateways.dynamodb_table import HASTE_SECONDS, Key, Write

EVIDENCE: Key = ("EVIDENCE", "LEARNED")
NEVER = datetime.min.replace(tzinfo=UTC)
PER_ITEM = 500
"""Leases: 16 KB as they are, and less than the 400 KB that an item may have if nothing of them could be deflated."""
GUARD = "GUARD"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Evidence:
    learned: tuple[Learned, ...] = ()


class GuardRecords(Records):
    """Evidence and the guard's own cost."""

    def learned(self) -> tuple[Learned, ...]:
        """What CloudWatch last answered, a lease each."""
        first = self._table.get(EVIDENCE)
        if not first:
            return ()
        keys = [_shard(number) for number in range(1, int(str(first.get("shards", 1))))]
        found = self._table.get_many(keys)
        known: dict[str, Learned] = {}
        for item in (first, *(found[key] for key in keys if key in found)):
            for one in codec.read(_Evidence, item).learned:
                if one.lease_id not in known or _asked_at(one) > _asked_at(known[one.lease_id]):
                    known[one.lease_id] = one
        return tuple(known.values())

    def learn(self, learned: Sequence[Learned]) -> None:
        """Keep this in place of all that was kept."""
        shards = max(1, ceil(len(learned) / PER_ITEM))
        for number in reversed(range(shards)):
            part = _Evidence(learned=tuple(learned[number * PER_ITEM : (number + 1) * PER_ITEM]))
            item = {**codec.document(part), **({} if number else {"shards": shards})}
            self._table.commit(
                [Write(operation="Put", key=_shard(number), item=item)], patience=HASTE_SECONDS
            )

    def usage(self, month: str) -> Usage:
        """What was counted in a month."""
        item = dict(self._table.get((GUARD, month)) or {})
        since = item.get("since_at")
        return Usage(
            counted={one: Decimal(str(item[one.value])) for one in Counted if one.value in item},
            since=datetime.fromisoformat(str(since)) if since else None,
        )

    def add_usage(self, month: str, counted: Mapping[Counted, Decimal], *, since: datetime) -> None:
        """Add to what was counted in a month; `since` is kept the first time."""
        added = [one for one in Counted if counted.get(one)]
        if not added:
            return
        self._table.commit(
            [
                Write(
                    operation="Update",
                    key=(GUARD, month),
                    update="SET since_at = if_not_exists(since_at, :since) ADD "
                    + ", ".join(f"{one.value} :{one.value}" for one in added),
                    values={":since": codec.stamp(since), **{f":{one.value}": counted[one] for one in added}},
                )
            ],
            patience=HASTE_SECONDS,
        )


def _shard(number: int) -> Key:
    return (EVIDENCE[0], f"{EVIDENCE[1]}#{number:03}") if number else EVIDENCE


def _asked_at(learned: Learned) -> datetime:
    return learned.evidence.asked_at or NEVER
