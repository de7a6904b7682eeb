"""The queue between EC2's events and the function that listens to it.

Sources: SQS guide, "Amazon SQS visibility timeout" and "Using dead-letter queues in Amazon SQS" (a message that was
received maxReceiveCount times is moved the next time it would be); Lambda guide, "Using Lambda with Amazon SQS" and
"Handling errors for an SQS event source in Lambda" (what a batch that failed, wholly or in part, means).
"""

from __future__ import annotations

import hashlib
import json
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from localaws.events.bus import ACCOUNT, Event

if TYPE_CHECKING:
    from localaws.world import World


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueSettings:
    """What a template says of a queue; the defaults are SQS's own."""

    name: str = "ec2-events"
    dead_letter_queue: str | None = None
    visibility: timedelta = timedelta(seconds=30)
    retention: timedelta = timedelta(days=4)
    max_receives: int | None = None
    partial_failures: bool = False
    """Whether the function may say which messages of a batch have failed (ReportBatchItemFailures)."""


@dataclass(slots=True)
class Message:
    """One message; every delivery of it counts as received."""

    id: str
    event: Event
    sent_at: datetime
    first_received_at: datetime | None = None
    receives: int = 0


class EventQueue:
    """Messages that can be received now; those that were received come again unless their delivery succeeded."""

    def __init__(self, world: World, settings: QueueSettings) -> None:
        self._world = world
        self._settings = settings
        self._ready: deque[Message] = deque()
        self._sent = 0

    def send(self, event: Event) -> None:
        self._sent += 1
        self._ready.append(Message(str(UUID(int=self._sent)), event, self._world.now))

    def receive(self, most: int) -> list[Message]:
        """Up to so many messages. Too old ones are gone, and those that were received too often are dead letters."""
        batch: list[Message] = []
        now = self._world.now
        while self._ready and len(batch) < most:
            message = self._ready.popleft()
            if now - message.sent_at >= self._settings.retention:
                continue
            if self._settings.max_receives is not None and message.receives >= self._settings.max_receives:
                self._bury(message)
                continue
            message.receives += 1
            message.first_received_at = message.first_received_at or now
            batch.append(message)
        return batch

    def give_back(self, messages: Sequence[Message]) -> None:
        """These were not worked off: they can be received again when the visibility timeout is over."""
        if messages:
            self._world.later(self._settings.visibility, lambda: self._show(messages))

    def as_lambda_event(self, messages: Sequence[Message], region: str) -> dict[str, Any]:
        """What the function is called with."""
        arn = f"arn:aws:sqs:{region}:{ACCOUNT}:{self._settings.name}"
        return {"Records": [_record(message, arn, region) for message in messages]}

    def failed_of(self, messages: Sequence[Message], answer: Any) -> list[Message]:
        """Which messages of a batch the function's answer gives back; all, where it names one that is not there."""
        if not self._settings.partial_failures or not isinstance(answer, Mapping):
            return []
        items = answer.get("batchItemFailures") or []
        by_id = {message.id: message for message in messages}
        named = [by_id.get(item.get("itemIdentifier", "")) for item in items]
        found = [message for message in named if message is not None]
        return found if len(found) == len(named) else list(messages)

    def _show(self, messages: Sequence[Message]) -> None:
        self._ready.extend(messages)
        self._world.wake()

    def _bury(self, message: Message) -> None:
        self._world.dead_letters.append(
            {
                "at": self._world.now,
                "queue": self._settings.dead_letter_queue,
                "receive_count": message.receives,
                "body": message.event,
            }
        )


def _record(message: Message, arn: str, region: str) -> dict[str, Any]:
    body = json.dumps(message.event)
    return {
        "messageId": message.id,
        "receiptHandle": f"{message.id}/{message.receives}",
        "body": body,
        "attributes": {
            "ApproximateReceiveCount": str(message.receives),
            "SentTimestamp": _milliseconds(message.sent_at),
            "SenderId": "events.amazonaws.com",
            "ApproximateFirstReceiveTimestamp": _milliseconds(message.first_received_at or message.sent_at),
        },
        "messageAttributes": {},
        "md5OfBody": hashlib.md5(body.encode(), usedforsecurity=False).hexdigest(),
        "eventSource": "aws:sqs",
        "eventSourceARN": arn,
        "awsRegion": region,
    }


def _milliseconds(moment: datetime) -> str:
    return str(round(moment.timestamp() * 1000))
