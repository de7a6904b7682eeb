"""The timers of leases: armed at the launch, kept right by the sweep, removed at the close.

None of it may keep an end or a launch waiting: what Scheduler does not take now is pending, and the next sweep's. What
is armed stands in the lease, so that nothing has to be listed; each day, and in the last hour of a lease, it is put
again, whatever stands there.
"""

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

from chalicelib.domain.arming import Change, change, wanted, with_put, without
from chalicelib.domain.case import Case, Verdict
from chalicelib.domain.ends import timers_of
from chalicelib.domain.errors import Stale, Unavailable
from chalicelib.domain.instance import Sight
from chalicelib.domain.lease import Lease, OnEnd, Receipt, Status
from chalicelib.domain.timer import EXPIRE, Timer
from chalicelib.ports import Services
from chalicelib.usecases.gather import Facts

PATIENCE = timedelta(seconds=5)
REGIONS_AT_ONCE = 16
VERIFIED_EVERY = timedelta(days=1)
VERIFIED_BEFORE_END = timedelta(hours=1)
"""A timer that somebody has removed is missed at its moment only, and each look at it writes its lease."""
LATELY = timedelta(minutes=3)
"""For so long after a close its timers are removed again: whoever closed it may have died before it came to that."""
TRIES = 3
OF_ONE_ALONE = frozenset({"ValidationException", "ResourceNotFoundException", "ConflictException"})
"""Codes that are about one timer: the region's Scheduler answers, and takes the others."""


def expire_first(services: Services, lease: Lease, *, by: float) -> Lease:
    """The lease with its `expire` timer armed, before anything is launched. `by`: in `clock.elapsed`, no call is begun
    later."""
    return put_all(services, lease, [one for one in _of(services, lease) if one.call == EXPIRE], by=by)[0]


def direct(services: Services, lease: Lease, *, by: float) -> Lease:
    """The lease with all its timers armed, as soon as the ids of its boxes are known. What is not armed is pending."""
    now = services.clock.now()
    lease, failure = put_all(services, lease, change(lease, _of(services, lease), now).put, by=by)
    return lease if failure or not services.timers.is_configured else replace(lease, timers_at=now)


def put_all(
    services: Services, lease: Lease, timers: Iterable[Timer], *, by: float | None = None
) -> tuple[Lease, Unavailable | None]:
    """The lease with these armed one after the other, and what kept Scheduler from going on."""
    for timer in timers:
        if by is not None and services.clock.elapsed() >= by:
            return lease, Unavailable("there was no time left to arm timers")
        try:
            services.timers.put(timer)
        except Unavailable as error:
            return lease, error
        lease = with_put(lease, timer)
    return lease, None


def remove(services: Services, receipts: Iterable[Receipt], closed: Iterable[Lease] = ()) -> None:
    """Take away what is left of the timers of leases that are over, while there is time: those of `receipts`, and of
    `closed` those that were closed lately. One that stays names what is gone, fires in vain and is gone too."""
    if not services.timers.is_configured:
        return
    begun, patience = services.clock.now(), timedelta(seconds=services.patience(PATIENCE.total_seconds()))
    down: set[str] = set()
    done = [services.store.lease(receipt.lease_id) for receipt in receipts if receipt.status == "done"]
    over = [lease for lease in done if lease and lease.status is Status.CLOSED]
    over += [lease for lease in closed if lease.closed_at and begun - lease.closed_at < LATELY]
    for timer in (timer for lease in over for timer in _ever(services, lease)):
        if timer.region in down or timer.at <= begun or services.clock.now() - begun >= patience:
            continue
        try:
            services.timers.delete(timer.region, timer.name)
        except Unavailable:
            down.add(timer.region)


def _ever(services: Services, lease: Lease) -> Iterable[Timer]:
    """What a lease has armed, or would have: what a process armed and did not live to write down has the same name."""
    return {timer.name: timer for timer in (*_of(services, lease), *lease.timers)}.values()


def repair(services: Services, facts: Facts, verdicts: Sequence[Verdict]) -> tuple[str, ...]:
    """Arm what is pending, move what is wrong, put again what is due: every region side by side, 5 s at most.
    In a dry run take all of them away: nothing is to be ended then. Answers what is lacking, for people."""
    if not services.timers.is_configured:
        return ()
    todo: dict[str, list[Case]] = {}
    for verdict in verdicts:
        lease = verdict.case.lease
        if (
            lease
            and lease.region in facts.sight.seen_regions
            and _is_due(services, facts.sight, verdict.case, lease)
        ):
            todo.setdefault(lease.region, []).append(verdict.case)
    if not todo:
        return ()
    pool = ThreadPoolExecutor(min(len(todo), REGIONS_AT_ONCE), thread_name_prefix="timers")
    try:
        asked = {
            region: pool.submit(partial(_repair_region, services, facts.sight, cases))
            for region, cases in todo.items()
        }
        wait(asked.values(), timeout=PATIENCE.total_seconds())
        late = [f"timers {region}: no answer within 5 s" for region, one in asked.items() if not one.done()]
        return (*late, *(line for one in asked.values() if one.done() for line in one.result()))
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _of(services: Services, lease: Lease) -> tuple[Timer, ...]:
    if not services.timers.is_configured:
        return ()
    on_end = lease.order.on_end if lease.order else OnEnd.TERMINATE
    return timers_of(lease, home_region=services.home_region, on_end=on_end)


def _is_due(services: Services, sight: Sight, case: Case, lease: Lease) -> bool:
    """Whether anything is to be done about a lease that goes on; one that a PATCH moves is the PATCH's."""
    if lease.status is not Status.ACTIVE or lease.moving_to is not None:
        return False
    needed = _needed(services, sight, case, lease)
    is_pending = lease.timers_at is None and not services.is_dry_run
    return needed is not None and (is_pending or not needed.is_empty)


def _needed(services: Services, sight: Sight, case: Case, lease: Lease) -> Change | None:
    view = sight.view(lease.region)
    wish = wanted(replace(case, lease=lease), view, home_region=services.home_region)
    timers = () if services.is_dry_run else wish
    if timers is None:
        return None
    return change(lease, timers, case.now, anew=_is_to_be_put_again(lease, case.now))


def _is_to_be_put_again(lease: Lease, now: datetime) -> bool:
    if lease.timers_at is None or now - lease.timers_at >= VERIFIED_EVERY:
        return True
    return lease.timers_at < lease.expires_at - VERIFIED_BEFORE_END <= now


def _repair_region(services: Services, sight: Sight, cases: Sequence[Case]) -> tuple[str, ...]:
    """One region's leases, those first that were looked after longest ago."""
    begun = services.clock.now()
    lacking = ""
    for case in sorted(cases, key=_looked_after_at):
        if services.clock.now() - begun > PATIENCE:
            break
        try:
            failure = _repair(services, sight, case)
        except Unavailable as error:
            failure = error
        if failure is not None:
            lacking = lacking or f"timers: {failure.detail}"
            if failure.extra.get("code") not in OF_ONE_ALONE:
                break
    return (lacking,) if lacking else ()


def _looked_after_at(case: Case) -> tuple[bool, datetime]:
    at = case.lease.timers_at if case.lease else None
    return at is not None, at or case.now


def _repair(services: Services, sight: Sight, case: Case) -> Unavailable | None:
    """Bring the timers of one lease in line with it as it is written now, and write down what came of it.

    Whoever changes it meanwhile wins: then it is read again, and the timers follow.
    """
    moved: dict[str, Timer] = {}
    for _ in range(TRIES):
        lease = services.store.lease(case.lease.id) if case.lease else None
        if lease is None or lease.status is not Status.ACTIVE or lease.moving_to is not None:
            return None
        for timer in moved.values():
            lease = with_put(lease, timer)
        needed = _needed(services, sight, case, lease)
        if needed is None:
            return None
        lease, failure = _carry_out(services, lease, needed)
        moved |= {timer.name: timer for timer in needed.put if timer in lease.timers}
        try:
            services.store.save_lease(lease if failure else replace(lease, timers_at=case.now))
        except Stale:
            continue
        return failure
    return None


def _carry_out(services: Services, lease: Lease, needed: Change) -> tuple[Lease, Unavailable | None]:
    lease, failure = put_all(services, lease, needed.put)
    if failure is not None:
        return replace(lease, timers_at=None), failure
    for timer in needed.drop:
        try:
            services.timers.delete(timer.region, timer.name)
        except Unavailable as error:
            return replace(lease, timers_at=None), error
        lease = without(lease, timer.name)
    return lease, None
