"""What keeps a launch from starting, from EC2's answers to the problem that a caller reads."""

from collections.abc import Iterator
from decimal import Decimal
from itertools import count
from typing import Any

import pytest

from chalicelib.domain.accelerators import ARM64, X86_64
from chalicelib.domain.catalogue import current
from chalicelib.domain.errors import Refused
from chalicelib.domain.launch_refusals import nothing_started
from chalicelib.domain.lease import Attempt, LaunchOrder, RequestType
from chalicelib.gateways.ec2_catalogue import Ec2Catalogue
from chalicelib.gateways.ec2_gpus import dated_table
from chalicelib.gateways.pricing import Ec2Prices
from localaws.places import zones
from localaws.world import World
from tests.contract.compute_labs import REGION, WorldLab, alive, an_order, attempts_of, instance_of

TYPES = ("g4dn.xlarge", "g5.xlarge")
FLEETS = pytest.mark.parametrize("kind", [RequestType.ONE_TIME, RequestType.PERSISTENT])


NUMBERS = count(1)


@pytest.fixture(scope="module")
def the_lab() -> Iterator[WorldLab]:
    with World(seed=7, regions=(REGION, "eu-west-1")) as world:
        yield WorldLab(world)


@pytest.fixture
def lab(the_lab: WorldLab) -> Iterator[WorldLab]:
    """One for all of them, mended after each."""
    yield the_lab
    the_lab.world.clear_faults()
    the_lab.world.set_capacity("*", "*", available=True)


def calls_of(lab: WorldLab, order: LaunchOrder) -> tuple[Attempt, ...]:
    """The calls of a new lease."""
    return attempts_of(lab, order, lease_id=f"lease-{next(NUMBERS)}")


def refused(lab: WorldLab, order: LaunchOrder) -> Refused:
    """What a launch is told all of whose calls EC2 refuses."""
    tried, before = list[Attempt](), alive(lab)
    for attempt in calls_of(lab, order):
        answer = lab.compute.launch(attempt)
        assert answer.outcome == "refused"
        tried.append(
            attempt.settled("refused", code=answer.code, detail=answer.detail, refusals=answer.refusals)
        )
    assert alive(lab) == before
    return nothing_started(order, tried)


def where(refusal: Refused) -> set[tuple[str | None, str | None, str]]:
    """Each type and zone with its code."""
    tried: Any = refusal.extra["tried"]
    return {(one["instance_type"], one["zone"], one["code"]) for one in tried}


def test_a_fleet_without_capacity_tells_of_every_type_and_zone(lab: WorldLab) -> None:
    """It answers 200, and its reasons are among its `Errors`."""
    for name in TYPES:
        lab.lose_capacity(name)
    refusal = refused(lab, an_order(instance_types=TYPES))
    assert refusal.slug == "no-capacity"
    assert where(refusal) == {
        (name, zone, "InsufficientInstanceCapacity") for name in TYPES for zone in zones(REGION)
    }


def test_each_call_without_capacity_tells_of_its_type(lab: WorldLab) -> None:
    """A persistent request is one call a type; EC2 names a zone, where it does, in its words."""
    for name in TYPES:
        lab.lose_capacity(name)
    refusal = refused(lab, an_order(RequestType.PERSISTENT, instance_types=TYPES))
    assert refusal.slug == "no-capacity"
    assert {name for name, _, _ in where(refusal)} == set(TYPES)
    assert {zone for _, zone, _ in where(refusal)} <= set(zones(REGION))


@pytest.mark.parametrize("boxes", [1, 3])
@pytest.mark.parametrize("kind", [RequestType.ONE_TIME, RequestType.PERSISTENT, RequestType.MAINTAIN])
def test_want_of_capacity_falls_through_to_the_next_type_and_zone(
    lab: WorldLab, kind: RequestType, boxes: int
) -> None:
    """All zones of the cheaper type are full, and all but one of the other: that one is taken, by every box."""
    lab.lose_capacity(TYPES[0])
    last = zones(REGION)[-1]
    for zone in zones(REGION)[:-1]:
        lab.world.set_capacity(zone, TYPES[1], available=False)
    before = alive(lab)
    for attempt in calls_of(lab, an_order(kind, instance_types=TYPES, target_capacity=boxes)):
        if lab.compute.launch(attempt).outcome == "launched":
            break
    lab.wait()
    found = [instance_of(lab, one) for one in alive(lab) if one not in before]
    assert [(box.type, box.zone) for box in found] == [(TYPES[1], last)] * boxes


def test_a_launch_that_fell_through_says_where_there_was_no_room(lab: WorldLab) -> None:
    """Beside the box that it started."""
    lab.lose_capacity(TYPES[0])
    (attempt,) = calls_of(lab, an_order(instance_types=TYPES))
    answer = lab.compute.launch(attempt)
    assert answer.outcome == "launched"
    assert {(one.instance_type, one.code) for one in answer.refusals} <= {
        (TYPES[0], "InsufficientInstanceCapacity")
    }


@FLEETS
def test_a_cap_below_the_market_is_price_too_low(lab: WorldLab, kind: RequestType) -> None:
    """In every zone; EC2's words have the price that would do."""
    refusal = refused(lab, an_order(kind, max_price_usd_per_hour=Decimal("0.002")))
    assert refusal.slug == "price-too-low"
    assert "fulfillment price" in refusal.detail
    assert {code for _, _, code in where(refusal)} == {"SpotMaxPriceTooLow"}


@FLEETS
@pytest.mark.parametrize(
    "code, slug",
    [
        ("MaxSpotInstanceCountExceeded", "spot-quota"),
        ("AuthFailure.ServiceLinkedRoleCreationNotPermitted", "service-linked-role"),
    ],
)
def test_a_refused_call_is_its_mistake(lab: WorldLab, kind: RequestType, code: str, slug: str) -> None:
    """Whichever call it was."""
    for operation in ("CreateFleet", "RunInstances"):
        lab.world.fault(service="ec2", operation=operation, code=code)
    assert refused(lab, an_order(kind)).slug == slug


def test_a_mistake_that_only_a_fleet_s_errors_tell_is_read_there(lab: WorldLab) -> None:
    """The call itself succeeds."""
    lab.world.fault(service="ec2", operation="FleetLaunch", code="MaxSpotInstanceCountExceeded")
    refusal = refused(lab, an_order(instance_types=TYPES))
    assert refusal.slug == "spot-quota"
    assert where(refusal) == {
        (name, zone, "MaxSpotInstanceCountExceeded") for name in TYPES for zone in zones(REGION)
    }


# -- what is known of types, prices and images before ----------------------------------------------------------------------


def test_the_dated_table_has_what_ec2_tells(lab: WorldLab) -> None:
    """Type by type where both know one; parts of a GPU are in neither."""
    told = lab.compute.gpu_types(REGION)
    assert told.lacking == ()
    table = {one.instance_type: one for one in dated_table()}
    assert {one.instance_type for one in told.types} <= set(table)
    assert all(table[one.instance_type] == one for one in told.types)
    assert not [name for name in table if name.startswith(("g6f.", "gr6f."))]


def test_without_an_answer_the_table_stands_in(lab: WorldLab) -> None:
    """And says why."""
    lab.world.fault(service="ec2", operation="DescribeInstanceTypes", code="UnauthorizedOperation")
    told = lab.compute.gpu_types(REGION)
    assert told.types == dated_table()
    assert "UnauthorizedOperation" in told.lacking[0]


def test_spot_prices_of_several_types_are_one_question(lab: WorldLab) -> None:
    """By zone, the price in force."""
    lab.world.set_price(f"{REGION}a", "g5.xlarge", Decimal("0.4"))
    lab.wait(60)
    told = Ec2Prices(lab.aws).spot_now(REGION, TYPES, now=lab.now)
    assert set(told) == set(TYPES)
    assert set(told["g5.xlarge"]) == set(zones(REGION))
    assert told["g5.xlarge"][f"{REGION}a"] == Decimal("0.4")


def test_an_image_of_another_region_is_found_there(lab: WorldLab) -> None:
    """By its id, in those regions that have it."""
    catalogue = Ec2Catalogue(lab.aws)
    there = current(catalogue.deep_learning("eu-west-1", X86_64)) or ""
    assert lab.compute.image(REGION, there) is None
    assert catalogue.regions_with(there, [REGION, "eu-west-1"]) == ("eu-west-1",)


def test_an_image_says_for_which_processors_it_is(lab: WorldLab) -> None:
    """As EC2 tells."""
    catalogue = Ec2Catalogue(lab.aws)
    for architecture in (X86_64, ARM64):
        found = lab.compute.image(REGION, current(catalogue.deep_learning(REGION, architecture)) or "")
        assert found is not None
        assert found.architecture == architecture
