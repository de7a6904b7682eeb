"""Teardown: the resumable steps that end leases: find what would start another box → disarm it → cancel requests →
terminate → verify → close, release the hold.

Each phase is recorded before the next begins and every call is idempotent, so a process that dies anywhere leaves a
lease in `ending` that the next sweep takes up where it stands.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from chalicelib.domain.errors import Stale, Unavailable
from chalicelib.domain.lease import Lease, OnEnd, Receipt
from chalicelib.domain.meter import measure
from chalicelib.domain.plan import begin_ending, continue_ending, is_claimed
from chalicelib.domain.receipts import receipt_of
from chalicelib.domain.rescue import is_rescued, with_rescue
from chalicelib.domain.tracking import Holdings
from chalicelib.ports import Services
from chalicelib.usecases.answers import save
from chalicelib.usecases.conclude import conclude, look_again, looks_over, unclaimed, with_its_images
from chalicelib.usecases.disarm import disarm
from chalicelib.usecases.gather import Facts
from chalicelib.usecases.metering import last_figures
from chalicelib.usecases.recover import with_what_started
from chalicelib.usecases.rescue import rescue
from chalicelib.usecases.terminate import cancel_and_terminate

MAX_REGIONS_AT_ONCE = 32
PATIENCE_SECONDS = 12.0
"""A region that has not carried its ends out by then is left at it, and what it ends stays claimed and `ending`: the
sweep goes on to what the other regions have waiting, and a later one takes it up."""


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
    return unclaimed(_ending(lease, why, owned, now), now)


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
        acted = cancel_and_terminate(
            services, facts, region, [lease for lease in disarmed if lease not in saved]
        )
        if saved:  # after the others, which bill meanwhile
            acted += cancel_and_terminate(services, facts, region, rescue(services, facts, region, saved))
        seen = look_again(services, region)
        acted = [with_its_images(services, lease, seen, facts.now) for lease in acted]
        over = [lease for lease in acted if looks_over(lease, seen, facts.now)]
        told, prices = last_figures(services, over, facts.prices, facts.now)
        figures = {lease.id: lease for lease in told}
        receipts = [
            conclude(services, figures.get(lease.id, lease), seen, prices, facts.now) for lease in acted
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
