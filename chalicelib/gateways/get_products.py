"""The Price List API: what is asked of GetProducts, and what its answers say. Nothing here remembers anything.

An answer is a list of JSON texts, each a product with its terms. What costs nothing is no answer: a capacity
reservation in use has a row of $0 beside the one that bills, a capacity block has one too. A price ten times off the
dated table is no price either. Source: botocore's service model; the Price List's own attributes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, cast

from pydantic import BaseModel, Field, ValidationError

from chalicelib.domain.rates import US_EAST_1, Rates, Step, VolumeRate
from chalicelib.gateways.aws import HURRIED, Aws

if TYPE_CHECKING:
    from mypy_boto3_pricing import PricingClient
    from mypy_boto3_pricing.type_defs import FilterTypeDef

HOME = "us-east-1"
"""Where the Price List API answers for every region of its partition."""
AT_MOST_TIMES_OFF = 10
MIBPS_A_GIBPS = 1024
LINUX = {
    "operatingSystem": "Linux",
    "operation": "RunInstances",
    "preInstalledSw": "NA",
    "tenancy": "Shared",
    "capacitystatus": "Used",
    "marketoption": "OnDemand",
}
"""What tells the plain row of a type from those of other systems, software, hardware and reservations."""
OTHER_UNITS = {"GB-month": "GB-Mo"}
"""How some products, io2 among them, call what the others call otherwise."""
IOPS_STEPS = {"gp3": 3_000, "piops": 0, "io2": 0, "io2.tier2": 32_000, "io2.tier3": 64_000}
"""Where a price of IOPS begins, by the end of its usage type."""


class _Dimension(BaseModel):
    unit: str
    usd: Mapping[str, str] = Field(alias="pricePerUnit")


class _Term(BaseModel):
    dimensions: Mapping[str, _Dimension] = Field(alias="priceDimensions")


class _Terms(BaseModel):
    on_demand: Mapping[str, _Term] = Field(alias="OnDemand", default_factory=dict)


class _Product(BaseModel):
    attributes: Mapping[str, str]
    family: str = Field(alias="productFamily", default="")


class _Row(BaseModel):
    product: _Product
    terms: _Terms


@dataclass(frozen=True, slots=True)
class Product:
    """One product: what it is, and its dearest price by unit (`Hrs`, `GB-Mo`)."""

    family: str
    attributes: Mapping[str, str]
    usd: Mapping[str, Decimal]

    def is_all(self, wanted: Mapping[str, str]) -> bool:
        """Whether it has all these attributes."""
        return all(self.attributes.get(name) == value for name, value in wanted.items())

    def usage_ends(self, name: str) -> bool:
        """Whether it is that usage; usage types of regions other than us-east-1 begin with the region's short name."""
        return self.attributes.get("usagetype", "").endswith(name)


def ask(aws: Aws, service: str, filters: Mapping[str, str]) -> list[Product]:
    """The products that have all these attributes, 100 at most; what can't be read is left out. Raises AWS_ERRORS."""
    client = cast("PricingClient", aws.client("pricing", HOME, HURRIED))
    matched: list[FilterTypeDef] = [
        {"Type": "TERM_MATCH", "Field": name, "Value": value} for name, value in filters.items()
    ]
    answer = client.get_products(ServiceCode=service, Filters=matched, FormatVersion="aws_v1")
    return [product for text in answer.get("PriceList") or [] if (product := read(text))]


def instance_filters(region: str, instance_type: str) -> Mapping[str, str]:
    """For the one row of a type in a region."""
    return {"regionCode": region, "instanceType": instance_type, **LINUX}


def instance_usd(
    products: Iterable[Product], instance_type: str, *, listed_at_home: Decimal | None
) -> Decimal | None:
    """The dearest of the plain rows of a type, in dollars an hour; None where there is none."""
    plain = {"instanceType": instance_type, **LINUX}
    told = [
        _plausible(product.usd.get("Hrs"), listed_at_home) for product in products if product.is_all(plain)
    ]
    return max((usd for usd in told if usd is not None), default=None)


def rate_questions(region: str) -> tuple[tuple[str, Mapping[str, str]], ...]:
    """By service, the filters that together find everything that bills beside compute. Each further step of io2's IOPS
    is a group of its own."""
    there = {"regionCode": region}
    return (
        ("AmazonEC2", {**there, "productFamily": "Storage", "locationType": "AWS Region"}),
        ("AmazonEC2", {**there, "group": "EBS IOPS"}),
        ("AmazonEC2", {**there, "volumeApiName": "io2"}),
        ("AmazonEC2", {**there, "group": "EBS Throughput"}),
        ("AmazonEC2", {**there, "productFamily": "Storage Snapshot"}),
        ("AmazonVPC", {**there, "group": "VPCPublicIPv4Address"}),
        (
            "AWSDataTransfer",
            {"fromRegionCode": region, "transferType": "AWS Outbound", "toLocation": "External"},
        ),
    )


def rates_of(products: Iterable[Product], assumed: Rates) -> Rates:
    """The rates that the products tell, each that they do not tell as assumed."""
    rates = assumed
    for product in products:
        rates = _with(rates, product)
    return rates


def _with(rates: Rates, product: Product) -> Rates:
    """The rates with what one product says, if it is one of them."""
    group, usd = product.attributes.get("group", ""), product.usd
    kind = product.attributes.get("volumeApiName", "")
    if kind in rates.volumes:
        changed = _volume_with(kind, rates.volumes[kind], product)
        return replace(rates, volumes={**rates.volumes, kind: changed})
    if product.family == "Storage Snapshot" and product.usage_ends("EBS:SnapshotUsage"):
        told = _plausible(usd.get("GB-Mo"), US_EAST_1.snapshot_usd_per_gib_month)
        return replace(rates, snapshot_usd_per_gib_month=told or rates.snapshot_usd_per_gib_month)
    if group == "VPCPublicIPv4Address" and product.usage_ends("PublicIPv4:InUseAddress"):
        told = _plausible(usd.get("Hrs"), US_EAST_1.public_ipv4_usd_per_hour)
        return replace(rates, public_ipv4_usd_per_hour=told or rates.public_ipv4_usd_per_hour)
    if product.is_all({"transferType": "AWS Outbound", "toLocation": "External"}):
        told = _plausible(usd.get("GB"), US_EAST_1.egress_usd_per_gb)
        return replace(rates, egress_usd_per_gb=told or rates.egress_usd_per_gb)
    return rates


def _volume_with(kind: str, rate: VolumeRate, product: Product) -> VolumeRate:
    """A kind of volume with what one product says of it: its size, its IOPS or its throughput."""
    home, usd, group = US_EAST_1.volumes[kind], product.usd, product.attributes.get("group", "")
    if product.family == "Storage":
        return replace(rate, gib_usd=_plausible(usd.get("GB-Mo"), home.gib_usd) or rate.gib_usd)
    if group.startswith("EBS IOPS") and "IOPS-Mo" in usd:
        above = next(
            (at for end, at in IOPS_STEPS.items() if product.usage_ends(f"VolumeP-IOPS.{end}")), None
        )
        return replace(rate, iops=_steps_with(rate.iops, home.iops, above, usd["IOPS-Mo"]))
    if group == "EBS Throughput" and "GiBps-mo" in usd:
        above = home.mibps[0].above if home.mibps else 0
        return replace(
            rate, mibps=_steps_with(rate.mibps, home.mibps, above, usd["GiBps-mo"] / MIBPS_A_GIBPS)
        )
    return rate


def _steps_with(
    steps: tuple[Step, ...], home: tuple[Step, ...], above: int | None, usd: Decimal
) -> tuple[Step, ...]:
    """The steps with one price told; a step that the table does not have is not understood, and passed over."""
    listed = {step.above: step.usd for step in home}
    return tuple(
        replace(step, usd=_plausible(usd, listed[above]) or step.usd) if step.above == above else step
        for step in steps
    )


def _plausible(usd: Decimal | None, at_home: Decimal | None) -> Decimal | None:
    """A price that may be one: nothing is free, and nothing is ten times off what it costs at home."""
    if usd is None or usd <= 0:
        return None
    if at_home is None or at_home / AT_MOST_TIMES_OFF <= usd <= at_home * AT_MOST_TIMES_OFF:
        return usd
    return None


def read(text: str) -> Product | None:
    """One item of an answer; None where it is nonsense."""
    try:
        row = _Row.model_validate_json(text)
    except ValidationError:
        return None
    usd: dict[str, Decimal] = {}
    for term in row.terms.on_demand.values():
        for dimension in term.dimensions.values():
            price = _decimal(dimension.usd.get("USD", ""))
            if price > 0:
                unit = OTHER_UNITS.get(dimension.unit, dimension.unit)
                usd[unit] = max(price, usd.get(unit, price))
    return Product(row.product.family, row.product.attributes, usd)


def _decimal(text: str) -> Decimal:
    try:
        usd = Decimal(text)
    except InvalidOperation:
        return Decimal(0)
    return usd.normalize() if usd.is_finite() else Decimal(0)
