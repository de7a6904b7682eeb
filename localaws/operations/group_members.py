"""The calls that attach, detach and end the members of an Auto Scaling group (botocore's autoscaling model)."""

from __future__ import annotations

from typing import Any

from localaws.ec2.boxes import GROUP_TAG
from localaws.model import Box
from localaws.onmoto import backend
from localaws.operations import Call, operation
from localaws.operations.group_errors import asked_group, invalid

TERMINATE = "TerminateInstanceInAutoScalingGroup"
MOST_INSTANCES = 20


@operation("autoscaling", "AttachInstances")
def attach_instances(call: Call) -> dict[str, Any]:
    """Running boxes of nobody join the group, which wants that many more from then on (botocore)."""
    group, boxes = asked_group(call), _boxes(call)
    wanted = int(group.desired_capacity or 0) + len(boxes)
    if wanted > group.max_size:
        raise invalid(
            f"AutoScalingGroup update will result in a desired capacity of {wanted}, "
            f"above its max size of {group.max_size}."
        )
    for box in boxes:
        if box.state != "running" or box.group:
            raise invalid(f"Instance {box.id} is not in the running state or belongs to an AutoScalingGroup.")
    for box in boxes:
        call.world.groups.add(group, box)
        backend.ec2_backend(call.region).tags[box.id][GROUP_TAG] = group.name
    group.desired_capacity = wanted
    return {}


@operation("autoscaling", "DetachInstances")
def detach_instances(call: Call) -> dict[str, Any]:
    """The boxes live on outside the group, which replaces them unless it is to want fewer (botocore)."""
    group, boxes = asked_group(call), _boxes(call)
    strangers = [box.id for box in boxes if box.group != group.name]
    if strangers:
        raise invalid(f"The instance {strangers[0]} is not part of Auto Scaling group {group.name}.")
    if _decrements(call):
        _decrement(group, len(boxes))
    for box in boxes:
        call.world.groups.detach(group, box)
    call.world.groups.reconcile(group)
    return {"Activities": [_activity(call, group, box, "Detaching") for box in boxes]}


@operation("autoscaling", TERMINATE)
def terminate_instance_in_auto_scaling_group(call: Call) -> dict[str, Any]:
    """What lowers the desired capacity too is not replaced; the group's least size can refuse it (botocore)."""
    box_id = call.params["InstanceId"]
    box = call.world.boxes.find(box_id, call.region)
    group = call.world.groups.find(call.region, box.group) if box and box.group else None
    if box is None or group is None:
        raise invalid(f"Instance Id not found - No managed instance found for instance ID: {box_id}")
    if _decrements(call):
        _decrement(group, 1)
    call.world.boxes.end(box, by=TERMINATE)
    return {"Activity": _activity(call, group, box, "Terminating")}


def _decrements(call: Call) -> bool:
    return str(call.params["ShouldDecrementDesiredCapacity"]).lower() == "true"


def _decrement(group: Any, by: int) -> None:
    if group.desired_capacity - by < group.min_size:
        raise invalid(
            f"Currently, desiredSize equals minSize ({group.min_size}). Terminating instance without replacement "
            "will violate group's min size constraint. Either set shouldDecrementDesiredCapacity flag to false "
            "or lower group's min size."
        )
    group.desired_capacity -= by


def _boxes(call: Call) -> list[Box]:
    ids = call.params.get("InstanceIds", [])
    if len(ids) > MOST_INSTANCES:
        raise invalid(f"At most {MOST_INSTANCES} instances in one request, not {len(ids)}")
    found = [call.world.boxes.find(box_id, call.region) for box_id in ids]
    unknown = [box_id for box_id, box in zip(ids, found, strict=True) if box is None]
    if unknown:
        raise invalid(f"Invalid Instance ID(s): [{', '.join(unknown)}] specified")
    return [box for box in found if box is not None]


def _activity(call: Call, group: Any, box: Box, doing: str) -> dict[str, Any]:
    return {
        "ActivityId": f"activity-{box.id}",
        "AutoScalingGroupName": group.name,
        "Description": f"{doing} EC2 instance: {box.id}",
        "Cause": f"At {call.world.now:%Y-%m-%dT%H:%M:%SZ} instance {box.id} was taken out of service in "
        "response to a user request.",
        "StartTime": call.world.now,
        "StatusCode": "InProgress",
        "Progress": 0,
    }
