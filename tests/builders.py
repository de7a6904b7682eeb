"""Examples with every default filled in, so that a test names only what it is about, and reads as a timeline.

`at("10:05")` is a time of the day on which everything begins; `Stage` is a whole Curfew on doubles in memory.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import Any

from chalicelib.domain.budget import Budget, BudgetState, Period, ScopeKind
from chalicelib.domain.case import Case, Effect, Finding, Verdict
from chalicelib.domain.decide import decide
from chalicelib.domain.evidence import Evidence, Series, Use, unknown
from chalicelib.domain.fleets import Fleet, Group
from chalicelib.domain.instance import Instance, RegionView, Sight, SpotRequest
from chalicelib.domain.lease import Hold, LaunchOrder, Lease, Origin, Receipt, RequestType, Run, Status
from chalicelib.domain.meter import Cost
from chalicelib.domain.notices import Kind, Notice
from chalicelib.domain.policy import Policy
from chalicelib.domain.prices import PriceBook
from chalicelib.domain.rates import US_EAST_1
from chalicelib.domain.storage import Disk
from chalicelib.gateways.dry_run import DryRunCompute
from chalicelib.gateways.ledger import MemoryLedger
from chalicelib.ports import (
    Beacons,
    Catalogue,
    KeyPairs,
    Links,
    NoCatalogue,
    NoKeyPairs,
    NoLinks,
    NoSecurityGroups,
    NoTimers,
    SecurityGroups,
    Services,
    SweepRecord,
    Timers,
)
from chalicelib.usecases import budgets as budgeting
from chalicelib.usecases.launch import launch
from chalicelib.usecases.sweep import sweep
from tests.doubles.memory_bills import MemoryBills
from tests.doubles.memory_compute import Box, Call, MemoryCompute, Request
from tests.doubles.memory_ports import (
    ON_DEMAND,
    START,
    MemoryClock,
    MemoryMetrics,
    MemoryNotifier,
    MemoryPrices,
)
from tests.doubles.memory_store import MemoryStore
from tests.doubles.memory_trail import MemoryTrail

REGION, ZONE, TYPE = "us-east-1", "us-east-1a", "g5.xlarge"
AMI = "ami-0123456789abcdef0"
BOX, REQUEST = "i-0aaaaaaaaaaaaaaa1", "sir-aaaaaaa1"
PRICE = ON_DEMAND[TYPE]
SECOND, MINUTE, HOUR, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def at(clock: str, *, day: int = 0) -> datetime:
    """`09:00` or `09:00:30` of the first day, or of a later one."""
    hour, minute, second = (*map(int, clock.split(":")), 0)[:3]
    return START.replace(hour=hour, minute=minute, second=second) + day * DAY


def minutes(number: float) -> timedelta:
    """A length in minutes."""
    return timedelta(minutes=number)


def usd(amount: str | int) -> Decimal:
    """Dollars."""
    return Decimal(amount)


def policy(**sections: dict[str, Any]) -> Policy:
    """The default policy with some keys changed, as its document names them."""
    document = Policy().model_dump(mode="json", by_alias=True)
    for section, keys in sections.items():
        document[section] |= keys
    return Policy.model_validate(document)


def box(instance_id: str = BOX, **facts: Any) -> Instance:
    """A running spot instance, started at 09:00."""
    return Instance(
        **{
            "id": instance_id,
            "region": REGION,
            "type": TYPE,
            "state": "running",
            "zone": ZONE,
            "lifecycle": "spot",
            "launched_at": START,
            "spot_request_id": REQUEST,
            "public_ip": "203.0.113.7",
            **facts,
        }
    )


def request(request_id: str = REQUEST, **facts: Any) -> SpotRequest:
    """An active request for that instance."""
    return SpotRequest(
        **{
            "id": request_id,
            "region": REGION,
            "state": "active",
            "instance_id": BOX,
            "instance_type": TYPE,
            **facts,
        }
    )


def sight(*seen: Instance | SpotRequest | Fleet | Group, status: str = "ok") -> Sight:
    """What one look at the region saw."""
    return Sight(
        (
            RegionView(
                region=REGION,
                status=status,
                instances=tuple(one for one in seen if isinstance(one, Instance)),
                spot_requests=tuple(one for one in seen if isinstance(one, SpotRequest)),
                fleets=tuple(one for one in seen if isinstance(one, Fleet)),
                groups=tuple(one for one in seen if isinstance(one, Group)),
            ),
        )
    )


def order(**wishes: Any) -> LaunchOrder:
    """A wish for one one-time g5.xlarge for eight hours."""
    return LaunchOrder(
        **{"instance_types": (TYPE,), "image": AMI, "region": REGION, "lasts_for": 8 * HOUR, **wishes}
    )


def run(started_at: datetime = START, ended_at: datetime | None = None, **facts: Any) -> Run:
    """A run of the box on spot."""
    return Run(
        **{
            "instance_id": BOX,
            "instance_type": TYPE,
            "zone": ZONE,
            "is_spot": True,
            "started_at": started_at,
            "ended_at": ended_at,
            **facts,
        }
    )


def lease(**facts: Any) -> Lease:
    """An active launched lease from 09:00 to 17:00 that holds $10."""
    return Lease(
        **{
            "id": "lease-1",
            "owner": "ada",
            "region": REGION,
            "origin": Origin.LAUNCHED,
            "request_type": RequestType.ONE_TIME,
            "status": Status.ACTIVE,
            "requested_at": START,
            "launched_at": START,
            "expires_at": START + 8 * HOUR,
            "hold": Hold(compute_usd=usd(10)),
            "order": order(),
            "instance_ids": (BOX,),
            "spot_request_ids": (REQUEST,),
            "runs": (run(),),
            **facts,
        }
    )


def adopted(**facts: Any) -> Lease:
    """An active adopted lease from 09:00 to 17:00 that holds $10."""
    return lease(
        **{
            "origin": Origin.ADOPTED,
            "order": None,
            "request_type": RequestType.NONE,
            "spot_request_ids": (),
            **facts,
        }
    )


def idle_since(since: datetime, *, worked_at: datetime | None = None) -> Evidence:
    """Silence."""
    return Evidence(use=Use.IDLE, reason="GPU below 1 %", since=worked_at or since, worked_at=worked_at)


def busy_at(moment: datetime) -> Evidence:
    """Work."""
    return Evidence(use=Use.BUSY, reason="GPU is at 90 %", since=moment, worked_at=moment)


PLAIN = Policy()
A_DOLLAR = Cost(hourly_usd=Decimal(1), ceiling_usd=Decimal(1))


def case(now: datetime, **facts: Any) -> Case:
    """A launched lease whose box runs, on which nothing is known and which costs $1 an hour."""
    if "lease" not in facts:
        facts["lease"] = lease()
    if "instances" not in facts:
        facts["instances"] = (box(),)
    return Case(
        **{
            "now": now,
            "policy": PLAIN,
            "evidence": unknown("nothing asked"),
            "cost": A_DOLLAR,
            **facts,
        }
    )


def ruled(verdict: Verdict, rule: str) -> Finding:
    """One rule's finding."""
    return next(finding for finding in verdict.findings if finding.rule == rule)


def effect_of(rule: str, judged: Case) -> Effect:
    """What a rule says of a case, after what spares it."""
    return ruled(decide(judged), rule).effect


def samples(
    begin: datetime, values: Iterable[float], *, every: timedelta = MINUTE, source: str = "GPU"
) -> Series:
    """A metric, a value a period."""
    return Series(source=source, samples=tuple((begin + n * every, value) for n, value in enumerate(values)))


PUBLIC_IPV4_USD_PER_HOUR = US_EAST_1.public_ipv4_usd_per_hour
EGRESS_USD_PER_GB = US_EAST_1.egress_usd_per_gb


def gp3(gib: int) -> tuple[Disk, ...]:
    """One disk as a launch asks for it."""
    return (Disk(gib=gib, type="gp3"),)


def storage_usd(gib: int, length: timedelta) -> Decimal:
    """What that much gp3 costs over a time."""
    return US_EAST_1.volume_usd(gib, length)


def prices(*moves: tuple[datetime, str], **table: Decimal) -> PriceBook:
    """The table of the doubles, and how spot moved in the box's zone."""
    history = tuple((moment, Decimal(price)) for moment, price in moves)
    return PriceBook(
        on_demand={**ON_DEMAND, **table}, as_of="2026-11-01", spot={(ZONE, TYPE): history} if history else {}
    )


def budget(name: str = "team", limit: str | int = 100, **facts: Any) -> Budget:
    """A monthly budget for the account."""
    return Budget(**{"name": name, "limit_usd": usd(limit), **facts})


def state(of: Budget | None = None, *, left: str | int | None = None) -> BudgetState:
    """A budget in November."""
    of = of or budget()
    return BudgetState(
        budget=of, period_key=of.period_key(START), left_usd=of.limit_usd if left is None else usd(left)
    )


def owner_budget(name: str, owner: str, limit: str | int = 100, period: Period = Period.MONTHLY) -> Budget:
    """A budget for one owner."""
    return budget(name, limit, scope_kind=ScopeKind.OWNER, scope_value=owner, period=period)


@dataclass
class Stage:
    """Curfew on doubles in memory: armed and enforcing unless told otherwise."""

    clock: MemoryClock = field(default_factory=MemoryClock)
    store: MemoryStore = field(default_factory=MemoryStore)
    metrics: MemoryMetrics = field(default_factory=MemoryMetrics)
    prices: MemoryPrices = field(default_factory=MemoryPrices)
    bills: MemoryBills = field(default_factory=MemoryBills)
    trail: MemoryTrail = field(default_factory=MemoryTrail)
    notifier: MemoryNotifier = field(default_factory=MemoryNotifier)
    ledger: MemoryLedger = field(default_factory=MemoryLedger)
    timers: Timers = field(default_factory=NoTimers)
    beacons: Beacons | None = None
    links: Links = field(default_factory=NoLinks)
    catalogue: Catalogue = field(default_factory=NoCatalogue)
    keys: KeyPairs = field(default_factory=NoKeyPairs)
    security_groups: SecurityGroups = field(default_factory=NoSecurityGroups)
    topic: MemoryNotifier = field(default_factory=lambda: MemoryNotifier(is_configured=False))
    is_armed: bool = True
    is_dry_run: bool = False
    regions: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        self.compute = MemoryCompute(self.clock)
        self._keys = count(1)
        self._last: SweepRecord | None = None

    @property
    def services(self) -> Services:
        """As bootstrap would compose them."""
        return Services(
            clock=self.clock,
            compute=DryRunCompute(self.compute) if self.is_dry_run else self.compute,
            metrics=self.metrics,
            prices=self.prices,
            bills=self.bills,
            trail=self.trail,
            store=self.store,
            notifier=self.notifier,
            ledger=self.ledger,
            regions=self.regions,
            home_region=REGION,
            is_armed=self.is_armed,
            is_dry_run=self.is_dry_run,
            timers=self.timers,
            beacons=self.beacons,
            links=self.links,
            catalogue=self.catalogue,
            keys=self.keys,
            security_groups=self.security_groups,
            topic=self.topic,
        )

    # -- what people do ----------------------------------------------------------------------------------------------

    def launch(
        self, *, owner: str = "ada", key: str | None = None, body: str = "body", **wishes: Any
    ) -> Lease:
        """Ask for a box."""
        key = key or f"key-{next(self._keys)}"
        return launch(self.services, order(**wishes), owner=owner, idempotency_key=key, body_hash=body)

    def put_policy(self, **sections: dict[str, Any]) -> None:
        """Change keys of the policy."""
        self.store.put_policy(policy(**sections), if_version=None)

    def put_budget(
        self, name: str = "team", limit: str | int = 100, *, force: bool = False, **facts: Any
    ) -> Any:
        """Make or change a budget."""
        return budgeting.put(self.services, budget(name, limit, **facts), force=force)

    # -- what happens ------------------------------------------------------------------------------------------------

    def sweep(self, only: str | None = None) -> SweepRecord:
        """A scheduled sweep now, or an event's about one box."""
        if only:
            return sweep(self.services, trigger="event", only=(self.box(only).region, only))
        self._last = sweep(self.services, trigger="schedule")
        return self._last

    def until(self, moment: datetime) -> SweepRecord:
        """A sweep every minute up to and with a moment, beginning now where this minute has had none."""
        record = self._last
        if record is None or record.started_at != self.clock.now():
            record = self.sweep()
        while self.clock.now() < moment:
            self.clock.advance(min(MINUTE, moment - self.clock.now()))
            record = self.sweep()
        return record

    def after(self, length: timedelta) -> SweepRecord:
        """Let time pass unwatched, then sweep."""
        self.clock.advance(length)
        return self.sweep()

    def works(
        self, instance_id: str, percent: float, *, since: datetime, until: datetime, every: timedelta = MINUTE
    ) -> None:
        """The load of its GPUs, as CloudWatch will tell it."""
        self.metrics.load(instance_id, percent, since=since, until=until, every=every)

    # -- what came of it ---------------------------------------------------------------------------------------------

    def lease(self, lease_id: str) -> Lease:
        """As it is written."""
        found = self.store.lease(lease_id)
        assert found is not None
        return found

    def only_lease(self) -> Lease:
        """The one open lease."""
        (found,) = self.store.open_leases()
        return found

    def receipt(self, lease_id: str) -> Receipt:
        """The proof of its end."""
        found = self.store.receipt(lease_id)
        assert found is not None
        return found

    def box(self, instance_id: str) -> Box:
        """The truth about a box."""
        return self.compute.box(instance_id)

    def request_of(self, lease_or_box: Lease | str) -> Request:
        """The truth about the (first) spot request of a lease or a box."""
        if isinstance(lease_or_box, Lease):
            return self.compute.request(lease_or_box.spot_request_ids[0])
        request_id = self.box(lease_or_box).request_id
        assert request_id is not None
        return self.compute.request(request_id)

    @property
    def alive(self) -> list[str]:
        """The ids of everything that still runs or is stopped."""
        return [one.id for one in self.compute.alive]

    @property
    def armed(self) -> list[str]:
        """The ids of requests that could start something."""
        self.compute.ec2.settle()
        return [
            one.id
            for one in self.compute.ec2.requests.values()
            if one.state in {"open", "active", "disabled"}
        ]

    @property
    def ending_calls(self) -> list[Call]:
        """The calls that ended something, in order."""
        ends = {
            "cancel_spot_requests",
            "detach",
            "end_fleets",
            "resize_group",
            "shrink_fleet",
            "stop",
            "terminate",
        }
        return [call for call in self.compute.calls if call.operation in ends and call.ids]

    def told(self, kind: Kind) -> list[Notice]:
        """What people were told or will be."""
        return [one for one in (*self.notifier.sent, *self.store.outbox()) if one.kind is kind]

    def left(self, name: str = "team") -> Decimal:
        """What a budget has left."""
        book = self.store.budgets(self.clock.now())
        return next(one.left_usd for one in book.states if one.budget.name == name)


def with_order(changed: Lease, **wishes: Any) -> Lease:
    """A launched lease whose order says something else."""
    assert changed.order is not None
    return replace(changed, order=replace(changed.order, **wishes))
