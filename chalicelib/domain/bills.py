"""The bill, a day at a time: Cost Explorer's lines sorted into what the meter models and what it does not.

A line that the meter models has a bucket, the same that a lease's cost falls in: `compute/us-west-2/g5.xlarge`,
`storage/us-west-2`, `addresses/us-west-2`, `snapshots/us-west-2`, `egress/us-west-2`. Volumes, snapshots and addresses
can't be told apart by instance in a bill, so those buckets hold the whole account's. Everything else is kept by
service; taxes are a service of their own ("Tax") and never meet the meter.

Sources: a real GetCostAndUsage answer (names of services), the EC2 offer file of the Price List API (usage types), S3
guide, "Understanding your AWS billing and usage reports" (prefixes of regions).
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import StrEnum

from chalicelib.domain.money import ZERO, summed

COMPUTE, EC2_OTHER, VPC = (
    "Amazon Elastic Compute Cloud - Compute",
    "EC2 - Other",
    "Amazon Virtual Private Cloud",
)
DAY = timedelta(days=1)
SETTLED_AFTER = timedelta(hours=72)
REFRESHED_EVERY = timedelta(hours=8)
"""Cost Explorer renews its figures up to three times a day: two answers closer together may be one and the same."""
ELSEWHERE = "elsewhere"
"""Local zones, and regions whose prefix is not known: bill and meter meet there, so that nothing counts twice."""
PREFIXES = {
    "USE1": "us-east-1",
    "USE2": "us-east-2",
    "USW1": "us-west-1",
    "USW2": "us-west-2",
    "UGE1": "us-gov-east-1",
    "UGW1": "us-gov-west-1",
    "AFS1": "af-south-1",
    "APE1": "ap-east-1",
    "APN1": "ap-northeast-1",
    "APN2": "ap-northeast-2",
    "APN3": "ap-northeast-3",
    "APS1": "ap-southeast-1",
    "APS2": "ap-southeast-2",
    "APS3": "ap-south-1",
    "APS4": "ap-southeast-3",
    "APS5": "ap-south-2",
    "APS6": "ap-southeast-4",
    "CAN1": "ca-central-1",
    "CAN2": "ca-west-1",
    "EU": "eu-west-1",
    "EUW1": "eu-west-1",
    "EUW2": "eu-west-2",
    "EUW3": "eu-west-3",
    "EUC1": "eu-central-1",
    "EUC2": "eu-central-2",
    "EUN1": "eu-north-1",
    "EUS1": "eu-south-1",
    "EUS2": "eu-south-2",
    "ILC1": "il-central-1",
    "MEC1": "me-central-1",
    "MES1": "me-south-1",
    "SAE1": "sa-east-1",
}
_KNOWN_REGIONS = frozenset(PREFIXES.values())
_PREFIX = re.compile(r"([A-Z]{2,4}\d{0,2})-(.*)")
_COMPUTE = re.compile(r"(?:BoxUsage|SpotUsage|DedicatedUsage):(.+)")
_ZONE = re.compile(r"([a-z]{2,4}(?:-[a-z]+)+-\d+)[a-z]?")


class Part(StrEnum):
    """What of a box bills."""

    COMPUTE = "compute"
    STORAGE = "storage"
    ADDRESSES = "addresses"
    SNAPSHOTS = "snapshots"
    EGRESS = "egress"


@dataclass(frozen=True, slots=True, kw_only=True)
class BillLine:
    """One group of a day, before credits and refunds."""

    service: str
    usage_type: str
    usd: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class DayBill:
    """What Cost Explorer has of a day. `is_estimated`: AWS has not closed its month."""

    day: date
    lines: tuple[BillLine, ...] = ()
    is_estimated: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class BillAnswer:
    """The days that were answered whole, ascending, and how many pages ($0.01 each) that took. `is_whole` False: the
    last days did not come in time."""

    days: tuple[DayBill, ...]
    pages: int
    is_whole: bool = True


class Trouble(StrEnum):
    """Why there is no answer: AWS forbids it, Cost Explorer is not switched on, it was asked too much, or it failed."""

    DENIED = "denied"
    NOT_ENABLED = "not-enabled"
    THROTTLED = "throttled"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class BillFailure:
    """No answer, and AWS's own words; `pages` were paid for all the same."""

    trouble: Trouble
    detail: str
    pages: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class BilledDay:
    """A day of the bill as it is kept.

    `modelled`: dollars by bucket; `outside`: by service, what the meter does not model. `answered_at`: when Cost
    Explorer last told it; `same_since`: the first answer with just these figures. `beyond_meter_usd`: what the bill has
    beyond the meter of that moment, so that a day's spend is the meter plus this; `accelerators_beyond_usd`: of
    accelerator instances alone.
    """

    day: date
    modelled: Mapping[str, Decimal] = field(default_factory=dict)
    outside: Mapping[str, Decimal] = field(default_factory=dict)
    is_estimated: bool = True
    answered_at: datetime
    same_since: datetime
    beyond_meter_usd: Decimal = ZERO
    accelerators_beyond_usd: Decimal = ZERO

    @property
    def is_settled(self) -> bool:
        """At least 72 hours old, and equal in two answers that can't be one and the same refresh."""
        return (
            self.answered_at - end_of(self.day) >= SETTLED_AFTER
            and self.answered_at - self.same_since >= REFRESHED_EVERY
        )

    @property
    def total_usd(self) -> Decimal:
        """The whole bill of the day."""
        return sum(self.modelled.values(), ZERO) + sum(self.outside.values(), ZERO)


def begin_of(day: date) -> datetime:
    """Midnight UTC, where bills cut."""
    return datetime.combine(day, time(), UTC)


def end_of(day: date) -> datetime:
    """The next midnight."""
    return begin_of(day) + DAY


def bucket(part: Part, region: str, instance_type: str = "") -> str:
    """The key under which the bill and the meter meet."""
    return "/".join(filter(None, (part, region, instance_type)))


def part_of(key: str) -> Part:
    """What of a box a bucket is about."""
    return Part(key.partition("/")[0])


def type_of(key: str) -> str:
    """The instance type of a bucket of compute, else nothing."""
    return key.partition("/")[2].partition("/")[2]


def billing_region(place: str) -> str:
    """The region of a bucket for a region or zone; local zones bill under prefixes of their own."""
    found = _ZONE.fullmatch(place)
    return found[1] if found and found[1] in _KNOWN_REGIONS else ELSEWHERE


def bucket_of(line: BillLine) -> str | None:
    """The bucket of a line, None for what the meter does not model."""
    region, name = _split(line.usage_type)
    if line.service == COMPUTE:
        found = _COMPUTE.fullmatch(name)
        return bucket(Part.COMPUTE, region, found[1]) if found else None
    if line.service == VPC:
        return bucket(Part.ADDRESSES, region) if name.startswith("PublicIPv4:") else None
    if line.service != EC2_OTHER:
        return None
    if name.startswith("EBS:Volume"):
        return bucket(Part.STORAGE, region)
    if name.startswith("EBS:Snapshot"):
        return bucket(Part.SNAPSHOTS, region)
    return bucket(Part.EGRESS, region) if name == "DataTransfer-Out-Bytes" else None


def _split(usage_type: str) -> tuple[str, str]:
    """Region and rest of a usage type: `USW2-BoxUsage:g5.xlarge`; without a prefix it is us-east-1's."""
    region, name = "us-east-1", usage_type
    found = _PREFIX.fullmatch(name)
    if found:
        region, name = PREFIXES.get(found[1], ELSEWHERE), found[2]
        if _PREFIX.fullmatch(name):  # USW2-LAX1-…: a local zone
            region, name = ELSEWHERE, name.partition("-")[2]
    return region, name


def kept(bill: DayBill, before: BilledDay | None, *, answered_at: datetime) -> BilledDay:
    """A day's answer as it is kept, compared with the one before; lines of nothing are left out."""
    lines = [(line, bucket_of(line)) for line in bill.lines if line.usd != 0]
    modelled = summed((key, line.usd) for line, key in lines if key is not None)
    outside = summed((line.service, line.usd) for line, key in lines if key is None)
    is_same = before is not None and (before.modelled, before.outside) == (modelled, outside)
    return BilledDay(
        day=bill.day,
        modelled=modelled,
        outside=outside,
        is_estimated=bill.is_estimated,
        answered_at=answered_at,
        same_since=before.same_since if before and is_same else answered_at,
        beyond_meter_usd=before.beyond_meter_usd if before else ZERO,
    )


def newest_day(bills: Iterable[DayBill]) -> date | None:
    """The last day of which there is anything."""
    return max((bill.day for bill in bills if any(line.usd != 0 for line in bill.lines)), default=None)
