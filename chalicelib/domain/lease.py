"""The lease: the right of an owner to run one launch until `expires_at` and up to its hold.

It owns the ids in its record; a `curfew:lease` tag alone is no lease, because consoles and templates copy tags.
Status: requested → active → ending → closed, never back.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any

from chalicelib.domain.gpus import GpuNeed
from chalicelib.domain.images import SavedImage
from chalicelib.domain.money import ZERO
from chalicelib.domain.network import Opening
from chalicelib.domain.storage import Address, Disk, Volume
from chalicelib.domain.sync import SyncFrom, SyncTo
from chalicelib.domain.timer import Timer


class Status(StrEnum):
    """Where a lease is on its way."""

    REQUESTED = "requested"
    ACTIVE = "active"
    ENDING = "ending"
    CLOSED = "closed"


class RequestType(StrEnum):
    """How the box was asked for; `none` for an adopted box without a spot request.

    A fleet that maintains its target starts another box for each that ends, also for one that shuts itself down.
    """

    ONE_TIME = "one-time"
    PERSISTENT = "persistent"
    MAINTAIN = "maintain"
    NONE = "none"


class OnEnd(StrEnum):
    """What becomes of a box at the end: `image` saves it first, `stop` (of found boxes alone) keeps its disks."""

    TERMINATE = "terminate"
    IMAGE = "image"
    STOP = "stop"


class Origin(StrEnum):
    """Who started what the lease covers."""

    LAUNCHED = "launched"
    ADOPTED = "adopted"


EGRESS_GB = 50
"""What a box may send under its hold where nobody says otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchOrder:
    """What a caller asked for, with every default filled in."""

    instance_types: tuple[str, ...]
    image: str
    region: str
    request_type: RequestType = RequestType.ONE_TIME
    lasts_for: timedelta
    target_capacity: int = 1
    budget_usd: Decimal | None = None
    max_price_usd_per_hour: Decimal | None = None
    volume_gib: int | None = None
    egress_gb: int = EGRESS_GB
    key_name: str | None = None
    subnet_id: str | None = None
    project: str | None = None
    idle_after: timedelta | None = None
    user_data: str | None = None
    instance_profile: str | None = None
    on_end: OnEnd = OnEnd.TERMINATE
    gpu: GpuNeed | None = None
    """What its types were chosen by; there are none before they are."""
    asked: Mapping[str, Any] = field(default_factory=dict, compare=False)
    """What was sent, without what is not to be kept: a receipt tells it as the call that brings the box back."""
    opening: Opening | None = None
    """Who may reach its boxes, on which ports; None: its VPC's default group and `security_group_ids` decide."""
    security_group_ids: tuple[str, ...] = ()
    own_group_id: str | None = None
    """The group that opens it, once there is one."""
    sync_from: SyncFrom | None = None
    sync_to: SyncTo | None = None
    rclone: str | None = None
    """The SSM parameter that has the configuration of the remote in either of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeOf:
    """What a box was made of, as far as EC2 tells."""

    instance_type: str | None = None
    image_id: str | None = None
    key_name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A type and zone in which EC2 launched nothing, and its reason; None where it does not say which."""

    instance_type: str | None = None
    zone: str | None = None
    code: str
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One call that may start something, recorded with its full parameters before it is made, and without once it is
    answered.

    `outcome` is None while the answer is not known: such an attempt is looked up by its token and replayed before any
    other is made. `refusals`: the types and zones in which EC2 did not launch, also where it did in another.
    """

    token: str
    operation: str
    region: str
    parameters: Mapping[str, Any]
    started_at: datetime
    outcome: str | None = None
    code: str = ""
    detail: str = ""
    refusals: tuple[Refusal, ...] = ()

    def settled(
        self, outcome: str, *, code: str = "", detail: str = "", refusals: tuple[Refusal, ...] = ()
    ) -> "Attempt":
        """With its answer. A call that will not be made again needs its parameters no more: user data is most of what
        a lease weighs, and every sweep reads every lease."""
        is_final = outcome in {"launched", "refused"}
        parameters = {} if is_final else self.parameters
        return replace(
            self, outcome=outcome, code=code, detail=detail, refusals=refusals, parameters=parameters
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """The worst-case cost of a lease, in its parts. `egress_usd` is the stated allowance that still fits,
    `snapshot_usd` the first month of the images that its end makes.

    `hourly_usd` is no part of it: the most that its boxes, disks and addresses cost an hour, also where a cap cuts what
    is held; nothing where a version before it was kept has written the hold.
    """

    compute_usd: Decimal = ZERO
    storage_usd: Decimal = ZERO
    public_ipv4_usd: Decimal = ZERO
    egress_usd: Decimal = ZERO
    hourly_usd: Decimal = ZERO
    snapshot_usd: Decimal = ZERO

    @property
    def total_usd(self) -> Decimal:
        """What the budgets set aside."""
        return self.timed_usd + self.egress_usd + self.snapshot_usd

    @property
    def timed_usd(self) -> Decimal:
        """What of it pays for what bills by the second."""
        return self.compute_usd + self.storage_usd + self.public_ipv4_usd


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """A hold's share on one budget in one period; `generation`: of the budgets of that name, which.

    `is_short`: it may cost more in that period than this, so it ends before it does.
    """

    budget: str
    period_key: str
    amount_usd: Decimal
    generation: int = 0
    is_short: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """An interval in which an instance really ran. `started_at` is what bills: the first run of an adopted lease
    starts at its adoption. `disk_ended_at`: the instance is gone and its disks with it; a stopped one keeps them.

    `is_interrupted`: EC2 took it back. `has_public_ip`: it had an address, all the time but for `without_ip_for`, and
    until `ip_lost_at` where it has none any more.
    """

    instance_id: str
    instance_type: str
    zone: str | None
    is_spot: bool
    started_at: datetime
    ended_at: datetime | None = None
    disk_ended_at: datetime | None = None
    has_public_ip: bool = True
    max_price_usd: Decimal | None = None
    is_interrupted: bool = False
    without_ip_for: timedelta = timedelta(0)
    ip_lost_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One call of a teardown, and what came of it. `done_at` is set once AWS has confirmed it, `at` is when it was last
    tried. `may_have_started`: a request to cancel that had no box to show for itself, so that it may get one just
    before it is cancelled.

    `controller`: the fleet or group that the step takes its `target` out of. `before` and `after` are sizes: those that
    were found, and those that the step sets; written down before the call, so that nothing is shrunk twice.
    """

    action: str
    target: str
    region: str
    tried: int = 0
    done_at: datetime | None = None
    answer: str = ""
    may_have_started: bool = False
    at: datetime | None = None
    call: str = ""
    controller: str | None = None
    refused_at: datetime | None = None
    """When AWS first said no to it."""
    before: Mapping[str, int] = field(default_factory=dict)
    after: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """Why a lease ends, since when, and how far it has come. `claimed_until`: only one writer acts at a time."""

    cause: str
    reason: str
    figures: Mapping[str, str] = field(default_factory=dict)
    decided_at: datetime
    claimed_until: datetime
    steps: tuple[Step, ...] = ()
    on_end: OnEnd = OnEnd.TERMINATE
    boxes: Mapping[str, str] = field(default_factory=dict)
    """A fleet's, which end beside it under leases of their own: by instance id that lease's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """One promise. Written only with its `version` as condition, so of two writers one loses and reads anew.

    `budget_usd` is the cap that a PATCH gave it; a launched one's is in its order too. `teardown_margin` is what its
    hold was reckoned with: a policy that changes later ends no lease that runs. `disks` are a box's as they were held,
    and `storage_gib` their size; its `volumes`, once known, were last asked for at `volumes_at`. `egress_bytes` is what
    NetworkOut says was sent up to `egress_until`, and `egress_by_day` on which UTC days. It `follows` a closed
    lease when it was made to end what came back of that one, for the `times_back`-th time; the two share a receipt.
    `images` are those that its end has made.
    """

    id: str
    owner: str
    region: str
    origin: Origin
    request_type: RequestType
    status: Status
    requested_at: datetime
    expires_at: datetime
    hold: Hold
    project: str | None = None
    charges: tuple[Charge, ...] = ()
    order: LaunchOrder | None = None
    body_hash: str | None = None
    storage_gib: int = 0
    disks: tuple[Disk, ...] = ()
    budget_usd: Decimal | None = None
    teardown_margin: timedelta | None = None
    attempts: tuple[Attempt, ...] = ()
    instance_ids: tuple[str, ...] = ()
    spot_request_ids: tuple[str, ...] = ()
    fleet_id: str | None = None
    launched_at: datetime | None = None
    runs: tuple[Run, ...] = ()
    missing_since: Mapping[str, datetime] = field(default_factory=dict)
    warned_at: Mapping[str, datetime] = field(default_factory=dict)
    ran_before_for: timedelta = timedelta(0)
    ending: Ending | None = None
    closed_at: datetime | None = None
    final_usd: Decimal | None = None
    final_by_day: Mapping[str, Decimal] = field(default_factory=dict)
    failure: Mapping[str, Any] | None = None
    volumes: tuple[Volume, ...] = ()
    volumes_at: datetime | None = None
    egress_bytes: int = 0
    egress_by_day: Mapping[str, int] = field(default_factory=dict)
    egress_until: datetime | None = None
    follows: str | None = None
    times_back: int = 0
    started_by: str | None = None
    """What starts boxes like an adopted one: its group, fleet or request, or the key of whoever does."""
    images: tuple[SavedImage, ...] = ()
    addresses: tuple[Address, ...] = ()
    """The Elastic IPs of its boxes, as of the last look at their volumes."""
    is_storage: bool = False
    """Its boxes are at rest: it meters what they keep, and only `stopped_still_billing` judges it."""
    launched_by: str | None = None
    """Who started an adopted box, as CloudTrail names them: an ARN."""
    creator_asked_at: datetime | None = None
    guest_deadline: datetime | None = None
    """When its boxes shut themselves down, as far as they know."""
    valid_until: datetime | None = None
    """What AWS was told at the launch: nothing is started again after it."""
    timers: tuple[Timer, ...] = ()
    """What is armed at AWS; at `timers_at` that was all that there should be."""
    timers_at: datetime | None = None
    snoozed_until: datetime | None = None
    """No end for idleness before that, by a warning's link; never past `expires_at` as it was then."""
    moving_to: datetime | None = None
    """A PATCH is under way to that end; where it equals `expires_at` only the hold is yet to be made smaller."""
    ssh_user: str | None = None
    """Whom its boxes have to log in as, by the name of their image; None where that is not known."""
    heartbeat_key: str | None = field(default=None, repr=False)
    """What its boxes sign their heartbeats with; whoever is on one of them can read it. None: they send none."""
    host_keys: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The fingerprints of the host keys of its boxes, by instance id, as far as their consoles have told."""
    made_of: MadeOf | None = None
    """Of a launched lease the image that its order's words have meant."""
    version: int = 0

    @property
    def is_open(self) -> bool:
        """Holds money and may own something that bills."""
        return self.status is not Status.CLOSED

    @property
    def is_adopted(self) -> bool:
        """Curfew found the box; it did not launch it."""
        return self.origin is Origin.ADOPTED

    @property
    def box_disks(self) -> tuple[Disk, ...]:
        """What one of its boxes is taken to have: gp3 where a version that kept their size alone has written it."""
        return self.disks or (Disk(gib=self.storage_gib, type="gp3"),)

    def margin(self, default: timedelta) -> timedelta:
        """For how long its hold pays beyond its time; `default`, the policy's of today, where that was not kept."""
        return default if self.teardown_margin is None else self.teardown_margin

    def with_step(self, changed: Step) -> "Lease":
        """The same lease with one step of its ending replaced, by action and target."""
        if self.ending is None:
            raise ValueError(f"lease {self.id} is not ending")
        steps = tuple(
            changed if (step.action, step.target) == (changed.action, changed.target) else step
            for step in self.ending.steps
        )
        return replace(self, ending=replace(self.ending, steps=steps))


@dataclass(frozen=True, slots=True, kw_only=True)
class Leftover:
    """A volume, or where `address_id` is told an Elastic IP, that goes on billing after what ran is gone or at rest,
    and what it costs a month."""

    volume_id: str
    region: str
    instance_id: str
    type: str
    gib: int
    monthly_usd: Decimal
    address_id: str | None = None
    ip: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptImage:
    """An image that was made at the end, in the state that it was last seen in, and what it costs a month at most."""

    id: str
    region: str
    instance_id: str
    name: str
    state: str
    gib: int
    monthly_usd: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Relaunch:
    """The call that brings a box back, and what it does not bring back."""

    method: str = "POST"
    path: str = "/spot-requests"
    body: Mapping[str, Any]
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """The proof of how a lease ended: one a lease, its attempts inside."""

    id: str
    lease_id: str
    owner: str
    project: str | None
    region: str
    origin: Origin
    cause: str
    reason: str
    figures: Mapping[str, str]
    instance_ids: tuple[str, ...]
    spot_request_ids: tuple[str, ...]
    launched_at: datetime | None
    decided_at: datetime
    ended_at: datetime | None
    status: str
    """`done`; `ending` while it goes on; `dry-run` where nothing was done."""
    steps: tuple[Step, ...]
    cost_usd: Decimal
    hold_usd: Decimal
    compute_usd: Decimal = ZERO
    storage_usd: Decimal = ZERO
    public_ipv4_usd: Decimal = ZERO
    egress_usd: Decimal = ZERO
    egress_until: datetime | None = None
    """Up to when `egress_usd` counts; none: nothing was known of it."""
    leftovers: tuple[Leftover, ...] = ()
    snapshot_usd: Decimal = ZERO
    images: tuple[KeptImage, ...] = ()
    leases: tuple[str, ...] = ()
    """Those of a fleet's boxes, which end beside it: their receipts have what the boxes cost."""
    saved_usd: Decimal | None = None
    """What it would have cost by its own hour at what it cost an hour, at most what was left of its hold; none: nobody
    knows for how much longer it would have run, or it goes on."""
    relaunch: Relaunch | None = None
    """The launch call that brings the box back; none where not even its type is known."""
