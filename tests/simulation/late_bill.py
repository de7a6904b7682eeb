"""A $10 budget under a bill that is late and that credits hide whole: people launch as long as they are let, and what
AWS really billed in the end is set beside the limit."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

from chalicelib.domain.budget import Budget, Period
from chalicelib.usecases.spend import SpendReport, spend
from localaws.world import World
from tests.simulation.town import Town

HOUR = timedelta(hours=1)
LIMIT_USD = Decimal(10)
UNTIL_SETTLED = timedelta(days=4)


@dataclass(frozen=True, slots=True, kw_only=True)
class LateBill:
    """What AWS billed for all boxes, and what GET /spend told of that day: while the bill hid it, and once it was
    settled."""

    billed_usd: Decimal
    hidden: SpendReport
    settled: SpendReport

    @property
    def is_kept(self) -> bool:
        """The budget held, though the bill showed nothing of what was spent."""
        return self.billed_usd <= LIMIT_USD and self.hidden.billed_usd == 0


def late_bill() -> LateBill:
    """Five hours in which a box of $1 an hour is asked for every half hour, each for an hour; then four days of rest."""
    with World(regions=("us-east-1",), seed=5) as world:
        world.account.grant(Decimal(1000), "Credit")
        for zone in "abcdef":
            world.set_price(f"us-east-1{zone}", "g5.xlarge", Decimal("1.00"))
        town = Town(world)
        town.put_budget(Budget(name="all", limit_usd=LIMIT_USD, period=Period.TOTAL))
        for number in range(5 * 12):
            if number % 6 == 0:
                town.launch(town.order(instance_types=("g5.xlarge",), lasts_for=HOUR), key=f"key-{number}")
            town.pass_until(town.now + timedelta(minutes=5))
            town.sweep()
        billed = town.billed(town.boxes)
        hidden = spend(town.services, None)
        world.advance(UNTIL_SETTLED)
        town.sweep()
        return LateBill(billed_usd=billed, hidden=hidden, settled=spend(town.services, None))
