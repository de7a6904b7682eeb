"""End again what comes back after its lease was closed.

A closed lease stays closed: what comes back gets a lease of its own that follows it, with the same owner and budgets,
that is ending from its first write and that any sweep resumes. Its steps and its cost join the first one's receipt.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from chalicelib.domain import brake, notices, watch
from chalicelib.domain.admission import Term, worst_case_of_box
from chalicelib.domain.adoption import Unleased, within_room
from chalicelib.domain.budget import BudgetBook
from chalicelib.domain.errors import BudgetExceeded, Stale, Unavailable
from chalicelib.domain.instance import Instance
from chalicelib.domain.lease import Ending, Hold, Lease, OnEnd, RequestType, Run, Status
from chalicelib.domain.tracking import holdings, owned_by, track
from chalicelib.ports import Services
from chalicelib.usecases import teardown
from chalicelib.usecases.gather import Facts

TRIES = 5
SHORTEST_HOLD = timedelta(minutes=1)


def end_what_came_back(services: Services, facts: Facts) -> Facts:
    """The facts with a lease, ending already, for whatever came back of closed ones; none of it is a stray any more,
    also where its lease could not be written: the next sweep tries again."""
    returned = _returned(facts)
    if not returned:
        return facts
    fights = brake.fights((*facts.leases, *facts.closed), facts.now)
    opened, waiting = [], list[Unleased]()
    for root, boxes in returned.items():
        closed, found = boxes[-1][0], [box for _, box in boxes]
        until = _braked_until(closed, found, fights, facts.now)
        if until > facts.now:
            waiting += [
                Unleased(instance=box, because=f"it came back again and is ended at {until:%H:%M}")
                for box in found
            ]
        elif lease := _open(services, facts, root, found, closed):
            opened.append(lease)
    ids = {box.id for boxes in returned.values() for _, box in boxes}
    return replace(
        facts,
        leases=(*facts.leases, *opened),
        loose=(*(one for one in facts.loose if one.instance.id not in ids), *waiting),
        stored={**facts.stored, **{lease.id: lease for lease in opened}},
    )


def _returned(facts: Facts) -> dict[str, list[tuple[Lease, Instance]]]:
    """By the first lease's id: what came back, each with the closed lease that it comes from."""
    strays = {box.instance.id for box in facts.loose if box.because is None}
    found: dict[str, list[tuple[Lease, Instance]]] = {}
    for instance in facts.sight.instances if facts.closed else ():
        if instance.is_gone or any(owned_by(lease, instance) for lease in facts.leases):
            continue
        closed = watch.whose(facts.closed, instance)
        if closed is None or not watch.is_to_be_ended(closed, instance, facts.now):
            continue
        if instance.id in strays or not closed.is_adopted:
            found.setdefault(watch.root_of(closed), []).append((closed, instance))
    return found


def _braked_until(
    closed: Lease, boxes: Sequence[Instance], fights: Mapping[brake.Shape, brake.Fight], now: datetime
) -> datetime:
    """When they are ended: at once, and later where the same came back again and again within the hour."""
    fight = fights.get(brake.shape_of(closed))
    started_at = max(watch.began_at(closed, box, now) for box in boxes)
    return started_at + brake.delay(1 + (fight.replacements if fight else 0))


def _open(
    services: Services, facts: Facts, root: str, boxes: Sequence[Instance], closed: Lease
) -> Lease | None:
    """The lease that ends them; None where another sweep was first, or the table would not have it."""
    book = facts.book
    times = watch.times_back(root, (*facts.closed, *facts.leases))
    for tries_left in reversed(range(TRIES)):
        times += 1
        lease = _following(facts, root, boxes, closed, times=times, book=book)
        told = notices.came_back(lease, root, facts.now)
        try:
            return services.store.open_lease(
                lease, revision=book.revision, allow_overdraft=not tries_left, notices=[told]
            )
        except (BudgetExceeded, Stale):
            known = services.store.lease(lease.id)
            if known and known.is_open:
                return None
            times -= known is None
            book = services.store.budgets(facts.now)
        except Unavailable:
            return None
    return None


def _following(
    facts: Facts, root: str, boxes: Sequence[Instance], closed: Lease, *, times: int, book: BudgetBook
) -> Lease:
    """A lease like the closed one for what came back: it bills since it started, and is to end now."""
    now = facts.now
    hold, term = _hold(facts, boxes, closed), _term(facts)
    states = [one for one in book.states if one.budget.covers(owner=closed.owner, project=closed.project)]
    budgets = tuple(one.budget for one in states)
    held, charges = within_room(hold, budgets, term, states)
    landed = next((box for box in boxes if watch.landed_late(closed, box)), None)
    reason = f"it came back after its lease was closed ({closed.ending.reason if closed.ending else ''})"
    if landed:
        reason = "its launch landed late: it had been given up when nothing showed up in time, and nothing was held"
    order = closed.order and replace(closed.order, on_end=OnEnd.TERMINATE)  # what it had to save is saved
    lease = Lease(
        id=f"{root}-again-{times}",
        follows=root,
        times_back=times,
        owner=closed.owner,
        project=closed.project,
        region=closed.region,
        origin=closed.origin,
        request_type=closed.request_type,
        order=order,
        started_by=closed.started_by,
        status=Status.ACTIVE,
        requested_at=min(watch.began_at(closed, box, now) for box in boxes),
        launched_at=min((box.launched_at for box in boxes if box.launched_at), default=None),
        expires_at=now,
        hold=held,
        charges=charges,
        storage_gib=closed.storage_gib,
        disks=closed.disks,
        teardown_margin=closed.teardown_margin,
        instance_ids=tuple(box.id for box in boxes),
        spot_request_ids=closed.spot_request_ids,
        fleet_id=closed.fleet_id or _fleet_of(closed, landed),
    )
    lease = track(lease, facts.sight, now, only=facts.only)
    cause = closed.ending.cause if closed.ending else watch.CAME_BACK
    figures = {"times_back": str(times), **({"landed_late": landed.id} if landed else {})}
    why = teardown.Why(cause=cause, reason=reason, figures=figures)
    ending = teardown.intended(lease, why, holdings(lease, facts.sight, now), now)
    return _with_sightings(ending, boxes, facts)


def _fleet_of(closed: Lease, landed: Instance | None) -> str | None:
    """The fleet that landed late and would start its boxes again and again."""
    return landed.fleet_id if landed and closed.request_type is RequestType.MAINTAIN else None


def _with_sightings(lease: Lease, boxes: Sequence[Instance], facts: Facts) -> Lease:
    ending: Ending | None = lease.ending
    if ending is None:
        return lease
    seen = tuple(watch.sighting(box, facts.now) for box in boxes)
    return replace(lease, ending=replace(ending, steps=(*seen, *ending.steps)))


def _term(facts: Facts) -> Term:
    length = max(facts.policy.teardown.margin, SHORTEST_HOLD)
    return Term(starts_at=facts.now, ends_at=facts.now + length)


def _hold(facts: Facts, boxes: Sequence[Instance], closed: Lease) -> Hold:
    """What they cost until they are ended, with the time that an end may take."""
    term, hold = _term(facts), Hold()
    for box in boxes:
        run = Run(
            instance_id=box.id,
            instance_type=box.type,
            zone=box.zone,
            is_spot=box.is_spot,
            started_at=facts.now,
        )
        length = term.ends_at - term.starts_at
        ceiling = facts.prices.ceiling_usd(run)
        one = worst_case_of_box(ceiling, box.region, closed.box_disks, length, facts.prices)
        hold = Hold(
            compute_usd=hold.compute_usd + one.compute_usd,
            storage_usd=hold.storage_usd + one.storage_usd,
            public_ipv4_usd=hold.public_ipv4_usd + one.public_ipv4_usd,
            hourly_usd=hold.hourly_usd + one.hourly_usd,
        )
    return hold
