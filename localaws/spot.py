"""Spot requests: open, active, disabled, closed, cancelled.

Sources: EC2 guide, "Spot Instance request states" and "Get the status of a Spot Instance request" (the status codes),
"Work with persistent requests", "Behavior of Spot Instance interruptions"; botocore's SpotMarketOptions and
CancelSpotInstanceRequests.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Literal

from moto.ec2.utils import random_spot_request_id

from localaws import backend
from localaws.boxes import Intent
from localaws.errors import AwsError
from localaws.model import Box, LaunchSpec, Market, SpotRequest
from localaws.places import asked_zone, zones
from localaws.refusals import price_too_low

if TYPE_CHECKING:
    from localaws.world import World

WARNING = timedelta(minutes=2)
RETRY_EVERY = timedelta(minutes=1)
LOOK_AHEAD = timedelta(days=1)
NO_CAPACITY = ("Server.SpotInstanceTermination", "Server.SpotInstanceTermination: Spot instance termination")
Cause = Literal["no-capacity", "by-price"]


class SpotRequests:
    """Every spot request there ever was, by id."""

    def __init__(self, world: World, *, relaunch_with_tags: bool = False) -> None:
        self._world = world
        self._by_id: dict[str, SpotRequest] = {}
        self._rng = random.Random(f"{world.seed}/spot")
        self._watches: dict[str, int] = {}
        self.relaunch_with_tags = relaunch_with_tags
        world.boxes.on_running.append(self.watch_price)
        world.boxes.on_stopped.append(self._box_stopped)
        world.boxes.on_ended.append(self._box_ended)

    def __iter__(self) -> Iterator[SpotRequest]:
        return iter(list(self._by_id.values()))

    def find(self, request_id: str | None, region: str | None = None) -> SpotRequest | None:
        request = self._by_id.get(request_id or "")
        return request if request and region in (None, request.region) else None

    def create(
        self,
        region: str,
        spec: LaunchSpec,
        *,
        kind: Literal["one-time", "persistent"] = "one-time",
        behaviour: str = "terminate",
        cap_usd: Decimal | None = None,
        valid_until: datetime | None = None,
        tags: dict[str, str] | None = None,
        market: Market | None = None,
        fleet_id: str | None = None,
    ) -> SpotRequest:
        """Record a request in state `open`; `fulfil` or `fulfil_soon` takes it from there."""
        request = SpotRequest(
            id=random_spot_request_id(),
            region=region,
            type=kind,
            created_at=self._world.now,
            spec=spec,
            behaviour=behaviour,
            cap_usd=cap_usd,
            valid_until=valid_until,
            market=market or kind,
            fleet_id=fleet_id,
        )
        self._status(request, "open", "pending-evaluation")
        if tags:
            backend.ec2_backend(region).tags[request.id].update(tags)
        self._by_id[request.id] = request
        if valid_until is not None:
            self._world.at(valid_until, lambda: self._expire(request))
        return request

    def adopt(self, box: Box) -> SpotRequest:
        """The request of a spot box that something else has launched, such as a group: active from the start."""
        spec = LaunchSpec({"ImageId": box.moto.image_id, "InstanceType": box.type}, {})
        request = self.create(box.region, spec, market=box.market)
        request.box_id, request.zone = box.id, box.zone
        box.spot, box.request_id = True, request.id
        self._status(request, "active", "fulfilled")
        self._world.events.fulfilment(self._world.now, box.region, request.id, box.id)
        return request

    def drop(self, request: SpotRequest) -> None:
        """Take back a request of a call that failed: AWS leaves none behind."""
        del self._by_id[request.id]

    def fulfil(self, request: SpotRequest, zone: str | None = None) -> Box:
        """Launch the request's box now, or raise the AWS error that says why not."""
        zone = zone or self.pick_zone(request)
        price = self._world.market.curve(zone, request.spec.params["InstanceType"]).at(self._world.now)
        if request.cap_usd is not None and price > request.cap_usd:
            raise price_too_low(request.cap_usd, price)
        again = request.relaunch_of is not None
        spec = request.spec
        if again and not self.relaunch_with_tags:
            spec = LaunchSpec(spec.params, {})
        intent = Intent(
            market=request.market,
            spot=True,
            cap_usd=request.cap_usd,
            request_id=request.id,
            fleet_id=request.fleet_id,
            relaunched_by=request.id if again else None,
            relaunch_of=request.relaunch_of,
        )
        box = self._world.boxes.launch(request.region, spec, zone, intent)[0]
        request.box_id, request.zone = box.id, zone
        self._status(request, "active", "fulfilled")
        self._world.events.fulfilment(self._world.now, request.region, request.id, box.id)
        return box

    def fulfil_soon(self, request: SpotRequest, after: timedelta | None = None) -> None:
        """AWS launches the box within a minute, or as soon as there is capacity at the price."""
        if not request.waiting:
            request.waiting = True
            self._world.later(
                after or timedelta(seconds=self._rng.randint(5, 55)), lambda: self._try(request)
            )

    def pick_zone(self, request: SpotRequest) -> str:
        """The zone asked for, else the cheapest one with capacity."""
        return pick_zone(self._world, request.region, request.spec)

    def cancel(self, request: SpotRequest) -> None:
        """Cancelling ends the request, not a running box; a stopped box goes with its request."""
        if request.state in ("closed", "cancelled", "failed"):
            return
        box = self._world.boxes.find(request.box_id or "")
        if request.state == "active" and box is not None and box.live:
            self._status(request, "cancelled", "request-canceled-and-instance-running")
        elif box is not None and box.state in ("stopped", "stopping"):
            self._status(request, "cancelled", "instance-terminated-by-user")
            self._world.boxes.end(box, by="CancelSpotInstanceRequests")
        else:
            self._status(request, "cancelled", "canceled-before-fulfillment")

    def interrupt(self, box: Box, cause: Cause = "no-capacity") -> None:
        """AWS takes the box back: a warning now, the end (or the stop) two minutes later."""
        request = self.find(box.request_id)
        behaviour = request.behaviour if request and request.state == "active" else "terminate"
        if request is not None:
            request.status_code = "marked-for-stop" if behaviour == "stop" else "marked-for-termination"
            request.status_at = self._world.now
        epoch = box.epoch
        self._world.events.interruption_warning(self._world.now, box.region, box.zone, box.id, behaviour)
        self._world.later(WARNING, lambda: self._take_back(box, epoch, behaviour, cause))

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

    def start_requested(self, box: Box) -> None:
        """StartInstances on a stopped spot box makes its request active again."""
        request = self.find(box.request_id)
        if request is not None and request.state in ("disabled", "open"):
            self._status(request, "active", "fulfilled")

    def _price_check(self, box: Box, epoch: int, watch: int) -> None:
        if box.epoch != epoch or self._watches[box.id] != watch or box.cap_usd is None:
            return
        if self._world.market.curve(box.zone, box.type).at(self._world.now) > box.cap_usd:
            self.interrupt(box, "by-price")
        else:
            self.watch_price(box)

    def _take_back(self, box: Box, epoch: int, behaviour: str, cause: Cause) -> None:
        if box.epoch != epoch or not box.live:
            return
        request = self.find(box.request_id)
        if behaviour in ("stop", "hibernate") and request is not None and request.state == "active":
            self._world.boxes.stop(box, by="ec2-interruption", reason=NO_CAPACITY, interrupted=True)
            self._status(request, "open", f"instance-stopped-{cause}")
            self._world.later(
                timedelta(seconds=self._rng.randint(300, 900)), lambda: self._restart(request, box)
            )
            return
        self._world.boxes.end(box, by="ec2-interruption", reason=NO_CAPACITY, interrupted=True)
        if request is not None:
            request.status_code = f"instance-terminated-{cause}"

    def _restart(self, request: SpotRequest, box: Box) -> None:
        if request.state != "open" or request.box_id != box.id or box.state not in ("stopped", "stopping"):
            return
        affordable = request.cap_usd is None or self._price(box) <= request.cap_usd
        if box.state == "stopped" and affordable and self._world.market.has_capacity(box.zone, box.type):
            self._status(request, "active", "fulfilled")
            self._world.boxes.start(box)
            self._world.events.fulfilment(self._world.now, request.region, request.id, box.id)
        else:
            self._world.later(RETRY_EVERY, lambda: self._restart(request, box))

    def _price(self, box: Box) -> Decimal:
        return self._world.market.curve(box.zone, box.type).at(self._world.now)

    def _try(self, request: SpotRequest) -> None:
        request.waiting = False
        if request.state != "open":
            return
        try:
            self.fulfil(request)
        except AwsError as problem:
            code = "price-too-low" if problem.code == "SpotMaxPriceTooLow" else "capacity-not-available"
            self._status(request, "open", code)
            self.fulfil_soon(request, RETRY_EVERY)

    def _expire(self, request: SpotRequest) -> None:
        """ValidUntil ends the request, not the box it launched."""
        if request.state == "open":
            self._status(request, "cancelled", "schedule-expired")
        elif request.state in ("active", "disabled"):
            self._status(request, "cancelled", "request-canceled-and-instance-running")

    def _box_stopped(self, box: Box) -> None:
        request = self.find(box.request_id)
        if request is not None and request.state == "active":
            self._status(request, "disabled", "instance-stopped-by-user")

    def _box_ended(self, box: Box) -> None:
        request = self.find(box.request_id)
        if request is None or request.box_id != box.id:
            return
        if request.state in ("active", "disabled", "open") and request.type == "persistent":
            self._status(request, "open", "instance-terminated-by-user")
            request.box_id, request.relaunch_of = None, box.id
            self.fulfil_soon(request)
        elif request.state in ("active", "disabled", "open"):
            self._status(request, "closed", "instance-terminated-by-user")
        else:
            request.status_code, request.status_at = "instance-terminated-by-user", self._world.now

    def _status(self, request: SpotRequest, state: str, code: str) -> None:
        request.state, request.status_code, request.status_at = state, code, self._world.now


def pick_zone(world: World, region: str, spec: LaunchSpec) -> str:
    """The zone that a launch asks for, else the cheapest with capacity, else the first."""
    asked = asked_zone(region, spec.params)
    if asked:
        return asked
    kind, names = spec.params["InstanceType"], zones(region)
    if not names:
        raise AwsError("VPCIdNotSpecified", "No default VPC for this user.")
    open_zones = [name for name in names if world.market.has_capacity(name, kind)]
    return min(open_zones or names, key=lambda name: (world.market.curve(name, kind).at(world.now), name))
