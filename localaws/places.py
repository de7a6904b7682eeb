"""Zones and subnets: where a launch goes."""

from __future__ import annotations

from typing import Any

from localaws.errors import AwsError
from localaws.onmoto import backend


def zones(region: str) -> list[str]:
    """The zones of a region that have a default subnet, in order."""
    subnets = backend.ec2_backend(region).subnets
    return sorted(zone for zone, by_id in subnets.items() if any(s.default_for_az for s in by_id.values()))


def default_subnet(region: str, zone: str) -> str:
    for subnet in backend.ec2_backend(region).subnets.get(zone, {}).values():
        if subnet.default_for_az:
            return str(subnet.id)
    raise AwsError("InvalidParameterValue", f"Invalid availability zone: [{zone}]")


def asked_zone(region: str, params: dict[str, Any]) -> str | None:
    """The zone that the parameters of a launch name, by a subnet or as such."""
    subnets = [params.get("SubnetId"), *(nic.get("SubnetId") for nic in params.get("NetworkInterfaces", []))]
    for subnet in filter(None, subnets):
        return subnet_zone(region, subnet)
    asked: str | None = params.get("Placement", {}).get("AvailabilityZone")
    return asked or None


def subnet_zone(region: str, subnet_id: str) -> str:
    for zone, by_id in backend.ec2_backend(region).subnets.items():
        if subnet_id in by_id:
            return str(zone)
    raise AwsError("InvalidSubnetID.NotFound", f"The subnet ID '{subnet_id}' does not exist")
