"""What Curfew knows of itself: what CloudWatch last answered, in one item; what its calls add up to, an item a month.

Neither is worth a transaction: a lost answer costs a question, a lost count some fractions of a cent. So each is one
plain write, and of two at once the later one stands.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from chalicelib.domain.due import Learned
from chalicelib.domain.guard import Item as Counted
from chalicelib.domain.guard import Usage
from chalicelib.gateways import dynamodb_codec as codec
from chalicelib.gateways.dynamodb_records import Records
from chalicelib.gateways.dynamodb_table import HASTE_SECONDS, Key, Write

EVIDENCE: Key = ("EVIDENCE", "LEARNED")
GUARD = "GUARD"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Evidence:
    learned: tuple[Learned, ...] = ()


class GuardRecords(Records):
    """Evidence and the guard's own cost."""

    def learned(self) -> tuple[Learned, ...]:
        """What CloudWatch last answered, a lease each."""
        item = self._table.get(EVIDENCE)
        return codec.read(_Evidence, item).learned if item else ()

    def learn(self, learned: Sequence[Learned]) -> None:
        """Keep this in place of all that was kept."""
        item = codec.document(_Evidence(learned=tuple(learned)))
        self._table.commit([Write(operation="Put", key=EVIDENCE, item=item)], patience=HASTE_SECONDS)

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
