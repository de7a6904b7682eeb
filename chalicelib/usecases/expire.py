"""Expire: a timer says that one lease may be over. It is judged anew, and ended just as a sweep would end it."""

from dataclasses import replace
from datetime import timedelta

from chalicelib.domain.lease import Lease, Status
from chalicelib.domain.plan import plan
from chalicelib.ports import Services
from chalicelib.usecases import timers
from chalicelib.usecases.gather import gather
from chalicelib.usecases.judge import judge
from chalicelib.usecases.sweep import end_what_is_due

SKEW = timedelta(seconds=5)
"""So much earlier than the lease's end the clock of the function may be than the timer's: it is waited for."""


def expire(services: Services, lease_id: str) -> str:
    """End a lease if its time is up, and answer what came of it: `done`, `ending`, `dry-run`, or why nothing was done:
    `over` already, `postponed`, `spared`. Twice is once. Raises Unavailable where the table or EC2 fails."""
    lease = services.store.lease(lease_id)
    if lease is None or lease.status is Status.CLOSED:
        return "over"
    if lease.status is not Status.ENDING and not _is_up(services, lease):
        return "postponed"
    facts = gather(services, services.clock.now(), region=lease.region)
    mine = tuple(one for one in facts.leases if one.id == lease_id)
    verdicts, _ = judge(services, facts, ask=False)
    intent = plan([one for one in verdicts if one.case.lease in mine], facts.policy)
    receipts, _ = end_what_is_due(services, replace(facts, leases=mine), intent)
    timers.remove(services, receipts)
    return receipts[0].status if receipts else "spared"


def _is_up(services: Services, lease: Lease) -> bool:
    left = lease.expires_at - services.clock.now()
    if timedelta(0) < left <= SKEW:
        services.clock.sleep(left.total_seconds())
    return left <= SKEW
