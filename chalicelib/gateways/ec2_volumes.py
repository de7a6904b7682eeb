"""What boxes have that bills beside them: volumes, by DescribeVolumes, asked by attachment because a box's own answer
has no sizes, and Elastic IPs, by DescribeAddresses."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from chalicelib.domain.storage import Address, Volume
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


def addresses(
    aws: Aws, region: str, instance_ids: Collection[str], *, now: datetime
) -> Mapping[str, tuple[Address, ...]]:
    """The Elastic IPs of each instance; since when they are its own, EC2 does not tell. Raises Unavailable."""
    ids = list(dict.fromkeys(instance_ids))
    found: dict[str, list[Address]] = {instance_id: [] for instance_id in ids}
    try:
        for start in range(0, len(ids), VALUES_A_FILTER):
            some: Any = [{"Name": "instance-id", "Values": ids[start : start + VALUES_A_FILTER]}]
            answer = aws.ec2(region, ASKING).describe_addresses(Filters=some)
            for raw in answer.get("Addresses") or []:
                owner, allocation = raw.get("InstanceId") or "", raw.get("AllocationId")
                if owner in found and allocation:
                    ip = raw.get("PublicIp") or ""
                    found[owner].append(Address(id=allocation, ip=ip, instance_id=owner, since=now))
    except AWS_ERRORS as error:
        raise unavailable(f"describing addresses in {region}", error) from error
    return {instance_id: tuple(its) for instance_id, its in found.items()}
