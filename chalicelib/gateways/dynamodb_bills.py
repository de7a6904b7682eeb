"""The bill as it was told: an item a day, and the last turn of Cost Explorer.

A turn is taken by replacing the one before, under the condition that it is still that one: of two Lambdas one asks.
"""

from collections.abc import Sequence
from datetime import date, datetime

from chalicelib.domain.bill_turn import KEPT_FOR, BillTurn
from chalicelib.domain.bills import BilledDay, begin_of
from chalicelib.domain.errors import Stale
from chalicelib.domain.notices import Notice
from chalicelib.gateways import dynamodb_codec as codec
from chalicelib.gateways.dynamodb_outbox import OutboxRecords
from chalicelib.gateways.dynamodb_records import new_write_id
from chalicelib.gateways.dynamodb_table import Key, Write

BILL = "BILL"
TURN: Key = ("BILLS", "TURN")
AT_ONCE = 10
"""Days in one transaction: it takes 4 MB, an item 400 KB."""
TAKEN = Stale("another function asks Cost Explorer now; nothing was changed")


class BillRecords(OutboxRecords):
    """Days of the bill, and turns."""

    def bill_turn(self) -> BillTurn | None:
        """When Cost Explorer was asked last, and how that went."""
        item = self._table.get(TURN)
        return codec.read(BillTurn, item) if item else None

    def put_bill_turn(self, turn: BillTurn, *, over: datetime | None, notices: Sequence[Notice] = ()) -> None:
        """Replace the turn asked at `over`. Raises Stale."""
        write_id = new_write_id()
        put = Write(
            operation="Put",
            key=TURN,
            item={"asked_at": codec.stamp(turn.asked_at), "write_id": write_id, **codec.document(turn)},
            condition="asked_at = :over" if over else "attribute_not_exists(pk)",
            values={":over": codec.stamp(over)} if over else {},
            refusal=TAKEN,
        )
        self._commit([put], notices, trace=(TURN, write_id))

    def put_billed_days(self, days: Sequence[BilledDay]) -> None:
        """Keep days, some at a time: what is written of them is right, however many are."""
        writes = [_kept(day) for day in {day.day: day for day in days}.values()]
        for start in range(0, len(writes), AT_ONCE):
            self._table.commit(writes[start : start + AT_ONCE])

    def billed_days(self, since: date, until: date) -> tuple[BilledDay, ...]:
        """The days known from `since` up to, not with, `until`, ascending."""
        if since >= until:
            return ()
        found = self._table.query(
            "pk = :bill AND sk BETWEEN :since AND :until",
            {":bill": BILL, ":since": since.isoformat(), ":until": until.isoformat()},
        )
        days = [codec.read(BilledDay, item) for item in found]
        return tuple(day for day in days if day.day < until)


def _kept(day: BilledDay) -> Write:
    vanishes = int((begin_of(day.day) + KEPT_FOR).timestamp())
    item = {"expires_epoch": vanishes, **codec.document(day)}
    return Write(operation="Put", key=(BILL, day.day.isoformat()), item=item)
