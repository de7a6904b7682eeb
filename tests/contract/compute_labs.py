"""Two ways to have an EC2 for the same tests: the gateway on localaws, and the twin in memory."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, ClassVar, Protocol

from botocore.config import Config
from botocore.stub import Stubber

from chalicelib.domain.instance import Instance, RegionView, SpotRequest
from chalicelib.domain.lease import Attempt, LaunchOrder, RequestType
from chalicelib.gateways.aws import Aws, new_session
from chalicelib.gateways.ec2 import Ec2Compute
from chalicelib.ports import Compute, Image
from localaws.world import World
from tests.doubles.memory_compute import MemoryClock, MemoryCompute
from tests.doubles.memory_ports import ON_DEMAND

REGION = "us-east-1"
AMI = Image(id="ami-0123456789abcdef0", root_device="/dev/xvda", root_gib=45)


def aws_of(world: World) -> Aws:
    """The gateways' clients, with every call going to a world."""
    return Aws(world.home_region, session=world.session()._session)


def stubbed(config: Config) -> tuple[Ec2Compute, Stubber]:
    """The gateway with answers put into its client, for what localaws never answers."""
    session = new_session()
    session.set_credentials("testing", "testing")
    aws = Aws(REGION, session=session)
    stubber = Stubber(aws.ec2(REGION, config))
    stubber.activate()
    return Ec2Compute(aws), stubber


class Lab(Protocol):
    """An EC2 and the doors to set it up."""

    @property
    def compute(self) -> Compute:
        """The port under test."""

    @property
    def now(self) -> datetime:
        """The present there."""

    def start(self, instance_type: str = "g5.xlarge", *, market: str = "on-demand", **facts: Any) -> str:
        """A box that nobody launched through Curfew."""

    def wait(self, seconds: int = 180) -> None:
        """Let time pass."""

    def protect(self, instance_id: str) -> None:
        """Switch DisableApiTermination on."""

    def lose_capacity(self, instance_type: str) -> None:
        """EC2 has no room for a type anywhere in the region."""

    def lose_answer(self, operation: str) -> None:
        """The next call of a port's method takes effect, and its answer is lost."""


class MemoryLab:
    """The twin."""

    def __init__(self) -> None:
        self.clock = MemoryClock()
        self.compute = MemoryCompute(self.clock)

    @property
    def now(self) -> datetime:
        return self.clock.now()

    def start(self, instance_type: str = "g5.xlarge", *, market: str = "on-demand", **facts: Any) -> str:
        return self.compute.start(instance_type, market=market, **facts)

    def wait(self, seconds: int = 180) -> None:
        self.clock.advance(timedelta(seconds=seconds))

    def protect(self, instance_id: str) -> None:
        self.compute.box(instance_id).is_protected = True

    def lose_capacity(self, instance_type: str) -> None:
        self.compute.ec2.no_capacity.add((REGION, instance_type))

    def lose_answer(self, operation: str) -> None:
        self.compute.fail(operation, takes_effect=True)


class WorldLab:
    """The gateway on localaws."""

    operations: ClassVar = {"launch": ("CreateFleet", "RunInstances"), "terminate": ("TerminateInstances",)}

    def __init__(self, world: World) -> None:
        self.world = world
        self.aws = aws_of(world)
        self.compute = Ec2Compute(self.aws)

    @property
    def now(self) -> datetime:
        return self.world.now

    def start(self, instance_type: str = "g5.xlarge", *, market: str = "on-demand", **facts: Any) -> str:
        box = self.world.start_box(instance_type, market=market, **facts)  # type: ignore[arg-type]
        self.wait(60)
        return box.id

    def wait(self, seconds: int = 180) -> None:
        self.world.advance(timedelta(seconds=seconds))

    def protect(self, instance_id: str) -> None:
        ec2 = self.aws.ec2(REGION)
        ec2.modify_instance_attribute(InstanceId=instance_id, DisableApiTermination={"Value": True})

    def lose_capacity(self, instance_type: str) -> None:
        self.world.set_capacity("*", instance_type, available=False)

    def lose_answer(self, operation: str) -> None:
        for name in self.operations[operation]:
            self.world.fault(service="ec2", operation=name, lost_answer=True, times=1)


@contextmanager
def opened(kind: str) -> Iterator[Lab]:
    """A lab by name."""
    if kind == "memory":
        yield MemoryLab()
        return
    with World(seed=7) as world:
        yield WorldLab(world)


def an_order(request_type: RequestType = RequestType.ONE_TIME, **changes: Any) -> LaunchOrder:
    """An order as the launch use case would place it."""
    facts: dict[str, Any] = {
        "instance_types": ("g5.xlarge",),
        "image": AMI.id,
        "region": REGION,
        "request_type": request_type,
        "lasts_for": timedelta(hours=8),
    }
    return LaunchOrder(**facts | changes)


def attempts_of(lab: Lab, order: LaunchOrder, *, lease_id: str = "lease-1") -> tuple[Attempt, ...]:
    """The attempts of an order, with on-demand prices as caps."""
    return tuple(
        lab.compute.attempts(
            order,
            lease_id=lease_id,
            owner="ann",
            price_caps={
                name: order.max_price_usd_per_hour or ON_DEMAND.get(name, Decimal(9))
                for name in order.instance_types
            },
            image=AMI,
            expires_at=lab.now + order.lasts_for,
            valid_until=lab.now + timedelta(days=3),
            now=lab.now,
        )
    )


def look(lab: Lab, *, only: str | None = None, region: str = REGION) -> RegionView:
    """One region."""
    return lab.compute.observe([region], only=only)[0]


def instance_of(lab: Lab, instance_id: str) -> Instance:
    """An instance as seen."""
    return next(one for one in look(lab).instances if one.id == instance_id)


def request_of(lab: Lab, request_id: str | None) -> SpotRequest:
    """A spot request as seen."""
    return next(one for one in look(lab).spot_requests if one.id == request_id)


def alive(lab: Lab) -> list[str]:
    """The ids of everything that is not gone."""
    return [one.id for one in look(lab).instances if not one.is_gone]


def let_finish(prefix: str) -> None:
    """Wait for the threads that a deadline left behind, before their world is closed."""
    for thread in threading.enumerate():
        if thread.name.startswith(prefix):
            thread.join()
