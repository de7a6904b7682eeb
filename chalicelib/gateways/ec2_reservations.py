"""Capacity that is reserved, by DescribeCapacityReservations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chalicelib.domain.reservations import Reservation
from chalicelib.gateways.aws import AWS_ERRORS, HURRIED, Aws, unavailable
from chalicelib.gateways.ec2_observe import to_tags

ACTIVE: Any = [{"Name": "state", "Values": ["active"]}]


def reservations(aws: Aws, region: str) -> tuple[Reservation, ...]:
    """Those that are active. Raises Unavailable."""
    paginator = aws.ec2(region, HURRIED).get_paginator("describe_capacity_reservations")
    try:
        return tuple(
            to_reservation(raw, region)
            for page in paginator.paginate(Filters=ACTIVE)
            for raw in page.get("CapacityReservations") or []
            if raw.get("CapacityReservationId")
        )
    except AWS_ERRORS as error:
        raise unavailable(f"describing capacity reservations in {region}", error) from error


def to_reservation(raw: Mapping[str, Any], region: str) -> Reservation:
    """One of an answer; without a count of what is free nothing of it is taken to be."""
    return Reservation(
        id=raw["CapacityReservationId"],
        region=region,
        type=raw.get("InstanceType") or "unknown",
        zone=raw.get("AvailabilityZone"),
        total=int(raw.get("TotalInstanceCount") or 0),
        unused=int(raw.get("AvailableInstanceCount") or 0),
        kind=raw.get("ReservationType") or "default",
        ends_at=raw.get("EndDate"),
        tags=to_tags(raw),
    )
