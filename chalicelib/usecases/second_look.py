"""Look again at what is about to be ended, right before: a tag, a start or a change in the meantime may spare it.

Only ends that something can spare are looked at again. What its hour or a budget ends is ended on what is known, and an
adopted box's hour is no reason to wait for a region that does not answer; idleness is, until the next minute.
"""

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace

from chalicelib.domain.case import Effect, Verdict
from chalicelib.domain.decide import decide
from chalicelib.domain.errors import Unavailable
from chalicelib.domain.instance import RegionView, Sight
from chalicelib.domain.shields import can_wait
from chalicelib.domain.tracking import holdings, track
from chalicelib.ports import Services
from chalicelib.usecases.gather import Facts, obstacle_of

PATIENCE_SECONDS = 5.0
AT_ONCE = 8
FEW = 3
"""Of more leases in a region it is looked at whole, once: EC2 throttles hundreds of single looks, and the ends too."""


@dataclass(frozen=True, slots=True)
class SecondLook:
    """`sure`: still to be ended, as seen now. `deferred`: idle ones that this minute may not end any more. What is in
    neither was spared, changed, or could not be seen: the next sweep decides."""

    sure: tuple[Verdict, ...]
    deferred: tuple[Verdict, ...]


def look_again(
    services: Services, facts: Facts, verdicts: Sequence[Verdict], *, patience: float = PATIENCE_SECONDS
) -> SecondLook:
    """Decide anew on each, then count those that end for idleness alone against the minute's limit."""
    if not verdicts:
        return SecondLook((), ())
    pool = ThreadPoolExecutor(min(len(verdicts), AT_ONCE), thread_name_prefix="second-look")
    try:
        counted = Counter(_region(verdict) for verdict in verdicts)
        crowded = [region for region, number in counted.items() if region and number > FEW]
        whole = {
            region: pool.submit(_look, services, region, None) for region in crowded
        }  # before who waits for it
        looks = [
            pool.submit(_again, services, facts, verdict, whole.get(_region(verdict))) for verdict in verdicts
        ]
        wait(looks, timeout=services.patience(patience))
        seen = [_answer(verdict, look) for verdict, look in zip(verdicts, looks, strict=True)]
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
    sure: list[Verdict] = []
    deferred: list[Verdict] = []
    for verdict in seen:
        if verdict is not None:
            is_allowed = not verdict.ends_for_idleness_only or _has_turn(services, facts)
            (sure if is_allowed else deferred).append(verdict)
    return SecondLook(tuple(sure), tuple(deferred))


def _answer(verdict: Verdict, look: Future[Verdict | None]) -> Verdict | None:
    """What a second look says; where it failed, an end by the hour or for money goes on all the same."""
    try:
        if look.done():
            return look.result()
    except Unavailable:
        pass
    return None if can_wait(verdict) else verdict


def _region(verdict: Verdict) -> str:
    return verdict.case.lease.region if verdict.case.lease else ""


def _look(services: Services, region: str, only: str | None) -> RegionView:
    view = services.compute.observe([region], only=only)[0]
    if view.status != "ok":
        raise Unavailable(view.error or view.status)
    return view


def _again(
    services: Services, facts: Facts, verdict: Verdict, whole: Future[RegionView] | None
) -> Verdict | None:
    """The verdict on what its lease and its boxes are now; None where nothing is to be ended any more, or the lease was
    changed since it was read. Raises Unavailable."""
    lease = verdict.case.lease
    if lease is None:
        return None
    known = services.store.lease(lease.id)
    if known is None or not known.is_open or known.version != lease.version:
        return None
    alone = lease.instance_ids[0] if len(lease.instance_ids) == 1 and whole is None else None
    view = whole.result() if whole else _look(services, lease.region, alone)
    sight = Sight((view,), facts.sight.news)
    tracked = track(lease, sight, facts.now, only=alone)
    owned = holdings(tracked, sight, facts.now)
    if not owned.live:
        return None  # it is on its way out, or shown late
    case = replace(
        verdict.case,
        lease=tracked,
        instances=owned.live,
        spot_requests=owned.spot_requests,
        obstacle=obstacle_of(replace(facts, sight=sight), tracked),
    )
    decided = decide(case)
    return decided if decided.effect is Effect.END else None


def _has_turn(services: Services, facts: Facts) -> bool:
    try:
        return services.store.take_idle_end(facts.now, at_most=facts.policy.limits.idle_ends_per_sweep)
    except Unavailable:
        return False
