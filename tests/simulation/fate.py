"""What happens to the town, and when: drawn from a seed, a day at a time.

Every happening is a moment and an action. Some last: a fault, a price, a lack of capacity ends by an action of its own.
"""

from __future__ import annotations

import itertools
import random
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from chalicelib.domain.budget import Budget, Period, ScopeKind
from chalicelib.domain.lease import OnEnd, RequestType
from localaws.errors import AwsError, LocalAwsError
from localaws.model import Box, Market
from tests.simulation.crowds import KEEPERS, MANAGED, end_crowd, protect, start_crowd
from tests.simulation.happenings import Action, Happenings
from tests.simulation.town import MINUTE, REGIONS, Town, runs

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
TYPES = ("g5.xlarge", "g4dn.xlarge", "p3.2xlarge", "g5.12xlarge")
MARKETS: tuple[Market, ...] = (
    *("on-demand", "one-time", "persistent") * 2,
    *("maintain", "spot-fleet", "asg"),
    "capacity-block",
)
HANDS = ("terminate", "stop", "start", "cancel", "interrupt", "shutdown")
PER_DAY = {
    "a_launch": 10.0,
    "a_box_behind_curfews_back": 8.0,
    "a_crowd": 1.5,
    "a_hand_on_a_box": 6.0,
    "an_extension": 2.0,
    "an_early_end": 2.0,
    "a_price_shock": 1.5,
    "no_capacity": 1.0,
    "a_region_fails": 1.0,
    "calls_fail_here_and_there": 1.5,
    "metrics_are_silent": 0.7,
    "slack_is_down": 0.7,
    "events_go_astray": 3.0,
    "ec2_lags": 1.0,
    "sweeps_are_skipped": 1.0,
    "curfew_is_down": 0.5,
    "a_lambda_dies": 3.0,
    "a_budget_changes": 0.5,
    "a_policy_changes": 0.5,
}
"""How often on an average day."""


class Fate(Happenings):
    """Happenings by chance. `until`: nothing new begins after that."""

    def __init__(self, town: Town, seed: int, until: datetime) -> None:
        super().__init__(town)
        self._rng = random.Random(f"{seed}/fate")
        self._until = until
        self._keys = itertools.count(1)
        self._draw_a_day()

    def _draw_a_day(self) -> None:
        """The happenings of the next 24 hours, and the next draw."""
        start = self.town.now
        for name, rate in PER_DAY.items():
            moment = start + self._gap(rate)
            while moment < min(start + DAY, self._until):
                self.at(moment, getattr(self, f"_{name}"))
                moment += self._gap(rate)
        if start + DAY < self._until:
            self.at(start + DAY, self._draw_a_day)

    def _gap(self, per_day: float) -> timedelta:
        return timedelta(seconds=int(self._rng.expovariate(per_day / 86400)))

    # People

    def _a_launch(self) -> None:
        rng = self._rng
        kind = rng.choice((RequestType.ONE_TIME, RequestType.PERSISTENT, RequestType.MAINTAIN))
        order = self.town.order(
            instance_types=(rng.choice(TYPES),),
            region=rng.choice(REGIONS),
            request_type=kind,
            lasts_for=rng.choice((1, 2, 4, 8, 24)) * HOUR,
            budget_usd=rng.choice((None, None, Decimal("1.50"), Decimal(6))),
            project=rng.choice((None, "vision")),
            target_capacity=rng.choice((1, 1, 1, 2)) if kind is not RequestType.PERSISTENT else 1,
            on_end=rng.choice((*(OnEnd.TERMINATE,) * 5, OnEnd.IMAGE)),
        )
        dies_at = rng.randint(1, 12) if rng.random() < 0.15 else None
        lease = self.town.launch(
            order, key=f"key-{next(self._keys)}", dies_at=dies_at, after=rng.random() < 0.5
        )
        for instance_id in lease.instance_ids if lease else ():
            self._give_work(self.town.world.boxes.of(instance_id))

    def _a_box_behind_curfews_back(self) -> None:
        rng, town = self._rng, self.town
        chance = rng.random()
        tags: dict[str, str] = {}
        until = town.now + rng.randint(1, 6) * HOUR
        if chance < 0.1:
            tags = {"curfew:protect": until.isoformat()}
        elif chance < 0.18:
            tags = MANAGED
        try:
            box = town.world.start_box(
                rng.choice(TYPES), market=rng.choice(MARKETS), region=rng.choice(REGIONS), tags=tags
            )
        except (AwsError, LocalAwsError):
            return
        if chance < 0.1:
            town.protected[box.id] = until
        if tags is MANAGED or box.is_prepaid:
            self.later(rng.randint(2, 20) * HOUR, lambda: self._end_of_what_is_managed(box))
        if tags is MANAGED:
            town.managed.add(box.id)
        self._give_work(box)

    def _end_of_what_is_managed(self, box: Box) -> None:
        """Whoever manages it scales it down, with what it has started in its place."""
        town = self.town
        keeper, name = box.market, box.fleet_id or box.group
        if keeper in KEEPERS and name:
            end_crowd(town, keeper, name, box.region)
        for one in town.boxes:
            if one is box or one.relaunch_of == box.id:
                town.by_hand(one, "cancel")
                town.by_hand(one, "terminate")

    def _a_crowd(self) -> None:
        """Several boxes that a fleet or group keeps running, some with work; one may be protected, or without a GPU."""
        rng, town = self._rng, self.town
        keeper, region = rng.choice(KEEPERS), rng.choice(REGIONS)
        boxes = start_crowd(
            town, keeper, rng.choice(TYPES), rng.randint(2, 4), region=region, helped=rng.random() < 0.3
        )
        if not boxes:
            return
        if rng.random() < 0.3:
            protect(town, boxes[0], town.now + rng.randint(2, 10) * HOUR)
        for box in boxes:
            self._give_work(box)
        name = boxes[0].fleet_id or boxes[0].group or ""
        self.later(rng.randint(9, 16) * HOUR, lambda: end_crowd(town, keeper, name, region))

    def _give_work(self, box: Box) -> None:
        """A life of work for a box, which ends in most cases as it does with people: forgotten."""
        rng = self._rng
        gpus = 4 if box.type.endswith("12xlarge") else 1
        period = 300 if rng.random() < 0.25 else 60
        busy: Any = rng.uniform(5, 100) if gpus == 1 else (rng.uniform(5, 100), *[0.0] * (gpus - 1))
        plan: list[tuple[timedelta, Any]] = {
            "forgotten": [(timedelta(0), busy), (rng.randint(10, 360) * MINUTE, 0.0)],
            "never used": [(timedelta(0), 0.0)],
            "no agent": [(timedelta(0), None)],
            "agent dies": [(timedelta(0), busy), (rng.randint(10, 240) * MINUTE, None)],
            "now and then": [
                step
                for _ in range(rng.randint(2, 6))
                for step in ((rng.randint(5, 75) * MINUTE, busy), (rng.randint(3, 50) * MINUTE, 0.0))
            ],
            "holes": [
                step
                for _ in range(rng.randint(1, 3))
                for step in ((rng.randint(5, 60) * MINUTE, 0.0), (rng.randint(3, 40) * MINUTE, None))
            ]
            + [(timedelta(0), 0.0)],
        }[
            rng.choice(
                ("forgotten", "forgotten", "never used", "no agent", "agent dies", "now and then", "holes")
            )
        ]
        after = timedelta(seconds=rng.randint(0, 59))
        for lasts, gpu in plan:
            self.later(after, self._set_load(box, gpu, period))
            after += lasts

    def _set_load(self, box: Box, gpu: Any, period: int) -> Action:
        return lambda: self.town.world.set_load(box.id, gpu=gpu, period=period)

    def _a_hand_on_a_box(self) -> None:
        boxes = [box for box in self.town.boxes if box.live]
        if boxes:
            self.town.by_hand(self._rng.choice(boxes), self._rng.choice(HANDS))

    def _an_extension(self) -> None:
        leases = self.town.services.store.open_leases()
        if leases:
            lease = self._rng.choice(leases)
            lasts = lease.expires_at - lease.requested_at + self._rng.choice((-2, -1, 2, 6)) * HOUR
            self.town.extend(lease.id, lasts)

    def _an_early_end(self) -> None:
        leases = self.town.services.store.open_leases()
        if leases:
            self.town.delete(self._rng.choice(leases).id)

    def _a_budget_changes(self) -> None:
        budget = self._rng.choice(
            (
                Budget(
                    name="account", limit_usd=Decimal(self._rng.randint(100, 2000)), period=Period.MONTHLY
                ),
                Budget(name="account", limit_usd=Decimal(self._rng.randint(20, 300)), period=Period.DAILY),
                Budget(
                    name="vision",
                    limit_usd=Decimal(self._rng.randint(5, 100)),
                    period=Period.DAILY,
                    scope_kind=ScopeKind.PROJECT,
                    scope_value="vision",
                ),
            )
        )
        self.town.put_budget(budget, force=self._rng.random() < 0.5)

    def _a_policy_changes(self) -> None:
        rng = self._rng
        match rng.choice(("idle", "unleased", "stopped")):
            case "idle":
                self.town.set_policy(idle={"after": rng.choice(("PT30M", "PT1H", "PT2H"))})
            case "unleased":
                self.town.set_policy(unleased={"end": rng.choice(("terminate", "stop", "image"))})
            case _:
                self.town.set_policy(stopped={"end_after": rng.choice((None, "PT6H", "P1D"))})

    # AWS

    def _a_price_shock(self) -> None:
        """The price of a type that runs, or of any, jumps, for some hours."""
        spot = [box for box in self.town.boxes if runs(box) and box.spot]
        if not spot:
            return
        box = self._rng.choice(spot)
        usd = self.town.world.market.on_demand.usd(box.type) * Decimal(
            self._rng.choice(("0.2", "0.9", "1.3"))
        )
        self.town.world.set_price(box.zone, box.type, usd)
        lasts = self._rng.randint(1, 8) * HOUR
        self.later(lasts, lambda: self.town.world.set_price(box.zone, box.type, None))

    def _no_capacity(self) -> None:
        kind, zone = (
            self._rng.choice(TYPES),
            self._rng.choice(("*", "us-east-1a", "us-east-1b", "eu-west-1a")),
        )
        world = self.town.world
        world.set_capacity(zone, kind, available=False)
        self.later(self._rng.randint(1, 5) * HOUR, lambda: world.set_capacity(zone, kind, available=True))

    # Bad luck

    def _fault(self, lasts: timedelta, **fault: Any) -> None:
        added = self.town.fault(**fault)
        self.later(lasts, lambda: self.town.world.faults.remove(added.id))

    def _a_region_fails(self) -> None:
        lasts = self._rng.randint(2, 12) * MINUTE
        code = self._rng.choice(("InternalError", "RequestLimitExceeded", "drop"))
        self._fault(lasts, service="ec2", region=self._rng.choice(REGIONS), code=code)

    def _calls_fail_here_and_there(self) -> None:
        lasts, lost = self._rng.randint(2, 12) * MINUTE, self._rng.random() < 0.5
        for service in ("ec2", "dynamodb", "cloudwatch", "autoscaling", "scheduler"):
            rate = self._rng.choice((0.05, 0.2, 0.4))
            self._fault(lasts, service=service, rate=rate, lost_answer=lost, code="InternalError")

    def _metrics_are_silent(self) -> None:
        self._fault(self._rng.randint(5, 20) * MINUTE, service="cloudwatch", code="InternalError")

    def _slack_is_down(self) -> None:
        box = self.town.mailbox
        box.is_open = False
        self.later(self._rng.randint(5, 90) * MINUTE, lambda: setattr(box, "is_open", True))

    def _events_go_astray(self) -> None:
        """Some of them are lost, late or doubled; only what hinders a sweep counts as an outage."""
        code = self._rng.choice(("lost", "late", "doubled"))
        delay = self._rng.randint(30, 900) if code == "late" else 0
        lasts, rate = self._rng.randint(10, 120) * MINUTE, self._rng.choice((0.3, 1.0))
        self._fault(lasts, service="events", code=code, rate=rate, delay_seconds=delay)

    def _ec2_lags(self) -> None:
        """What was started, ended or tagged shows in Describe some seconds later."""
        self.town.world.set_lag(timedelta(seconds=self._rng.randint(5, 60)))
        self.later(self._rng.randint(1, 6) * HOUR, lambda: self.town.world.set_lag(timedelta(0)))

    def _sweeps_are_skipped(self) -> None:
        lasts = self._rng.choice((2, 5, 10, 45, 180)) * MINUTE
        self.sleeps_until = max(self.sleeps_until, self.town.now + lasts)

    def _curfew_is_down(self) -> None:
        """For hours: what ends then, AWS ends, by what was armed before."""
        self.sleeps_until = max(self.sleeps_until, self.town.now + self._rng.choice((1, 3, 6)) * HOUR)
        self.is_down = True

    def _a_lambda_dies(self) -> None:
        self.dies_at, self.dies_after = self._rng.randint(1, 25), self._rng.random() < 0.5
