"""EC2's own events in EventBridge's form.

Source: EC2 guide, "Automate Amazon EC2 using EventBridge" and "Spot Instance interruption notices": the same fields, in
the same places. An interruption warning's ARN has the zone in it and no account.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import UUID

ACCOUNT = "123456789012"
Event = dict[str, Any]


class EventBus:
    """Events that were sent and not yet delivered, in order; listeners are told that there is one more."""

    def __init__(self) -> None:
        self._waiting: deque[Event] = deque()
        self._listeners: list[Callable[[], None]] = []
        self._sent = 0

    def subscribe(self, listener: Callable[[], None]) -> None:
        self._listeners.append(listener)

    def take(self) -> Event | None:
        """The oldest undelivered event."""
        return self._waiting.popleft() if self._waiting else None

    def state_change(self, at: datetime, region: str, box_id: str, state: str) -> None:
        """`EC2 Instance State-change Notification`."""
        arn = f"arn:aws:ec2:{region}:{ACCOUNT}:instance/{box_id}"
        detail = {"instance-id": box_id, "state": state}
        self._send(at, region, "EC2 Instance State-change Notification", arn, detail)

    def fulfilment(self, at: datetime, region: str, request_id: str, box_id: str) -> None:
        """`EC2 Spot Instance Request Fulfillment`."""
        arn = f"arn:aws:ec2:{region}:{ACCOUNT}:instance/{box_id}"
        detail = {"spot-instance-request-id": request_id, "instance-id": box_id}
        self._send(at, region, "EC2 Spot Instance Request Fulfillment", arn, detail)

    def interruption_warning(self, at: datetime, region: str, zone: str, box_id: str, action: str) -> None:
        """`EC2 Spot Instance Interruption Warning`: two minutes before `action`."""
        detail = {"instance-id": box_id, "instance-action": action}
        arn = f"arn:aws:ec2:{zone}:instance/{box_id}"
        self._send(at, region, "EC2 Spot Instance Interruption Warning", arn, detail)

    def _send(self, at: datetime, region: str, kind: str, arn: str, detail: dict[str, str]) -> None:
        self._sent += 1
        self._waiting.append(
            {
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
        )
        for listener in self._listeners:
            listener()
