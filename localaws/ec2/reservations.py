"""On-demand capacity reservations: capacity kept for the account from its creation to its end, used or not.

Source: EC2 guide, "Reserve compute capacity with EC2 On-Demand Capacity Reservations" (an open one takes in whatever
on-demand instance matches it; cancelling one leaves its instances running) and "Cancel a Capacity Reservation".
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from moto.ec2.utils import random_resource_id

from localaws.onmoto import backend
from localaws.protocol.refusals import no_capacity

if TYPE_CHECKING:
    from localaws.world import World


@dataclass(slots=True, eq=False, kw_only=True)
class CapacityReservation:
    """Capacity for so many instances of a type in a zone."""

    id: str
    region: str
    zone: str
    type: str
    count: int
    created_at: datetime
    platform: str = "Linux/UNIX"
    match: str = "open"
    ends_at: datetime | None = None
    """When it expires by itself; None: only when it is cancelled."""
    cancelled_at: datetime | None = None

    @property
    def over_at(self) -> datetime | None:
        """When it is or was over, cancelled or expired: it bills until then."""
        return min((at for at in (self.cancelled_at, self.ends_at) if at is not None), default=None)

    def state(self, now: datetime) -> str:
        if self.over_at is None or now < self.over_at:
            return "active"
        return "cancelled" if self.over_at == self.cancelled_at else "expired"


class Reservations:
    """Every capacity reservation there ever was, by id."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._by_id: dict[str, CapacityReservation] = {}

    def __iter__(self) -> Iterator[CapacityReservation]:
        return iter(list(self._by_id.values()))

    def find(self, reservation_id: str, region: str) -> CapacityReservation | None:
        found = self._by_id.get(reservation_id)
        return found if found and found.region == region else None

    def create(
        self,
        region: str,
        zone: str,
        instance_type: str,
        count: int,
        *,
        platform: str,
        match: str,
        ends_at: datetime | None,
        tags: dict[str, str],
    ) -> CapacityReservation:
        """Reserve capacity now, or raise the AWS error that says that there is none."""
        if not self._world.market.has_capacity(zone, instance_type):
            raise no_capacity(instance_type, zone)
        made = CapacityReservation(
            id=f"cr-{random_resource_id(17)}",
            region=region,
            zone=zone,
            type=instance_type,
            count=count,
            created_at=self._world.now,
            platform=platform,
            match=match,
            ends_at=ends_at,
        )
        self._by_id[made.id] = made
        backend.ec2_backend(region).tags[made.id].update(tags)
        return made

    def used(self, reservation: CapacityReservation) -> int:
        """How many running instances are in it: the oldest of several that match is filled first."""
        left = sum(
            not (box.spot or box.is_prepaid)
            and (box.zone, box.type) == (reservation.zone, reservation.type)
            and box.state in ("pending", "running")
            for box in self._world.boxes
        )
        for one in self:
            matches = (one.zone, one.type, one.match) == (reservation.zone, reservation.type, "open")
            if not matches or one.state(self._world.now) != "active":
                continue
            taken = min(left, one.count)
            if one is reservation:
                return taken
            left -= taken
        return 0
