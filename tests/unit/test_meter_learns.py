"""What the meter is told from time to time: volumes and egress, after the kills and never in their way."""

from decimal import Decimal

import pytest

from chalicelib.domain.lease import Lease
from chalicelib.domain.storage import Volume
from chalicelib.usecases import report
from chalicelib.web import views
from tests.builders import HOUR, MINUTE, Stage, at, gp3, minutes, usd

GB = 2**30


@pytest.fixture
def stage() -> Stage:
    """A Curfew whose boxes are never idle for want of samples."""
    stage = Stage()
    stage.put_policy(lease={"max_for": "P3D"})
    return stage


def asked(stage: Stage, operation: str = "volumes") -> int:
    return sum(1 for call in stage.compute.calls if call.operation == operation)


def box_of(lease: Lease) -> str:
    (box,) = lease.instance_ids
    return box


def data_disk(stage: Stage, box: str, gib: int = 500) -> Volume:
    return Volume(
        id="vol-data",
        instance_id=box,
        type="gp2",
        gib=gib,
        since=stage.clock.now(),
        outlives_box=True,
    )


def viewed(stage: Stage, lease: Lease) -> dict[str, object]:
    shown: dict[str, object] = views.lease(report.lease(stage.services, lease.id))
    return shown


# -- volumes -----------------------------------------------------------------------------------------------------------


def test_volumes_are_asked_for_once_and_then_once_an_hour(stage: Stage) -> None:
    """The first sweep after a launch learns them; a volume that grew keeps its id, so they are asked again."""
    lease = stage.launch(volume_gib=200, lasts_for=10 * HOUR)
    stage.until(at("09:59"))
    assert asked(stage) == 1
    (disk,) = stage.lease(lease.id).volumes
    assert (disk.gib, disk.type, disk.since) == (200, "gp3", at("09:00"))
    stage.box(box_of(lease)).disks = gp3(1000)
    stage.until(at("10:30"))
    assert asked(stage) == 2
    assert [one.gib for one in stage.lease(lease.id).volumes] == [200, 1000]


def test_a_volume_that_comes_is_seen_at_once(stage: Stage) -> None:
    """The box itself names it."""
    lease = stage.launch(lasts_for=10 * HOUR)
    stage.until(at("09:10"))
    box = box_of(lease)
    stage.box(box).kept_disks = (data_disk(stage, box),)
    stage.after(MINUTE)
    kept = stage.lease(lease.id)
    assert [(one.id, one.type, one.outlives_box) for one in kept.volumes][1:] == [("vol-data", "gp2", True)]
    stage.box(box).kept_disks = ()
    stage.after(MINUTE)
    assert [one.until for one in stage.lease(lease.id).volumes] == [None, at("09:12")]


def test_an_event_about_one_box_does_not_count_as_a_look_at_the_others(stage: Stage) -> None:
    """A disk of the other one that grew bills as grown since both were looked at."""
    lease = stage.launch(target_capacity=2, lasts_for=10 * HOUR)
    one, other = lease.instance_ids
    stage.until(at("09:30"))
    stage.box(other).disks = gp3(1000)
    stage.clock.at = at("10:05")
    stage.sweep(only=one)
    stage.until(at("10:06"))
    grown = [disk for disk in stage.lease(lease.id).volumes if disk.gib == 1000]
    assert [(disk.instance_id, disk.since) for disk in grown] == [(other, at("09:00"))]


def test_adoption_knows_its_box_s_volumes_from_the_first_minute(stage: Stage) -> None:
    """They are asked for before its hold is made, and once more with its addresses when all ends are made."""
    box = stage.compute.start()
    stage.box(box).kept_disks = (data_disk(stage, box),)
    stage.sweep()
    stage.after(MINUTE)
    lease = stage.only_lease()
    assert {one.gib for one in lease.volumes} == {45, 500}
    assert lease.storage_gib == 545
    assert asked(stage) == 2


def test_volumes_that_cannot_be_asked_for_hold_nothing_up(stage: Stage) -> None:
    """The assumed size goes on, the sweep says what it lacks, and asks again."""
    lease = stage.launch(volume_gib=200, lasts_for=HOUR)
    stage.compute.fail("volumes", times=1000)
    record = stage.until(at("09:30"))
    assert any("DescribeVolumes us-east-1" in lacking for lacking in record.lacking)
    stage.until(at("10:05"))
    assert stage.alive == []
    assert stage.receipt(lease.id).storage_usd > 0


def test_what_outlives_its_box_is_named_with_what_it_goes_on_costing(stage: Stage) -> None:
    """In the receipt: 500 GiB of gp2 are $50 a month."""
    lease = stage.launch(lasts_for=HOUR)
    box = box_of(lease)
    stage.box(box).kept_disks = (data_disk(stage, box),)
    stage.until(at("10:10"))
    receipt = stage.receipt(lease.id)
    assert [(left.volume_id, left.monthly_usd) for left in receipt.leftovers] == [("vol-data", usd(50))]
    told = viewed(stage, lease)
    assert told["leftovers"] == [
        {
            "volume_id": "vol-data",
            "region": "us-east-1",
            "instance_id": box,
            "type": "gp2",
            "gib": 500,
            "monthly_usd": "50.00",
            "address_id": None,
            "ip": None,
        }
    ]


def test_a_stopped_box_says_what_its_disks_go_on_costing(stage: Stage) -> None:
    """The receipt of an adopted box that its owner stopped."""
    box = stage.compute.start()
    stage.sweep()
    lease = stage.only_lease()
    stage.compute.stop("us-east-1", [box])
    stage.after(MINUTE)
    stage.after(MINUTE)
    assert [left.gib for left in stage.receipt(lease.id).leftovers] == [45]


# -- egress --------------------------------------------------------------------------------------------------------------


def test_what_was_sent_is_asked_once_an_hour_and_at_the_end(stage: Stage) -> None:
    """Each question begins where the last one ended, in whole five minutes, and what comes late is waited for."""
    lease = stage.launch(lasts_for=2 * HOUR + minutes(30), egress_gb=100)
    box = box_of(lease)
    stage.metrics.send(box, 10 * GB, at=at("09:30"))
    stage.until(at("10:09"))
    assert stage.metrics.asked_what_was_sent == []
    stage.until(at("10:10"))
    assert stage.lease(lease.id).egress_bytes == 10 * GB
    stage.metrics.send(box, 5 * GB, at=at("11:25"))
    stage.until(at("11:40"))
    windows = [(since, until) for _, _, since, until in stage.metrics.asked_what_was_sent]
    assert windows == [
        (at("09:00"), at("10:00")),
        (at("10:00"), at("11:00")),
        (at("11:00"), at("11:35")),
    ]
    receipt = stage.receipt(lease.id)
    assert receipt.egress_usd == 15 * usd("0.09")
    assert receipt.cost_usd == pytest.approx(
        receipt.compute_usd + receipt.storage_usd + receipt.public_ipv4_usd + receipt.egress_usd,
        abs=Decimal("0.000001"),
    )


def test_what_is_not_known_ends_nothing_and_says_since_when(stage: Stage) -> None:
    """CloudWatch is silent: the meter counts no egress, the view says so, and the lease ends at its hour as any."""
    lease = stage.launch(lasts_for=4 * HOUR)
    stage.metrics.fail("us-east-1")
    stage.metrics.send(box_of(lease), 10_000 * GB, at=at("09:30"))
    record = stage.until(at("12:00"))
    assert any("NetworkOut us-east-1" in one for one in record.lacking)
    assert viewed(stage, lease)["egress"] == "unknown since 2026-11-23T09:00:00Z"
    assert stage.alive == [box_of(lease)]
    stage.until(at("13:05"))
    assert stage.alive == []
    assert stage.receipt(lease.id).cause == "expired"


def test_egress_beyond_its_allowance_ends_a_lease_for_money(stage: Stage) -> None:
    """Up to the allowance it is paid for by that alone; what is beyond takes from the rest like any other cost."""
    within = stage.launch(lasts_for=8 * HOUR, egress_gb=100, key="within")
    beyond = stage.launch(lasts_for=8 * HOUR, egress_gb=100, key="beyond")
    stage.metrics.send(box_of(within), 100 * GB, at=at("09:30"))
    stage.metrics.send(box_of(beyond), 250 * GB, at=at("09:30"))
    stage.until(at("10:15"))
    assert stage.alive == [box_of(within)]
    assert stage.receipt(beyond.id).cause == "over_budget"
    stage.until(at("16:30"))
    assert stage.alive == [box_of(within)], "its hold pays for its hours as if it had sent nothing"


def test_a_view_tells_the_parts_of_the_cost_and_how_far_egress_is_known(stage: Stage) -> None:
    """Together they are what has accrued."""
    lease = stage.launch(lasts_for=8 * HOUR)
    stage.metrics.send(box_of(lease), 2 * GB, at=at("09:30"))
    assert viewed(stage, lease)["egress"] is None
    stage.until(at("10:30"))
    told = viewed(stage, lease)
    assert told["egress"] == "known until 2026-11-23T10:00:00Z"
    parts = [Decimal(str(told[f"{part}_usd"])) for part in ("compute", "storage", "public_ipv4", "egress")]
    assert sum(parts) == Decimal(str(told["accrued_usd"]))
    assert parts[3] == usd("0.18")


def test_a_box_at_rest_is_not_asked_what_it_sends(stage: Stage) -> None:
    """What does not run sends nothing."""
    box = stage.compute.start(market="persistent")
    stage.sweep()
    stage.compute.ec2.no_capacity.add(("us-east-1", "g5.xlarge"))
    stage.until(at("10:30"))
    stage.compute.ec2.interrupt(box)
    stage.until(at("16:00"))
    assert [until for *_, until in stage.metrics.asked_what_was_sent][-1] <= at("11:35")


# -- what is free ----------------------------------------------------------------------------------------------------------


def test_an_interruption_within_the_first_hour_costs_only_its_disk_and_address(stage: Stage) -> None:
    """The receipt says so."""
    lease = stage.launch(lasts_for=4 * HOUR)
    stage.until(at("09:40"))
    stage.compute.ec2.interrupt(box_of(lease))
    stage.until(at("09:50"))
    receipt = stage.receipt(lease.id)
    assert receipt.compute_usd == 0
    assert receipt.public_ipv4_usd > 0


def test_a_stopped_box_without_a_lease_shows_what_its_disks_cost(stage: Stage) -> None:
    """Nobody adopts what is at rest, and it bills all the same; what EC2 does not tell is left out."""
    box = stage.compute.start(disks=gp3(730))
    stage.compute.stop("us-east-1", [box])
    stage.clock.advance(MINUTE)
    (seen,) = report.instances(stage.services).items
    assert (seen.lease, seen.cost.hourly_usd) == (None, usd("0.08"))
    stage.compute.fail("volumes")
    (unseen,) = report.instances(stage.services).items
    assert unseen.cost.hourly_usd == 0
