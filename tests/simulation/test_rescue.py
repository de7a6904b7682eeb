"""Boxes that are saved at their end, by the real gateways: in order, within the hold, and beside what is really billed."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from chalicelib.domain.lease import Lease, OnEnd, RequestType, Status
from localaws.world import World
from tests.simulation.town import MINUTE, Town

HOUR = timedelta(hours=1)
MONTH = timedelta(hours=730)
KINDS = [RequestType.ONE_TIME, RequestType.PERSISTENT]


def saved(town: Town, kind: RequestType) -> Lease:
    """A box for an hour that is saved then; the lease, once that is over."""
    order = town.order(request_type=kind, lasts_for=HOUR, on_end=OnEnd.IMAGE, project="train")
    lease = town.launch(order, key=f"saved {town.now}")
    assert lease is not None
    town.world.advance(HOUR - MINUTE)
    for _ in range(30):
        town.world.advance(MINUTE)
        town.sweep()
    closed = town.services.store.lease(lease.id)
    assert closed is not None
    assert closed.status is Status.CLOSED
    return closed


def snapshots_usd(world: World) -> Decimal:
    """What the account was billed for snapshots."""
    billed = world.truth()["bill"]["usage_types"]
    return sum((Decimal(usd) for name, usd in billed.items() if "SnapshotUsage" in name), Decimal(0))


@pytest.mark.parametrize("kind", KINDS)
def test_a_box_is_saved_within_its_hold_and_its_image_costs_what_was_charged(kind: RequestType) -> None:
    """All its bill, with the first month of its snapshots, stays within the hold; the month is charged to the cent."""
    with World(regions=["us-east-1"], seed=5) as world:
        town = Town(world)
        closed = saved(town, kind)
        box = world.boxes.of(closed.instance_ids[0])
        (image,) = world.account.images
        assert image.state == "available"
        receipt = town.services.store.receipt(closed.id)
        assert receipt is not None
        assert [(one.id, one.state) for one in receipt.images] == [(image.id, "available")]
        before = snapshots_usd(world)
        world.advance(MONTH)
        month = snapshots_usd(world) - before
        assert abs(month - receipt.snapshot_usd) < Decimal("0.01")
        assert world.bill(box).total_usd + month <= closed.hold.total_usd
        assert closed.final_usd is not None
        assert closed.final_usd <= closed.hold.total_usd
        called = [call["operation"] for call in world.truth()["calls"]]
        if kind is RequestType.PERSISTENT:  # it has stopped itself at its end
            assert called.index("CreateImage") < called.index("CancelSpotInstanceRequests")


def test_a_saved_image_is_launched_from_as_mine() -> None:
    """With the disk that it has; the new box is nothing of the old lease."""
    with World(regions=["us-east-1"], seed=5) as world:
        town = Town(world)
        closed = saved(town, RequestType.ONE_TIME)
        (image,) = world.account.images
        again = town.launch(town.order(image="mine:train", lasts_for=HOUR), key="again")
        assert again is not None
        box = world.boxes.of(again.instance_ids[0])
        assert box.moto.image_id == image.id
        (told,) = [one for one in world.truth()["instances"] if one["id"] == box.id]
        assert told["tags"]["curfew:lease"] == again.id != closed.id


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("dies_at", [9])
def test_a_sweep_that_dies_while_it_saves_makes_one_image(dies_at: int, after: bool) -> None:  # noqa: FBT001
    """The next ones find it by its name, and end the box once."""
    with World(regions=["us-east-1"], seed=5) as world:
        town = Town(world)
        order = town.order(lasts_for=5 * MINUTE, on_end=OnEnd.IMAGE)
        lease = town.launch(order, key="saved")
        assert lease is not None
        world.advance(5 * MINUTE)
        town.sweep(dies_at=dies_at, after=after)
        for _ in range(15):
            world.advance(MINUTE)
            town.sweep()
        assert len(list(world.account.images)) == 1
        closed = town.services.store.lease(lease.id)
        assert closed is not None
        assert closed.status is Status.CLOSED
        assert [one.state for one in closed.images] == ["available"]
