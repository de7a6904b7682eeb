"""The calls that change an Auto Scaling group or its members, as Auto Scaling checks them; moto does the rest.

Sources: botocore's autoscaling model; Auto Scaling guide, "Delete your Auto Scaling infrastructure".
"""

from __future__ import annotations

from typing import Any

from moto.autoscaling.models import autoscaling_backends

from localaws import backend
from localaws.boxes import GROUP_TAG
from localaws.errors import AwsError
from localaws.events import ACCOUNT
from localaws.model import Box
from localaws.operations import Call, operation

TERMINATE = "TerminateInstanceInAutoScalingGroup"
MOST_INSTANCES = 20


@operation("autoscaling", "CreateAutoScalingGroup")
def create_auto_scaling_group(call: Call) -> dict[str, Any] | None:
    """moto makes it, once it is a new name with sizes in order."""
    name, least, most = call.params["AutoScalingGroupName"], call.params["MinSize"], call.params["MaxSize"]
    if call.world.groups.find(call.region, name) is not None:
        raise AwsError(
            "AlreadyExists",
            "AutoScalingGroup by this name already exists - A group with the name already exists",
        )
    _check_sizes(least, most, call.params.get("DesiredCapacity", least))
    return None


@operation("autoscaling", "UpdateAutoScalingGroup")
def update_auto_scaling_group(call: Call) -> dict[str, Any]:
    """What is not named stays as it is (botocore, UpdateAutoScalingGroup)."""
    group, params = _group(call), call.params
    least, most = params.get("MinSize", group.min_size), params.get("MaxSize", group.max_size)
    desired = params.get("DesiredCapacity")
    if desired is None:
        desired = min(max(int(group.desired_capacity or 0), least), most)
    _check_sizes(least, most, desired)
    launches = [
        params.get(one) for one in ("LaunchConfigurationName", "LaunchTemplate", "MixedInstancesPolicy")
    ]
    if sum(1 for one in launches if one) > 1:
        raise _invalid(
            "Valid requests must contain either LaunchTemplate, LaunchConfigurationName or "
            "MixedInstancesPolicy parameter."
        )
    group.update(
        availability_zones=params.get("AvailabilityZones", []),
        desired_capacity=desired,
        max_size=most,
        min_size=least,
        launch_config_name=launches[0],
        launch_template=launches[1] or {},
        vpc_zone_identifier=params.get("VPCZoneIdentifier"),
        health_check_period=params.get("HealthCheckGracePeriod"),
        health_check_type=params.get("HealthCheckType"),
        new_instances_protected_from_scale_in=params.get("NewInstancesProtectedFromScaleIn"),
        mixed_instances_policy=launches[2] or (None if any(launches) else _kept_policy(group)),
    )
    return {}


def _kept_policy(group: Any) -> dict[str, Any] | None:
    """The group's own, as a request has it: moto has noted its template by id and by name, and takes but one."""
    policy = group.mixed_instances_policy
    if not policy:
        return None
    template = policy["LaunchTemplate"]
    named = {
        key: value
        for key, value in template["LaunchTemplateSpecification"].items()
        if key != "LaunchTemplateName"
    }
    return {**policy, "LaunchTemplate": {**template, "LaunchTemplateSpecification": named}}


@operation("autoscaling", "SetDesiredCapacity")
def set_desired_capacity(call: Call) -> dict[str, Any]:
    """Boxes are launched or ended for it; it lies between the group's sizes (botocore)."""
    group, desired = _group(call), int(call.params["DesiredCapacity"])
    if desired > group.max_size:
        raise _invalid(
            f"New SetDesiredCapacity value {desired} is above max value {group.max_size} for the AutoScalingGroup."
        )
    if desired < group.min_size:
        raise _invalid(
            f"New SetDesiredCapacity value {desired} is below min value {group.min_size} for the AutoScalingGroup."
        )
    group.set_desired_capacity(desired)
    return {}


@operation("autoscaling", "DeleteAutoScalingGroup")
def delete_auto_scaling_group(call: Call) -> dict[str, Any] | None:
    """Only an empty group goes without ForceDelete, which ends its boxes too, be Terminate suspended or not."""
    group = _group(call)
    if not call.params.get("ForceDelete"):
        if group.instance_states:
            raise AwsError(
                "ResourceInUse",
                "You cannot delete an AutoScalingGroup while there are instances or pending Spot instance "
                "request(s) still in the group.",
            )
        if call.world.groups.ending(group):
            raise AwsError(
                "ScalingActivityInProgress",
                "You cannot delete an AutoScalingGroup while there are scaling activities in progress for that group.",
            )
    boxes = [call.world.boxes.of(state.instance.id) for state in group.instance_states]
    group.instance_states = []
    for box in boxes:
        call.world.boxes.end(box, by="DeleteAutoScalingGroup")
    return None


@operation("autoscaling", "ResumeProcesses")
def resume_processes(call: Call) -> dict[str, Any]:
    """What was held up by a suspended process is made up for at once (Auto Scaling guide)."""
    group = _group(call)
    autoscaling_backends[ACCOUNT][call.region].resume_processes(
        group.name, call.params.get("ScalingProcesses", [])
    )
    call.world.groups.reconcile(group)
    return {}


@operation("autoscaling", "SuspendProcesses")
def suspend_processes(call: Call) -> dict[str, Any] | None:
    """moto notes it, of a group that there is."""
    _group(call)
    return None


@operation("autoscaling", "AttachInstances")
def attach_instances(call: Call) -> dict[str, Any]:
    """Running boxes of nobody join the group, which wants that many more from then on (botocore)."""
    group, boxes = _group(call), _boxes(call)
    wanted = int(group.desired_capacity or 0) + len(boxes)
    if wanted > group.max_size:
        raise _invalid(
            f"AutoScalingGroup update will result in a desired capacity of {wanted}, "
            f"above its max size of {group.max_size}."
        )
    for box in boxes:
        if box.state != "running" or box.group:
            raise _invalid(
                f"Instance {box.id} is not in the running state or belongs to an AutoScalingGroup."
            )
    for box in boxes:
        call.world.groups.add(group, box)
        backend.ec2_backend(call.region).tags[box.id][GROUP_TAG] = group.name
    group.desired_capacity = wanted
    return {}


@operation("autoscaling", "DetachInstances")
def detach_instances(call: Call) -> dict[str, Any]:
    """The boxes live on outside the group, which replaces them unless it is to want fewer (botocore)."""
    group, boxes = _group(call), _boxes(call)
    strangers = [box.id for box in boxes if box.group != group.name]
    if strangers:
        raise _invalid(f"The instance {strangers[0]} is not part of Auto Scaling group {group.name}.")
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
        raise _invalid(f"Instance Id not found - No managed instance found for instance ID: {box_id}")
    if _decrements(call):
        _decrement(group, 1)
    call.world.boxes.end(box, by=TERMINATE)
    return {"Activity": _activity(call, group, box, "Terminating")}


def _decrements(call: Call) -> bool:
    return str(call.params["ShouldDecrementDesiredCapacity"]).lower() == "true"


def _decrement(group: Any, by: int) -> None:
    if group.desired_capacity - by < group.min_size:
        raise _invalid(
            f"Currently, desiredSize equals minSize ({group.min_size}). Terminating instance without replacement "
            "will violate group's min size constraint. Either set shouldDecrementDesiredCapacity flag to false "
            "or lower group's min size."
        )
    group.desired_capacity -= by


def _check_sizes(least: int, most: int, desired: int) -> None:
    if least > most:
        raise _invalid(f"Max bound, {most}, must be greater than or equal to min bound, {least}")
    if not least <= desired <= most:
        raise _invalid(
            f"Desired capacity:{desired} must be between the specified min size:{least} and max size:{most}"
        )


def _group(call: Call) -> Any:
    name = call.params["AutoScalingGroupName"]
    group = call.world.groups.find(call.region, name)
    if group is None:
        raise _invalid(f"AutoScalingGroup name not found - AutoScalingGroup '{name}' not found")
    return group


def _boxes(call: Call) -> list[Box]:
    ids = call.params.get("InstanceIds", [])
    if len(ids) > MOST_INSTANCES:
        raise _invalid(f"At most {MOST_INSTANCES} instances in one request, not {len(ids)}")
    found = [call.world.boxes.find(box_id, call.region) for box_id in ids]
    unknown = [box_id for box_id, box in zip(ids, found, strict=True) if box is None]
    if unknown:
        raise _invalid(f"Invalid Instance ID(s): [{', '.join(unknown)}] specified")
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


def _invalid(message: str) -> AwsError:
    return AwsError("ValidationError", message)
