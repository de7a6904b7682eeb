"""RequestSpotFleet, its Describe calls, ModifySpotFleetRequest and CancelSpotFleetRequests."""

from __future__ import annotations

from typing import Any

from localaws.errors import AwsError
from localaws.model import Fleet
from localaws.onmoto import backend
from localaws.operations import Call, operation
from localaws.operations.fleet_views import active_instances, activity, history, shown_fleets, with_configs
from localaws.protocol.paging import page

MOST_IDS = 100


@operation("ec2", "RequestSpotFleet")
def request_spot_fleet(call: Call) -> dict[str, Any]:
    """The answer is the id alone; the boxes are launched at once as far as there is capacity (botocore)."""
    fleet = call.world.spot_fleets.create(call.region, call.params.get("SpotFleetRequestConfig", {}))
    return {"SpotFleetRequestId": fleet.id}


@operation("ec2", "DescribeSpotFleetRequests")
def describe_spot_fleet_requests(call: Call) -> dict[str, Any]:
    """All that are no older than two days after their end (botocore, DescribeSpotFleetRequests)."""
    asked = call.params.get("SpotFleetRequestIds", [])
    fleets = [_asked(call, one) for one in asked] if asked else shown_fleets(call, call.world.spot_fleets)
    some, token = page(fleets, call.params.get("NextToken"), call.params.get("MaxResults"), least=1)
    return {"SpotFleetRequestConfigs": [_shown(call, fleet) for fleet in some], "NextToken": token}


@operation("ec2", "DescribeSpotFleetInstances")
def describe_spot_fleet_instances(call: Call) -> dict[str, Any]:
    """The running instances, each with its spot request."""
    fleet = _asked(call, call.params["SpotFleetRequestId"])
    active, token = active_instances(call, call.world.spot_fleets, fleet)
    return {"SpotFleetRequestId": fleet.id, "ActiveInstances": active, "NextToken": token}


@operation("ec2", "DescribeSpotFleetRequestHistory")
def describe_spot_fleet_request_history(call: Call) -> dict[str, Any]:
    """What became of the request and of its instances."""
    fleet = _asked(call, call.params["SpotFleetRequestId"])
    return {"SpotFleetRequestId": fleet.id, **history(call, fleet, {})}


@operation("ec2", "ModifySpotFleetRequest")
def modify_spot_fleet_request(call: Call) -> dict[str, Any]:
    """Only an active request of type maintain (botocore; EC2's error code FleetNotInModifiableState)."""
    fleet, params = _asked(call, call.params["SpotFleetRequestId"]), call.params
    if fleet.type != "maintain" or fleet.state != "active":
        raise AwsError(
            "FleetNotInModifiableState", f"The Spot Fleet request {fleet.id} is not in a modifiable state."
        )
    with_configs(call, call.world.spot_fleets, fleet)
    policy = params.get("ExcessCapacityTerminationPolicy")
    call.world.spot_fleets.modify(
        fleet,
        target=params.get("TargetCapacity"),
        on_demand_target=params.get("OnDemandTargetCapacity"),
        ends_excess=None if policy is None else policy == "default",
    )
    return {"Return": True}


@operation("ec2", "CancelSpotFleetRequests")
def cancel_spot_fleet_requests(call: Call) -> dict[str, Any]:
    """At most 100 at once; one that was cancelled without its instances can be cancelled again, with them."""
    ids = list(dict.fromkeys(call.params.get("SpotFleetRequestIds", [])))
    if len(ids) > MOST_IDS:
        raise AwsError(
            "InvalidParameterValue", f"At most {MOST_IDS} Spot Fleet requests can be cancelled in one request"
        )
    terminate = bool(call.params.get("TerminateInstances"))
    fleets = {fleet.id: fleet for fleet in shown_fleets(call, call.world.spot_fleets)}
    done, failed = [], []
    for fleet_id in ids:
        fleet = fleets.get(fleet_id)
        if fleet is None:
            failed.append(
                _failure(fleet_id, "fleetRequestIdDoesNotExist", f"The request {fleet_id} does not exist")
            )
        elif fleet.state not in ("active", "cancelled_running"):
            failed.append(
                _failure(
                    fleet_id, "fleetRequestNotInCancellableState", f"The request {fleet_id} is {fleet.state}"
                )
            )
        else:
            before = fleet.state
            call.world.spot_fleets.end(fleet, terminate=terminate)
            done.append(
                {
                    "SpotFleetRequestId": fleet_id,
                    "CurrentSpotFleetRequestState": fleet.state,
                    "PreviousSpotFleetRequestState": before,
                }
            )
    return {"SuccessfulFleetRequests": done, "UnsuccessfulFleetRequests": failed}


def _failure(fleet_id: str, code: str, message: str) -> dict[str, Any]:
    return {"SpotFleetRequestId": fleet_id, "Error": {"Code": code, "Message": message}}


def _asked(call: Call, fleet_id: str) -> Fleet:
    for fleet in shown_fleets(call, call.world.spot_fleets):
        if fleet.id == fleet_id:
            return fleet
    raise AwsError(
        "InvalidSpotFleetRequestId.NotFound", f"The spot fleet request ID '{fleet_id}' does not exist"
    )


def _shown(call: Call, fleet: Fleet) -> dict[str, Any]:
    fleets, counted = call.world.spot_fleets, call.world.spot_fleets.counted(fleet)
    tags = backend.ec2_backend(fleet.region).tags.get(fleet.id, {})
    config = {
        "AllocationStrategy": "lowestPrice",
        **fleet.params,
        "Type": fleet.type,
        "TargetCapacity": fleet.target,
        "OnDemandTargetCapacity": fleet.on_demand_target,
        "FulfilledCapacity": float(fleets.fulfilled(fleet)),
        "OnDemandFulfilledCapacity": float(sum(fleet.weights[box.id] for box in counted if not box.spot)),
        "ExcessCapacityTerminationPolicy": "default" if fleet.ends_excess else "noTermination",
    }
    return {
        "SpotFleetRequestId": fleet.id,
        "SpotFleetRequestState": fleet.state,
        "ActivityStatus": activity(fleets, fleet),
        "CreateTime": fleet.created_at,
        "SpotFleetRequestConfig": config,
        "Tags": [{"Key": key, "Value": value} for key, value in tags.items()],
    }
