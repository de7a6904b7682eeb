"""moto's EC2 that tells the account of everything that bills: volumes, snapshots and Elastic IP addresses."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any, ClassVar

from moto.ec2.exceptions import InvalidSnapshotInUse
from moto.ec2.models import EC2Backend
from moto.ec2.models.instances import Reservation

from localaws.money.account import Account

GP3_IOPS = 3000


class BilledEC2Backend(EC2Backend):
    """moto's EC2Backend, with the account that pays for what it keeps."""

    __module__ = "moto.ec2.models"  # moto finds its URLs by the module name of the backend

    account: ClassVar[Account]
    _launched_disks: Iterator[dict[str, Any]] | None = None

    def run_instances(self, *args: Any, **kwargs: Any) -> Reservation:
        """moto drops the IOPS and throughput of a launch's volumes: `create_volume` takes them from here, in order."""
        devices = [device["Ebs"] for device in kwargs.get("block_device_mappings") or ()]
        self._launched_disks = itertools.cycle(devices) if devices else None
        try:
            return super().run_instances(*args, **kwargs)
        finally:
            self._launched_disks = None

    def create_volume(self, size: int, zone_name: str, *args: Any, **kwargs: Any) -> Any:
        if self._launched_disks is not None:
            ebs = next(self._launched_disks)
            kwargs |= {"iops": ebs.get("Iops"), "throughput": ebs.get("Throughput")}
        # What new images ask for; moto's default is older.
        kwargs["volume_type"] = kwargs.get("volume_type") or "gp3"
        volume = super().create_volume(size, zone_name, *args, **kwargs)
        self.account.disks.created(self.region_name, volume)
        return volume

    def modify_volume(self, *args: Any, **kwargs: Any) -> Any:
        volume = super().modify_volume(*args, **kwargs)
        self.account.disks.changed(volume)
        return volume

    def delete_volume(self, volume_id: str) -> Any:
        volume = super().delete_volume(volume_id)
        self.account.disks.deleted(volume_id)
        return volume

    # Snapshots

    def create_snapshot(self, *args: Any, **kwargs: Any) -> Any:
        snapshot = super().create_snapshot(*args, **kwargs)
        self.account.snapshots.taken(self.region_name, snapshot)
        return snapshot

    def copy_snapshot(self, *args: Any, **kwargs: Any) -> Any:
        snapshot = super().copy_snapshot(*args, **kwargs)
        self.account.snapshots.taken(self.region_name, snapshot)
        return snapshot

    def delete_snapshot(self, snapshot_id: str) -> Any:
        image = self.account.images.using(snapshot_id)
        if image is not None:
            raise InvalidSnapshotInUse(snapshot_id, image.id)
        snapshot = super().delete_snapshot(snapshot_id)
        self.account.snapshots.deleted(snapshot_id)
        return snapshot

    def do_resources_exist(self, resource_ids: list[str]) -> bool:
        """moto does not know the account's own images, which can be tagged as well."""
        others = [one for one in resource_ids if self.account.images.find(one, self.region_name) is None]
        return bool(super().do_resources_exist(others))

    # Elastic IP addresses

    def allocate_address(self, *args: Any, **kwargs: Any) -> Any:
        address = super().allocate_address(*args, **kwargs)
        self.account.addresses.allocated(self.region_name, address)
        return address

    def associate_address(self, *args: Any, **kwargs: Any) -> Any:
        address = super().associate_address(*args, **kwargs)
        self.account.addresses.associated(address)
        return address

    def disassociate_address(self, address: str | None = None, association_id: str | None = None) -> None:
        self.account.addresses.disassociated(address, association_id)
        super().disassociate_address(address=address, association_id=association_id)

    def release_address(self, address: str | None = None, allocation_id: str | None = None) -> None:
        ids = [str(one.id) for one in self.addresses if one.public_ip == address or one.id == allocation_id]
        super().release_address(address=address, allocation_id=allocation_id)
        for address_id in ids:
            self.account.addresses.released(address_id)
