"""What is done for a box before it ends: it is saved as an image, or kept stopped, as its lease's `on_end` says.

What can be stopped is stopped first and imaged at the price of its disks; its spot request is cancelled after that,
because cancelling the request of a stopped box terminates it. Everything else (one-time spot, boxes that a fleet or a
group would replace) is imaged while it runs. The image of a box that runs is waited for within the margin that its hold
pays for; of one at rest longer, while its hold lasts. Then the box ends without: money first.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from functools import partial

from chalicelib.domain import guest
from chalicelib.domain.images import AVAILABLE, ImageOrder, SavedImage
from chalicelib.domain.instance import Instance, SpotRequest
from chalicelib.domain.lease import LaunchOrder, Lease, OnEnd, RequestType, Step
from chalicelib.domain.policy import Policy
from chalicelib.domain.steps import CALLS, RESCUE, SAVE, STOP, WAIT, with_steps
from chalicelib.domain.tracking import Holdings

AT_REST_FOR = timedelta(hours=6)
"""So long an image of a stopped box is waited for, at the price of its disks: the first snapshot of a full terabyte can
take hours."""
TRIES = 3
"""Images that fail after they were begun are begun so many times in all."""
STOPS = 2
"""A stop that does not take effect is asked for so often; then the box is imaged as it runs."""
BEFORE_MARGIN_ENDS = timedelta(minutes=2)
"""A shutdown takes its time too, and what is left of it is no longer held for."""
UNSTOPPABLE = frozenset({"UnsupportedOperation", "OperationNotPermitted"})
"""EC2's answers after which another StopInstances would be refused too."""
RUNS_ON = "not stopped"
"""How the answer of a stop begins that was given up."""


class Move(StrEnum):
    """What to do for one box now."""

    STOP = "stop"
    SAVE = "save"
    WAIT = "wait"
    DONE = "done"
    LATE = "late"
    GIVE_UP = "give up"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plight:
    """One box that is to be saved or kept: what is seen of it, of its image, and what was tried. `is_gone`: it is known
    not to be there any more. `is_paid`: its lease's hold is not used up."""

    box: Instance | None
    is_gone: bool
    image: SavedImage | None
    stop: Step | None
    saves: int
    began_at: datetime
    margin: timedelta
    is_paid: bool

    @property
    def state(self) -> str:
        """EC2's word for it."""
        return self.box.state if self.box else "not shown by EC2"

    @property
    def is_to_be_stopped(self) -> bool:
        """It runs, and stopping it was not given up."""
        is_open = self.stop is not None and runs_not_on(self.stop) and self.stop.tried < STOPS
        return self.state == "running" and is_open

    @property
    def image_waits_until(self) -> datetime:
        """How long an image that is on its way is waited for."""
        is_patient = self.state == "stopped" and self.is_paid
        return self.began_at + (max(self.margin, AT_REST_FOR) if is_patient else self.margin)


def next_move(plight: Plight, now: datetime) -> tuple[Move, str]:
    """What to do for a box that is to be saved, and why. Pure: the same for whoever takes up an end that was left."""
    is_late = now >= plight.began_at + plight.margin
    image = plight.image
    if image is not None and not image.has_failed:
        if image.state == AVAILABLE:
            return Move.DONE, AVAILABLE
        if plight.is_gone or now >= plight.image_waits_until:
            return Move.LATE, f"{image.state}, not waited for any longer"
        return Move.WAIT, image.state
    if in_vain := _in_vain(plight, is_late=is_late):
        return Move.GIVE_UP, f"not saved: {in_vain}"
    if plight.is_to_be_stopped and not is_late:
        return Move.STOP, ""
    return (Move.SAVE, "") if plight.state in {"running", "stopped"} else (Move.WAIT, plight.state)


def _in_vain(plight: Plight, *, is_late: bool) -> str | None:
    """Why no image is made any more of a box that has none. It is tried once, however short the margin."""
    image = plight.image
    if plight.is_gone:
        return "the box is gone"
    if image is not None and plight.saves >= TRIES:
        return image.reason or image.state
    if is_late and plight.saves:
        return "teardown.margin is over"
    if is_late and plight.state not in {"running", "stopped"}:
        return f"it was {plight.state} for teardown.margin"
    return None


def next_keep(plight: Plight) -> tuple[Move, str]:
    """What to do for a box that is to be kept stopped, and why. It is stopped for as long as it takes: what EC2 refuses
    for good (`UNSTOPPABLE`) can only be terminated."""
    if plight.is_gone:
        return Move.DONE, "gone"
    if plight.state == "stopped":
        return Move.DONE, "stopped"
    if plight.state == "stopping" or plight.box is None:
        return Move.WAIT, plight.state
    return Move.STOP, ""


def runs_not_on(stop: Step) -> bool:
    """Whether a stop is still counted on."""
    return not stop.answer.startswith(RUNS_ON)


def on_end_of(lease: Lease, policy: Policy) -> OnEnd:
    """What becomes of its boxes when a rule ends it: its order says so, of a found one the policy. One that is to be
    kept stopped, and that `stopped.end_after` ends, is saved."""
    if lease.order:
        return lease.order.on_end
    asked = OnEnd(policy.unleased.end)
    return OnEnd.IMAGE if lease.is_storage and asked is OnEnd.STOP else asked


def image_order(lease: Lease, instance_id: str) -> ImageOrder:
    """The image that is made of a box: under its project's name, else that of its lease or, of a found one, its own."""
    own = instance_id if lease.is_adopted else lease.id
    return ImageOrder(
        lease_id=lease.id,
        instance_id=instance_id,
        owner=lease.owner,
        name=lease.project or own,
        project=lease.project,
        ssh_user=lease.ssh_user,
    )


def guest_end(lease: Lease, expires_at: datetime | None = None) -> datetime:
    """When a box shuts itself down: at its lease's end (`expires_at`: one that is not the lease's yet). A one-time box
    that is to be saved would be gone before its image is there: it has nearly all of `teardown.margin`, which its hold
    pays for. A persistent one only stops, and is imaged so."""
    end = expires_at or lease.expires_at
    is_saved = lease.order is not None and lease.order.on_end is OnEnd.IMAGE
    if not is_saved or lease.request_type is RequestType.PERSISTENT:
        return end
    return end + max(lease.margin(timedelta(0)) - BEFORE_MARGIN_ENDS, timedelta(0))


def ends_itself(order: LaunchOrder) -> bool:
    """Whether a launched box gets a deadline of its own: not where a fleet would start another one for it, and not
    beside user data that cloud-init does not know."""
    return order.request_type is not RequestType.MAINTAIN and guest.takes_deadline(order.user_data)


def can_stop(box: Instance, requests: Iterable[SpotRequest]) -> bool:
    """Whether a box can be stopped and stays so: not one-time spot, none whose request was cancelled, and none that a
    fleet or a group would replace."""
    if box.group or box.fleet_id or box.spot_fleet_id:
        return False
    if not box.is_spot:
        return True
    own = next((request for request in requests if request.id == box.spot_request_id), None)
    return own is not None and own.type == "persistent" and own.state in {"active", "disabled"}


def with_rescue(lease: Lease, owned: Holdings, now: datetime) -> Lease:
    """The ending lease with the steps that save or keep its boxes, before those that end them; a box that is kept has
    none of those, nor has its spot request. What of a launch is not shown now is saved once it is."""
    if lease.ending is None or lease.ending.on_end is OnEnd.TERMINATE:
        return lease
    known = {step.target for step in lease.ending.steps if step.action in RESCUE}
    new = [step for box in owned.live if box.id not in known for step in _steps(lease, box, owned, now)]
    hidden = _hidden(lease.instance_ids, owned) - known
    new += [step for box_id in sorted(hidden) for step in _steps_unseen(lease, box_id)]
    rescue = [*(step for step in lease.ending.steps if step.action in RESCUE), *new]
    with_new = replace(lease, ending=replace(lease.ending, steps=tuple(rescue)))
    spared = _with_requests(lease, kept(with_new), owned)
    rest = [
        step
        for step in lease.ending.steps
        if step.action not in RESCUE and (step.done_at or step.target not in spared)
    ]
    return with_steps(lease, [*rescue, *rest])


def kept(lease: Lease) -> frozenset[str]:
    """The boxes that are kept, stopped: they are never terminated."""
    if lease.ending is None or lease.ending.on_end is not OnEnd.STOP:
        return frozenset()
    stops = (step for step in lease.ending.steps if step.action == STOP)
    return frozenset(step.target for step in stops if runs_not_on(step))


def held_back(lease: Lease, owned: Holdings) -> frozenset[str]:
    """What must not be ended yet: boxes that are not saved so far, and requests of those that are stopped for it."""
    if lease.ending is None:
        return frozenset()
    steps = lease.ending.steps
    waiting = {step.target for step in steps if step.action in RESCUE and not step.done_at}
    stopped = {step.target for step in steps if step.action == STOP and runs_not_on(step)}
    return frozenset(waiting | (_with_requests(lease, waiting & stopped, owned) - stopped))


def without_kept(lease: Lease, owned: Holdings) -> Holdings:
    """What is left of a lease beside the boxes that it leaves behind, stopped, and their requests."""
    resting = {box.id for box in owned.live if box.state == "stopped"} & kept(lease)
    left = _with_requests(lease, resting, owned)
    return replace(
        owned,
        live=tuple(box for box in owned.live if box.id not in left),
        spot_requests=tuple(request for request in owned.spot_requests if request.id not in left),
    )


def _with_requests(lease: Lease, instance_ids: Iterable[str], owned: Holdings) -> frozenset[str]:
    """Boxes and their spot requests. Of a box that is not shown now any request may be that is no other box's:
    cancelling that of a stopped box would delete it."""
    ids = frozenset(instance_ids)
    of = {box.id: box.spot_request_id for box in owned.live}
    requests = {of[one] for one in ids & set(of)}
    if _hidden(ids, owned):
        requests |= set(lease.spot_request_ids) - {of[one] for one in set(of) - ids}
    return ids | {one for one in requests if one}


def _hidden(instance_ids: Iterable[str], owned: Holdings) -> set[str]:
    """Of these boxes those that the look did not show, although they may be there."""
    return set(instance_ids) - {box.id for box in owned.live} - {*owned.gone, *owned.vanished}


def noted(lease: Lease, instance_id: str, move: Move, answer: str, now: datetime) -> Lease:
    """The lease with what came of a move in its steps. `answer`: to a stop or a save EC2's, else the reason."""
    match move:
        case Move.STOP:
            is_refused = answer in UNSTOPPABLE
            said = f"{RUNS_ON}: {answer}" if is_refused else answer
            done_at = now if is_refused else None
            return _changed(lease, STOP, instance_id, said, done_at=done_at, called_at=now)
        case Move.SAVE:
            is_begun = any(image.id == answer for image in lease.images)
            return _changed(
                lease, SAVE, instance_id, answer, done_at=now if is_begun else None, called_at=now
            )
        case Move.WAIT:
            return _changed(lease, WAIT, instance_id, answer, called_at=now)
        case Move.DONE | Move.LATE | Move.GIVE_UP:
            if step_of(lease, WAIT, instance_id) is None:
                return _changed(lease, STOP, instance_id, answer, done_at=now)
            for action in (STOP, SAVE):
                lease = _changed(lease, action, instance_id, None, done_at=now)
            return _changed(lease, WAIT, instance_id, answer, done_at=now, called_at=now)


def at_rest_noted(lease: Lease, plight: Plight, instance_id: str, now: datetime) -> Lease:
    """The lease with a stop settled by what is seen, before the box is imaged: it rests, or it was asked to in vain."""
    if plight.state == "stopped":
        return _changed(lease, STOP, instance_id, "stopped", done_at=now)
    stop = plight.stop
    said = f"{RUNS_ON}: {stop.answer or 'no time was left'}" if stop else ""
    return _changed(lease, STOP, instance_id, said, done_at=now)


def is_rescued(lease: Lease) -> bool:
    """Whether boxes of an ending lease wait to be saved or kept."""
    steps = lease.ending.steps if lease.ending else ()
    return any(step.action in RESCUE and not step.done_at for step in steps)


def step_of(lease: Lease, action: str, target: str) -> Step | None:
    """One step of its ending."""
    steps = lease.ending.steps if lease.ending else ()
    return next((step for step in steps if (step.action, step.target) == (action, target)), None)


def _steps(lease: Lease, box: Instance, owned: Holdings, now: datetime) -> list[Step]:
    step = partial(Step, target=box.id, region=lease.region)
    stops: list[Step] = []
    if box.state == "stopped":
        stops = [step(action=STOP, done_at=now, answer="stopped")]
    elif can_stop(box, owned.spot_requests):
        stops = [step(action=STOP)]
    is_saved = lease.ending is not None and lease.ending.on_end is OnEnd.IMAGE
    return [*stops, step(action=SAVE), step(action=WAIT)] if is_saved else stops


def _steps_unseen(lease: Lease, instance_id: str) -> list[Step]:
    """What saves a launched box that is not shown now. Of a found one nothing is known then."""
    if lease.is_adopted or lease.ending is None or lease.ending.on_end is not OnEnd.IMAGE:
        return []
    stops = (STOP,) if lease.request_type is RequestType.PERSISTENT else ()
    return [Step(action=action, target=instance_id, region=lease.region) for action in (*stops, SAVE, WAIT)]


def _changed(
    lease: Lease,
    action: str,
    instance_id: str,
    answer: str | None,
    *,
    done_at: datetime | None = None,
    called_at: datetime | None = None,
) -> Lease:
    """With an open step's answer (None: as it is), its end, and where EC2 was called for it the call and its time."""
    step = step_of(lease, action, instance_id)
    if step is None or step.done_at:
        return lease
    step = replace(step, answer=step.answer if answer is None else answer, done_at=done_at)
    if called_at is not None:
        step = replace(step, tried=step.tried + (action != WAIT), at=called_at, call=CALLS[action])
    return lease.with_step(step)
