"""How an end is proven: look again, settle the steps by what is seen, close what has nothing left to start or bill."""

from contextlib import suppress
from dataclasses import replace
from datetime import datetime

from chalicelib.domain import notices
from chalicelib.domain.errors import Stale, Unavailable
from chalicelib.domain.instance import Sight
from chalicelib.domain.lease import Lease, Receipt, Status
from chalicelib.domain.meter import measure
from chalicelib.domain.missed import refused
from chalicelib.domain.money import ZERO
from chalicelib.domain.periods import with_final_cost
from chalicelib.domain.prices import PriceBook
from chalicelib.domain.receipts import joined, receipt_of
from chalicelib.domain.rescue import without_kept
from chalicelib.domain.shields import REHEARSED
from chalicelib.domain.steps import DRY_RUN, TERMINATE, is_rehearsed, steps_of, undone
from chalicelib.domain.tracking import MISSING_FOR, Holdings, holdings, track
from chalicelib.ports import Services
from chalicelib.usecases.answers import save
from chalicelib.usecases.recover import is_unanswered
from chalicelib.usecases.rescue import make_room, with_images_seen


def look_again(services: Services, region: str) -> Sight:
    """Look again, at the whole region; where that look fails nothing is closed."""
    after = services.compute.observe([region])
    return Sight(after) if after[0].status == "ok" else Sight(())


def conclude(services: Services, lease: Lease, sight: Sight, prices: PriceBook, now: datetime) -> Receipt:
    """Close the lease if nothing of it is left to start or to bill; else keep how far it has come."""
    lease = track(lease, sight, now)
    owned = holdings(lease, sight, now)
    lease = _proven(lease, sight, owned, now)
    cost = measure(lease, prices, now)
    if is_rehearsed(lease):
        return _rehearsed(services, lease, prices, now)
    if lease.region not in sight.seen_regions or undone(lease) or not _is_settled(lease, owned, now):
        told = [notices.stuck(lease, now)] if _is_refused(lease) else []
        save(services, unclaimed(lease, now), told)
        return receipt_of(lease, cost, status="ending", ended_at=None)
    ended_at = max((run.ended_at for run in lease.runs if run.ended_at), default=now)
    closed = replace(lease, status=Status.CLOSED, closed_at=now)
    cost = measure(closed, prices, now)
    closed = with_final_cost(closed, prices, now)
    receipt = receipt_of(closed, cost, status="done", ended_at=ended_at)
    _sweep_up(services, closed)
    try:
        kept = receipt
        if closed.follows:
            kept = joined(services.store.receipt(closed.follows), receipt, closed.follows)
        services.store.close_lease(closed, receipt=kept, notices=[notices.ended(receipt, now)])
    except (Stale, Unavailable):
        return services.store.receipt(lease.id) or replace(receipt, status="ending")
    return receipt


def with_its_images(services: Services, lease: Lease, sight: Sight, now: datetime) -> Lease:
    """Of what is over, its images as they are now."""
    return with_images_seen(services, lease) if looks_over(lease, sight, now) else lease


def looks_over(lease: Lease, sight: Sight, now: datetime) -> bool:
    """Whether nothing of it runs any more, in a region that answered: its last figures are worth asking for."""
    seen = track(lease, sight, now)
    left = without_kept(seen, holdings(seen, sight, now))
    return lease.region in sight.seen_regions and left.is_empty and not is_rehearsed(lease)


def _is_settled(lease: Lease, owned: Holdings, now: datetime) -> bool:
    """Nothing of it runs, can be started again, or may yet turn out to have been started."""
    left = without_kept(lease, owned)
    is_armed = any(request.is_armed for request in left.spot_requests)
    return left.is_empty and not is_armed and not is_unanswered(lease) and not _may_show_up(lease, now)


def _may_show_up(lease: Lease, now: datetime) -> bool:
    """Whether a request may have got a box just before it was cancelled, which EC2 does not show yet."""
    return any(
        step.may_have_started and step.done_at is not None and now - step.done_at < MISSING_FOR
        for step in steps_of(lease)
    )


def _proven(lease: Lease, sight: Sight, owned: Holdings, now: datetime) -> Lease:
    """Settle terminations by what is seen: the instance is terminated, or has been missing for too long to be late."""
    states = {instance.id: instance.state for instance in sight.instances}
    for step in undone(lease):
        gone = states.get(step.target) == "terminated" or (
            step.target in owned.vanished and step.target not in states
        )
        if step.action == TERMINATE and gone:
            lease = lease.with_step(replace(step, done_at=now, answer=states.get(step.target, "gone")))
    return lease


def _is_refused(lease: Lease) -> bool:
    """AWS said no to something, as opposed to not having finished yet."""
    return bool(refused(lease))


def _rehearsed(services: Services, lease: Lease, prices: PriceBook, now: datetime) -> Receipt:
    """A dry run ends here: the receipt says what would have been done, and the lease goes on as before.

    One that was made only to end a request without a box is closed again: no rule would ever end it.
    """
    receipt = receipt_of(lease, measure(lease, prices, now), status=DRY_RUN, ended_at=None)
    if lease.is_adopted and not lease.runs:
        closed = replace(lease, status=Status.CLOSED, closed_at=now, final_usd=ZERO)
        with suppress(Stale, Unavailable):
            services.store.close_lease(closed, receipt=receipt, notices=[notices.ended(receipt, now)])
        return receipt
    warned_at = {**lease.warned_at, REHEARSED: now}
    going_on = replace(lease, status=Status.ACTIVE, ending=None, warned_at=warned_at)
    save(services, going_on, [notices.ended(receipt, now)], receipt)
    return receipt


def unclaimed(lease: Lease, now: datetime) -> Lease:
    """Free for the next sweep: this writer is done with it."""
    if lease.ending is None:
        return lease
    return replace(lease, ending=replace(lease.ending, claimed_until=now))


def _sweep_up(services: Services, lease: Lease) -> None:
    """Right before the close, because nobody comes back to a closed lease. Launch templates are free, and old images
    wait: neither is a reason to keep one open."""
    make_room(services, lease)
    if not any(attempt.operation == "CreateFleet" for attempt in lease.attempts):
        return
    try:
        services.compute.delete_launch_template(lease.region, lease.id)
    except Unavailable:
        return
