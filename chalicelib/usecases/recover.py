"""Take up launches that a crash or a lost answer left half done: keep what they started, or give the hold back."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from chalicelib.domain import notices
from chalicelib.domain.errors import Stale, Unavailable
from chalicelib.domain.lease import Lease, Status
from chalicelib.domain.tracking import track
from chalicelib.ports import LaunchAnswer, Services
from chalicelib.usecases.gather import Facts

LAUNCH_MAY_TAKE = timedelta(seconds=60)
"""An HTTP call lives 30 s at most: a lease that is `requested` for longer has lost its launcher."""
SURELY_VISIBLE_AFTER = timedelta(minutes=5)
"""By then what a lost call started shows up in DescribeInstances, which is eventually consistent."""


def recover_launches(services: Services, facts: Facts) -> Facts:
    """The facts with every abandoned launch resolved, where that can be known by now."""
    if facts.only is not None:
        return facts
    resolved = {
        lease.id: _recover(services, facts, lease) for lease in facts.leases if _is_abandoned(lease, facts)
    }
    leases = [resolved.get(lease.id, lease) for lease in facts.leases]
    return replace(
        facts,
        leases=tuple(lease for lease in leases if lease),
        stored={**facts.stored, **{lease.id: lease for lease in resolved.values() if lease}},
    )


def _is_abandoned(lease: Lease, facts: Facts) -> bool:
    last = max([lease.requested_at, *(attempt.started_at for attempt in lease.attempts)])
    return lease.status is Status.REQUESTED and facts.now - last >= LAUNCH_MAY_TAKE


def _recover(services: Services, facts: Facts, lease: Lease) -> Lease | None:
    """The lease as it goes on; None once it is closed because nothing was started."""
    if lease.region not in facts.sight.seen_regions:
        return lease
    try:
        found = services.compute.find_launched(
            lease.region, lease_id=lease.id, tokens=[attempt.token for attempt in lease.attempts]
        )
    except Unavailable:
        return lease
    if found.outcome == "launched":
        return _keep(services, facts, lease, found)
    last = max([lease.requested_at, *(attempt.started_at for attempt in lease.attempts)])
    unanswered = any(attempt.outcome is None for attempt in lease.attempts)
    if unanswered and facts.now - last < SURELY_VISIBLE_AFTER:
        return lease
    return give_up(
        services, lease, {"slug": "launch-lost", "detail": "its launch was cut off and nothing runs"}, facts
    )


def _keep(services: Services, facts: Facts, lease: Lease, found: LaunchAnswer) -> Lease:
    kept = track(launched(lease, found), facts.sight, facts.now)
    try:
        return services.store.save_lease(kept, notices=[notices.launched(kept, facts.now)])
    except Stale:
        return lease


def launched(lease: Lease, answer: LaunchAnswer) -> Lease:
    """The lease as owner of what an attempt started."""
    return replace(
        lease,
        status=Status.ACTIVE,
        launched_at=lease.launched_at or lease.requested_at,
        instance_ids=_joined(lease.instance_ids, answer.instance_ids),
        spot_request_ids=_joined(lease.spot_request_ids, answer.spot_request_ids),
        fleet_id=answer.fleet_id or lease.fleet_id,
    )


def give_up(
    services: Services, lease: Lease, failure: dict[str, object], facts: Facts | None = None
) -> Lease | None:
    """Close a lease whose launch started nothing: the whole hold goes back. None; the lease where that was too late."""
    now = facts.now if facts else services.clock.now()
    closed = replace(
        lease, status=Status.CLOSED, closed_at=now, final_usd=lease.hold.total_usd * 0, failure=failure
    )
    try:
        services.store.close_lease(closed, receipt=None)
    except Stale:
        return lease
    try:
        services.compute.delete_launch_template(lease.region, lease.id)
    except Unavailable:
        return None
    return None


def _joined(known: Sequence[str], new: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys([*known, *new]))
