"""A town: people, AWS and Curfew together on one virtual clock, in this process.

Curfew is the real one: its use cases on its real gateways, whose calls reach localaws without a socket. People launch by
Curfew and behind its back, work, forget, stop and kill by hand. AWS moves prices and interrupts. Events get lost, regions
fail, Lambdas die at their k-th call, sweeps are skipped.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from chalicelib.domain.budget import Budget
from chalicelib.domain.errors import CurfewError
from chalicelib.domain.lease import LaunchOrder, Lease
from chalicelib.domain.notices import Notice
from chalicelib.domain.policy import Policy
from chalicelib.gateways.aws import Aws
from chalicelib.gateways.clock import SystemClock
from chalicelib.gateways.cloudwatch import CloudWatchMetrics
from chalicelib.gateways.dynamodb import DynamoStore
from chalicelib.gateways.ec2 import Ec2Compute
from chalicelib.gateways.pricing import Ec2Prices
from chalicelib.ports import Services, SweepRecord
from chalicelib.usecases import budgets, end, launch
from chalicelib.usecases.sweep import sweep
from localaws.errors import LocalAwsError
from localaws.model import Box
from localaws.template import Template, create_table
from localaws.world import World

ROOT = Path(__file__).parents[2]
TABLE = "curfew"
IMAGE = "ami-0123456789abcdef0"
MINUTE = timedelta(minutes=1)
REGIONS = ("us-east-1", "eu-west-1")


class LambdaDied(BaseException):
    """The process is gone in the middle of what it did: no code of its own runs any more."""


class Mortality:
    """Lets a Lambda die before or after its k-th call of AWS; once dead, none of its threads reaches AWS either."""

    def __init__(self, aws: Any) -> None:
        self._left: int | None = None
        self._after = False
        self._dead = False
        aws.events.register_first("before-call", self._before)
        aws.events.register_last("after-call", self._afterwards)

    @contextmanager
    def life(self, *, dies_at: int | None = None, after: bool = False) -> Iterator[None]:
        """One invocation. Whether it died is nobody's to know but the table's and AWS's."""
        self._left, self._after, self._dead = dies_at, after, False
        try:
            yield
        except LambdaDied:
            return
        finally:
            self._left, self._dead = None, False

    def _before(self, **_: Any) -> None:
        if self._dead:
            raise LambdaDied
        if self._left is None:
            return
        self._left -= 1
        if self._left <= 0 and not self._after:
            self._dead = True
            raise LambdaDied

    def _afterwards(self, **_: Any) -> None:
        if self._left is not None and self._left <= 0 and self._after:
            self._dead = True
            raise LambdaDied


class Mailbox:
    """Where people read; it can be closed."""

    is_configured = True

    def __init__(self) -> None:
        self.notices: list[Notice] = []

    def send(self, notice: Notice) -> None:
        """Keep it."""
        self.notices.append(notice)


class Town:
    """One account over time. `lost`: how long Curfew saw nothing or could do nothing, the longest stretch so far."""

    def __init__(self, world: World) -> None:
        self.world = world
        session = world.session()
        create_table(world, Template(ROOT).table_properties(), TABLE)
        inner: Any = session._session
        self.mortality = Mortality(session)
        aws = Aws(world.home_region, session=inner)
        self.mailbox = Mailbox()
        self.services = Services(
            clock=SystemClock(),
            compute=Ec2Compute(aws),
            metrics=CloudWatchMetrics(aws),
            prices=Ec2Prices(aws),
            store=DynamoStore(lambda: _dynamodb(aws), TABLE, sleep=lambda _: None),
            notifier=self.mailbox,
            regions=world.regions,
            home_region=world.home_region,
            is_armed=True,
        )
        self.policy = Policy()
        self.last_whole_sweep = world.now
        self.longest_silence = timedelta(0)
        self.records: list[SweepRecord] = []
        self.faults = 0

    @property
    def now(self) -> datetime:
        """The virtual time."""
        return self.world.now

    # Curfew

    def set_policy(self, **sections: dict[str, Any]) -> None:
        """Change sections of the policy, by their JSON names."""
        document = self.policy.model_dump(mode="json", by_alias=True)
        for name, values in sections.items():
            document[name] |= values
        self.policy = Policy.model_validate(document)
        self.services.store.put_policy(self.policy, if_version=None)

    def put_budget(self, budget: Budget, *, force: bool = False) -> None:
        """Set a limit; one that is refused changes nothing."""
        with self.mortality.life():
            try:
                budgets.put(self.services, budget, force=force)
            except CurfewError:
                return

    def order(self, **wanted: Any) -> LaunchOrder:
        """A launch order with the defaults that HTTP would fill in."""
        order = LaunchOrder(
            instance_types=("g5.xlarge",),
            image=IMAGE,
            region=self.world.home_region,
            lasts_for=self.policy.lease.default_for,
            egress_gb=0,
        )
        return replace(order, **wanted)

    def launch(
        self, order: LaunchOrder, *, key: str, dies_at: int | None = None, after: bool = False
    ) -> Lease | None:
        """Launch by Curfew; None where it was refused or cut off."""
        lease: Lease | None = None
        with self.mortality.life(dies_at=dies_at, after=after):
            try:
                lease = launch.launch(self.services, order, owner="ada", idempotency_key=key, body_hash=key)
            except CurfewError:
                return None
        return lease

    def delete(self, lease_id: str) -> None:
        """DELETE /leases/{id}."""
        with self.mortality.life():
            try:
                end.end_lease(self.services, lease_id, by="ada")
            except CurfewError:
                return

    def sweep(self, *, dies_at: int | None = None, after: bool = False) -> SweepRecord | None:
        """One scheduled sweep; None where it died."""
        record: SweepRecord | None = None
        with self.mortality.life(dies_at=dies_at, after=after):
            record = sweep(self.services, trigger="schedule")
        if record is not None:
            self.records.append(record)
            if record.is_complete:
                self.longest_silence = max(self.longest_silence, self.now - self.last_whole_sweep)
                self.last_whole_sweep = self.now
        return record

    def hear_events(self, *, lose: bool = False) -> None:
        """Hand EC2's events to Curfew, or lose them."""
        while (event := self.world.take_event()) is not None:
            instance_id = event["detail"].get("instance-id")
            if lose or not instance_id:
                continue
            with self.mortality.life():
                sweep(self.services, trigger="event", only=(event["region"], instance_id))

    def minute(self, *, swept: bool = True, lose_events: bool = False) -> None:
        """A minute passes."""
        self.world.advance(MINUTE)
        self.hear_events(lose=lose_events)
        if swept:
            self.sweep()

    def minutes(self, count: int, *, swept: bool = True, lose_events: bool = False) -> None:
        """Some minutes pass."""
        for _ in range(count):
            self.minute(swept=swept, lose_events=lose_events)

    # People, behind Curfew's back

    def by_hand(self, box: Box, how: str) -> None:
        """What people do in the console or in the box, and AWS to a spot box, where EC2 allows it."""
        ec2 = self.world.session().client("ec2", region_name=box.region)
        try:
            match how:
                case "terminate":
                    ec2.terminate_instances(InstanceIds=[box.id])
                case "stop":
                    ec2.stop_instances(InstanceIds=[box.id])
                case "cancel" if box.request_id:
                    ec2.cancel_spot_instance_requests(SpotInstanceRequestIds=[box.request_id])
                case "interrupt" if box.spot:
                    self.world.interrupt(box.id)
                case "shutdown":
                    self.world.guest_shutdown(box.id)
        except (ClientError, LocalAwsError):
            return

    # The truth

    @property
    def boxes(self) -> list[Box]:
        """Everything that ever ran."""
        return list(self.world.boxes)

    @property
    def alive(self) -> list[Box]:
        """Everything that bills for compute or may soon."""
        return [box for box in self.boxes if box.state in ("pending", "running")]

    def billed(self, boxes: list[Box]) -> Decimal:
        """What AWS has billed for boxes."""
        return sum((self.world.bill(box).total_usd for box in boxes), Decimal(0))


def _dynamodb(aws: Aws) -> Any:
    return aws.client("dynamodb", aws.home_region)
