"""A case: everything that may be looked at to judge one subject, a lease or a box without one."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from enum import IntEnum

from chalicelib.domain.brake import Fight
from chalicelib.domain.budget import BudgetState
from chalicelib.domain.evidence import Beat, Evidence
from chalicelib.domain.instance import Instance, SpotRequest
from chalicelib.domain.learned import Learned
from chalicelib.domain.lease import Lease
from chalicelib.domain.meter import Cost
from chalicelib.domain.money import ZERO
from chalicelib.domain.policy import IdlePolicy, Policy


class Effect(IntEnum):
    """What should happen to a subject; of several the strictest wins."""

    KEEP = 0
    WARN = 1
    END = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One rule's reason, with its figures. `ends_at` is when it would end the subject if nothing changes; `due_at` the
    earliest moment at which its effect could be another one; `spared_by` says what softened it."""

    rule: str
    effect: Effect
    reason: str
    figures: Mapping[str, str] = field(default_factory=dict)
    ends_at: datetime | None = None
    due_at: datetime | None = None
    spared_by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """The facts of one subject at one moment. `instances` are those not gone; `obstacle` names a controller that
    would start a replacement and that can't be disarmed yet. `burning_usd`: the most that all leases on a budget can
    cost it an hour. `accrued_in_usd`: what the lease itself has cost in the present day, month and `total`. `fight`:
    how often boxes like its own were started again of late."""

    now: datetime
    policy: Policy
    lease: Lease | None
    instances: tuple[Instance, ...]
    spot_requests: tuple[SpotRequest, ...] = ()
    evidence: Evidence
    cost: Cost
    budgets: tuple[BudgetState, ...] = ()
    spent_usd: Mapping[str, Decimal] = field(default_factory=dict)
    burning_usd: Mapping[str, Decimal] = field(default_factory=dict)
    accrued_in_usd: Mapping[str, Decimal] = field(default_factory=dict)
    obstacle: str | None = None
    unleased_because: str | None = None
    fight: Fight | None = None
    beats: Mapping[str, tuple[Beat, ...]] | None = field(default_factory=dict)
    """What each of its boxes has told of itself, by instance id. None: that could not be read, so nothing is idle."""
    learned: Learned | None = None
    """What CloudWatch has said of it, now or when it was last asked."""
    expects_beats: bool = False
    """Its boxes carry the script that posts heartbeats."""

    @property
    def idle_policy(self) -> IdlePolicy:
        """The policy's idle section, tightened by the lease's own."""
        return self.policy.idle.tightened(
            self.lease.order.idle_after if self.lease and self.lease.order else None
        )

    @property
    def running(self) -> tuple[Instance, ...]:
        """The boxes that bill for compute."""
        return tuple(instance for instance in self.instances if instance.is_running)

    @property
    def started_at(self) -> datetime:
        """The last start among its boxes."""
        starts = [instance.launched_at for instance in self.running if instance.launched_at]
        return max(starts, default=self.lease.requested_at if self.lease else self.now)

    @property
    def ending_usd(self) -> Decimal:
        """What ending it may still cost: its dearest price for the `teardown.margin` that its hold was made with."""
        margin = self.policy.teardown.margin
        if self.lease:
            margin = self.lease.margin(margin)
        return self.cost.ceiling_usd * Decimal(margin / timedelta(hours=1))

    @property
    def saving_usd(self) -> Decimal:
        """What of its hold is kept for the images of its end."""
        return max(self.lease.hold.snapshot_usd - self.cost.snapshot_usd, ZERO) if self.lease else ZERO


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The strictest effect, every finding with its figures, and the earliest moment at which any of it could change if
    nothing is seen to happen (None: only what happens can change it)."""

    case: Case
    effect: Effect
    findings: tuple[Finding, ...]
    due_at: datetime | None = None

    @property
    def ruling(self) -> Finding | None:
        """The finding that decides: the first of the strictest, in the order of the rules."""
        return next((finding for finding in self.findings if finding.effect is self.effect), None)

    @property
    def ends_for_idleness_only(self) -> bool:
        """True where nothing but idleness asks for the end: such ends are capped per sweep."""
        return self.effect is Effect.END and {f.rule for f in self.findings if f.effect is Effect.END} == {
            "idle"
        }
