"""Regions of other partitions than `aws`: nothing is launched or watched there.

China bills in yuan, and EC2's prices there are plain numbers, in yuan: every budget would be wrong sevenfold. GovCloud
has no Pricing API, its bill stands in another account, and the dated price table has neither. Source: botocore's
partitions.
"""

from chalicelib.domain.errors import Refused

OTHERS = {
    "cn-": "AWS China (aws-cn)",
    "us-gov-": "AWS GovCloud (aws-us-gov)",
    "eusc-": "the AWS European Sovereign Cloud (aws-eusc)",
    "us-iso-": "aws-iso",
    "us-isob-": "aws-iso-b",
    "eu-isoe-": "aws-iso-e",
    "us-isof-": "aws-iso-f",
}
"""How the regions of each begin, and what people call it."""


def partition_of(region: str) -> str | None:
    """The partition that a region is in, for people; None for `aws`, which is supported."""
    return next((name for begin, name in OTHERS.items() if region.startswith(begin)), None)


def supported(region: str) -> str:
    """The region. Raises Refused where it is in another partition than `aws`."""
    partition = partition_of(region)
    if partition is None:
        return region
    raise Refused(
        f"{region} is in {partition}, which Curfew does not support: its prices and its bill are not known here, so "
        "that no hold and no budget would be right. Nothing was launched or done. Name another region, such as "
        "us-east-1",
        slug="partition-not-supported",
        partition=partition,
    )
