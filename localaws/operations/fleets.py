"""CreateFleet, DescribeFleets, DescribeFleetInstances, DescribeFleetHistory, ModifyFleet, DeleteFleets."""

from __future__ import annotations

from typing import Any

from localaws.ec2.fleet_kinds import on_demand_target
from localaws.errors import AwsError
from localaws.model import Fleet
from localaws.onmoto import backend
from localaws.operations import Call, operation
from localaws.operations.fleet_views import active_instances, activity, history, shown_fleets, with_configs
from localaws.protocol.filters import matches
from localaws.protocol.paging import page

MOST_IDS, MOST_INSTANT_IDS, MOST_INSTANCES = 100, 25, 1000
READERS = {
    "fleet-state": lambda fleet: fleet.state,
    "type": lambda fleet: fleet.type,
    "excess-capacity-termination-policy": lambda fleet: "true" if fleet.ends_excess else "false",
}


@operation("ec2", "CreateFleet")
def create_fleet(call: Call) -> dict[str, Any]:
    """An `instant` fleet answers with what it launched and what it could not; the others with their id alone."""
    fleet = call.world.fleets.create(call.region, call.params)
    if fleet.type != "instant":
        return {"FleetId": fleet.id}
    return {"FleetId": fleet.id, "Instances": fleet.instances, "Errors": fleet.errors}


@operation("ec2", "DescribeFleets")
def describe_fleets(call: Call) -> dict[str, Any]:
    """Instant fleets appear only when asked for by id (botocore, DescribeFleets)."""
    asked = call.params.get("FleetIds", [])
    tags = backend.ec2_backend(call.region).tags
    mine = shown_fleets(call, call.world.fleets)
    unknown = set(asked) - {fleet.id for fleet in mine}
    if unknown:
        raise _unknown(", ".join(sorted(unknown)))
    found = [fleet for fleet in mine if (fleet.id in asked if asked else fleet.type != "instant")]
    found = [fleet for fleet in found if matches(fleet, tags.get(fleet.id, {}), call.filters(), READERS)]
    some, token = page(found, call.params.get("NextToken"), call.params.get("MaxResults"), least=1)
    return {"Fleets": [_shown(call, fleet) for fleet in some], "NextToken": token}


@operation("ec2", "DescribeFleetInstances")
def describe_fleet_instances(call: Call) -> dict[str, Any]:
    """Those of an instant fleet are told by DescribeFleets alone (botocore, DescribeFleetInstances)."""
    fleet = _fleet(call)
    if fleet.type == "instant":
        raise AwsError(
            "InvalidParameterValue",
            "DescribeFleetInstances does not support fleets of type instant: describe the fleet",
        )
    active, token = active_instances(call, call.world.fleets, fleet)
    return {"FleetId": fleet.id, "ActiveInstances": active, "NextToken": token}


@operation("ec2", "DescribeFleetHistory")
def describe_fleet_history(call: Call) -> dict[str, Any]:
    fleet = _fleet(call)
    return {
        "FleetId": fleet.id,
        **history(
            call,
            fleet,
            {
                "fleetRequestChange": "fleet-change",
                "instanceChange": "instance-change",
                "error": "service-error",
            },
        ),
    }


@operation("ec2", "ModifyFleet")
def modify_fleet(call: Call) -> dict[str, Any]:
    """Only an active fleet of type maintain (botocore, ModifyFleet)."""
    fleet, target = _fleet(call), call.params.get("TargetCapacitySpecification", {})
    if fleet.type != "maintain" or fleet.state != "active":
        raise AwsError(
            "InvalidParameterValue", f"Only active fleets of type maintain are modified, not {fleet.id}"
        )
    with_configs(call, call.world.fleets, fleet)
    total = int(target.get("TotalTargetCapacity", fleet.target))
    policy = call.params.get("ExcessCapacityTerminationPolicy")
    call.world.fleets.modify(
        fleet,
        target=total,
        on_demand_target=on_demand_target({**fleet.params["TargetCapacitySpecification"], **target}, total),
        ends_excess=None if policy is None else policy == "termination",
    )
    return {"Return": True}


@operation("ec2", "DeleteFleets")
def delete_fleets(call: Call) -> dict[str, Any]:
    """At most 100 fleets and 25 instant ones, these only with their boxes (EC2 guide, "Delete an EC2 Fleet")."""
    ids = list(dict.fromkeys(call.params.get("FleetIds", [])))
    terminate = bool(call.params.get("TerminateInstances"))
    fleets = {fleet.id: fleet for fleet in shown_fleets(call, call.world.fleets) if fleet.id in ids}
    instant = [fleet.id for fleet in fleets.values() if fleet.type == "instant"]
    if len(ids) - len(instant) > MOST_IDS:
        raise AwsError("InvalidParameterValue", f"At most {MOST_IDS} fleets can be deleted in one request")
    done, failed = [], []
    for fleet_id in ids:
        fleet = fleets.get(fleet_id)
        problem = (
            (
                "ExceededInstantFleetNumForDeletion",
                f"Can't delete more than {MOST_INSTANT_IDS} instant fleets in a single request.",
            )
            if len(instant) > MOST_INSTANT_IDS
            else _undeletable(call, fleet, fleet_id, terminate=terminate)
        )
        if problem is not None or fleet is None:
            code, message = problem or ("unexpectedError", "")
            failed.append({"FleetId": fleet_id, "Error": {"Code": code, "Message": message}})
            continue
        before = fleet.state
        call.world.fleets.end(fleet, terminate=terminate)
        done.append({"FleetId": fleet_id, "CurrentFleetState": fleet.state, "PreviousFleetState": before})
    return {"SuccessfulFleetDeletions": done, "UnsuccessfulFleetDeletions": failed}


def _undeletable(
    call: Call, fleet: Fleet | None, fleet_id: str, *, terminate: bool
) -> tuple[str, str] | None:
    """Why one fleet is not deleted. One that was deleted without its boxes can be deleted again, with them."""
    if fleet is None:
        return "fleetIdDoesNotExist", f"The fleet ID '{fleet_id}' does not exist"
    if fleet.type == "instant" and not terminate:
        return (
            "NoTerminateInstancesNotSupported",
            "NoTerminateInstances option is not supported for instant fleet",
        )
    if fleet.state not in ("active", "deleted_running"):
        return "fleetNotInDeletableState", "The fleet is not in a state in which it can be deleted."
    if terminate and len(call.world.fleets.live(fleet)) > MOST_INSTANCES:
        return (
            "unexpectedError",
            f"The fleet has more than {MOST_INSTANCES} instances: terminate most of them first.",
        )
    return None


def _fleet(call: Call) -> Fleet:
    fleet_id = call.params["FleetId"]
    fleet = next((one for one in shown_fleets(call, call.world.fleets) if one.id == fleet_id), None)
    if fleet is None:
        raise _unknown(fleet_id)
    return fleet


def _unknown(ids: str) -> AwsError:
    return AwsError("InvalidFleetId.NotFound", f"The fleet ID '{ids}' does not exist")


def _shown(call: Call, fleet: Fleet) -> dict[str, Any]:
    params, fleets = fleet.params, call.world.fleets
    tags = backend.ec2_backend(fleet.region).tags.get(fleet.id, {})
    shown: dict[str, Any] = {
        "FleetId": fleet.id,
        "FleetState": fleet.state,
        "ActivityStatus": activity(fleets, fleet),
        "CreateTime": fleet.created_at,
        "ClientToken": params.get("ClientToken"),
        "ExcessCapacityTerminationPolicy": "termination" if fleet.ends_excess else "no-termination",
        "FulfilledCapacity": float(fleets.fulfilled(fleet)),
        "FulfilledOnDemandCapacity": float(
            sum(fleet.weights[box.id] for box in fleets.counted(fleet) if not box.spot)
        ),
        "LaunchTemplateConfigs": params["LaunchTemplateConfigs"],
        "TargetCapacitySpecification": {
            **params["TargetCapacitySpecification"],
            "TotalTargetCapacity": fleet.target,
            "OnDemandTargetCapacity": fleet.on_demand_target,
            "SpotTargetCapacity": fleet.target - fleet.on_demand_target,
        },
        "TerminateInstancesWithExpiration": fleet.ends_with_expiry,
        "Type": fleet.type,
        "ValidFrom": fleet.valid_from,
        "ValidUntil": fleet.valid_until,
        "ReplaceUnhealthyInstances": bool(params.get("ReplaceUnhealthyInstances")),
        "SpotOptions": params.get("SpotOptions"),
        "OnDemandOptions": params.get("OnDemandOptions"),
        "Tags": [{"Key": key, "Value": value} for key, value in tags.items()],
    }
    if fleet.type == "instant":
        shown |= {"Instances": fleet.instances, "Errors": fleet.errors}
    return shown
