"""Write on each box whose lease it is under and when it ends, for people who look at it in the console.

Tags are for reading: nothing Curfew decides rests on them. A box that AWS relaunched or that was adopted has none, and
a lease that was extended has moved on.
"""

from contextlib import suppress
from datetime import UTC, datetime, timedelta

from chalicelib.domain.adoption import NOBODY
from chalicelib.domain.errors import Unavailable
from chalicelib.domain.instance import Instance
from chalicelib.domain.lease import Lease, Status
from chalicelib.domain.rescue import guest_end
from chalicelib.domain.tags import EXPIRES_TAG, LEASE_TAG, OWNER_TAG, PROJECT_TAG
from chalicelib.ports import Services
from chalicelib.usecases.gather import Facts

A_SWEEP = 20
"""So many boxes a sweep: the rest follow in the next ones."""
PATIENCE_SECONDS = 5.0
MINUTE = timedelta(minutes=1)


def tag_boxes(services: Services, facts: Facts) -> str | None:
    """Tag what is not tagged rightly. Returns why one could not be, or None.

    Each minute begins with others, so that boxes that can't be tagged keep no other from it.
    """
    wrong = [
        (lease, instance)
        for lease in facts.leases
        if lease.status is Status.ACTIVE and not lease.is_storage
        for instance in facts.owned(lease).live
        if not _is_tagged(lease, instance)
    ]
    failure: str | None = None
    until = services.clock.elapsed() + services.patience(PATIENCE_SECONDS)
    for lease, instance in _in_turn(wrong, facts.now)[:A_SWEEP]:
        if services.clock.elapsed() > until:
            break
        try:
            services.compute.tag(instance.region, [instance.id], _tags(lease))
        except Unavailable as error:
            failure = failure or f"CreateTags {instance.region}: {error.detail}"
    return failure


def tell_guests(services: Services, lease: Lease) -> Lease:
    """Write a moved end on the boxes, which read it there, and answer the lease; what EC2 does not take, the next sweep
    writes."""
    over = {run.instance_id for run in lease.runs if run.disk_ended_at is not None}
    boxes = [one for one in lease.instance_ids if one not in over]
    if lease.guest_deadline is not None and boxes:
        with suppress(Unavailable):
            services.compute.tag(lease.region, boxes, {EXPIRES_TAG: guest_end(lease).isoformat()})
    return lease


def expiry_on(instance: Instance) -> datetime | None:
    """The end that is written on a box, and that a launched one reads there."""
    try:
        told = datetime.fromisoformat(instance.tags.get(EXPIRES_TAG, ""))
    except ValueError:
        return None
    return told if told.tzinfo else told.replace(tzinfo=UTC)


def _in_turn(wrong: list[tuple[Lease, Instance]], now: datetime) -> list[tuple[Lease, Instance]]:
    """All of them, from another one on than a minute ago."""
    first = now.timestamp() // MINUTE.total_seconds() * A_SWEEP % max(len(wrong), 1)
    return wrong[int(first) :] + wrong[: int(first)]


def _tags(lease: Lease) -> dict[str, str]:
    tags = {LEASE_TAG: lease.id, EXPIRES_TAG: guest_end(lease).isoformat()}
    if lease.owner != NOBODY:
        tags[OWNER_TAG] = lease.owner
    if lease.project:
        tags[PROJECT_TAG] = lease.project
    return tags


def _is_tagged(lease: Lease, instance: Instance) -> bool:
    return all(instance.tags.get(key) == value for key, value in _tags(lease).items())
