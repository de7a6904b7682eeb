"""The operating systems of the boxes: what their user data has set to end them happens at its virtual time.

What that is, `localaws.guest` works out. A shutdown from inside stops the box or terminates it as its
InstanceInitiatedShutdownBehavior says, and no protection stands in its way (EC2 guide, "Change instance initiated
shutdown behavior").
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from localaws.ec2.guest import Boot, first_boot, next_boot, with_timer_moved

if TYPE_CHECKING:
    from localaws.model import Box
    from localaws.world import World

MINUTE = timedelta(minutes=1)
DEADLINE_TAG = "curfew:expires-at"
DEADLINE_TIMER = "/etc/systemd/system/curfew-deadline.timer"
REASON = (
    "Client.InstanceInitiatedShutdown",
    "Client.InstanceInitiatedShutdown: Instance initiated shutdown",
)


class Guests:
    """The last boot of each box that was started with user data."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._boots: dict[str, Boot] = {}
        self._ignored: dict[str, tuple[str, ...]] = {}
        world.boxes.on_running.append(self._started)

    def reboot(self, box: Box) -> None:
        """What was planned in memory alone is gone."""
        box.rebooted_at = self._world.now
        self._boot_again(box, box.rebooted_at)

    def _started(self, box: Box) -> None:
        """User data is run at the first start, and never again; what hibernated goes on where it was."""
        last = box.runs[-2] if len(box.runs) > 1 else None
        if last is not None and last.billed_until is not None and box.id in self._boots:
            self._plan(box, self._boots[box.id])
        elif last is not None:
            self._boot_again(box, last.end or self._world.now)
        elif box.moto.user_data is not None:
            user_data = b64decode(str(box.moto.user_data))
            boot = first_boot(user_data, self._world.now)
            self._ignored[box.id] = boot.ignored
            self._plan(box, boot)

    def _boot_again(self, box: Box, off_since: datetime) -> None:
        before = self._boots.get(box.id)
        if before is not None:
            self._plan(box, next_boot(before.disk, self._world.now, off_since))

    def _plan(self, box: Box, boot: Boot) -> None:
        self._boots[box.id] = boot
        if boot.shutdown_at is not None:
            epoch = box.epoch
            self._world.at(boot.shutdown_at, lambda: self._end_of(boot, box, epoch))

    def tagged(self, resource_id: str, tags: Mapping[str, str]) -> None:
        """A script that reads one of the box's own tags each minute learns of another value within a minute."""
        box = self._world.boxes.find(resource_id)
        if box is not None and DEADLINE_TAG in tags:
            self._world.at(self._world.now + MINUTE, lambda: self._moved(box, tags[DEADLINE_TAG]))

    def _moved(self, box: Box, told: str) -> None:
        """Curfew's own script: its timer has the time of the tag from now on (chalicelib/domain/guest.py)."""
        boot = self._boots.get(box.id)
        if boot is None or box.state != "running" or DEADLINE_TIMER not in boot.disk.files:
            return
        moved = with_timer_moved(boot, DEADLINE_TIMER, told, self._world.now)
        if moved is not None:
            self._plan(box, moved)

    def shutdown_at(self, box: Box) -> datetime | None:
        """When the box will shut itself down, None where it is off or will not."""
        boot = self._boots.get(box.id)
        return boot.shutdown_at if boot is not None and box.state == "running" else None

    def files(self, box: Box) -> Mapping[str, str]:
        """What its user data has written to its disk."""
        boot = self._boots.get(box.id)
        return boot.disk.files if boot is not None else {}

    def not_understood(self, box: Box) -> tuple[str, ...]:
        """The lines of its user data that would end it, which are not understood here."""
        return self._ignored.get(box.id, ())

    def shut_down(self, box: Box) -> None:
        """`shutdown -h now` in the box. A spot box can only be stopped while its request is a persistent one."""
        request = self._world.spot.find(box.request_id)
        can_stop = not box.spot or (request is not None and request.type == "persistent")
        if box.moto.instance_initiated_shutdown_behavior == "terminate" or not can_stop:
            self._world.boxes.end(box, by="guest-shutdown", reason=REASON)
        else:
            self._world.boxes.stop(box, by="guest-shutdown", reason=REASON)

    def _end_of(self, boot: Boot, box: Box, epoch: int) -> None:
        if box.epoch == epoch and self._boots.get(box.id) is boot and box.state == "running":
            self.shut_down(box)
