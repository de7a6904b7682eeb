"""The steps of a teardown by name, and their order: what would start another box is disarmed before any box is ended.

A group is shrunk before its boxes leave it (its least size may refuse that), and closed once they have left; a spot
request comes after the fleet that would ask for another, and after its box was stopped and saved; the box comes last.
"""

from collections.abc import Iterable
from dataclasses import replace

from chalicelib.domain.lease import Lease, Step

LOWER_GROUP = "lower-group-minimum"
LEAVE_GROUP = "detach-from-group"
CLOSE_GROUP = "set-group-to-zero"
SHRINK_FLEET = "shrink-fleet"
END_FLEET = "end-fleet"
STOP = "stop-instance"
SAVE = "create-image"
WAIT = "wait-image"
CANCEL = "cancel-spot-request"
TERMINATE = "terminate-instance"

DRY_RUN = "dry-run"
"""The answer of a step that was only rehearsed."""
RESCUE = (STOP, SAVE, WAIT)
ORDER = (
    *(LOWER_GROUP, LEAVE_GROUP, CLOSE_GROUP, SHRINK_FLEET, END_FLEET),
    *RESCUE,
    *(CANCEL, TERMINATE),
)
DISARMING = frozenset({LOWER_GROUP, LEAVE_GROUP, CLOSE_GROUP, SHRINK_FLEET, END_FLEET})
"""What keeps a box from being ended while it is not done; a spot request's cancel does so only where it would start
another box."""
WHOLE = frozenset({CLOSE_GROUP, END_FLEET})
"""Whose target starts nothing that is to be kept any more: what it starts all the same belongs to the lease."""
CALLS = {
    STOP: "StopInstances",
    SAVE: "CreateImage NoReboot=true",
    WAIT: "DescribeImages",
    CANCEL: "CancelSpotInstanceRequests",
    TERMINATE: "TerminateInstances",
}
"""What EC2 is called for a step; those of fleets and groups have their sizes in theirs."""


def steps_of(lease: Lease) -> tuple[Step, ...]:
    """What is recorded of an end; nothing for a lease that does not end."""
    return lease.ending.steps if lease.ending else ()


def in_order(steps: Iterable[Step]) -> tuple[Step, ...]:
    """The steps as they are to be done; what an other version may have written comes before the boxes."""
    return tuple(sorted(steps, key=lambda step: ORDER.index(step.action) if step.action in ORDER else 0))


def pending(lease: Lease, action: str) -> tuple[str, ...]:
    """The targets of an action that are not done."""
    return tuple(step.target for step in open_steps([lease], action))


def open_steps(leases: Iterable[Lease], action: str) -> list[Step]:
    """The steps of an action that are not done, over all these leases."""
    return [
        step for lease in leases for step in steps_of(lease) if step.action == action and not step.done_at
    ]


def undone(lease: Lease) -> list[Step]:
    """Every step of a lease's end that is not done."""
    return [step for step in steps_of(lease) if not step.done_at]


def is_rehearsed(lease: Lease) -> bool:
    """Whether its end was only said, not done."""
    return any(step.answer == DRY_RUN for step in steps_of(lease))


def with_steps(lease: Lease, steps: Iterable[Step]) -> Lease:
    """The same ending lease with these steps, in order."""
    if lease.ending is None:
        raise ValueError(f"lease {lease.id} is not ending")
    return replace(lease, ending=replace(lease.ending, steps=in_order(steps)))
