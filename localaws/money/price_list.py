"""List prices: what everything but spot costs, by region.

The prices are us-east-1's, in every region unless `regional` is asked for: then each region has a factor of its own,
which is invented (the real ones differ by service), and everything there is multiplied by it: on-demand, spot, volumes,
addresses, snapshots and data transfer.

Sources: the dated on-demand table; EC2, EBS, VPC, Cost Explorer and CloudWatch pricing pages. A month of EBS has 730
hours, as in the AWS Pricing Calculator; real bills take the hours of the month itself.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from hashlib import sha256
from pathlib import Path

PRICES_FILE = Path(__file__).resolve().parents[2] / "chalicelib" / "data" / "on_demand_prices.json"
HOME = "us-east-1"
SIZE_PRICES = {"nano": "0.0052", "micro": "0.0104", "small": "0.0208", "medium": "0.0416", "large": "0.0832"}
XLARGE_USD = Decimal("0.1664")

HOURS_A_MONTH = Decimal(730)
IPV4_USD_PER_HOUR = Decimal("0.005")
SNAPSHOT_USD_PER_GIB_MONTH = Decimal("0.05")
COST_EXPLORER_USD_PER_REQUEST = Decimal("0.01")
CLOUDWATCH_USD_PER_REQUEST = Decimal("0.00001")
FREE_CLOUDWATCH_REQUESTS_A_MONTH = 1_000_000
"""Of GetMetricStatistics, ListMetrics and the like; GetMetricData is never free."""


@dataclass(frozen=True, slots=True)
class Tier:
    """The price of a unit from `above` units on; the next tier takes over where it begins."""

    above: Decimal
    usd: Decimal
    suffix: str = ""


@dataclass(frozen=True, slots=True)
class VolumePrices:
    """What a kind of volume costs a month: by the GiB, and by the provisioned IOPS and MiB/s above what is included."""

    name: str
    gib_usd: Decimal
    iops: tuple[Tier, ...] = ()
    mibps: tuple[Tier, ...] = ()


def _tiers(*rows: tuple[int, str, str]) -> tuple[Tier, ...]:
    return tuple(Tier(Decimal(above), Decimal(usd), suffix) for above, usd, suffix in rows)


VOLUMES = {
    "gp3": VolumePrices(
        "gp3", Decimal("0.08"), iops=_tiers((3000, "0.005", "")), mibps=_tiers((125, "0.04", ""))
    ),
    "gp2": VolumePrices("gp2", Decimal("0.10")),
    "io1": VolumePrices("piops", Decimal("0.125"), iops=_tiers((0, "0.065", ""))),
    "io2": VolumePrices(
        "io2",
        Decimal("0.125"),
        iops=_tiers((0, "0.065", ""), (32_000, "0.046", ".tier2"), (64_000, "0.032", ".tier3")),
    ),
    "st1": VolumePrices("st1", Decimal("0.045")),
    "sc1": VolumePrices("sc1", Decimal("0.015")),
    "standard": VolumePrices("", Decimal("0.05")),
}
EGRESS_GB = _tiers(
    (0, "0", ""), (100, "0.09", ""), (10_340, "0.085", ""), (51_300, "0.07", ""), (153_700, "0.05", "")
)
"""Data transfer out to the internet, by the GB in a month of the whole account: the first 100 are free."""

FACTORS = {"us-east-2": Decimal(1), "us-west-2": Decimal(1), "eu-west-1": Decimal("1.11")}


def in_tiers(
    tiers: Sequence[Tier], amount: Decimal, already: Decimal = Decimal(0)
) -> list[tuple[Tier, Decimal]]:
    """How much of an amount falls into each tier, after `already` units before it."""
    found = []
    for index, tier in enumerate(tiers):
        top = tiers[index + 1].above if index + 1 < len(tiers) else Decimal("Infinity")
        inside = min(already + amount, top) - max(already, tier.above)
        if inside > 0:
            found.append((tier, inside))
    return found


class OnDemandPrices:
    """Dollars an hour by instance type: the dated table of us-east-1."""

    def __init__(self, path: Path = PRICES_FILE) -> None:
        table = json.loads(path.read_text(encoding="utf-8"))
        self._usd: dict[str, Decimal] = {
            name: Decimal(price) for name, price in table["usd_per_hour"].items()
        }
        self.as_of: str = table["as_of"]

    @property
    def known_types(self) -> list[str]:
        return sorted(self._usd)

    def usd(self, instance_type: str) -> Decimal:
        """The list price; types outside the table cost what a t3 of their size does."""
        known = self._usd.get(instance_type)
        if known is not None:
            return known
        size = instance_type.partition(".")[2]
        if size in SIZE_PRICES:
            return Decimal(SIZE_PRICES[size])
        multiple = size.removesuffix("xlarge")
        return XLARGE_USD * (int(multiple) if multiple.isdigit() else 1)


class PriceList:
    """The list prices of a world: the same everywhere, or each region its own."""

    def __init__(self, *, regional: bool = False) -> None:
        self.on_demand = OnDemandPrices()
        self.regional = regional

    def factor(self, region: str) -> Decimal:
        """What a region's prices are multiplied by; invented, between 1 and 1.4, and 1 at home."""
        if not self.regional or region == HOME:
            return Decimal(1)
        share = sha256(region.encode()).digest()[0]
        return FACTORS.get(region, 1 + Decimal(share * 40 // 255) / 100)

    def instance_usd(self, region: str, instance_type: str) -> Decimal:
        """An hour of Linux on demand."""
        return self.on_demand.usd(instance_type) * self.factor(region)
