"""CreateImage, DescribeImages, DeregisterImage.

On AWS an unknown id is InvalidAMIID.NotFound. The world knows but a few public images (`ec2/public_images.py`), and
RunInstances takes any id (moto validates none), so of others the id alone decides: `ami-` and 8 or 17 hex digits is an
image whose root volume is the one that a launch makes here, unless another region is known to have it; and one ending
in `dead` is not there, for tests of what then happens. A search finds the account's own and the public ones of the
catalogue.
"""

from __future__ import annotations

import re
from typing import Any

from localaws.ec2 import public_images
from localaws.ec2.launching import ROOT_GIB, tag_map
from localaws.errors import AwsError
from localaws.events.bus import ACCOUNT
from localaws.model import Box
from localaws.money.snapshots import Image
from localaws.onmoto import backend
from localaws.operations import Call, operation
from localaws.operations.describe_instances import asked_boxes
from localaws.protocol.filters import matches
from localaws.protocol.paging import page

AMI = re.compile(r"^ami-([0-9a-f]{8}|[0-9a-f]{17})$")
NAME = re.compile(r"[A-Za-z0-9()\[\] ./\-'@_]{3,128}")
OURS = {"self", ACCOUNT}
READERS = {
    "image-id": lambda row: row["ImageId"],
    "name": lambda row: row["Name"],
    "state": lambda row: row["State"],
    "owner-id": lambda row: row.get("OwnerId"),
    "description": lambda row: row.get("Description"),
    "source-instance-id": lambda row: row.get("SourceInstanceId"),
    "architecture": lambda row: row["Architecture"],
    "root-device-type": lambda row: row["RootDeviceType"],
    "virtualization-type": lambda row: row.get("VirtualizationType"),
    "is-public": lambda row: str(bool(row.get("Public"))).lower(),
    "owner-alias": lambda row: row.get("ImageOwnerAlias"),
    "block-device-mapping.snapshot-id": lambda row: [
        device["Ebs"]["SnapshotId"] for device in row["BlockDeviceMappings"] if "SnapshotId" in device["Ebs"]
    ],
}


@operation("ec2", "CreateImage")
def create_image(call: Call) -> dict[str, Any]:
    """Of a running or stopped box; a running one is rebooted unless told otherwise, and stays `running` (botocore)."""
    params = call.params
    box = asked_boxes(call, [params["InstanceId"]])[0]
    if box.state not in ("running", "stopped"):
        raise AwsError("IncorrectState", f"Instance '{box.id}' is not in state 'running' or 'stopped'.")
    name = params.get("Name", "")
    _check_name(call, name)
    image = call.world.account.images.make(box, name, params.get("Description", ""), _snapshots_of(call, box))
    tags = backend.ec2_backend(call.region).tags
    tags[image.id].update(tag_map(params, "image"))
    for snapshot_id in image.snapshot_ids:
        tags[snapshot_id].update(tag_map(params, "snapshot"))
    if box.state == "running" and not params.get("NoReboot"):
        call.world.guests.reboot(box)
    return {"ImageId": image.id}


def _check_name(call: Call, name: str) -> None:
    if not NAME.fullmatch(name):
        raise AwsError(
            "InvalidAMIName.Malformed",
            "AMI names must be between 3 and 128 characters long, and may contain letters, numbers, "
            "'(', ')', '[', ']', ' ', '.', '/', '-', ''', '@' and '_'",
        )
    for image in call.world.account.images:
        if (
            image.region == call.region
            and image.name == name
            and image.state not in ("deregistered", "failed")
        ):
            raise AwsError("InvalidAMIName.Duplicate", f"AMI name {name} is already in use by AMI {image.id}")


def _snapshots_of(call: Call, box: Box) -> list[dict[str, Any]]:
    """The mappings of an image of this box, each volume with the snapshot that was just taken of it."""
    ec2 = backend.ec2_backend(call.region)
    devices = []
    for name, device in box.moto.get_block_device_mapping:
        volume = ec2.volumes[device.volume_id]
        snapshot = ec2.create_snapshot(volume.id, f"Created by CreateImage({box.id})")
        ebs = {
            "SnapshotId": snapshot.id,
            "VolumeSize": int(volume.size),
            "VolumeType": volume.volume_type,
            "DeleteOnTermination": bool(device.delete_on_termination),
            "Encrypted": bool(volume.encrypted),
        }
        if volume.iops:
            ebs["Iops"] = int(volume.iops)
        if volume.throughput:
            ebs["Throughput"] = int(volume.throughput)
        devices.append({"DeviceName": name, "Ebs": ebs})
    return devices


@operation("ec2", "DescribeImages")
def describe_images(call: Call) -> dict[str, Any] | None:
    """The images named, or those that pass the filters; images made otherwise are moto's."""
    ec2 = backend.ec2_backend(call.region)
    wanted = call.params.get("ImageIds") or []
    if any(image_id in ec2.amis for image_id in wanted) or (ec2.amis and not wanted):
        return None
    filters = call.filters()
    rows = [row for row in _candidates(call, wanted) if matches(row, _tags(call, row), filters, READERS)]
    shown, token = page(rows, call.params.get("NextToken"), call.params.get("MaxResults"), least=1)
    return {"Images": shown, "NextToken": token}


def _candidates(call: Call, wanted: list[str]) -> list[dict[str, Any]]:
    images, owners = call.world.account.images, call.params.get("Owners") or []
    if wanted:
        found = [_named(call, image_id) for image_id in wanted]
        return [row for row in found if row is not None]
    rows = [
        own_image(image) for image in images if image.region == call.region and image.state != "deregistered"
    ]
    rows += [image.shown(call.region) for image in public_images.IMAGES]
    runs = call.params.get("ExecutableUsers") or []
    return [
        row
        for row in rows
        if (not owners or _is_of(row, owners)) and (not runs or (row["Public"] and "all" in runs))
    ]


def _is_of(row: dict[str, Any], owners: list[str]) -> bool:
    if row["OwnerId"] == ACCOUNT and OURS.intersection(owners):
        return True
    return row["OwnerId"] in owners or row.get("ImageOwnerAlias") in owners


def _named(call: Call, image_id: str) -> dict[str, Any] | None:
    """The image of an id; one that was deregistered is shown no more."""
    own = call.world.account.images.find(image_id, call.region)
    if own is not None:
        return None if own.state == "deregistered" else own_image(own)
    if not AMI.match(image_id):
        raise AwsError("InvalidAMIID.Malformed", f'Invalid id: "{image_id}" (expecting "ami-...")')
    public = public_images.by_id(call.region).get(image_id)
    if public is not None:
        return public.shown(call.region)
    if image_id.endswith("dead") or _is_elsewhere(call, image_id):
        raise AwsError("InvalidAMIID.NotFound", f"The image id '[{image_id}]' does not exist")
    return _foreign_image(image_id)


def _is_elsewhere(call: Call, image_id: str) -> bool:
    """Whether another region has it: ids are a region's own."""
    others = [region for region in call.world.regions if region != call.region]
    images = call.world.account.images
    return any(image_id in public_images.by_id(one) or images.find(image_id, one) for one in others)


def _tags(call: Call, row: dict[str, Any]) -> dict[str, str]:
    return dict(backend.ec2_backend(call.region).tags.get(row["ImageId"], {}))


def own_image(image: Image) -> dict[str, Any]:
    """One of the account's own images, as DescribeImages shows it."""
    tags = backend.ec2_backend(image.region).tags.get(image.id, {})
    shown = {
        "ImageId": image.id,
        "ImageLocation": f"{ACCOUNT}/{image.name}",
        "Name": image.name,
        "Description": image.description,
        "State": image.state,
        "OwnerId": ACCOUNT,
        "Public": False,
        "CreationDate": image.created_at.strftime("%Y-%m-%dT%H:%M:%S.000Z"),
        "Architecture": image.architecture,
        "PlatformDetails": "Linux/UNIX",
        "ImageType": "machine",
        "Hypervisor": "xen",
        "VirtualizationType": "hvm",
        "RootDeviceType": "ebs",
        "RootDeviceName": image.root_device,
        "SourceInstanceId": image.box_id,
        "BlockDeviceMappings": image.devices,
        "Tags": [{"Key": key, "Value": value} for key, value in tags.items()],
    }
    if image.reason is not None:
        shown["StateReason"] = dict(zip(("Code", "Message"), image.reason, strict=True))
    return shown


def _foreign_image(image_id: str) -> dict[str, Any]:
    ebs = {"VolumeSize": ROOT_GIB, "VolumeType": "gp3", "DeleteOnTermination": True, "Encrypted": False}
    return {
        "ImageId": image_id,
        "Name": f"image {image_id}",
        "State": "available",
        "Architecture": "x86_64",
        "PlatformDetails": "Linux/UNIX",
        "RootDeviceType": "ebs",
        "RootDeviceName": "/dev/sda1",
        "BlockDeviceMappings": [{"DeviceName": "/dev/sda1", "Ebs": ebs}],
    }


@operation("ec2", "DeregisterImage")
def deregister_image(call: Call) -> dict[str, Any] | None:
    """The image goes, its snapshots stay unless DeleteAssociatedSnapshots is asked for (botocore, DeregisterImage)."""
    images = call.world.account.images
    image = images.find(call.params["ImageId"], call.region)
    if image is None:
        return None
    if image.state == "deregistered":
        raise AwsError("InvalidAMIID.Unavailable", f"The image ID '{image.id}' is no longer available")
    image.state, image.deregistered_at = "deregistered", call.world.now
    results = _delete_snapshots(call, image) if call.params.get("DeleteAssociatedSnapshots") else []
    return {"Return": True, "DeleteSnapshotResults": results}


def _delete_snapshots(call: Call, image: Image) -> list[dict[str, str]]:
    results = []
    for snapshot_id in image.snapshot_ids:
        used = call.world.account.images.using(snapshot_id) is not None
        if not used and call.world.account.snapshots.find(snapshot_id, call.region):
            backend.ec2_backend(call.region).delete_snapshot(snapshot_id)
        results.append({"SnapshotId": snapshot_id, "ReturnCode": "skipped" if used else "success"})
    return results
