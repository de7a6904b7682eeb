"""Rescue: boxes that are to be saved or kept, one move each a sweep, and what is kept of the images afterwards.

Every move is looked up before it is made, and EC2 takes a name once, so that a process that dies anywhere leaves
nothing that the next one would do twice.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from chalicelib.domain.errors import Unavailable
from chalicelib.domain.images import PENDING, SavedImage, image_of, outdated
from chalicelib.domain.lease import Lease, OnEnd
from chalicelib.domain.meter import measure
from chalicelib.domain.rescue import (
    Move,
    Plight,
    at_rest_noted,
    image_order,
    next_keep,
    next_move,
    noted,
    step_of,
)
from chalicelib.domain.steps import RESCUE, SAVE, STOP
from chalicelib.domain.storage import attached
from chalicelib.ports import Outcome, Services
from chalicelib.usecases.gather import Facts


@dataclass(frozen=True, slots=True, kw_only=True)
class _Turn:
    """What is to be done for one box of a lease."""

    instance_id: str
    plight: Plight
    move: Move
    reason: str


def rescue(services: Services, facts: Facts, region: str, leases: Sequence[Lease]) -> list[Lease]:
    """Make one move for each box that is to be saved or kept; the leases with what came of it in their steps."""
    if not any(_waiting(lease) for lease in leases):
        return list(leases)
    seen = [_with_seen(services, lease) for lease in leases]
    turns = {lease.id: _turns(facts, lease) for lease in seen}
    stops = [turn.instance_id for each in turns.values() for turn in each if turn.move is Move.STOP]
    answers = services.compute.stop(region, stops) if stops else {}
    return [_moved(services, facts, lease, turns[lease.id], answers) for lease in seen]


def with_images_seen(services: Services, lease: Lease) -> Lease:
    """The lease with its images as they are now: one that was not ready in time may have failed with its box."""
    is_open = any(image.state == PENDING for image in lease.images)
    return _with_seen(services, lease) if is_open else lease


def make_room(services: Services, lease: Lease) -> None:
    """Remove the oldest images under the names that its end has saved under, as soon as its own are available. What
    fails is done at the next end; those of people make no room, and no close waits for a look at them."""
    for name in dict.fromkeys(image.name for image in lease.images if not image.is_live):
        try:
            saved = services.compute.saved_images(lease.region, owner=lease.owner, name=name)
        except Unavailable:
            continue
        for image in outdated(saved):
            services.compute.forget_image(lease.region, image.id)


def _waiting(lease: Lease) -> list[str]:
    """The boxes with something left to do."""
    steps = lease.ending.steps if lease.ending else ()
    return list(dict.fromkeys(step.target for step in steps if step.action in RESCUE and not step.done_at))


def _with_seen(services: Services, lease: Lease) -> Lease:
    """The lease with what EC2 says of its images; where it does not say, with what was known."""
    boxes = [step.target for step in (lease.ending.steps if lease.ending else ()) if step.action == SAVE]
    live = [image.image_of for image in lease.images if image.is_live and image.state == PENDING]
    wanted = [*(image_of(lease.id, one) for one in boxes), *dict.fromkeys(live)]
    if not wanted:
        return lease
    try:
        found = services.compute.saved_images(lease.region, of=wanted)
    except Unavailable:
        return lease
    known = {image.id: image for image in lease.images}
    for image in found:
        before = known.get(image.id)
        gib = max(image.gib, before.gib if before else gib_of(lease, image.instance_id))
        known[image.id] = replace(image, gib=gib if image.state == PENDING else image.gib)
    return replace(lease, images=tuple(known.values()))


def _turns(facts: Facts, lease: Lease) -> list[_Turn]:
    ending = lease.ending
    if ending is None:
        return []
    owned = facts.owned(lease)
    live = {box.id: box for box in owned.live}
    cost = measure(lease, facts.prices, facts.now)
    turns = []
    for instance_id in _waiting(lease):
        save = step_of(lease, SAVE, instance_id)
        plight = Plight(
            box=live.get(instance_id),
            is_gone=instance_id not in live and instance_id in (*_ended(facts), *owned.vanished),
            image=_image(lease, instance_id),
            stop=step_of(lease, STOP, instance_id),
            saves=save.tried if save else 0,
            began_at=ending.decided_at,
            margin=lease.margin(facts.policy.teardown.margin),
            is_paid=lease.is_storage or cost.accrued_usd < lease.hold.total_usd,
        )
        move, reason = next_keep(plight) if ending.on_end is OnEnd.STOP else next_move(plight, facts.now)
        turns.append(_Turn(instance_id=instance_id, plight=plight, move=move, reason=reason))
    return turns


def _ended(facts: Facts) -> frozenset[str]:
    return frozenset(box.id for box in facts.sight.instances if box.is_gone)


def _image(lease: Lease, instance_id: str) -> SavedImage | None:
    """The image that its end makes of a box: one that has not failed, else the last that has."""
    own = [image for image in lease.images if image.instance_id == instance_id and not image.is_live]
    return next((image for image in own if not image.has_failed), own[-1] if own else None)


def _moved(
    services: Services, facts: Facts, lease: Lease, turns: Sequence[_Turn], stops: Mapping[str, Outcome]
) -> Lease:
    for turn in turns:
        if turn.move is Move.STOP:
            outcome = stops[turn.instance_id]
            lease = noted(lease, turn.instance_id, turn.move, outcome.answer, facts.now)
            if outcome.is_dry_run:
                lease = _rehearsed(lease, turn.instance_id, facts.now)
        elif turn.move is Move.SAVE:
            lease = _save(services, facts, lease, turn)
        else:
            lease = noted(lease, turn.instance_id, turn.move, turn.reason, facts.now)
    return lease


def _save(services: Services, facts: Facts, lease: Lease, turn: _Turn) -> Lease:
    """Begin the image of a box; one that has failed makes room for it."""
    lease = at_rest_noted(lease, turn.plight, turn.instance_id, facts.now)
    if turn.plight.image is not None:
        services.compute.forget_image(lease.region, turn.plight.image.id)
    order = image_order(lease, turn.instance_id)
    outcome = services.compute.save_image(lease.region, order)
    if outcome.is_dry_run:
        lease = noted(lease, turn.instance_id, turn.move, outcome.answer, facts.now)
        return _rehearsed(lease, turn.instance_id, facts.now)
    if outcome.accepted and all(image.id != outcome.answer for image in lease.images):
        begun = SavedImage(
            id=outcome.answer,
            region=lease.region,
            image_of=order.image_of,
            owner=order.owner,
            name=order.name,
            state=PENDING,
            gib=gib_of(lease, turn.instance_id),
            created_at=facts.now,
        )
        lease = replace(lease, images=(*lease.images, begun))
    return noted(lease, turn.instance_id, turn.move, outcome.answer, facts.now)


def _rehearsed(lease: Lease, instance_id: str, now: datetime) -> Lease:
    """A dry run goes on to the steps that would follow, and waits for none."""
    for action in RESCUE:
        step = step_of(lease, action, instance_id)
        if step and not step.done_at:
            lease = lease.with_step(replace(step, answer="dry-run", done_at=now))
    return lease


def gib_of(lease: Lease, instance_id: str) -> int:
    """The size of a box's disks, as far as it is known."""
    volumes = attached(lease.volumes, instance_id).values()
    return sum(one.gib for one in volumes) or sum(disk.gib for disk in lease.box_disks)
