"""TerminateInstanceInAutoScalingGroup: the one call that ends a group's instance for good."""

from __future__ import annotations

from typing import Any

from localaws.errors import AwsError
from localaws.operations import Call, operation


@operation("autoscaling", "TerminateInstanceInAutoScalingGroup")
def terminate_instance_in_auto_scaling_group(call: Call) -> dict[str, Any]:
    """What lowers the desired capacity too is not replaced; the group's least size can refuse it (botocore)."""
    box_id = call.params["InstanceId"]
    decrement = str(call.params["ShouldDecrementDesiredCapacity"]).lower() == "true"
    box = call.world.boxes.find(box_id, call.region)
    group = call.world.groups.find(call.region, box.group) if box and box.group else None
    if box is None or group is None:
        raise AwsError(
            "ValidationError", f"Instance Id not found - No managed instance found for instance ID: {box_id}"
        )
    if decrement:
        if group.desired_capacity <= group.min_size:
            raise AwsError(
                "ValidationError",
                f"Currently, desiredSize equals minSize ({group.min_size}). Terminating instance without replacement "
                "will violate group's min size constraint. Either set shouldDecrementDesiredCapacity flag to false "
                "or lower group's min size.",
            )
        group.desired_capacity -= 1
    call.world.boxes.end(box, by="TerminateInstanceInAutoScalingGroup")
    return {
        "Activity": {
            "ActivityId": f"activity-{box_id}",
            "AutoScalingGroupName": group.name,
            "Description": f"Terminating EC2 instance: {box_id}",
            "Cause": f"At {call.world.now:%Y-%m-%dT%H:%M:%SZ} instance {box_id} was taken out of service in "
            "response to a user request.",
            "StartTime": call.world.now,
            "StatusCode": "InProgress",
            "Progress": 0,
        }
    }
