"""What a launch is priced at: its region's list prices, and nothing that has none."""

from dataclasses import replace
from decimal import Decimal

import pytest

from chalicelib.domain.errors import Refused
from chalicelib.domain.prices import ListPrices, Told
from chalicelib.domain.rates import US_EAST_1
from tests.builders import HOUR, Stage, order, usd
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
    assert "1.1166" in str(lease.attempts[0].parameters)
    assert order().region != DUBLIN
