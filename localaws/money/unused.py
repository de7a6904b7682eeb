"""The part of capacity reservations that nobody uses, over time. Pure.

Source: EC2 guide, "Capacity Reservation pricing and billing" (billed at the on-demand rate, used or not, by the second:
a running instance that matches is paid for itself, the rest as unused reservation).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from itertools import pairwise
from typing import Protocol

from localaws.money.billing import Stretch

Span = tuple[datetime, datetime]


class Reserved(Protocol):
    count: int
    created_at: datetime
    match: str

    @property
    def over_at(self) -> datetime | None: ...


def unused(
    of: Reserved, pool: Sequence[Reserved], runs: Sequence[Span], usd: Decimal, now: datetime
) -> Iterator[Stretch]:
    """The free places of one reservation at their price.

    `pool` has all reservations of its type and zone, oldest first: instances fill the open ones in this order. `runs`
    are those of the on-demand instances that match.
    """
    end = min(of.over_at or now, now)
    bounds = {of.created_at, end, *(moment for span in runs for moment in span)}
    bounds |= {moment for one in pool for moment in (one.created_at, one.over_at) if moment is not None}
    moments = sorted(moment for moment in bounds if of.created_at <= moment <= end)
    for low, high in pairwise(moments):
        running = sum(start <= low < stop for start, stop in runs)
        free = of.count - _inside(of, pool, running, low)
        if free:
            yield Stretch(low, high, usd * free, Decimal(free))


def _inside(of: Reserved, pool: Sequence[Reserved], running: int, at: datetime) -> int:
    """How many of so many running instances are in this reservation."""
    for one in pool:
        over = one.over_at
        if one.match != "open" or one.created_at > at or (over is not None and over <= at):
            continue
        taken = min(running, one.count)
        if one is of:
            return taken
        running -= taken
    return 0
