"""What boxes tell Curfew of their load, as the script in their user data would (chalicelib/domain/guest_heartbeat.py).

Only boxes that were told to speak do: of the others CloudWatch alone tells. The very script runs in the tests of
Curfew (tests/unit/test_guest_heartbeat.py); here its minutes are played, so that they pass in no time.
"""

from __future__ import annotations

import hmac
import json
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import urllib3

if TYPE_CHECKING:
    from localaws.model import Box
    from localaws.world import World

SCRIPT = "/usr/local/sbin/curfew-heartbeat"
MINUTE, QUARTER = timedelta(minutes=1), timedelta(minutes=15)
MOST_MINUTES = 240
Send = Callable[[str, bytes, dict[str, str]], tuple[int, bytes]]
"""URL, body, headers → status, body; OSError or urllib3's errors where nobody answers."""

_pool = urllib3.PoolManager(retries=False, timeout=10.0)


def over_http(url: str, body: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
    """A post to a server of this process."""
    answer = _pool.request("POST", url, body=body, headers=headers)
    return answer.status, answer.data


@dataclass(frozen=True, slots=True)
class Sender:
    """What the script has in it."""

    lease: str
    url: str
    key: str


@dataclass(slots=True)
class Memory:
    """What the script keeps on the disk."""

    minutes: list[dict[str, object]] = field(default_factory=list)
    told: tuple[str, datetime] | None = None
    each_minute_from: datetime | None = None
    owes: bool = False


class Heartbeats:
    """A look of each box a minute, and a post to `address` where one is due: never anywhere else."""

    def __init__(self, world: World, address: str, send: Send = over_http) -> None:
        self._world = world
        self._address = address
        self._send = send
        self._memories: dict[str, Memory] = {}

    def start_over(self) -> None:
        """An empty world."""
        self._memories.clear()

    def minute(self) -> None:
        """What every box does in the minute that is over; never called with the world's lock held."""
        with self._world.lock:
            now = self._world.now
            speakers = [(box, sender) for box in self._world.boxes if (sender := self._sender(box))]
            looks = [(box.id, sender, box.load.latest.busiest_gpu) for box, sender in speakers]
        for box_id, sender, gpu in looks:
            self._look(box_id, sender, None if gpu is None else round(gpu), now)

    def _sender(self, box: Box) -> Sender | None:
        if box.state != "running" or not box.load.is_told:
            return None
        found = sender_of(self._world.guests.files(box).get(SCRIPT, ""))
        return found if found and found.url.startswith(self._address + "/") else None

    def _look(self, box_id: str, sender: Sender, gpu: int | None, now: datetime) -> None:
        memory = self._memories.setdefault(box_id, Memory())
        at = int((now - MINUTE).timestamp()) // 60 * 60
        memory.minutes.append({"at": at, "gpu": gpu, "signs": ""})
        del memory.minutes[:-MOST_MINUTES]
        state = "unknown" if gpu is None else "busy" if gpu else "idle"
        last, told_at = memory.told or ("", now - QUARTER)
        is_eager = memory.each_minute_from is not None and now >= memory.each_minute_from
        if not (memory.owes or is_eager or state != last or now - told_at >= QUARTER):
            return
        memory.owes = True
        with suppress(OSError, urllib3.exceptions.HTTPError):
            status, answer = self._post(box_id, sender, memory, now)
            if status == 200:
                from_ = json.loads(answer).get("each_minute_from")
                eager = datetime.fromisoformat(from_) if from_ else None
                self._memories[box_id] = Memory(told=(state, now), each_minute_from=eager)

    def _post(self, box_id: str, sender: Sender, memory: Memory, now: datetime) -> tuple[int, bytes]:
        sent = int(now.timestamp())
        whole = {"lease": sender.lease, "instance": box_id, "counter": sent, "sent_at": sent}
        body = json.dumps({**whole, "minutes": memory.minutes}).encode()
        signed = hmac.new(sender.key.encode(), body, "sha256").hexdigest()
        headers = {"Content-Type": "application/json", "Curfew-Signature": signed}
        return self._send(sender.url, body, headers)


def sender_of(script: str) -> Sender | None:
    """Whom a script tells, and as whom; None where it is no such script."""
    lease = re.search(r'"lease":"([^"]+)"', script)
    key = re.search(r"^key=(\w+)$", script, re.MULTILINE)
    url = re.search(r"--data-binary @post '?(http[^' )]+)'?\)", script)
    return Sender(lease.group(1), url.group(1), key.group(1)) if lease and key and url else None
