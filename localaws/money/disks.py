"""Every EBS volume of the account, from CreateVolume or a launch until it is deleted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

from localaws.model import Volume, VolumeShape


class Disks:
    """The volumes there ever were, by id; moto makes and deletes them, this remembers when and as what."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._by_id: dict[str, Volume] = {}

    def __iter__(self) -> Iterator[Volume]:
        return iter(list(self._by_id.values()))

    def of(self, volume_id: str) -> Volume:
        return self._by_id[volume_id]

    def created(self, region: str, moto: Any) -> None:
        self._by_id[moto.id] = Volume(moto.id, region, [self._shape(moto)])

    def changed(self, moto: Any) -> None:
        """ModifyVolume: from now on it bills as what it has become."""
        volume, shape = self.of(moto.id), self._shape(moto)
        if volume.shapes[-1].since == shape.since:
            volume.shapes.pop()
        volume.shapes.append(shape)

    def deleted(self, volume_id: str) -> None:
        self.of(volume_id).until = self._now()

    def _shape(self, moto: Any) -> VolumeShape:
        return VolumeShape(self._now(), int(moto.size), moto.volume_type, moto.iops, moto.throughput)
