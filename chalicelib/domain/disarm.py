"""Find what would start another box in place of those that end, and write down the steps that disarm it.

Leases end together: a fleet of which every box ends is deleted once, whichever leases they belong to, and one that also
runs a box to be kept is shrunk by the others. So the steps are found for all leases of a region that are claimed at the
same time, from one look at it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from chalicelib.domain.controllers import KINDS
from chalicelib.domain.controllers.fleet import end_of
from chalicelib.domain.controllers.kind import Ends, Kind
from chalicelib.domain.fleets import FORGOTTEN
from chalicelib.domain.instance import Instance, RegionView, Sight
from chalicelib.domain.lease import Lease, OnEnd, RequestType, Status, Step
from chalicelib.domain.steps import (
    CANCEL,
    DISARMING,
    END_FLEET,
    SHRINK_FLEET,
    TERMINATE,
    WHOLE,
    open_steps,
    pending,
    steps_of,
    with_steps,
)
from chalicelib.domain.tracking import MISSING_FOR, owned_by

ALREADY = "so already"
"""The answer of a step that was found done."""


@dataclass(frozen=True, slots=True)
class _Found:
    """A controller, and the boxes of the claimed leases that it would replace."""

    kind: Kind
    name: str
    boxes: tuple[Instance, ...]


def with_disarming(
    claimed: Sequence[Lease], others: Iterable[Lease], sight: Sight, region: str, now: datetime
) -> tuple[Lease, ...]:
    """The claimed leases of a region with what disarms the controllers of their boxes among their steps.

    `others`: every other open lease; of their boxes those that end too do not keep a fleet alive.
    """
    view = sight.view(region)
    leases = [_settled(lease, _believed(lease, view, now), now) for lease in claimed]
    if (
        view.status != "ok"
    ):  # nothing is known of what others may share; what a lease has launched itself is its own
        return tuple(_with_own_fleet(lease, view) for lease in leases)
    others = list(others)
    ending = _ending([*leases, *others])
    for found in _controllers(leases, view):
        steps = found.kind.steps(
            Ends(
                view=view,
                controller=found.name,
                boxes=found.boxes,
                ending=ending,
                recorded=_recorded(leases, found.name),
                is_busy=_is_busy(others, found.name),
                are_saved=any(map(_saves, leases)),
            )
        )
        leases = [_planned(lease, found, steps) for lease in leases]
    return tuple(_with_own_fleet(lease, _believed(lease, view, now)) for lease in leases)


def shares(lease: Lease, view: RegionView) -> bool:
    """Whether its end sets the size of what other leases may share, now or by what is written down."""
    if any(step.action in DISARMING and not step.done_at for step in steps_of(lease)):
        return True
    return bool(_controllers([lease], view))


def _controllers(leases: Sequence[Lease], view: RegionView) -> list[_Found]:
    """Every controller of a box that is to end, once."""
    boxes = [
        instance
        for instance in view.instances
        if not instance.is_gone and any(owned_by(lease, instance) for lease in leases)
    ]
    named: dict[tuple[int, str], list[Instance]] = {}
    for box in boxes:
        for order, kind in enumerate(KINDS):
            name = kind.of(box)
            if name:
                named.setdefault((order, name), []).append(box)
    return [_Found(KINDS[order], name, tuple(some)) for (order, name), some in named.items()]


def _ending(leases: Iterable[Lease]) -> frozenset[str]:
    return frozenset(
        step.target
        for lease in leases
        if lease.status is Status.ENDING
        for step in steps_of(lease)
        if step.action == TERMINATE
    )


def _recorded(leases: Iterable[Lease], controller: str) -> Mapping[str, Step]:
    """How each box was to leave a fleet, as it was written down before."""
    return {
        step.target: step
        for lease in leases
        for step in steps_of(lease)
        if step.action == SHRINK_FLEET and step.controller == controller
    }


def _is_busy(others: Iterable[Lease], controller: str) -> bool:
    """Whether another writer has written down that it lowers a target, and not yet that this is done: until it is, what
    the target will be is not known."""
    return any(step.controller == controller and step.after for step in open_steps(others, SHRINK_FLEET))


def _saves(lease: Lease) -> bool:
    """Whether its boxes are needed for a while before they end."""
    return lease.ending is not None and lease.ending.on_end is not OnEnd.TERMINATE


def _planned(lease: Lease, found: _Found, steps: Sequence[Step]) -> Lease:
    """The lease with those steps that concern it, in place of what was planned about that controller and not done."""
    own = {box.id for box in found.boxes if owned_by(lease, box)}
    if not own:
        return lease
    wanted = {(s.action, s.target): s for s in steps if s.target in own or s.controller is None}
    kept: dict[tuple[str, str], Step] = {}
    for step in steps_of(lease):
        is_about_it = step.action in DISARMING and found.name in {step.target, step.controller}
        if step.done_at or not is_about_it:
            kept[step.action, step.target] = step
        elif (step.action, step.target) in wanted:
            again = wanted[step.action, step.target]
            wanted[step.action, step.target] = replace(
                again, tried=step.tried, at=step.at, answer=again.answer or step.answer
            )
    return with_steps(lease, (kept | {key: one for key, one in wanted.items() if key not in kept}).values())


def is_new(lease: Lease, now: datetime) -> bool:
    """Whether EC2 may not know yet the fleet that it has launched: what it shows and knows is eventually consistent."""
    maintains = lease.request_type is RequestType.MAINTAIN and lease.launched_at is not None
    return maintains and now - (lease.launched_at or now) < MISSING_FOR


def _believed(lease: Lease, view: RegionView, now: datetime) -> RegionView:
    """The look, without an unknown fleet that may only be too new to be known."""
    if not is_new(lease, now):
        return view
    late = {one.id for one in view.fleets if one.id == lease.fleet_id and one.state == FORGOTTEN}
    return replace(view, fleets=tuple(one for one in view.fleets if one.id not in late)) if late else view


def _settled(lease: Lease, view: RegionView, now: datetime) -> Lease:
    """The lease without open steps for what is so already: a lost answer, another's act, or a box that is gone."""
    gone = {instance.id for instance in view.instances if instance.is_gone}
    for step in steps_of(lease):
        if step.done_at or step.action not in DISARMING or view.status != "ok":
            continue
        if step.target in gone or _is_over(view, step):
            lease = lease.with_step(replace(step, done_at=now, answer=step.answer or ALREADY))
    return lease


def _is_over(view: RegionView, step: Step) -> bool:
    kind = next(kind for kind in KINDS if step.action in kind.actions)
    return kind.is_over(view, step)


def _with_own_fleet(lease: Lease, view: RegionView) -> Lease:
    """A fleet that the lease itself has launched ends with it, whatever it runs just now."""
    fleet_id = lease.fleet_id
    if (
        fleet_id is None or lease.request_type is RequestType.ONE_TIME
    ):  # an instant fleet starts nothing again
        return lease
    fleet = view.fleet(fleet_id)
    known = [step for step in steps_of(lease) if (step.action, step.target) == (END_FLEET, fleet_id)]
    if known or (fleet is not None and not fleet.can_launch):
        return lease
    rest = [step for step in steps_of(lease) if step.action != SHRINK_FLEET or step.controller != fleet_id]
    return with_steps(lease, [*rest, end_of(fleet_id, lease.region, fleet, is_gentle=_saves(lease))])


def holding_back(lease: Lease, instance_id: str, sight: Sight) -> Step | None:
    """The step that is to be done before a box may be ended, because something would start another one; None: it may.

    A request that starts its box once only, as those of a fleet do, holds nothing back, and what a box has left can't
    replace it.
    """
    starts_once = lease.request_type in {RequestType.ONE_TIME, RequestType.MAINTAIN}
    if not starts_once and pending(lease, CANCEL):
        return open_steps([lease], CANCEL)[0]
    box = next((one for one in sight.view(lease.region).instances if one.id == instance_id), None)
    left = {step.controller for step in steps_of(lease) if step.done_at and step.target == instance_id}
    names = {kind.of(box) for kind in KINDS} - left if box else None
    for step in steps_of(lease):
        if step.done_at or step.action not in DISARMING:
            continue
        is_shared = step.controller is None and (names is None or step.target in names)
        if is_shared or step.target == instance_id:
            return step
    return None


def is_seen(lease: Lease, instance_id: str, sight: Sight) -> bool:
    """Whether it is known what runs a box. A launched one is run by what its lease records."""
    if not lease.is_adopted:
        return True
    view = sight.view(lease.region)
    return view.status == "ok" and any(one.id == instance_id for one in view.instances)


def joined(leases: Sequence[Lease], loose: Iterable[Instance]) -> tuple[Lease, ...]:
    """The leases, each with what a fleet or group that ends with it has started meanwhile and nobody owns."""
    left = [box for box in loose if not box.is_gone]
    result = []
    for lease in leases:
        whole = [step for step in steps_of(lease) if step.action in WHOLE]
        back = [
            box
            for box in left
            if box.region == lease.region and any(_has_started(step, box) for step in whole)
        ]
        left = [box for box in left if box not in back]
        ids = tuple(box.id for box in back)
        result.append(replace(lease, instance_ids=(*lease.instance_ids, *ids)) if ids else lease)
    return tuple(result)


def _has_started(step: Step, box: Instance) -> bool:
    """Whether a box comes from what a step ends as a whole. A group that was set to zero lives on: what its owner has
    it start after that is wanted."""
    if step.target not in {kind.of(box) for kind in KINDS} or box.managed_by or box.is_prepaid:
        return False
    if step.action == END_FLEET or step.done_at is None:
        return True
    return box.launched_at is not None and box.launched_at <= step.done_at


def is_armed(lease: Lease, sight: Sight, now: datetime) -> bool:
    """Whether a fleet that the lease itself has launched may yet start another box. One that maintains its boxes is
    taken to while EC2 does not say."""
    if lease.fleet_id is None:
        return False
    fleet = _believed(lease, sight.view(lease.region), now).fleet(lease.fleet_id)
    if fleet is None:
        return lease.request_type is RequestType.MAINTAIN
    return fleet.replaces
