"""CreateSnapshot and DescribeSnapshots; deleting and copying are moto's."""

from __future__ import annotations

from typing import Any

from localaws.ec2.launching import tag_map
from localaws.errors import AwsError
from localaws.events.bus import ACCOUNT
from localaws.money.snapshots import Snapshot
from localaws.onmoto import backend
from localaws.operations import Call, operation
from localaws.protocol.filters import matches
from localaws.protocol.paging import page

OURS = {"self", ACCOUNT}
READERS = {
    "snapshot-id": lambda one: one.id,
    "volume-id": lambda one: one.volume_id,
    "volume-size": lambda one: str(one.gib),
    "status": lambda one: one.state,
    "description": lambda one: one.description,
    "encrypted": lambda one: str(one.encrypted).lower(),
    "owner-id": lambda _: ACCOUNT,
    "start-time": lambda one: one.since.strftime("%Y-%m-%dT%H:%M:%S.000Z"),
}


@operation("ec2", "CreateSnapshot")
def create_snapshot(call: Call) -> dict[str, Any]:
    """A copy of a volume as it is now, `pending` for some minutes; attached volumes too (botocore, CreateSnapshot)."""
    ec2 = backend.ec2_backend(call.region)
    moto = ec2.create_snapshot(call.params["VolumeId"], call.params.get("Description", ""))
    ec2.tags[moto.id].update(tag_map(call.params, "snapshot"))
    return described(call.world.account.snapshots.of(moto.id))


@operation("ec2", "DescribeSnapshots")
def describe_snapshots(call: Call) -> dict[str, Any]:
    """The account's own; the world has no public ones (botocore, DescribeSnapshots)."""
    params, filters = call.params, call.filters()
    snapshots = call.world.account.snapshots
    found = [one for one in snapshots if snapshots.find(one.id, call.region)]
    wanted = params.get("SnapshotIds") or []
    missing = set(wanted) - {one.id for one in found}
    if missing:
        raise AwsError("InvalidSnapshot.NotFound", f"The snapshot '{min(missing)}' does not exist.")
    owners = params.get("OwnerIds") or []
    if owners and not OURS.intersection(owners):
        found = []
    tags = backend.ec2_backend(call.region).tags
    found = [
        one
        for one in found
        if (not wanted or one.id in wanted) and matches(one, tags.get(one.id, {}), filters, READERS)
    ]
    shown, token = page(found, params.get("NextToken"), params.get("MaxResults"))
    return {"Snapshots": [described(one) for one in shown], "NextToken": token}


def described(snapshot: Snapshot) -> dict[str, Any]:
    """A snapshot as EC2 shows it."""
    tags = backend.ec2_backend(snapshot.region).tags.get(snapshot.id, {})
    return {
        "SnapshotId": snapshot.id,
        "VolumeId": snapshot.volume_id,
        "VolumeSize": snapshot.gib,
        "State": snapshot.state,
        "Progress": "100%" if snapshot.state == "completed" else "0%",
        "StartTime": snapshot.since,
        "Description": snapshot.description,
        "Encrypted": snapshot.encrypted,
        "OwnerId": ACCOUNT,
        "StorageTier": "standard",
        "Tags": [{"Key": key, "Value": value} for key, value in tags.items()],
    }
