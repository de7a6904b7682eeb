"""The life of an instance: pending, running, stopping, stopped, shutting-down, terminated.

Sources: EC2 guide, "Amazon EC2 instance state changes" (which states there are, what they bill, and that terminated
instances stay visible for about an hour) and botocore's TerminateInstances, StopInstances and RunInstances.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from localaws.ec2.launching import run_on_moto
from localaws.load import LoadHistory
from localaws.model import STATE_CODES, Box, LaunchSpec, Market, Moment, Reason, Run
from localaws.onmoto import backend
from localaws.protocol.refusals import no_capacity

if TYPE_CHECKING:
    from localaws.world import World

VISIBLE_AFTER_END = timedelta(hours=1)
GROUP_TAG = "aws:autoscaling:groupName"
USER_INITIATED = ("Client.UserInitiatedShutdown", "Client.UserInitiatedShutdown: User initiated shutdown")
BoxListener = Callable[[Box], None]
Pool = tuple[str, str, bool]
"""Zone, type and whether it is spot: what one launch inside EC2 is for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """Why a box is being launched; noted on it when moto has made it."""

    market: Market = "on-demand"
    spot: bool = False
    cap_usd: Decimal | None = None
    request_id: str | None = None
    fleet_id: str | None = None
    relaunched_by: str | None = None
    relaunch_of: str | None = None


class Boxes:
    """Every instance there ever was, by id."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._by_id: dict[str, Box] = {}
        self._rng = random.Random(f"{world.seed}/boxes")
        self._intent = Intent()
        self._reservations: dict[Pool, str] | None = None
        self.on_launched: list[BoxListener] = []
        self.on_running: list[BoxListener] = []
        self.on_stopped: list[BoxListener] = []
        self.on_at_rest: list[BoxListener] = []
        self.on_ended: list[BoxListener] = []

    def __iter__(self) -> Iterator[Box]:
        return iter(list(self._by_id.values()))

    def of(self, box_id: str) -> Box:
        return self._by_id[box_id]

    def find(self, box_id: str, region: str | None = None) -> Box | None:
        """The box, unless it is in another region or AWS no longer shows it."""
        box = self._by_id.get(box_id)
        if box is None or box.forgotten or (region is not None and box.region != region):
            return None
        return box

    def ever(self, box_id: str, region: str) -> Box | None:
        """The box, also when AWS no longer shows it."""
        box = self._by_id.get(box_id)
        return box if box and box.region == region else None

    def launch(self, region: str, spec: LaunchSpec, zone: str, intent: Intent, count: int = 1) -> list[Box]:
        """Start boxes in a zone, or raise the AWS error that says why not."""
        instance_type = spec.params["InstanceType"]
        if not self._world.market.has_capacity(zone, instance_type):
            raise no_capacity(instance_type, zone)
        spec = LaunchSpec(self._world.account.images.for_launch(region, spec.params), spec.tags)
        with self.launching(intent):
            reservation = run_on_moto(region, spec, zone, count)
        return [self.of(instance.id) for instance in reservation.instances]

    @contextmanager
    def launching(self, intent: Intent) -> Iterator[None]:
        """Whatever moto starts in here was started with this intent."""
        before, self._intent = self._intent, intent
        try:
            yield
        finally:
            self._intent = before

    @contextmanager
    def one_request(self) -> Iterator[None]:
        """What is launched in here was asked for by one request: one reservation for each pool it launches from."""
        before, self._reservations = self._reservations, {}
        try:
            yield
        finally:
            self._reservations = before

    def register(self, region: str, instance: Any, reservation_id: str) -> Box:
        """Take over an instance that moto has just made."""
        world, intent, now = self._world, self._intent, self._world.now
        group = backend.ec2_backend(region).tags.get(instance.id, {}).get(GROUP_TAG)
        instance.launch_time = now.replace(tzinfo=None)
        for nic in instance.nics.values():
            nic.attach_time = now.replace(tzinfo=None)
        box = Box(
            id=instance.id,
            region=region,
            zone=instance.availability_zone,
            type=instance.instance_type,
            market="asg" if group and intent.market == "on-demand" else intent.market,
            moto=instance,
            launched_at=now,
            load=LoadHistory(now),
            spot=intent.spot,
            cap_usd=intent.cap_usd,
            request_id=intent.request_id,
            fleet_id=intent.fleet_id,
            group=group,
            relaunched_by=intent.relaunched_by,
            relaunch_of=intent.relaunch_of,
            public_ip=bool(instance.public_ip),
        )
        pool = (box.zone, box.type, box.spot)
        box.reservation_id = (
            reservation_id
            if self._reservations is None
            else self._reservations.setdefault(pool, reservation_id)
        )
        for _, device in instance.get_block_device_mapping:
            box.volumes.append(world.account.disks.of(device.volume_id))
        self._by_id[box.id] = box
        self._set_state(box, "pending")
        for listener in self.on_launched:
            listener(box)
        world.later(self._seconds(5, 25), lambda: self._run(box, 0))
        return box

    def stop(
        self,
        box: Box,
        by: str,
        *,
        reason: tuple[str, str] = USER_INITIATED,
        interrupted: bool = False,
        hibernates: bool = False,
    ) -> None:
        """Begin to stop a running box; compute is no longer billed from here on, unless it hibernates."""
        if box.state not in ("pending", "running"):
            return
        box.epoch += 1
        epoch = box.epoch
        self._close_run(box, interrupted=interrupted)
        self._set_state(box, "stopping", self._explained(reason))
        for listener in self.on_stopped:
            listener(box)
        wait = self._seconds(10, 30)
        if hibernates and box.runs and box.runs[-1].end == self._world.now:
            box.runs[-1].billed_until = self._world.now + wait
        self._world.later(wait, lambda: self._stopped(box, epoch))

    def start(self, box: Box) -> None:
        """Begin to start a stopped box; LaunchTime becomes this start."""
        if box.state != "stopped":
            return
        box.epoch += 1
        epoch = box.epoch
        box.moto.launch_time = self._world.now.replace(tzinfo=None)
        for nic in box.moto.nics.values():
            nic.start()
        self._set_state(box, "pending")
        self._world.later(self._seconds(5, 25), lambda: self._run(box, epoch))

    def end(
        self, box: Box, by: str, *, reason: tuple[str, str] = USER_INITIATED, interrupted: bool = False
    ) -> None:
        """Begin to terminate a box; nothing of it but its volumes is billed from here on. Ending twice is once."""
        if not box.live:
            return
        box.epoch += 1
        self._close_run(box, interrupted=interrupted)
        box.ended_at, box.ended_by = self._world.now, by
        self._set_state(box, "shutting-down", self._explained(reason))
        for listener in self.on_ended:
            listener(box)
        self._world.later(self._seconds(10, 40), lambda: self._terminated(box))

    def _run(self, box: Box, epoch: int) -> None:
        if box.state == "pending" and box.epoch == epoch:
            box.runs.append(Run(self._world.now))
            self._set_state(box, "running")
            for listener in self.on_running:
                listener(box)

    def _stopped(self, box: Box, epoch: int) -> None:
        if box.state == "stopping" and box.epoch == epoch:
            for nic in box.moto.nics.values():
                nic.stop()
            self._set_state(box, "stopped")
            for listener in self.on_at_rest:
                listener(box)

    def _terminated(self, box: Box) -> None:
        box.moto._fleet_id = box.moto._spot_fleet_id = None  # moto looks for a fleet that may be gone
        box.moto.terminate()
        backend.ec2_backend(box.region).enis.pop(
            box.moto.nics[0].id, None
        )  # made with the box, and gone with it
        self._set_state(box, "terminated")
        self._world.later(VISIBLE_AFTER_END, lambda: self._forget(box))

    def _forget(self, box: Box) -> None:
        box.forgotten = True
        reservations = backend.ec2_backend(box.region).reservations
        for key, reservation in list(reservations.items()):
            if box.moto in reservation.instances:
                reservation.instances.remove(box.moto)
                if not reservation.instances:
                    del reservations[key]
                return

    def _close_run(self, box: Box, *, interrupted: bool) -> None:
        if box.runs and box.runs[-1].end is None:
            box.runs[-1].end = self._world.now
            box.runs[-1].interrupted = interrupted

    def _explained(self, reason: tuple[str, str]) -> Reason:
        who = "User" if reason == USER_INITIATED else "Server"
        return Reason(*reason, f"{who} initiated ({self._world.now:%Y-%m-%d %H:%M:%S} GMT)")

    def _set_state(self, box: Box, state: str, reason: Reason | None = None) -> None:
        """`reason` is that of a way down; what follows on it keeps it."""
        if reason is None:
            reason = box.moments[-1].reason if state in ("stopped", "terminated") else Reason()
        box.state = state
        started_at = box.moto.launch_time.replace(tzinfo=UTC)
        box.moments.append(Moment(self._world.now, state, reason, started_at))
        box.moto._state.name, box.moto._state.code = state, STATE_CODES[state]
        self._world.events.state_change(self._world.now, box.region, box.id, state)

    def _seconds(self, low: int, high: int) -> timedelta:
        return timedelta(seconds=self._rng.randint(low, high))
