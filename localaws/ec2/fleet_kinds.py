"""What sets EC2 Fleets and Spot Fleets apart: how a request is written, and the words of its states and tags.

Sources: botocore, CreateFleetRequest and SpotFleetRequestConfigData; EC2 guide, "EC2 Fleet request states", "Spot Fleet
request states", "Tag an EC2 Fleet" and "Tag a Spot Fleet" (the system tags of their instances).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from moto.ec2.utils import random_fleet_id

from localaws.ec2.candidates import Candidate, fleet_candidates, spot_fleet_candidates
from localaws.ec2.launching import tag_map
from localaws.ec2.spot_terms import aware
from localaws.errors import AwsError
from localaws.model import Fleet, FleetSide, Market

INTERRUPTION_BEHAVIOURS_OF_MAINTAIN = ("stop", "hibernate")


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetKind:
    """One of the two kinds of fleets."""

    read: Callable[[str, Mapping[str, Any], datetime], Fleet]
    """The fleet of a request, given its region and the present time; what is wrong with it is an AwsError."""
    ways: Callable[[str, dict[str, Any]], list[Candidate]]
    id_tag: str
    """The system tag that its instances carry."""
    tags_requests: bool
    """Whether their spot requests carry it too."""
    own_tags: str
    """The resource type of the tags that are the fleet's own."""
    over: str
    """`deleted` or `cancelled`; `<over>_running` and `<over>_terminating` lead there."""
    ended_by: str

    def market(self, fleet: Fleet, *, spot: bool) -> Market:
        """How the truth calls a box of the fleet."""
        if self is SPOT_FLEET:
            return "spot-fleet"
        if fleet.type == "maintain":
            return "maintain"
        return "one-time" if spot else "on-demand"


def on_demand_target(params: Mapping[str, Any], total: int) -> int:
    """How much of an EC2 Fleet's total is on-demand, from its TargetCapacitySpecification."""
    if "OnDemandTargetCapacity" in params:
        return min(int(params["OnDemandTargetCapacity"]), total)
    if params.get("DefaultTargetCapacityType", "on-demand") == "spot":
        return 0
    return total - int(params.get("SpotTargetCapacity", 0))


def _read_ec2_fleet(region: str, params: Mapping[str, Any], now: datetime) -> Fleet:
    target = params["TargetCapacitySpecification"]
    total = int(target["TotalTargetCapacity"])
    spot = params.get("SpotOptions", {})
    fleet = Fleet(
        id=random_fleet_id(),
        region=region,
        type=params.get("Type", "maintain"),
        created_at=now,
        params=dict(params),
        target=total,
        on_demand_target=on_demand_target(target, total),
        ends_excess=params.get("ExcessCapacityTerminationPolicy", "termination") == "termination",
        spot=_side(spot),
        on_demand=_side(params.get("OnDemandOptions", {})),
        behaviour=spot.get("InstanceInterruptionBehavior", "terminate"),
        valid_from=aware(params.get("ValidFrom")),
        valid_until=aware(params.get("ValidUntil")),
        ends_with_expiry=bool(params.get("TerminateInstancesWithExpiration")),
    )
    _check_behaviour(fleet, "InvalidParameterCombination")
    return fleet


def _side(options: Mapping[str, Any]) -> FleetSide:
    return FleetSide(
        strategy=options.get("AllocationStrategy", "lowest-price"),
        max_total_usd=Decimal(options.get("MaxTotalPrice") or "Infinity"),
        least=int(options.get("MinTargetCapacity") or 0),
        one_type=bool(options.get("SingleInstanceType")),
        one_zone=bool(options.get("SingleAvailabilityZone")),
    )


def _read_spot_fleet(region: str, config: Mapping[str, Any], now: datetime) -> Fleet:
    for name in ("IamFleetRole", "TargetCapacity"):
        if config.get(name) is None:
            raise AwsError(
                "MissingParameter", f"The request must contain the parameter SpotFleetRequestConfig.{name}"
            )
    if not re.fullmatch(r"arn:aws[a-z-]*:iam::\d{12}:role/.+", config["IamFleetRole"]):
        raise _invalid("IamFleetRole")
    if config.get("Type", "maintain") not in ("maintain", "request"):
        raise _invalid("Type")
    if any(spec.get("ResourceType") != "spot-fleet-request" for spec in config.get("TagSpecifications", [])):
        raise _invalid("TagSpecifications")
    if config.get("OnDemandTargetCapacity") and config.get("LaunchSpecifications"):
        raise _invalid("OnDemandTargetCapacity")
    fleet = Fleet(
        id=f"sfr-{random_fleet_id().removeprefix('fleet-')}",
        region=region,
        type=config.get("Type", "maintain"),
        created_at=now,
        params=dict(config),
        target=int(config["TargetCapacity"]),
        on_demand_target=int(config.get("OnDemandTargetCapacity") or 0),
        ends_excess=config.get("ExcessCapacityTerminationPolicy", "default") == "default",
        spot=FleetSide(
            strategy=_dashed(config.get("AllocationStrategy", "lowestPrice")),
            max_total_usd=Decimal(config.get("SpotMaxTotalPrice") or "Infinity"),
        ),
        on_demand=FleetSide(
            strategy=_dashed(config.get("OnDemandAllocationStrategy", "lowestPrice")),
            max_total_usd=Decimal(config.get("OnDemandMaxTotalPrice") or "Infinity"),
        ),
        behaviour=config.get("InstanceInterruptionBehavior", "terminate"),
        valid_from=aware(config.get("ValidFrom")),
        valid_until=aware(config.get("ValidUntil")),
        ends_with_expiry=bool(config.get("TerminateInstancesWithExpiration")),
    )
    _check_behaviour(fleet, "InvalidSpotFleetRequestConfig")
    return fleet


def _dashed(name: str) -> str:
    """A strategy in the spelling of EC2 Fleet: `lowestPrice` is `lowest-price`."""
    return re.sub("([A-Z])", r"-\1", name).lower()


def _check_behaviour(fleet: Fleet, code: str) -> None:
    """Only a fleet that maintains its capacity may stop or hibernate what is interrupted (EC2 guide)."""
    if fleet.behaviour in INTERRUPTION_BEHAVIOURS_OF_MAINTAIN and fleet.type != "maintain":
        raise AwsError(code, f"InstanceInterruptionBehavior {fleet.behaviour} needs a fleet of type maintain")


def _invalid(name: str) -> AwsError:
    return AwsError("InvalidSpotFleetRequestConfig", f"Parameter: SpotFleetRequestConfig.{name} is invalid.")


def own_tags(kind: FleetKind, fleet: Fleet) -> dict[str, str]:
    """The tags that a request gives the fleet itself."""
    return tag_map(fleet.params, kind.own_tags)


EC2_FLEET = FleetKind(
    read=_read_ec2_fleet,
    ways=fleet_candidates,
    id_tag="aws:ec2:fleet-id",
    tags_requests=False,
    own_tags="fleet",
    over="deleted",
    ended_by="DeleteFleets",
)
SPOT_FLEET = FleetKind(
    read=_read_spot_fleet,
    ways=spot_fleet_candidates,
    id_tag="aws:ec2spot:fleet-request-id",
    tags_requests=True,
    own_tags="spot-fleet-request",
    over="cancelled",
    ended_by="CancelSpotFleetRequests",
)
