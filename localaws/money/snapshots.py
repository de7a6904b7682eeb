"""Snapshots and the images made of them.

Sources: EBS guide, "Create Amazon EBS snapshots" (a snapshot is of one moment, and `pending` while it is copied) and
"Delete an Amazon EBS snapshot" (refused while a registered image uses it); EC2 guide, "Create an Amazon EBS-backed
AMI" and "Deregister an Amazon EC2 AMI" (its snapshots stay, and go on billing, unless asked otherwise); botocore,
StateReason (`Client.InstanceTerminated`: the box ended while its image was being made).

A snapshot bills the full size of its volume. On AWS a first snapshot holds the blocks that were written, and a later
one those that changed, so this is the most that it can cost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from moto.ec2.utils import random_ami_id

from localaws.errors import AwsError
from localaws.model import Box

COPYING = timedelta(minutes=2)
COPYING_A_GIB = timedelta(seconds=2)
ARM64 = ("g5g.", "p6e-")
"""Types with GPUs beside Arm processors (EC2 guide, "Accelerated computing instances")."""
NO_LONGER = ("deregistered", "failed")


@dataclass(slots=True, eq=False)
class Snapshot:
    """A copy of a volume; it bills until it is deleted."""

    id: str
    region: str
    volume_id: str
    gib: int
    since: datetime
    description: str
    encrypted: bool = False
    state: str = "pending"
    until: datetime | None = None

    @property
    def ready_at(self) -> datetime:
        return self.since + COPYING + self.gib * COPYING_A_GIB


@dataclass(slots=True, eq=False)
class Image:
    """An AMI of the account's own."""

    id: str
    region: str
    name: str
    description: str
    box_id: str
    created_at: datetime
    devices: list[dict[str, Any]]
    """Block device mappings as DescribeImages shows them, each with the snapshot it is made of."""
    root_device: str
    state: str = "pending"
    architecture: str = "x86_64"
    reason: tuple[str, str] | None = None
    deregistered_at: datetime | None = None

    @property
    def snapshot_ids(self) -> list[str]:
        return [device["Ebs"]["SnapshotId"] for device in self.devices]


@dataclass(slots=True)
class Snapshots:
    """The snapshots there ever were. moto takes and deletes them, this says when they are ready and when they bill."""

    now: Callable[[], datetime]
    at: Callable[[datetime, Callable[[], None]], None]
    _by_id: dict[str, Snapshot] = field(default_factory=dict)

    def __iter__(self) -> Iterator[Snapshot]:
        return iter(list(self._by_id.values()))

    def find(self, snapshot_id: str, region: str) -> Snapshot | None:
        """The snapshot, while it exists."""
        snapshot = self._by_id.get(snapshot_id)
        return snapshot if snapshot and snapshot.region == region and snapshot.until is None else None

    def of(self, snapshot_id: str) -> Snapshot:
        return self._by_id[snapshot_id]

    def taken(self, region: str, moto: Any) -> None:
        """Take over a snapshot that moto has just made."""
        snapshot = Snapshot(
            id=moto.id,
            region=region,
            volume_id=moto.volume.id,
            gib=int(moto.volume.size),
            since=self.now(),
            description=moto.description or "",
            encrypted=bool(moto.encrypted),
        )
        self._by_id[snapshot.id] = snapshot
        moto.status = "pending"
        self.at(snapshot.ready_at, lambda: self._complete(snapshot, moto))

    def deleted(self, snapshot_id: str) -> None:
        self._by_id[snapshot_id].until = self.now()

    def _complete(self, snapshot: Snapshot, moto: Any) -> None:
        if snapshot.state == "pending":
            snapshot.state = moto.status = "completed"


@dataclass(slots=True)
class Images:
    """The account's own images there ever were."""

    snapshots: Snapshots
    _by_id: dict[str, Image] = field(default_factory=dict)

    def __iter__(self) -> Iterator[Image]:
        return iter(list(self._by_id.values()))

    def find(self, image_id: str, region: str | None = None) -> Image | None:
        image = self._by_id.get(image_id)
        return image if image and region in (None, image.region) else None

    def using(self, snapshot_id: str) -> Image | None:
        """The registered image that is made of a snapshot."""
        registered = (image for image in self if image.state not in NO_LONGER)
        return next((image for image in registered if snapshot_id in image.snapshot_ids), None)

    def make(self, box: Box, name: str, description: str, devices: list[dict[str, Any]]) -> Image:
        """An image of a box, `pending` until all its snapshots are complete."""
        image = Image(
            id=random_ami_id(),
            region=box.region,
            name=name,
            description=description,
            box_id=box.id,
            created_at=self.snapshots.now(),
            devices=devices,
            root_device=box.moto.root_device_name,
            architecture="arm64" if box.type.startswith(ARM64) else "x86_64",
        )
        self._by_id[image.id] = image
        ready_at = max(self.snapshots.of(one).ready_at for one in image.snapshot_ids)
        self.snapshots.at(ready_at, lambda: self._complete(image))
        return image

    def box_ended(self, box: Box) -> None:
        """A box that is terminated while its image is being made leaves a failed image, and nothing to keep."""
        for image in self:
            if image.box_id == box.id and image.state == "pending":
                image.state = "failed"
                image.reason = (
                    "Client.InstanceTerminated",
                    "Client.InstanceTerminated: The instance was terminated during AMI creation.",
                )
                for snapshot_id in image.snapshot_ids:
                    self.snapshots.of(snapshot_id).state = "error"
                    self.snapshots.deleted(snapshot_id)

    def for_launch(self, region: str, params: dict[str, Any]) -> dict[str, Any]:
        """Launch parameters with the volumes of their image; an image of one's own must be available."""
        image = self.find(params["ImageId"], region)
        if image is None:
            return params
        if image.state != "available":
            raise AwsError(
                "InvalidAMIID.Unavailable",
                f"The image ID '{image.id}' is no longer available or not yet ready",
            )
        asked = {device.get("DeviceName"): device for device in params.get("BlockDeviceMappings", [])}
        devices = []
        for device in image.devices:
            mine = asked.pop(device["DeviceName"], {})
            devices.append({**device, **mine, "Ebs": {**device["Ebs"], **mine.get("Ebs", {})}})
        return {**params, "BlockDeviceMappings": [*devices, *asked.values()]}

    def _complete(self, image: Image) -> None:
        if image.state == "pending":
            image.state = "available"
