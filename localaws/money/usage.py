"""What a bill tells apart: service, usage type, operation, region and the rest, in AWS's own names.

Sources: a real GetCostAndUsage answer (the names of services), the CUR guide ("Monitoring your On-Demand Capacity
Reservations": UnusedBox), the VPC pricing page (PublicIPv4:InUseAddress, PublicIPv4:IdleAddress) and the offer files of
the Price List API (the other usage types and units).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal

from localaws.money.billing import Lump, Stretch
from localaws.money.regions import usage_type

COMPUTE = "Amazon Elastic Compute Cloud - Compute"
EC2_OTHER = "EC2 - Other"
VPC = "Amazon Virtual Private Cloud"
CLOUDWATCH = "AmazonCloudWatch"
COST_EXPLORER = "AWS Cost Explorer"
USAGE, CREDIT, REFUND = "Usage", "Credit", "Refund"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of a bill."""

    service: str
    usage_type: str
    region: str
    unit: str
    operation: str = ""
    zone: str = ""
    instance_type: str = ""
    resource_id: str = ""
    record_type: str = USAGE


@dataclass(frozen=True, slots=True)
class Charge:
    """A line with everything that was billed on it, in the order of time."""

    line: Line
    parts: tuple[Stretch | Lump, ...]

    @property
    def total_usd(self) -> Decimal:
        return sum((part.total_usd for part in self.parts), Decimal(0))


def line(service: str, name: str, region: str, unit: str, **more: str) -> Line:
    """A line whose usage type carries its region's prefix."""
    home = "USE1" if service in (VPC, COST_EXPLORER) else ""
    return Line(service=service, usage_type=usage_type(region, name, home), region=region, unit=unit, **more)


def as_record(of: Line, record_type: str) -> Line:
    """The same line as a credit or refund."""
    return replace(of, record_type=record_type)
