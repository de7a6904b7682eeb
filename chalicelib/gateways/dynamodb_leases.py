"""Leases: open ones in one partition that a sweep reads whole and consistently, closed ones each under its own key.

A lease closes by moving, in one transaction with the money it gives back and its receipt, and never moves back. Every
write carries the version it was made from as condition, so of two writers one loses.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from chalicelib.domain.lease import Charge, Lease, Receipt, Status
from chalicelib.domain.notices import Notice
from chalicelib.domain.periods import MOST_PERIODS
from chalicelib.gateways import dynamodb_codec as codec
from chalicelib.gateways import dynamodb_holds as holds
from chalicelib.gateways.dynamodb_budgets import BudgetRecords, settle
from chalicelib.gateways.dynamodb_codec import Item
from chalicelib.gateways.dynamodb_logs import LogRecords, receipt_put
from chalicelib.gateways.dynamodb_records import VIEW, new_write_id
from chalicelib.gateways.dynamodb_table import Key, Write
from chalicelib.ports import Page

OPEN = "OPEN"
CLOSED = "CLOSED"
LEASES = "LEASES"
MAY_HOLD = (
    "Nothing was started. If the hold was placed all the same, the next sweep gives it back; ask again with the same "
    "Idempotency-Key"
)
GOES_ON = "What runs goes on under its lease as it was last recorded, and the next sweep judges it anew"


class LeaseRecords(BudgetRecords, LogRecords):
    """Leases, with their charges on the budgets."""

    def open_lease(
        self, lease: Lease, *, revision: int, allow_overdraft: bool = False, notices: Sequence[Notice] = ()
    ) -> Lease:
        """Write a new lease and its charges, all or nothing. Raises BudgetExceeded, Stale, Unavailable."""
        write_id, written = new_write_id(), replace(lease, version=1)
        anew = Write(
            operation="Put",
            key=_open(lease.id),
            item=_item(written, write_id),
            condition="attribute_not_exists(pk)",
            refusal=holds.lease_exists(lease.id),
        )
        never_closed = Write(
            operation="ConditionCheck",
            key=_closed(lease.id),
            condition="attribute_not_exists(pk)",
            refusal=holds.lease_exists(lease.id),
        )
        charges = self._charges(
            holds.taken(lease.charges), revision=revision, allow_overdraft=allow_overdraft, is_new=True
        )
        self._commit(
            [anew, never_closed, *charges], notices, trace=(_open(lease.id), write_id), sentence=MAY_HOLD
        )
        return written

    def save_lease(
        self, lease: Lease, *, notices: Sequence[Notice] = (), receipt: Receipt | None = None
    ) -> Lease:
        """Write an open lease over its version. Raises Stale, Unavailable."""
        return self._overwrite(lease, receipt_put(receipt), notices)

    def rehold(
        self,
        lease: Lease,
        *,
        before: Sequence[Charge],
        revision: int,
        allow_overdraft: bool = False,
        notices: Sequence[Notice] = (),
    ) -> Lease:
        """Write a lease whose charges changed, and move the budgets by the difference. Raises BudgetExceeded, Stale,
        Unavailable."""
        moves = holds.changed(before=before, after=lease.charges)
        charges = self._charges(moves, revision=revision, allow_overdraft=allow_overdraft, is_new=False)
        return self._overwrite(lease, charges, notices)

    def close_lease(self, lease: Lease, *, receipt: Receipt | None, notices: Sequence[Notice] = ()) -> Lease:
        """Move the lease to the closed ones, settle its charges and keep the receipt. Raises Stale, Unavailable."""
        if lease.closed_at is None:
            raise ValueError(f"lease {lease.id} closes without closed_at")
        write_id = new_write_id()
        closed = replace(lease, status=Status.CLOSED, version=lease.version + 1)
        leave = Write(
            operation="Delete",
            key=_open(lease.id),
            condition="lease_version = :version",
            values={":version": lease.version},
            refusal=holds.lease_moved(lease),
        )
        arrive = Write(operation="Put", key=_closed(lease.id), item=_item(closed, write_id))
        listed = Write(
            operation="Put",
            key=(CLOSED, codec.stamped(lease.closed_at, lease.id)),
            item={"lease_id": lease.id},
        )
        settled = [settle(period, amount) for period, amount in holds.settled(lease).items()]
        self._commit(
            [leave, arrive, listed, *receipt_put(receipt), *settled[:MOST_PERIODS]],
            notices,
            trace=(_closed(lease.id), write_id),
            sentence=GOES_ON,
        )
        for start in range(MOST_PERIODS, len(settled), MOST_PERIODS):  # rare, and never a reason not to close
            self._settle_rest(closed, start, settled[start : start + MOST_PERIODS])
        return closed

    def _settle_rest(self, closed: Lease, start: int, some: Sequence[Write]) -> None:
        """What one transaction had no room for, once: with a mark by which a lost answer is told from none."""
        key, write_id = (f"LEASE#{closed.id}", f"SETTLED#{start}"), new_write_id()
        mark = Write(
            operation="Put",
            key=key,
            item={"write_id": write_id},
            condition="attribute_not_exists(pk)",
            refusal=holds.lease_moved(closed),
        )
        self._commit([mark, *some], (), trace=(key, write_id))

    def lease(self, lease_id: str) -> Lease | None:
        """One lease, open or closed. Open is looked up first: it moves one way only, so it can't be missed."""
        item = self._table.get(_open(lease_id)) or self._table.get(_closed(lease_id))
        return codec.read(Lease, item) if item else None

    def open_leases(self) -> tuple[Lease, ...]:
        """Every open lease, consistently, all pages."""
        return tuple(codec.read(Lease, item) for item in self._table.query("pk = :open", {":open": OPEN}))

    def closed_leases(self, *, since: datetime) -> tuple[Lease, ...]:
        """Leases closed since a moment, in that order."""
        listed = self._table.query(
            "pk = :closed AND sk >= :since", {":closed": CLOSED, ":since": codec.stamp(since)}
        )
        keys = [_closed(str(item["lease_id"])) for item in listed]
        found = self._table.get_many(keys)
        return tuple(codec.read(Lease, found[key]) for key in keys if key in found)

    def leases(self, *, limit: int, cursor: str | None, owner: str | None = None) -> Page[Lease]:
        """Open and closed leases, newest first; may lag by a second. An owner's are looked for in `MOST_READ` leases a
        page."""
        takes = None if owner is None else lambda lease: lease.owner == owner
        return self._page(Lease, LEASES, index=VIEW, limit=limit, cursor=cursor, takes=takes)

    def _overwrite(self, lease: Lease, others: Sequence[Write], notices: Sequence[Notice]) -> Lease:
        if not lease.is_open:
            raise ValueError(f"lease {lease.id} is closed: close_lease writes it")
        write_id, written = new_write_id(), replace(lease, version=lease.version + 1)
        over = Write(
            operation="Put",
            key=_open(lease.id),
            item=_item(written, write_id),
            condition="lease_version = :version",
            values={":version": lease.version},
            refusal=holds.lease_moved(lease),
        )
        self._commit([over, *others], notices, trace=(_open(lease.id), write_id), sentence=GOES_ON)
        return written


def _item(lease: Lease, write_id: str) -> Item:
    return {
        "view_pk": LEASES,
        "view_sk": codec.stamped(lease.requested_at, lease.id),
        "lease_version": lease.version,
        "lease_status": lease.status.value,
        "lease_owner": lease.owner,
        "write_id": write_id,
        **codec.document(lease),
    }


def _open(lease_id: str) -> Key:
    return OPEN, lease_id


def _closed(lease_id: str) -> Key:
    return f"LEASE#{lease_id}", "LEASE"
