"""Spot interruptions: the warning, the end or the stop, and the restart of what was stopped.

Sources: EC2 guide, "Behavior of Spot Instance interruptions" (stop, hibernate, terminate; only EC2 restarts what it has
stopped, in the same zone), "Spot Instance interruption notices" (two minutes; none before a hibernation begins), "State
changes for a Spot request" (a box that an interruption stopped leaves its request `disabled`) and "EC2 instance
rebalance recommendations" (ahead of a notice, with it, or not at all).
"""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from localaws.model import Box, Cause, SpotRequest

if TYPE_CHECKING:
    from localaws.ec2.spot import SpotRequests
    from localaws.world import World

WARNING = timedelta(minutes=2)
RETRY_EVERY = timedelta(minutes=1)
LOOK_AHEAD = timedelta(days=1)
RECOMMENDED = 0.5
"""The share of interruptions by price that a rebalance recommendation comes ahead of."""
TERMINATION = ("Server.SpotInstanceTermination", "Server.SpotInstanceTermination: Spot instance termination")
SHUTDOWN = (
    "Server.SpotInstanceShutdown",
    "Server.SpotInstanceShutdown: Instance shutdown for spot interruption",
)
BY_EC2 = "ec2-interruption"


class Interruptions:
    """EC2 taking boxes back, for want of capacity or because the price has passed their cap."""

    def __init__(self, world: World, requests: SpotRequests) -> None:
        self._world = world
        self._requests = requests
        self._rng = random.Random(f"{world.seed}/interruptions")
        self._watches: dict[str, int] = {}
        world.boxes.on_running.append(self.watch_price)

    def begin(self, box: Box, cause: Cause = "no-capacity") -> None:
        """Warn now; two minutes later the box is ended or stopped, as its request says. Hibernation begins at once."""
        if box.state not in ("pending", "running"):
            return
        request = self._requests.find(box.request_id)
        behaviour = request.behaviour if request and request.state == "active" else "terminate"
        if request is not None:
            request.interrupted_by = cause
            request.status_code = "marked-for-termination" if behaviour == "terminate" else "marked-for-stop"
            request.status_at = self._world.now
        epoch = box.epoch
        self._world.events.interruption_warning(self._world.now, box.region, box.zone, box.id, behaviour)
        wait = timedelta(0) if behaviour == "hibernate" else WARNING
        self._world.later(wait, lambda: self._take_back(box, epoch, behaviour))

    def watch_price(self, box: Box) -> None:
        """Interrupt a capped box when the price passes its cap."""
        if box.cap_usd is None or not box.live or not box.runs or box.runs[-1].end is not None:
            return
        now, epoch = self._world.now, box.epoch
        watch = self._watches[box.id] = self._watches.get(box.id, 0) + 1
        passed_at = self._world.market.curve(box.zone, box.type).first_above(
            box.cap_usd, now, now + LOOK_AHEAD
        )
        self._world.at(passed_at or now + LOOK_AHEAD, lambda: self._price_check(box, epoch, watch))
        if passed_at is not None:
            self._foresee(box, passed_at, epoch, watch)

    def restartable(self, box: Box) -> bool:
        """Whether EC2 has the capacity, at the price, to start a box again that it has stopped."""
        affordable = box.cap_usd is None or self._world.market.curve(box.zone, box.type).at(
            self._world.now
        ) <= (box.cap_usd)
        return box.state == "stopped" and affordable and self._world.market.has_capacity(box.zone, box.type)

    def restart(self, request: SpotRequest, box: Box) -> None:
        """EC2 starts a box again that it has stopped."""
        self._world.boxes.start(box)
        self._requests.start_again(request)
        self._world.events.fulfilment(self._world.now, request.region, request.id, box.id)

    def _foresee(self, box: Box, passed_at: datetime, epoch: int, watch: int) -> None:
        """Recommend, ahead of some interruptions, to move on; by up to ten minutes."""
        fate = random.Random(f"{self._world.seed}/rebalance/{box.id}/{watch}")

        def recommend() -> None:
            if box.epoch == epoch and self._watches[box.id] == watch:
                self._world.recommend_rebalance(box.id)

        if fate.random() < RECOMMENDED:
            ahead = timedelta(seconds=fate.randint(0, 600))
            self._world.at(max(passed_at - ahead, self._world.now), recommend)

    def _price_check(self, box: Box, epoch: int, watch: int) -> None:
        if box.epoch != epoch or self._watches[box.id] != watch or box.cap_usd is None:
            return
        if self._world.market.curve(box.zone, box.type).at(self._world.now) > box.cap_usd:
            self.begin(box, "by-price")
        else:
            self.watch_price(box)

    def _take_back(self, box: Box, epoch: int, behaviour: str) -> None:
        if box.epoch != epoch or not box.live:
            return
        request = self._requests.find(box.request_id)
        if behaviour == "terminate" or request is None or request.state != "active":
            self._world.boxes.end(box, by=BY_EC2, reason=TERMINATION, interrupted=True)
            return
        hibernates = behaviour == "hibernate"
        self._world.boxes.stop(box, by=BY_EC2, reason=SHUTDOWN, interrupted=True, hibernates=hibernates)
        if request.type == "persistent":  # a fleet decides for itself whether it starts its own again
            after = timedelta(seconds=self._rng.randint(300, 900))
            self._world.later(after, lambda: self._try_restart(request, box))

    def _try_restart(self, request: SpotRequest, box: Box) -> None:
        waits = request.interrupted_by is not None and request.state in ("active", "disabled")
        if not waits or request.box_id != box.id or box.state not in ("stopping", "stopped"):
            return
        if self.restartable(box):
            self.restart(request, box)
        else:
            self._world.later(RETRY_EVERY, lambda: self._try_restart(request, box))
