"""CreateCapacityReservation, DescribeCapacityReservations, CancelCapacityReservation."""

from __future__ import annotations

from typing import Any

from localaws.ec2.launching import tag_map
from localaws.ec2.reservations import CapacityReservation
from localaws.ec2.spot_terms import aware
from localaws.errors import AwsError
from localaws.events.bus import ACCOUNT
from localaws.onmoto import backend
from localaws.operations import Call, operation
from localaws.places import zones
from localaws.protocol.filters import matches
from localaws.protocol.paging import page

READERS = {
    "instance-type": lambda one: one.type,
    "availability-zone": lambda one: one.zone,
    "instance-platform": lambda one: one.platform,
    "instance-match-criteria": lambda one: one.match,
    "tenancy": lambda _: "default",
    "owner-id": lambda _: ACCOUNT,
}


@operation("ec2", "CreateCapacityReservation")
def create_capacity_reservation(call: Call) -> dict[str, Any]:
    """For immediate use; a limited one needs its end, an unlimited one has none (botocore)."""
    params = call.params
    for unknown in ("StartDate", "CommitmentDuration"):
        if params.get(unknown):
            raise AwsError("UnsupportedOperation", f"{unknown}: future-dated reservations are not simulated")
    zone = params.get("AvailabilityZone")
    if zone not in zones(call.region):
        raise AwsError("InvalidAvailabilityZone", f"The Availability Zone {zone} does not exist")
    ends_at, limited = aware(params.get("EndDate")), params.get("EndDateType") == "limited"
    if (ends_at is not None) is not limited:
        raise AwsError(
            "InvalidParameterCombination", "EndDate goes with the EndDateType limited, and only with it"
        )
    if ends_at is not None and ends_at <= call.world.now:
        raise AwsError(
            "InvalidParameterValue", f"The EndDate {ends_at:%Y-%m-%dT%H:%M:%SZ} is not in the future"
        )
    count = int(params["InstanceCount"])
    if count < 1:
        raise AwsError("InvalidParameterValue", f"InstanceCount must be at least 1, not {count}")
    made = call.world.reservations.create(
        call.region,
        zone,
        params["InstanceType"],
        count,
        platform=params["InstancePlatform"],
        match=params.get("InstanceMatchCriteria", "open"),
        ends_at=ends_at,
        tags=tag_map(params, "capacity-reservation"),
    )
    return {"CapacityReservation": _shown(call, made)}


@operation("ec2", "DescribeCapacityReservations")
def describe_capacity_reservations(call: Call) -> dict[str, Any]:
    """Those of the region in every state (botocore)."""
    asked = call.params.get("CapacityReservationIds", [])
    found = (
        [_asked(call, one) for one in asked]
        if asked
        else [one for one in call.world.reservations if one.region == call.region]
    )
    tags, readers = (
        backend.ec2_backend(call.region).tags,
        {**READERS, "state": lambda one: one.state(call.world.now)},
    )
    found = [one for one in found if matches(one, tags.get(one.id, {}), call.filters(), readers)]
    some, token = page(found, call.params.get("NextToken"), call.params.get("MaxResults"), least=1)
    return {"CapacityReservations": [_shown(call, one) for one in some], "NextToken": token}


@operation("ec2", "CancelCapacityReservation")
def cancel_capacity_reservation(call: Call) -> dict[str, Any]:
    """An active one: its capacity is given back at once, its instances run on (botocore)."""
    found = _asked(call, call.params["CapacityReservationId"])
    state = found.state(call.world.now)
    if state != "active":
        raise AwsError("InvalidCapacityReservationState", f"The capacity reservation {found.id} is {state}")
    found.cancelled_at = call.world.now
    return {"Return": True}


def _asked(call: Call, reservation_id: str) -> CapacityReservation:
    found = call.world.reservations.find(reservation_id, call.region)
    if found is None:
        raise AwsError(
            "InvalidCapacityReservationId.NotFound",
            f"The capacity reservation ID '{reservation_id}' does not exist",
        )
    return found


def _shown(call: Call, one: CapacityReservation) -> dict[str, Any]:
    state = one.state(call.world.now)
    free = one.count - call.world.reservations.used(one) if state == "active" else 0
    tags = backend.ec2_backend(one.region).tags.get(one.id, {})
    return {
        "CapacityReservationId": one.id,
        "OwnerId": ACCOUNT,
        "CapacityReservationArn": f"arn:aws:ec2:{one.region}:{ACCOUNT}:capacity-reservation/{one.id}",
        "InstanceType": one.type,
        "InstancePlatform": one.platform,
        "AvailabilityZone": one.zone,
        "Tenancy": "default",
        "TotalInstanceCount": one.count,
        "AvailableInstanceCount": free,
        "State": state,
        "StartDate": one.created_at,
        "CreateDate": one.created_at,
        "EndDate": one.ends_at,
        "EndDateType": "limited" if one.ends_at else "unlimited",
        "InstanceMatchCriteria": one.match,
        "ReservationType": "default",
        "Tags": [{"Key": key, "Value": value} for key, value in tags.items()],
    }
