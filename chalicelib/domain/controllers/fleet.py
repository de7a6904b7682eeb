"""EC2 Fleets and Spot Fleets: one that maintains its target starts another box for each that ends.

All of it ends: DeleteFleets, or CancelSpotFleetRequests. Some of it is kept: the target is lowered by what the ending
boxes count for, with the excess left running, and only then are these ended by id; the other order would let AWS choose
the victim. (EC2 guide, "Modify an EC2 Fleet"; botocore, ModifyFleet: only `maintain` can be modified.)

To lower a target is not idempotent. What was found and what is set stand in the step before the call: a target that is
no higher than what was to be set has been lowered.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal
from math import floor

from chalicelib.domain.accelerators import is_accelerator
from chalicelib.domain.controllers.kind import Ends
from chalicelib.domain.fleets import FORGOTTEN, Fleet, is_spot_fleet
from chalicelib.domain.instance import Instance, RegionView
from chalicelib.domain.lease import Step
from chalicelib.domain.steps import END_FLEET, SHRINK_FLEET

TOTAL, ON_DEMAND = "total", "on_demand"
Sizes = dict[str, int]


BUSY = "another box is being taken out of it"
MODIFYING = "it is being modified"
UNKNOWN = "EC2 does not tell its target now, and it runs what is to be kept"


@dataclass(frozen=True, slots=True)
class FleetKind:
    """One of the two kinds; they differ in how an instance names them."""

    of: Callable[[Instance], str | None]
    actions: frozenset[str] = frozenset({END_FLEET, SHRINK_FLEET})

    def steps(self, ends: Ends) -> tuple[Step, ...]:
        """End the fleet, or take the boxes out of it; nothing for one that replaces none."""
        fleet = ends.view.fleet(ends.controller)
        if fleet is not None and not fleet.can_launch:
            return ()
        if not kept(ends, fleet):
            return (end_of(ends.controller, ends.view.region, fleet, is_gentle=ends.are_saved),)
        if fleet is None or fleet.replaces:
            return _shrunk(ends, fleet)
        return ()  # of type `request`: it replaces none, and runs others

    def is_over(self, view: RegionView, step: Step) -> bool:
        """The fleet has ended; or its target is as low as it was to be set."""
        fleet = view.fleet(step.controller or step.target)
        if fleet is None:
            return False
        if not fleet.can_launch:
            return True
        return step.action == SHRINK_FLEET and bool(step.after) and fleet.target <= step.after[TOTAL]


EC2_FLEET = FleetKind(lambda instance: instance.fleet_id)
SPOT_FLEET = FleetKind(lambda instance: instance.spot_fleet_id)


def end_of(fleet_id: str, region: str, fleet: Fleet | None, *, is_gentle: bool = False) -> Step:
    """The step that ends a fleet; its boxes with it where it can have launched nothing but accelerators. Else, or where
    one is to be saved first (`is_gentle`), each is ended by its id and what else it may have started is left alone."""
    call = "CancelSpotFleetRequests" if is_spot_fleet(fleet_id) else "DeleteFleets"
    and_boxes = (
        not is_gentle and fleet is not None and bool(fleet.types) and all(map(is_accelerator, fleet.types))
    )
    return Step(
        action=END_FLEET,
        target=fleet_id,
        region=region,
        call=f"{call} TerminateInstances={'true' if and_boxes else 'false'}",
        after={"ends_boxes": int(and_boxes)},
    )


def kept(ends: Ends, fleet: Fleet | None) -> bool:
    """Whether the fleet runs, or may run, a box that does not end."""
    if fleet is not None and fleet.members is not None:
        return not set(fleet.members) <= set(ends.ending)
    if ends.view.is_partial:
        return True
    named = [
        instance
        for instance in ends.view.instances
        if ends.controller in {instance.fleet_id, instance.spot_fleet_id}
    ]
    return any(not instance.is_gone and instance.id not in ends.ending for instance in named)


def _shrunk(ends: Ends, fleet: Fleet | None) -> tuple[Step, ...]:
    """A step for each box, all with the one target that is right once all of them are out."""
    settled = [
        step
        for step in ends.recorded.values()
        if step.done_at or (fleet is not None and step.after and fleet.target <= step.after[TOTAL])
    ]
    leaving = [box for box in ends.boxes if box.id not in {step.target for step in settled}]
    why_not = _why_not(ends, fleet)
    before, after = ({}, {}) if fleet is None or why_not else _sizes(fleet, leaving)
    return tuple(
        Step(
            action=SHRINK_FLEET,
            target=box.id,
            region=ends.view.region,
            controller=ends.controller,
            before=before,
            after=after,
            call=_call(ends.controller, before, after) if after else "",
            answer=why_not,
        )
        for box in leaving
    )


def _why_not(ends: Ends, fleet: Fleet | None) -> str:
    """What keeps the target from being lowered now."""
    if fleet is None:
        return UNKNOWN
    if ends.is_busy:
        return BUSY
    return MODIFYING if fleet.state == "modifying" else ""


def _sizes(fleet: Fleet, leaving: Iterable[Instance]) -> tuple[Sizes, Sizes]:
    """The fleet's targets as they are, and without these boxes. A part of a unit is taken off as a whole one: a target
    that is a little too low starts nothing."""
    boxes = list(leaving)
    weigh = sum((fleet.weight(box.type) for box in boxes), Decimal(0))
    on_demand = sum((fleet.weight(box.type) for box in boxes if not box.is_spot), Decimal(0))
    total = max(floor(fleet.target - weigh), 0)
    rest = min(max(floor(fleet.on_demand_target - on_demand), 0), total)
    return {TOTAL: fleet.target, ON_DEMAND: fleet.on_demand_target}, {TOTAL: total, ON_DEMAND: rest}


def _call(fleet_id: str, before: Sizes, after: Sizes) -> str:
    if is_spot_fleet(fleet_id):
        return f"ModifySpotFleetRequest TargetCapacity {before[TOTAL]} -> {after[TOTAL]}, noTermination"
    return f"ModifyFleet TotalTargetCapacity {before[TOTAL]} -> {after[TOTAL]}, no-termination"


def forgotten(fleet_id: str, region: str) -> Fleet:
    """A fleet that EC2 knows nothing of any more: it starts nothing."""
    return Fleet(id=fleet_id, region=region, state=FORGOTTEN)
