"""Regions by their other names: the one of a zone, the prefix of its usage types, its location in the price list.

Sources: S3 guide, "Understanding your AWS billing and usage reports" (the abbreviations, which EC2's usage types share;
us-east-1 has none) and the EC2 offer file of the Price List API (`location`, which says EU where the console says
Europe in the older regions).
"""

from __future__ import annotations

import re

_NAME = re.compile(r"[a-z]{2}(?:-[a-z]+)+-\d")
_NAMES = {
    "us-east-1": ("", "US East (N. Virginia)"),
    "us-east-2": ("USE2", "US East (Ohio)"),
    "us-west-1": ("USW1", "US West (N. California)"),
    "us-west-2": ("USW2", "US West (Oregon)"),
    "af-south-1": ("AFS1", "Africa (Cape Town)"),
    "ap-east-1": ("APE1", "Asia Pacific (Hong Kong)"),
    "ap-northeast-1": ("APN1", "Asia Pacific (Tokyo)"),
    "ap-northeast-2": ("APN2", "Asia Pacific (Seoul)"),
    "ap-northeast-3": ("APN3", "Asia Pacific (Osaka)"),
    "ap-south-1": ("APS3", "Asia Pacific (Mumbai)"),
    "ap-south-2": ("APS5", "Asia Pacific (Hyderabad)"),
    "ap-southeast-1": ("APS1", "Asia Pacific (Singapore)"),
    "ap-southeast-2": ("APS2", "Asia Pacific (Sydney)"),
    "ap-southeast-3": ("APS4", "Asia Pacific (Jakarta)"),
    "ap-southeast-4": ("APS6", "Asia Pacific (Melbourne)"),
    "ca-central-1": ("CAN1", "Canada (Central)"),
    "ca-west-1": ("CAN2", "Canada West (Calgary)"),
    "eu-central-1": ("EUC1", "EU (Frankfurt)"),
    "eu-central-2": ("EUC2", "Europe (Zurich)"),
    "eu-north-1": ("EUN1", "EU (Stockholm)"),
    "eu-south-1": ("EUS1", "EU (Milan)"),
    "eu-south-2": ("EUS2", "Europe (Spain)"),
    "eu-west-1": ("EU", "EU (Ireland)"),
    "eu-west-2": ("EUW2", "EU (London)"),
    "eu-west-3": ("EUW3", "EU (Paris)"),
    "il-central-1": ("ILC1", "Israel (Tel Aviv)"),
    "me-central-1": ("MEC1", "Middle East (UAE)"),
    "me-south-1": ("MES1", "Middle East (Bahrain)"),
    "sa-east-1": ("SAE1", "South America (Sao Paulo)"),
}
PRICED = tuple(_NAMES)
"""The regions whose billing names are known, us-east-1 first."""


def region_of(zone: str) -> str:
    """`us-east-1` of `us-east-1a`, `us-west-2` of `us-west-2-lax-1a`; a region's name is its own region."""
    found = _NAME.match(zone)
    return found.group() if found else zone


def usage_type(region: str, name: str, home: str = "") -> str:
    """A usage type as bills write it: `USW2-SpotUsage:g5.xlarge`; `home` is the prefix of us-east-1.

    EC2 and CloudWatch have none there, newer services write USE1.
    """
    prefix = _NAMES.get(region, (region.upper().replace("-", ""), ""))[0] or home
    return f"{prefix}-{name}" if prefix else name


def location(region: str) -> str:
    """A region's name in the price list."""
    return _NAMES.get(region, ("", region))[1]
