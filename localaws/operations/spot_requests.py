"""RequestSpotInstances, DescribeSpotInstanceRequests, CancelSpotInstanceRequests."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from localaws import backend
from localaws.errors import AwsError
from localaws.filters import matches
from localaws.launching import tag_map
from localaws.model import LaunchSpec, SpotRequest
from localaws.operations import Call, operation
from localaws.operations.instances import aware
from localaws.paging import page

MESSAGES = {
    "pending-evaluation": "Your Spot request has been submitted for review, and is pending evaluation.",
    "fulfilled": "Your spot request is fulfilled.",
    "price-too-low": "Your Spot request price is lower than the minimum required Spot request fulfillment price.",
    "capacity-not-available": "There is no Spot capacity available that matches your request.",
    "canceled-before-fulfillment": "Your spot request is canceled before it was fulfilled.",
    "request-canceled-and-instance-running": "Your spot request is canceled, but your instance is still running.",
    "schedule-expired": "The Spot request expired before it was fulfilled.",
    "instance-terminated-by-user": "Spot instance terminated due to user-initiated termination.",
    "instance-stopped-by-user": "Your Spot instance was stopped by the user.",
    "marked-for-termination": "Your Spot instance is marked for termination.",
    "marked-for-stop": "Your Spot instance is marked for stop.",
    "instance-terminated-no-capacity": "Your Spot instance was terminated: there is no Spot capacity available.",
    "instance-terminated-by-price": "Your Spot instance was terminated: the Spot price exceeds your maximum price.",
    "instance-stopped-no-capacity": "Your Spot instance was stopped: there is no Spot capacity available.",
    "instance-stopped-by-price": "Your Spot instance was stopped: the Spot price exceeds your maximum price.",
}
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
    requests = []
    for _ in range(int(params.get("InstanceCount", 1))):
        request = call.world.spot.create(
            call.region,
            LaunchSpec(launch, {}),
            kind=params.get("Type", "one-time"),
            behaviour=params.get("InstanceInterruptionBehavior", "terminate"),
            cap_usd=Decimal(params["SpotPrice"]) if params.get("SpotPrice") else None,
            valid_until=aware(params.get("ValidUntil")),
            tags=tag_map(params, "spot-instances-request"),
        )
        call.world.spot.fulfil_soon(request)
        requests.append(request)
    return {"SpotInstanceRequests": [shown(call, request) for request in requests]}


@operation("ec2", "DescribeSpotInstanceRequests")
def describe_spot_instance_requests(call: Call) -> dict[str, Any]:
    """Requests in every state: cancelled and closed ones stay visible."""
    params, filters = call.params, call.filters()
    tags = backend.ec2_backend(call.region).tags
    asked = params.get("SpotInstanceRequestIds", [])
    requests = (
        asked_requests(call, asked) if asked else [r for r in call.world.spot if r.region == call.region]
    )
    found = [request for request in requests if matches(request, tags.get(request.id, {}), filters, READERS)]
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


def asked_requests(call: Call, ids: list[str]) -> list[SpotRequest]:
    found = [call.world.spot.find(request_id, call.region) for request_id in ids]
    unknown = [request_id for request_id, request in zip(ids, found, strict=True) if request is None]
    if unknown:
        raise AwsError(
            "InvalidSpotInstanceRequestID.NotFound",
            f"The spot instance request ID '{', '.join(unknown)}' does not exist",
        )
    return [request for request in found if request is not None]


def shown(call: Call, request: SpotRequest) -> dict[str, Any]:
    """A request as DescribeSpotInstanceRequests shows it."""
    params = request.spec.params
    tags = backend.ec2_backend(request.region).tags.get(request.id, {})
    cap = request.cap_usd or call.world.market.on_demand.usd(params["InstanceType"])
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
        "Tags": [{"Key": key, "Value": value} for key, value in tags.items()],
    }
