"""What is kept to be looked up: sweeps for 30 days, receipts for good."""

from collections.abc import Sequence
from datetime import timedelta

from chalicelib.domain.lease import Receipt
from chalicelib.domain.notices import Notice
from chalicelib.gateways import dynamodb_codec as codec
from chalicelib.gateways.dynamodb_outbox import OutboxRecords
from chalicelib.gateways.dynamodb_records import VIEW
from chalicelib.gateways.dynamodb_table import Key, Write
from chalicelib.ports import ALL_RECEIPTS, Page, ReceiptFilter, SweepRecord

SWEEPS = "SWEEPS"
SWEEPS_KEPT_FOR = timedelta(days=30)
RECEIPTS = "RECEIPTS"


class LogRecords(OutboxRecords):
    """Sweeps and receipts."""

    def record_sweep(self, record: SweepRecord, *, notices: Sequence[Notice] = ()) -> None:
        """Keep what a sweep saw and did, and tell what is new of it."""
        put = Write(
            operation="Put",
            key=(SWEEPS, codec.stamped(record.started_at, record.id)),
            item={
                "expires_epoch": int((record.started_at + SWEEPS_KEPT_FOR).timestamp()),
                **codec.document(record),
            },
        )
        self._commit([put], notices)

    def sweeps(self, *, limit: int, cursor: str | None) -> Page[SweepRecord]:
        """Sweeps, newest first."""
        return self._page(SweepRecord, SWEEPS, index=None, limit=limit, cursor=cursor)

    def receipt(self, lease_id: str) -> Receipt | None:
        """The receipt of a lease's end."""
        item = self._table.get(_key(lease_id))
        return codec.read(Receipt, item) if item else None

    def receipts(
        self, *, limit: int, cursor: str | None, wanted: ReceiptFilter = ALL_RECEIPTS
    ) -> Page[Receipt]:
        """Receipts, the latest decision first; may lag by a second. Time is asked of the index; owner and region are
        looked for in `MOST_READ` receipts a page."""
        return self._page(
            Receipt,
            RECEIPTS,
            index=VIEW,
            limit=limit,
            cursor=cursor,
            since=codec.stamp(wanted.since) if wanted.since else None,
            until=codec.stamp(wanted.until) if wanted.until else None,
            takes=wanted.takes if wanted.owner or wanted.region else None,
        )


def receipt_put(receipt: Receipt | None) -> list[Write]:
    """The write of a receipt, for the transaction of the lease it belongs to: one a lease, the last word stands."""
    if receipt is None:
        return []
    view = {"view_pk": RECEIPTS, "view_sk": codec.stamped(receipt.decided_at, receipt.lease_id)}
    return [Write(operation="Put", key=_key(receipt.lease_id), item={**view, **codec.document(receipt)})]


def _key(lease_id: str) -> Key:
    return f"RECEIPT#{lease_id}", "RECEIPT"
