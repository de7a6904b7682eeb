"""The records of the world: what AWS would know of each thing, and what only the truth knows.

They are plain mutable records. The rules that change them live in `boxes`, `spot`, `fleets` and `groups`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

from localaws.load import LoadHistory

Market = Literal["on-demand", "one-time", "persistent", "maintain", "asg", "spot-fleet", "capacity-block"]
Cause = Literal["no-capacity", "by-price"]
"""Why EC2 takes a spot box back."""
LIVE_STATES = frozenset({"pending", "running", "stopping", "stopped"})
STATE_CODES = {
    "pending": 0,
    "running": 16,
    "shutting-down": 32,
    "terminated": 48,
    "stopping": 64,
    "stopped": 80,
}


@dataclass(slots=True)
class Run:
    """One stretch of `running`, which is what AWS bills compute for."""

    start: datetime
    end: datetime | None = None
    interrupted: bool = False
    billed_until: datetime | None = None
    """Where that is later than the end: a box that hibernates bills until it has stopped."""


@dataclass(frozen=True, slots=True)
class VolumeShape:
    """What a volume is from a moment on; IOPS and MiB/s only where they are provisioned."""

    since: datetime
    gib: int
    kind: str
    iops: int | None = None
    throughput: int | None = None


@dataclass(slots=True, eq=False)
class Volume:
    """A volume, from its creation on; it bills until it is deleted."""

    id: str
    region: str
    shapes: list[VolumeShape]
    until: datetime | None = None

    @property
    def gib(self) -> int:
        return self.shapes[-1].gib

    @property
    def kind(self) -> str:
        return self.shapes[-1].kind

    @property
    def since(self) -> datetime:
        return self.shapes[0].since


@dataclass(slots=True)
class LaunchSpec:
    """Everything needed to start the same box again: RunInstances parameters in boto3's shape."""

    params: dict[str, Any]
    tags: dict[str, str]


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a box left its last state; empty for a start."""

    code: str = ""
    message: str = ""
    transition: str = ""


@dataclass(frozen=True, slots=True)
class Moment:
    """What EC2 says of a box from one change of its state on."""

    at: datetime
    state: str
    reason: Reason
    started_at: datetime


@dataclass(slots=True, eq=False)
class Box:
    """One instance, from its launch to the end of time."""

    id: str
    region: str
    zone: str
    type: str
    market: Market
    moto: Any
    launched_at: datetime
    load: LoadHistory
    state: str = "pending"
    spot: bool = False
    cap_usd: Decimal | None = None
    runs: list[Run] = field(default_factory=list)
    volumes: list[Volume] = field(default_factory=list)
    ended_at: datetime | None = None
    ended_by: str | None = None
    relaunched_by: str | None = None
    relaunch_of: str | None = None
    reservation_id: str = ""
    request_id: str | None = None
    fleet_id: str | None = None
    group: str | None = None
    public_ip: bool = False
    sent: list[tuple[datetime, Decimal]] = field(default_factory=list)
    """What it has sent to the internet, in GB of 2^30 bytes."""
    rebooted_at: datetime | None = None
    moments: list[Moment] = field(default_factory=list)
    """Every change of its state, oldest first."""
    forgotten: bool = False
    epoch: int = 0
    """Counts starts and stops, so that an action planned for an earlier life of the box does nothing."""

    @property
    def live(self) -> bool:
        return self.state in LIVE_STATES

    @property
    def lifecycle(self) -> str | None:
        """What EC2 calls it; nothing for what is on demand."""
        if self.spot:
            return "spot"
        return "capacity-block" if self.is_prepaid else None

    @property
    def is_prepaid(self) -> bool:
        """It runs in a capacity block, which was paid for before it began."""
        return self.market == "capacity-block"


@dataclass(slots=True, eq=False)
class SpotRequest:
    """One spot instance request."""

    id: str
    region: str
    type: Literal["one-time", "persistent"]
    created_at: datetime
    spec: LaunchSpec
    behaviour: str
    cap_usd: Decimal | None
    valid_until: datetime | None = None
    state: str = "open"
    status_code: str = "pending-evaluation"
    status_at: datetime | None = None
    box_id: str | None = None
    zone: str | None = None
    fleet_id: str | None = None
    group: str | None = None
    market: Market = "one-time"
    relaunch_of: str | None = None
    waiting: bool = False
    interrupted_by: Cause | None = None
    """Why EC2 is taking its box back or has stopped it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetSide:
    """What a fleet asks of its spot boxes, or of its on-demand ones."""

    strategy: str = "lowest-price"
    max_total_usd: Decimal = Decimal("Infinity")
    least: int = 0
    """Below so much capacity nothing at all is launched."""
    one_type: bool = False
    one_zone: bool = False


@dataclass(frozen=True, slots=True)
class FleetEvent:
    """An entry of a fleet's history, in the words of EC2's EventInformation."""

    at: datetime
    kind: str
    sub_type: str
    instance_id: str | None = None
    description: str | None = None


@dataclass(slots=True, eq=False, kw_only=True)
class Fleet:
    """One EC2 Fleet or Spot Fleet."""

    id: str
    region: str
    type: str
    created_at: datetime
    params: dict[str, Any]
    """The request in boto3's shape, as Describe shows it again."""
    target: int
    on_demand_target: int = 0
    ends_excess: bool = True
    """Whether boxes are ended when the target is lowered below what runs."""
    spot: FleetSide = FleetSide()
    on_demand: FleetSide = FleetSide()
    behaviour: str = "terminate"
    """What becomes of a spot box that EC2 interrupts."""
    valid_from: datetime | None = None
    valid_until: datetime | None = None
    ends_with_expiry: bool = False
    state: str = "active"
    ended_at: datetime | None = None
    """When it was over and its last box was gone."""
    box_ids: list[str] = field(default_factory=list)
    weights: dict[str, Decimal] = field(default_factory=dict)
    """How much of the target each box counts for."""
    lost: list[str] = field(default_factory=list)
    """Boxes that ended and are to be replaced, oldest first."""
    errors: list[dict[str, Any]] = field(default_factory=list)
    instances: list[dict[str, Any]] = field(default_factory=list)
    history: list[FleetEvent] = field(default_factory=list)
    blocked_at: dict[tuple[str, str], datetime] = field(default_factory=dict)
    """Zone and type → when its history told last that it can't launch there."""
    refilling: bool = False
