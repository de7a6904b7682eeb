"""RequestSpotInstances, DescribeSpotInstanceRequests, CancelSpotInstanceRequests."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any

from localaws.ec2.launching import tag_map
from localaws.ec2.spot_terms import aware
from localaws.errors import AwsError
from localaws.model import LaunchSpec, SpotRequest
from localaws.onmoto import backend
from localaws.operations import Call, operation
from localaws.protocol.filters import matches
from localaws.protocol.paging import page

MESSAGES = {
    "pending-evaluation": "Your Spot request has been submitted for review, and is pending evaluation.",
    "fulfilled": "Your spot request is fulfilled.",
    "price-too-low": "Your Spot request price is lower than the minimum required Spot request fulfillment price.",
    "not-scheduled-yet": "The Spot request is not evaluated until its start date.",
    "bad-parameters": "One or more parameters of the Spot request are not valid.",
    "capacity-not-available": "There is no Spot capacity available that matches your request.",
    "canceled-before-fulfillment": "Your spot request is canceled before it was fulfilled.",
    "request-canceled-and-instance-running": "Your spot request is canceled, but your instance is still running.",
    "schedule-expired": "The Spot request expired before it was fulfilled.",
    "instance-terminated-by-user": "Spot instance terminated due to user-initiated termination.",
    "instance-stopped-by-user": "Your Spot instance was stopped by the user.",
    "instance-terminated-by-service": "Your Spot instance was terminated from a stopped state.",
    "marked-for-termination": "Your Spot instance is marked for termination.",
    "marked-for-stop": "Your Spot instance is marked for stop.",
    "instance-terminated-no-capacity": "Your Spot instance was terminated: there is no Spot capacity available.",
    "instance-terminated-by-price": "Your Spot instance was terminated: the Spot price exceeds your maximum price.",
    "instance-stopped-no-capacity": "Your Spot instance was stopped: there is no Spot capacity available.",
    "instance-stopped-by-price": "Your Spot instance was stopped: the Spot price exceeds your maximum price.",
}
ONE_TIME_VALID_FOR = timedelta(days=7)
"""How long one waits for its box unless told otherwise (botocore, RequestSpotInstancesRequest.ValidUntil)."""
READERS = {
    "state": lambda request: request.state,
    "status-code": lambda request: request.status_code,
    "spot-instance-request-id": lambda request: request.id,
    "instance-id": lambda request: request.box_id,
    "type": lambda request: request.type,
    "launched-availability-zone": lambda request: request.zone,
    "launch.instance-type": lambda request: request.spec.params.get("InstanceType"),
    "launch.image-id": lambda request: request.spec.params.get("ImageId"),
}


@operation("ec2", "RequestSpotInstances")
def request_spot_instances(call: Call) -> dict[str, Any]:
    """The older way to ask: the requests are open, and fulfilled some seconds later (botocore)."""
    params = call.params
    launch = dict(params.get("LaunchSpecification", {}))
    for name in ("ImageId", "InstanceType"):
        if not launch.get(name):
            raise AwsError(
                "MissingParameter", f"The request must contain the parameter LaunchSpecification.{name}"
            )
    kind, behaviour = params.get("Type", "one-time"), params.get("InstanceInterruptionBehavior", "terminate")
    if behaviour != "terminate" and kind != "persistent":
        raise AwsError(
            "InvalidParameterCombination",
            f"The request with type '{kind}' is not supported when instanceInterruptionBehavior is '{behaviour}'.",
        )
    valid_until = aware(params.get("ValidUntil"))
    if valid_until is None and kind == "one-time":
        valid_until = call.world.now + ONE_TIME_VALID_FOR
    requests = [
        call.world.spot.create(
            call.region,
            LaunchSpec(launch, {}),
            kind=kind,
            behaviour=behaviour,
            cap_usd=Decimal(params["SpotPrice"]) if params.get("SpotPrice") else None,
            valid_until=valid_until,
            tags=tag_map(params, "spot-instances-request"),
        )
        for _ in range(int(params.get("InstanceCount", 1)))
    ]
    for request in requests:
        call.world.spot.open(request, aware(params.get("ValidFrom")))
    return {"SpotInstanceRequests": [shown(call, request) for request in requests]}


@operation("ec2", "DescribeSpotInstanceRequests")
def describe_spot_instance_requests(call: Call) -> dict[str, Any]:
    """Requests in every state; cancelled and closed ones for four hours (botocore)."""
    params, filters = call.params, call.filters()
    asked = params.get("SpotInstanceRequestIds", [])
    requests = asked_requests(call, asked) if asked else visible_requests(call)
    found = [request for request in requests if matches(request, _tags(call, request), filters, READERS)]
    some, token = page(found, params.get("NextToken"), params.get("MaxResults"))
    return {"SpotInstanceRequests": [shown(call, request) for request in some], "NextToken": token}


@operation("ec2", "CancelSpotInstanceRequests")
def cancel_spot_instance_requests(call: Call) -> dict[str, Any]:
    """Ends requests, not running boxes; an unknown id fails the call, a cancelled one succeeds."""
    requests = asked_requests(call, call.params.get("SpotInstanceRequestIds", []))
    for request in requests:
        call.world.spot.cancel(request)
    return {
        "CancelledSpotInstanceRequests": [
            {"SpotInstanceRequestId": request.id, "State": request.state} for request in requests
        ]
    }


def visible_requests(call: Call) -> list[SpotRequest]:
    """The requests of the region that AWS shows: not too new and not too long over."""
    world = call.world
    return [
        request
        for request in world.spot
        if request.region == call.region
        and world.spot.is_shown(request)
        and world.consistency.shows_request(request)
    ]


def asked_requests(call: Call, ids: list[str]) -> list[SpotRequest]:
    visible = {request.id: request for request in visible_requests(call)}
    unknown = [request_id for request_id in ids if request_id not in visible]
    if unknown:
        raise AwsError(
            "InvalidSpotInstanceRequestID.NotFound",
            f"The spot instance request ID '{', '.join(unknown)}' does not exist",
        )
    return [visible[request_id] for request_id in ids]


def _tags(call: Call, request: SpotRequest) -> Mapping[str, str]:
    tags = backend.ec2_backend(request.region).tags.get(request.id, {})
    return call.world.consistency.tags(request.id, tags)


def shown(call: Call, request: SpotRequest) -> dict[str, Any]:
    """A request as DescribeSpotInstanceRequests shows it."""
    params = request.spec.params
    cap = request.cap_usd or call.world.market.on_demand_usd(call.region, params["InstanceType"])
    return {
        "SpotInstanceRequestId": request.id,
        "SpotPrice": f"{cap:.6f}",
        "Type": request.type,
        "State": request.state,
        "Status": {
            "Code": request.status_code,
            "Message": MESSAGES.get(request.status_code, request.status_code),
            "UpdateTime": request.status_at,
        },
        "InstanceId": request.box_id,
        "InstanceInterruptionBehavior": request.behaviour,
        "CreateTime": request.created_at,
        "ValidUntil": request.valid_until,
        "ProductDescription": "Linux/UNIX",
        "LaunchedAvailabilityZone": request.zone,
        "LaunchSpecification": {
            "ImageId": params.get("ImageId"),
            "InstanceType": params.get("InstanceType"),
            "KeyName": params.get("KeyName"),
            "SubnetId": params.get("SubnetId"),
            "Placement": {"AvailabilityZone": request.zone} if request.zone else None,
            "SecurityGroups": [{"GroupId": group} for group in params.get("SecurityGroupIds", [])],
        },
        "Tags": [{"Key": key, "Value": value} for key, value in _tags(call, request).items()],
    }
