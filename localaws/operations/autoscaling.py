"""The calls that make, change and delete an Auto Scaling group, as Auto Scaling checks them; moto does the rest.

Sources: botocore's autoscaling model; Auto Scaling guide, "Delete your Auto Scaling infrastructure".
"""

from __future__ import annotations

from typing import Any

from moto.autoscaling.models import autoscaling_backends

from localaws.errors import AwsError
from localaws.events.bus import ACCOUNT
from localaws.operations import Call, operation
from localaws.operations.group_errors import asked_group, invalid


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
    group, params = asked_group(call), call.params
    least, most = params.get("MinSize", group.min_size), params.get("MaxSize", group.max_size)
    desired = params.get("DesiredCapacity")
    if desired is None:
        desired = min(max(int(group.desired_capacity or 0), least), most)
    _check_sizes(least, most, desired)
    launches = [
        params.get(one) for one in ("LaunchConfigurationName", "LaunchTemplate", "MixedInstancesPolicy")
    ]
    if sum(1 for one in launches if one) > 1:
        raise invalid(
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
    group, desired = asked_group(call), int(call.params["DesiredCapacity"])
    if desired > group.max_size:
        raise invalid(
            f"New SetDesiredCapacity value {desired} is above max value {group.max_size} for the AutoScalingGroup."
        )
    if desired < group.min_size:
        raise invalid(
            f"New SetDesiredCapacity value {desired} is below min value {group.min_size} for the AutoScalingGroup."
        )
    group.set_desired_capacity(desired)
    return {}


@operation("autoscaling", "DeleteAutoScalingGroup")
def delete_auto_scaling_group(call: Call) -> dict[str, Any] | None:
    """Only an empty group goes without ForceDelete, which ends its boxes too, be Terminate suspended or not."""
    group = asked_group(call)
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
    group = asked_group(call)
    autoscaling_backends[ACCOUNT][call.region].resume_processes(
        group.name, call.params.get("ScalingProcesses", [])
    )
    call.world.groups.reconcile(group)
    return {}


@operation("autoscaling", "SuspendProcesses")
def suspend_processes(call: Call) -> dict[str, Any] | None:
    """moto notes it, of a group that there is."""
    asked_group(call)
    return None


def _check_sizes(least: int, most: int, desired: int) -> None:
    if least > most:
        raise invalid(f"Max bound, {most}, must be greater than or equal to min bound, {least}")
    if not least <= desired <= most:
        raise invalid(
            f"Desired capacity:{desired} must be between the specified min size:{least} and max size:{most}"
        )
