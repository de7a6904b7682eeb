"""Saving boxes as images, finding the saved ones, and removing them. Curfew's own alone: by the tags it wrote.

An image is made without a reboot unless one is asked for, so that a box which runs is not disturbed; one of a box that
runs is as after a power cut then (botocore, CreateImage, `NoReboot`). Its name is unique at EC2.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from typing import Any

from chalicelib.domain.images import NAME_TAG, OF_TAG, ImageOrder, SavedImage
from chalicelib.domain.tags import OWNER_TAG
from chalicelib.gateways.aws import (
    ACTING,
    ASKING,
    AWS_ERRORS,
    THROTTLES,
    Aws,
    code_of,
    is_settled,
    parse_time,
    unavailable,
)
from chalicelib.gateways.ec2_end import refused
from chalicelib.ports import Outcome

VALUES_A_FILTER = 200
TAKEN = "InvalidAMIName.Duplicate"
"""A call before has made it: its answer was lost, or EC2 does not show it yet."""
NO_LONGER = frozenset({"InvalidAMIID.NotFound", "InvalidAMIID.Unavailable"})


def save(aws: Aws, region: str, order: ImageOrder) -> Outcome:
    """Begin the image of a box; asked for again it is the same one. The answer is its id. Never raises."""
    pairs: Any = [{"Key": key, "Value": value} for key, value in order.tags.items()]
    try:
        answer = aws.ec2(region, ACTING).create_image(
            InstanceId=order.instance_id,
            Name=order.aws_name,
            Description=f"Saved by Curfew {'of' if order.is_live else 'at the end of'} {order.instance_id}",
            NoReboot=not order.reboots,
            TagSpecifications=[
                {"ResourceType": "image", "Tags": pairs},
                {"ResourceType": "snapshot", "Tags": pairs},
            ],
        )
    except AWS_ERRORS as error:
        if code_of(error) == TAKEN:
            return _made_before(aws, region, order)
        is_refused = is_settled(error) or code_of(error) in THROTTLES
        return replace(refused(error), may_have_happened=not is_refused)
    return Outcome(accepted=True, answer=answer["ImageId"])


def _made_before(aws: Aws, region: str, order: ImageOrder) -> Outcome:
    try:
        found = list(_found(aws, region, {"name": [order.aws_name]}))
    except AWS_ERRORS as error:
        return replace(refused(error), may_have_happened=True)
    mine = next((image for image in found if image.image_of == order.image_of), None)
    if mine:
        return Outcome(accepted=True, answer=mine.id)
    return Outcome(accepted=False, answer=TAKEN, may_have_happened=not found)  # of ours, EC2 shows it late


def saved(
    aws: Aws, region: str, *, of: Collection[str] = (), owner: str | None = None, name: str | None = None
) -> tuple[SavedImage, ...]:
    """The images that Curfew has made in a region, of these boxes, or of an owner and under a name. Raises
    Unavailable."""
    wanted = {f"tag:{OWNER_TAG}": [owner] if owner else [], f"tag:{NAME_TAG}": [name] if name else []}
    filters = {key: values for key, values in wanted.items() if values}
    own = sorted(of)
    parts = [own[start : start + VALUES_A_FILTER] for start in range(0, len(own), VALUES_A_FILTER)]
    try:
        found = [
            image
            for some in parts or [["*"]]
            for image in _found(aws, region, {**filters, f"tag:{OF_TAG}": some})
        ]
    except AWS_ERRORS as error:
        raise unavailable(f"describing saved images in {region}", error) from error
    # A filter's `*` and `?` are wildcards, and anybody may write an owner into a tag.
    return tuple(image for image in found if owner in {None, image.owner} and name in {None, image.name})


def forget(aws: Aws, region: str, image_id: str) -> Outcome:
    """Deregister an image and delete its snapshots, but for those that another image is made of. Never raises."""
    try:
        aws.ec2(region, ACTING).deregister_image(ImageId=image_id, DeleteAssociatedSnapshots=True)
    except AWS_ERRORS as error:
        code = code_of(error)
        return Outcome(accepted=True, answer=code, is_absent=True) if code in NO_LONGER else refused(error)
    return Outcome(accepted=True, answer="deregistered")


def _found(aws: Aws, region: str, filters: Mapping[str, list[str]]) -> Iterator[SavedImage]:
    paginator = aws.ec2(region, ASKING).get_paginator("describe_images")
    named: Any = [{"Name": name, "Values": values} for name, values in filters.items()]
    for page in paginator.paginate(Owners=["self"], Filters=named):
        for raw in page.get("Images") or []:
            image = to_saved(raw, region)
            if image is not None:
                yield image


def to_saved(raw: Mapping[str, Any], region: str) -> SavedImage | None:
    """An image of EC2's answer; None where Curfew did not make it, or the answer has no id."""
    tags = {tag.get("Key"): tag.get("Value") for tag in raw.get("Tags") or []}
    if not raw.get("ImageId") or not tags.get(OF_TAG):
        return None
    disks = [mapping["Ebs"] for mapping in raw.get("BlockDeviceMappings") or [] if mapping.get("Ebs")]
    reason = raw.get("StateReason") or {}
    created = raw.get("CreationDate")
    return SavedImage(
        id=raw["ImageId"],
        region=region,
        image_of=tags[OF_TAG] or "",
        owner=tags.get(OWNER_TAG) or "",
        name=tags.get(NAME_TAG) or "",
        state=raw.get("State") or "unknown",
        gib=sum(int(disk.get("VolumeSize") or 0) for disk in disks),
        created_at=parse_time(created) if created else None,
        reason=reason.get("Message") or reason.get("Code") or "",
    )
