"""RunInstances, TerminateInstances, StopInstances, StartInstances."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from localaws.ec2.boxes import Intent
from localaws.ec2.launching import tag_map
from localaws.ec2.spot import pick_zone
from localaws.ec2.spot_terms import PROTECTIONS, SpotTerms, spot_terms
from localaws.ec2.templates import with_template
from localaws.errors import AwsError
from localaws.model import STATE_CODES, Box, LaunchSpec, Market, SpotRequest
from localaws.operations import Call, operation, repeated
from localaws.operations.describe_instances import asked_boxes, reservations, sighted

MOST_IDS = 1000


@operation("ec2", "RunInstances")
def run_instances(call: Call) -> dict[str, Any]:
    """Start boxes; with InstanceMarketOptions each gets a spot request that is linked with it both ways."""
    params = with_template(call.region, call.params)
    for name in ("ImageId", "InstanceType"):
        if not params.get(name):
            raise AwsError("MissingParameter", f"The request must contain the parameter {name}")
    count = int(params.get("MaxCount", 1))
    spec = LaunchSpec(params, tag_map(params, "instance") | params.get("TemplateTags", {}))
    terms = spot_terms(params)
    with call.world.boxes.one_request():
        if terms is not None:
            boxes = _run_spot(call, spec, terms, count)
        else:
            zone = pick_zone(call.world, call.region, spec)
            boxes = call.world.boxes.launch(call.region, spec, zone, Intent(market=_market(params)), count)
    return reservations(sighted(call, box) for box in boxes)[0]


def _market(params: Mapping[str, Any]) -> Market:
    asked = params.get("InstanceMarketOptions", {}).get("MarketType")
    return "capacity-block" if asked == "capacity-block" else "on-demand"


@repeated("ec2", "RunInstances")
def run_instances_again(call: Call, first: Mapping[str, Any]) -> dict[str, Any]:
    """The launch's instances as they are now; once they are terminated their token starts nothing any more."""
    boxes = [call.world.boxes.of(one["InstanceId"]) for one in first["Instances"]]
    if any(box.state == "terminated" for box in boxes):
        raise AwsError(
            "IdempotentInstanceTerminated",
            "The client token you have provided is associated with a terminated instance. "
            "Please use a different client token.",
        )
    return reservations(sighted(call, box) for box in boxes)[0]


def _run_spot(call: Call, spec: LaunchSpec, terms: SpotTerms, count: int) -> list[Box]:
    boxes: list[Box] = []
    for _ in range(count):
        request = call.world.spot.create(
            call.region,
            spec,
            kind=terms.kind,
            behaviour=terms.behaviour,
            cap_usd=terms.cap_usd,
            valid_until=terms.valid_until,
            tags=tag_map(spec.params, "spot-instances-request"),
        )
        boxes.append(fulfil_or_drop(call, request))
    return boxes


def fulfil_or_drop(call: Call, request: SpotRequest, zone: str | None = None) -> Box:
    """Launch now; a launch that fails leaves no request behind."""
    try:
        return call.world.spot.fulfil(request, zone)
    except Exception:
        call.world.spot.drop(request)
        raise


@operation("ec2", "TerminateInstances")
def terminate_instances(call: Call) -> dict[str, Any]:
    """At most 1,000 ids; one unknown id fails the call; a protected one shields its whole zone (botocore).

    Stop protection shields from termination too (EC2 guide, "Enable stop protection for your EC2 instances").
    """
    boxes = asked_boxes(call, _ids(call))
    shielded = {box.zone for box in boxes if box.live and _protection(box)}
    before = {box.id: box.state for box in boxes}
    for box in boxes:
        if box.zone not in shielded:
            call.world.boxes.end(box, by="TerminateInstances")
    for box in boxes:
        if box.zone in shielded and (attribute := _protection(box)):
            raise _not_permitted(box, "terminated", attribute)
    return {"TerminatingInstances": [_change(box, before[box.id]) for box in boxes]}


def _protection(box: Box) -> str | None:
    """The attribute that keeps the API from terminating the box."""
    if _is_set(box.moto.disable_api_stop):
        return "disableApiStop"
    return "disableApiTermination" if _is_set(box.moto.disable_api_termination) else None


def _is_set(attribute: Any) -> bool:
    """moto keeps what ModifyInstanceAttribute sent, which may be a string."""
    return str(attribute).lower() == "true"


def _not_permitted(box: Box, what: str, attribute: str) -> AwsError:
    return AwsError(
        "OperationNotPermitted",
        f"The instance '{box.id}' may not be {what}. Modify its '{attribute}' instance attribute and try again.",
    )


@operation("ec2", "StopInstances")
def stop_instances(call: Call) -> dict[str, Any]:
    """On-demand boxes, and spot ones while their persistent request stands (EC2 guide, "Stop a Spot Instance")."""
    boxes = asked_boxes(call, _ids(call))
    hibernates = bool(call.params.get("Hibernate"))
    for box in boxes:
        _check_stoppable(call, box)
        if hibernates and not (box.moto.hibernation_options or {}).get("Configured"):
            raise AwsError(
                "UnsupportedHibernationConfiguration",
                f"The instance '{box.id}' was not launched for hibernation.",
            )
    before = {box.id: box.state for box in boxes}
    for box in boxes:
        call.world.boxes.stop(box, by="StopInstances", hibernates=hibernates)
    return {"StoppingInstances": [_change(box, before[box.id]) for box in boxes]}


def _check_stoppable(call: Call, box: Box) -> None:
    if box.live and _is_set(box.moto.disable_api_stop):
        raise _not_permitted(box, "stopped", "disableApiStop")
    if not box.live:
        raise AwsError(
            "IncorrectInstanceState",
            f"This instance '{box.id}' is not in a state from which it can be stopped.",
        )
    if box.state == "pending" and not box.runs:
        raise AwsError(
            "IncorrectInstanceState",
            f"Instance '{box.id}' cannot be stopped as it has never reached the 'running' state.",
        )
    if not box.spot:
        return
    request = call.world.spot.find(box.request_id)
    if request is None or request.type != "persistent":
        raise AwsError(
            "UnsupportedOperation",
            f"You can't stop the Spot Instance '{box.id}' because it is associated with a "
            "one-time Spot Instance request. You can only stop Spot Instances associated "
            "with persistent Spot Instance requests.",
        )
    if request.state == "cancelled":
        raise AwsError(
            "UnsupportedOperation",
            f"You can't stop the Spot Instance '{box.id}' because its Spot Instance "
            f"request '{request.id}' is cancelled.",
        )


@operation("ec2", "StartInstances")
def start_instances(call: Call) -> dict[str, Any]:
    """Start stopped boxes; a spot box's request becomes active again."""
    boxes = asked_boxes(call, _ids(call))
    for box in boxes:
        if box.state not in ("stopped", "pending", "running"):
            raise AwsError(
                "IncorrectInstanceState",
                f"The instance '{box.id}' is not in a state from which it can be started.",
            )
        call.world.spot.check_startable(box)
    before = {box.id: box.state for box in boxes}
    for box in boxes:
        if box.state == "stopped" and not call.world.market.has_capacity(box.zone, box.type):
            raise AwsError(
                "InsufficientInstanceCapacity",
                f"Insufficient capacity for {box.type} in {box.zone}.",
                status=500,
            )
        if box.state == "stopped":
            call.world.boxes.start(box)
            call.world.spot.start_requested(box)
    return {"StartingInstances": [_change(box, before[box.id]) for box in boxes]}


@operation("ec2", "RebootInstances")
def reboot_instances(call: Call) -> dict[str, Any]:
    """The boxes run on, on the same hosts and bills; their systems start anew (EC2 guide, "Reboot your instance")."""
    boxes = asked_boxes(call, _ids(call))
    for box in boxes:
        if box.state != "running":
            raise AwsError(
                "IncorrectInstanceState",
                f"The instance '{box.id}' is not in a state from which it can be rebooted.",
            )
    for box in boxes:
        call.world.guests.reboot(box)
    return {}


@operation("ec2", "ModifyInstanceAttribute")
def modify_instance_attribute(call: Call) -> dict[str, Any] | None:
    """moto does most attributes; the shutdown behaviour it lacks, and spot boxes can't be protected."""
    params = call.params
    box = asked_boxes(call, [params["InstanceId"]])[0]
    behaviour = params.get("InstanceInitiatedShutdownBehavior", {}).get("Value")
    if behaviour:
        box.moto.instance_initiated_shutdown_behavior = behaviour
        return {}
    for protection in PROTECTIONS:
        if box.spot and params.get(protection, {}).get("Value"):
            raise AwsError(
                "UnsupportedOperation", f"The {protection} attribute can't be set for Spot Instances."
            )
    return None


def _ids(call: Call) -> list[str]:
    ids = list(dict.fromkeys(call.params.get("InstanceIds", [])))
    if not ids:
        raise AwsError("MissingParameter", "The request must contain the parameter InstanceId")
    if len(ids) > MOST_IDS:
        raise AwsError(
            "InvalidParameterValue", f"At most {MOST_IDS} instance ids in one call, not {len(ids)}"
        )
    return ids


def _change(box: Box, before: str) -> dict[str, Any]:
    return {
        "InstanceId": box.id,
        "CurrentState": {"Code": STATE_CODES[box.state], "Name": box.state},
        "PreviousState": {"Code": STATE_CODES[before], "Name": before},
    }
