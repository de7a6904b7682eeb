"""CreateVolume, with AWS's default type and its bounds; what comes after is moto's."""

from __future__ import annotations

from typing import Any

from localaws.ec2.launching import tag_map
from localaws.errors import AwsError
from localaws.onmoto import backend
from localaws.operations import Call, operation
from localaws.places import zones

SIZES = {
    "gp3": (1, 65_536),
    "gp2": (1, 16_384),
    "io1": (4, 16_384),
    "io2": (4, 65_536),
    "st1": (125, 16_384),
    "sc1": (125, 16_384),
    "standard": (1, 1024),
}
PROVISIONED = {"gp3": (3000, 80_000), "io1": (100, 64_000), "io2": (100, 256_000)}


@operation("ec2", "CreateVolume")
def create_volume(call: Call) -> dict[str, Any]:
    """gp2 unless told otherwise; provisioned IOPS must be given for io1 and io2 (botocore, CreateVolumeRequest)."""
    params = call.params
    kind = params.get("VolumeType") or "gp2"
    zone = params.get("AvailabilityZone")
    if not zone:
        raise AwsError("MissingParameter", "The request must contain the parameter AvailabilityZone")
    if zone not in zones(call.region):
        raise AwsError("InvalidZone.NotFound", f"The zone '{zone}' does not exist.")
    _check(kind, params)
    ec2 = backend.ec2_backend(call.region)
    volume = ec2.create_volume(
        params.get("Size"),
        zone,
        snapshot_id=params.get("SnapshotId"),
        encrypted=params.get("Encrypted", False),
        kms_key_id=params.get("KmsKeyId"),
        volume_type=kind,
        iops=params.get("Iops"),
        throughput=params.get("Throughput") or (125 if kind == "gp3" else None),
    )
    tags = tag_map(params, "volume")
    ec2.tags[volume.id].update(tags)
    return {
        "VolumeId": volume.id,
        "Size": int(volume.size),
        "VolumeType": kind,
        "AvailabilityZone": zone,
        "State": "creating",
        "CreateTime": call.world.now,
        "SnapshotId": params.get("SnapshotId", ""),
        "Encrypted": bool(volume.encrypted),
        "Iops": volume.iops,
        "Throughput": volume.throughput,
        "MultiAttachEnabled": False,
        "Tags": [{"Key": key, "Value": value} for key, value in tags.items()],
    }


def _check(kind: str, params: dict[str, Any]) -> None:
    if kind not in SIZES:
        raise AwsError("InvalidParameterValue", f"Invalid value '{kind}' for VolumeType.")
    size, iops = params.get("Size"), params.get("Iops")
    if size is None and not params.get("SnapshotId"):
        raise AwsError("MissingParameter", "The request must contain the parameter size/snapshot")
    least, most = SIZES[kind]
    if size is not None and not least <= int(size) <= most:
        raise AwsError("InvalidParameterValue", f"Volume of {size}GiB is not between {least} and {most}GiB")
    if iops is None and kind in ("io1", "io2"):
        raise AwsError("MissingParameter", "The request must contain the parameter iops")
    if iops is not None and kind not in PROVISIONED:
        raise AwsError(
            "InvalidParameterCombination", f"The parameter iops is not supported for {kind} volumes."
        )
    if iops is not None and not PROVISIONED[kind][0] <= int(iops) <= PROVISIONED[kind][1]:
        raise AwsError("InvalidParameterValue", f"Volume iops of {iops} is out of bounds for {kind}.")
    if params.get("Throughput") is not None and kind != "gp3":
        raise AwsError(
            "InvalidParameterCombination", f"The parameter throughput is not supported for {kind} volumes."
        )
