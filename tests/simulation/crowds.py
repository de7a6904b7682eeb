"""Boxes that something keeps running, started behind Curfew's back: fleets and groups of several, with others beside them.

People make them by the API, as in the field: a fleet of two types runs a box without an accelerator beside its GPU
boxes; a box of a group is protected while the others are not.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from botocore.exceptions import ClientError

from chalicelib.domain.shields import PROTECT_TAG
from localaws.errors import LocalAwsError
from localaws.model import Box
from localaws.starter import FLEET_ROLE, IMAGE
from tests.simulation.town import Town

Keeper = Literal["maintain", "spot-fleet", "asg"]
KEEPERS: tuple[Keeper, ...] = ("maintain", "spot-fleet", "asg")
HELPER = "t3.micro"
"""A type without an accelerator: none of Curfew's business."""
MANAGED = {"eks:cluster-name": "prod"}
"""What a box of another AWS service carries."""


def start_crowd(
    town: Town, keeper: Keeper, kind: str, number: int, *, region: str, helped: bool = False
) -> list[Box]:
    """So many boxes of one fleet or group, in one zone; with `helped` a fleet runs others without an accelerator beside
    them. None where EC2 did not start them; what would start them later is taken back."""
    before = {box.id for box in town.boxes}
    kinds = (kind, HELPER) if helped and keeper != "asg" else (kind,)
    try:
        made = _make(town, keeper, kinds, number, region)
    except (ClientError, LocalAwsError):
        return []
    started = [box for box in town.boxes if box.id not in before]
    if not started:
        end_crowd(town, keeper, made, region)
    return started


def end_crowd(town: Town, keeper: Keeper, name: str, region: str) -> None:
    """Its owner ends it with all it runs."""
    town.touched.update(box.id for box in town.boxes if name in (box.fleet_id, box.group))
    ec2: Any = town.people("ec2", region)
    try:
        if keeper == "maintain":
            ec2.delete_fleets(FleetIds=[name], TerminateInstances=True)
        elif keeper == "spot-fleet":
            ec2.cancel_spot_fleet_requests(SpotFleetRequestIds=[name], TerminateInstances=True)
        else:
            groups: Any = town.people("autoscaling", region)
            groups.delete_auto_scaling_group(AutoScalingGroupName=name, ForceDelete=True)
    except (ClientError, LocalAwsError):
        return


def protect(town: Town, box: Box, until: datetime) -> None:
    """Somebody tags a box with `curfew:protect`."""
    try:
        town.people("ec2", box.region).create_tags(
            Resources=[box.id], Tags=[{"Key": PROTECT_TAG, "Value": until.isoformat()}]
        )
    except ClientError:
        return
    town.protected[box.id] = until


def _make(town: Town, keeper: Keeper, kinds: tuple[str, ...], number: int, region: str) -> str:
    ec2: Any = town.people("ec2", region)
    zone = f"{region}a"
    name = f"{keeper}-{town.now:%Y%m%dT%H%M%S}-{len(town.boxes)}"
    data = {"ImageId": IMAGE, "InstanceType": kinds[0]}
    made = ec2.create_launch_template(LaunchTemplateName=name, LaunchTemplateData=data)
    template = {"LaunchTemplateId": made["LaunchTemplate"]["LaunchTemplateId"], "Version": "1"}
    overrides = [{"InstanceType": kind, "AvailabilityZone": zone} for kind in kinds]
    config = {"LaunchTemplateSpecification": template, "Overrides": overrides}
    if keeper == "maintain":
        fleet = ec2.create_fleet(
            Type="maintain",
            LaunchTemplateConfigs=[config],
            SpotOptions={"AllocationStrategy": "diversified"},
            TargetCapacitySpecification={
                "TotalTargetCapacity": number,
                "DefaultTargetCapacityType": "spot",
            },
        )
        return str(fleet["FleetId"])
    if keeper == "spot-fleet":
        wanted = {
            "Type": "maintain",
            "IamFleetRole": FLEET_ROLE,
            "TargetCapacity": number,
            "AllocationStrategy": "diversified",
            "LaunchTemplateConfigs": [config],
        }
        return str(ec2.request_spot_fleet(SpotFleetRequestConfig=wanted)["SpotFleetRequestId"])
    groups: Any = town.people("autoscaling", region)
    groups.create_auto_scaling_group(
        AutoScalingGroupName=name,
        MinSize=0,
        MaxSize=10,
        DesiredCapacity=number,
        AvailabilityZones=[zone],
        LaunchTemplate=template,
    )
    return name
