"""What bills beside compute, in one region: disks, snapshots, public addresses and outgoing data.

Sources of the defaults: the EBS, VPC and EC2 data transfer pricing pages, us-east-1. What is included in a volume's
price (gp3: 3,000 IOPS and 125 MiB/s) is where its first step begins.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal

from chalicelib.domain.money import HOURS_PER_MONTH, ZERO, hours


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What a unit costs a month from `above` units on, until the next step begins."""

    above: int
    usd: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeRate:
    """What a kind of volume costs a month: by the GiB, by the provisioned IOPS and by the MiB/s."""

    gib_usd: Decimal
    iops: tuple[Step, ...] = ()
    mibps: tuple[Step, ...] = ()

    def month_usd(self, gib: int, iops: int = 0, mibps: int = 0) -> Decimal:
        """A volume of that size, with what is provisioned for it, for a month."""
        return self.gib_usd * gib + _stepped(self.iops, iops) + _stepped(self.mibps, mibps)

    def times(self, factor: Decimal) -> "VolumeRate":
        """Everything that many times as dear."""
        return VolumeRate(
            gib_usd=self.gib_usd * factor,
            iops=tuple(replace(step, usd=step.usd * factor) for step in self.iops),
            mibps=tuple(replace(step, usd=step.usd * factor) for step in self.mibps),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """Dollars by the GiB-month, by the hour of an address, and by the GB that leaves for the internet."""

    volumes: Mapping[str, VolumeRate]
    snapshot_usd_per_gib_month: Decimal
    public_ipv4_usd_per_hour: Decimal
    egress_usd_per_gb: Decimal

    def volume_usd(
        self, gib: int, length: timedelta, *, kind: str = "gp3", iops: int = 0, mibps: int = 0
    ) -> Decimal:
        """What volumes cost over a time; a kind that is not known costs what the dearest would."""
        known = self.volumes.get(kind)
        candidates = [known] if known else list(self.volumes.values())
        return max(one.month_usd(gib, iops, mibps) for one in candidates) * hours(length) / HOURS_PER_MONTH

    def snapshot_usd(self, gib: int, length: timedelta) -> Decimal:
        """What snapshots cost over a time: as if full, so at most."""
        return self.snapshot_usd_per_gib_month * gib * hours(length) / HOURS_PER_MONTH

    def public_ipv4_usd(self, length: timedelta) -> Decimal:
        """What one public address costs over a time."""
        return self.public_ipv4_usd_per_hour * hours(length)

    def egress_usd(self, gb: Decimal | int) -> Decimal:
        """What data to the internet costs at the first and dearest step; the account's free 100 GB are not counted."""
        return self.egress_usd_per_gb * gb

    def times(self, factor: Decimal) -> "Rates":
        """Everything that many times as dear."""
        return Rates(
            volumes={kind: rate.times(factor) for kind, rate in self.volumes.items()},
            snapshot_usd_per_gib_month=self.snapshot_usd_per_gib_month * factor,
            public_ipv4_usd_per_hour=self.public_ipv4_usd_per_hour * factor,
            egress_usd_per_gb=self.egress_usd_per_gb * factor,
        )


def _stepped(steps: Sequence[Step], units: int) -> Decimal:
    """The price of so many units, each at the price of the step it falls in."""
    total = ZERO
    for index, step in enumerate(steps):
        top = steps[index + 1].above if index + 1 < len(steps) else units
        total += step.usd * max(min(units, top) - step.above, 0)
    return total


def _steps(*rows: tuple[int, str]) -> tuple[Step, ...]:
    return tuple(Step(above=above, usd=Decimal(usd)) for above, usd in rows)


US_EAST_1 = Rates(
    volumes={
        "gp3": VolumeRate(
            gib_usd=Decimal("0.08"), iops=_steps((3_000, "0.005")), mibps=_steps((125, "0.04"))
        ),
        "gp2": VolumeRate(gib_usd=Decimal("0.10")),
        "io1": VolumeRate(gib_usd=Decimal("0.125"), iops=_steps((0, "0.065"))),
        "io2": VolumeRate(
            gib_usd=Decimal("0.125"), iops=_steps((0, "0.065"), (32_000, "0.046"), (64_000, "0.032"))
        ),
        "st1": VolumeRate(gib_usd=Decimal("0.045")),
        "sc1": VolumeRate(gib_usd=Decimal("0.015")),
        "standard": VolumeRate(gib_usd=Decimal("0.05")),
    },
    snapshot_usd_per_gib_month=Decimal("0.05"),
    public_ipv4_usd_per_hour=Decimal("0.005"),
    egress_usd_per_gb=Decimal("0.09"),
)
"""List prices of 2026-07-20."""
