"""From RunInstances parameters to moto's instances, with AWS's defaults where moto has others."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from moto.core.exceptions import ServiceException
from moto.core.types import Base64EncodedString
from moto.ec2.utils import filter_iam_instance_profiles, parse_user_data

from localaws.errors import AwsError
from localaws.events.bus import ACCOUNT
from localaws.model import LaunchSpec
from localaws.onmoto import backend
from localaws.places import default_subnet

ROOT_GIB = 8


def run_on_moto(region: str, spec: LaunchSpec, zone: str, count: int) -> Any:
    """moto's reservation of new instances; what moto refuses is an AwsError, and nothing is started."""
    params = spec.params
    ec2 = backend.ec2_backend(region)
    profile = {
        "iam_instance_profile_name": params.get("IamInstanceProfile", {}).get("Name"),
        "iam_instance_profile_arn": params.get("IamInstanceProfile", {}).get("Arn"),
    }
    try:
        if any(profile.values()):
            filter_iam_instance_profiles(ACCOUNT, partition="aws", **profile)
        reservation = ec2.run_instances(
            params["ImageId"],
            count,
            user_data(params.get("UserData")),
            params.get("SecurityGroups", []),
            **_options(region, spec, zone),
        )
    except ServiceException as problem:
        raise AwsError(problem.code, problem.message) from problem
    for instance in reservation.instances if any(profile.values()) else ():
        ec2.associate_iam_instance_profile(instance_id=instance.id, **profile)
    return reservation


def _options(region: str, spec: LaunchSpec, zone: str) -> dict[str, Any]:
    params = spec.params
    nics = params.get("NetworkInterfaces", [])
    has_subnet = any("SubnetId" in nic for nic in nics)
    return {
        "instance_type": params["InstanceType"],
        "is_instance_type_default": True,  # spares a search through every type moto knows
        "region_name": region,
        "subnet_id": None if has_subnet else params.get("SubnetId") or default_subnet(region, zone),
        "nics": nics,
        "key_name": params.get("KeyName"),
        "security_group_ids": list(params.get("SecurityGroupIds", [])),
        "private_ip": params.get("PrivateIpAddress"),
        "associate_public_ip": None,
        "tags": {"instance": spec.tags, "volume": tag_map(params, "volume")},
        "ebs_optimized": params.get("EbsOptimized", False),
        "disable_api_termination": params.get("DisableApiTermination", False),
        "disable_api_stop": params.get("DisableApiStop", False),
        "instance_initiated_shutdown_behavior": params.get("InstanceInitiatedShutdownBehavior"),
        "hibernation_options": params.get("HibernationOptions", {}),
        "monitoring_state": "enabled" if params.get("Monitoring", {}).get("Enabled") else "disabled",
        "metadata_options": params.get("MetadataOptions", {}),
        "client_token": params.get("ClientToken", ""),
        "block_device_mappings": block_devices(params.get("BlockDeviceMappings", [])),
    }


def user_data(sent: Any) -> Base64EncodedString | None:
    """The user data of a launch; moto has decoded that of a launch template already."""
    return sent if isinstance(sent, Base64EncodedString) else parse_user_data(sent)


def tag_map(params: dict[str, Any], resource_type: str) -> dict[str, str]:
    """The tags that a launch asks for on one kind of resource."""
    return {
        tag["Key"]: tag.get("Value", "")
        for spec in params.get("TagSpecifications", [])
        if spec.get("ResourceType") == resource_type
        for tag in spec.get("Tags", [])
    }


def block_devices(asked: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The volumes of a launch: the root volume always, 8 GiB gp3 and deleted with the box unless asked otherwise.

    Other volumes outlive their box unless asked otherwise (botocore, EbsBlockDevice.DeleteOnTermination).
    """
    devices = []
    root = {"DeviceName": "/dev/sda1", "Ebs": {}}
    for device in asked:
        if device.get("DeviceName") in ("/dev/sda1", "/dev/xvda"):
            root = device
        elif "Ebs" in device:
            devices.append(device)
    return [
        {
            **device,
            "Ebs": {
                "VolumeSize": ROOT_GIB,
                "VolumeType": "gp3",
                "DeleteOnTermination": device is root,
                **device["Ebs"],
            },
        }
        for device in [root, *devices]
        if "Ebs" in device
    ]
