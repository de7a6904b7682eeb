"""Boxes that were ended outside Curfew."""

from chalicelib.domain.lease import RequestType, Status
from tests.builders import HOUR, MINUTE, REGION, Stage, at, usd
from tests.unit.sweep_kit import BOTH, PERSISTENT, is_over, one_hour


@BOTH
def test_a_lease_whose_box_was_ended_outside_is_closed(kind: RequestType) -> None:
    """Its receipt says so, its hold goes back; a persistent one is cancelled by hand first."""
    stage = Stage()
    stage.put_budget()
    lease = stage.launch(request_type=kind)
    stage.until(at("09:30"))
    stage.compute.cancel_spot_requests(REGION, lease.spot_request_ids)
    stage.compute.terminate(REGION, lease.instance_ids)
    stage.after(MINUTE)
    receipt = stage.receipt(lease.id)
    assert (receipt.cause, receipt.ended_at) == ("gone", at("09:30"))
    assert is_over(stage)
    assert stage.left() > usd(99)


def test_a_persistent_box_that_waits_for_capacity_keeps_its_lease_until_its_hour() -> None:
    """Its request may start it again at any time; at the hour the request goes."""
    stage = Stage()
    lease = one_hour(stage)
    stage.until(at("09:10"))
    stage.compute.ec2.no_capacity = {(REGION, "g5.xlarge")}
    stage.compute.ec2.interrupt(lease.instance_ids[0])
    stage.until(at("09:59"))
    assert stage.only_lease().status is Status.ACTIVE
    stage.until(at("10:01"))
    assert is_over(stage)
    assert stage.receipt(lease.id).cost_usd < usd("0.3")


def test_a_persistent_request_without_a_box_keeps_its_lease() -> None:
    """Terminated by hand while there is no capacity: what its request starts an hour later is still the lease's."""
    stage = Stage()
    lease = stage.launch(request_type=PERSISTENT, lasts_for=3 * HOUR)
    stage.until(at("09:10"))
    stage.compute.ec2.no_capacity = {(REGION, "g5.xlarge")}
    stage.compute.ec2.terminate(REGION, lease.instance_ids[0])
    stage.until(at("10:10"))
    assert stage.only_lease().status is Status.ACTIVE
    stage.compute.ec2.no_capacity = set()
    stage.until(at("10:12"))
    assert stage.only_lease().id == lease.id
    assert stage.alive == [stage.only_lease().instance_ids[1]]
    stage.until(at("12:00"))
    assert is_over(stage)


def test_an_interrupted_one_time_box_closes_its_lease() -> None:
    """EC2 took it back: nothing is left to guard."""
    stage = Stage()
    lease = stage.launch()
    stage.until(at("09:30"))
    stage.compute.ec2.interrupt(lease.instance_ids[0])
    stage.after(MINUTE)
    assert stage.receipt(lease.id).cause == "gone"
    assert is_over(stage)
