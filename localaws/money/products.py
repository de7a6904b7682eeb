"""The products of the Price List API: the world's prices as AWS's nested documents.

Sources: botocore, Pricing; the offer files of the Price List API as public clients read them (attributes, usage
types, operations, the codes of on-demand terms, and that an address has no product family); CUR guide,
`product/capacitystatus`. A type has many rows in a region: besides the plain Linux one there are those of other
systems, of dedicated hardware and of capacity reservations, among them the $0 of a reservation that is in use.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from hashlib import sha256
from typing import Any

from moto.ec2.models.instance_types import INSTANCE_TYPES

from localaws.money.price_list import (
    EGRESS_GB,
    IPV4_USD_PER_HOUR,
    SNAPSHOT_USD_PER_GIB_MONTH,
    VOLUMES,
    PriceList,
    Tier,
)
from localaws.money.regions import PRICED, location, usage_type

ON_DEMAND_TERM = "JRTCKXETXF"
HOURLY_RATE = "6YS6EN2CT7"
INSTANCES = "Compute Instance"
VOLUME_TYPES = {
    "gp3": "General Purpose",
    "gp2": "General Purpose",
    "io1": "Provisioned IOPS",
    "io2": "Provisioned IOPS",
    "st1": "Throughput Optimized HDD",
    "sc1": "Cold HDD",
    "standard": "Magnetic",
}
WINDOWS_USD_PER_VCPU = Decimal("0.046")
RED_HAT_USD_PER_VCPU = Decimal("0.0144")


@dataclass(frozen=True, slots=True)
class System:
    """An operating system with its software and licence, and what it adds to the price of Linux."""

    name: str
    operation: str
    licence: str = "No License required"
    software: str = "NA"
    usd_per_vcpu: Decimal = Decimal(0)


SYSTEMS = (
    System("Linux", "RunInstances"),
    System("Windows", "RunInstances:0002", usd_per_vcpu=WINDOWS_USD_PER_VCPU),
    System("Windows", "RunInstances:0800", licence="Bring your own license"),
    System("Windows", "RunInstances:0006", software="SQL Std", usd_per_vcpu=Decimal("0.166")),
    System("RHEL", "RunInstances:0010", usd_per_vcpu=RED_HAT_USD_PER_VCPU),
)
"""What software costs is rounded: nothing here bills it."""
TENANCIES = {"Shared": ("", Decimal(1)), "Dedicated": ("Dedicated", Decimal("1.1"))}
CAPACITIES = {
    "Used": ("BoxUsage", "DedicatedUsage"),
    "UnusedCapacityReservation": ("UnusedBox", "UnusedDed"),
    "AllocatedCapacityReservation": ("Reservation", "DedicatedRes"),
}
"""The usage types of each state of a reservation, shared and dedicated. One that is in use costs nothing itself."""


@dataclass(frozen=True, slots=True)
class Product:
    """One product with its on-demand price, in steps where the price depends on how much is used."""

    service: str
    family: str | None
    attributes: Mapping[str, str]
    unit: str
    steps: Sequence[Tier]

    @property
    def sku(self) -> str:
        named = json.dumps([self.service, self.family, dict(self.attributes)], sort_keys=True)
        number, letters = int(sha256(named.encode()).hexdigest(), 16), "ABCDEFGHJKMNPQRSTUVWXYZ23456789"
        return "".join(letters[number // len(letters) ** place % len(letters)] for place in range(16))

    def document(self, as_of: str) -> str:
        """As an item of PriceList: a JSON text."""
        sku = self.sku
        offer = f"{sku}.{ON_DEMAND_TERM}"
        product: dict[str, Any] = {"attributes": dict(self.attributes), "sku": sku}
        if self.family is not None:
            product["productFamily"] = self.family
        term = {
            "priceDimensions": self._dimensions(offer),
            "sku": sku,
            "effectiveDate": f"{as_of}T00:00:00Z",
            "offerTermCode": ON_DEMAND_TERM,
            "termAttributes": {},
        }
        return json.dumps(
            {
                "product": product,
                "serviceCode": self.service,
                "terms": {"OnDemand": {offer: term}},
                "version": as_of.replace("-", "") + "000000",
                "publicationDate": f"{as_of}T00:00:00Z",
            }
        )

    def _dimensions(self, offer: str) -> dict[str, Any]:
        found = {}
        for index, step in enumerate(self.steps):
            end = str(self.steps[index + 1].above) if index + 1 < len(self.steps) else "Inf"
            code = f"{offer}.{HOURLY_RATE if index == 0 else f'{HOURLY_RATE[:-1]}{index}'}"
            found[code] = {
                "unit": self.unit,
                "beginRange": str(step.above),
                "endRange": end,
                "description": f"${step.usd} per {self.unit}: {self.attributes['usagetype']}",
                "appliesTo": [],
                "rateCode": code,
                "pricePerUnit": {"USD": f"{step.usd:.10f}"},
            }
        return found


def products(prices: PriceList, service: str, wanted: Mapping[str, str]) -> Iterator[Product]:
    """The products of a service; `wanted` attributes spare making what can not have them."""
    for region in _regions(wanted):
        if service == "AmazonEC2":
            for kind in _types(prices, wanted) if _may_be_instances(wanted) else ():
                yield from _instances(prices, region, kind)
            yield from _storage(prices, region)
        elif service == "AmazonVPC":
            yield from _addresses(prices, region)
        elif service == "AWSDataTransfer":
            yield _egress(prices, region)


SERVICES = ("AmazonEC2", "AmazonVPC", "AWSDataTransfer")


def _regions(wanted: Mapping[str, str]) -> list[str]:
    return [
        region
        for region in PRICED
        if wanted.get("regionCode", region).lower() == region
        and wanted.get("location", location(region)).lower() == location(region).lower()
    ]


def _may_be_instances(wanted: Mapping[str, str]) -> bool:
    """Instances have neither of these; an empty value is what everything without one has."""
    return not (wanted.get("volumeApiName") or wanted.get("group")) and (
        wanted.get("productFamily", INSTANCES) == INSTANCES
    )


def _types(prices: PriceList, wanted: Mapping[str, str]) -> list[str]:
    asked = wanted.get("instanceType", "").lower()
    known = _known_types(tuple(prices.on_demand.known_types))
    return [asked] if asked in known else [] if asked else list(known)


@lru_cache
def _known_types(priced: tuple[str, ...]) -> dict[str, None]:
    """In order, and quick to look into."""
    return dict.fromkeys(sorted({*priced, *INSTANCE_TYPES}))


def _instances(prices: PriceList, region: str, kind: str) -> Iterator[Product]:
    hardware = _hardware(kind)
    base = prices.instance_usd(region, kind)
    for system in SYSTEMS:
        software = system.usd_per_vcpu * int(hardware["vcpu"]) * prices.factor(region)
        for tenancy, (_, surcharge) in TENANCIES.items():
            for status, usage_names in CAPACITIES.items():
                usd = Decimal(0) if status.startswith("Allocated") else base * surcharge + software
                usage = usage_names[list(TENANCIES).index(tenancy)]
                yield Product(
                    "AmazonEC2",
                    INSTANCES,
                    {
                        **_place(region, "AmazonEC2", "Amazon Elastic Compute Cloud"),
                        **hardware,
                        "instanceType": kind,
                        "tenancy": tenancy,
                        "operatingSystem": system.name,
                        "licenseModel": system.licence,
                        "preInstalledSw": system.software,
                        "capacitystatus": status,
                        "marketoption": "OnDemand",
                        "operation": system.operation,
                        "usagetype": usage_type(region, f"{usage}:{kind}"),
                        "availabilityzone": "NA",
                    },
                    "Hrs",
                    [Tier(Decimal(0), usd)],
                )


@lru_cache(maxsize=2048)
def _hardware(kind: str) -> dict[str, str]:
    known = INSTANCE_TYPES.get(kind, {})
    gpus = sum(gpu.get("Count", 0) for gpu in known.get("GpuInfo", {}).get("Gpus", []))
    memory = known.get("MemoryInfo", {}).get("SizeInMiB", 0) / 1024
    return {
        "instanceFamily": "GPU instance" if gpus else "General purpose",
        "currentGeneration": "Yes",
        "vcpu": str(known.get("VCpuInfo", {}).get("DefaultVCpus", 1)),
        "memory": f"{memory:g} GiB" if memory else "NA",
        "networkPerformance": known.get("NetworkInfo", {}).get("NetworkPerformance", "NA"),
        "processorArchitecture": "64-bit",
        **({"gpu": str(gpus)} if gpus else {}),
    }


def _storage(prices: PriceList, region: str) -> Iterator[Product]:
    factor, place = prices.factor(region), _place(region, "AmazonEC2", "Amazon Elastic Compute Cloud")
    for api_name, volume in VOLUMES.items():
        suffix = f".{volume.name}" if volume.name else ""
        named = place | {"volumeApiName": api_name, "volumeType": VOLUME_TYPES[api_name]}
        size = named | {"usagetype": usage_type(region, f"EBS:VolumeUsage{suffix}")}
        yield Product("AmazonEC2", "Storage", size, "GB-Mo", [Tier(Decimal(0), volume.gib_usd * factor)])
        for tier in volume.iops:
            iops = named | {
                "group": "EBS IOPS",
                "usagetype": usage_type(region, f"EBS:VolumeP-IOPS{suffix}{tier.suffix}"),
            }
            yield Product(
                "AmazonEC2", "System Operation", iops, "IOPS-Mo", [Tier(Decimal(0), tier.usd * factor)]
            )
        for tier in volume.mibps:
            speed = named | {
                "group": "EBS Throughput",
                "usagetype": usage_type(region, f"EBS:VolumeP-Throughput{suffix}"),
            }
            usd = tier.usd * 1024 * factor
            yield Product("AmazonEC2", "Provisioned Throughput", speed, "GiBps-mo", [Tier(Decimal(0), usd)])
    snapshot = place | {
        "storageMedia": "Amazon S3",
        "usagetype": usage_type(region, "EBS:SnapshotUsage"),
    }
    usd = SNAPSHOT_USD_PER_GIB_MONTH * factor
    yield Product("AmazonEC2", "Storage Snapshot", snapshot, "GB-Mo", [Tier(Decimal(0), usd)])


def _addresses(prices: PriceList, region: str) -> Iterator[Product]:
    usd = IPV4_USD_PER_HOUR * prices.factor(region)
    for state in ("InUse", "Idle"):
        attributes = _place(region, "AmazonVPC", "Amazon Virtual Private Cloud") | {
            "group": "VPCPublicIPv4Address",
            "usagetype": usage_type(region, f"PublicIPv4:{state}Address", home="USE1"),
        }
        yield Product("AmazonVPC", None, attributes, "Hrs", [Tier(Decimal(0), usd)])


def _egress(prices: PriceList, region: str) -> Product:
    """Without the free 100 GB, which belong to the account and not to a region."""
    factor = prices.factor(region)
    paid = [Tier(tier.above if tier.above > 100 else Decimal(0), tier.usd * factor) for tier in EGRESS_GB[1:]]
    attributes = {
        "servicecode": "AWSDataTransfer",
        "servicename": "AWS Data Transfer",
        "transferType": "AWS Outbound",
        "fromLocation": location(region),
        "fromLocationType": "AWS Region",
        "fromRegionCode": region,
        "toLocation": "External",
        "toLocationType": "Other",
        "usagetype": usage_type(region, "DataTransfer-Out-Bytes"),
        "operation": "",
    }
    return Product("AWSDataTransfer", "Data Transfer", attributes, "GB", paid)


def _place(region: str, code: str, name: str) -> dict[str, str]:
    return {
        "servicecode": code,
        "servicename": name,
        "location": location(region),
        "locationType": "AWS Region",
        "regionCode": region,
        "operation": "",
    }
