"""The calls that may serve an order, worked out before any is made, so that they can be recorded first.

One-time is one instant fleet over every type, all or nothing. Persistent is one RunInstances a type, cheapest first.
Maintain is one fleet over every type, which EC2 fills by and by and keeps at its target until `ValidUntil`. An override
that names no subnet stands for every zone.
Parameters hold nothing that JSON can't keep, and a price cap always: without one EC2 bills whatever spot costs.
"""

import base64
import hashlib
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from chalicelib.domain import guest
from chalicelib.domain.guest_heartbeat import Beacon
from chalicelib.domain.lease import Attempt, LaunchOrder, RequestType
from chalicelib.domain.rescue import ends_itself
from chalicelib.domain.storage import Disk
from chalicelib.domain.tags import EXPIRES_TAG, LEASE_TAG, OWNER_TAG, PROJECT_TAG
from chalicelib.ports import Image

CREATE_FLEET = "CreateFleet"
RUN_INSTANCES = "RunInstances"
METADATA = {"HttpTokens": "required", "InstanceMetadataTags": "enabled"}
"""A box reads its end from its own tag: domain/guest.py."""
TOLD_IOPS = frozenset({"io1", "io2", "gp3"})
"""The volume types that take `Iops`; EC2 tells them of others too and would refuse to hear them."""


def attempts(
    order: LaunchOrder,
    *,
    lease_id: str,
    owner: str,
    price_caps: Mapping[str, Decimal],
    image: Image,
    expires_at: datetime,
    valid_until: datetime,
    now: datetime,
    beacon: Beacon | None = None,
) -> tuple[Attempt, ...]:
    """The attempts of an order, best first."""
    tags = launch_tags(order, lease_id=lease_id, owner=owner, expires_at=expires_at)
    told = guest.user_data(order.user_data, expires_at if ends_itself(order) else None, beacon)
    types = sorted(dict.fromkeys(order.instance_types), key=lambda name: price_caps[name])
    if order.request_type is RequestType.PERSISTENT:
        calls = [
            (
                RUN_INSTANCES,
                _persistent(
                    order,
                    instance_type=name,
                    price_cap=price_caps[name],
                    image=image,
                    tags=tags,
                    valid_until=valid_until,
                    told=told,
                ),
            )
            for name in types
        ]
    else:
        fleet = _fleet(
            order,
            types=types,
            price_caps=price_caps,
            image=image,
            tags=tags,
            lease_id=lease_id,
            told=told,
            valid_until=valid_until,
        )
        calls = [(CREATE_FLEET, fleet)]
    return tuple(
        _attempt(operation, parameters, order.region, token(lease_id, number), now)
        for number, (operation, parameters) in enumerate(calls, start=1)
    )


def token(lease_id: str, number: int) -> str:
    """The ClientToken of a lease's attempt: the same again after a crash."""
    return hashlib.sha256(f"{lease_id}:{number}".encode()).hexdigest()[:32]


def template_name(lease_id: str) -> str:
    """The launch template a fleet of this lease is launched from."""
    return f"curfew-{lease_id}"


def launch_tags(order: LaunchOrder, *, lease_id: str, owner: str, expires_at: datetime) -> dict[str, str]:
    """What people and the sweep read on the box; tags are no proof of a lease, because consoles copy them."""
    tags = {
        LEASE_TAG: lease_id,
        OWNER_TAG: owner,
        EXPIRES_TAG: expires_at.isoformat(),
        "Name": f"curfew {lease_id}",
    }
    return {**tags, PROJECT_TAG: order.project} if order.project else tags


def _attempt(
    operation: str, parameters: dict[str, Any], region: str, own_token: str, now: datetime
) -> Attempt:
    tokens = {"ClientToken": own_token}
    if operation == CREATE_FLEET:
        parameters = {part: {**parameters[part], **tokens} for part in ("launch_template", "fleet")}
    else:
        parameters = {**parameters, **tokens}
    return Attempt(token=own_token, operation=operation, region=region, parameters=parameters, started_at=now)


def _fleet(
    order: LaunchOrder,
    *,
    types: list[str],
    price_caps: Mapping[str, Decimal],
    image: Image,
    tags: Mapping[str, str],
    lease_id: str,
    told: str | None,
    valid_until: datetime,
) -> dict[str, Any]:
    """A launch template and the fleet that launches from it. Only an instant fleet tags what it starts; the boxes of
    one that maintains its target are tagged by the template (botocore, CreateFleetRequest, `TagSpecifications`)."""
    name = template_name(lease_id)
    maintains = order.request_type is RequestType.MAINTAIN
    of_template = (
        ("spot-instances-request", "instance", "volume") if maintains else ("spot-instances-request",)
    )
    data = _box(order, image) | {
        "InstanceInitiatedShutdownBehavior": "terminate",
        "TagSpecifications": _tagged(tags, *of_template),
    }
    if told:
        data["UserData"] = base64.b64encode(told.encode()).decode()
    subnet = {"SubnetId": order.subnet_id} if order.subnet_id else {}
    return {
        "launch_template": {
            "LaunchTemplateName": name,
            "LaunchTemplateData": data,
            "TagSpecifications": _tagged(tags, "launch-template"),
        },
        "fleet": {
            **(_maintained(valid_until) if maintains else {"Type": "instant"}),
            "TargetCapacitySpecification": {
                "TotalTargetCapacity": order.target_capacity,
                "SpotTargetCapacity": order.target_capacity,
                "OnDemandTargetCapacity": 0,
                "DefaultTargetCapacityType": "spot",
            },
            "SpotOptions": {
                "AllocationStrategy": "price-capacity-optimized",
                "InstanceInterruptionBehavior": "terminate",
                "MaxTotalPrice": _usd(max(price_caps[name] for name in types) * order.target_capacity),
                **({} if maintains else _all_or_nothing(order.target_capacity)),
            },
            "LaunchTemplateConfigs": [
                {
                    "LaunchTemplateSpecification": {"LaunchTemplateName": name, "Version": "1"},
                    "Overrides": [
                        {"InstanceType": name, "MaxPrice": _usd(price_caps[name]), **subnet} for name in types
                    ],
                }
            ],
            "TagSpecifications": _tagged(
                tags, *(("fleet",) if maintains else ("fleet", "instance", "volume"))
            ),
        },
    }


def _maintained(valid_until: datetime) -> dict[str, Any]:
    """What makes a fleet keep its target, and end by itself with all that it runs. An unhealthy box bills as any other
    and is its owner's to judge: it is not replaced."""
    return {
        "Type": "maintain",
        "ValidUntil": valid_until.isoformat(timespec="seconds"),
        "TerminateInstancesWithExpiration": True,
        "ExcessCapacityTerminationPolicy": "termination",
        "ReplaceUnhealthyInstances": False,
    }


def _all_or_nothing(target_capacity: int) -> dict[str, Any]:
    """EC2 offers it only within one zone or one type (`MinTargetCapacity`); one box is all or nothing anyway, and is
    left free to start in any zone."""
    if target_capacity == 1:
        return {}
    return {"MinTargetCapacity": target_capacity, "SingleAvailabilityZone": True}


def _persistent(
    order: LaunchOrder,
    *,
    instance_type: str,
    price_cap: Decimal,
    image: Image,
    tags: Mapping[str, str],
    valid_until: datetime,
    told: str | None,
) -> dict[str, Any]:
    parameters = _box(order, image) | {
        "InstanceType": instance_type,
        "MinCount": order.target_capacity,
        "MaxCount": order.target_capacity,
        "InstanceMarketOptions": {
            "MarketType": "spot",
            "SpotOptions": {
                "MaxPrice": _usd(price_cap),
                "SpotInstanceType": "persistent",
                "InstanceInterruptionBehavior": "stop",
                "ValidUntil": valid_until.isoformat(timespec="seconds"),
            },
        },
        "InstanceInitiatedShutdownBehavior": "stop",
        "TagSpecifications": _tagged(tags, "instance", "volume", "spot-instances-request"),
    }
    if told:
        parameters["UserData"] = told
    if order.subnet_id:
        parameters["SubnetId"] = order.subnet_id
    return parameters


def _box(order: LaunchOrder, image: Image) -> dict[str, Any]:
    """What RunInstances and a launch template name alike."""
    box: dict[str, Any] = {"ImageId": image.id, "MetadataOptions": METADATA}
    disks = [disk for disk in image.disks(order.volume_gib) if disk.device]
    if disks:
        box["BlockDeviceMappings"] = [
            {"DeviceName": disk.device, "Ebs": _ends_with_box(disk)} for disk in disks
        ]
    if order.key_name:
        box["KeyName"] = order.key_name
    groups = [*([order.own_group_id] if order.own_group_id else []), *order.security_group_ids]
    if groups:
        box["SecurityGroupIds"] = list(dict.fromkeys(groups))
    if order.instance_profile:
        kind = "Arn" if order.instance_profile.startswith("arn:") else "Name"
        box["IamInstanceProfile"] = {kind: order.instance_profile}
    return box


def _ends_with_box(disk: Disk) -> dict[str, Any]:
    """A volume as it is held for, and deleted with its box: an AMI may say otherwise, and the volume would bill on."""
    ebs: dict[str, Any] = {"DeleteOnTermination": True}
    if disk.gib:
        ebs["VolumeSize"] = disk.gib
    if disk.type:
        ebs["VolumeType"] = disk.type
    if disk.iops and disk.type in TOLD_IOPS:
        ebs["Iops"] = disk.iops
    if disk.throughput and disk.type == "gp3":
        ebs["Throughput"] = disk.throughput
    return ebs


def _tagged(tags: Mapping[str, str], *resource_types: str) -> list[dict[str, Any]]:
    pairs = [{"Key": key, "Value": value} for key, value in tags.items()]
    return [{"ResourceType": resource_type, "Tags": pairs} for resource_type in resource_types]


def _usd(amount: Decimal) -> str:
    """Dollars as EC2 reads them: digits, never an exponent."""
    return f"{amount:f}"
