"""The receipt of an end, made from what the lease records of it."""

from dataclasses import replace
from datetime import datetime
from decimal import Decimal, InvalidOperation

from chalicelib.domain.lease import Lease, Receipt
from chalicelib.domain.meter import Cost
from chalicelib.domain.money import ZERO, hours
from chalicelib.domain.relaunch import relaunch

SAVES = frozenset({"idle", "requested"})
"""Causes of ends before a box's time: of those by time and money nobody knows for how much longer it would have run."""


def receipt_of(lease: Lease, cost: Cost, *, status: str, ended_at: datetime | None) -> Receipt:
    """What is known of an end so far; kept for good once the lease is closed. Its id is the lease's."""
    ending = lease.ending
    if ending is None:
        raise ValueError(f"lease {lease.id} is not ending")
    return Receipt(
        id=lease.id if status != "dry-run" else f"{lease.id}-dry-run",
        lease_id=lease.id,
        owner=lease.owner,
        project=lease.project,
        region=lease.region,
        origin=lease.origin,
        cause=ending.cause,
        reason=ending.reason,
        figures=ending.figures,
        instance_ids=(*lease.instance_ids, *ending.boxes),
        spot_request_ids=lease.spot_request_ids,
        launched_at=lease.launched_at,
        decided_at=ending.decided_at,
        ended_at=ended_at,
        status=status,
        steps=ending.steps,
        cost_usd=lease.final_usd if lease.final_usd is not None else cost.accrued_usd,
        hold_usd=lease.hold.total_usd,
        compute_usd=cost.compute_usd,
        storage_usd=cost.storage_usd,
        public_ipv4_usd=cost.public_ipv4_usd,
        egress_usd=cost.egress_usd,
        egress_until=lease.egress_until,
        leftovers=cost.leftovers,
        snapshot_usd=cost.snapshot_usd,
        images=cost.images,
        leases=tuple(dict.fromkeys(ending.boxes.values())),
        saved_usd=saved_usd(lease),
        relaunch=relaunch(lease),
    )


def saved_usd(lease: Lease) -> Decimal | None:
    """What a closed lease would have cost had it run to its own end: what it cost an hour, times what was left of its
    time, at most what was left of its hold. None where that is not known."""
    ending = lease.ending
    if ending is None or lease.closed_at is None or ending.cause not in SAVES:
        return None
    try:
        hourly = Decimal(ending.figures.get("hourly_usd", ""))
    except InvalidOperation:
        return None
    left = max(lease.hold.total_usd - (lease.final_usd or ZERO), ZERO)
    return min(max(hourly * hours(lease.expires_at - lease.closed_at), ZERO), left)


def joined(first: Receipt | None, more: Receipt, root: str) -> Receipt:
    """The receipt of a lease with the end of what came back of it: its steps and its cost are added."""
    if first is None:
        return replace(more, id=root, lease_id=root)
    return replace(
        first,
        instance_ids=tuple(dict.fromkeys((*first.instance_ids, *more.instance_ids))),
        spot_request_ids=tuple(dict.fromkeys((*first.spot_request_ids, *more.spot_request_ids))),
        figures={**first.figures, **more.figures},
        ended_at=more.ended_at,
        steps=(*first.steps, *more.steps),
        cost_usd=first.cost_usd + more.cost_usd,
        compute_usd=first.compute_usd + more.compute_usd,
        storage_usd=first.storage_usd + more.storage_usd,
        public_ipv4_usd=first.public_ipv4_usd + more.public_ipv4_usd,
        egress_usd=first.egress_usd + more.egress_usd,
        leftovers=(*first.leftovers, *more.leftovers),
        snapshot_usd=first.snapshot_usd + more.snapshot_usd,
        images=(*first.images, *more.images),
        saved_usd=None,
        relaunch=first.relaunch or more.relaunch,
    )
