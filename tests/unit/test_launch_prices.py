"""What a launch is priced at: its region's list prices, and nothing that has none."""

from dataclasses import replace
from decimal import Decimal

import pytest

from chalicelib.domain.errors import BudgetExceeded, Refused
from chalicelib.domain.lease import Status
from chalicelib.domain.prices import ListPrices, Told
from chalicelib.domain.rates import US_EAST_1
from chalicelib.usecases import budgets as budgeting
from tests.builders import HOUR, TYPE, ZONE, Stage, at, order, owner_budget, usd
from tests.doubles.memory_ec2 import AMI
from tests.doubles.memory_ports import START

DUBLIN = "eu-west-1"
WINDOWS = {"platform": "Windows", "usage_operation": "RunInstances:0002"}


def told_in_dublin(usd_per_hour: str = "1.1166") -> ListPrices:
    """What the Pricing API would tell of a g5.xlarge there."""
    return ListPrices(
        region=DUBLIN,
        on_demand={"g5.xlarge": Told(usd=Decimal(usd_per_hour), at=START)},
        asked_at={"g5.xlarge": START},
        rates=US_EAST_1.times(Decimal("1.11")),
        rates_asked_at=START,
    )


@pytest.mark.parametrize("facts", [WINDOWS, {"product_codes": ("abc123",)}])
def test_an_image_whose_price_is_unknown_is_not_launched(facts: dict[str, object]) -> None:
    """The refusal names the image and its platform; nothing is held, nothing is called."""
    stage = Stage()
    image = replace(AMI, **facts)  # type: ignore[arg-type]
    stage.compute.ec2.images[image.id] = image
    with pytest.raises(Refused) as told:
        stage.launch(image=image.id)
    assert told.value.slug == "price-unknown"
    assert image.id in told.value.detail
    assert image.platform in told.value.detail
    assert told.value.extra == {"image": image.id, "platform": image.platform}
    assert stage.store.open_leases() == ()


def test_a_hold_is_made_of_its_region_s_prices() -> None:
    """Compute, disk, address and data of Dublin, learnt before anything is held."""
    stage = Stage()
    stage.prices.told[DUBLIN] = told_in_dublin()
    lease = stage.launch(region=DUBLIN, lasts_for=HOUR, volume_gib=100, egress_gb=10)
    length = HOUR * 5 / 4
    assert lease.hold.compute_usd == usd("1.40")  # 1.1166 × 1.25 h, up to the cent
    assert lease.hold.egress_usd == usd("1.00")  # 0.0999 × 10
    assert lease.hold.storage_usd >= US_EAST_1.times(Decimal("1.11")).volume_usd(100, length)


def test_a_region_that_told_nothing_is_held_at_twice_the_table() -> None:
    """The Pricing API is down: the launch goes on, at a price that is never too low."""
    stage = Stage()
    stage.prices.told[DUBLIN] = told_in_dublin()
    stage.prices.is_down = True
    lease = stage.launch(region=DUBLIN, lasts_for=HOUR)
    assert lease.hold.compute_usd == usd("2.52")  # 2 × 1.006 × 1.25 h, up to the cent


def test_the_cap_that_is_sent_is_the_one_the_hold_assumes() -> None:
    """So that spot can't cost more than is held, whatever the region's price is."""
    stage = Stage()
    stage.prices.told[DUBLIN] = told_in_dublin()
    lease = stage.launch(region=DUBLIN)
    assert "1.1166" in str(stage.compute.sent(lease.attempts[0]))
    assert order().region != DUBLIN


def test_a_launch_counts_what_open_leases_cost_at_the_spot_price_as_the_sweep_does() -> None:
    """At 30 cents an hour a $6 budget has spent a quarter, not the 81 % that the price cap would make."""
    stage = Stage()
    stage.prices.set_spot(ZONE, TYPE, "0.30")
    stage.put_budget(limit=6)
    stage.launch(lasts_for=5 * HOUR, egress_gb=0)
    stage.until(at("13:50"))
    short = stage.launch(lasts_for=HOUR / 60, egress_gb=0)
    assert short.status is Status.ACTIVE


def test_an_unknown_spot_price_counts_at_the_cap_when_a_launch_is_judged() -> None:
    """EC2 tells no spot prices: the budget may be spent to 80 %, so nothing is launched."""
    stage = Stage()
    stage.put_budget(limit=6)
    stage.launch(lasts_for=5 * HOUR, egress_gb=0)
    stage.until(at("13:50"))
    with pytest.raises(BudgetExceeded) as told:
        stage.launch(lasts_for=HOUR / 60, egress_gb=0)
    assert told.value.slug == "launches-stopped"


def test_a_launch_asks_for_spot_prices_of_what_counts_on_its_budgets_alone() -> None:
    """Nobody waits for the prices of another team's boxes."""
    stage = Stage()
    budgeting.put(stage.services, owner_budget("bob", "bob"), force=False)
    stage.launch(owner="ada")
    stage.launch(owner="bob")
    stage.sweep()
    stage.prices.calls.clear()
    stage.launch(owner="ada")
    assert stage.prices.calls == []
    stage.launch(owner="bob")
    assert stage.prices.calls == [((ZONE, TYPE),)]
