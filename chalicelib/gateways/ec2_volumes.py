"""The volumes of boxes, by DescribeVolumes: asked by attachment, because a box's own answer has no sizes."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from chalicelib.domain.storage import Volume
from chalicelib.gateways.aws import ASKING, AWS_ERRORS, Aws, unavailable

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import FilterTypeDef

VALUES_A_FILTER = 200
"""The most that a Describe call's filter takes."""


def volumes(aws: Aws, region: str, instance_ids: Collection[str]) -> Mapping[str, tuple[Volume, ...]]:
    """What is attached to each instance. Raises Unavailable."""
    ids = list(dict.fromkeys(instance_ids))
    found: dict[str, list[Volume]] = {instance_id: [] for instance_id in ids}
    paginator = aws.ec2(region, ASKING).get_paginator("describe_volumes")
    try:
        for start in range(0, len(ids), VALUES_A_FILTER):
            some: FilterTypeDef = {
                "Name": "attachment.instance-id",
                "Values": ids[start : start + VALUES_A_FILTER],
            }
            for page in paginator.paginate(Filters=[some]):
                for raw in page.get("Volumes") or []:
                    for volume in to_volumes(raw):
                        if volume.instance_id in found:
                            found[volume.instance_id].append(volume)
    except AWS_ERRORS as error:
        raise unavailable(f"describing volumes in {region}", error) from error
    return {instance_id: tuple(some) for instance_id, some in found.items()}


def to_volumes(raw: Mapping[str, Any]) -> Iterator[Volume]:
    """A volume once for each box that it is attached to; without a size or a time it tells nothing."""
    for attachment in raw.get("Attachments") or []:
        since = attachment.get("AttachTime") or raw.get("CreateTime")
        if attachment.get("InstanceId") and raw.get("VolumeId") and since:
            yield Volume(
                id=raw["VolumeId"],
                instance_id=attachment["InstanceId"],
                type=raw.get("VolumeType") or "unknown",
                gib=int(raw.get("Size") or 0),
                iops=raw.get("Iops"),
                throughput=raw.get("Throughput"),
                since=since,
                outlives_box=attachment.get("DeleteOnTermination") is False,
            )
