"""The one table."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Protocol

from chalicelib.domain.accelerators import TypeFact
from chalicelib.domain.bill_turn import BillTurn
from chalicelib.domain.bills import BilledDay
from chalicelib.domain.budget import Budget, BudgetBook, BudgetState
from chalicelib.domain.bundles import Trouble
from chalicelib.domain.free_tier import FreeTier
from chalicelib.domain.guard import Item, Usage
from chalicelib.domain.heartbeats import Heard
from chalicelib.domain.learned import Learned
from chalicelib.domain.lease import Charge, Lease, Receipt
from chalicelib.domain.network import GroupRecord
from chalicelib.domain.notices import Notice
from chalicelib.domain.once import KeyedCall
from chalicelib.domain.policy import Policy
from chalicelib.domain.reservations import ReservationLook
from chalicelib.domain.sync import Synced
from chalicelib.ports.records import ALL_RECEIPTS, Account, FirstSight, Page, ReceiptFilter, SweepRecord


class Store(Protocol):
    """The one table. Every write that could be lost to a second writer carries a condition; losing is `Stale`.

    Whatever a write must tell people goes into the same transaction as `notices`: recorded first, sent later.
    """

    def policy(self) -> tuple[Policy, int]:
        """The policy and its version; the defaults, version 0, when nothing was put."""

    def put_policy(self, policy: Policy, *, if_version: int | None) -> int:
        """Replace it; the new version. Raises Stale when `if_version` is not the one in force."""

    def account(self) -> Account:
        """First sights and arming."""

    def record_first_sight(self, region: str, sight: FirstSight) -> None:
        """Keep a region's first sight; a second one changes nothing."""

    def arm(self, at: datetime) -> None:
        """Arm the account; once armed it stays so since the first time."""

    def budgets(self, now: datetime, *, until: datetime | None = None) -> BudgetBook:
        """Every budget with what is left of it in the period of `now` and in those up to `until`, 80 at most, read
        consistently."""

    def tell_thresholds(
        self, state: BudgetState, told: Sequence[Decimal], *, notices: Sequence[Notice]
    ) -> None:
        """Keep, over `state`, which thresholds of its period people know to be passed, and tell them what is new of it,
        all or nothing. Raises Stale where another writer did since."""

    def put_billed(self, state: BudgetState, usd: Decimal, *, at: datetime) -> None:
        """Count in the period of `state` what the bill of `at` has beyond the meter, in place of what was counted of it
        before. Raises Stale where another writer did since."""

    def put_budget(
        self,
        budget: Budget,
        *,
        revision: int,
        used: Mapping[str, Decimal] | None = None,
        at_most: Mapping[str, Decimal] | None = None,
    ) -> None:
        """Create or change a budget. `used` (period key → costs of leases never charged to it) is added to what its
        periods carry; a budget of a new generation carries nothing. Raises Stale when any budget changed since
        `revision`, or a period carries more than `at_most` by now."""

    def delete_budget(self, name: str, *, revision: int) -> None:
        """Remove a budget. Raises Stale, NotFound."""

    def open_lease(
        self, lease: Lease, *, revision: int, allow_overdraft: bool = False, notices: Sequence[Notice] = ()
    ) -> Lease:
        """Write a new lease and put its charges on the budgets, all or nothing. Raises BudgetExceeded (its `extra`
        names the budget), Stale when the budgets changed since `revision` or a lease of that id exists, open or
        closed."""

    def save_lease(
        self, lease: Lease, *, notices: Sequence[Notice] = (), receipt: Receipt | None = None
    ) -> Lease:
        """Write an open lease over version `lease.version`; the lease with its new version. Raises Stale."""

    def rehold(
        self,
        lease: Lease,
        *,
        before: Sequence[Charge],
        revision: int,
        allow_overdraft: bool = False,
        notices: Sequence[Notice] = (),
    ) -> Lease:
        """Write a lease whose charges changed from `before`, moving each budget by the difference. Raises
        BudgetExceeded (never with `allow_overdraft`), Stale."""

    def close_lease(self, lease: Lease, *, receipt: Receipt | None, notices: Sequence[Notice] = ()) -> Lease:
        """Write the lease as closed, give back hold − final cost on every budget it was charged to, and keep the
        receipt, all or nothing. Raises Stale."""

    def lease(self, lease_id: str) -> Lease | None:
        """One lease, open or closed, read consistently."""

    def open_leases(self) -> tuple[Lease, ...]:
        """Every open lease, read consistently, all pages."""

    def closed_leases(self, *, since: datetime) -> tuple[Lease, ...]:
        """Leases closed since a moment; may lag by a second."""

    def leases(self, *, limit: int, cursor: str | None, owner: str | None = None) -> Page[Lease]:
        """Open and closed leases for a view, of one owner where one is named, newest first."""

    def receipt(self, lease_id: str) -> Receipt | None:
        """The receipt of a lease's end."""

    def receipts(
        self, *, limit: int, cursor: str | None, wanted: ReceiptFilter = ALL_RECEIPTS
    ) -> Page[Receipt]:
        """Receipts, the latest decision first. A page of few among many may have fewer than `limit`, or none, and a
        next one all the same."""

    def record_sweep(self, record: SweepRecord, *, notices: Sequence[Notice] = ()) -> None:
        """Keep what a sweep saw and did; kept 30 days."""

    def sweeps(self, *, limit: int, cursor: str | None) -> Page[SweepRecord]:
        """Sweeps, newest first."""

    def claim_notices(self, *, now: datetime, hold_for: timedelta, limit: int) -> tuple[Notice, ...]:
        """Once any notice is due for sending take what waits, oldest first, up to one that others hold: nobody reads of
        an end before its warning. Others won't get them for `hold_for`. Where more waits than `limit`, what is due goes
        before what is not: what is refused again and again keeps nothing else waiting."""

    def settle_notices(self, notices: Sequence[Notice], *, sent: bool, retry_at: datetime) -> None:
        """Forget what was sent as one message (its ids stay known, so it can't be told again), or make it due at
        `retry_at`, all or nothing."""

    def waiting_notices(self) -> int:
        """How many notices have not been sent."""

    def tell(self, notices: Sequence[Notice]) -> None:
        """Put what nothing else is written with into the outbox; what is known already is left out."""

    def is_told(self, notice_id: str) -> bool:
        """Whether a notice of that id is known: it waits, or was sent in the last 40 days."""

    def trouble(self) -> Trouble | None:
        """Since when Slack fails, and why; None while it doesn't."""

    def put_trouble(self, trouble: Trouble | None) -> None:
        """Replace that; of two writers the later one stands."""

    def bill_turn(self) -> BillTurn | None:
        """When Cost Explorer was asked last, and how that went; None before the first time."""

    def put_bill_turn(self, turn: BillTurn, *, over: datetime | None, notices: Sequence[Notice] = ()) -> None:
        """Replace the turn that was asked at `over` (None: there was none). Raises Stale when another has been there
        first."""

    def put_billed_days(self, days: Sequence[BilledDay]) -> None:
        """Keep days of the bill, in place of what was known of each; kept 14 months."""

    def billed_days(self, since: date, until: date) -> tuple[BilledDay, ...]:
        """The days known from `since` up to, not with, `until`, ascending."""

    def learned(self) -> tuple[Learned, ...]:
        """What CloudWatch last answered, a lease each."""

    def learn(self, learned: Sequence[Learned]) -> None:
        """Keep this in place of all that was kept; of two writers the later one stands."""

    def heard(self) -> tuple[Heard, ...]:
        """What boxes have told of their work, one each. Raises Unavailable within a second."""

    def heard_of(self, instance_id: str) -> Heard | None:
        """What one box has told."""

    def keep_heard(self, heard: Heard, *, over: Heard | None) -> None:
        """Keep it in place of `over`, what was read before. Raises Stale where another report came first."""

    def keep_synced(self, synced: Synced) -> None:
        """Keep what a box told of one way of its data in place of what it told before."""

    def synced(self, lease_id: str) -> tuple[Synced, ...]:
        """What a lease's boxes told last of their data, each way of each."""

    def reservation_look(self) -> ReservationLook | None:
        """What the last look at capacity reservations has found; None before the first."""

    def keep_reservation_look(self, look: ReservationLook, *, notices: Sequence[Notice] = ()) -> None:
        """Keep this in place of the last one, and tell people."""

    def free_tier(self) -> FreeTier | None:
        """What AWS last said of the free tier; None before the first time."""

    def keep_free_tier(self, told: FreeTier) -> None:
        """Keep this in place of the last answer; of two writers the later one stands."""

    def type_facts(self) -> tuple[TypeFact, ...]:
        """What EC2 said of instance types that the table of families does not have."""

    def keep_type_facts(self, facts: Sequence[TypeFact]) -> None:
        """Keep this in place of all that was kept; of two writers the later one stands."""

    def begin_call(self, asked: KeyedCall) -> KeyedCall:
        """What stands under the key of a call: `asked` itself where `once.may_begin`, and of several at once for one
        alone; else the call that stands there. Raises Unavailable within seconds, and the call is not to be made."""

    def keep_call(self, answered: KeyedCall) -> None:
        """Keep the answer of a call that is still this holder's; vanishes a day after it began."""

    def forget_call(self, asked: KeyedCall) -> None:
        """Leave the key free, if the call is still this holder's."""

    def denied_regions(self) -> Mapping[str, datetime]:
        """Regions that AWS denied, and when it last did."""

    def put_denied_regions(self, denied: Mapping[str, datetime]) -> None:
        """Replace them; of two writers the later one stands."""

    def take_idle_end(self, at: datetime, *, at_most: int) -> bool:
        """Count one end for idleness in the minute of `at`, over all sweeps; False where it has had `at_most`."""

    def lock(self, what: str, *, now: datetime, hold_for: timedelta) -> int | None:
        """Take a lock until it is given back or its time is over. Its fencing number, higher than all before; None
        where another holds it."""

    def holds_lock(self, what: str, fence: int, *, now: datetime) -> bool:
        """Whether the lock is still that of this number: asked right before an act that must not come late."""

    def unlock(self, what: str, fence: int) -> None:
        """Give a lock back; one that another has taken meanwhile stays theirs."""

    def group_records(self) -> tuple[GroupRecord, ...]:
        """The security groups that Curfew has made, or was about to, by region, VPC and name."""

    def keep_group_record(self, record: GroupRecord) -> None:
        """Keep it in place of what was known of that group; to be called under the group's lock."""

    def drop_group_record(self, record: GroupRecord) -> None:
        """Forget a group that is gone; likewise."""

    def usage(self, month: str) -> Usage:
        """What Curfew's own calls add up to in a month (`2026-11`)."""

    def add_usage(self, month: str, counted: Mapping[Item, Decimal], *, since: datetime) -> None:
        """Add to a month; `since` is kept the first time."""
