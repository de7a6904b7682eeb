"""What AWS bills, to the second, in exact decimals. Pure.

Sources: EC2 pricing pages (per second, 60 s minimum a start), EBS pricing (from creation to deletion, attached or not)
and the EC2 guide: "Billing for interrupted Spot Instances" (interrupted by EC2 in its first hour: free), "Amazon EC2
instance state changes" (only `running` is billed, and `stopping` while a box hibernates).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Protocol

from localaws.money.price_list import HOURS_A_MONTH, IPV4_USD_PER_HOUR, VOLUMES, VolumePrices, in_tiers

HOUR = Decimal(3600)
MINIMUM = timedelta(seconds=60)
FREE_IF_INTERRUPTED_WITHIN = timedelta(hours=1)

PriceSteps = Sequence[tuple[datetime, Decimal]]
PricesBetween = Callable[[datetime, datetime], PriceSteps]


class BilledRun(Protocol):
    start: datetime
    end: datetime | None
    interrupted: bool
    billed_until: datetime | None


class BilledShape(Protocol):
    @property
    def since(self) -> datetime: ...
    @property
    def gib(self) -> int: ...
    @property
    def kind(self) -> str: ...
    @property
    def iops(self) -> int | None: ...
    @property
    def throughput(self) -> int | None: ...


class BilledVolume(Protocol):
    until: datetime | None

    @property
    def shapes(self) -> Sequence[BilledShape]: ...


@dataclass(frozen=True, slots=True)
class Stretch:
    """A time over which something cost `usd`, for `units`, each `hours` hours."""

    start: datetime
    end: datetime
    usd: Decimal
    units: Decimal = Decimal(1)
    hours: Decimal = Decimal(1)

    def within(self, start: datetime, end: datetime) -> Stretch | None:
        """The part of it in [start, end)."""
        low, high = max(start, self.start), min(end, self.end)
        return replace(self, start=low, end=high) if high > low else None

    @property
    def total_usd(self) -> Decimal:
        return self.usd * seconds(self.end - self.start) / (self.hours * HOUR)

    @property
    def total_units(self) -> Decimal:
        return self.units * seconds(self.end - self.start) / (self.hours * HOUR)


@dataclass(frozen=True, slots=True)
class Lump:
    """Something that was billed at a moment."""

    at: datetime
    usd: Decimal
    units: Decimal

    def within(self, start: datetime, end: datetime) -> Lump | None:
        """Itself, if its moment is in [start, end)."""
        return self if start <= self.at < end else None

    @property
    def total_usd(self) -> Decimal:
        return self.usd

    @property
    def total_units(self) -> Decimal:
        return self.units


@dataclass(frozen=True, slots=True)
class Bill:
    """Dollars of one box by what they were for."""

    compute_usd: Decimal
    storage_usd: Decimal
    ipv4_usd: Decimal

    @property
    def total_usd(self) -> Decimal:
        return self.compute_usd + self.storage_usd + self.ipv4_usd


def compute(runs: Sequence[BilledRun], prices_between: PricesBetween, now: datetime) -> Iterator[Stretch]:
    """The running time at the price in force, hourly prices billed by the second.

    `prices_between(start, end)` gives the steps of the price from the one in force at `start` on. Each start has
    its own minimum and its own first hour: an interruption that stops a box counts like one that ends it.
    """
    for run in runs:
        end = run.end or now
        if run.interrupted and end - run.start < FREE_IF_INTERRUPTED_WITHIN:
            continue
        end = max(end, min(run.billed_until or end, now), run.start + MINIMUM)
        yield from stretches(prices_between(run.start, end), run.start, end)


def stretches(steps: PriceSteps, start: datetime, end: datetime) -> Iterator[Stretch]:
    """[start, end) under a price per hour that moves in steps; the first step covers `start`."""
    for index, (since, price) in enumerate(steps):
        until = steps[index + 1][0] if index + 1 < len(steps) else end
        low, high = max(start, since), min(end, until)
        if high > low:
            yield Stretch(low, high, price)


@dataclass(frozen=True, slots=True)
class StorageRate:
    """One part of a volume's price: its size, or what is provisioned above the included."""

    part: str
    stretch: Stretch


def storage(volume: BilledVolume, now: datetime, factor: Decimal = Decimal(1)) -> Iterator[StorageRate]:
    """A volume from creation to deletion, whether or not it is attached to anything that runs."""
    for index, shape in enumerate(volume.shapes):
        following = volume.shapes[index + 1].since if index + 1 < len(volume.shapes) else None
        end = following or volume.until or now
        prices = VOLUMES.get(shape.kind, VOLUMES["gp3"])
        for part, usd, units in _month(prices, shape):
            yield StorageRate(part, Stretch(shape.since, end, usd * factor, units, HOURS_A_MONTH))


def _month(prices: VolumePrices, shape: BilledShape) -> Iterator[tuple[str, Decimal, Decimal]]:
    suffix = f".{prices.name}" if prices.name else ""
    gib = Decimal(shape.gib)
    yield f"VolumeUsage{suffix}", prices.gib_usd * gib, gib
    for tier, iops in in_tiers(prices.iops, Decimal(shape.iops or 0)):
        yield f"VolumeP-IOPS{suffix}{tier.suffix}", tier.usd * iops, iops
    for tier, mibps in in_tiers(prices.mibps, Decimal(shape.throughput or 0)):
        yield f"VolumeP-Throughput{suffix}", tier.usd * mibps, mibps / 1024


def addresses(spans: Iterable[tuple[datetime, datetime]], factor: Decimal = Decimal(1)) -> Iterator[Stretch]:
    """A public IPv4 address, by the hour."""
    for start, end in spans:
        yield Stretch(start, end, IPV4_USD_PER_HOUR * factor)


def total_usd(stretches: Iterable[Stretch | Lump]) -> Decimal:
    return sum((one.total_usd for one in stretches), Decimal(0))


def seconds(span: timedelta) -> Decimal:
    """The length of a span, exactly."""
    return Decimal(span // timedelta(microseconds=1)) / 1_000_000
