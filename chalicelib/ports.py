"""What the use cases need from the world, as Protocols. Each has one gateway; tests bring fakes.

Gateways raise `Unavailable` where AWS did not answer, and answer per id where AWS answers per id: one poisoned id never
hides the others.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Generic, Protocol, TypeVar

from chalicelib.domain.accelerators import TypeFact
from chalicelib.domain.bill_turn import BillTurn
from chalicelib.domain.bills import BillAnswer, BilledDay, BillFailure
from chalicelib.domain.budget import Budget, BudgetBook, BudgetState
from chalicelib.domain.bundles import Trouble
from chalicelib.domain.catalogue import PublicImage
from chalicelib.domain.creator import Caller
from chalicelib.domain.errors import Unavailable
from chalicelib.domain.evidence import Series
from chalicelib.domain.guard import Item, Usage
from chalicelib.domain.guest_heartbeat import Beacon
from chalicelib.domain.heartbeats import Heard
from chalicelib.domain.images import ImageOrder, SavedImage
from chalicelib.domain.instance import RegionView
from chalicelib.domain.keys import KeyPair, KeyType, NewKeyPair
from chalicelib.domain.learned import Learned
from chalicelib.domain.lease import Attempt, Charge, LaunchOrder, Lease, Receipt
from chalicelib.domain.links import Claim
from chalicelib.domain.metrics import Dimensions, Metric
from chalicelib.domain.notices import Notice
from chalicelib.domain.policy import Policy
from chalicelib.domain.prices import PriceBook
from chalicelib.domain.reservations import Reservation, ReservationLook
from chalicelib.domain.storage import GP3_IOPS, GP3_MIBPS, Address, Disk, Volume
from chalicelib.domain.timer import Timer

T = TypeVar("T")


class Clock(Protocol):
    """The time, read once per sweep or call and passed down."""

    def now(self) -> datetime:
        """The present, as an aware UTC datetime."""

    def sleep(self, seconds: float) -> None:
        """Wait in real time."""

    def elapsed(self) -> float:
        """Seconds of real time since some moment: for patience, whatever becomes of `now`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """What a launch must know of an AMI: its own name for its root volume, the size of it and, where it is gp3, what is
    provisioned for it; its other volumes; and what it bills as: its platform, the operation on the bill, and the
    product codes of a marketplace. `ssh_user`: whom to log in as, by its name."""

    id: str
    root_device: str
    root_gib: int
    root_iops: int = GP3_IOPS
    root_throughput: int = GP3_MIBPS
    other_disks: tuple[Disk, ...] = ()
    platform: str = "Linux/UNIX"
    usage_operation: str = "RunInstances"
    product_codes: tuple[str, ...] = ()
    ssh_user: str | None = None

    @property
    def unpriced(self) -> str | None:
        """Why what it bills is not known: only plain Linux is, other systems and products add what no table has, and of
        a disk its size and the IOPS that are paid for."""
        if self.product_codes:
            return f"its platform is {self.platform} with the product code {', '.join(self.product_codes)}"
        if (self.platform, self.usage_operation) != ("Linux/UNIX", "RunInstances"):
            return f"its platform is {self.platform or 'unknown'}, billed as {self.usage_operation}"
        for disk in self.other_disks:
            if not disk.gib or (disk.type in {"io1", "io2"} and not disk.iops):
                return f"EC2 tells no {'IOPS' if disk.gib else 'size'} of its disk {disk.device}"
        return None

    def disks(self, volume_gib: int | None) -> tuple[Disk, ...]:
        """What a box of it gets, told in full: its root as gp3 of that size, or its own, and its other volumes."""
        root = Disk(
            device=self.root_device,
            gib=volume_gib or self.root_gib,
            type="gp3",
            iops=self.root_iops,
            throughput=self.root_throughput,
        )
        return (root, *(disk.in_full for disk in self.other_disks))


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What AWS answered for one id. `accepted`: it will happen or has; `answer`: AWS's word (a state or error code).

    `is_absent`: AWS knows no such id. `is_dry_run`: the call was not made.
    """

    accepted: bool
    answer: str
    is_absent: bool = False
    is_dry_run: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchAnswer:
    """What a launch attempt came to: `launched`, `refused` (AWS said no, nothing runs), `too-early` (nothing runs, and
    the same call may do in a second), or `unknown` (the answer was lost: it may run)."""

    outcome: str
    instance_ids: tuple[str, ...] = ()
    spot_request_ids: tuple[str, ...] = ()
    fleet_id: str | None = None
    code: str = ""
    detail: str = ""


class Compute(Protocol):
    """EC2 in every region."""

    def regions(self) -> tuple[str, ...]:
        """The regions this account can use. Raises Unavailable."""

    def observe(
        self,
        regions: Collection[str],
        *,
        only: str | None = None,
        patience: float | None = None,
        fleets: Collection[tuple[str, str]] = (),
        whole: bool = False,
    ) -> tuple[RegionView, ...]:
        """Look at regions side by side; `only` narrows it to one instance and its request. Never raises: a region
        that did not answer, within `patience` seconds where they are given, is a view with status `denied` or
        `failed`.

        Fleets and groups are looked up where a box names one or may be a part of one; `fleets` (region, id) besides, or
        with `whole` all that live."""

    def image(self, region: str, image_id: str) -> Image | None:
        """An AMI, or None where the region has none of that id. Raises Unavailable."""

    def volumes(self, region: str, instance_ids: Collection[str]) -> Mapping[str, tuple[Volume, ...]]:
        """The volumes attached to each instance, none for one that EC2 does not know. Raises Unavailable."""

    def addresses(
        self, region: str, instance_ids: Collection[str], *, now: datetime
    ) -> Mapping[str, tuple[Address, ...]]:
        """The Elastic IPs of each instance, as they are `now`. Raises Unavailable."""

    def reservations(self, region: str) -> tuple[Reservation, ...]:
        """The active capacity reservations of a region. Raises Unavailable."""

    def accelerated(self, region: str, names: Collection[str]) -> Mapping[str, bool | None]:
        """Whether each instance type has accelerators; None for one that the region does not know, no entry for one it
        did not get to. Raises Unavailable where it said nothing at all."""

    def attempts(
        self,
        order: LaunchOrder,
        *,
        lease_id: str,
        owner: str,
        price_caps: Mapping[str, Decimal],
        image: Image,
        expires_at: datetime,
        valid_until: datetime,
        now: datetime,
        beacon: Beacon | None = None,
    ) -> Iterable[Attempt]:
        """The calls that may serve an order, best first, each with full parameters and a token of its own. `beacon`:
        what its boxes report by."""

    def launch(self, attempt: Attempt) -> LaunchAnswer:
        """Make one recorded call; the same attempt again gives the same answer and starts nothing new."""

    def find_launched(
        self, region: str, *, lease_id: str, tokens: Collection[str], maintains: bool = False
    ) -> LaunchAnswer:
        """What recorded attempts have started: by client token and, for fleets, by the lease tag on a fleet's own
        instances; with `maintains` also a fleet that has started none yet. `launched` or `refused` (nothing found).
        Raises Unavailable."""

    def fleet_problem(self, region: str, fleet_id: str, *, since: datetime) -> str | None:
        """What an EC2 Fleet told last of what keeps it from its target, in EC2's words; None where it told nothing
        since then. Raises Unavailable."""

    def cancel_spot_requests(self, region: str, ids: Collection[str]) -> Mapping[str, Outcome]:
        """Cancel each, bisecting so that no unknown id shields the others. Never raises."""

    def end_fleets(self, region: str, ids: Collection[str], *, and_boxes: bool) -> Mapping[str, Outcome]:
        """Delete each EC2 Fleet and cancel each Spot Fleet, with what they run or without. Never raises."""

    def shrink_fleet(self, region: str, fleet_id: str, *, total: int, on_demand: int | None) -> Outcome:
        """Set the target of a fleet of type maintain, and its on-demand part where it has one, and let the excess run
        on. Never raises."""

    def detach(self, region: str, group: str, ids: Collection[str]) -> Mapping[str, Outcome]:
        """Take each out of its Auto Scaling group, which wants one less then, bisecting. Never raises."""

    def resize_group(
        self, region: str, group: str, *, least: int, most: int | None = None, desired: int | None = None
    ) -> Outcome:
        """Set sizes of an Auto Scaling group; those that are None stay. Never raises."""

    def terminate(self, region: str, ids: Collection[str]) -> Mapping[str, Outcome]:
        """Terminate each, bisecting so that no unknown or protected id shields the others. Never raises."""

    def lift_termination_protection(self, region: str, instance_id: str) -> Outcome:
        """Switch DisableApiTermination off. Never raises."""

    def stop(self, region: str, ids: Collection[str]) -> Mapping[str, Outcome]:
        """Stop each, with bisection. Never raises."""

    def save_image(self, region: str, order: ImageOrder) -> Outcome:
        """Begin an image of a box, without a reboot; asked for again it is the same one. `answer`: its id, else EC2's
        error code. Never raises."""

    def saved_images(
        self, region: str, *, of: Collection[str] = (), owner: str | None = None, name: str | None = None
    ) -> tuple[SavedImage, ...]:
        """The images that Curfew has made: of boxes (`ImageOrder.image_of`), or an owner's under a name. Raises
        Unavailable."""

    def forget_image(self, region: str, image_id: str) -> Outcome:
        """Remove an image with its snapshots; absent is fine. Never raises."""

    def tag(self, region: str, ids: Collection[str], tags: Mapping[str, str]) -> None:
        """Tag instances. Raises Unavailable."""

    def delete_launch_template(self, region: str, lease_id: str) -> None:
        """Remove what a launch left behind; absent is fine. Raises Unavailable."""


class Catalogue(Protocol):
    """What can be launched from that Curfew has not made."""

    def deep_learning(self, region: str, architecture: str) -> Mapping[str, str]:
        """The public parameters of AWS's current deep-learning images, and the AMI of each. Raises Unavailable."""

    def described(self, region: str, ids: Collection[str]) -> tuple[PublicImage, ...]:
        """These images, but for those that are no more. Raises Unavailable."""

    def named(self, region: str, name: str) -> tuple[PublicImage, ...]:
        """Everybody's public images that have this in their names, 1,000 at most. Raises Unavailable."""


class NoCatalogue:
    """Nothing but AMIs by their ids."""

    def deep_learning(self, region: str, architecture: str) -> Mapping[str, str]:
        """None."""
        del region, architecture
        return {}

    def described(self, region: str, ids: Collection[str]) -> tuple[PublicImage, ...]:
        """None."""
        del region, ids
        return ()

    def named(self, region: str, name: str) -> tuple[PublicImage, ...]:
        """None."""
        del region, name
        return ()


class KeyPairs(Protocol):
    """EC2's key pairs, which are each region's own."""

    def pairs(self, region: str) -> tuple[KeyPair, ...]:
        """All of a region. Raises Unavailable."""

    def has(self, region: str, name: str) -> bool:
        """Whether a region has one of that name. Raises Unavailable."""

    def regions_with(self, name: str, regions: Collection[str]) -> tuple[str, ...]:
        """Those of the regions that have one of that name, as far as they answered in time. Never raises."""

    def bring(self, region: str, name: str, public_key: str, *, owner: str) -> KeyPair:
        """Import a public key. Raises Refused (`key-exists`, `bad-key`), Unavailable."""

    def make(self, region: str, name: str, kind: KeyType, *, owner: str) -> NewKeyPair:
        """Have EC2 make one. Raises Refused (`key-exists`, `bad-key`), Unavailable."""


class NoKeyPairs:
    """Nobody knows which there are: EC2 alone judges a launch's."""

    def pairs(self, region: str) -> tuple[KeyPair, ...]:
        """Not known."""
        raise Unavailable(f"key pairs in {region} are not asked about")

    def has(self, region: str, name: str) -> bool:
        """Not known."""
        raise Unavailable(f"{name} in {region} is not asked about")

    def regions_with(self, name: str, regions: Collection[str]) -> tuple[str, ...]:
        """None that is known."""
        del name, regions
        return ()

    def bring(self, region: str, name: str, public_key: str, *, owner: str) -> KeyPair:
        """Not done."""
        del public_key, owner
        raise Unavailable(f"{name} was not imported into {region}")

    def make(self, region: str, name: str, kind: KeyType, *, owner: str) -> NewKeyPair:
        """Not done."""
        del kind, owner
        raise Unavailable(f"{name} was not made in {region}")


class Metrics(Protocol):
    """CloudWatch."""

    def gpu_use(
        self, region: str, instance_ids: Collection[str], *, since: datetime, until: datetime
    ) -> Mapping[str, tuple[Series, ...]]:
        """The GPU duty cycle of each instance, highest per period, as its agent aggregates it: no series where it has
        no such metric, no entry where CloudWatch did not say. Raises Unavailable where it said nothing at all."""

    def read(
        self, region: str, wanted: Collection[Metric], *, since: datetime, until: datetime
    ) -> Mapping[Metric, tuple[tuple[datetime, float], ...]]:
        """The samples of each metric: none where it has none, no entry where CloudWatch did not say. Raises Unavailable
        where it said nothing at all."""

    def list_gpus(self, region: str) -> tuple[Dimensions, ...]:
        """The dimensions of every GPU metric that had samples in the last three hours; a new one may be missing for 15
        minutes. Raises Unavailable."""

    def network_out(
        self, region: str, instance_ids: Collection[str], *, since: datetime, until: datetime
    ) -> Mapping[str, int]:
        """Bytes that each instance has sent, anywhere, between two whole five minutes; 0 where CloudWatch has nothing.
        Raises Unavailable unless all was answered."""


class Prices(Protocol):
    """What compute costs."""

    def on_demand(self) -> PriceBook:
        """List prices as they are known, and the dated table: AWS is not asked."""

    def refresh(
        self, wanted: Collection[tuple[str, str]], *, now: datetime, only_unknown: bool = False
    ) -> tuple[str, ...]:
        """Learn the list prices of each (region, type), and the region's rates, where what is known is a day old; with
        `only_unknown` where nothing is. Under a deadline, never raises: answers what is lacking, for people."""

    def spot_history(
        self, region: str, instance_type: str, *, since: datetime, now: datetime
    ) -> Mapping[str, tuple[tuple[datetime, Decimal], ...]]:
        """By zone, how a type's spot price moved: (from when, USD per hour), ascending, first the one in force at
        `since`. Raises Unavailable."""

    def book(
        self, zones: Collection[tuple[str, str]], *, since: datetime, now: datetime, fresh: bool = False
    ) -> PriceBook:
        """With the spot history of each (zone, type) since a moment, not older than some minutes, or with `fresh` asked
        anew. Never raises: of what EC2 did not tell by the deadline the last price that was ever told is in force, and
        a pool of which nothing was told is left out: the meter then assumes the cap."""

    def keep(self, zones: Collection[tuple[str, str]], *, since: datetime, now: datetime) -> None:
        """Write down, for other processes, list prices that were learnt and what is known of these spot pools since a
        moment. Not before the kills. Never raises, and takes a few seconds at most."""


class Bills(Protocol):
    """Cost Explorer, late and at $0.01 a page."""

    def daily(self, since: date, until: date) -> BillAnswer | BillFailure:
        """Each day from `since` up to, not with, `until`, by service and usage type, without credits and refunds. Never
        raises, and takes 20 s at most."""


class Trail(Protocol):
    """CloudTrail: who did what, up to 15 minutes late."""

    def started_by(self, region: str, name: str) -> Caller | None:
        """Who started an instance, or made a request, fleet or group, by its id or name; None while that is not known.
        Raises Unavailable."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstSight:
    """What already ran in a region when Curfew first saw it."""

    at: datetime
    instance_ids: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """What is known of the account: first sights by region, and since when it is armed."""

    first_sights: Mapping[str, FirstSight] = field(default_factory=dict)
    armed_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepRecord:
    """What one sweep saw and did. `regions`: name → `ok`, `denied: …` or `failed: …`. `unleased_hourly_usd`: the most
    that boxes without a lease cost an hour. `seen`: boxes that were seen; `expected`: those that open leases run, as it
    is written. `ends_denied`: calls of ends that AWS denied. `pages`: of instances that each region answered with; one
    that does not answer in full has failed. `took_ms`: until the record was made."""

    id: str
    started_at: datetime
    finished_at: datetime
    trigger: str
    is_complete: bool
    is_dry_run: bool
    regions: Mapping[str, str]
    seen: int
    leases: int
    ended: tuple[str, ...] = ()
    ending: tuple[str, ...] = ()
    warned: tuple[str, ...] = ()
    adopted: tuple[str, ...] = ()
    deferred: tuple[str, ...] = ()
    reported: tuple[Mapping[str, str], ...] = ()
    lacking: tuple[str, ...] = ()
    unleased_hourly_usd: Decimal = Decimal(0)
    expected: int = 0
    ends_denied: int = 0
    took_ms: int = 0
    pages: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page of a list, and the cursor of the next."""

    items: tuple[T, ...]
    next: str | None = None


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

    def leases(self, *, limit: int, cursor: str | None) -> Page[Lease]:
        """Open and closed leases for a view, newest first."""

    def receipt(self, lease_id: str) -> Receipt | None:
        """The receipt of a lease's end."""

    def receipts(self, *, limit: int, cursor: str | None) -> Page[Receipt]:
        """Receipts, newest first."""

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

    def reservation_look(self) -> ReservationLook | None:
        """What the last look at capacity reservations has found; None before the first."""

    def keep_reservation_look(self, look: ReservationLook, *, notices: Sequence[Notice] = ()) -> None:
        """Keep this in place of the last one, and tell people."""

    def type_facts(self) -> tuple[TypeFact, ...]:
        """What EC2 said of instance types that the table of families does not have."""

    def keep_type_facts(self, facts: Sequence[TypeFact]) -> None:
        """Keep this in place of all that was kept; of two writers the later one stands."""

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

    def usage(self, month: str) -> Usage:
        """What Curfew's own calls add up to in a month (`2026-11`)."""

    def add_usage(self, month: str, counted: Mapping[Item, Decimal], *, since: datetime) -> None:
        """Add to a month; `since` is kept the first time."""


class Ledger(Protocol):
    """What Curfew's own calls cost, counted in memory as they are made."""

    def invoked(self, seconds: float, *, is_http: bool = False, log_bytes: int = 0) -> None:
        """Count one invocation of a function, and of API Gateway where it came over HTTP."""

    def hand_over(self, now: datetime, *, every: timedelta) -> Mapping[Item, Decimal]:
        """Everything counted since the last time, at the first call and then once `every`; else nothing."""


class Timers(Protocol):
    """EventBridge Scheduler: calls that AWS makes by itself, in any region."""

    @property
    def is_configured(self) -> bool:
        """False: leases have no timers."""

    def put(self, timer: Timer) -> None:
        """Make a timer, or make the one of that name this one. Raises Unavailable."""

    def delete(self, region: str, name: str) -> None:
        """Remove a timer; absent is fine. Raises Unavailable."""


class NoTimers:
    """No role for timers is set: nothing is armed."""

    is_configured = False

    def put(self, timer: Timer) -> None:
        """Not done."""

    def delete(self, region: str, name: str) -> None:
        """Not done."""


class Beacons(Protocol):
    """Where launched boxes tell of their work, and the keys that they sign with."""

    @property
    def is_configured(self) -> bool:
        """False: boxes tell nothing."""

    def new_key(self) -> str:
        """A key for one lease, that nobody can guess."""

    def of(self, lease_id: str, key: str) -> Beacon:
        """What a box of a lease is given."""


class NoBeacons:
    """No address is set that a box could reach."""

    is_configured = False

    def new_key(self) -> str:
        """Never asked for."""
        raise NotImplementedError

    def of(self, lease_id: str, key: str) -> Beacon:
        """Never asked for."""
        raise NotImplementedError


class Links(Protocol):
    """Links that do one thing for one lease, for whoever has them, for a time."""

    @property
    def is_configured(self) -> bool:
        """False: warnings have none."""

    def url(self, claim: Claim) -> str:
        """The link that makes a claim good. Raises Unavailable."""

    def read(self, token: str) -> Claim | None:
        """What a link claims, None for one that was not made here. Raises Unavailable."""


class NoLinks:
    """No address or no secret is set: there are no links."""

    is_configured = False

    def url(self, claim: Claim) -> str:
        """Never asked for."""
        raise NotImplementedError

    def read(self, token: str) -> Claim | None:
        """Nothing was made here."""


class Notifier(Protocol):
    """Where people read."""

    @property
    def is_configured(self) -> bool:
        """False: notices are kept in the outbox's history and go nowhere."""

    def send(self, notice: Notice) -> None:
        """Deliver one message within a few seconds, with all of its `parts`. Raises Unavailable: `status` in its
        `extra` is HTTP's where there is one, `retry_after` the seconds that it asks to be left alone for."""


class NoNotifier:
    """A channel that is not set up."""

    is_configured = False

    def send(self, notice: Notice) -> None:
        """Never asked for."""
        raise NotImplementedError


class DeadMan(Protocol):
    """Somebody elsewhere who raises the alarm when Curfew is silent."""

    def is_alive(self) -> None:
        """Tell them that Curfew lives, within 3 s. Raises Unavailable."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """Everything a use case may speak to, and the few settings that change what it does."""

    clock: Clock
    compute: Compute
    metrics: Metrics
    prices: Prices
    bills: Bills
    trail: Trail
    store: Store
    notifier: Notifier
    ledger: Ledger
    regions: tuple[str, ...] | None
    """None: all that the account can use."""
    home_region: str
    is_armed: bool = False
    deadman: DeadMan | None = None
    is_dry_run: bool = False
    timers: Timers = field(default_factory=NoTimers)
    links: Links = field(default_factory=NoLinks)
    topic: Notifier = field(default_factory=NoNotifier)
    """Who is told where `notifier` is none, or fails for too long."""
    beacons: Beacons = field(default_factory=NoBeacons)
    catalogue: Catalogue = field(default_factory=NoCatalogue)
    keys: KeyPairs = field(default_factory=NoKeyPairs)
    missing: tuple[Mapping[str, Any], ...] = ()
    answer_by: float | None = None
    """When, in `clock.elapsed`, whoever asked over HTTP is to have an answer. None: nobody waits for one."""

    def patience(self, most: float) -> float:
        """How many seconds one thing may take of `most`: no more than a caller who waits has left."""
        return most if self.answer_by is None else max(min(most, self.answer_by - self.clock.elapsed()), 0)
