"""Disarm: find what would start another box in place of those that end, write it down, then call.

A step is written before it is called: to shrink by one is not idempotent, and a lease of which that can't be written is
left for the next sweep.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import partial

from chalicelib.domain.controllers.fleet import ON_DEMAND, TOTAL, UNKNOWN
from chalicelib.domain.controllers.group import DESIRED, LEAST, MOST
from chalicelib.domain.disarm import is_new, shares, with_disarming
from chalicelib.domain.lease import Lease, Step
from chalicelib.domain.steps import (
    CLOSE_GROUP,
    DISARMING,
    DRY_RUN,
    END_FLEET,
    LEAVE_GROUP,
    LOWER_GROUP,
    SHRINK_FLEET,
    open_steps,
    steps_of,
)
from chalicelib.ports import Outcome, Services
from chalicelib.usecases.alone import Alone, alone_in
from chalicelib.usecases.answers import answered, save
from chalicelib.usecases.gather import Facts

TRIES_TO_LEAVE = 5
Doing = Callable[[Services, str, Sequence[Step]], Mapping[str, Outcome]]


def disarm(services: Services, facts: Facts, region: str, leases: Sequence[Lease]) -> list[Lease]:
    """The claimed leases of a region after their fleets and groups were disarmed, as far as AWS let them be; without
    those that could not be written, or that share one with others while another process sets sizes there."""
    sharing = [lease.id for lease in leases if shares(lease, facts.sight.view(region))]
    if not sharing:
        return _disarmed(services, facts, region, leases)
    with alone_in(services, facts, region) as alone:
        if alone is None:
            rest = [lease for lease in leases if lease.id not in sharing]
            return _disarmed(services, facts, region, rest)
        return _disarmed(services, alone.facts, region, leases, alone)


def _disarmed(
    services: Services, facts: Facts, region: str, leases: Sequence[Lease], alone: Alone | None = None
) -> list[Lease]:
    found = _recorded(services, facts, region, leases)
    for action, doing in DOINGS:
        steps = [step for step in open_steps(found, action) if not _waits(step, found)]
        if steps and (alone is None or alone.is_still_so):
            outcomes = doing(services, region, steps)
            now = services.clock.now()
            found = [answered(lease, action, outcomes, now, partial(_is_done, lease, now)) for lease in found]
    return found


def _waits(step: Step, leases: Sequence[Lease]) -> bool:
    """Whether a group may not be set to zero yet: Auto Scaling itself would end what has not left it, past an owner's
    termination protection, and unsaved. What it does not let go of by then ends so all the same."""
    if step.action != CLOSE_GROUP:
        return False
    leaving = [one for one in open_steps(leases, LEAVE_GROUP) if one.controller == step.target]
    return any(one.answer != DRY_RUN and one.tried < TRIES_TO_LEAVE for one in leaving)


def _recorded(services: Services, facts: Facts, region: str, leases: Sequence[Lease]) -> list[Lease]:
    """The leases with their steps, written down where there is something to disarm; planned anew, without it, when one
    could not be written: sizes are set for all that leave together."""
    left = list(leases)
    while left:
        claimed = {lease.id for lease in left}
        ending = {lease.id: lease for lease in leases if lease.id not in claimed}
        others = [ending.get(other.id, other) for other in facts.leases if other.id not in claimed]
        planned = with_disarming(left, others, facts.sight, region, facts.now)
        written = [
            save(services, lease) if _is_to_be_written(lease, before) else lease
            for lease, before in zip(planned, left, strict=True)
        ]
        left = [lease for lease in written if lease]
        if len(left) == len(written):
            break
    return left


def _is_to_be_written(lease: Lease, before: Lease) -> bool:
    """Only what is new of fleets and groups: whatever has none costs no write."""
    new = set(map(str, steps_of(lease))) - set(map(str, steps_of(before)))
    return bool(new) and any(step.action in DISARMING for step in steps_of(lease))


def _is_done(lease: Lease, now: datetime, outcome: Outcome) -> bool:
    """AWS took it; or there is nothing of that id that could start a box, unless it may be too new to be known."""
    return outcome.accepted or (outcome.is_absent and not is_new(lease, now))


def _lower_groups(services: Services, region: str, steps: Sequence[Step]) -> Mapping[str, Outcome]:
    return {
        name: services.compute.resize_group(region, name, least=min(step.after[LEAST] for step in some))
        for name, some in _by(lambda step: step.target, steps).items()
    }


def _leave_groups(services: Services, region: str, steps: Sequence[Step]) -> Mapping[str, Outcome]:
    outcomes: dict[str, Outcome] = {}
    for name, some in _by(lambda step: step.controller or "", steps).items():
        outcomes |= services.compute.detach(region, name, [step.target for step in some])
    return outcomes


def _close_groups(services: Services, region: str, steps: Sequence[Step]) -> Mapping[str, Outcome]:
    return {
        name: services.compute.resize_group(
            region, name, least=some[0].after[LEAST], most=some[0].after[MOST], desired=some[0].after[DESIRED]
        )
        for name, some in _by(lambda step: step.target, steps).items()
    }


def _shrink_fleets(services: Services, region: str, steps: Sequence[Step]) -> Mapping[str, Outcome]:
    """One call a fleet: all that leave it have the same target written down. Without one it can't be shrunk now."""
    outcomes = {
        step.target: Outcome(accepted=False, answer=UNKNOWN) for step in steps if step.answer == UNKNOWN
    }
    able = [step for step in steps if step.after]
    for name, some in _by(lambda step: step.controller or "", able).items():
        before, after = some[0].before, some[0].after
        part = after[ON_DEMAND] if before[ON_DEMAND] else None
        outcome = services.compute.shrink_fleet(region, name, total=after[TOTAL], on_demand=part)
        outcomes |= dict.fromkeys([step.target for step in some], outcome)
    return outcomes


def _end_fleets(services: Services, region: str, steps: Sequence[Step]) -> Mapping[str, Outcome]:
    outcomes: dict[str, Outcome] = {}
    for ends_boxes, some in _by(lambda step: str(step.after.get("ends_boxes", 0)), steps).items():
        ids = list(dict.fromkeys(step.target for step in some))
        outcomes |= services.compute.end_fleets(region, ids, and_boxes=ends_boxes == "1")
    return outcomes


DOINGS: tuple[tuple[str, Doing], ...] = (
    (LOWER_GROUP, _lower_groups),
    (LEAVE_GROUP, _leave_groups),
    (CLOSE_GROUP, _close_groups),
    (SHRINK_FLEET, _shrink_fleets),
    (END_FLEET, _end_fleets),
)


def _by(key: Callable[[Step], str], steps: Iterable[Step]) -> dict[str, list[Step]]:
    grouped: dict[str, list[Step]] = {}
    for step in steps:
        grouped.setdefault(key(step), []).append(step)
    return grouped
