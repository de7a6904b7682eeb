"""A store to try things on: what is there is read, and nothing is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal

from chalicelib.domain.accelerators import TypeFact
from chalicelib.domain.bill_turn import BillTurn
from chalicelib.domain.bills import BilledDay
from chalicelib.domain.budget import Budget, BudgetBook, BudgetState
from chalicelib.domain.bundles import Trouble
from chalicelib.domain.free_tier import FreeTier
from chalicelib.domain.guard import Item, Usage
from chalicelib.domain.heartbeats import Heard
from chalicelib.domain.learned import Learned
from chalicelib.domain.lease import Charge, Lease, Receipt, Status
from chalicelib.domain.network import GroupRecord
from chalicelib.domain.notices import Notice
from chalicelib.domain.once import KeyedCall
from chalicelib.domain.policy import Policy
from chalicelib.domain.reservations import ReservationLook
from chalicelib.domain.sync import Synced
from chalicelib.ports import ALL_RECEIPTS, Account, FirstSight, Page, ReceiptFilter, Store, SweepRecord


class ScratchStore:
    """Any Store, whose writes go no further than this object: they answer as if they had succeeded, and the leases
    written are seen by later reads through it."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._written: dict[str, Lease] = {}

    def policy(self) -> tuple[Policy, int]:
        """As it is."""
        return self._store.policy()

    def put_policy(self, policy: Policy, *, if_version: int | None) -> int:
        """Not kept."""
        del policy, if_version
        return self._store.policy()[1] + 1

    def account(self) -> Account:
        """As it is."""
        return self._store.account()

    def record_first_sight(self, region: str, sight: FirstSight) -> None:
        """Not kept."""

    def arm(self, at: datetime) -> None:
        """Not kept."""

    def budgets(self, now: datetime, *, until: datetime | None = None) -> BudgetBook:
        """As they are, without what scratch leases would hold."""
        return self._store.budgets(now, until=until)

    def tell_thresholds(
        self, state: BudgetState, told: Sequence[Decimal], *, notices: Sequence[Notice]
    ) -> None:
        """Not kept, and nobody is told."""

    def put_billed(self, state: BudgetState, usd: Decimal, *, at: datetime) -> None:
        """Not kept."""

    def put_budget(
        self,
        budget: Budget,
        *,
        revision: int,
        used: Mapping[str, Decimal] | None = None,
        at_most: Mapping[str, Decimal] | None = None,
    ) -> None:
        """Not kept."""

    def delete_budget(self, name: str, *, revision: int) -> None:
        """Not kept."""

    def open_lease(
        self, lease: Lease, *, revision: int, allow_overdraft: bool = False, notices: Sequence[Notice] = ()
    ) -> Lease:
        """Seen only here."""
        del revision, allow_overdraft, notices
        return self._keep(lease)

    def save_lease(
        self, lease: Lease, *, notices: Sequence[Notice] = (), receipt: Receipt | None = None
    ) -> Lease:
        """Seen only here."""
        del notices, receipt
        return self._keep(lease)

    def rehold(
        self,
        lease: Lease,
        *,
        before: Sequence[Charge],
        revision: int,
        allow_overdraft: bool = False,
        notices: Sequence[Notice] = (),
    ) -> Lease:
        """Seen only here."""
        del before, revision, allow_overdraft, notices
        return self._keep(lease)

    def close_lease(self, lease: Lease, *, receipt: Receipt | None, notices: Sequence[Notice] = ()) -> Lease:
        """Seen only here."""
        del receipt, notices
        return self._keep(replace(lease, status=Status.CLOSED))

    def _keep(self, lease: Lease) -> Lease:
        self._written[lease.id] = kept = replace(lease, version=lease.version + 1)
        return kept

    def lease(self, lease_id: str) -> Lease | None:
        """As it is, or as it was written here."""
        return self._written.get(lease_id) or self._store.lease(lease_id)

    def open_leases(self) -> tuple[Lease, ...]:
        """As they are, with what was written here in place of what it replaces."""
        leases = {lease.id: lease for lease in self._store.open_leases()} | self._written
        return tuple(lease for lease in leases.values() if lease.is_open)

    def closed_leases(self, *, since: datetime) -> tuple[Lease, ...]:
        """As they are."""
        return self._store.closed_leases(since=since)

    def leases(self, *, limit: int, cursor: str | None, owner: str | None = None) -> Page[Lease]:
        """As they are."""
        return self._store.leases(limit=limit, cursor=cursor, owner=owner)

    def receipt(self, lease_id: str) -> Receipt | None:
        """As it is."""
        return self._store.receipt(lease_id)

    def receipts(
        self, *, limit: int, cursor: str | None, wanted: ReceiptFilter = ALL_RECEIPTS
    ) -> Page[Receipt]:
        """As they are."""
        return self._store.receipts(limit=limit, cursor=cursor, wanted=wanted)

    def record_sweep(self, record: SweepRecord, *, notices: Sequence[Notice] = ()) -> None:
        """Not kept."""

    def sweeps(self, *, limit: int, cursor: str | None) -> Page[SweepRecord]:
        """As they are."""
        return self._store.sweeps(limit=limit, cursor=cursor)

    def claim_notices(self, *, now: datetime, hold_for: timedelta, limit: int) -> tuple[Notice, ...]:
        """None: nobody is told anything by a look."""
        del now, hold_for, limit
        return ()

    def settle_notices(self, notices: Sequence[Notice], *, sent: bool, retry_at: datetime) -> None:
        """Not kept."""

    def tell(self, notices: Sequence[Notice]) -> None:
        """Nobody is told."""

    def is_told(self, notice_id: str) -> bool:
        """As it is."""
        return self._store.is_told(notice_id)

    def trouble(self) -> Trouble | None:
        """As it is."""
        return self._store.trouble()

    def put_trouble(self, trouble: Trouble | None) -> None:
        """Not kept."""

    def waiting_notices(self) -> int:
        """As it is."""
        return self._store.waiting_notices()

    def bill_turn(self) -> BillTurn | None:
        """As it is."""
        return self._store.bill_turn()

    def put_bill_turn(self, turn: BillTurn, *, over: datetime | None, notices: Sequence[Notice] = ()) -> None:
        """Not kept."""

    def put_billed_days(self, days: Sequence[BilledDay]) -> None:
        """Not kept."""

    def billed_days(self, since: date, until: date) -> tuple[BilledDay, ...]:
        """As they are."""
        return self._store.billed_days(since, until)

    def learned(self) -> tuple[Learned, ...]:
        """As it is."""
        return self._store.learned()

    def learn(self, learned: Sequence[Learned]) -> None:
        """Not kept."""

    def heard(self) -> tuple[Heard, ...]:
        """As it is."""
        return self._store.heard()

    def heard_of(self, instance_id: str) -> Heard | None:
        """As it is."""
        return self._store.heard_of(instance_id)

    def keep_heard(self, heard: Heard, *, over: Heard | None) -> None:
        """Not kept."""

    def keep_synced(self, synced: Synced) -> None:
        """Not kept."""

    def synced(self, lease_id: str) -> tuple[Synced, ...]:
        """As it is."""
        return self._store.synced(lease_id)

    def reservation_look(self) -> ReservationLook | None:
        """As it is."""
        return self._store.reservation_look()

    def keep_reservation_look(self, look: ReservationLook, *, notices: Sequence[Notice] = ()) -> None:
        """Not kept, and nobody is told."""

    def free_tier(self) -> FreeTier | None:
        """As it is."""
        return self._store.free_tier()

    def keep_free_tier(self, told: FreeTier) -> None:
        """Not kept."""

    def type_facts(self) -> tuple[TypeFact, ...]:
        """As they are."""
        return self._store.type_facts()

    def keep_type_facts(self, facts: Sequence[TypeFact]) -> None:
        """Not kept."""

    def begin_call(self, asked: KeyedCall) -> KeyedCall:
        """Kept: that it is made once is so for a rehearsal too."""
        return self._store.begin_call(asked)

    def keep_call(self, answered: KeyedCall) -> None:
        """Kept."""
        self._store.keep_call(answered)

    def forget_call(self, asked: KeyedCall) -> None:
        """Forgotten."""
        self._store.forget_call(asked)

    def denied_regions(self) -> Mapping[str, datetime]:
        """As they are."""
        return self._store.denied_regions()

    def put_denied_regions(self, denied: Mapping[str, datetime]) -> None:
        """Not kept."""

    def take_idle_end(self, at: datetime, *, at_most: int) -> bool:
        """Not counted: what a rehearsal says it would end leaves the minute's ends to others."""
        del at
        return at_most > 0

    def lock(self, what: str, *, now: datetime, hold_for: timedelta) -> int | None:
        """Always free: nothing is done under it."""
        del what, now, hold_for
        return 0

    def holds_lock(self, what: str, fence: int, *, now: datetime) -> bool:
        """Always."""
        del what, fence, now
        return True

    def unlock(self, what: str, fence: int) -> None:
        """Nothing was taken."""

    def group_records(self) -> tuple[GroupRecord, ...]:
        """As they are."""
        return self._store.group_records()

    def keep_group_record(self, record: GroupRecord) -> None:
        """Not kept."""

    def drop_group_record(self, record: GroupRecord) -> None:
        """Not forgotten."""

    def usage(self, month: str) -> Usage:
        """As it is."""
        return self._store.usage(month)

    def add_usage(self, month: str, counted: Mapping[Item, Decimal], *, since: datetime) -> None:
        """Kept: a rehearsal costs what it costs."""
        self._store.add_usage(month, counted, since=since)
