"""Teardown: the resumable steps that end leases: find what would start another box → disarm it → cancel requests →
terminate → verify → close, release the hold.

Each phase is recorded before the next begins and every call is idempotent, so a process that dies anywhere leaves a
lease in `ending` that the next sweep takes up where it stands.
"""

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

from chalicelib.domain import notices
from chalicelib.domain.disarm import holding_back, is_seen
from chalicelib.domain.errors import Stale, Unavailable
from chalicelib.domain.instance import Sight
from chalicelib.domain.lease import Lease, OnEnd, Receipt, Status, Step
from chalicelib.domain.meter import measure
from chalicelib.domain.missed import refused
from chalicelib.domain.money import ZERO
from chalicelib.domain.periods import with_final_cost
from chalicelib.domain.plan import begin_ending, continue_ending, is_claimed
from chalicelib.domain.policy import Policy
from chalicelib.domain.prices import PriceBook
from chalicelib.domain.receipts import joined, receipt_of
from chalicelib.domain.rescue import held_back, is_rescued, with_rescue, without_kept
from chalicelib.domain.shields import REHEARSED
from chalicelib.domain.steps import CALLS, CANCEL, DRY_RUN, STOP, TERMINATE, pending
from chalicelib.domain.tracking import MISSING_FOR, Holdings, holdings, track
from chalicelib.ports import Outcome, Services
from chalicelib.usecases.answers import answered, save
from chalicelib.usecases.disarm import disarm
from chalicelib.usecases.gather import Facts
from chalicelib.usecases.metering import last_figures
from chalicelib.usecases.recover import is_unanswered, with_what_started
from chalicelib.usecases.rescue import make_room, rescue, with_images_seen

PROTECTED = "OperationNotPermitted"
LIFT = "ModifyInstanceAttribute DisableApiTermination=false"
MAX_REGIONS_AT_ONCE = 32
PATIENCE_SECONDS = 12.0
"""A region that has not carried its ends out by then is left at it, and what it ends stays claimed and `ending`: the
sweep goes on to what the other regions have waiting, and a later one takes it up."""
SURELY_KNOWN_AFTER = timedelta(minutes=5)
"""By then EC2 knows a request by its id everywhere: `NotFound` of an older one is the truth."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Why:
    """The reason of an end: the rule (or `requested`), a sentence, and the figures."""

    cause: str
    reason: str
    figures: Mapping[str, str]
    on_end: OnEnd = OnEnd.TERMINATE
    """What becomes of a box that was found; of a launched one its order says it."""


def begin(services: Services, lease: Lease, why: Why, owned: Holdings, now: datetime) -> Lease | None:
    """Record the intent and claim the lease; None where somebody else was first."""
    return save(services, _ending(with_what_started(services, lease, now), why, owned, now))


def intended(lease: Lease, why: Why, owned: Holdings, now: datetime) -> Lease:
    """A lease that is to be written for the first time and ends at once: whoever resumes it first acts."""
    return _unclaimed(_ending(lease, why, owned, now), now)


def _ending(lease: Lease, why: Why, owned: Holdings, now: datetime) -> Lease:
    ending = begin_ending(
        lease,
        cause=why.cause,
        reason=why.reason,
        figures=dict(why.figures),
        owned=owned,
        now=now,
        on_end=_on_end(lease, why),
    )
    return with_rescue(ending, owned, now)


def _on_end(lease: Lease, why: Why) -> OnEnd:
    """What has come back after its lease was closed is not saved once more."""
    if lease.follows:
        return OnEnd.TERMINATE
    return lease.order.on_end if lease.order else why.on_end


def resume(services: Services, lease: Lease, owned: Holdings, now: datetime) -> Lease | None:
    """Claim an ending that was left; None where its writer may still be at it."""
    if is_claimed(lease, now):
        return None
    going_on = continue_ending(with_what_started(services, lease, now), owned, now=now)
    return save(services, with_rescue(going_on, owned, now))


def carry_out(
    services: Services, facts: Facts, leases: Sequence[Lease], *, patience: float = PATIENCE_SECONDS
) -> list[Receipt]:
    """Act on claimed leases, costliest first as given, region by region side by side; verify and close what is proven.

    Returns a receipt for each: `done`, `ending` where AWS has not finished, or `dry-run`.
    """
    regions: dict[str, list[Lease]] = {}
    for lease in leases:
        regions.setdefault(lease.region, []).append(lease)
    if not regions:
        return []

    def end_region(region: str) -> list[Receipt]:
        disarmed = disarm(services, facts, region, regions[region])
        left = {lease.id for lease in disarmed}
        saved = [lease for lease in disarmed if is_rescued(lease)]
        acted = _act(services, facts, region, [lease for lease in disarmed if lease not in saved])
        if saved:  # after the others, which bill meanwhile
            acted += _act(services, facts, region, rescue(services, facts, region, saved))
        seen = _verify(services, region)
        acted = [_with_its_images(services, lease, seen, facts.now) for lease in acted]
        over = [lease for lease in acted if _looks_over(lease, seen, facts.now)]
        told, prices = last_figures(services, over, facts.prices, facts.now)
        figures = {lease.id: lease for lease in told}
        receipts = [
            _conclude(services, figures.get(lease.id, lease), seen, prices, facts.now) for lease in acted
        ]
        return [*receipts, *_still_at_it(facts, [one for one in regions[region] if one.id not in left])]

    pool = ThreadPoolExecutor(min(len(regions), MAX_REGIONS_AT_ONCE), thread_name_prefix="end")
    try:
        ends = {region: pool.submit(end_region, region) for region in regions}
        wait(ends.values(), timeout=services.patience(patience))
        return [receipt for region, end in ends.items() for receipt in _receipts(facts, end, regions[region])]
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _receipts(facts: Facts, end: Future[list[Receipt]], leases: Sequence[Lease]) -> list[Receipt]:
    """What a region's ends came to. Where the table failed them they are begun, and every other region's go on."""
    with suppress(Stale, Unavailable):
        if end.done():
            return end.result()
    return _still_at_it(facts, leases)


def _still_at_it(facts: Facts, leases: Sequence[Lease]) -> list[Receipt]:
    """The receipts of a region that hangs: nothing is known of these ends but that they were begun."""
    return [
        receipt_of(lease, measure(lease, facts.prices, facts.now), status="ending", ended_at=None)
        for lease in leases
    ]


def _act(services: Services, facts: Facts, region: str, leases: Sequence[Lease]) -> list[Lease]:
    """Cancel every request, then terminate the instances that nothing would replace; but neither what waits to be
    saved, nor what is stopped for it."""
    held = frozenset[str]().union(*(held_back(lease, facts.owned(lease)) for lease in leases))
    cancelling = [target for target in _targets(leases, CANCEL) if target not in held]
    answers = services.compute.cancel_spot_requests(region, cancelling)
    now = services.clock.now()
    cancelled = [
        answered(lease, CANCEL, answers, now, partial(_is_cancelled, lease, facts.now)) for lease in leases
    ]
    return _terminated(services, facts, region, cancelled, held)


def _terminated(
    services: Services, facts: Facts, region: str, leases: Sequence[Lease], held: frozenset[str]
) -> list[Lease]:
    """The leases after every box was terminated that is free to go."""
    leaving = {instance.id for instance in facts.sight.instances if instance.is_gone}
    free = {
        lease.id: [
            target
            for target in pending(lease, TERMINATE)
            if target not in leaving | held
            and (_is_dry(lease) or not _is_held_back(lease, target, facts.sight))
        ]
        for lease in leases
    }
    ids = dict.fromkeys(target for targets in free.values() for target in targets)
    outcomes = dict(services.compute.terminate(region, list(ids)))
    for instance_id in [i for i, outcome in outcomes.items() if outcome.answer == PROTECTED]:
        outcomes[instance_id] = _unshield(services, region, instance_id, facts.policy)
    now = services.clock.now()
    return [
        answered(
            lease,
            TERMINATE,
            {target: outcomes[target] for target in free[lease.id] if target in outcomes},
            now,
            _is_terminated,
        )
        for lease in leases
    ]


def _is_held_back(lease: Lease, instance_id: str, sight: Sight) -> bool:
    """Ended now, another box would be started in its place; or it is not known whether one would."""
    return holding_back(lease, instance_id, sight) is not None or not is_seen(lease, instance_id, sight)


def _unshield(services: Services, region: str, instance_id: str, policy: Policy) -> Outcome:
    """A box whose termination is refused: protection is lifted if the policy says so, else the box is stopped."""
    if policy.teardown.lift_termination_protection:
        lifted = services.compute.lift_termination_protection(region, instance_id)
        if not lifted.accepted:
            return replace(lifted, call=f"{CALLS[TERMINATE]}, {LIFT}")
        outcome = services.compute.terminate(region, [instance_id])[instance_id]
        return replace(outcome, call=f"{CALLS[TERMINATE]}, {LIFT}, {CALLS[TERMINATE]}")
    stopped = services.compute.stop(region, [instance_id])[instance_id]
    word = "stopped instead" if stopped.accepted else f"could not be stopped either ({stopped.answer})"
    return Outcome(
        accepted=False,
        answer=f"{PROTECTED}: termination protection is on, {word}; set teardown.lift_termination_protection "
        "or switch it off",
        call=f"{CALLS[TERMINATE]}, {CALLS[STOP]}",
    )


def _targets(leases: Iterable[Lease], action: str) -> list[str]:
    return list(dict.fromkeys(target for lease in leases for target in pending(lease, action)))


def _is_cancelled(lease: Lease, now: datetime, outcome: Outcome) -> bool:
    """CancelSpotInstanceRequests answers with the state it left the request in; an unknown id can start nothing, once
    it is too old to be unknown for being new."""
    began_at = lease.requested_at - lease.ran_before_for
    return outcome.accepted or (outcome.is_absent and now - began_at >= SURELY_KNOWN_AFTER)


def _is_terminated(outcome: Outcome) -> bool:
    """Only `terminated` is proof; `shutting-down` no longer bills but is waited for, and an unknown id may be a box
    that is too new to be seen."""
    return outcome.accepted and outcome.answer == "terminated"


def _is_dry(lease: Lease) -> bool:
    steps = lease.ending.steps if lease.ending else ()
    return any(step.answer == DRY_RUN for step in steps)


def _verify(services: Services, region: str) -> Sight:
    """Look again, at the whole region; where that look fails nothing is closed."""
    after = services.compute.observe([region])
    return Sight(after) if after[0].status == "ok" else Sight(())


def _conclude(services: Services, lease: Lease, sight: Sight, prices: PriceBook, now: datetime) -> Receipt:
    """Close the lease if nothing of it is left to start or to bill; else keep how far it has come."""
    lease = track(lease, sight, now)
    owned = holdings(lease, sight, now)
    lease = _proven(lease, sight, owned, now)
    cost = measure(lease, prices, now)
    if _is_dry(lease):
        return _rehearsed(services, lease, prices, now)
    if lease.region not in sight.seen_regions or _open_steps(lease) or not _is_settled(lease, owned, now):
        told = [notices.stuck(lease, now)] if _is_refused(lease) else []
        save(services, _unclaimed(lease, now), told)
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


def _with_its_images(services: Services, lease: Lease, sight: Sight, now: datetime) -> Lease:
    """Of what is over, its images as they are now."""
    return with_images_seen(services, lease) if _looks_over(lease, sight, now) else lease


def _looks_over(lease: Lease, sight: Sight, now: datetime) -> bool:
    """Whether nothing of it runs any more, in a region that answered: its last figures are worth asking for."""
    seen = track(lease, sight, now)
    left = without_kept(seen, holdings(seen, sight, now))
    return lease.region in sight.seen_regions and left.is_empty and not _is_dry(lease)


def _is_settled(lease: Lease, owned: Holdings, now: datetime) -> bool:
    """Nothing of it runs, can be started again, or may yet turn out to have been started."""
    left = without_kept(lease, owned)
    is_armed = any(request.is_armed for request in left.spot_requests)
    return left.is_empty and not is_armed and not is_unanswered(lease) and not _may_show_up(lease, now)


def _may_show_up(lease: Lease, now: datetime) -> bool:
    """Whether a request may have got a box just before it was cancelled, which EC2 does not show yet."""
    return any(
        step.may_have_started and step.done_at is not None and now - step.done_at < MISSING_FOR
        for step in (lease.ending.steps if lease.ending else ())
    )


def _proven(lease: Lease, sight: Sight, owned: Holdings, now: datetime) -> Lease:
    """Settle terminations by what is seen: the instance is terminated, or has been missing for too long to be late."""
    states = {instance.id: instance.state for instance in sight.instances}
    for step in _open_steps(lease):
        gone = states.get(step.target) == "terminated" or (
            step.target in owned.vanished and step.target not in states
        )
        if step.action == TERMINATE and gone:
            lease = lease.with_step(replace(step, done_at=now, answer=states.get(step.target, "gone")))
    return lease


def _open_steps(lease: Lease) -> list[Step]:
    return [step for step in lease.ending.steps if not step.done_at] if lease.ending else []


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


def _unclaimed(lease: Lease, now: datetime) -> Lease:
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
