"""What `MemoryEc2` keeps of instances and spot requests, and how Describe calls show them."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from chalicelib.domain.instance import Instance, SpotRequest
from chalicelib.domain.storage import Disk, Volume
from chalicelib.ports import LaunchAnswer

LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class Box:
    """An instance. `is_hidden`: Describe calls do not show it yet, or not now. `disks` go with it, its root
    first; `kept_disks` outlive it."""

    id: str
    region: str
    type: str
    zone: str | None
    launched_at: datetime | None
    state: str = "running"
    lifecycle: str = "on-demand"
    ended_at: datetime | None = None
    request_id: str | None = None
    fleet_id: str | None = None
    fleet_type: str | None = None
    spot_fleet_id: str | None = None
    group: str | None = None
    managed_by: str | None = None
    client_token: str | None = None
    private_dns: str | None = None
    public_ip: str | None = "203.0.113.7"
    disks: tuple[Disk, ...] = (Disk(gib=45, type="gp3"),)
    kept_disks: tuple[Volume, ...] = ()
    was_interrupted: bool = False
    tags: dict[str, str] = field(default_factory=dict)
    is_protected: bool = False
    is_hidden: bool = False


@dataclass(slots=True)
class Request:
    """A spot request. `opened_at` is when it began to look for capacity."""

    id: str
    region: str
    type: str
    instance_type: str
    zone: str | None
    opened_at: datetime
    max_price: str | None = None
    valid_until: datetime | None = None
    state: str = "open"
    status_code: str = "pending-evaluation"
    instance_id: str | None = None
    tags: dict[str, str] = field(default_factory=dict)


def to_instance(box: Box) -> Instance:
    """The instance as seen."""
    return Instance(
        id=box.id,
        region=box.region,
        type=box.type,
        state=box.state,
        zone=box.zone,
        lifecycle=box.lifecycle,
        launched_at=box.launched_at,
        ended_at=box.ended_at,
        spot_request_id=box.request_id,
        fleet_id=box.fleet_id,
        spot_fleet_id=box.spot_fleet_id,
        group=box.group,
        managed_by=box.managed_by,
        client_token=box.client_token,
        public_ip=box.public_ip,
        private_dns=box.private_dns,
        tags=dict(box.tags),
        was_interrupted=box.was_interrupted,
        volumes={disk.id: disk.outlives_box for disk in volumes_of(box)},
    )


def volumes_of(box: Box) -> tuple[Volume, ...]:
    """The disks attached to a box."""
    own = [
        Volume(
            id=f"vol-{box.id.removeprefix('i-')}{f'-{number}' if number else ''}",
            instance_id=box.id,
            type=disk.type or "unknown",
            gib=disk.gib,
            iops=disk.iops,
            throughput=disk.throughput,
            since=box.launched_at or LONG_AGO,
        )
        for number, disk in enumerate(box.disks)
    ]
    return (*own, *box.kept_disks)


def disks_asked_for(box: Mapping[str, Any]) -> tuple[Disk, ...]:
    """The disks that a launch names."""
    return tuple(
        Disk(
            device=one["DeviceName"],
            gib=one["Ebs"]["VolumeSize"],
            type=one["Ebs"].get("VolumeType"),
            iops=one["Ebs"].get("Iops"),
            throughput=one["Ebs"].get("Throughput"),
        )
        for one in box.get("BlockDeviceMappings", ())
    )


def to_request(one: Request) -> SpotRequest:
    """The request as seen."""
    return SpotRequest(
        id=one.id,
        region=one.region,
        state=one.state,
        status_code=one.status_code,
        type=one.type,
        instance_id=one.instance_id,
        instance_type=one.instance_type,
        zone=one.zone,
        max_price=one.max_price,
        created_at=one.opened_at,
        valid_until=one.valid_until,
        tags=dict(one.tags),
    )


def fulfil(request: Request, box: Box) -> None:
    """The request has its box."""
    request.state, request.status_code, request.instance_id = "active", "fulfilled", box.id
    box.request_id, box.lifecycle = request.id, "spot"


def tags_of(parameters: Mapping[str, Any], kind: str) -> dict[str, str]:
    """The tags that a call asks for on a kind of resource."""
    specifications = [one for one in parameters.get("TagSpecifications", []) if one["ResourceType"] == kind]
    return {tag["Key"]: tag["Value"] for one in specifications for tag in one["Tags"]}


def launched(boxes: Collection[Box]) -> LaunchAnswer:
    """The answer of a launch that started these."""
    return LaunchAnswer(
        outcome="launched",
        instance_ids=tuple(box.id for box in boxes),
        spot_request_ids=tuple(dict.fromkeys(box.request_id for box in boxes if box.request_id)),
        fleet_id=next((box.fleet_id for box in boxes if box.fleet_id), None),
    )
