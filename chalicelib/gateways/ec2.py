"""EC2 as the use cases know it: looking (`ec2_observe`), starting (`ec2_launch`) and ending (`ec2_end`)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from chalicelib.domain.catalogue import ssh_user
from chalicelib.domain.gpus import GpuTypes
from chalicelib.domain.guest_heartbeat import Beacon
from chalicelib.domain.images import OF_TAG, USER_TAG, ImageOrder, SavedImage
from chalicelib.domain.instance import RegionView
from chalicelib.domain.lease import Attempt, LaunchOrder
from chalicelib.domain.reservations import Reservation
from chalicelib.domain.storage import Address, Disk, Volume
from chalicelib.gateways import (
    ec2_attempts,
    ec2_console,
    ec2_disarm,
    ec2_end,
    ec2_gpus,
    ec2_images,
    ec2_launch,
    ec2_observe,
    ec2_reservations,
    ec2_types,
    ec2_volumes,
)
from chalicelib.gateways.aws import AWS_ERRORS, HURRIED, PROMPT, Aws, code_of, unavailable
from chalicelib.ports import Image, LaunchAnswer, Outcome

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import ImageTypeDef

NO_SUCH_IMAGE = frozenset({"InvalidAMIID.NotFound", "InvalidAMIID.Malformed", "InvalidAMIID.Unavailable"})


class Ec2Compute:
    """EC2 in every region."""

    def __init__(self, aws: Aws) -> None:
        self._aws = aws
        self._known_regions: tuple[str, ...] = ()

    def regions(self) -> tuple[str, ...]:
        """The regions this account can use; the last known where EC2 does not say now, and soon: every end waits."""
        try:
            answer = self._aws.ec2(self._aws.home_region, HURRIED).describe_regions()
        except AWS_ERRORS as error:
            if not self._known_regions:
                raise unavailable("listing regions", error) from error
        else:
            names = (region.get("RegionName") for region in answer.get("Regions") or [])
            self._known_regions = tuple(sorted(name for name in names if name))
        return self._known_regions

    def observe(
        self,
        regions: Collection[str],
        *,
        only: str | None = None,
        patience: float | None = None,
        fleets: Collection[tuple[str, str]] = (),
        whole: bool = False,
    ) -> tuple[RegionView, ...]:
        """Look at regions side by side."""
        wanted = ec2_observe.Wanted(only=only, fleets=frozenset(fleets), whole=whole)
        return ec2_observe.observe(self._aws, regions, wanted, patience=patience)

    def image(self, region: str, image_id: str) -> Image | None:
        """An AMI, or None where the region has none of that id."""
        try:
            answer = self._aws.ec2(region, PROMPT).describe_images(ImageIds=[image_id])
        except AWS_ERRORS as error:
            if isinstance(error, ClientError) and code_of(error) in NO_SUCH_IMAGE:
                return None
            raise unavailable(f"describing image {image_id} in {region}", error) from error
        images = answer.get("Images") or []
        return _to_image(image_id, images[0]) if images else None

    def volumes(self, region: str, instance_ids: Collection[str]) -> Mapping[str, tuple[Volume, ...]]:
        """The volumes attached to each instance."""
        return ec2_volumes.volumes(self._aws, region, instance_ids)

    def addresses(
        self, region: str, instance_ids: Collection[str], *, now: datetime
    ) -> Mapping[str, tuple[Address, ...]]:
        """The Elastic IPs of each instance."""
        return ec2_volumes.addresses(self._aws, region, instance_ids, now=now)

    def reservations(self, region: str) -> tuple[Reservation, ...]:
        """The active capacity reservations of a region."""
        return ec2_reservations.reservations(self._aws, region)

    def accelerated(self, region: str, names: Collection[str]) -> Mapping[str, bool | None]:
        """Whether each instance type has accelerators."""
        return ec2_types.accelerated(self._aws, region, names)

    def gpu_types(self, region: str) -> GpuTypes:
        """The types with GPUs that a region has on spot, as EC2 tells; else those of the dated table."""
        return ec2_gpus.gpu_types(self._aws, region)

    def attempts(
        self,
        order: LaunchOrder,
        *,
        lease_id: str,
        owner: str,
        price_caps: Mapping[str, Decimal],
        image: Image,
        expires_at: datetime,
        valid_until: datetime,
        now: datetime,
        beacon: Beacon | None = None,
    ) -> Iterable[Attempt]:
        """The calls that may serve an order, best first."""
        return ec2_attempts.attempts(
            order,
            lease_id=lease_id,
            owner=owner,
            price_caps=price_caps,
            image=image,
            expires_at=expires_at,
            valid_until=valid_until,
            now=now,
            beacon=beacon,
        )

    def launch(self, attempt: Attempt) -> LaunchAnswer:
        """Make one recorded call."""
        return ec2_launch.launch(self._aws, attempt)

    def find_launched(
        self, region: str, *, lease_id: str, tokens: Collection[str], maintains: bool = False
    ) -> LaunchAnswer:
        """What recorded attempts have started."""
        return ec2_launch.find_launched(
            self._aws, region, lease_id=lease_id, tokens=tokens, maintains=maintains
        )

    def fleet_problem(self, region: str, fleet_id: str, *, since: datetime) -> str | None:
        """What a fleet told last of what keeps it from its target."""
        return ec2_launch.fleet_problem(self._aws, region, fleet_id, since=since)

    def console(self, region: str, instance_id: str) -> str:
        """What a box has written to its console."""
        return ec2_console.console(self._aws, region, instance_id)

    def cancel_spot_requests(self, region: str, ids: Collection[str]) -> Mapping[str, Outcome]:
        """Cancel each request."""
        return ec2_end.cancel_spot_requests(self._aws, region, ids)

    def end_fleets(self, region: str, ids: Collection[str], *, and_boxes: bool) -> Mapping[str, Outcome]:
        """End each fleet of either kind."""
        return ec2_disarm.end_fleets(self._aws, region, ids, and_boxes=and_boxes)

    def shrink_fleet(self, region: str, fleet_id: str, *, total: int, on_demand: int | None) -> Outcome:
        """Set a fleet's target."""
        return ec2_disarm.shrink_fleet(self._aws, region, fleet_id, total=total, on_demand=on_demand)

    def detach(self, region: str, group: str, ids: Collection[str]) -> Mapping[str, Outcome]:
        """Take each out of its group."""
        return ec2_disarm.detach(self._aws, region, group, ids)

    def resize_group(
        self, region: str, group: str, *, least: int, most: int | None = None, desired: int | None = None
    ) -> Outcome:
        """Set a group's sizes."""
        return ec2_disarm.resize_group(self._aws, region, group, least=least, most=most, desired=desired)

    def terminate(self, region: str, ids: Collection[str]) -> Mapping[str, Outcome]:
        """Terminate each instance."""
        return ec2_end.terminate(self._aws, region, ids)

    def lift_termination_protection(self, region: str, instance_id: str) -> Outcome:
        """Switch DisableApiTermination off."""
        return ec2_end.lift_termination_protection(self._aws, region, instance_id)

    def stop(self, region: str, ids: Collection[str]) -> Mapping[str, Outcome]:
        """Stop each instance."""
        return ec2_end.stop(self._aws, region, ids)

    def save_image(self, region: str, order: ImageOrder) -> Outcome:
        """Begin an image of a box."""
        return ec2_images.save(self._aws, region, order)

    def saved_images(
        self, region: str, *, of: Collection[str] = (), owner: str | None = None, name: str | None = None
    ) -> tuple[SavedImage, ...]:
        """The images that Curfew has made."""
        return ec2_images.saved(self._aws, region, of=of, owner=owner, name=name)

    def forget_image(self, region: str, image_id: str) -> Outcome:
        """Remove an image with its snapshots."""
        return ec2_images.forget(self._aws, region, image_id)

    def tag(self, region: str, ids: Collection[str], tags: Mapping[str, str]) -> None:
        """Tag instances."""
        ec2_end.tag(self._aws, region, ids, tags)

    def delete_launch_template(self, region: str, lease_id: str) -> None:
        """Remove what a launch left behind."""
        ec2_end.delete_launch_template(self._aws, region, lease_id)


def _to_image(image_id: str, raw: ImageTypeDef) -> Image:
    root_device = raw.get("RootDeviceName") or ""
    disks = [
        Disk(
            device=mapping.get("DeviceName") or "",
            gib=int(mapping["Ebs"].get("VolumeSize") or 0),
            type=mapping["Ebs"].get("VolumeType"),
            iops=mapping["Ebs"].get("Iops"),
            throughput=mapping["Ebs"].get("Throughput"),
        )
        for mapping in raw.get("BlockDeviceMappings") or []
        if mapping.get("Ebs")
    ]
    root = next((disk for disk in disks if disk.device == root_device), Disk(gib=0))
    tags = {tag.get("Key"): tag.get("Value") for tag in raw.get("Tags") or []}
    gp3 = (root if root.type == "gp3" else Disk(gib=0, type="gp3")).in_full
    return Image(
        id=image_id,
        root_device=root_device,
        root_gib=root.gib,
        root_iops=gp3.iops or 0,
        root_throughput=gp3.throughput or 0,
        other_disks=tuple(disk for disk in disks if disk.device != root_device),
        platform=raw.get("PlatformDetails") or "",
        usage_operation=raw.get("UsageOperation") or "RunInstances",
        product_codes=tuple(code.get("ProductCodeId") or "?" for code in raw.get("ProductCodes") or []),
        ssh_user=tags.get(USER_TAG) if OF_TAG in tags else ssh_user(raw.get("Name") or ""),
        architecture=raw.get("Architecture"),
    )
