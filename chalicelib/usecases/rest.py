"""Change the leases of adopted boxes that their owners have stopped, or started again.

A box at rest costs its disk and no compute: no clock may delete it, and its hold is needed elsewhere. So its lease
closes, and it is adopted as what it is now: at rest with a lease that only meters its storage, started again with all
its grace. One that AWS itself stopped keeps its lease: its request starts it at any time.
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
from chalicelib.usecases.gather import Facts, loose_boxes
from chalicelib.usecases.teardown import Why

RESTING = Why(
    cause="stopped", reason="it is stopped: only its disk bills, and no clock deletes it", figures={}
)
WOKEN = Why(cause="started", reason="it was started again, under a lease of its own", figures={})


def change_resting(services: Services, facts: Facts) -> Facts:
    """The facts without the leases that were closed because everything of theirs is stopped, or something at rest runs:
    those boxes are to be adopted anew."""
    closed = {lease.id for lease in facts.leases if _has_changed(services, facts, lease)}
    if not closed:
        return facts
    leases = tuple(lease for lease in facts.leases if lease.id not in closed)
    loose = loose_boxes(
        services, facts.sight, leases, policy=facts.policy, account=facts.account, now=facts.now
    )
    return replace(facts, leases=leases, loose=loose)


def _has_changed(services: Services, facts: Facts, lease: Lease) -> bool:
    """Whether its box has stopped or woken, and it is closed for it."""
    if _is_resting(facts, lease):
        return _close(services, facts, lease, RESTING)
    # What it ran for by now is what it ran for before its adoption, as with any stray.
    return _has_woken(facts, lease) and _close(services, facts, replace(lease, runs=()), WOKEN)


def _has_woken(facts: Facts, lease: Lease) -> bool:
    is_judged = lease.is_storage and lease.status is Status.ACTIVE and facts.in_focus(lease)
    return is_judged and any(box.is_running for box in facts.owned(lease).live)


def _is_resting(facts: Facts, lease: Lease) -> bool:
    if (
        lease.is_storage
        or not lease.is_adopted
        or lease.status is not Status.ACTIVE
        or not facts.in_focus(lease)
    ):
        return False
    owned = facts.owned(lease)
    waits = any(request.comes_back for request in owned.spot_requests)
    is_stopped = bool(owned.live) and all(box.state == "stopped" for box in owned.live)
    return is_stopped and not waits and not _is_aimed_at(lease, facts.now)


def _is_aimed_at(lease: Lease, now: datetime) -> bool:
    """Whether a timer would still end it. Nobody could take that away from a closed lease, so it stays open until the
    sweep has (`timers.repair`)."""
    return any(timer.at > now for timer in lease.timers)


def _close(services: Services, facts: Facts, lease: Lease, why: Why) -> bool:
    now = facts.now
    ending = Ending(cause=why.cause, reason=why.reason, decided_at=now, claimed_until=now)
    closed = replace(lease, status=Status.CLOSED, ending=ending, closed_at=now)
    cost = measure(closed, facts.prices, now)
    closed = with_final_cost(closed, facts.prices, now)
    receipt = receipt_of(closed, cost, status="done", ended_at=_stopped_at(lease) or now)
    told: Sequence[notices.Notice] = [notices.rested(receipt, now)] if why is RESTING else []
    try:
        services.store.close_lease(closed, receipt=receipt, notices=told)
    except (Stale, Unavailable):
        return False
    return True


def _stopped_at(lease: Lease) -> datetime | None:
    return max((run.ended_at for run in lease.runs if run.ended_at), default=None)
