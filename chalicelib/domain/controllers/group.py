"""Auto Scaling groups: one starts another box for each that ends, until it wants fewer.

A box is detached with the desired capacity lowered by it, and ended afterwards as any other. Not
TerminateInstanceInAutoScalingGroup: that one waits for lifecycle hooks while the box bills, takes one id a call, goes
past termination protection, and lowers the capacity once more when a lost answer makes it be repeated; a detached box
can't be detached twice. Where the group's least size forbids it, that is lowered first; processes are never suspended,
because the boxes that stay need them. A group of which nothing stays is set to zero, and never deleted: it is its
owner's. (Auto Scaling guide, "Detach or attach instances"; botocore, DetachInstances, UpdateAutoScalingGroup.)
"""

from dataclasses import dataclass

from chalicelib.domain.controllers.kind import Ends
from chalicelib.domain.fleets import Group, Member
from chalicelib.domain.instance import Instance, RegionView
from chalicelib.domain.lease import Step
from chalicelib.domain.steps import CLOSE_GROUP, LEAVE_GROUP, LOWER_GROUP

LEAST, MOST, DESIRED = "min", "max", "desired"


@dataclass(frozen=True, slots=True)
class GroupKind:
    """The Auto Scaling group."""

    actions: frozenset[str] = frozenset({CLOSE_GROUP, LEAVE_GROUP, LOWER_GROUP})

    def of(self, instance: Instance) -> str | None:
        """As the instance names it."""
        return instance.group

    def steps(self, ends: Ends) -> tuple[Step, ...]:
        """Lower the least size where it is in the way, detach the boxes, and close a group that has none left."""
        found = ends.view.group(ends.controller)
        if found is None:  # its sizes are not known: a refusal for the least size shows up in the answer
            return tuple(_leaves(box.id, ends) for box in ends.boxes)
        inside = [m for box in ends.boxes if (m := found.member(box.id)) is not None and m.counts]
        if not inside:
            return ()
        is_whole = all(m.id in ends.ending for m in found.members if m.stays)
        leaving = [m for m in inside if m.can_leave or not is_whole]
        steps = [_leaves(m.id, ends) for m in leaving]
        least = 0 if is_whole else max(found.desired - sum(m.weight for m in leaving), 0)
        if least < found.least:
            steps.append(_lowered(found, least))
        if is_whole:
            steps.append(_closed(found))
        return tuple(steps)

    def is_over(self, view: RegionView, step: Step) -> bool:
        """The box is out; the sizes are as low as they were to be set."""
        found = view.group(step.controller or step.target)
        if found is None:
            return False
        if step.action == LEAVE_GROUP:
            return _is_out(found.member(step.target))
        if step.action == CLOSE_GROUP:
            return (found.least, found.most, found.desired) == (0, 0, 0)
        return found.least <= step.after[LEAST]


AUTO_SCALING_GROUP = GroupKind()


def _is_out(member: Member | None) -> bool:
    return member is None or not member.stays


def _leaves(instance_id: str, ends: Ends) -> Step:
    return Step(
        action=LEAVE_GROUP,
        target=instance_id,
        region=ends.view.region,
        controller=ends.controller,
        call="DetachInstances ShouldDecrementDesiredCapacity=true",
    )


def _lowered(group: Group, least: int) -> Step:
    return Step(
        action=LOWER_GROUP,
        target=group.name,
        region=group.region,
        before={LEAST: group.least},
        after={LEAST: least},
        call=f"UpdateAutoScalingGroup MinSize {group.least} -> {least}",
    )


def _closed(group: Group) -> Step:
    return Step(
        action=CLOSE_GROUP,
        target=group.name,
        region=group.region,
        before={LEAST: group.least, MOST: group.most, DESIRED: group.desired},
        after={LEAST: 0, MOST: 0, DESIRED: 0},
        call=f"UpdateAutoScalingGroup MinSize {group.least} -> 0, MaxSize {group.most} -> 0, "
        f"DesiredCapacity {group.desired} -> 0",
    )
