"""One account over time: Curfew's real use cases and gateways on an in-process localaws, and who lives with them.

People launch, work, forget, stop, and start boxes behind Curfew's back; AWS moves prices and interrupts. Events get lost
or come late, regions fail, Lambdas die at their k-th call, sweeps are skipped.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from chalicelib.domain.budget import Budget
from chalicelib.domain.errors import CurfewError
from chalicelib.domain.lease import LaunchOrder, Lease
from chalicelib.domain.policy import Policy
from chalicelib.gateways.ledger import MemoryLedger
from chalicelib.ports import Services, SweepRecord
from chalicelib.usecases import budgets, end, extend, launch
from chalicelib.usecases.expire import expire
from chalicelib.usecases.sweep import sweep
from chalicelib.web.events import changes_of
from localaws.errors import LocalAwsError
from localaws.model import Box
from localaws.mortality import Mortality
from localaws.places import default_subnet
from localaws.protocol.faults import Fault
from localaws.template import Template, create_table
from localaws.world import World
from tests.simulation.outages import RETRIED, Outages
from tests.simulation.wiring import EXPIRE, Mailbox, wired

ROOT = Path(__file__).parents[2]
TABLE = "curfew"
IMAGE = "ami-0123456789abcdef0"
MINUTE = timedelta(minutes=1)
ENDING = frozenset({"ec2", "autoscaling", "scheduler", "*"})
"""The services that ends are made of."""
REGIONS = ("us-east-1", "eu-west-1")
Spoil = Callable[[Services], Services]


def unspoilt(services: Services) -> Services:
    """Curfew as it is."""
    return services


class Town:
    """One account over time."""

    def __init__(self, world: World, spoil: Spoil = unspoilt) -> None:
        self.world = world
        session = world.session()
        create_table(world, Template(ROOT).table_properties(), TABLE)
        world.functions = frozenset({EXPIRE})
        self.mortality = Mortality(session)
        self.ledger = MemoryLedger()
        self.mailbox = Mailbox()
        self.services = spoil(wired(world, session, TABLE, ledger=self.ledger, notifier=self.mailbox))
        self.policy = Policy()
        self.policies = [(self.now, self.policy)]
        self.outages = Outages()
        """When Curfew was hindered: it did not run, or calls failed."""
        self.failures = Outages(RETRIED)
        """When calls failed that end boxes: what hinders AWS's own timers too."""
        self.is_down = False
        """Nothing of Curfew runs: no sweep, no event, no timer's call of it, no HTTP."""
        self.touched: set[str] = set()
        """Boxes that people have laid hands on."""
        self.changed_at: dict[str, datetime] = {}
        """When a lease was last extended or shortened."""
        self.sweeps = 0
        self.deaths = 0
        self.protected: dict[str, datetime] = {}
        self.managed: set[str] = set()
        """Boxes that another AWS service runs."""
        self._faults: list[Fault] = []
        self._people: dict[tuple[str, str], Any] = {}
        self.loses_events = False
        self.events_lost = self.events_heard = self.timers_heard = 0

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
        self.policies.append((self.now, self.policy))
        self.services.store.put_policy(self.policy, if_version=None)

    @property
    def policy_since(self) -> datetime:
        """Since when the policy is as it is."""
        return self.policies[-1][0]

    def policy_at(self, when: datetime) -> Policy:
        """The policy that was in force at a moment."""
        return next(policy for since, policy in reversed(self.policies) if since <= when)

    def put_budget(self, budget: Budget, *, force: bool = False) -> None:
        """Set a limit; one that is refused changes nothing."""
        if self.is_down:
            return
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
        if self.is_down:
            return None
        self.deaths += dies_at is not None
        with self.mortality.life(dies_at=dies_at, after=after):
            try:
                lease = launch.launch(self.services, order, owner="ada", idempotency_key=key, body_hash=key)
            except CurfewError:
                return None
        return lease

    def delete(self, lease_id: str) -> None:
        """DELETE /leases/{id}."""
        if self.is_down:
            return
        with self.mortality.life():
            try:
                end.end_lease(self.services, lease_id, by="ada")
            except CurfewError:
                return

    def extend(self, lease_id: str, lasts_for: timedelta) -> None:
        """PATCH /leases/{id} with hours."""
        if self.is_down:
            return
        self.changed_at[lease_id] = self.now
        with self.mortality.life():
            try:
                extend.extend(self.services, lease_id, lasts_for=lasts_for, budget_usd=None, by="ada")
            except CurfewError:
                return

    def sweep(self, *, dies_at: int | None = None, after: bool = False) -> SweepRecord | None:
        """One scheduled sweep; None where it died."""
        record: SweepRecord | None = None
        self.sweeps += 1
        self.deaths += dies_at is not None
        with self.mortality.life(dies_at=dies_at, after=after):
            record = sweep(self.services, trigger="schedule")
        is_well = record is not None and record.is_complete and not record.lacking
        if not is_well or self.is_hindered:
            self.outages.note(self.now - MINUTE, self.now)
        return record

    def hear_events(self) -> int:
        """Hand EC2's events to Curfew, or lose them. Answers how many there were."""
        heard = 0
        while (event := self.world.take_event()) is not None:
            heard += 1
            instance_id = event["detail"].get("instance-id")
            if self.loses_events or self.is_down:
                self.events_lost += 1
            elif instance_id:
                self.events_heard += 1
                news = changes_of(json.dumps(event))
                with self.mortality.life():
                    sweep(self.services, trigger="event", only=(event["region"], instance_id), news=news)
        return heard

    def pass_until(self, when: datetime) -> int:
        """Time passes without a scheduled sweep; events and timers come at their own moments. Answers how many came."""
        heard = 0
        if any(fault["service"] in ENDING for fault in self.world.faults.as_dicts()):
            self.failures.note(self.now, when)
        while (due := self.world.next_at) is not None and due <= when:
            self.world.advance_to(due)
            heard += self._hear_timers() + self.hear_events()
        self.world.advance_to(when)
        return heard

    def _hear_timers(self) -> int:
        """Let Curfew's own function end what a timer names, or lose the call. Answers how many there were."""
        heard = 0
        while (invocation := self.world.take_invocation()) is not None:
            heard += 1
            if self.is_down:
                continue
            self.timers_heard += 1
            with self.mortality.life(), suppress(CurfewError):  # Lambda would try again; the sweep does
                expire(self.services, invocation.event["lease"])
        return heard

    def minute(self, *, swept: bool = True, lose_events: bool = False) -> None:
        """A minute passes."""
        self.loses_events = lose_events
        self.pass_until(self.now + MINUTE)
        self.loses_events = False
        if swept:
            self.sweep()
        else:
            self.outages.note(self.now - MINUTE, self.now)

    def minutes(self, count: int, *, swept: bool = True, lose_events: bool = False) -> None:
        """Some minutes pass."""
        for _ in range(count):
            self.minute(swept=swept, lose_events=lose_events)

    def fault(self, **fault: Any) -> Fault:
        """Let calls fail from now on; see `World.fault`."""
        added = self.world.fault(**fault)
        self._faults.append(added)
        return added

    @property
    def is_hindered(self) -> bool:
        """Whether calls may fail now; events that go astray hinder no sweep."""
        return any(fault["service"] != "events" for fault in self.world.faults.as_dicts())

    @property
    def misfortunes(self) -> int:
        """How often something went wrong: calls that failed, Lambdas that died, events that were lost."""
        return sum(fault.hits for fault in self._faults) + self.deaths + self.events_lost

    # People, behind Curfew's back

    def people(self, service: str, region: str) -> Any:
        """What they call AWS with, past Curfew."""
        known = self._people.get((service, region))
        if known is None:
            known = self._people[service, region] = self.world.session().client(service, region_name=region)
        return known

    def by_hand(self, box: Box, how: str) -> None:
        """What people do in the console or in the box, and AWS to a spot box, where EC2 allows it."""
        ec2 = self.people("ec2", box.region)
        self.touched.add(box.id)
        try:
            match how:
                case "terminate":
                    ec2.terminate_instances(InstanceIds=[box.id])
                case "stop":
                    ec2.stop_instances(InstanceIds=[box.id])
                case "start":
                    ec2.start_instances(InstanceIds=[box.id])
                case "cancel" if box.request_id:
                    ec2.cancel_spot_instance_requests(SpotInstanceRequestIds=[box.request_id])
                case "interrupt" if box.spot:
                    self.world.interrupt(box.id)
                case "shutdown":
                    self.world.guest_shutdown(box.id)
        except (ClientError, LocalAwsError):
            return

    def subnet_of(self, zone: str) -> str:
        """The default subnet of a zone, to launch there and nowhere else."""
        return default_subnet(zone[:-1], zone)

    # The truth

    @property
    def boxes(self) -> list[Box]:
        """Everything that ever ran."""
        return list(self.world.boxes)

    @property
    def alive(self) -> list[Box]:
        """Everything that bills for compute or may soon."""
        return [box for box in self.boxes if runs(box)]

    def billed(self, boxes: list[Box]) -> Decimal:
        """What AWS has billed for boxes."""
        return sum((self.world.bill(box).total_usd for box in boxes), Decimal(0))


def runs(box: Box) -> bool:
    """Whether it bills for compute, or is about to."""
    return box.state in ("pending", "running")
