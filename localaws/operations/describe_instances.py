"""DescribeInstances, fast enough for thousands of instances."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from localaws.errors import AwsError
from localaws.model import STATE_CODES, Box, Moment
from localaws.onmoto import backend
from localaws.operations import Call, operation
from localaws.protocol.filters import Values, matches
from localaws.protocol.paging import page

AUTO_SCALING = "940372691376"
"""The account of Auto Scaling in us-east-1, which real answers name as the requester of its launches."""


@dataclass(frozen=True, slots=True)
class Sight:
    """A box as EC2 shows it by now."""

    box: Box
    moment: Moment
    tags: Mapping[str, str]


READERS: dict[str, Callable[[Sight], Values]] = {
    "instance-id": lambda sight: sight.box.id,
    "instance-state-name": lambda sight: sight.moment.state,
    "instance-state-code": lambda sight: str(STATE_CODES[sight.moment.state]),
    "instance-lifecycle": lambda sight: sight.box.lifecycle,
    "instance-type": lambda sight: sight.box.type,
    "availability-zone": lambda sight: sight.box.zone,
    "spot-instance-request-id": lambda sight: sight.box.request_id,
    "client-token": lambda sight: sight.box.moto.client_token or None,
    "reservation-id": lambda sight: sight.box.reservation_id,
    "requester-id": lambda sight: AUTO_SCALING if sight.box.group else None,
    "owner-id": lambda sight: sight.box.moto.owner_id,
    "state-reason-code": lambda sight: sight.moment.reason.code or None,
    "image-id": lambda sight: sight.box.moto.image_id,
    "key-name": lambda sight: sight.box.moto.key_name,
    "vpc-id": lambda sight: sight.box.moto.vpc_id,
    "subnet-id": lambda sight: sight.box.moto.subnet_id,
    "instance.group-id": lambda sight: [group.id for group in sight.box.moto.security_groups],
    "launch-time": lambda sight: sight.moment.started_at.strftime("%Y-%m-%dT%H:%M:%S.000Z"),
}


@operation("ec2", "DescribeInstances")
def describe_instances(call: Call) -> dict[str, Any]:
    """Pages of 5 to 1,000 instances, all filters, terminated ones for an hour (botocore, DescribeInstances)."""
    params, filters = call.params, call.filters()
    asked = params.get("InstanceIds", [])
    if asked and params.get("MaxResults"):
        raise AwsError(
            "InvalidParameterCombination",
            "The parameter instancesSet cannot be used with the parameter maxResults",
        )
    boxes = (
        asked_boxes(call, asked)
        if asked
        else [box for box in call.world.boxes if box.region == call.region and is_known(call, box)]
    )
    sights = (sighted(call, box) for box in boxes)
    found = [sight for sight in sights if matches(sight, sight.tags, filters, READERS)]
    shown, token = page(found, params.get("NextToken"), params.get("MaxResults"))
    return {"Reservations": reservations(shown), "NextToken": token}


def asked_boxes(call: Call, ids: list[str]) -> list[Box]:
    """The boxes of these ids; one that is unknown, or not known yet, fails the whole call."""
    found = {box_id: call.world.boxes.find(box_id, call.region) for box_id in ids}
    unknown = [box_id for box_id, box in found.items() if box is None or not is_known(call, box)]
    if unknown:
        some = f"IDs '{', '.join(unknown)}' do" if len(unknown) > 1 else f"ID '{unknown[0]}' does"
        raise AwsError("InvalidInstanceID.NotFound", f"The instance {some} not exist")
    return [box for box in found.values() if box is not None]


def is_known(call: Call, box: Box) -> bool:
    """Whether EC2 shows the box: not so soon after its launch, nor so long after its end, that it doesn't."""
    return not box.forgotten and call.world.consistency.shows_box(box)


def sighted(call: Call, box: Box) -> Sight:
    """A box as EC2 shows it by now."""
    consistency = call.world.consistency
    tags = backend.ec2_backend(box.region).tags.get(box.id, {})
    return Sight(box, consistency.seen(box), consistency.tags(box.id, tags))


def reservations(sights: Iterable[Sight]) -> list[dict[str, Any]]:
    """Boxes under the launch that started them (botocore, Reservation)."""
    found: dict[str, dict[str, Any]] = {}
    for sight in sights:
        launch = found.setdefault(sight.box.reservation_id, _reservation(sight.box))
        launch["Instances"].append(instance(sight))
    return list(found.values())


def _reservation(box: Box) -> dict[str, Any]:
    shown = {
        "ReservationId": box.reservation_id,
        "OwnerId": box.moto.owner_id,
        "Groups": [],
        "Instances": [],
    }
    return shown | {"RequesterId": AUTO_SCALING} if box.group else shown


def instance(sight: Sight) -> dict[str, Any]:
    """A box as DescribeInstances shows it."""
    box, moment = sight.box, sight.moment
    moto = box.moto
    shown: dict[str, Any] = {
        "InstanceId": box.id,
        "ImageId": moto.image_id,
        "State": {"Code": STATE_CODES[moment.state], "Name": moment.state},
        "InstanceType": box.type,
        "LaunchTime": moment.started_at,
        "Placement": {"AvailabilityZone": box.zone, "GroupName": "", "Tenancy": "default"},
        "Monitoring": {"State": moto.monitoring_state},
        "Architecture": moto.architecture,
        "KeyName": moto.key_name,
        "ClientToken": moto.client_token or "",
        "AmiLaunchIndex": moto.ami_launch_index,
        "StateTransitionReason": moment.reason.transition,
        "EbsOptimized": moto.ebs_optimized,
        "Hypervisor": "xen",
        "VirtualizationType": "hvm",
        "RootDeviceType": "ebs",
        "RootDeviceName": moto.root_device_name,
        "SourceDestCheck": moto.source_dest_check,
        "SecurityGroups": [{"GroupId": group.id, "GroupName": group.name} for group in moto.security_groups],
        "BlockDeviceMappings": _devices(moto),
        "Tags": [{"Key": key, "Value": value} for key, value in sight.tags.items()],
        "PlatformDetails": "Linux/UNIX",
        "UsageOperation": "RunInstances",
        "Operator": {"Managed": False},
    }
    if box.lifecycle:
        shown["InstanceLifecycle"] = box.lifecycle
    if box.spot:
        shown["SpotInstanceRequestId"] = box.request_id
    if moment.reason.code:
        shown["StateReason"] = {"Code": moment.reason.code, "Message": moment.reason.message}
    if moment.state not in ("terminated", "shutting-down"):
        shown |= _network(box, moment.state)
    return shown


def _devices(moto: Any) -> list[dict[str, Any]]:
    return [
        {
            "DeviceName": name,
            "Ebs": {
                "VolumeId": device.volume_id,
                "Status": "attached",
                "AttachTime": device.attach_time or moto.launch_time,
                "DeleteOnTermination": bool(device.delete_on_termination),
            },
        }
        for name, device in moto.get_block_device_mapping
    ]


def _network(box: Box, state: str) -> dict[str, Any]:
    moto = box.moto
    public = moto.public_ip if state in ("pending", "running") else None
    nic = moto.nics[0]
    shown: dict[str, Any] = {
        "SubnetId": moto.subnet_id,
        "VpcId": moto.vpc_id,
        "PrivateIpAddress": moto.private_ip,
        "PrivateDnsName": moto.private_dns_name,
        "PublicDnsName": moto.public_dns_name if public else "",
        "NetworkInterfaces": [
            {
                "NetworkInterfaceId": nic.id,
                "OwnerId": moto.owner_id,
                "Status": "in-use",
                "SubnetId": moto.subnet_id,
                "VpcId": moto.vpc_id,
                "PrivateIpAddress": moto.private_ip,
                "SourceDestCheck": True,
                "InterfaceType": "interface",
                "Attachment": {
                    "AttachTime": nic.attach_time,
                    "AttachmentId": nic.attachment_id,
                    "DeleteOnTermination": True,
                    "DeviceIndex": 0,
                    "Status": "attached",
                },
            }
        ],
    }
    if public:
        shown["PublicIpAddress"] = public
    profile = moto.iam_instance_profile
    if profile:
        shown["IamInstanceProfile"] = {"Arn": profile.get("Arn"), "Id": profile.get("Id")}
    return shown
