"""On localaws: a $10 budget, a bill that is up to a day late, and credits that hide everything."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from chalicelib.domain.budget import Budget, Period
from chalicelib.usecases.health import health
from chalicelib.usecases.spend import spend
from localaws.world import World
from tests.simulation.town import Town

HOUR = timedelta(hours=1)


def passes(town: Town, hours: int, *, launching: bool) -> None:
    """Time passes with a sweep every five minutes, and with a launch every half hour."""
    for number in range(hours * 12):
        if launching and number % 6 == 0:
            town.launch(town.order(instance_types=("g5.xlarge",), lasts_for=HOUR), key=f"key-{number}")
        town.pass_until(town.now + timedelta(minutes=5))
        town.sweep()


@pytest.mark.slow
def test_a_budget_holds_in_billed_cents_while_the_bill_hides_them() -> None:
    """What AWS bills stays within the budget; Cost Explorer shows it later, credits or no credits."""
    with World(regions=("us-east-1",), seed=5) as world:
        world.account.grant(Decimal(1000), "Credit")
        for zone in "abcdef":
            world.set_price(f"us-east-1{zone}", "g5.xlarge", Decimal("1.00"))
        town = Town(world)
        town.put_budget(Budget(name="all", limit_usd=Decimal(10), period=Period.TOTAL))
        passes(town, 5, launching=True)
        billed = town.billed(town.boxes)
        assert 7 < billed <= 10
        late = spend(town.services, None)
        assert late.billed_usd == 0
        assert late.cost_explorer.status == "ok"
        assert abs(late.metered_usd - billed) < Decimal("0.3")
        world.advance(4 * 24 * HOUR)
        town.sweep()
        (known,) = [day for day in spend(town.services, None).days if day.day == late.days[-1].day]
        assert abs(known.billed["compute"] - known.metered["compute"]) < Decimal("0.3")


@pytest.mark.parametrize(
    "code", ["AccessDeniedException", "LimitExceededException", "DataUnavailableException", "drop"]
)
def test_a_lease_ends_at_its_minute_whatever_cost_explorer_answers(code: str) -> None:
    """And /health says so."""
    with World(regions=("us-east-1",), seed=5) as world:
        world.fault(service="ce", code=code)
        town = Town(world)
        lease = town.launch(town.order(lasts_for=HOUR / 4), key="one")
        assert lease is not None
        town.sweep()
        town.pass_until(lease.expires_at)
        town.sweep()
        town.minute()
        assert town.alive == []
        assert "Cost Explorer" in {one["what"] for one in health(town.services).missing}
