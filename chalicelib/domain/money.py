"""Dollars as Decimal, and how they are rounded and shown. A month is 730 hours, as on AWS's own bills."""

from collections.abc import Hashable, Iterable, Mapping
from datetime import timedelta
from decimal import ROUND_CEILING, Decimal
from typing import TypeVar

ZERO = Decimal(0)
CENT = Decimal("0.01")
MICRO = Decimal("0.000001")
DECIMALS = 10
HOURS_PER_MONTH = Decimal(730)

K = TypeVar("K", bound=Hashable)


def hours(length: timedelta) -> Decimal:
    """A length of time in hours, exact to the microsecond."""
    return Decimal(length // timedelta(microseconds=1)) / Decimal(3_600_000_000)


def up_to_cent(amount: Decimal) -> Decimal:
    """Rounded up to the next cent: a hold must never be smaller than what it stands for."""
    return amount.quantize(CENT, rounding=ROUND_CEILING)


def to_micro(amount: Decimal) -> Decimal:
    """Rounded up to the micro-dollar, the least that budgets keep."""
    return amount.quantize(MICRO, rounding=ROUND_CEILING)


def summed(amounts: Iterable[tuple[K, Decimal]]) -> dict[K, Decimal]:
    """Amounts added up by what they are for."""
    sums: dict[K, Decimal] = {}
    for key, usd in amounts:
        sums[key] = sums.get(key, ZERO) + usd
    return sums


def shared(amount: Decimal, weights: Mapping[K, Decimal]) -> dict[K, Decimal]:
    """An amount in proportion to positive weights, in micro-dollars; together they are the amount."""
    whole = sum(weights.values(), ZERO)
    parts = {key: (amount * weight / whole).quantize(MICRO) for key, weight in weights.items()}
    heaviest = max(weights, key=lambda key: weights[key])
    parts[heaviest] += amount - sum(parts.values(), ZERO)
    return parts


def exact(amount: Decimal) -> str:
    """The full value without an exponent. What a division draws out further than ten decimals, as many as a line of the
    bill has, is rounded half-even: nothing that AWS could charge is in it."""
    text = f"{amount:f}"
    _, _, decimals = text.partition(".")
    return text if len(decimals) <= DECIMALS else f"{round(amount, DECIMALS).normalize():f}"


def show(amount: Decimal) -> str:
    """For people: `$12.34`, or four digits where two would read as nothing."""
    return f"${amount:.2f}" if amount >= 1 or amount == 0 else f"${amount:.4f}"
