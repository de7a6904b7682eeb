"""EC2's own events in EventBridge's form, and their way to the home region.

Sources: EC2 guide, "Automate Amazon EC2 using EventBridge", "State change events for Amazon EC2 instances", "Spot
Instance interruption notices" and "EC2 instance rebalance recommendations": the same fields, in the same places, all
sent on a best-effort basis. A spot warning's ARN has the zone in it and no account. Events of an EC2 Fleet's and a Spot
Fleet's own state (sources aws.ec2fleet and aws.ec2spotfleet) are not sent: no rule of the application asks for them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from localaws.protocol.faults import DOUBLED, EVENTS, LATE, LOST
from localaws.protocol.wire import CallId

if TYPE_CHECKING:
    from localaws.world import World

ACCOUNT = "123456789012"
Event = dict[str, Any]


class EventBus:
    """Events that reached the home region and were not yet taken, in order; listeners are told that there is one more.

    On its way an event may be lost, late or doubled by a fault, and is dropped in a region without a forwarder.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._waiting: deque[Event] = deque()
        self._listeners: list[Callable[[], None]] = []
        self._sent = 0

    def subscribe(self, listener: Callable[[], None]) -> None:
        self._listeners.append(listener)

    def take(self) -> Event | None:
        """The oldest event that nobody has taken."""
        return self._waiting.popleft() if self._waiting else None

    def state_change(self, at: datetime, region: str, box_id: str, state: str) -> None:
        """`EC2 Instance State-change Notification`."""
        detail = {"instance-id": box_id, "state": state}
        self._send(at, region, "EC2 Instance State-change Notification", _arn(region, box_id), detail)

    def fulfilment(self, at: datetime, region: str, request_id: str, box_id: str) -> None:
        """`EC2 Spot Instance Request Fulfillment`."""
        detail = {"spot-instance-request-id": request_id, "instance-id": box_id}
        self._send(at, region, "EC2 Spot Instance Request Fulfillment", _arn(region, box_id), detail)

    def interruption_warning(self, at: datetime, region: str, zone: str, box_id: str, action: str) -> None:
        """`EC2 Spot Instance Interruption Warning`: two minutes before `action`."""
        detail = {"instance-id": box_id, "instance-action": action}
        self._send(at, region, "EC2 Spot Instance Interruption Warning", _zonal_arn(zone, box_id), detail)

    def rebalance_recommendation(self, at: datetime, region: str, zone: str, box_id: str) -> None:
        """`EC2 Instance Rebalance Recommendation`: an interruption is more likely than it was."""
        detail = {"instance-id": box_id}
        self._send(at, region, "EC2 Instance Rebalance Recommendation", _zonal_arn(zone, box_id), detail)

    def _send(self, at: datetime, region: str, kind: str, arn: str, detail: dict[str, str]) -> None:
        self._sent += 1
        event = {
            "version": "0",
            "id": str(UUID(int=self._sent)),
            "detail-type": kind,
            "source": "aws.ec2",
            "account": ACCOUNT,
            "time": at.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "region": region,
            "resources": [arn],
            "detail": detail,
        }
        fault = self._world.faults.strike(CallId(EVENTS, region, kind), "event")
        if fault is None:
            self._arrive(event)
        elif fault.code == LATE:
            self._world.later(timedelta(seconds=fault.delay_seconds), lambda: self._arrive(event))
        elif fault.code == DOUBLED:
            self._arrive(event)
            self._arrive({**event, "detail": dict(detail)})
        else:
            assert fault.code == LOST

    def _arrive(self, event: Event) -> None:
        if not self._world.forwarders.reaches_home(event):
            return
        self._waiting.append(event)
        for listener in self._listeners:
            listener()


def _arn(region: str, box_id: str) -> str:
    return f"arn:aws:ec2:{region}:{ACCOUNT}:instance/{box_id}"


def _zonal_arn(zone: str, box_id: str) -> str:
    return f"arn:aws:ec2:{zone}:instance/{box_id}"
