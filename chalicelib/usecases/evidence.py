"""What is known of the use of leases' boxes: asked of CloudWatch where it is due, remembered where it is not.

A sweep asks, and keeps what it was told once everything is ended that must; a view never asks, so that polling it costs
nothing: it shows what the last sweep knew, and when that was asked (`asked_at`).
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta

from chalicelib.domain import due
from chalicelib.domain.case import Case, Effect, Verdict
from chalicelib.domain.decide import decide
from chalicelib.domain.due import LATE_SAMPLES, Learned
from chalicelib.domain.errors import Unavailable
from chalicelib.domain.evidence import SHORTEST_WINDOW, Evidence, Series, combine, of_box, unknown
from chalicelib.domain.guard import is_worth_asking
from chalicelib.domain.instance import Instance
from chalicelib.domain.lease import Status
from chalicelib.domain.money import ZERO
from chalicelib.ports import Services
from chalicelib.usecases.guard import is_past_limit

REGIONS_AT_ONCE = 16
THINNED = timedelta(minutes=15)
"""How often a lease that costs less than asking about it is asked about once Curfew itself has cost too much."""
UNASKED = unknown("not asked yet: the next sweep asks CloudWatch")
NOT_SHOWN = "CloudWatch did not say"

Answer = tuple[Mapping[str, tuple[Series, ...]], str | None]


def with_evidence(
    services: Services, cases: Sequence[Case], *, ask: bool
) -> tuple[tuple[Case, ...], tuple[str, ...]]:
    """The cases with what is known of each, and the regions that could not be asked. `ask`: put what is due to
    CloudWatch; else only what is remembered counts."""
    open_to_it = [case for case in cases if _could_end_for_idleness(case)]
    known = _remembered(services, open_to_it)
    asked = [case for case in open_to_it if due.is_due(case, known.get(_id(case)))] if ask else []
    asked = _thinned(services, asked, known, boxes=sum(len(case.running) for case in cases))
    answers, lacking = _ask(services, asked)
    unasked = dict.fromkeys(map(_id, open_to_it), UNASKED)
    told = unasked | known | answers
    return tuple(replace(case, evidence=told.get(_id(case), case.evidence)) for case in cases), lacking


def remember(services: Services, verdicts: Sequence[Verdict], now: datetime) -> None:
    """Keep what was asked now beside what is still remembered. That it can't be written costs questions, no verdict."""
    cases = [verdict.case for verdict in verdicts if verdict.case.lease and verdict.case.evidence.asked_at]
    if not any(case.evidence.asked_at == now for case in cases):
        return
    learned = [Learned(lease_id=_id(case), basis=due.basis(case), evidence=case.evidence) for case in cases]
    with suppress(Unavailable):
        services.store.learn(learned)


def _id(case: Case) -> str:
    return case.lease.id if case.lease else ""


def _could_end_for_idleness(case: Case) -> bool:
    """Whether idleness could ever change the verdict: of what runs under an active lease and does not end anyway."""
    if case.lease is None or not case.running or case.lease.status is not Status.ACTIVE or case.obstacle:
        return False
    return case.now >= due.gate(case) and decide(case).effect is not Effect.END


def _remembered(services: Services, cases: Sequence[Case]) -> dict[str, Evidence]:
    """What the table keeps and still says something; nothing where it does not answer."""
    if not cases:
        return {}
    learned: dict[str, Learned] = {}
    with suppress(Unavailable):
        learned = {one.lease_id: one for one in services.store.learned()}
    known = {_id(case): due.recalled(case, learned.get(_id(case))) for case in cases}
    return {lease_id: evidence for lease_id, evidence in known.items() if evidence}


def _thinned(
    services: Services, cases: list[Case], known: Mapping[str, Evidence], *, boxes: int
) -> list[Case]:
    """Without those that cost less than their questions and were asked about lately, once Curfew has cost too much."""
    cheap = [case for case in cases if _can_wait(case, known.get(_id(case)))]
    if not cheap or not is_past_limit(services, cheap[0].policy, boxes=boxes, now=cheap[0].now):
        return cases
    return [case for case in cases if case not in cheap]


def _can_wait(case: Case, known: Evidence | None) -> bool:
    if known is None or known.asked_at is None or case.now - known.asked_at >= THINNED:
        return False
    hourly = ZERO if all(box.is_prepaid for box in case.running) else case.cost.hourly_usd
    return not is_worth_asking(hourly, metrics=len(case.running))


def _ask(services: Services, cases: Sequence[Case]) -> tuple[dict[str, Evidence], tuple[str, ...]]:
    """What CloudWatch says of each case; every region is asked at once, so that a silent one delays none."""
    regions = sorted({instance.region for case in cases for instance in case.running})
    if not regions:
        return {}, ()
    now = cases[0].now
    window = max(SHORTEST_WINDOW, *(case.idle_policy.after for case in cases)) + LATE_SAMPLES

    def ask(region: str) -> Answer:
        ids = [box.id for case in cases for box in case.running if box.region == region]
        try:
            return services.metrics.gpu_use(region, ids, since=now - window, until=now), None
        except Unavailable as error:
            return {}, error.detail

    answers = {regions[0]: ask(regions[0])} if len(regions) == 1 else _side_by_side(ask, regions)
    evidence = {_id(case): _of_case(case, answers) for case in cases}
    return evidence, tuple(f"GetMetricData {region}: {why}" for region, (_, why) in answers.items() if why)


def _side_by_side(ask: Callable[[str], Answer], regions: Sequence[str]) -> dict[str, Answer]:
    with ThreadPoolExecutor(max_workers=min(len(regions), REGIONS_AT_ONCE)) as pool:
        return dict(zip(regions, pool.map(ask, regions), strict=True))


def _of_case(case: Case, answers: Mapping[str, Answer]) -> Evidence:
    """All boxes of a lease together: idle needs each of them silent, so the last of them says when to ask again."""
    parts = [_of_box(case, box, *answers[box.region]) for box in case.running]
    latest = max((part.due_at for part in parts if part.due_at), default=None)
    return replace(combine(parts), asked_at=case.now, due_at=latest)


def _of_box(
    case: Case, box: Instance, series: Mapping[str, tuple[Series, ...]], silence: str | None
) -> Evidence:
    if silence or box.id not in series:
        return unknown(f"CloudWatch could not be asked: {silence or NOT_SHOWN}")
    idle, running_since, told = case.idle_policy, box.launched_at or case.now, series[box.id]
    return replace(
        of_box(told, idle=idle, running_since=running_since, now=case.now),
        due_at=due.silent_at(told, idle=idle, running_since=running_since, now=case.now),
    )
