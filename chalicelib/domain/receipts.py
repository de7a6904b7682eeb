"""The receipt of an end, made from what the lease records of it."""

from datetime import datetime

from chalicelib.domain.lease import Lease, Receipt
from chalicelib.domain.meter import Cost


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
        instance_ids=lease.instance_ids,
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
    )
