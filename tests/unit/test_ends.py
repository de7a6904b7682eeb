"""The independent ends of a lease: exactly the table of the design, by kind."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.ends import End, Held, Kind, Means, Reach, ends, timers_of
from chalicelib.domain.lease import LaunchOrder, OnEnd, RequestType
from tests.builders import BOX, HOUR, REGION, REQUEST, adopted, at, lease, minutes, order, run

HELD = Held(
    lease_id="lease-1",
    region="eu-west-1",
    expires_at=at("10:00"),
    instance_ids=(BOX,),
    request_ids=(REQUEST,),
    fleet_id="fleet-1",
    guest_at=at("10:00"),
    valid_until=at("09:00", day=3),
)


def row(one: End) -> tuple[str, str, str, str, str]:
    return (str(one.means), one.call, f"{one.at:%d %H:%M}", one.region, str(one.reach))


GUEST_ENDS = ("guest", "shutdown", "23 10:00", "eu-west-1", "ends the box")
GUEST_STOPS = ("guest", "shutdown", "23 10:00", "eu-west-1", "stops compute")
EXPIRE = ("timer", "expire", "23 10:00", REGION, "ends the box")
CANCEL = ("timer", "ec2:cancelSpotInstanceRequests", "23 10:03", "eu-west-1", "stops relaunches")
FLEET = ("timer", "ec2:deleteFleets", "23 10:03", "eu-west-1", "ends the box")
TERMINATE_3 = ("timer", "ec2:terminateInstances", "23 10:03", "eu-west-1", "ends the box")
TERMINATE_5 = ("timer", "ec2:terminateInstances", "23 10:05", "eu-west-1", "ends the box")
VALID = ("aws", "ValidUntil", "26 09:00", "eu-west-1", "stops relaunches")
VALID_ENDS = ("aws", "ValidUntil", "26 09:00", "eu-west-1", "ends the box")

TABLE = {
    (Kind.ONE_TIME, ""): [GUEST_ENDS, EXPIRE, TERMINATE_3],
    (Kind.PERSISTENT, ""): [GUEST_STOPS, EXPIRE, CANCEL, TERMINATE_5, VALID],
    (Kind.MAINTAIN, "fleet"): [EXPIRE, FLEET, VALID_ENDS],
    (Kind.ADOPTED, "on-demand"): [EXPIRE, TERMINATE_3],
    (Kind.ADOPTED, "request"): [EXPIRE, CANCEL, TERMINATE_5],
    (Kind.ADOPTED, "fleet"): [EXPIRE, FLEET, TERMINATE_5],
    (Kind.ADOPTED, "request, fleet"): [EXPIRE, CANCEL, FLEET, TERMINATE_5],
}


@pytest.mark.parametrize("kind, found", list(TABLE))
def test_the_ends_of_a_kind_are_those_of_the_table(kind: Kind, found: str) -> None:
    """In the order in which they are armed: controller first, then the box."""
    held = HELD
    if kind in {Kind.MAINTAIN, Kind.ADOPTED}:
        held = replace(
            HELD,
            request_ids=HELD.request_ids if "request" in found else (),
            fleet_id=HELD.fleet_id if "fleet" in found else None,
        )
    assert [row(one) for one in ends(kind, held, home_region=REGION)] == TABLE[kind, found]


def test_a_timer_names_one_thing_alone() -> None:
    """TerminateInstances fails as a whole for one unknown id."""
    two = lease(instance_ids=("i-1", "i-2"), order=order(target_capacity=2))
    said = [json.loads(one.input) for one in timers_of(two, home_region=REGION)]
    assert said == [{"lease": "lease-1"}, {"InstanceIds": ["i-1"]}, {"InstanceIds": ["i-2"]}]


def test_what_is_gone_is_in_no_timer() -> None:
    """It would be refused an hour later."""
    gone = run(instance_id="i-1", ended_at=at("09:30"), disk_ended_at=at("09:31"))
    back = lease(request_type=RequestType.PERSISTENT, instance_ids=("i-1", "i-2"), runs=(gone,))
    assert [one.name for one in timers_of(back, home_region=REGION)] == [
        "curfew-lease-1-expire",
        f"curfew-lease-1-cancel-{REQUEST}",
        "curfew-lease-1-terminate-i-2",
    ]


def test_what_is_to_be_saved_has_the_margin_that_is_held_for() -> None:
    """A timer that comes first would take away what an image is being made of."""
    saved = lease(order=order(on_end=OnEnd.IMAGE), teardown_margin=minutes(15))
    told = [f"{one.at:%H:%M}" for one in timers_of(saved, home_region=REGION, on_end=OnEnd.IMAGE)]
    assert told == ["17:00", "17:11"]


def test_what_is_to_be_kept_stopped_is_left_to_curfew() -> None:
    """A call of AWS's that terminates is harsher than the policy asks for."""
    kept = timers_of(adopted(), home_region=REGION, on_end=OnEnd.STOP)
    assert [one.call for one in kept] == ["expire"]


KINDS = st.sampled_from(list(Kind))
IDS = st.lists(st.from_regex(r"i-[0-9a-f]{17}", fullmatch=True), max_size=3, unique=True).map(tuple)
REQUESTS = st.lists(st.from_regex(r"sir-[a-z0-9]{8}", fullmatch=True), max_size=2, unique=True).map(tuple)


@given(
    kind=KINDS,
    boxes=IDS,
    requests=REQUESTS,
    fleet=st.none() | st.just("fleet-12a34b56-78c9-4d0e-8f12-3456789abcde"),
    late=st.integers(0, 10**6),
)
def test_every_timer_has_a_name_that_scheduler_takes(
    kind: Kind, boxes: tuple[str, ...], requests: tuple[str, ...], fleet: str | None, late: int
) -> None:
    """Unique within 64 characters, and no direct call before three minutes after the end or after what is held for."""
    expires_at = at("10:00") + timedelta(seconds=late)
    held = replace(
        HELD,
        lease_id="lease-0123456789abcdef0",
        expires_at=expires_at,
        instance_ids=boxes,
        request_ids=requests,
        fleet_id=fleet,
    )
    found = [one for one in ends(kind, held, home_region=REGION) if one.means is Means.TIMER]
    names = [one.timer(held.lease_id).name for one in found]
    assert len(set(names)) == len(names)
    assert all(len(name) <= 64 for name in names)
    for one in found:
        direct = one.call != "expire"
        assert (
            one.at - expires_at == timedelta(0)
            if not direct
            else minutes(3) <= one.at - expires_at <= minutes(5)
        )
    after = [one.at for one in found if one.reach is Reach.STOPS_RELAUNCH]
    kills = [one.at for one in found if one.call == "ec2:terminateInstances"]
    assert not (after and kills) or max(after) < min(kills)


def test_every_kind_of_order_has_a_row() -> None:
    """A lease of a kind that no row is for could not be armed."""
    for request_type in RequestType:
        wish = LaunchOrder(**{**_fields(order()), "request_type": request_type})
        if request_type is not RequestType.NONE:
            assert timers_of(lease(request_type=request_type, order=wish), home_region=REGION)
        assert timers_of(adopted(request_type=request_type), home_region=REGION)


def _fields(wish: LaunchOrder) -> dict[str, object]:
    return {
        "instance_types": wish.instance_types,
        "image": wish.image,
        "region": wish.region,
        "lasts_for": HOUR,
    }
