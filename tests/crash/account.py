"""An account on localaws with several processes of Curfew: warm ones, whose clients outlive a fresh start of the world."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from chalicelib.domain.budget import Budget, Period
from chalicelib.domain.lease import LaunchOrder, Lease, Status
from chalicelib.domain.notices import Notice
from chalicelib.domain.policy import Policy
from chalicelib.gateways.aws import ACTING, ASKING, HURRIED, LAUNCHING, PROMPT, READING, Aws
from chalicelib.gateways.cloudtrail import CloudTrail
from chalicelib.gateways.cloudwatch import CloudWatchMetrics
from chalicelib.gateways.cost_explorer import ONCE, CostExplorerBills
from chalicelib.gateways.dynamodb import DynamoStore
from chalicelib.gateways.ec2 import Ec2Compute
from chalicelib.gateways.ec2_security_groups import Ec2SecurityGroups
from chalicelib.gateways.ledger import MemoryLedger
from chalicelib.gateways.pricing import Ec2Prices
from chalicelib.gateways.scheduler import SchedulerTimers
from chalicelib.ports import Services
from chalicelib.usecases import budgets
from chalicelib.usecases.end import end_lease
from chalicelib.usecases.expire import expire
from chalicelib.usecases.launch import launch
from chalicelib.usecases.sweep import sweep
from localaws.model import Box
from localaws.template import Template, create_table
from localaws.world import World
from tests.crash.recorder import Recorder
from tests.simulation.town import IMAGE, ROOT, TABLE

HOME = "us-east-1"
START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
ROLE = "arn:aws:iam::123456789012:role/curfew-timers"
FUNCTION = "arn:aws:lambda:us-east-1:123456789012:function:expire"
LIMIT = Decimal(1000)
TYPES = ("g5.xlarge", "g4dn.xlarge")
CLIENTS = (
    *(("ec2", config) for config in (READING, ACTING, LAUNCHING, ASKING, PROMPT, HURRIED)),
    *(("autoscaling", config) for config in (ACTING, ASKING, HURRIED)),
    ("ce", ONCE),
    ("cloudtrail", HURRIED),
    ("cloudwatch", ASKING),
    ("scheduler", HURRIED),
)
LONGEST = 25
"""Minutes after which everything that was begun is over: an image is waited for longest."""


class VirtualClock:
    """The world's; who sleeps on it lets the world go on."""

    def __init__(self, world: World) -> None:
        self._world = world

    def now(self) -> datetime:
        """The virtual time."""
        return self._world.now

    def sleep(self, seconds: float) -> None:
        """No real time passes."""
        self._world.advance(timedelta(seconds=seconds))

    def elapsed(self) -> float:
        """Virtual too, so that a slow machine is no other case."""
        return self._world.now.timestamp()


@dataclass(eq=False)
class Mailbox:
    """Where people read; what a dead process sends does not arrive."""

    recorder: Recorder
    notices: list[Notice] = field(default_factory=list)
    is_configured = True

    def send(self, notice: Notice) -> None:
        """Keep it."""
        self.recorder.reach_out()
        self.notices += notice.parts or [notice]


class Process:
    """One process of Curfew, with clients, caches and a mailbox of its own."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.recorder = Recorder(world)
        session = world.session()
        self.recorder.hook(session)
        inner: Any = session._session
        self._ledger = MemoryLedger()
        self._aws = Aws(world.home_region, session=inner, ledger=self._ledger)
        self._store = DynamoStore(
            lambda: self._aws.client("dynamodb", self._aws.home_region), TABLE, sleep=lambda _: None
        )
        self._prices = Ec2Prices(self._aws, cache=self._store)
        self.start()

    def warm(self) -> None:
        """Make the clients and learn the prices that everything here needs: half of a second each."""
        for service, config in CLIENTS:
            self._aws.client(service, HOME, config)
        wanted = [(HOME, name) for name in TYPES]
        while self._prices.refresh(wanted, now=self._world.now):
            pass  # too slow to answer in time: the machine is busy

    def start(self) -> None:
        """With nothing in its memory but clients and list prices."""
        aws, world, store = self._aws, self._world, self._store
        clock = VirtualClock(world)
        self.mailbox = Mailbox(self.recorder)
        self.services = Services(
            clock=clock,
            compute=Ec2Compute(aws),
            metrics=CloudWatchMetrics(aws),
            prices=self._prices,
            bills=CostExplorerBills(aws),
            trail=CloudTrail(aws, sleep=lambda _: None),
            store=store,
            notifier=self.mailbox,
            ledger=self._ledger,
            timers=SchedulerTimers(aws, role_arn=ROLE, expire_arn=FUNCTION),
            security_groups=Ec2SecurityGroups(aws),
            regions=world.regions,
            home_region=world.home_region,
            is_armed=True,
        )


class Account:
    """An account, the process that an accident happens to, and the one that goes on."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.hit, self.next = Process(world), Process(world)

    def start_over(self) -> None:
        """Nothing but a table, a policy and a budget."""
        self.world.start_over()
        self.world.functions = frozenset({"expire"})
        create_table(self.world, Template(ROOT).table_properties(), TABLE)
        self.hit.start()
        self.next.start()
        unleased = {"for": "PT8H", "grace": "PT0S"}
        self.services.store.put_policy(Policy.model_validate({"unleased": unleased}), if_version=None)
        self.put_budget(LIMIT)

    # What invariants.py asks a town

    @property
    def services(self) -> Services:
        """Of the process that goes on."""
        return self.next.services

    @property
    def now(self) -> datetime:
        """The virtual time."""
        return self.world.now

    # Curfew

    def put_budget(self, limit_usd: Decimal) -> None:
        """The one budget of the account, before anything runs."""
        budget = Budget(name="account", limit_usd=limit_usd, period=Period.TOTAL)
        budgets.put(self.services, budget, force=False)

    def order(self, **wanted: Any) -> LaunchOrder:
        """One box for an hour."""
        plain = LaunchOrder(
            instance_types=("g5.xlarge",), image=IMAGE, region=HOME, lasts_for=HOUR, egress_gb=0
        )
        return replace(plain, **wanted)

    def launch(self, process: Process, order: LaunchOrder, key: str = "key") -> Lease:
        """POST /spot-requests."""
        return launch(process.services, order, owner="ada", idempotency_key=key, body_hash=key)

    def minute(self) -> None:
        """A minute passes; timers that call Curfew do, EC2's events are lost, a sweep comes."""
        self.world.advance(MINUTE)
        while (invocation := self.world.take_invocation()) is not None:
            expire(self.services, invocation.event["lease"])
        sweep(self.services, trigger="schedule")

    def settle(self) -> bool:
        """Sweep until nothing is under way, and once more; False where that never comes."""
        for _ in range(LONGEST):
            self.minute()
            if self._is_settled:
                self.minute()
                return self._is_settled
        return False

    @property
    def _is_settled(self) -> bool:
        store = self.services.store
        leases = store.open_leases()
        is_over = all(
            one.status is Status.ACTIVE and one.moving_to is None and one.timers_at for one in leases
        )
        return is_over and store.waiting_notices() == 0

    def end_all(self) -> None:
        """DELETE of everything that is open."""
        for lease in self.services.store.open_leases():
            end_lease(self.services, lease.id, by="ada")

    @property
    def notices(self) -> list[Notice]:
        """What people have been told, by whichever process."""
        return [*self.hit.mailbox.notices, *self.next.mailbox.notices]

    # The truth

    @property
    def boxes(self) -> list[Box]:
        """Everything that ever ran."""
        return list(self.world.boxes)

    @property
    def alive(self) -> list[Box]:
        """What runs or is about to."""
        return [box for box in self.boxes if box.state in ("pending", "running")]


@contextmanager
def opened() -> Iterator[Account]:
    """An account whose processes have all their clients."""
    with World(regions=(HOME,), seed=1, start=START) as world:
        account = Account(world)
        account.start_over()
        for process in (account.hit, account.next):
            process.warm()
            lease = account.launch(process, account.order(), key=str(id(process)))
            end_lease(process.services, lease.id, by="ada")
        yield account
