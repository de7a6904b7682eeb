"""DescribeInstances, fast enough for thousands of instances."""

from __future__ import annotations

from typing import Any

from localaws import backend
from localaws.errors import AwsError
from localaws.filters import matches
from localaws.model import STATE_CODES, Box
from localaws.operations import Call, operation
from localaws.paging import page

READERS = {
    "instance-id": lambda box: box.id,
    "instance-state-name": lambda box: box.state,
    "instance-state-code": lambda box: str(STATE_CODES[box.state]),
    "instance-lifecycle": lambda box: "spot" if box.spot else None,
    "instance-type": lambda box: box.type,
    "availability-zone": lambda box: box.zone,
    "spot-instance-request-id": lambda box: box.request_id,
    "client-token": lambda box: box.moto.client_token or None,
    "image-id": lambda box: box.moto.image_id,
    "key-name": lambda box: box.moto.key_name,
    "vpc-id": lambda box: box.moto.vpc_id,
    "subnet-id": lambda box: box.moto.subnet_id,
    "instance.group-id": lambda box: [group.id for group in box.moto.security_groups],
    "launch-time": lambda box: box.moto.launch_time.strftime("%Y-%m-%dT%H:%M:%S.000Z"),
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
    tags = backend.ec2_backend(call.region).tags
    boxes = (
        asked_boxes(call, asked)
        if asked
        else [box for box in call.world.boxes if box.region == call.region and not box.forgotten]
    )
    boxes = [box for box in boxes if matches(box, tags.get(box.id, {}), filters, READERS)]
    shown, token = page(boxes, params.get("NextToken"), params.get("MaxResults"))
    return {"Reservations": reservations(shown), "NextToken": token}


def asked_boxes(call: Call, ids: list[str]) -> list[Box]:
    """The boxes of these ids; one unknown id fails the whole call."""
    unknown = [box_id for box_id in ids if call.world.boxes.find(box_id, call.region) is None]
    if unknown:
        some = f"IDs '{', '.join(unknown)}' do" if len(unknown) > 1 else f"ID '{unknown[0]}' does"
        raise AwsError("InvalidInstanceID.NotFound", f"The instance {some} not exist")
    return [call.world.boxes.of(box_id) for box_id in ids]


def reservations(boxes: list[Box]) -> list[dict[str, Any]]:
    """One reservation a box, as EC2 shows them for single launches."""
    return [
        {
            "ReservationId": f"r-{box.id[2:]}",
            "OwnerId": box.moto.owner_id,
            "Groups": [],
            "Instances": [instance(box)],
        }
        for box in boxes
    ]


def instance(box: Box) -> dict[str, Any]:
    """A box as DescribeInstances shows it."""
    moto = box.moto
    tags = backend.ec2_backend(box.region).tags.get(box.id, {})
    shown: dict[str, Any] = {
        "InstanceId": box.id,
        "ImageId": moto.image_id,
        "State": {"Code": STATE_CODES[box.state], "Name": box.state},
        "InstanceType": box.type,
        "LaunchTime": moto.launch_time,
        "Placement": {"AvailabilityZone": box.zone, "GroupName": "", "Tenancy": "default"},
        "Monitoring": {"State": moto.monitoring_state},
        "Architecture": moto.architecture,
        "KeyName": moto.key_name,
        "ClientToken": moto.client_token or "",
        "AmiLaunchIndex": moto.ami_launch_index,
        "StateTransitionReason": box.reason,
        "EbsOptimized": moto.ebs_optimized,
        "Hypervisor": "xen",
        "VirtualizationType": "hvm",
        "RootDeviceType": "ebs",
        "RootDeviceName": moto.root_device_name,
        "SourceDestCheck": moto.source_dest_check,
        "SecurityGroups": [{"GroupId": group.id, "GroupName": group.name} for group in moto.security_groups],
        "BlockDeviceMappings": _devices(moto),
        "Tags": [{"Key": key, "Value": value} for key, value in tags.items()],
        "PlatformDetails": "Linux/UNIX",
        "UsageOperation": "RunInstances",
    }
    if box.spot:
        shown |= {"InstanceLifecycle": "spot", "SpotInstanceRequestId": box.request_id}
    if box.reason_code:
        shown["StateReason"] = {"Code": box.reason_code, "Message": box.reason_message}
    if box.state not in ("terminated", "shutting-down"):
        shown |= _network(box)
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


def _network(box: Box) -> dict[str, Any]:
    moto = box.moto
    public = moto.public_ip if box.state in ("pending", "running") else None
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
