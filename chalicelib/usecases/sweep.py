"""The sweep: observe → adopt → price → decide → plan → act → record → notify.

Every scheduled one does a full pass; an event's looks at its own instance only. Two at once do nothing twice: each
lease is claimed by a conditional write before anything is called.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

from chalicelib.domain import account_notices, notices
from chalicelib.domain.case import Finding, Verdict
from chalicelib.domain.disarm import is_armed
from chalicelib.domain.errors import Stale, Unavailable
from chalicelib.domain.instance import StateChange
from chalicelib.domain.lease import Lease, Receipt, RequestType, Status
from chalicelib.domain.missed import denials
from chalicelib.domain.money import ZERO, exact
from chalicelib.domain.plan import Plan, plan
from chalicelib.domain.rescue import on_end_of
from chalicelib.domain.shields import may_be_spared
from chalicelib.ports import Services, SweepRecord
from chalicelib.usecases import list_prices, teardown, timers
from chalicelib.usecases.adoption import adopt_loose, record_first_sights
from chalicelib.usecases.alive import say_alive
from chalicelib.usecases.billed import count_bills
from chalicelib.usecases.bills import ask_for_the_bill
from chalicelib.usecases.carry import carry_over
from chalicelib.usecases.charge import charge_open_leases, is_owing
from chalicelib.usecases.creators import identify
from chalicelib.usecases.deliver import deliver
from chalicelib.usecases.denials import remember_denials
from chalicelib.usecases.evidence import remember, unseen_since
from chalicelib.usecases.extend import finish_changes
from chalicelib.usecases.follow_images import follow_images
from chalicelib.usecases.gather import Facts, gather, obstacle_of
from chalicelib.usecases.host_keys import find_host_keys
from chalicelib.usecases.judge import judge
from chalicelib.usecases.metering import learn
from chalicelib.usecases.recover import recover_launches
from chalicelib.usecases.reservations import look_for_reservations
from chalicelib.usecases.rest import change_resting
from chalicelib.usecases.second_look import PATIENCE_SECONDS as LOOK_AGAIN_SECONDS
from chalicelib.usecases.second_look import look_again
from chalicelib.usecases.security_groups import tidy
from chalicelib.usecases.tagging import tag_boxes
from chalicelib.usecases.thresholds import tell_thresholds
from chalicelib.usecases.types import learn_types
from chalicelib.usecases.watch import end_what_came_back

ENDS_BY_SECONDS = 48.0
OVER_BY_SECONDS = 57.0
"""Since a sweep's begin: regions whose ends hang are left at it by the first, and by the second everything is over.
Its function lives 60 s; docs/limits.md has the sum."""
LEAST_SECONDS = 4.0
QUESTIONS_SECONDS = 10.0
"""What the meter, prices and types may ask after the ends; with less left the next sweep asks."""


def sweep(
    services: Services,
    *,
    trigger: str,
    only: tuple[str, str] | None = None,
    news: Sequence[StateChange] = (),
) -> SweepRecord:
    """One pass over the account, or over one box (`only`: region, instance id), of which events told `news`. Answers
    what was seen and done."""
    now = services.clock.now()
    facts = gather(services, now, only=only, news=news)
    facts = change_resting(services, facts)
    facts = end_what_came_back(services, facts)
    adopted = adopt_loose(services, facts)
    facts = adopted.facts
    verdicts, lacking = judge(services, facts)
    intent = plan(verdicts, facts.policy)
    receipts, intent = end_what_is_due(services, facts, intent)
    facts = recover_launches(services, facts)
    facts = record_first_sights(services, facts)
    services = _hasty(services, facts)
    has_time = services.patience(QUESTIONS_SECONDS) >= QUESTIONS_SECONDS
    facts = learn(services, facts) if has_time else facts
    _keep_what_changed(services, facts, intent, receipts)
    remember(services, verdicts, now)
    asks = only is None and has_time
    unpriced = list_prices.renew(services, facts.leases, facts.loose, now) if asks else ()
    untyped = learn_types(services, facts) if asks else ()
    record = replace(
        _record(services, facts, intent, receipts, trigger, verdicts=verdicts),
        adopted=adopted.lease_ids,
        unleased_hourly_usd=sum((v.case.cost.ceiling_usd for v in verdicts if v.case.lease is None), ZERO),
        lacking=(*facts.lacking, *lacking, *unpriced, *untyped),
    )
    denied = remember_denials(services, facts.sight.views, facts.denials, now) if only is None else ()
    told = [*_remarks(facts, intent, verdicts), *(account_notices.denied(region, now) for region in denied)]
    services.store.record_sweep(record, notices=told)
    unheard = say_alive(services, record)
    tell_thresholds(services, facts)
    if is_owing(facts.leases, facts.book):
        with suppress(Unavailable):  # the next sweep goes on with it; people are told all the same
            charge_open_leases(services, now)
    carry_over(services, facts)
    count_bills(services, facts)
    untold = deliver(services)
    untagged = tag_boxes(services, facts) if only is None else None
    finish_changes(services, facts.leases)
    unarmed = timers.repair(services, facts, verdicts) if only is None else ()
    timers.remove(services, receipts, facts.closed)
    unnamed = identify(services, facts) if only is None else None
    unread = find_host_keys(services, facts) if trigger == "schedule" else None
    unfollowed = follow_images(services, facts) if only is None else None
    unreserved = look_for_reservations(services, facts) if only is None else None
    untidied = tidy(services, facts) if trigger == "schedule" else None
    unbilled = ask_for_the_bill(services, facts) if trigger == "schedule" else None
    return replace(
        record,
        lacking=(
            *record.lacking,
            *unarmed,
            *filter(
                None, [unheard, untold, untagged, unnamed, unread, unfollowed, unreserved, untidied, unbilled]
            ),
        ),
    )


def arm(services: Services) -> datetime:
    """Guard also what ran before Curfew came. Answers since when the account is armed."""
    now = services.clock.now()
    services.store.arm(now)
    return services.store.account().armed_at or now


def end_what_is_due(services: Services, facts: Facts, intent: Plan) -> tuple[list[Receipt], Plan]:
    """Claim and tear down: what was left half done and what nothing can spare first, then, looked at again, the rest;
    costliest first. Also the plan, with what this minute may not end any more among what waits."""
    claimed: list[Lease | None] = [
        teardown.resume(services, lease, facts.owned(lease), facts.now)
        for lease in facts.leases
        if lease.status is Status.ENDING and facts.in_focus(lease)
    ]
    claimed += [_begin(services, facts, verdict) for verdict in intent.ends if not may_be_spared(verdict)]
    why = teardown.Why(cause="gone", reason="its boxes are gone: it was ended outside Curfew", figures={})
    claimed += [
        teardown.begin(services, lease, why, facts.owned(lease), facts.now)
        for lease in facts.leases
        if _is_over(facts, lease)
    ]
    left = partial(_time_for_ends, services, facts)
    receipts = teardown.carry_out(
        services, facts, [lease for lease in claimed if lease], patience=left(teardown.PATIENCE_SECONDS)
    )
    spareable = [verdict for verdict in intent.ends if may_be_spared(verdict)]
    again = look_again(services, facts, spareable, patience=left(LOOK_AGAIN_SECONDS))
    begun = [_begin(services, facts, verdict) for verdict in again.sure]
    receipts += teardown.carry_out(
        services, facts, [lease for lease in begun if lease], patience=left(teardown.PATIENCE_SECONDS)
    )
    return receipts, replace(intent, deferred=(*intent.deferred, *again.deferred))


def _time_for_ends(services: Services, facts: Facts, most: float) -> float:
    """How long regions that hang are waited for: what answers at once always has its time, and what was done is
    recorded before the function's own time is over."""
    used = (services.clock.now() - facts.now).total_seconds()
    return max(min(most, ENDS_BY_SECONDS - used), LEAST_SECONDS)


def _hasty(services: Services, facts: Facts) -> Services:
    """The services for what comes after the ends, which has what they have left of the function's time."""
    left = OVER_BY_SECONDS - (services.clock.now() - facts.now).total_seconds()
    by = services.clock.elapsed() + left
    return replace(services, answer_by=by if services.answer_by is None else min(services.answer_by, by))


def _begin(services: Services, facts: Facts, verdict: Verdict) -> Lease | None:
    """Claim a lease for the end that its verdict asks for."""
    lease, ruling = verdict.case.lease, verdict.ruling
    if lease is None or ruling is None:
        return None
    on_end = on_end_of(lease, facts.policy)
    why = teardown.Why(cause=ruling.rule, reason=ruling.reason, figures=ruling.figures, on_end=on_end)
    return teardown.begin(services, lease, why, facts.owned(lease), facts.now)


def _is_over(facts: Facts, lease: Lease) -> bool:
    """Nothing of it is left, in a region that answered, and nothing is armed that would start it again."""
    owned = facts.owned(lease)
    is_persistent = lease.request_type is RequestType.PERSISTENT
    comes_back = (is_persistent and any(r.is_armed for r in owned.spot_requests)) or is_armed(
        lease, facts.sight, facts.now
    )
    has_started = bool(lease.instance_ids) or lease.request_type is RequestType.MAINTAIN
    return (
        facts.only is None
        and lease.status is Status.ACTIVE
        and lease.region in facts.sight.seen_regions
        and owned.is_empty
        and has_started
        and not comes_back
    )


def _keep_what_changed(services: Services, facts: Facts, intent: Plan, receipts: Sequence[Receipt]) -> None:
    """Write the leases whose ids, runs or warnings changed, each with what people are told of it."""
    ended = {receipt.lease_id for receipt in receipts}
    warned = _by_lease(intent.warnings)
    taken_back = _by_lease(intent.taken_back)
    for lease in facts.leases:
        if lease.id in ended or lease.status is Status.ENDING:
            continue
        changed, told = lease, []
        for verdict, finding in taken_back.get(lease.id, []):
            told.append(notices.taken_back(changed, finding, verdict.case.now))
            rest = {rule: at for rule, at in changed.warned_at.items() if rule != finding.rule}
            changed = replace(changed, warned_at=rest)
        if new := warned.get(lease.id):
            verdict = new[0][0]
            told.append(notices.warned(changed, verdict, *(finding for _, finding in new)))
            at = dict.fromkeys((finding.rule for _, finding in new), verdict.case.now)
            changed = replace(changed, warned_at={**changed.warned_at, **at})
        if changed != facts.stored.get(lease.id):
            _save(services, changed, told)


def _save(services: Services, lease: Lease, told: Sequence[notices.Notice]) -> None:
    try:
        services.store.save_lease(lease, notices=told)
    except (Stale, Unavailable):
        return  # somebody changed it meanwhile, or the write failed: the next sweep decides on what it is then


def _by_lease(
    pairs: Sequence[tuple[Verdict, Finding]],
) -> dict[str, list[tuple[Verdict, Finding]]]:
    grouped: dict[str, list[tuple[Verdict, Finding]]] = {}
    for verdict, finding in pairs:
        if verdict.case.lease:
            grouped.setdefault(verdict.case.lease.id, []).append((verdict, finding))
    return grouped


def _remarks(facts: Facts, intent: Plan, verdicts: Sequence[Verdict]) -> list[notices.Notice]:
    """What the sweep itself has to tell: what it could not see, what it spares, what waits."""
    told = [
        notices.reported(verdict.case.instances[0].id, finding, facts.now)
        for verdict in verdicts
        for finding in verdict.findings
        if verdict.case.lease is None and facts.policy.unleased.effect != "ignore"
    ]
    told += [
        notices.spared(verdict.case.lease, finding, facts.now)
        for verdict, finding in intent.spared
        if verdict.case.lease
    ]
    told += [
        notices.unseen(verdict.case.lease, verdict.case, since)
        for verdict in verdicts
        if verdict.case.lease and (since := unseen_since(verdict))
    ]
    fights = {v.case.fight.shape: v.case.fight for v in verdicts if v.case.fight and v.case.fight.is_braked}
    told += [account_notices.brake(fight, facts.now) for fight in fights.values()]
    failed = {view.region: view.error or "" for view in facts.sight.views if view.status == "failed"}
    if failed:
        told.append(account_notices.incomplete(failed, facts.now))
    if intent.deferred:
        told.append(
            account_notices.deferred(intent.deferred, facts.policy.limits.idle_ends_per_sweep, facts.now)
        )
    return told


def _record(
    services: Services,
    facts: Facts,
    intent: Plan,
    receipts: Sequence[Receipt],
    trigger: str,
    *,
    verdicts: Sequence[Verdict],
) -> SweepRecord:
    finished_at = services.clock.now()
    hourly = {v.case.instances[0].id: exact(v.case.cost.hourly_usd) for v in verdicts if v.case.lease is None}
    reported = [
        {
            "instance_id": box.instance.id,
            "region": box.instance.region,
            "reason": box.because,
            "hourly_usd": hourly.get(box.instance.id, "0"),
        }
        for box in facts.loose
        if box.because and facts.policy.unleased.effect != "ignore"
    ]
    spared = {v.case.lease.id: str(f.spared_by) for v, f in intent.spared if v.case.lease}
    spared |= {lease.id: why for lease in facts.leases if (why := obstacle_of(facts, lease))}
    reported += [
        {"lease": lease.id, "region": lease.region, "reason": spared[lease.id]}
        for lease in facts.leases
        if lease.id in spared
    ]
    return SweepRecord(
        id=f"{facts.now:%Y-%m-%dT%H:%M:%S.%fZ}-{trigger}",
        started_at=facts.now,
        finished_at=finished_at,
        trigger=trigger,
        is_complete=facts.only is None and facts.is_complete,
        is_dry_run=services.is_dry_run,
        regions={
            v.region: v.status if v.status == "ok" else f"{v.status}: {v.error}" for v in facts.sight.views
        },
        seen=sum(1 for lease in facts.leases for i in facts.owned(lease).live) + len(facts.loose),
        leases=len(facts.leases),
        expected=sum(1 for lease in facts.stored.values() for run in lease.runs if run.ended_at is None),
        ends_denied=sum(denials(receipt.steps) for receipt in receipts if receipt.status == "ending"),
        took_ms=(finished_at - facts.now) // timedelta(milliseconds=1),
        pages={v.region: v.pages for v in facts.sight.views if v.status == "ok"},
        ended=tuple(r.lease_id for r in receipts if r.status != "ending"),
        ending=tuple(r.lease_id for r in receipts if r.status == "ending"),
        warned=tuple(v.case.lease.id for v, _ in intent.warnings if v.case.lease),
        deferred=tuple(v.case.lease.id for v in intent.deferred if v.case.lease),
        reported=tuple(reported),
    )
