"""What must be so after an accident, from what localaws has and the table holds: each a function to what is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from chalicelib.domain.lease import Lease
from localaws.onmoto import backend
from tests.crash.account import HOME, MINUTE, Account
from tests.simulation.invariants import all_leases, the_books_balance

OVER = frozenset({"terminated", "shutting-down"})
ENDED_FLEET = frozenset({"deleted", "cancelled", "deleted_terminating", "cancelled_terminating"})
SLACK = 6 * MINUTE
"""The last direct timer stands five minutes after the end that is held for; EventBridge Scheduler fires by the minute."""


def leases_of(account: Account) -> list[Lease]:
    """Of this account's story: those that run or ran anything, or may yet."""
    return list(all_leases(account))  # type: ignore[arg-type]


def what_runs_is_leased(account: Account) -> Iterator[str]:
    """No lost box: each belongs to just one open lease."""
    for box in account.alive:
        owners = [one.id for one in leases_of(account) if one.is_open and box.id in one.instance_ids]
        if len(owners) != 1:
            yield f"lost box: {box.id} runs and belongs to {owners}"


def books(account: Account) -> Iterator[str]:
    """No hold kept, none forgotten: the budget is short of its limit by open holds and closed costs."""
    for one in the_books_balance(account, all_leases(account)):  # type: ignore[arg-type]
        yield f"{one.about}: {one.text}"


def no_more_than(account: Account, most: int) -> Iterator[str]:
    """No doubled launch: so many boxes were ever started."""
    if len(account.boxes) > most:
        started = [(box.id, box.state, box.relaunched_by) for box in account.boxes]
        yield f"{len(account.boxes)} boxes were started, {most} at most were to be: {started}"


def nothing_is_left(account: Account) -> Iterator[str]:
    """After the end: nothing runs, bills compute or could start, and nothing that Curfew made stays."""
    up = [(box.id, box.state) for box in account.boxes if box.state not in OVER]
    if up:
        yield f"not ended: {up}"
    yield from nothing_is_armed(account)
    left = [row["name"] for row in account.world.timers.rows() if row["state"] != "DELETED"]
    if left:
        yield f"timers left: {left}"
    templates = _templates(account)
    if templates:
        yield f"launch templates left: {templates}"
    still_open = [(one.id, one.status) for one in leases_of(account) if one.is_open]
    if still_open:
        yield f"open leases: {still_open}"


def nothing_is_armed(account: Account) -> Iterator[str]:
    """No request, fleet or group that would start another box."""
    requests = [one.id for one in account.world.spot if one.state in ("open", "active", "disabled")]
    if requests:
        yield f"armed requests: {requests}"
    for fleets in (account.world.fleets, account.world.spot_fleets):
        lives = [
            (one.id, one.state, one.target)
            for one in fleets
            if one.type != "instant" and one.target and one.state not in ENDED_FLEET
        ]
        if lives:
            yield f"armed fleets: {lives}"
    groups = [
        (group.name, group.desired_capacity) for _, group in account.world.groups if group.desired_capacity
    ]
    if groups:
        yield f"armed groups: {groups}"


def each_end_has_one_receipt(account: Account) -> Iterator[str]:
    """And people were told of it once; twice only where a process died between sending and noting that it had."""
    receipts = [one.lease_id for one in account.services.store.receipts(limit=100, cursor=None).items]
    owed = [one.follows or one.id for one in leases_of(account) if not one.is_open and one.ending]
    if sorted(receipts) != sorted(set(owed)):
        yield f"receipts of {receipts}, owed for {owed}"
    for lease_id in set(owed):
        told = [notice for notice in account.notices if notice.id == f"{lease_id}:ended"]
        allowed = 1 + account.hit.recorder.is_dead
        if not 1 <= len(told) <= allowed:
            yield f"{len(told)} messages say that {lease_id} ended"


def timers_agree(account: Account) -> Iterator[str]:
    """Each open lease's timers stand where its end is, and no others are armed."""
    armed = {row["name"]: row["due_at"] for row in account.world.timers.rows() if row["state"] != "DELETED"}
    known: dict[str, Any] = {}
    for lease in leases_of(account):
        for timer in lease.timers if lease.is_open else ():
            known[timer.name] = timer.at
            if not lease.expires_at <= timer.at <= lease.expires_at + SLACK:
                yield f"{timer.name} stands at {timer.at}, {lease.id} ends at {lease.expires_at}"
        if lease.is_open and f"curfew-{lease.id}-expire" not in armed:
            yield f"{lease.id} has no expire timer at AWS: {sorted(armed)}"
    if set(armed) != set(known):
        yield f"armed at AWS {sorted(armed)}, known {sorted(known)}"
    late = [name for name, at in armed.items() if name in known and at != known[name]]
    if late:
        yield f"{late} stand elsewhere at AWS: {armed}"


def _templates(account: Account) -> list[str]:
    names = backend.ec2_backend(HOME).launch_template_name_to_ids
    return [name for name in names if name.startswith("curfew-")]
