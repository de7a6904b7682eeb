"""The world: one account of AWS on a virtual clock, in this process.

    with World(regions=("us-east-1",), seed=1, start=datetime(2026, 3, 2, tzinfo=UTC)) as world:
        ec2 = world.session().client("ec2")
        box = world.start_box("g5.xlarge", market="persistent")
        world.advance(timedelta(minutes=5))
        world.truth()

Inside the `with`, moto is empty and has this world behind its EC2, and the clock of the process stands at `world.now`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

import boto3

from localaws import clients, operations, patience
from localaws.agenda import Action, Agenda
from localaws.clock import Clock
from localaws.ec2.boxes import Boxes
from localaws.ec2.consistency import AT_ONCE, Consistency
from localaws.ec2.fleet_kinds import EC2_FLEET, SPOT_FLEET
from localaws.ec2.fleets import Fleets
from localaws.ec2.groups import Groups
from localaws.ec2.guests import Guests
from localaws.ec2.reservations import Reservations
from localaws.ec2.spot import SpotRequests
from localaws.errors import LocalAwsError
from localaws.events.bus import Event, EventBus
from localaws.events.forwarding import APP_DIR, Forwarders
from localaws.events.invocations import Invocation, Invocations
from localaws.events.timers import Timers
from localaws.load import Level
from localaws.model import Box, Market
from localaws.money.account import Account
from localaws.money.account_bill import BEGINNING, END, box_bill
from localaws.money.billing import Bill
from localaws.money.hand import Money
from localaws.money.market import SpotMarket
from localaws.money.price_list import PriceList
from localaws.onmoto import backend, dynamodb
from localaws.onmoto.billed import BilledEC2Backend
from localaws.protocol.calls import CallLog
from localaws.protocol.endpoint import Endpoint
from localaws.protocol.faults import Fault, Faults
from localaws.protocol.throttle import Throttle
from localaws.serve.slack import SlackSink
from localaws.session import session_for
from localaws.starter import start_box
from localaws.trail import Trail
from localaws.truth import box_row, truth

DEFAULT_REGIONS = ("us-east-1", "us-west-2", "eu-west-1")
DEFAULT_START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
EXPIRY_EVERY = timedelta(hours=1)
"""How often DynamoDB takes expired items away; AWS promises days, and is mostly quicker."""

_one_at_a_time = threading.Lock()


class World(Money):
    """AWS with a clock, prices, load, faults and a truth. Everything it does happens under `lock`."""

    def __init__(
        self,
        *,
        regions: Iterable[str] = DEFAULT_REGIONS,
        seed: int = 0,
        start: datetime = DEFAULT_START,
        relaunch_with_tags: bool = False,
        clients_wait: bool = False,
        lag: timedelta = AT_ONCE,
        throttled: bool = False,
        stopwatch: Callable[[], float] | None = None,
        forwarded: Iterable[str] | None = None,
        app_dir: Path = APP_DIR,
        cost_explorer: bool = True,
        regional_prices: bool = False,
    ) -> None:
        self.regions = tuple(regions)
        self.home_region = self.regions[0]
        self.seed = seed
        self.lock = threading.RLock()
        self._relaunch_with_tags = relaunch_with_tags
        self._clients_wait = clients_wait
        self._lag = lag
        self._throttled, self._stopwatch = throttled, stopwatch
        self._forwarded = None if forwarded is None else tuple(forwarded)
        self._app_dir = app_dir
        self._cost_explorer = cost_explorer
        self._regional_prices = regional_prices
        self.items_outlive = timedelta(0)
        """How long DynamoDB leaves expired items to be read; on AWS that is mostly within two days."""
        self._clock = Clock(start.replace(microsecond=0))
        self._on_events: list[Any] = []
        self.functions: frozenset[str] | None = None
        """The names of the Lambda functions that exist; None: any may."""
        operations.load_all()

    def __enter__(self) -> Self:
        if not _one_at_a_time.acquire(blocking=False):
            raise LocalAwsError(
                "another World is open in this process: moto's state and the clock can't be shared"
            )
        self._clock.take_over()
        clients.take_over()
        if not self._clients_wait:
            patience.take_over()
        self.start_over()
        return self

    def __exit__(self, *_: object) -> None:
        backend.let_go()
        patience.let_go()
        clients.let_go()
        self._clock.let_go()
        _one_at_a_time.release()

    def start_over(self) -> None:
        """An empty account at the present time: no instances, tables, faults or messages, prices anew."""
        with self.lock:
            backend.take_over(self)
            self._agenda = Agenda()
            self.account = BilledEC2Backend.account = Account(self, cost_explorer=self._cost_explorer)
            self.market = SpotMarket(self.seed, self.now, PriceList(regional=self._regional_prices))
            self.faults = Faults(self.seed)
            self.calls = CallLog()
            self.slack = SlackSink(self.faults)
            self.forwarders = Forwarders(self._app_dir, self.home_region, self._forwarded)
            self.events = EventBus(self)
            self.invocations = Invocations()
            self.dead_letters: list[dict[str, Any]] = []
            for listener in self._on_events:
                self.events.subscribe(listener)
                self.invocations.subscribe(listener)
            self.throttle = Throttle(lambda: self.now, on=self._throttled, stopwatch=self._stopwatch)
            self.consistency = Consistency(self.seed, lambda: self.now, self._lag)
            self.boxes = Boxes(self)
            self.account.watch()
            self.spot = SpotRequests(self, relaunch_with_tags=self._relaunch_with_tags)
            self.fleets = Fleets(self, EC2_FLEET)
            self.spot_fleets = Fleets(self, SPOT_FLEET)
            self.groups = Groups(self)
            self.reservations = Reservations(self)
            self.guests = Guests(self)
            self.endpoint = Endpoint(self)
            self.timers = Timers(self)
            self.trail = Trail(self)
            self.later(EXPIRY_EVERY, self._expire_items)

    # Time

    @property
    def now(self) -> datetime:
        return self._clock.now

    def at(self, when: datetime, action: Action) -> None:
        """Let something happen at a time; what is already past happens at the next move of the clock."""
        self._agenda.add(max(when, self.now), action)

    def later(self, after: timedelta, action: Action) -> None:
        self.at(self.now + after, action)

    @property
    def next_at(self) -> datetime | None:
        """When something will happen next by itself."""
        return self._agenda.next_at

    def advance(self, by: timedelta) -> None:
        """Move the clock on; everything that falls due happens at its own moment, in order."""
        self.advance_to(self.now + by)

    def advance_to(self, when: datetime) -> None:
        with self.lock:
            while (due := self._agenda.next_at) is not None and due <= when:
                self._clock.move_to(max(due, self.now))
                action = self._agenda.pop_due(self.now)
                if action is not None:
                    action()
            self._clock.move_to(when)

    def _expire_items(self) -> None:
        dynamodb.expire(self.now - self.items_outlive)
        self.later(EXPIRY_EVERY, self._expire_items)

    # AWS

    def session(self, region: str | None = None) -> boto3.Session:
        """A boto3 session whose every call goes to this world, without a socket."""
        return session_for(self, region or self.home_region)

    def on_event(self, listener: Any) -> None:
        """Call `listener()` whenever there is something to take: an event of EC2's, or an invocation."""
        self._on_events.append(listener)
        self.events.subscribe(listener)
        self.invocations.subscribe(listener)

    def wake(self) -> None:
        """Tell the listeners that there is something to do."""
        for listener in self._on_events:
            listener()

    def take_event(self) -> Event | None:
        """The oldest event of EC2's that has reached the home region."""
        with self.lock:
            return self.events.take()

    def take_invocation(self) -> Invocation | None:
        """The oldest Lambda invocation, such as a timer's, that Lambda has accepted and nobody has run."""
        with self.lock:
            return self.invocations.take()

    def invoke(self, function: str, event: Any) -> None:
        """Ask for a function, asynchronously: whoever runs functions takes it."""
        with self.lock:
            self.invocations.put(Invocation(function, event, self.now))

    def invoke_later(self, when: datetime, invocation: Invocation) -> None:
        """Ask for it at a time to come."""
        with self.lock:
            self.at(when, lambda: self.invocations.put(invocation))

    # What people and AWS do behind Curfew's back

    def start_box(
        self,
        instance_type: str = "g5.xlarge",
        *,
        market: Market = "on-demand",
        tags: Mapping[str, str] | None = None,
        region: str | None = None,
        zone: str | None = None,
        by: str | None = None,
        **load: Any,
    ) -> Box:
        """Start one box outside Curfew; `load` is that of `set_load`, `by` the ARN of whoever does it."""
        with self.lock:
            box = start_box(
                self,
                region or self.home_region,
                instance_type,
                market=market,
                tags=dict(tags or {}),
                zone=zone,
            )
            for made in filter(None, (box.id, box.fleet_id, box.group)) if by else ():
                self.trail.note(made, by or "")
            if load:
                self.set_load(box.id, **load)
            return box

    def set_load(self, box_id: str, **load: Any) -> Level:
        """From now on: `gpu` (percent, or one figure a GPU; None: no samples), `cpu`, `period` (seconds),
        `agent` (how its GPU metrics are named), `network_mib` and `disk_mib` in each period."""
        if isinstance(load.get("gpu"), list):
            load["gpu"] = tuple(load["gpu"])
        with self.lock:
            return self.boxes.of(box_id).load.set(self.now, **load)

    def interrupt(self, box_id: str) -> None:
        """AWS takes a spot box back: the warning now, the end or stop in two minutes."""
        with self.lock:
            self.spot.interruptions.begin(self.boxes.of(box_id))

    def recommend_rebalance(self, box_id: str) -> None:
        """AWS says that a spot box is likelier to be interrupted than it was; nothing need come of it."""
        with self.lock:
            box = self.boxes.of(box_id)
            if not box.spot or not box.live:
                raise LocalAwsError(f"{box_id} is no live spot instance: AWS recommends nothing for it")
            self.events.rebalance_recommendation(self.now, box.region, box.zone, box.id)

    def forward_events(self, regions: Iterable[str] | None) -> None:
        """From now on only these regions send their events on to the home region; None: all of them."""
        with self.lock:
            self.forwarders.put(regions)

    def guest_shutdown(self, box_id: str) -> None:
        """`shutdown -h now` inside the box (EC2 guide, "Change the instance initiated shutdown behavior")."""
        with self.lock:
            self.guests.shut_down(self.boxes.of(box_id))

    def set_capacity(self, zone: str, instance_type: str, *, available: bool) -> None:
        """Let capacity of a type in a zone vanish or come back; `*` is any."""
        with self.lock:
            self.market.set_capacity(zone, instance_type, available=available)

    def set_lag(self, lag: timedelta) -> None:
        """From now on EC2's answers may be behind by so much; zero: never."""
        with self.lock:
            self.consistency.lag = lag

    def set_throttling(self, *, on: bool) -> None:
        """From now on EC2 counts its calls, from full buckets, or not."""
        with self.lock:
            self.throttle.switch(on=on)

    def fault(self, **fault: Any) -> Fault:
        """Let calls, events or Lambdas fail: the fields of `Fault`."""
        with self.lock:
            return self.faults.add(Fault(**fault))

    def clear_faults(self) -> None:
        with self.lock:
            self.faults.remove()

    # The truth

    def bill(self, box: Box, since: datetime = BEGINNING, until: datetime = END) -> Bill:
        """What AWS has billed for a box until now, or between two moments."""
        return box_bill(self, box, since, until)

    def truth(self) -> dict[str, Any]:
        """Everything there is and was, as `GET /_world` tells it."""
        with self.lock:
            return truth(self)

    def row(self, box_id: str) -> dict[str, Any]:
        """One box of the truth."""
        with self.lock:
            return box_row(self, self.boxes.of(box_id))
