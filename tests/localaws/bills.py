"""Reading the account's bill off the truth."""

from __future__ import annotations

from decimal import Decimal

from localaws.world import World

CENT_FRACTION = Decimal("1e-9")


def billed(world: World, usage_type: str) -> Decimal:
    """Dollars of a usage type until now, 0 where there are none."""
    return Decimal(world.truth()["bill"]["usage_types"].get(usage_type, "0"))


def is_close(actual: Decimal, expected: Decimal | str) -> bool:
    """Equal but for the truth's ten places."""
    return abs(actual - Decimal(expected)) < CENT_FRACTION
