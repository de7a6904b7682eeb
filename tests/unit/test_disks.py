"""Disks: what a launch holds for them is what they cost, whatever they are."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.domain.admission import worst_case
from chalicelib.domain.errors import Refused
from chalicelib.domain.lease import LaunchOrder
from chalicelib.domain.meter import measure
from chalicelib.domain.money import up_to_cent
from chalicelib.domain.rates import US_EAST_1
from chalicelib.domain.storage import MONTH, Disk, Volume
from chalicelib.gateways import dynamodb_codec as codec
from chalicelib.gateways.ec2_attempts import attempts
from chalicelib.ports import Image
from chalicelib.usecases.extend import extend
from chalicelib.usecases.launch import quote
from tests.builders import HOUR, Stage, at, gp3, lease, minutes, order, prices, run, usd
from tests.doubles.memory_ec2 import AMI
from tests.doubles.memory_ports import START
from tests.doubles.memory_records import disks_asked_for

FAST = Disk(device="/dev/sdf", gib=100, type="io2", iops=10_000)
FAST_USD = US_EAST_1.volume_usd(100, HOUR, kind="io2", iops=10_000)
MARGIN = minutes(15)
DUST = Decimal("1e-18")
"""Decimals are divided to 28 digits."""

types = st.sampled_from(["gp3", "gp2", "io1", "io2", "st1", "sc1", "standard", "io3", None])
disks = st.builds(
    Disk,
    gib=st.integers(1, 16_000),
    type=types,
    iops=st.integers(100, 100_000),
    throughput=st.none() | st.integers(125, 2_000),
)


@st.composite
def images(draw: st.DrawFn) -> Image:
    """An image with up to four disks beside its root."""
    others = draw(st.lists(disks, max_size=4))
    return replace(
        AMI,
        root_iops=draw(st.integers(3_000, 16_000)),
        root_throughput=draw(st.integers(125, 1_000)),
        other_disks=tuple(replace(one, device=f"/dev/sd{'fghi'[n]}") for n, one in enumerate(others)),
    )


orders = st.builds(
    order,
    lasts_for=st.integers(60, 500_000).map(lambda seconds: timedelta(seconds=seconds)),
    target_capacity=st.integers(1, 4),
    volume_gib=st.none() | st.integers(45, 2_000),
)


def asked_of_ec2(wish: LaunchOrder, image: Image) -> tuple[Disk, ...]:
    """The disks that a launch names to EC2."""
    (attempt,) = attempts(
        wish,
        lease_id="lease-1",
        owner="ada",
        price_caps=dict.fromkeys(wish.instance_types, usd(1)),
        image=image,
        expires_at=START + wish.lasts_for,
        valid_until=START + wish.lasts_for,
        now=START,
    )
    return disks_asked_for(attempt.parameters["launch_template"]["LaunchTemplateData"])


def stocked(*others: Disk) -> Stage:
    """A Curfew whose image has these disks beside its root."""
    stage = Stage()
    stage.compute.ec2.images[AMI.id] = replace(AMI, other_disks=others)
    return stage


@settings(max_examples=200)
@given(
    image=images(), wish=orders, region=st.sampled_from(["us-east-1", "eu-west-1"]), is_known=st.booleans()
)
def test_no_disk_costs_more_than_is_held_for_it(
    image: Image, wish: LaunchOrder, region: str, *, is_known: bool
) -> None:
    """For any image and order, the meter's storage for time and margin stays below the hold's, seen or not yet seen."""
    wish = replace(wish, region=region, max_price_usd_per_hour=usd(1))
    held = image.disks(wish.volume_gib)
    hold = worst_case(wish, disks=held, prices=prices(), margin=MARGIN)
    boxes = [f"i-{number}" for number in range(wish.target_capacity)]
    volumes = [
        Volume(
            id=f"vol-{box}-{number}",
            instance_id=box,
            type=disk.type or "",
            gib=disk.gib,
            iops=disk.iops,
            throughput=disk.throughput,
            since=START,
        )
        for box, (number, disk) in product(boxes, enumerate(asked_of_ec2(wish, image)))
    ]
    its = lease(
        region=region,
        runs=tuple(run(instance_id=box, started_at=START) for box in boxes),
        disks=held,
        volumes=tuple(volumes) if is_known else (),
    )
    cost = measure(its, prices(), START + wish.lasts_for + MARGIN)
    assert cost.storage_usd <= hold.storage_usd + DUST


@settings(max_examples=100)
@given(images(), orders)
def test_ec2_is_asked_for_what_is_held(image: Image, wish: LaunchOrder) -> None:
    """The same disks at the same price; IOPS are left out only where the type has no choice of them."""
    told, held = asked_of_ec2(wish, image), image.disks(wish.volume_gib)
    assert [(one.device, one.gib, one.type) for one in told] == [
        (one.device, one.gib, one.type) for one in held
    ]
    for sent, kept in zip(told, held, strict=True):
        assert sent.usd(US_EAST_1, MONTH) <= kept.usd(US_EAST_1, MONTH)
        if kept.type in US_EAST_1.volumes:
            assert sent.usd(US_EAST_1, MONTH) == kept.usd(US_EAST_1, MONTH)


def test_a_disk_with_provisioned_iops_is_held_at_its_price() -> None:
    """100 GiB of io2 with 10,000 IOPS cost $662.50 a month, not the $8 of gp3; in the quote, too."""
    stage = stocked(FAST)
    its = stage.launch(lasts_for=HOUR, volume_gib=100)
    length = HOUR + MARGIN
    assert FAST.usd(US_EAST_1, MONTH) == usd("662.5")
    assert its.hold.storage_usd == up_to_cent(
        US_EAST_1.volume_usd(100, length) + US_EAST_1.volume_usd(100, length, kind="io2", iops=10_000)
    )
    assert its.hold.hourly_usd > FAST_USD
    wish = order(lasts_for=HOUR, volume_gib=100)
    assert quote(stage.services, wish, owner="bob").hold == its.hold


def test_a_type_that_nobody_knows_is_held_as_the_dearest() -> None:
    """EC2 may get another one tomorrow; a type that it does not tell is the same."""
    for kind in ("io3", None):
        its = stocked(replace(FAST, type=kind)).launch(lasts_for=HOUR)
        dearest = max(
            US_EAST_1.volume_usd(100, HOUR + MARGIN, kind=one, iops=10_000) for one in US_EAST_1.volumes
        )
        assert its.hold.storage_usd >= dearest


def test_a_longer_lease_holds_its_disks_for_longer() -> None:
    """A PATCH reckons with the disks that the lease remembers."""
    stage = stocked(FAST)
    its = stage.launch(lasts_for=HOUR)
    longer = extend(stage.services, its.id, lasts_for=2 * HOUR, budget_usd=None, by="ada")
    assert longer.hold.storage_usd - its.hold.storage_usd >= FAST_USD - usd("0.01")


def test_a_longer_lease_holds_what_its_boxes_have_got_since() -> None:
    """A disk that was attached, or grew, after the launch is known by then, and dearer than what was held."""
    stage = Stage()
    its = stage.launch(lasts_for=10 * HOUR)
    stage.box(its.instance_ids[0]).disks = (*gp3(45), FAST)
    stage.until(at("10:10"))
    longer = extend(stage.services, its.id, lasts_for=11 * HOUR, budget_usd=None, by="ada")
    assert longer.hold.storage_usd >= 11 * FAST_USD


def test_a_found_box_s_disks_are_held_at_their_price() -> None:
    """Its hold is for what it has, and more hours hold more of it."""
    stage = Stage()
    stage.compute.start(disks=(*gp3(45), FAST))
    stage.sweep()
    its = stage.only_lease()
    assert its.hold.storage_usd >= 8 * FAST_USD
    longer = extend(stage.services, its.id, lasts_for=10 * HOUR, budget_usd=None, by="ada")
    assert longer.hold.storage_usd >= 10 * FAST_USD


def test_a_cap_must_pay_for_the_disks_while_it_ends() -> None:
    """The margin of a box at $1.006 with that disk costs 48 cents; 40 would end it at once."""
    with pytest.raises(Refused) as told:
        stocked(FAST).launch(lasts_for=HOUR, budget_usd=usd("0.40"))
    assert told.value.slug == "budget-too-small"


def test_a_capped_lease_with_dear_disks_ends_before_it_costs_more() -> None:
    """The rule counts what they cost while it ends, from the first minute, before any volume was looked at."""
    stage = stocked(replace(FAST, iops=60_000))
    stage.compute.fail("volumes", times=1000)
    its = stage.launch(lasts_for=8 * HOUR, budget_usd=usd(10))
    stage.until(at("12:00"))
    assert stage.alive == []
    assert stage.receipt(its.id).cost_usd <= 10


def test_a_lease_that_knows_its_size_alone_is_read_as_gp3() -> None:
    """As the version that wrote it meant it."""
    its = lease(storage_gib=730, runs=(run(),))
    assert codec.from_text(type(its), codec.to_text(its)) == its
    assert its.box_disks == gp3(730)
    text = codec.to_text(replace(its, disks=(FAST,)))
    assert codec.from_text(type(its), text).box_disks == (FAST,)
