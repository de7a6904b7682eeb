"""What AWS bills for a part of a box's time, from the world's own prices."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from localaws.model import Box
from tests.simulation.town import Town

ADDRESS_AND_DISKS = Decimal("0.02")
"""More than a public address and a launch's small disks cost an hour."""


def billed_between(town: Town, box: Box, since: datetime, until: datetime) -> Decimal:
    """Everything of a box that falls between two moments."""
    return town.world.bill(box, since, until).total_usd


def dearest_hourly(town: Town, box: Box) -> Decimal:
    """The most it has cost an hour so far."""
    price = max((usd for _, usd in prices(town, box, box.launched_at, town.now)), default=Decimal(0))
    return price + ADDRESS_AND_DISKS


def prices(town: Town, box: Box, start: datetime, end: datetime) -> list[tuple[datetime, Decimal]]:
    """The steps of its price in a stretch of time, the one in force at `start` first."""
    if not box.spot:
        return [(start, town.world.market.on_demand_usd(box.zone, box.type))]
    return list(town.world.market.curve(box.zone, box.type).steps(start, end))
