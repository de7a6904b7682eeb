"""Spot requests: open, active, disabled, closed, cancelled, failed.

Sources: EC2 guide, "Spot Instance request states", "Get the status of a Spot Instance request" and "State changes for a
Spot request" (which status code goes with which state), "Manage your Spot Instances" (stop, start, terminate) and
"Cancel a Spot Instance request"; botocore's SpotMarketOptions, RequestSpotInstances and CancelSpotInstanceRequests.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Literal

from moto.ec2.utils import random_spot_request_id

from localaws.ec2.boxes import Intent
from localaws.ec2.interruptions import BY_EC2, RETRY_EVERY, TERMINATION, Interruptions
from localaws.errors import AwsError
from localaws.model import Box, LaunchSpec, Market, SpotRequest
from localaws.onmoto import backend
from localaws.places import asked_zone, zones
from localaws.protocol.refusals import price_too_low

if TYPE_CHECKING:
    from localaws.world import World

OVER = frozenset({"cancelled", "closed", "failed"})
SHOWN_WHEN_OVER = timedelta(hours=4)
"""How long a request stays visible once it and its box are over (botocore, DescribeSpotInstanceRequests)."""
BY_CANCEL = "CancelSpotInstanceRequests"
WAITING_CODES = {
    "SpotMaxPriceTooLow": "price-too-low",
    "InsufficientInstanceCapacity": "capacity-not-available",
}
"""What a request goes on waiting for; anything else that a launch is refused for makes it fail."""


class SpotRequests:
    """Every spot request there ever was, by id."""

    def __init__(self, world: World, *, relaunch_with_tags: bool = False) -> None:
        self._world = world
        self._by_id: dict[str, SpotRequest] = {}
        self._rng = random.Random(f"{world.seed}/spot")
        self.relaunch_with_tags = relaunch_with_tags
        self.interruptions = Interruptions(world, self)
        world.boxes.on_stopped.append(self._box_stopping)
        world.boxes.on_at_rest.append(self._box_stopped)
        world.boxes.on_ended.append(self._box_ended)

    def __iter__(self) -> Iterator[SpotRequest]:
        return iter(list(self._by_id.values()))

    def find(self, request_id: str | None, region: str | None = None) -> SpotRequest | None:
        request = self._by_id.get(request_id or "")
        return request if request and region in (None, request.region) else None

    def is_shown(self, request: SpotRequest) -> bool:
        """Whether AWS still shows a request: for four hours after the end of it and of its box."""
        box = self._box_of(request)
        is_over = request.state in OVER and (box is None or not box.live)
        return not is_over or self._world.now < (request.status_at or request.created_at) + SHOWN_WHEN_OVER

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

    def open(self, request: SpotRequest, valid_from: datetime | None = None) -> None:
        """Let AWS evaluate a request, at once or from a time on; its box is launched some seconds later."""
        if valid_from is None or valid_from <= self._world.now:
            self.fulfil_soon(request)
            return
        self._status(request, "open", "not-scheduled-yet")
        self.fulfil_soon(request, valid_from - self._world.now)

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
        """Cancelling ends the request, not a running box; a stopped box goes with its request, some seconds later."""
        box = self._box_of(request)
        if request.state in OVER:
            return
        if box is None or not box.live:
            self._status(request, "cancelled", "canceled-before-fulfillment")
        elif box.state in ("stopping", "stopped"):
            self._status(request, "cancelled", request.status_code)
            lag = timedelta(seconds=self._rng.randint(2, 20))
            self._world.later(lag, lambda: self._world.boxes.end(box, by=BY_CANCEL, reason=TERMINATION))
        else:
            self._status(request, "cancelled", "request-canceled-and-instance-running")

    def check_startable(self, box: Box) -> None:
        """What StartInstances refuses: only EC2 restarts what it stopped, and the price must be under the cap."""
        request = self.find(box.request_id)
        if request is None or box.state != "stopped":
            return
        if request.state != "disabled" or request.interrupted_by is not None:
            raise AwsError(
                "IncorrectSpotRequestState",
                f"You can't start the Spot Instance '{box.id}' because the associated Spot Instance request "
                f"'{request.id}' is not in an appropriate state to support start.",
            )
        price = self._world.market.curve(box.zone, box.type).at(self._world.now)
        if box.cap_usd is not None and price > box.cap_usd:
            raise price_too_low(box.cap_usd, price)

    def start_requested(self, box: Box) -> None:
        """StartInstances on a stopped spot box makes its request active again."""
        request = self.find(box.request_id)
        if request is not None and request.state == "disabled":
            self.start_again(request)

    def start_again(self, request: SpotRequest) -> None:
        """The request's stopped box is being started."""
        request.interrupted_by = None
        self._status(request, "active", "fulfilled")

    def _try(self, request: SpotRequest) -> None:
        request.waiting = False
        if request.state != "open":
            return
        try:
            self.fulfil(request)
        except AwsError as problem:
            code = WAITING_CODES.get(problem.code)
            self._status(request, "open" if code else "failed", code or "bad-parameters")
            if code:
                self.fulfil_soon(request, RETRY_EVERY)

    def _expire(self, request: SpotRequest) -> None:
        """ValidUntil ends the request, not the box it launched; a one-time request with a box has no end of its own."""
        if request.state == "open":
            self._status(request, "cancelled", "schedule-expired")
        elif request.state == "active" and request.type == "persistent":
            self._status(request, "cancelled", "request-canceled-and-instance-running")
        elif request.state == "disabled":
            self._status(request, "cancelled", request.status_code)

    def _box_stopping(self, box: Box) -> None:
        request = self._request_of(box)
        if request is not None and request.state == "active":
            self._status(request, "active", "marked-for-stop")

    def _box_stopped(self, box: Box) -> None:
        request = self._request_of(box)
        if request is None:
            return
        code = f"instance-stopped-{request.interrupted_by or 'by-user'}"
        if request.state == "active":
            self._status(request, "disabled", code)
        elif request.status_code == "marked-for-stop":
            self._status(request, request.state, code)

    def _box_ended(self, box: Box) -> None:
        request = self._request_of(box)
        if request is None:
            return
        code = "instance-terminated-by-user"
        if box.ended_by == BY_EC2:
            code = f"instance-terminated-{request.interrupted_by}"
        elif box.ended_by == BY_CANCEL:
            code = "instance-terminated-by-service"
        request.interrupted_by = None
        if request.state in OVER:
            self._status(request, request.state, code)
        elif request.type == "one-time":
            self._status(request, "closed", code)
        else:
            self._status(request, "open", code if box.ended_by == BY_EC2 else "pending-evaluation")
            request.box_id, request.relaunch_of = None, box.id
            self.fulfil_soon(request)

    def _request_of(self, box: Box) -> SpotRequest | None:
        """The request that a box is the present one of."""
        request = self.find(box.request_id)
        return request if request is not None and request.box_id == box.id else None

    def _box_of(self, request: SpotRequest) -> Box | None:
        return self._world.boxes.of(request.box_id) if request.box_id else None

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
