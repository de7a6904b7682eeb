"""What comes back after its lease was closed: it belongs to that lease all the same, and is ended again at once.

It is known by what the lease's own end has called: the request it cancelled, the instance it terminated, the fleet or
group it ended; and by the token of a launch whose answer never came, which may land after it was given up. Never by a
tag, which a console or a template copies, but for a fleet's box whose fleet had no answer: its token is not the box's.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from chalicelib.domain.instance import Instance
from chalicelib.domain.lease import Lease, Step
from chalicelib.domain.shields import is_protected
from chalicelib.domain.steps import CANCEL, CLOSE_GROUP, DRY_RUN, END_FLEET, TERMINATE
from chalicelib.domain.tags import LEASE_TAG

WATCHED_FOR = timedelta(hours=1)
"""For so long after its close a lease's ids are looked for. What comes later is a stray like any other."""
LEFT_ALONE = frozenset({"gone", "stopped"})
"""Causes of a close at which nothing was ended by Curfew: its box was ended, or stopped, by somebody else."""
CAME_BACK = "came-back"
"""The step that a receipt shows for it."""
SEEN_GONE = "terminated"
FLEET_CALL = "CreateFleet"
ANSWERED = frozenset({"launched", "refused"})


def came_back(closed: Lease, instance: Instance) -> bool:
    """Whether a box that no open lease owns is what a closed lease has ended, or was started by it."""
    if instance.region != closed.region:
        return False
    if landed_late(closed, instance):
        return True
    if closed.ending is None or closed.ending.cause in LEFT_ALONE:
        return False
    steps = [step for step in closed.ending.steps if step.answer != DRY_RUN]
    cancelled = {step.target for step in steps if step.action == CANCEL}
    terminated = {
        step.target for step in steps if step.action == TERMINATE and step.answer != SEEN_GONE
    }  # what EC2 has shown terminated never runs again: a look that says so is an old one
    fleets = {step.target for step in steps if step.action == END_FLEET} | {closed.fleet_id}
    groups = {step.target for step in steps if step.action == CLOSE_GROUP}
    return (
        instance.id in terminated
        or instance.spot_request_id in cancelled
        or bool(({instance.fleet_id, instance.spot_fleet_id} - {None}) & fleets)
        or (instance.group in groups and _began_before(closed, instance))
    )


def landed_late(closed: Lease, instance: Instance) -> bool:
    """Whether a box was started by a launch of that lease whose answer had not come when it was closed."""
    open_calls = [one for one in closed.attempts if one.outcome not in ANSWERED]
    if not open_calls or instance.id in closed.instance_ids or instance.region != closed.region:
        return False
    if instance.client_token in {one.token for one in open_calls}:
        return True
    has_fleet = any(one.operation == FLEET_CALL for one in open_calls) and instance.fleet_id is not None
    return has_fleet and instance.tags.get(LEASE_TAG) == closed.id


def _began_before(closed: Lease, instance: Instance) -> bool:
    """A group that was set to zero lives on: what somebody has it start later is wanted."""
    if closed.closed_at is None or instance.launched_at is None:
        return False
    return instance.launched_at <= closed.closed_at


def whose(closed: Sequence[Lease], instance: Instance) -> Lease | None:
    """The closed lease that a box comes back from, the one closed last; None: it is a stray."""
    found = [lease for lease in closed if lease.closed_at and came_back(lease, instance)]
    return max(found, key=lambda lease: (lease.closed_at, lease.times_back, lease.id), default=None)


def is_to_be_ended(closed: Lease, instance: Instance, now: datetime) -> bool:
    """Whether it is ended again: not what another service runs, what is prepaid, or what was protected in the meantime
    from an end that protection covers."""
    if instance.is_gone or instance.managed_by or instance.is_prepaid:
        return False
    is_spared = bool(is_protected([instance], now))
    by_clock = closed.ending is not None and closed.ending.cause in {"expired", "over_budget", "over_share"}
    return not is_spared or (by_clock and not closed.is_adopted)


def began_at(closed: Lease, instance: Instance, now: datetime) -> datetime:
    """Since when it bills beyond what its lease has counted."""
    counted = [run.ended_at for run in closed.runs if run.instance_id == instance.id and run.ended_at]
    return min(max([instance.launched_at or now, *counted]), now)


def root_of(closed: Lease) -> str:
    """The id of the lease that was launched or adopted, whose receipt all its ends share."""
    return closed.follows or closed.id


def times_back(root: str, leases: Iterable[Lease]) -> int:
    """How often something of a lease has come back so far."""
    return max((lease.times_back for lease in leases if lease.follows == root), default=0)


def sighting(instance: Instance, now: datetime) -> Step:
    """The step that tells of it."""
    return Step(
        action=CAME_BACK, target=instance.id, region=instance.region, done_at=now, answer=instance.state
    )
