"""Write on each box whose lease it is under and when it ends, for people who look at it in the console.

Tags are for reading: nothing Curfew decides rests on them. A box that AWS relaunched or that was adopted has none, and
a lease that was extended has moved on.
"""

from chalicelib.domain.adoption import NOBODY, OWNER_TAG, PROJECT_TAG
from chalicelib.domain.errors import Unavailable
from chalicelib.domain.instance import Instance
from chalicelib.domain.lease import Lease, Status
from chalicelib.domain.tracking import LEASE_TAG
from chalicelib.ports import Services
from chalicelib.usecases.gather import Facts

EXPIRES_TAG = "curfew:expires-at"
A_SWEEP = 20
"""So many boxes a sweep: the rest follow in the next ones."""


def tag_boxes(services: Services, facts: Facts) -> str | None:
    """Tag what is not tagged rightly. Returns why it could not, or None."""
    wrong = [
        (lease, instance)
        for lease in facts.leases
        if lease.status is Status.ACTIVE
        for instance in facts.owned(lease).live
        if not _is_tagged(lease, instance)
    ]
    for lease, instance in wrong[:A_SWEEP]:
        try:
            services.compute.tag(instance.region, [instance.id], _tags(lease))
        except Unavailable as error:
            return f"CreateTags {instance.region}: {error.detail}"
    return None


def _tags(lease: Lease) -> dict[str, str]:
    tags = {LEASE_TAG: lease.id, EXPIRES_TAG: lease.expires_at.isoformat()}
    if lease.owner != NOBODY:
        tags[OWNER_TAG] = lease.owner
    if lease.project:
        tags[PROJECT_TAG] = lease.project
    return tags


def _is_tagged(lease: Lease, instance: Instance) -> bool:
    return all(instance.tags.get(key) == value for key, value in _tags(lease).items())
