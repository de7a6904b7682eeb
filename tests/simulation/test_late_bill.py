"""On localaws: a $10 budget, a bill that is up to a day late, and credits that hide everything."""

from __future__ import annotations

from decimal import Decimal

import pytest

from chalicelib.usecases.health import health
from localaws.world import World
from tests.simulation.late_bill import HOUR, LIMIT_USD, late_bill
from tests.simulation.town import Town


@pytest.mark.slow
def test_a_budget_holds_in_billed_cents_while_the_bill_hides_them() -> None:
    """What AWS bills stays within the budget; Cost Explorer shows it later, credits or no credits."""
    told = late_bill()
    assert told.is_kept
    assert 7 < told.billed_usd <= LIMIT_USD
    assert told.hidden.cost_explorer.status == "ok"
    assert abs(told.hidden.metered_usd - told.billed_usd) < Decimal("0.3")
    (known,) = [day for day in told.settled.days if day.day == told.hidden.days[-1].day]
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
