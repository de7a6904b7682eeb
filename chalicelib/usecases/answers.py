"""What AWS answers to the steps of an end, written into the leases that they belong to."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from chalicelib.domain import notices
from chalicelib.domain.errors import Stale, Unavailable
from chalicelib.domain.lease import Lease, Receipt
from chalicelib.domain.missed import is_refusal
from chalicelib.domain.steps import CALLS, steps_of
from chalicelib.ports import Outcome, Services


def answered(
    lease: Lease,
    action: str,
    outcomes: Mapping[str, Outcome],
    now: datetime,
    is_proof: Callable[[Outcome], bool],
) -> Lease:
    """The lease with AWS's answers in its open steps; `is_proof` tells an answer that settles the step."""
    for step in steps_of(lease):
        outcome = outcomes.get(step.target)
        if step.action != action or step.done_at or outcome is None:
            continue
        told = replace(
            step,
            tried=step.tried + 1,
            at=now,
            call=outcome.call or step.call or CALLS.get(action, ""),
            answer=outcome.answer,
            done_at=now if is_proof(outcome) else None,
        )
        if not told.done_at and not told.refused_at and is_refusal(lease, told):
            told = replace(told, refused_at=now)
        lease = lease.with_step(told)
    return lease


def save(
    services: Services,
    lease: Lease,
    told: Sequence[notices.Notice] = (),
    receipt: Receipt | None = None,
) -> Lease | None:
    """The lease as it is written; None where another writer was first or the write failed: neither keeps the other
    leases waiting."""
    try:
        return services.store.save_lease(lease, notices=told, receipt=receipt)
    except (Stale, Unavailable):
        return None
