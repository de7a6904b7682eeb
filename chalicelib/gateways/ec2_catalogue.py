"""Finding images that others have made: AWS's deep-learning ones through their public SSM parameters, and by name."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Any, cast

from chalicelib.domain.catalogue import PublicImage
from chalicelib.domain.errors import Unavailable
from chalicelib.domain.images import OF_TAG, USER_TAG
from chalicelib.gateways.aws import ASKING, AWS_ERRORS, HURRIED, Aws, parse_time, unavailable

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient

PARAMETERS = "/aws/service/deeplearning/ami"
VALUES_A_FILTER = 200
MOST_IMAGES = 1000
ELSEWHERE_SECONDS = 4.0
"""Regions are searched for an image, one after the other, for so long."""
PATIENCE_SECONDS = 4.0
"""Pages of parameters, ten each, are asked for so long: a launch waits for them."""


class Ec2Catalogue:
    """What can be launched from, in every region."""

    def __init__(self, aws: Aws) -> None:
        self._aws = aws

    def deep_learning(self, region: str, architecture: str) -> Mapping[str, str]:
        """The parameters of AWS's current deep-learning images and their AMIs."""
        ssm = cast("SSMClient", self._aws.client("ssm", region, HURRIED))
        deadline = monotonic() + PATIENCE_SECONDS
        found: dict[str, str] = {}
        pages = ssm.get_paginator("get_parameters_by_path").paginate(
            Path=f"{PARAMETERS}/{architecture}", Recursive=True
        )
        try:
            for page in pages:
                found |= {one.get("Name", ""): one.get("Value", "") for one in page.get("Parameters") or []}
                if page.get("NextToken") and monotonic() > deadline:
                    raise Unavailable(
                        f"AWS's deep-learning images in {region}: SSM takes too long to list them"
                    )
        except AWS_ERRORS as error:
            raise unavailable(f"asking SSM for AWS's deep-learning images in {region}", error) from error
        return found

    def described(self, region: str, ids: Collection[str]) -> tuple[PublicImage, ...]:
        """These images, but for those that are no more."""
        wanted = sorted(set(ids))
        parts = [wanted[start : start + VALUES_A_FILTER] for start in range(0, len(wanted), VALUES_A_FILTER)]
        try:
            # By a filter, because one id that is no more makes a call that names it fail as a whole.
            return tuple(
                image for some in parts for image in self._found(region, {"image-id": some}, executable=None)
            )
        except AWS_ERRORS as error:
            raise unavailable(f"describing images in {region}", error) from error

    def regions_with(self, image_id: str, regions: Collection[str]) -> tuple[str, ...]:
        """Those of the regions that have this image for the account, as far as they answered in time."""
        deadline, found = monotonic() + ELSEWHERE_SECONDS, list[str]()
        for region in regions:
            if monotonic() > deadline:
                break
            with suppress(*AWS_ERRORS):
                answer = self._aws.ec2(region, HURRIED).describe_images(
                    Filters=[{"Name": "image-id", "Values": [image_id]}]
                )
                found += [region] if answer.get("Images") else []
        return tuple(found)

    def named(self, region: str, name: str) -> tuple[PublicImage, ...]:
        """The public images for Linux that have this in their names, whoever made them."""
        filters = {"name": [f"*{name}*"], "state": ["available"], "root-device-type": ["ebs"]}
        try:
            return tuple(self._found(region, filters, executable="all"))
        except AWS_ERRORS as error:
            raise unavailable(f"looking for images in {region} by name", error) from error

    def _found(
        self, region: str, filters: Mapping[str, list[str]], *, executable: str | None
    ) -> Iterator[PublicImage]:
        paginator = self._aws.ec2(region, ASKING).get_paginator("describe_images")
        named: Any = [{"Name": name, "Values": values} for name, values in filters.items()]
        by: Any = {"ExecutableUsers": [executable]} if executable else {}
        pages = paginator.paginate(Filters=named, PaginationConfig={"MaxItems": MOST_IMAGES}, **by)
        for page in pages:
            for raw in page.get("Images") or []:
                if raw.get("ImageId"):
                    yield to_public(raw, region)


def to_public(raw: Mapping[str, Any], region: str) -> PublicImage:
    """An image of EC2's answer."""
    disks = [mapping["Ebs"] for mapping in raw.get("BlockDeviceMappings") or [] if mapping.get("Ebs")]
    created = raw.get("CreationDate")
    tags = {tag.get("Key"): tag.get("Value") for tag in raw.get("Tags") or []}
    return PublicImage(
        id=raw["ImageId"],
        name=raw.get("Name") or "",
        region=region,
        owner_id=raw.get("OwnerId") or "unknown",
        owner_alias=raw.get("ImageOwnerAlias"),
        architecture=raw.get("Architecture") or "unknown",
        gib=sum(int(disk.get("VolumeSize") or 0) for disk in disks),
        created_at=parse_time(created) if created else None,
        state=raw.get("State") or "unknown",
        platform=raw.get("PlatformDetails") or "",
        has_product_code=bool(raw.get("ProductCodes")),
        saved_user=tags.get(USER_TAG) if OF_TAG in tags else None,
    )
