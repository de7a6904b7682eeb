"""How a fleet fills its target: which ways it takes, in which order, and what keeps it from launching.

Sources: EC2 guide, "Use allocation strategies to determine how EC2 Fleet or Spot Fleet fulfills Spot and On-Demand
capacity" and "Set a spending limit for your EC2 Fleet or Spot Fleet". Capacity is there or it is not, so that the
capacity-optimized strategies come down to their priorities or to the price.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from localaws.ec2.candidates import Candidate
from localaws.errors import AwsError
from localaws.model import Box, Fleet
from localaws.protocol.faults import as_aws_error
from localaws.protocol.refusals import no_capacity, price_too_low
from localaws.protocol.wire import CallId

if TYPE_CHECKING:
    from localaws.world import World

WAY = "FleetLaunch"
"""What a fault calls each type and zone that a fleet tries: its answer tells of it, and the call itself succeeds."""
BY_PRIORITY = ("prioritized", "capacity-optimized-prioritized")


@dataclass(slots=True)
class Plan:
    """What to launch, and the ways that can't be taken with the reason."""

    ways: list[Candidate] = field(default_factory=list)
    refused: list[tuple[Candidate, AwsError]] = field(default_factory=list)

    @property
    def capacity(self) -> Decimal:
        return sum((way.weight for way in self.ways), Decimal(0))


def plan(
    world: World, fleet: Fleet, ways: Iterable[Candidate], wanted: Decimal, running: list[Box], *, spot: bool
) -> Plan:
    """For so much capacity, beside what is running; nothing at all if less than MinTargetCapacity can be had."""
    side = fleet.spot if spot else fleet.on_demand
    drawn, open_ways = Plan(), list(ways) if wanted > 0 else []
    left_usd = side.max_total_usd - sum((_box_price(world, box) for box in running), Decimal(0))
    in_pool = Counter((box.zone, box.type) for box in running)
    order = _order(world, side.strategy, in_pool, spot=spot)
    while wanted > 0 and open_ways:
        way = min(open_ways, key=order)
        price = way_price(world, way, spot=spot)
        problem = _refusal(world, way, price, left_usd, spot=spot)
        if problem is not None:
            open_ways.remove(way)
            drawn.refused.append((way, problem))
            continue
        if not drawn.ways:
            open_ways = [
                one
                for one in open_ways
                if (not side.one_type or one.type == way.type) and (not side.one_zone or one.zone == way.zone)
            ]
        drawn.ways.append(way)
        in_pool[way.pool] += 1
        wanted -= way.weight
        left_usd -= price
    if drawn.capacity < side.least:
        drawn.ways.clear()
    return drawn


def way_price(world: World, way: Candidate, *, spot: bool) -> Decimal:
    """What a box launched in this way would cost an hour."""
    if not spot:
        return world.market.on_demand_usd(way.zone, way.type)
    return world.market.curve(way.zone, way.type).at(world.now)


def excess(world: World, fleet: Fleet, running: list[Box], capacity: Decimal) -> list[Box]:
    """What to end when more runs than the target: spot first, of it the dearest for a unit, the newest first."""
    chosen = []

    def dearest_first(box: Box) -> tuple[bool, Decimal]:
        return not box.spot, -_box_price(world, box) / fleet.weights[box.id]

    newest_first = list(reversed(running))
    for box in sorted(newest_first, key=dearest_first):
        if capacity - fleet.weights[box.id] >= fleet.target:
            capacity -= fleet.weights[box.id]
            chosen.append(box)
    return chosen


def _order(
    world: World, strategy: str, in_pool: Counter[tuple[str, str]], *, spot: bool
) -> Callable[[Candidate], tuple[Any, ...]]:
    def cheapest(way: Candidate) -> tuple[Any, ...]:
        return way_price(world, way, spot=spot) / way.weight, way.zone

    if strategy in BY_PRIORITY:
        return lambda way: (way.priority, *cheapest(way))
    if strategy == "diversified":
        return lambda way: (in_pool[way.pool], *cheapest(way))
    return cheapest


def _refusal(
    world: World, way: Candidate, price: Decimal, left_usd: Decimal, *, spot: bool
) -> AwsError | None:
    call = CallId("ec2", way.zone[:-1], WAY)
    fault = world.faults.strike(call)
    if fault is not None and fault.operation == WAY:
        return as_aws_error(fault, call)
    if not world.market.has_capacity(way.zone, way.type):
        return no_capacity(way.type, way.zone)
    if spot and way.cap_usd is not None and price > way.cap_usd:
        return price_too_low(way.cap_usd, price)
    if price > left_usd:
        return AwsError(
            "MaxTotalPriceExceeded", f"{way.type} in {way.zone} at {price} would pass MaxTotalPrice"
        )
    return None


def _box_price(world: World, box: Box) -> Decimal:
    if not box.spot:
        return world.market.on_demand_usd(box.zone, box.type)
    return world.market.curve(box.zone, box.type).at(world.now)
