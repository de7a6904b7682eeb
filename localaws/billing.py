"""What AWS bills for a box, to the second, in exact decimals. Pure.

Sources: EC2 pricing pages (per second, 60 s minimum; gp3 and public IPv4 list prices of us-east-1) and the EC2 guide:
"Billing for interrupted Spot Instances" (interrupted by EC2 in its first hour: free), "Instance state changes"
(`pending`, `stopping` and `shutting-down` are not billed).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Protocol

HOUR = Decimal(3600)
HOURS_A_MONTH = Decimal(730)
MINIMUM = timedelta(seconds=60)
FREE_IF_INTERRUPTED_WITHIN = timedelta(hours=1)
IPV4_USD_PER_HOUR = Decimal("0.005")
VOLUME_USD_PER_GIB_MONTH = {
    "gp3": Decimal("0.08"),
    "gp2": Decimal("0.10"),
    "io1": Decimal("0.125"),
    "io2": Decimal("0.125"),
    "st1": Decimal("0.045"),
    "sc1": Decimal("0.015"),
    "standard": Decimal("0.05"),
}

PriceSteps = Sequence[tuple[datetime, Decimal]]
PricesBetween = Callable[[datetime, datetime], PriceSteps]


class BilledRun(Protocol):
    start: datetime
    end: datetime | None
    interrupted: bool


class BilledVolume(Protocol):
    gib: int
    kind: str
    since: datetime
    until: datetime | None


@dataclass(frozen=True, slots=True)
class Bill:
    """Dollars of one box by what they were for."""

    compute_usd: Decimal
    storage_usd: Decimal
    ipv4_usd: Decimal

    @property
    def total_usd(self) -> Decimal:
        return self.compute_usd + self.storage_usd + self.ipv4_usd


def compute_usd(runs: Sequence[BilledRun], prices_between: PricesBetween, now: datetime) -> Decimal:
    """The running time at the price in force, hourly prices billed by the second.

    `prices_between(start, end)` gives the steps of the price from the one in force at `start` on.
    """
    total = Decimal(0)
    for run in runs:
        end = run.end or now
        if run.interrupted and end - run.start < FREE_IF_INTERRUPTED_WITHIN:
            continue
        end = max(end, run.start + MINIMUM)
        total += integrate(prices_between(run.start, end), run.start, end)
    return total


def integrate(steps: PriceSteps, start: datetime, end: datetime) -> Decimal:
    """Dollars for [start, end) under a price per hour that moves in steps; the first step covers `start`."""
    total = Decimal(0)
    for index, (since, price) in enumerate(steps):
        until = steps[index + 1][0] if index + 1 < len(steps) else end
        low, high = max(start, since), min(end, until)
        if high > low:
            total += price * seconds(high - low) / HOUR
    return total


def storage_usd(volumes: Sequence[BilledVolume], now: datetime) -> Decimal:
    """Volumes bill from creation to deletion, whether or not their box runs."""
    total = Decimal(0)
    for volume in volumes:
        price = VOLUME_USD_PER_GIB_MONTH.get(volume.kind, VOLUME_USD_PER_GIB_MONTH["gp3"])
        total += price * volume.gib * seconds((volume.until or now) - volume.since) / (HOURS_A_MONTH * HOUR)
    return total


def ipv4_usd(runs: Sequence[BilledRun], now: datetime) -> Decimal:
    """An automatic public address bills while the box runs: stopping gives it back."""
    return sum((IPV4_USD_PER_HOUR * seconds((run.end or now) - run.start) / HOUR for run in runs), Decimal(0))


def seconds(span: timedelta) -> Decimal:
    """The length of a span, exactly."""
    return Decimal(span // timedelta(microseconds=1)) / 1_000_000
