"""The table's twin in memory: the Store port with the same semantics, and with accidents on demand.

Thread-safe: each call holds one lock. Documents pass through the same JSON as in the table, so what can't be stored fails
here too. Accidents, and a second writer's moment: see `AccidentProne`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from itertools import takewhile
from typing import Any, TypeVar

from chalicelib.domain.accelerators import TypeFact
from chalicelib.domain.budget import Budget, BudgetBook, BudgetState
from chalicelib.domain.bundles import Trouble
from chalicelib.domain.errors import NotFound, Stale
from chalicelib.domain.free_tier import FreeTier
from chalicelib.domain.guard import Item, Usage
from chalicelib.domain.heartbeats import Heard
from chalicelib.domain.learned import Learned
from chalicelib.domain.lease import Charge, Lease, Receipt, Status
from chalicelib.domain.money import ZERO
from chalicelib.domain.notices import Notice
from chalicelib.domain.periods import MOST_PERIODS, keys
from chalicelib.domain.policy import Policy
from chalicelib.domain.reservations import ReservationLook
from chalicelib.domain.sync import Synced
from chalicelib.gateways import dynamodb_holds as holds
from chalicelib.gateways.dynamodb_codec import cursor as make_cursor
from chalicelib.gateways.dynamodb_codec import from_text, position, stamped, to_text
from chalicelib.ports import ALL_RECEIPTS, Account, FirstSight, Page, ReceiptFilter, SweepRecord
from tests.doubles.accidents import call
from tests.doubles.memory_access import MemoryAccess
from tests.doubles.memory_bills import MemoryBillRecords
from tests.doubles.memory_turns import MemoryTurns

T = TypeVar("T")


@dataclass(slots=True)
class _Waiting:
    notice: Notice
    due_at: datetime
    claimed_until: datetime | None = None


@lru_cache(maxsize=64)
def _policy_of(text: str) -> Policy:
    """Read once: it is asked for in every sweep, and never changes."""
    return Policy.from_stored(from_text(dict[str, Any], text))


def _sent_by(waiting: _Waiting) -> str:
    """What goes first."""
    return stamped(waiting.notice.at, waiting.notice.id)


@lru_cache(maxsize=512)
def _lease(text: str) -> Lease:
    """A lease as it was kept. Frozen, so that of the same text one is as good as another: sweeps read all each minute."""
    return from_text(Lease, text)


class MemoryStore(MemoryBillRecords, MemoryTurns, MemoryAccess):
    """Implements chalicelib.ports.Store."""

    def __init__(self) -> None:
        super().__init__()
        self._policy: tuple[str, int] = (to_text(Policy()), 0)
        self._sights: dict[str, FirstSight] = {}
        self._armed_at: datetime | None = None
        self._revision = 0
        self._budgets: dict[str, Budget] = {}
        self._used: dict[holds.BudgetPeriod, Decimal] = {}
        self._billed: dict[holds.BudgetPeriod, tuple[Decimal, datetime | None]] = {}
        self._thresholds: dict[tuple[str, int, str], tuple[tuple[Decimal, ...], int]] = {}
        self._open: dict[str, str] = {}
        self._closed: dict[str, str] = {}
        self._receipts: dict[str, str] = {}
        self._sweeps: dict[str, str] = {}
        self._told: set[str] = set()
        self._outbox: dict[str, _Waiting] = {}
        self._learned: tuple[str, ...] = ()
        self._types: tuple[str, ...] = ()
        self._trouble: str | None = None
        self._heard: dict[str, str] = {}
        self._synced: dict[tuple[str, str, str], str] = {}
        self._reservations = ""
        self._free_tier = ""
        self._usage: dict[str, Usage] = {}

    # Policy and account

    @call
    def policy(self) -> tuple[Policy, int]:
        text, version = self._policy
        return _policy_of(text), version

    @call
    def put_policy(self, policy: Policy, *, if_version: int | None) -> int:
        version = self._policy[1]
        if if_version not in {None, version}:
            raise Stale(
                f"the policy is no longer at version {if_version}; nothing was written. Read it again"
            )
        self._policy = (to_text(policy), version + 1)
        return version + 1

    @call
    def account(self) -> Account:
        return Account(first_sights=dict(self._sights), armed_at=self._armed_at)

    @call
    def record_first_sight(self, region: str, sight: FirstSight) -> None:
        self._sights.setdefault(region, sight)

    @call
    def arm(self, at: datetime) -> None:
        self._armed_at = self._armed_at or at

    # Budgets

    @call
    def budgets(self, now: datetime, *, until: datetime | None = None) -> BudgetBook:
        states = [
            BudgetState(
                budget=budget,
                period_key=key,
                left_usd=budget.limit_usd - self._used_usd(budget, key),
                told=self._thresholds.get((budget.name, budget.generation, key), ((), 0))[0],
                crossings=self._thresholds.get((budget.name, budget.generation, key), ((), 0))[1],
                billed_usd=self._billed_of(budget, key)[0],
                billed_at=self._billed_of(budget, key)[1],
            )
            for _, budget in sorted(self._budgets.items())
            for key in keys(budget.period, now, until or now, at_most=MOST_PERIODS)
        ]
        present = tuple(one for one in states if one.period_key == one.budget.period_key(now))
        later = tuple(one for one in states if one not in present)
        return BudgetBook(revision=self._revision, states=present, later=later)

    @call
    def tell_thresholds(
        self, state: BudgetState, told: Sequence[Decimal], *, notices: Sequence[Notice]
    ) -> None:
        where = (state.budget.name, state.budget.generation, state.period_key)
        if self._thresholds.get(where, ((), 0))[1] != state.crossings:
            raise holds.budgets_moved()
        self._thresholds[where] = (tuple(told), state.crossings + 1)
        self._tell(notices)

    @call
    def put_billed(self, state: BudgetState, usd: Decimal, *, at: datetime) -> None:
        account = holds.BudgetPeriod(state.budget.name, state.period_key, state.budget.generation)
        before, since = self._billed.get(account, (ZERO, None))
        if since != state.billed_at:
            raise holds.budgets_moved()
        self._used[account] = self._used.get(account, ZERO) + holds.rounded(usd) - before
        self._billed[account] = (holds.rounded(usd), at)

    @call
    def put_budget(
        self,
        budget: Budget,
        *,
        revision: int,
        used: Mapping[str, Decimal] | None = None,
        at_most: Mapping[str, Decimal] | None = None,
    ) -> None:
        self._expect_revision(revision)
        for key, most in (at_most or {}).items():
            if self._used_usd(budget, key) > most:
                raise holds.budgets_moved()
        for key, amount in (used or {}).items():
            account = holds.BudgetPeriod(budget.name, key, budget.generation)
            self._used[account] = self._used_usd(budget, key) + holds.rounded(amount)
        self._budgets[budget.name] = from_text(Budget, to_text(budget))
        self._revision += 1

    @call
    def delete_budget(self, name: str, *, revision: int) -> None:
        self._expect_revision(revision)
        if name not in self._budgets:
            raise NotFound(
                f"there is no budget {name!r}: nothing was changed, every limit and hold stays as it is. GET /budgets "
                "lists them"
            )
        del self._budgets[name]
        self._revision += 1

    def _billed_of(self, budget: Budget, key: str) -> tuple[Decimal, datetime | None]:
        return self._billed.get(holds.BudgetPeriod(budget.name, key, budget.generation), (ZERO, None))

    def _expect_revision(self, revision: int) -> None:
        if revision != self._revision:
            raise holds.budgets_moved()

    def _used_usd(self, budget: Budget, period_key: str) -> Decimal:
        return self._used.get(holds.BudgetPeriod(budget.name, period_key, budget.generation), ZERO)

    def _check_room(self, moves: holds.Moves, *, is_new: bool) -> None:
        for account, amount in moves.items():
            budget = self._budgets.get(account.budget)
            if amount < 0:
                continue
            if budget is None or not holds.can_take(budget, account):
                raise holds.budgets_moved()
            used = self._used_usd(budget, account.period_key)
            if budget.limit_usd - used < amount:
                raise holds.too_much(budget, account, used=used, asked=amount, is_new=is_new)

    def _move(self, moves: holds.Moves) -> None:
        for account, amount in moves.items():
            used = self._used.get(account, ZERO)
            if amount >= 0 or used >= -amount:
                self._used[account] = used + amount

    # Leases

    @call
    def open_lease(
        self, lease: Lease, *, revision: int, allow_overdraft: bool = False, notices: Sequence[Notice] = ()
    ) -> Lease:
        if lease.id in self._open or lease.id in self._closed:
            raise holds.lease_exists(lease.id)
        self._expect_revision(revision)
        moves = holds.taken(lease.charges)
        if not allow_overdraft:
            self._check_room(moves, is_new=True)
        written = self._keep(replace(lease, version=1))
        self._move(moves)
        self._tell(notices)
        return written

    @call
    def save_lease(
        self, lease: Lease, *, notices: Sequence[Notice] = (), receipt: Receipt | None = None
    ) -> Lease:
        self._expect_version(lease)
        written = self._keep(replace(lease, version=lease.version + 1))
        self._keep_receipt(receipt)
        self._tell(notices)
        return written

    @call
    def rehold(
        self,
        lease: Lease,
        *,
        before: Sequence[Charge],
        revision: int,
        allow_overdraft: bool = False,
        notices: Sequence[Notice] = (),
    ) -> Lease:
        self._expect_version(lease)
        self._expect_revision(revision)
        moves = holds.changed(before=before, after=lease.charges)
        if not allow_overdraft:
            self._check_room(moves, is_new=False)
        written = self._keep(replace(lease, version=lease.version + 1))
        self._move(moves)
        self._tell(notices)
        return written

    @call
    def close_lease(self, lease: Lease, *, receipt: Receipt | None, notices: Sequence[Notice] = ()) -> Lease:
        if lease.closed_at is None:
            raise ValueError(f"lease {lease.id} closes without closed_at")
        self._expect_version(lease)
        written = replace(lease, status=Status.CLOSED, version=lease.version + 1)
        self._closed[lease.id] = to_text(written)
        del self._open[lease.id]
        self._move(holds.settled(lease))
        self._keep_receipt(receipt)
        self._tell(notices)
        return written

    @call
    def lease(self, lease_id: str) -> Lease | None:
        text = self._open.get(lease_id) or self._closed.get(lease_id)
        return _lease(text) if text else None

    @call
    def open_leases(self) -> tuple[Lease, ...]:
        return tuple(_lease(text) for _, text in sorted(self._open.items()))

    @call
    def closed_leases(self, *, since: datetime) -> tuple[Lease, ...]:
        closed = [(lease.closed_at, lease.id, lease) for lease in _all(Lease, self._closed.values())]
        return tuple(lease for at, _, lease in sorted(closed, key=lambda row: row[:2]) if at and at >= since)

    @call
    def leases(self, *, limit: int, cursor: str | None, owner: str | None = None) -> Page[Lease]:
        leases = _all(Lease, [*self._open.values(), *self._closed.values()])
        wanted = [one for one in leases if owner in {None, one.owner}]
        return _page("LEASES", {stamped(one.requested_at, one.id): one for one in wanted}, limit, cursor)

    def _expect_version(self, lease: Lease) -> None:
        text = self._open.get(lease.id)
        if text is None or _lease(text).version != lease.version:
            raise holds.lease_moved(lease)

    def _keep(self, lease: Lease) -> Lease:
        if not lease.is_open:
            raise ValueError(f"lease {lease.id} is closed: close_lease writes it")
        self._open[lease.id] = to_text(lease)
        return lease

    # Receipts, sweeps, notices

    @call
    def receipt(self, lease_id: str) -> Receipt | None:
        text = self._receipts.get(lease_id)
        return from_text(Receipt, text) if text else None

    @call
    def receipts(
        self, *, limit: int, cursor: str | None, wanted: ReceiptFilter = ALL_RECEIPTS
    ) -> Page[Receipt]:
        found = filter(wanted.takes, _all(Receipt, self._receipts.values()))
        rows = {stamped(one.decided_at, one.lease_id): one for one in found}
        return _page("RECEIPTS", rows, limit, cursor)

    def _keep_receipt(self, receipt: Receipt | None) -> None:
        if receipt:
            self._receipts[receipt.lease_id] = to_text(receipt)

    @call
    def record_sweep(self, record: SweepRecord, *, notices: Sequence[Notice] = ()) -> None:
        self._sweeps[stamped(record.started_at, record.id)] = to_text(record)
        self._tell(notices)

    @call
    def sweeps(self, *, limit: int, cursor: str | None) -> Page[SweepRecord]:
        rows = {key: from_text(SweepRecord, text) for key, text in self._sweeps.items()}
        return _page("SWEEPS", rows, limit, cursor)

    def _tell(self, notices: Sequence[Notice]) -> None:
        for notice in notices:
            if notice.id not in self._told:
                self._told.add(notice.id)
                self._outbox[notice.id] = _Waiting(notice, due_at=notice.at)

    @call
    def claim_notices(self, *, now: datetime, hold_for: timedelta, limit: int) -> tuple[Notice, ...]:
        waiting = sorted(self._outbox.values(), key=_sent_by)
        if not any(one.due_at <= now for one in waiting):
            return ()
        chosen = sorted(waiting, key=lambda one: one.due_at > now)[:limit]
        free = list(
            takewhile(
                lambda one: one.notice.at <= now and (one.claimed_until is None or one.claimed_until <= now),
                sorted(chosen, key=_sent_by),
            )
        )
        for one in free:
            one.claimed_until = now + hold_for
        return tuple(one.notice for one in free)

    @call
    def settle_notices(self, notices: Sequence[Notice], *, sent: bool, retry_at: datetime) -> None:
        for notice in notices:
            if sent:
                self._outbox.pop(notice.id, None)
            elif notice.id in self._outbox:
                self._outbox[notice.id] = _Waiting(replace(notice, tries=notice.tries + 1), due_at=retry_at)

    @call
    def tell(self, notices: Sequence[Notice]) -> None:
        self._tell(notices)

    @call
    def is_told(self, notice_id: str) -> bool:
        return notice_id in self._told

    @call
    def trouble(self) -> Trouble | None:
        return from_text(Trouble, self._trouble) if self._trouble else None

    @call
    def put_trouble(self, trouble: Trouble | None) -> None:
        self._trouble = to_text(trouble) if trouble else None

    @call
    def waiting_notices(self) -> int:
        return len(self._outbox)

    def outbox(self) -> tuple[Notice, ...]:
        """Notices not sent yet, oldest first."""
        with self._lock:
            waiting = sorted(self._outbox.values(), key=_sent_by)
            return tuple(one.notice for one in waiting)

    # What Curfew knows of itself

    @call
    def learned(self) -> tuple[Learned, ...]:
        return tuple(from_text(Learned, text) for text in self._learned)

    @call
    def learn(self, learned: Sequence[Learned]) -> None:
        self._learned = tuple(map(to_text, learned))

    @call
    def heard(self) -> tuple[Heard, ...]:
        return tuple(from_text(Heard, text) for _, text in sorted(self._heard.items()))

    @call
    def heard_of(self, instance_id: str) -> Heard | None:
        text = self._heard.get(instance_id)
        return from_text(Heard, text) if text else None

    @call
    def keep_heard(self, heard: Heard, *, over: Heard | None) -> None:
        known = self._heard.get(heard.instance_id)
        count = from_text(Heard, known).counter if known else None
        if count != (over.counter if over else None):
            raise Stale(f"another report of {heard.instance_id} came first; nothing was kept")
        self._heard[heard.instance_id] = to_text(heard)

    @call
    def keep_synced(self, synced: Synced) -> None:
        self._synced[synced.lease_id, synced.instance_id, synced.way] = to_text(synced)

    @call
    def synced(self, lease_id: str) -> tuple[Synced, ...]:
        told = sorted(self._synced.items())
        return tuple(from_text(Synced, text) for (lease, _, _), text in told if lease == lease_id)

    @call
    def reservation_look(self) -> ReservationLook | None:
        return from_text(ReservationLook, self._reservations) if self._reservations else None

    @call
    def keep_reservation_look(self, look: ReservationLook, *, notices: Sequence[Notice] = ()) -> None:
        self._reservations = to_text(look)
        self._tell(notices)

    @call
    def free_tier(self) -> FreeTier | None:
        return from_text(FreeTier, self._free_tier) if self._free_tier else None

    @call
    def keep_free_tier(self, told: FreeTier) -> None:
        self._free_tier = to_text(told)

    @call
    def type_facts(self) -> tuple[TypeFact, ...]:
        return tuple(from_text(TypeFact, text) for text in self._types)

    @call
    def keep_type_facts(self, facts: Sequence[TypeFact]) -> None:
        self._types = tuple(map(to_text, facts))

    @call
    def usage(self, month: str) -> Usage:
        return self._usage.get(month, Usage())

    @call
    def add_usage(self, month: str, counted: Mapping[Item, Decimal], *, since: datetime) -> None:
        known = self._usage.get(month, Usage())
        items = {*known.counted, *(item for item in counted if counted[item])}
        if not any(counted.values()):
            return
        total = {item: known.counted.get(item, ZERO) + counted.get(item, ZERO) for item in items}
        self._usage[month] = Usage(counted=total, since=known.since or since)


def _all(kind: type[T], texts: Iterable[str]) -> list[T]:
    return [from_text(kind, text) for text in texts]


def _page(of: str, rows: Mapping[str, Any], limit: int, cursor: str | None) -> Page[Any]:
    before = position(of, cursor) if cursor else None
    keys = sorted((key for key in rows if before is None or key < before), reverse=True)
    shown = keys[:limit]
    more = len(keys) > limit
    return Page(tuple(rows[key] for key in shown), make_cursor(of, shown[-1]) if more else None)
