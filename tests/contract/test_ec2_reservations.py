"""Capacity reservations as the gateway reads them, and what is kept of them."""

from decimal import Decimal

import pytest

from chalicelib.domain.errors import Unavailable
from chalicelib.domain.reservations import Reservation, ReservationLook, Unused
from chalicelib.gateways.ec2 import Ec2Compute
from chalicelib.gateways.ec2_reservations import to_reservation
from chalicelib.ports import Store
from localaws.world import World
from tests.contract.compute_labs import REGION, aws_of
from tests.contract.store_examples import NOW


def test_active_ones_are_told_with_what_is_unused() -> None:
    """One of two is taken by a box; a cancelled one is not there."""
    with World(regions=(REGION,)) as world:
        ec2 = world.session().client("ec2")
        zone = f"{REGION}a"
        wanted = {"InstanceType": "g5.xlarge", "InstancePlatform": "Linux/UNIX", "AvailabilityZone": zone}
        kept = ec2.create_capacity_reservation(**wanted, InstanceCount=2)["CapacityReservation"]
        gone = ec2.create_capacity_reservation(**wanted, InstanceCount=1)["CapacityReservation"]
        ec2.cancel_capacity_reservation(CapacityReservationId=gone["CapacityReservationId"])
        world.start_box("g5.xlarge", zone=zone)
        (seen,) = Ec2Compute(aws_of(world)).reservations(REGION)
        assert (seen.id, seen.total, seen.unused) == (kept["CapacityReservationId"], 2, 1)
        world.fault(service="ec2", operation="DescribeCapacityReservations", code="UnauthorizedOperation")
        with pytest.raises(Unavailable):
            Ec2Compute(aws_of(world)).reservations(REGION)


def test_an_answer_without_counts_claims_nothing() -> None:
    """Nor a block that it is none."""
    raw = {"CapacityReservationId": "cr-1", "ReservationType": "capacity-block"}
    seen = to_reservation(raw, REGION)
    assert (seen.unused, seen.kind, seen.type) == (0, "capacity-block", "unknown")


def test_the_last_look_is_kept(store: Store) -> None:
    """In both stores."""
    assert store.reservation_look() is None
    one = Reservation(id="cr-1", region=REGION, type="g5.xlarge", total=2, unused=1, ends_at=NOW)
    look = ReservationLook(at=NOW, unused=(Unused(reservation=one, hourly_usd=Decimal("1.006")),))
    store.keep_reservation_look(look)
    assert store.reservation_look() == look
