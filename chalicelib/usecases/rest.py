"""Close the leases of adopted boxes that their owners have stopped.

A box at rest costs its disk and no compute: no clock may delete it, and its hold is needed elsewhere. Started again it
is found, and adopted anew with all its grace. One that AWS itself stopped keeps its lease: its request starts it at any
time.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from chalicelib.domain import notices
from chalicelib.domain.errors import Stale, Unavailable
from chalicelib.domain.lease import Ending, Lease, Status
from chalicelib.domain.meter import measure
from chalicelib.domain.periods import with_final_cost
from chalicelib.domain.receipts import receipt_of
from chalicelib.ports import Services
from chalicelib.usecases.gather import Facts

RESTING = "stopped"


def close_resting(services: Services, facts: Facts) -> Facts:
    """The facts without the leases that were closed because everything of theirs is stopped."""
    closed = {
        lease.id for lease in facts.leases if _is_resting(facts, lease) and _close(services, facts, lease)
    }
    return replace(facts, leases=tuple(lease for lease in facts.leases if lease.id not in closed))


def _is_resting(facts: Facts, lease: Lease) -> bool:
    if not lease.is_adopted or lease.status is not Status.ACTIVE or not facts.in_focus(lease):
        return False
    owned = facts.owned(lease)
    waits = any(request.comes_back for request in owned.spot_requests)
    return bool(owned.live) and all(box.state == "stopped" for box in owned.live) and not waits


def _close(services: Services, facts: Facts, lease: Lease) -> bool:
    now = facts.now
    ending = Ending(
        cause=RESTING,
        reason="it is stopped: only its disk bills, and no clock deletes it",
        decided_at=now,
        claimed_until=now,
    )
    closed = replace(lease, status=Status.CLOSED, ending=ending, closed_at=now)
    cost = measure(closed, facts.prices, now)
    closed = with_final_cost(closed, facts.prices, now)
    receipt = receipt_of(closed, cost, status="done", ended_at=_stopped_at(lease) or now)
    told: Sequence[notices.Notice] = [notices.rested(receipt, now)]
    try:
        services.store.close_lease(closed, receipt=receipt, notices=told)
    except (Stale, Unavailable):
        return False
    return True


def _stopped_at(lease: Lease) -> datetime | None:
    return max((run.ended_at for run in lease.runs if run.ended_at), default=None)
