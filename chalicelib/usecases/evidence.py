"""What is known of the use of leases' boxes: what they tell themselves, and what CloudWatch says, asked where it is due
and remembered where it is not.

A sweep asks, and keeps what it was told once everything is ended that must; a view never asks, so that polling it costs
nothing: it shows what the last sweep knew, and when that was asked (`asked_at`).
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta

from chalicelib.domain import due, outside
from chalicelib.domain.beats import of_beats
from chalicelib.domain.case import Case, Effect, Verdict
from chalicelib.domain.decide import decide
from chalicelib.domain.due import ASKED_AGAIN, LATE_SAMPLES
from chalicelib.domain.errors import Unavailable
from chalicelib.domain.evidence import SHORTEST_WINDOW, Evidence, Use, combine, of_box, unknown, weigh
from chalicelib.domain.guard import is_worth_asking
from chalicelib.domain.instance import Instance
from chalicelib.domain.learned import Learned
from chalicelib.domain.lease import Status
from chalicelib.domain.money import ZERO
from chalicelib.domain.shields import REHEARSED
from chalicelib.ports import Services
from chalicelib.usecases.asking import Answer, Asking
from chalicelib.usecases.guard import is_past_limit

REGIONS_AT_ONCE = 16
THINNED = timedelta(minutes=15)
"""How often a lease is asked about that nothing ends whatever is answered, and one that costs less than asking about
it once Curfew itself has cost too much."""
UNSEEN_FOR = 3
"""How many times `idle.after` nobody may know whether a box works before people are told."""
UNASKED = unknown("not asked yet: the next sweep asks CloudWatch")
UNHEARD = unknown("its heartbeats could not be read")
UNLISTED = "CloudWatch may not list the metrics of all of its GPUs yet"

Parts = Mapping[str, Sequence[Evidence]]
"""What each box of each lease says itself, by lease id, in the order of its boxes; none where none does."""


def with_evidence(
    services: Services, cases: Sequence[Case], *, ask: bool, seen: Sequence[Instance] = ()
) -> tuple[tuple[Case, ...], tuple[str, ...]]:
    """The cases with what is known of each, and the regions that could not be asked. `ask`: put what is due to
    CloudWatch; else only what is remembered counts, beside what boxes tell themselves. `seen`: every box there is, with
    a lease or without, so that none is taken for another."""
    open_to_it = [case for case in cases if _could_end_for_idleness(case)]
    kept = _kept(services, open_to_it)
    held = {_id(case): due.recalled(case, kept.get(_id(case))) for case in open_to_it}
    known = {lease_id: evidence for lease_id, evidence in held.items() if evidence}
    told: Parts = {_id(case): _told(case) for case in open_to_it}
    asked = [
        case
        for case in open_to_it
        if ask
        and due.is_due(case, known.get(_id(case)), told[_id(case)])
        and not _changes_nothing(case, kept.get(_id(case)), told[_id(case)], is_dry_run=services.is_dry_run)
    ]
    asked = _thinned(services, asked, kept, told, boxes=sum(len(case.running) for case in cases))
    answers, lacking = _ask(services, asked, kept, seen)
    judged = {}
    for case in open_to_it:
        lease_id, before = _id(case), kept.get(_id(case))
        if lease_id in answers:
            judged[lease_id] = _by_answers(case, told[lease_id], answers[lease_id], before)
        else:
            judged[lease_id] = _by_memory(case, told[lease_id], before, known.get(lease_id))
    return tuple(judged.get(_id(case), case) for case in cases), lacking


def remember(services: Services, verdicts: Sequence[Verdict], now: datetime) -> None:
    """Keep what was asked now beside what is still remembered. That it can't be written costs questions, no verdict."""
    learned = [one for verdict in verdicts if verdict.case.lease and (one := verdict.case.learned)]
    if not any(one.evidence.asked_at == now for one in learned):
        return
    with suppress(Unavailable):
        services.store.learn(learned)


def unseen_since(verdict: Verdict) -> datetime | None:
    """Since when nobody knows whether its boxes work, once that has lasted for `UNSEEN_FOR` times `idle.after`; told
    when it was asked about, not in between."""
    case, learned = verdict.case, verdict.case.learned
    if learned is None or learned.unknown_since is None or learned.evidence.asked_at != case.now:
        return None
    patience = UNSEEN_FOR * max(case.idle_policy.after, SHORTEST_WINDOW)
    return learned.unknown_since if case.now - learned.unknown_since >= patience else None


def _id(case: Case) -> str:
    return case.lease.id if case.lease else ""


def _could_end_for_idleness(case: Case) -> bool:
    """Whether idleness could ever change the verdict: of what runs under an active lease and does not end anyway."""
    if case.lease is None or not case.running or case.lease.status is not Status.ACTIVE or case.obstacle:
        return False
    return case.now >= due.gate(case) and decide(case).effect is not Effect.END


def _kept(services: Services, cases: Sequence[Case]) -> dict[str, Learned]:
    """What the table keeps of these leases; nothing where it does not answer."""
    kept: dict[str, Learned] = {}
    if cases:
        with suppress(Unavailable):
            kept = {one.lease_id: one for one in services.store.learned()}
    return {lease_id: kept[lease_id] for lease_id in map(_id, cases) if lease_id in kept}


def _told(case: Case) -> tuple[Evidence, ...]:
    """What each of its boxes says itself; nothing where none of them ever did and none is to."""
    if case.beats is None:
        return (UNHEARD,)
    if not case.expects_beats and not any(case.beats.get(box.id) for box in case.running):
        return ()
    return tuple(
        of_beats(
            case.beats.get(box.id, ()),
            idle=case.idle_policy,
            running_since=box.launched_at or case.now,
            now=case.now,
        )
        for box in case.running
    )


def _changes_nothing(case: Case, kept: Learned | None, told: Sequence[Evidence], *, is_dry_run: bool) -> bool:
    """Whether it was asked about lately and something spares it, or a dry run has said already that it would end it: a
    question each minute for as long as that lasts would cost more than it tells."""
    known = due.recalled(case, kept)
    if known is None or case.lease is None or not _was_asked_lately(case, known):
        return False
    judged = decide(_by_memory(case, told, kept, known))
    if judged.effect is Effect.END:
        rehearsed_at = case.lease.warned_at.get(REHEARSED)
        begun = case.lease.warned_at.get("idle") or known.since
        return bool(is_dry_run and rehearsed_at and begun and rehearsed_at >= begun)
    return any(finding.rule == "idle" and finding.spared_by for finding in judged.findings)


def _was_asked_lately(case: Case, known: Evidence) -> bool:
    return known.asked_at is not None and case.now - known.asked_at < THINNED


def _thinned(
    services: Services, cases: list[Case], kept: Mapping[str, Learned], told: Parts, *, boxes: int
) -> list[Case]:
    """Without those that cost less than their questions and were asked about lately, once Curfew has cost too much."""
    cheap = [case for case in cases if _can_wait(case, kept.get(_id(case)), told[_id(case)])]
    if not cheap or not is_past_limit(services, cheap[0].policy, boxes=boxes, now=cheap[0].now):
        return cases
    return [case for case in cases if case not in cheap]


def _can_wait(case: Case, kept: Learned | None, told: Sequence[Evidence]) -> bool:
    """Never where what is remembered would end it: it may have worked since."""
    known = due.recalled(case, kept)
    if kept is None or known is None or not _was_asked_lately(case, known):
        return False
    if decide(_by_memory(case, told, kept, known)).effect is Effect.END:
        return False
    hourly = ZERO if all(box.is_prepaid for box in case.running) else case.cost.hourly_usd
    return not is_worth_asking(hourly, metrics=_metrics(case, kept))


def _metrics(case: Case, kept: Learned) -> int:
    """How many metrics a question about it asks for, at most."""
    beside = sum(len(signal.metrics) for signal in outside.SIGNALS) * (case.idle_policy.cpu_evidence == "use")
    return sum(
        (len(kept.gpus[box.id].dimensions) if box.id in kept.gpus else 1) + beside for box in case.running
    )


def _ask(
    services: Services, cases: Sequence[Case], kept: Mapping[str, Learned], seen: Sequence[Instance]
) -> tuple[dict[str, dict[str, Answer]], tuple[str, ...]]:
    """What CloudWatch says of each case's boxes; every region is asked at once, so that a silent one delays none."""
    regions = sorted({instance.region for case in cases for instance in case.running})
    if not regions:
        return {}, ()
    listed = {box_id: gpus for one in kept.values() for box_id, gpus in one.gpus.items()}
    asking = [
        Asking(
            services=services,
            region=region,
            boxes=[(case, box) for case in cases for box in case.running if box.region == region],
            seen=[box for box in seen if box.region == region and box.is_running],
            listed=listed,
            now=cases[0].now,
        )
        for region in regions
    ]
    told = [asking[0].answers()] if len(asking) == 1 else _side_by_side(asking)
    by_box = {box_id: answer for answers, _ in told for box_id, answer in answers.items()}
    answers = {_id(case): {box.id: by_box[box.id] for box in case.running} for case in cases}
    lacking = zip(regions, (why for _, why in told), strict=True)
    return answers, tuple(f"GetMetricData {region}: {why}" for region, why in lacking if why)


def _side_by_side(asking: Sequence[Asking]) -> list[tuple[dict[str, Answer], str | None]]:
    with ThreadPoolExecutor(max_workers=min(len(asking), REGIONS_AT_ONCE)) as pool:
        return list(pool.map(Asking.answers, asking))


def _by_answers(
    case: Case, told: Sequence[Evidence], answers: Mapping[str, Answer], before: Learned | None
) -> Case:
    """All boxes of a lease together: idle needs each of them silent, so the last of them says when to ask again."""
    each = [_of_box(case, box, answers[box.id]) for box in case.running]
    latest = max((part.due_at for part in each if part.due_at), default=None)
    asked = replace(combine(each), asked_at=case.now, due_at=latest)
    heard = told if len(told) == len(each) else [*told] * len(each)
    whole = combine(_weighed(*pair) for pair in zip(each, heard, strict=True)) if heard else asked
    evidence = replace(whole, asked_at=case.now, due_at=None if whole.heard_at else latest)
    if case.beats is None:
        evidence = replace(UNHEARD, asked_at=case.now)
    learned = Learned(
        lease_id=_id(case),
        basis=due.basis(case),
        evidence=asked,
        gpus={box_id: answer.gpus for box_id, answer in answers.items() if answer.gpus},
        unknown_since=_unknown_since(case, evidence, before),
    )
    return replace(case, evidence=evidence, learned=learned)


def _by_memory(case: Case, told: Sequence[Evidence], kept: Learned | None, known: Evidence | None) -> Case:
    """What CloudWatch said last, as far as it holds, beside what the boxes say themselves now."""
    evidence = known or UNASKED
    if told:
        whole = _weighed(evidence, combine(told))
        evidence = replace(
            whole, asked_at=evidence.asked_at, due_at=None if whole.heard_at else evidence.due_at
        )
    if case.beats is None:
        evidence = UNHEARD
    return replace(case, evidence=evidence, learned=kept if known else None)


def _weighed(asked: Evidence, told: Evidence) -> Evidence:
    return weigh((told, asked))


def _unknown_since(case: Case, evidence: Evidence, before: Learned | None) -> datetime | None:
    """Since when nothing is known. Work that somebody saw, or a time in which nobody had to ask, begins it anew."""
    if evidence.use is not Use.UNKNOWN:
        return None
    first = max(filter(None, [case.now - case.idle_policy.after, case.started_at, evidence.worked_at]))
    asked_at = before.evidence.asked_at if before else None
    if before is None or before.unknown_since is None or asked_at is None:
        return first
    is_on = case.now - asked_at <= ASKED_AGAIN + LATE_SAMPLES
    return max(filter(None, [before.unknown_since, case.started_at, evidence.worked_at])) if is_on else first


def _of_box(case: Case, box: Instance, answer: Answer) -> Evidence:
    """What CloudWatch says of one box, its GPUs first."""
    if answer.silence:
        return unknown(f"CloudWatch could not be asked: {answer.silence}")
    idle, running_since, now = case.idle_policy, box.launched_at or case.now, case.now
    gpus = of_box(answer.series, idle=idle, running_since=running_since, now=now)
    if gpus.use is Use.IDLE and not answer.is_complete:
        gpus = replace(unknown(UNLISTED), worked_at=gpus.worked_at)
    due_at = due.silent_at(answer.series, idle=idle, running_since=running_since, now=now)
    if idle.cpu_evidence != "use":
        return replace(gpus, due_at=due_at)
    seen = outside.of_outside(answer.told, idle=idle, running_since=running_since, now=now)
    whole = weigh((gpus, seen)) if answer.told else gpus
    quiet_at = outside.quiet_at(answer.told, idle=idle, running_since=running_since, now=now)
    return replace(whole, due_at=max(min(due_at, quiet_at), due.warnable_at(idle, whole, now)))
