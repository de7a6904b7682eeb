"""Launches that a fleet maintains, on localaws with the real gateways: replaced while they last, ended for good."""

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from chalicelib.domain.lease import Lease, OnEnd, RequestType, Status
from chalicelib.usecases import report
from localaws.world import World
from tests.simulation.town import Town

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)


@pytest.fixture
def town() -> Iterator[Town]:
    with World(regions=["us-east-1"], seed=5) as world:
        yield Town(world)


def launched(town: Town, **wishes: Any) -> Lease:
    order = town.order(request_type=RequestType.MAINTAIN, target_capacity=2, lasts_for=HOUR, **wishes)
    lease = town.launch(order, key="one")
    assert lease is not None
    return lease


def now(town: Town, lease: Lease) -> Lease:
    found = town.services.store.lease(lease.id)
    assert found is not None
    return found


def fleets(town: Town) -> list[str]:
    return [fleet.id for fleet in town.world.fleets if fleet.state == "active"]


def nothing_comes_back(town: Town) -> bool:
    town.world.advance(2 * HOUR)
    town.sweep()
    return (town.alive, fleets(town), town.services.store.open_leases()) == ([], [], ())


def test_what_replaces_an_interrupted_box_is_the_lease_s_until_its_hour(town: Town) -> None:
    """Two at a time, each with its run; then the fleet goes with all it ran, within what was held."""
    lease = launched(town)
    town.minutes(20)
    lost, kept = town.alive
    town.by_hand(lost, "interrupt")
    town.minutes(10)
    assert len(town.alive) == 2
    assert kept in town.alive
    assert lost not in town.alive
    assert set(now(town, lease).instance_ids) == {box.id for box in town.boxes}
    assert len(now(town, lease).runs) == 3
    town.minutes(40)
    closed = now(town, lease)
    assert closed.status is Status.CLOSED
    assert nothing_comes_back(town)
    assert closed.final_usd is not None
    assert town.billed(town.boxes) <= closed.hold.total_usd
    assert abs(closed.final_usd - town.billed(town.boxes)) < Decimal("0.01")


def test_a_box_that_somebody_ends_is_replaced_and_deleted_with_the_others(town: Town) -> None:
    """DELETE ends whatever the fleet runs by then."""
    lease = launched(town)
    town.minutes(5)
    town.by_hand(town.alive[0], "shutdown")
    town.minutes(5)
    assert len(town.alive) == 2
    assert len(town.boxes) == 3
    town.delete(lease.id)
    town.minutes(5)
    assert now(town, lease).status is Status.CLOSED
    assert nothing_comes_back(town)


def test_a_fleet_whose_answer_was_lost_is_found(town: Town) -> None:
    """One fleet, the lease's, within two minutes; its boxes are no strays meanwhile."""
    town.world.fault(service="ec2", operation="CreateFleet", lost_answer=True)
    lease = launched(town)
    assert lease.status is Status.REQUESTED
    town.world.clear_faults()
    town.minutes(3)
    (open_lease,) = town.services.store.open_leases()
    assert (open_lease.id, open_lease.status) == (lease.id, Status.ACTIVE)
    assert [open_lease.fleet_id] == fleets(town)
    assert set(open_lease.instance_ids) == {box.id for box in town.alive}


def test_without_capacity_it_waits_for_some_until_its_hour(town: Town) -> None:
    """It holds its money and says why; what comes is its own, and what does not come leaves nothing."""
    town.world.set_capacity("*", "g5.xlarge", available=False)
    lease = launched(town)
    town.minutes(15)
    told = report.lease(town.services, lease.id)
    assert (told.lease.status, told.lease.instance_ids) == (Status.ACTIVE, ())
    assert "InsufficientInstanceCapacity" in (told.fleet_problem or "")
    town.world.set_capacity("*", "g5.xlarge", available=True)
    town.minutes(5)
    assert len(now(town, lease).instance_ids) == 2
    assert report.lease(town.services, lease.id).fleet_problem is None
    town.world.set_capacity("*", "g5.xlarge", available=False)
    for box in town.alive:
        town.by_hand(box, "terminate")
    town.minutes(50)
    assert now(town, lease).status is Status.CLOSED
    assert nothing_comes_back(town)


def test_its_boxes_are_saved_after_nothing_replaces_them_any_more(town: Town) -> None:
    """With `on_end: image`: the fleet is deleted without them, then each is imaged and ended."""
    lease = launched(town, on_end=OnEnd.IMAGE)
    town.minutes(90)
    assert now(town, lease).status is Status.CLOSED
    assert len(town.boxes) == len(list(town.world.account.images)) == 2
    assert nothing_comes_back(town)
