"""What must hold of every end: it comes without Curfew too, it comes once, and it meets nobody else."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from chalicelib.domain.lease import Lease, Status
from chalicelib.domain.shields import PROTECT_TAG
from localaws.onmoto import backend
from tests.simulation.town import MINUTE, Town, runs
from tests.simulation.truths import Leases, Violation, ended_by_curfew, gone_by, owned

LATELY = timedelta(hours=2)
"""Ends older than that were judged before."""
SLACK = 2 * MINUTE
NOT_ENDED = frozenset({"stopped", "started", "gone"})
"""Causes of a close at which Curfew ends nothing."""
OF_A_LEASE = ("curfew:lease", "curfew:expires-at", PROTECT_TAG)


def a_lease_ends_although_curfew_is_down(town: Town, leases: Leases) -> Iterator[Violation]:
    """By what was armed at AWS, at the time that the table of the ends tells for its kind."""
    for lease in leases:
        if not lease.is_open:
            continue
        for box in owned(town, lease):
            due = gone_by(town, lease, box) if runs(box) else None
            if due is None or town.now <= due:
                continue
            late = town.now - due - town.failures.within(lease.expires_at, town.now)
            if late > SLACK:
                yield Violation(
                    "missed", f"{lease.id}:alone", f"{box.id} was to be gone by {due} without Curfew"
                )


def nothing_is_ended_without_a_lease(town: Town, leases: Leases) -> Iterator[Violation]:
    """Not what has no accelerator and runs in the same fleet, what is protected, prepaid or another service's."""
    since = town.now - LATELY
    ended = [
        box for box in town.boxes if box.ended_at and box.ended_at > since and ended_by_curfew(town, box)
    ]
    if not ended:
        return
    known = {one for lease in leases for one in lease.instance_ids if _may_end(town, lease)}
    for box in ended:
        if box.id not in known and box.relaunch_of not in known:
            yield Violation(
                "wrong",
                f"{box.id}:lease",
                f"{box.type} was ended by {box.ended_by} and no lease asked for it",
            )


def nothing_ended_comes_back(town: Town, leases: Leases) -> Iterator[Violation]:
    """No request, fleet or group starts another box in place of one that Curfew has ended."""
    del leases
    since = town.now - LATELY
    for box in town.boxes:
        if box.relaunch_of is None or box.launched_at <= since:
            continue
        before = town.world.boxes.of(box.relaunch_of)
        if ended_by_curfew(town, before):
            yield Violation(
                "missed",
                f"{box.id}:back",
                f"{box.relaunched_by} started it for {before.id}, ended at {before.ended_at}",
            )


def no_clock_ends_what_is_at_rest(town: Town, leases: Leases) -> Iterator[Violation]:
    """But `stopped.end_after`, where the policy has set it."""
    for lease in leases:
        ending = lease.ending
        if not lease.is_storage or ending is None or ending.cause in {*NOT_ENDED, "requested"}:
            continue
        after = town.policy_at(ending.decided_at).stopped.end_after
        if after is None or ending.decided_at < lease.requested_at + after:
            yield Violation("wrong", f"{lease.id}:rest", f"it was at rest and ended as {ending.cause}")


def no_timer_outlives_a_lease_at_rest(town: Town, leases: Leases) -> Iterator[Violation]:
    """It would terminate the box that its owner has stopped."""
    rested = [
        lease
        for lease in leases
        if lease.status is Status.CLOSED and lease.ending and lease.ending.cause == "stopped"
    ]
    for lease in rested:
        armed = [
            one.name
            for one in town.world.timers.of(lease.region)
            if one.name.startswith(f"curfew-{lease.id}-")
            and one.due_at is not None
            and "terminate" in one.name
        ]
        if armed:
            yield Violation("wrong", f"{lease.id}:timer", f"its box is at rest and {armed} would end it")


def no_image_carries_a_lease(town: Town, leases: Leases) -> Iterator[Violation]:
    """What is launched from it would be taken for its source, ended at its hour or spared as it was."""
    del leases
    for image in town.world.account.images:
        carried = backend.ec2_backend(image.region).tags.get(image.id, {}).keys() & set(OF_A_LEASE)
        if carried:
            yield Violation("wrong", f"{image.id}:tags", f"an image carries {sorted(carried)}")


def _may_end(town: Town, lease: Lease) -> bool:
    return lease.status in {Status.ENDING, Status.CLOSED} or town.now >= lease.expires_at


OF_ENDS = (
    a_lease_ends_although_curfew_is_down,
    nothing_is_ended_without_a_lease,
    nothing_ended_comes_back,
    no_clock_ends_what_is_at_rest,
    no_timer_outlives_a_lease_at_rest,
    no_image_carries_a_lease,
)
