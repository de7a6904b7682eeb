"""What callers are answered, as types: GET /openapi.json describes the answers by them, and a test holds real ones
against it. Records that `plain` shows as they are stand here by their own dataclass.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Generic, Literal, NotRequired, TypeVar

from typing_extensions import TypedDict

from chalicelib.domain.budget import Consequence, Period, ScopeKind
from chalicelib.domain.case import Effect, Finding
from chalicelib.domain.evidence import Evidence
from chalicelib.domain.lease import (
    KeptImage,
    Leftover,
    OnEnd,
    Origin,
    Receipt,
    Refusal,
    RequestType,
    Status,
)
from chalicelib.ports import SweepRecord
from chalicelib.usecases.budgets import NextPeriod
from chalicelib.web.security_groups import NetworkAnswer

T = TypeVar("T")


class Page(TypedDict, Generic[T]):
    """One page of a list; `next` is the cursor of the one after it, null on the last."""

    items: list[T]
    next: str | None


class Seen(TypedDict, Generic[T]):
    """One page of what EC2 was asked for; `unseen`: the regions that it missed, and why."""

    items: list[T]
    next: str | None
    unseen: dict[str, str]


class Problem(TypedDict):
    """RFC 9457. Some problems carry further members."""

    type: str
    title: str
    status: int
    detail: str


class VerdictAnswer(TypedDict):
    """What should happen, and every rule's reason."""

    effect: Effect
    due_at: datetime | None
    findings: list[Finding]


class HoldAnswer(TypedDict):
    """The worst case in its parts."""

    compute_usd: Decimal
    storage_usd: Decimal
    public_ipv4_usd: Decimal
    egress_usd: Decimal
    snapshot_usd: Decimal


class ShareAnswer(TypedDict):
    """A lease on one budget in one period."""

    name: str
    period_key: str
    hold_usd: Decimal
    spent_usd: Decimal
    held_usd: Decimal


class SyncedAnswer(TypedDict):
    """How far a box's data has come, as it told last: files where they belong, and files that are not."""

    instance_id: str
    way: Literal["fetch", "push"]
    done: int
    left: int
    problem: str | None
    at: datetime


class LeaseAnswer(TypedDict):
    """The promise, its meter, its verdict and why."""

    id: str
    status: Status
    owner: str
    project: str | None
    origin: Origin
    is_storage: bool
    launched_by: str | None
    request_type: RequestType
    instance_types: list[str]
    tried: list[Refusal]
    region: str
    spot_request_ids: list[str]
    fleet_id: str | None
    fleet_problem: str | None
    instance_ids: list[str]
    requested_at: datetime
    launched_at: datetime | None
    expires_at: datetime
    snoozed_until: datetime | None
    ran_before_for: timedelta | None
    closed_at: datetime | None
    on_end: OnEnd
    guest_deadline: datetime | None
    network: NetworkAnswer | None
    timers: Literal["armed", "pending"] | None
    hold_usd: Decimal
    hold: HoldAnswer
    accrued_usd: Decimal
    hourly_usd: Decimal
    compute_usd: Decimal
    storage_usd: Decimal
    public_ipv4_usd: Decimal
    egress_usd: Decimal
    egress: str | None
    snapshot_usd: Decimal
    leftovers: list[Leftover]
    images: list[KeptImage]
    budgets: list[ShareAnswer]
    verdict: VerdictAnswer | None
    ssh: str | None
    ssh_host_keys: list[str]
    failure: dict[str, Any] | None
    sync: list[SyncedAnswer]
    receipts: list[Receipt]


class RoomAnswer(TypedDict):
    """What a budget would hold of a launch in a period, what is left there, and whether it would take it."""

    name: str
    period_key: str
    hold_usd: Decimal
    left_usd: Decimal
    has_room: bool


class QuoteAnswer(TypedDict):
    """What a launch would hold, and what speaks against it."""

    dry_run: Literal[True]
    would_launch: bool
    hold_usd: Decimal
    hold: HoldAnswer
    instance_types: list[str]
    price_caps_usd_per_hour: dict[str, Decimal]
    spot_usd_per_hour: dict[str, dict[str, Decimal]]
    budgets: list[RoomAnswer]
    prices_as_of: str
    objections: list[Problem]


class InstanceAnswer(TypedDict):
    """One accelerator instance with its cost, evidence and verdict."""

    id: str
    instance_type: str
    region: str
    zone: str | None
    state: str
    lifecycle: str
    launched_at: datetime | None
    public_ip: str | None
    spot_request_id: str | None
    fleet_id: str | None
    group: str | None
    managed_by: str | None
    tags: dict[str, str]
    lease_id: str | None
    owner: str | None
    project: str | None
    accrued_usd: Decimal
    hourly_usd: Decimal
    evidence: Evidence
    verdict: VerdictAnswer


class SpotRequestAnswer(TypedDict):
    """One spot request or fleet; the last three are told of fleets alone."""

    id: str
    request_type: str
    region: str
    state: str
    max_price_usd_per_hour: Decimal | None
    created_at: datetime | None
    valid_until: datetime | None
    tags: dict[str, str]
    lease_id: str | None
    owner: str | None
    project: str | None
    zone: str | None
    status_code: str
    instance_id: str | None
    instance_type: str | None
    instance_ids: NotRequired[list[str] | None]
    instance_types: NotRequired[list[str]]
    target_capacity: NotRequired[int]


class ScopeAnswer(TypedDict):
    """Whose leases a budget counts."""

    kind: ScopeKind
    value: str | None


class ThresholdAnswer(TypedDict):
    """What happens at that much of the limit."""

    at_percent: float
    do: list[Consequence]


class BudgetAnswer(TypedDict):
    """A budget as it was put, and where it stands."""

    name: str
    limit_usd: Decimal
    period: Period
    scope: ScopeAnswer
    services: Literal["accelerators", "all"]
    thresholds: list[ThresholdAnswer]
    period_key: str
    spent_usd: Decimal
    held_usd: Decimal
    left_usd: Decimal
    exhausted_at: datetime | None
    next_period: NextPeriod | None
    ending: list[str]


class ZoneAnswer(TypedDict):
    """What spot costs in one zone."""

    zone: str
    spot_usd_per_hour: Decimal
    p50_usd_per_hour: Decimal | None
    p90_usd_per_hour: Decimal | None
    since: datetime | None


class MarketHold(TypedDict):
    """What the budgets would set aside, in its parts."""

    compute_usd: Decimal
    storage_usd: Decimal
    public_ipv4_usd: Decimal
    egress_usd: Decimal
    margin_usd: Decimal


class MarketAnswer(TypedDict):
    """Prices per hour of one box, and the hold of all that are asked about."""

    instance_type: str
    region: str
    runs_for: timedelta
    target_capacity: int
    volume_gib: int | None
    egress_gb: int
    zones: list[ZoneAnswer]
    on_demand_usd_per_hour: Decimal
    prices_as_of: str
    prices_from: str
    price_cap_usd_per_hour: Decimal
    hold_usd: Decimal
    hold: MarketHold
    margin: timedelta
    lacking: list[str]
    objections: list[Problem]


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepAnswer(SweepRecord):
    """What one sweep saw and did; `armed_at`: since when older boxes come under leases, if it was asked to arm."""

    armed_at: datetime | None = None


class HeartbeatAnswer(TypedDict):
    """What a box is told: when its lease ends, and from when on it has to tell each minute."""

    lease: str
    status: Status
    deadline: NotRequired[datetime]
    each_minute_from: NotRequired[datetime]
    push: NotRequired[Literal["now"]]


class HealthWord(TypedDict):
    """All that anybody is told without a token."""

    status: Literal["ok", "failing"]
