"""The account's part of the truth: what it owns beside instances, and its bill."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from localaws.money.account_bill import charges

if TYPE_CHECKING:
    from localaws.world import World


def account(world: World) -> dict[str, Any]:
    """Its sections of `GET /_world`: `account_usd` is everything that was ever billed, before credits."""
    services: dict[str, Decimal] = defaultdict(Decimal)
    usage_types: dict[str, Decimal] = defaultdict(Decimal)
    for charge in charges(world):
        usd = charge.total_usd
        if usd:
            services[charge.line.service] += usd
            usage_types[charge.line.usage_type] += usd
    requests = world.account.requests
    return {
        "account_usd": sum(services.values(), Decimal(0)),
        "bill": {
            "services": dict(sorted(services.items())),
            "usage_types": dict(sorted(usage_types.items())),
            "credits": [{"at": one.at, "usd": one.usd, "kind": one.kind} for one in world.account.credits],
        },
        "paid_requests": {
            "cost_explorer": requests.total("ce"),
            "metrics": requests.total("cloudwatch", "GetMetricData"),
            "cloudwatch": requests.total("cloudwatch") - requests.total("cloudwatch", "GetMetricData"),
        },
        "volumes": _volumes(world),
        "snapshots": [
            {
                "id": one.id,
                "region": one.region,
                "volume_id": one.volume_id,
                "gib": one.gib,
                "state": one.state,
                "created_at": one.since,
                "deleted_at": one.until,
            }
            for one in world.account.snapshots
        ],
        "images": [
            {
                "id": one.id,
                "region": one.region,
                "name": one.name,
                "instance_id": one.box_id,
                "state": one.state,
                "snapshot_ids": one.snapshot_ids,
                "created_at": one.created_at,
                "deregistered_at": one.deregistered_at,
            }
            for one in world.account.images
        ],
        "addresses": [
            {
                "id": one.id,
                "region": one.region,
                "ip": one.ip,
                "instance_id": one.box_id,
                "allocated_at": one.since,
                "released_at": one.until,
            }
            for one in world.account.addresses
        ],
    }


def _volumes(world: World) -> list[dict[str, Any]]:
    """Every volume; `instance_id` is the box it was launched with, if any."""
    owner = {volume.id: box.id for box in world.boxes for volume in box.volumes}
    return [
        {
            "id": one.id,
            "region": one.region,
            "gib": one.gib,
            "kind": one.kind,
            "iops": one.shapes[-1].iops,
            "throughput": one.shapes[-1].throughput,
            "instance_id": owner.get(one.id),
            "created_at": one.since,
            "deleted_at": one.until,
        }
        for one in world.account.disks
    ]
