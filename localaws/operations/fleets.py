"""CreateFleet, DescribeFleets, DescribeFleetInstances, ModifyFleet, DeleteFleets."""

from __future__ import annotations

from typing import Any

from localaws import backend
from localaws.errors import AwsError
from localaws.filters import matches
from localaws.model import Fleet
from localaws.operations import Call, operation
from localaws.operations.instances import aware
from localaws.paging import page

MOST_IDS, MOST_INSTANT_IDS = 100, 25
READERS = {
    "fleet-state": lambda fleet: fleet.state,
    "type": lambda fleet: fleet.type,
    "excess-capacity-termination-policy": lambda fleet: fleet.excess_policy,
}


@operation("ec2", "CreateFleet")
def create_fleet(call: Call) -> dict[str, Any]:
    """An `instant` fleet answers with what it launched and what it could not; the others with their id alone."""
    fleet = call.world.fleets.create(call.region, call.params, aware(call.params.get("ValidUntil")))
    if fleet.type != "instant":
        return {"FleetId": fleet.id}
    return {"FleetId": fleet.id, "Instances": fleet.instances, "Errors": fleet.errors}


@operation("ec2", "DescribeFleets")
def describe_fleets(call: Call) -> dict[str, Any]:
    """Instant fleets appear only when asked for by id (botocore, DescribeFleets)."""
    asked = call.params.get("FleetIds", [])
    tags = backend.ec2_backend(call.region).tags
    mine = [fleet for fleet in call.world.fleets if fleet.region == call.region]
    unknown = set(asked) - {fleet.id for fleet in mine}
    if unknown:
        raise AwsError(
            "InvalidFleetId.NotFound", f"The fleet ID '{', '.join(sorted(unknown))}' does not exist"
        )
    found = [fleet for fleet in mine if (fleet.id in asked if asked else fleet.type != "instant")]
    found = [fleet for fleet in found if matches(fleet, tags.get(fleet.id, {}), call.filters(), READERS)]
    some, token = page(found, call.params.get("NextToken"), call.params.get("MaxResults"), least=1)
    return {"Fleets": [_shown(call, fleet) for fleet in some], "NextToken": token}


@operation("ec2", "DescribeFleetInstances")
def describe_fleet_instances(call: Call) -> dict[str, Any]:
    fleet = _fleet(call, call.params["FleetId"])
    live = call.world.fleets.live(fleet)
    return {
        "FleetId": fleet.id,
        "ActiveInstances": [
            {
                "InstanceId": box.id,
                "InstanceType": box.type,
                "SpotInstanceRequestId": box.request_id,
                "InstanceHealth": "healthy",
            }
            for box in live
        ],
    }


@operation("ec2", "ModifyFleet")
def modify_fleet(call: Call) -> dict[str, Any]:
    fleet = _fleet(call, call.params["FleetId"])
    target = call.params.get("TargetCapacitySpecification", {}).get("TotalTargetCapacity", fleet.target)
    call.world.fleets.modify(fleet, int(target), call.params.get("ExcessCapacityTerminationPolicy"))
    return {"Return": True}


@operation("ec2", "DeleteFleets")
def delete_fleets(call: Call) -> dict[str, Any]:
    """At most 100 fleets, 25 of them instant, and those only with their boxes (botocore, DeleteFleets)."""
    ids = call.params.get("FleetIds", [])
    terminate = bool(call.params.get("TerminateInstances"))
    fleets = {fleet_id: call.world.fleets.find(fleet_id, call.region) for fleet_id in ids}
    instant = [fleet for fleet in fleets.values() if fleet and fleet.type == "instant"]
    if len(ids) - len(instant) > MOST_IDS or len(instant) > MOST_INSTANT_IDS:
        raise AwsError(
            "InvalidParameterValue",
            f"At most {MOST_IDS} fleets in one call, {MOST_INSTANT_IDS} of type instant",
        )
    done, failed = [], []
    for fleet_id, fleet in fleets.items():
        if fleet is None:
            failed.append(
                _failure(fleet_id, "fleetIdDoesNotExist", f"The fleet ID '{fleet_id}' does not exist")
            )
        elif fleet.type == "instant" and not terminate:
            failed.append(
                _failure(
                    fleet_id,
                    "NoTerminateInstancesNotSupported",
                    "NoTerminateInstances option is not supported for instant fleet",
                )
            )
        else:
            before = fleet.state
            call.world.fleets.delete(fleet, terminate=terminate)
            done.append({"FleetId": fleet_id, "CurrentFleetState": fleet.state, "PreviousFleetState": before})
    return {"SuccessfulFleetDeletions": done, "UnsuccessfulFleetDeletions": failed}


def _failure(fleet_id: str, code: str, message: str) -> dict[str, Any]:
    return {"FleetId": fleet_id, "Error": {"Code": code, "Message": message}}


def _fleet(call: Call, fleet_id: str) -> Fleet:
    fleet = call.world.fleets.find(fleet_id, call.region)
    if fleet is None:
        raise AwsError("InvalidFleetId.NotFound", f"The fleet ID '{fleet_id}' does not exist")
    return fleet


def _shown(call: Call, fleet: Fleet) -> dict[str, Any]:
    params, live = fleet.params, call.world.fleets.live(fleet)
    fulfilled = call.world.fleets.fulfilled(fleet)
    tags = backend.ec2_backend(fleet.region).tags.get(fleet.id, {})
    shown: dict[str, Any] = {
        "FleetId": fleet.id,
        "FleetState": fleet.state,
        "ActivityStatus": "fulfilled" if fulfilled >= fleet.target else "pending_fulfillment",
        "CreateTime": fleet.created_at,
        "ClientToken": params.get("ClientToken"),
        "ExcessCapacityTerminationPolicy": fleet.excess_policy,
        "FulfilledCapacity": float(fulfilled),
        "FulfilledOnDemandCapacity": float(sum(fleet.weights[box.id] for box in live if not box.spot)),
        "LaunchTemplateConfigs": params["LaunchTemplateConfigs"],
        "TargetCapacitySpecification": {
            **params["TargetCapacitySpecification"],
            "TotalTargetCapacity": fleet.target,
        },
        "TerminateInstancesWithExpiration": bool(params.get("TerminateInstancesWithExpiration")),
        "Type": fleet.type,
        "ValidUntil": fleet.valid_until,
        "ReplaceUnhealthyInstances": bool(params.get("ReplaceUnhealthyInstances")),
        "SpotOptions": params.get("SpotOptions"),
        "OnDemandOptions": params.get("OnDemandOptions"),
        "Tags": [{"Key": key, "Value": value} for key, value in tags.items()],
    }
    if fleet.type == "instant":
        shown |= {"Instances": fleet.instances, "Errors": fleet.errors}
    return shown
