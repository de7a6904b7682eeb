"""The truth as JSON: what `GET /_world` answers."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from localaws.money.account_truth import account
from localaws.onmoto import backend

if TYPE_CHECKING:
    from localaws.ec2.fleets import Fleets
    from localaws.ec2.reservations import CapacityReservation
    from localaws.model import Box, Fleet, SpotRequest
    from localaws.world import World

TEN_PLACES = Decimal("1e-10")


def truth(world: World) -> dict[str, Any]:
    """Every instance that ever ran, what controls them, what was billed, and who did what."""
    instances = [_box(world, box) for box in world.boxes]
    content: dict[str, Any] = plain(
        {
            "now": world.now,
            "regions": list(world.regions),
            "throttled": world.throttle.on,
            "lag_seconds": world.consistency.lag.total_seconds(),
            "forwarded": world.forwarders.among(world.regions),
            "instances": instances,
            "spot_requests": [_request(request) for request in world.spot],
            "fleets": [_fleet(world.fleets, fleet) for fleet in world.fleets],
            "spot_fleets": [_fleet(world.spot_fleets, fleet) for fleet in world.spot_fleets],
            "groups": _groups(world),
            "reservations": [_reservation(world, one) for one in world.reservations],
            "sold_out": [{"zone": zone, "type": kind} for zone, kind in world.market.sold_out()],
            "billed_usd": sum((row["billed_usd"] for row in instances), Decimal(0)),
            "calls": world.calls.as_dicts(),
            "timers": list(world.timers.rows()),
            "dead_letters": world.dead_letters,
            **account(world),
        }
    )
    return content


def box_row(world: World, box: Box) -> dict[str, Any]:
    """One instance of the truth."""
    row: dict[str, Any] = plain(_box(world, box))
    return row


def _box(world: World, box: Box) -> dict[str, Any]:
    bill, level = world.bill(box), box.load.latest
    return {
        "id": box.id,
        "region": box.region,
        "zone": box.zone,
        "type": box.type,
        "market": box.market,
        "state": box.state,
        "launched_at": box.launched_at,
        "running_since": box.runs[-1].start if box.runs and box.state == "running" else None,
        "shutdown_at": world.guests.shutdown_at(box),
        "user_data_ignored": list(world.guests.not_understood(box)),
        "ended_at": box.ended_at,
        "ended_by": box.ended_by,
        "relaunched_by": box.relaunched_by,
        "relaunch_of": box.relaunch_of,
        "spot_request_id": box.request_id,
        "fleet_id": box.fleet_id,
        "group": box.group,
        "tags": dict(backend.ec2_backend(box.region).tags.get(box.id, {})),
        "egress_gb": sum((gb for _, gb in box.sent), Decimal(0)),
        "rebooted_at": box.rebooted_at,
        "gpu": level.gpu,
        "cpu": level.cpu,
        "metric_period": level.period,
        "billed_usd": bill.total_usd,
        "bill": {
            "compute_usd": bill.compute_usd,
            "storage_usd": bill.storage_usd,
            "ipv4_usd": bill.ipv4_usd,
        },
        "volumes": [
            {"id": volume.id, "gib": volume.gib, "kind": volume.kind, "deleted_at": volume.until}
            for volume in box.volumes
        ],
    }


def _request(request: SpotRequest) -> dict[str, Any]:
    """One spot request."""
    return {
        "id": request.id,
        "region": request.region,
        "type": request.type,
        "state": request.state,
        "status_code": request.status_code,
        "status_at": request.status_at,
        "instance_id": request.box_id,
        "instance_type": request.spec.params.get("InstanceType"),
        "zone": request.zone,
        "max_price_usd": request.cap_usd,
        "created_at": request.created_at,
        "valid_until": request.valid_until,
        "fleet_id": request.fleet_id,
        "tags": dict(backend.ec2_backend(request.region).tags.get(request.id, {})),
    }


def _fleet(fleets: Fleets, fleet: Fleet) -> dict[str, Any]:
    """One fleet."""
    return {
        "id": fleet.id,
        "region": fleet.region,
        "type": fleet.type,
        "state": fleet.state,
        "target": fleet.target,
        "created_at": fleet.created_at,
        "valid_until": fleet.valid_until,
        "instance_ids": list(fleet.box_ids),
        "live_instance_ids": [box.id for box in fleets.live(fleet)],
        "tags": dict(backend.ec2_backend(fleet.region).tags.get(fleet.id, {})),
    }


def _reservation(world: World, reservation: CapacityReservation) -> dict[str, Any]:
    """One capacity reservation."""
    return {
        "id": reservation.id,
        "region": reservation.region,
        "zone": reservation.zone,
        "type": reservation.type,
        "count": reservation.count,
        "used": world.reservations.used(reservation),
        "state": reservation.state(world.now),
        "created_at": reservation.created_at,
        "ends_at": reservation.ends_at,
        "cancelled_at": reservation.cancelled_at,
        "tags": dict(backend.ec2_backend(reservation.region).tags.get(reservation.id, {})),
    }


def _groups(world: World) -> list[dict[str, Any]]:
    """The Auto Scaling groups."""
    return [
        {
            "name": group.name,
            "region": region,
            "desired": group.desired_capacity,
            "min": group.min_size,
            "max": group.max_size,
            "instance_ids": [state.instance.id for state in group.instance_states],
        }
        for region, group in world.groups
    ]


def plain(value: Any) -> Any:
    """The same in JSON's own types: times in ISO 8601 UTC, money as decimal strings of at most ten places."""
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%SZ")
    if isinstance(value, Decimal):
        return f"{value.quantize(TEN_PLACES).normalize():f}"
    return value
