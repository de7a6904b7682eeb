"""Dollars as Decimal, and the list prices that hold in every region's first approximation.

Sources: EBS pricing (gp3), VPC pricing (public IPv4), EC2 data transfer pricing, us-east-1. A month is 730 hours, as on
AWS's own bills.
"""

from datetime import timedelta
from decimal import ROUND_CEILING, Decimal

ZERO = Decimal(0)
CENT = Decimal("0.01")
MICRO = Decimal("0.000001")
HOURS_PER_MONTH = Decimal(730)
GP3_USD_PER_GIB_MONTH = Decimal("0.08")
PUBLIC_IPV4_USD_PER_HOUR = Decimal("0.005")
EGRESS_USD_PER_GB = Decimal("0.09")


def hours(length: timedelta) -> Decimal:
    """A length of time in hours, exact to the microsecond."""
    return Decimal(length // timedelta(microseconds=1)) / Decimal(3_600_000_000)


def storage_usd(gib: int, length: timedelta) -> Decimal:
    """What `gib` GiB of gp3 cost over a length of time."""
    return GP3_USD_PER_GIB_MONTH * gib * hours(length) / HOURS_PER_MONTH


def up_to_cent(amount: Decimal) -> Decimal:
    """Rounded up to the next cent: a hold must never be smaller than what it stands for."""
    return amount.quantize(CENT, rounding=ROUND_CEILING)


def to_micro(amount: Decimal) -> Decimal:
    """Rounded up to the micro-dollar, the least that budgets keep."""
    return amount.quantize(MICRO, rounding=ROUND_CEILING)


def show(amount: Decimal) -> str:
    """For people: `$12.34`, or four digits where two would read as nothing."""
    return f"${amount:.2f}" if amount >= 1 or amount == 0 else f"${amount:.4f}"
