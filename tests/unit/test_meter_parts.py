"""The meter's parts beside a run's price: what EC2 takes back, disks by their type, addresses that come and go, egress."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from chalicelib.domain.lease import Lease, Status
from chalicelib.domain.meter import Cost, leftovers, measure
from chalicelib.domain.money import hours
from chalicelib.domain.rates import US_EAST_1
from chalicelib.domain.storage import Volume, merged
from chalicelib.gateways import dynamodb_codec as codec
from tests.builders import (
    BOX,
    HOUR,
    MINUTE,
    PRICE,
    PUBLIC_IPV4_USD_PER_HOUR,
    at,
    lease,
    prices,
    run,
    storage_usd,
    usd,
)

OTHER = "i-0aaaaaaaaaaaaaaa2"
MONTH = timedelta(hours=730)


def volume(volume_id: str = "vol-1", **facts: Any) -> Volume:
    """100 GiB of gp3 from 09:00 on."""
    return Volume(
        **{"id": volume_id, "instance_id": BOX, "type": "gp3", "gib": 100, "since": at("09:00"), **facts}
    )


def cost(now: str = "12:00", **facts: Any) -> Cost:
    return measure(lease(**facts), prices(), at(now))


# -- what EC2 takes back ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "ended, facts, billed_minutes",
    [
        ("09:59:59", {"is_interrupted": True}, 0),
        ("10:00", {"is_interrupted": True}, 60),
        ("09:59:59", {}, None),
        ("09:30", {"is_interrupted": True, "is_spot": False}, 30),
        ("09:00:10", {"is_interrupted": True}, 0),
    ],
)
def test_only_an_interruption_within_the_first_hour_is_free(
    ended: str, facts: dict[str, Any], billed_minutes: int | None
) -> None:
    """By EC2, of a spot box, in under an hour; whatever else ends a run, or is not known, is billed."""
    minutes = hours(at(ended) - at("09:00")) * 60 if billed_minutes is None else billed_minutes
    assert cost(runs=(run(at("09:00"), at(ended), **facts),)).compute_usd == PRICE * minutes / 60


def test_each_start_has_its_own_first_hour() -> None:
    """What ran before an interruption, and was billed, stays billed."""
    kept = run(at("08:00"), at("10:30"), is_interrupted=True)
    free = run(at("11:00"), at("11:40"), is_interrupted=True)
    assert cost(runs=(kept, free)).compute_usd == PRICE * hours(at("10:30") - at("08:00"))


def test_a_run_that_goes_on_is_never_free() -> None:
    """Whatever was said of it."""
    assert cost(runs=(run(at("11:30"), is_interrupted=True),)).compute_usd == PRICE / 2


# -- disks -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "facts, month",
    [
        ({}, "8"),
        ({"iops": 3000, "throughput": 125}, "8"),
        ({"iops": 6000, "throughput": 500}, "38"),
        ({"type": "gp2", "iops": 300}, "10"),
        ({"type": "io1", "iops": 1000}, "77.5"),
        ({"type": "io2", "iops": 70_000}, "3756.5"),
        ({"type": "st1"}, "4.5"),
        ({"type": "sc1"}, "1.5"),
        ({"type": "standard"}, "5"),
    ],
)
def test_a_disk_bills_by_its_type_size_iops_and_throughput(facts: dict[str, Any], month: str) -> None:
    """List prices of us-east-1 for 100 GiB."""
    assert volume(**facts).usd(US_EAST_1, MONTH) == usd(month)


def test_a_disk_of_an_unknown_type_is_never_free() -> None:
    """It costs as the dearest."""
    assert volume(type="gp9").usd(US_EAST_1, MONTH) >= usd("12.5")


def test_known_disks_bill_in_place_of_the_assumed_size() -> None:
    """Each from when it came to the box; a box whose disks are not known keeps what the lease assumes."""
    two = (run(at("09:00")), run(at("10:00"), instance_id=OTHER))
    disks = (volume(type="gp2"), volume("vol-2", gib=50, since=at("11:00")))
    storage = cost(runs=two, volumes=disks, storage_gib=45).storage_usd
    rates = US_EAST_1
    assert storage == (
        rates.volume_usd(100, 3 * HOUR, kind="gp2")
        + rates.volume_usd(50, 1 * HOUR)
        + storage_usd(45, 2 * HOUR)
    )


def test_disks_bill_from_the_lease_s_beginning_on() -> None:
    """What an adopted box's disk cost before is not the lease's."""
    old = volume(since=at("09:00", day=-30))
    assert cost(volumes=(old,)).storage_usd == storage_usd(100, 3 * HOUR)


def test_a_disk_that_outlives_its_box_bills_until_the_lease_is_closed() -> None:
    """The root goes with the box, the other stays: it is named with what it goes on costing."""
    gone = run(at("09:00"), at("10:00"), disk_ended_at=at("10:01"))
    kept = volume("vol-2", type="gp2", outlives_box=True)
    its = lease(runs=(gone,), volumes=(volume(), kept))
    measured = measure(its, prices(), at("12:00"))
    assert measured.storage_usd == storage_usd(100, 61 * MINUTE) + US_EAST_1.volume_usd(
        100, 3 * HOUR, kind="gp2"
    )
    (left,) = leftovers(its, prices())
    assert (left.volume_id, left.instance_id, left.monthly_usd) == ("vol-2", BOX, usd(10))
    closed = replace(its, closed_at=at("11:00"))
    assert measure(closed, prices(), at("12:00")).storage_usd < measured.storage_usd


def test_what_goes_with_its_box_is_no_leftover_while_that_is_on_its_way_out() -> None:
    """DELETE answers before EC2 has deleted the root volume; what is kept is named at once."""
    out = run(at("09:00"), at("10:00"))
    volumes = (volume(), volume("vol-2", outlives_box=True))
    its = lease(runs=(out,), volumes=volumes, status=Status.ENDING)
    assert [left.volume_id for left in measure(its, prices(), at("10:00")).leftovers] == ["vol-2"]


def test_a_stopped_box_names_what_its_disks_go_on_costing() -> None:
    """At rest it costs its storage and no compute; a box that runs leaves nothing over."""
    stopped = lease(runs=(run(at("09:00"), at("10:00")),), volumes=(volume(gib=1000),))
    assert [left.monthly_usd for left in leftovers(stopped, prices())] == [usd(80)]
    assert measure(stopped, prices(), at("12:00")).hourly_usd == storage_usd(1000, HOUR)
    assert leftovers(lease(volumes=(volume(outlives_box=True),)), prices()) == ()


def test_a_disk_that_was_detached_bills_no_longer() -> None:
    """It is no longer the box's."""
    assert cost(volumes=(volume(until=at("10:00")),)).storage_usd == storage_usd(100, 1 * HOUR)


def look(known: tuple[Volume, ...], *seen: Volume, at_clock: str = "11:00") -> tuple[Volume, ...]:
    return merged(known, seen, of=(BOX,), looked_at=at("10:00"), now=at(at_clock))


def test_the_same_disks_again_change_nothing() -> None:
    """However often they are looked at."""
    assert look((volume(),), volume()) == (volume(),)
    assert look((), volume()) == (volume(),)


def test_a_disk_that_grew_bills_as_grown_since_the_last_look() -> None:
    """Nobody knows when in between, so the meter takes the dearer; one that was throttled down is cheaper from now."""
    grown = look((volume(),), volume(gib=200))
    assert [(one.gib, one.since, one.until) for one in grown] == [
        (100, at("09:00"), at("10:00")),
        (200, at("10:00"), None),
    ]
    fast = volume(iops=9000)
    assert [one.until for one in look((fast,), volume(iops=3000))] == [at("11:00"), None]


def test_a_disk_that_is_not_attached_any_more_ends_there_and_another_begins() -> None:
    """Other boxes' disks are left alone, and whether it outlives the box may change."""
    others = volume("vol-9", instance_id=OTHER)
    seen = look((volume(), others), volume("vol-2", since=at("10:30")))
    assert [(one.id, one.until) for one in seen] == [
        ("vol-1", at("11:00")),
        ("vol-9", None),
        ("vol-2", None),
    ]
    assert look((volume(),), volume(outlives_box=True))[0].outlives_box


def test_a_disk_that_one_look_left_out_bills_once() -> None:
    """EC2 may show it late, attached since long before: it goes on from where it seemed to end."""
    left_out = look((volume(),), at_clock="11:00")
    back = look(left_out, volume(), at_clock="11:01")
    assert [(one.since, one.until) for one in back] == [
        (at("09:00"), at("11:00")),
        (at("11:00"), None),
    ]
    attached_anew = look(left_out, volume(since=at("13:00")), at_clock="13:01")
    assert attached_anew[-1].since == at("13:00")


# -- addresses and egress ------------------------------------------------------------------------------------------------


def test_an_address_bills_only_while_there_is_one() -> None:
    """Not for the time it was gone, and not after it was lost."""
    away = run(at("09:00"), without_ip_for=HOUR)
    assert cost(runs=(away,)).public_ipv4_usd == 2 * PUBLIC_IPV4_USD_PER_HOUR
    lost = run(at("09:00"), ip_lost_at=at("09:30"))
    assert cost(runs=(lost,)).public_ipv4_usd == PUBLIC_IPV4_USD_PER_HOUR / 2
    assert cost(runs=(lost,)).hourly_usd == PRICE


def test_what_was_sent_counts_as_sent_to_the_internet() -> None:
    """By the GB of 2^30 bytes, at the first step's price: an upper bound."""
    measured = cost(egress_bytes=10 * 2**30)
    assert measured.egress_usd == usd("0.90")
    assert measured.accrued_usd == measured.compute_usd + measured.public_ipv4_usd + usd("0.90")


# -- what is stored ----------------------------------------------------------------------------------------------------------


def test_a_lease_that_an_older_version_stored_meters_as_before() -> None:
    """Without volumes, egress and interruptions in its record."""
    document = json.loads(codec.to_text(lease(storage_gib=45)))
    for name in ("volumes", "volumes_at", "egress_bytes", "egress_until"):
        del document[name]
    for name in ("is_interrupted", "without_ip_for", "ip_lost_at"):
        del document["runs"][0][name]
    old = codec.from_text(Lease, json.dumps(document))
    measured = measure(old, prices(), at("12:00"))
    assert measured.storage_usd == storage_usd(45, 3 * HOUR)
    assert measured.accrued_usd == 3 * (PRICE + PUBLIC_IPV4_USD_PER_HOUR) + storage_usd(45, 3 * HOUR)
