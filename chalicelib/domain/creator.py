"""Who started a box that nobody launched through Curfew, as CloudTrail tells it, and when to ask.

CloudTrail tells of a call up to 15 minutes late, so a box is asked about until the answer is there, or half an hour has
passed since its start.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from chalicelib.domain.adoption import NOBODY
from chalicelib.domain.budget import BudgetBook, ScopeKind
from chalicelib.domain.instance import Instance
from chalicelib.domain.lease import Lease, Status

NOT_BEFORE = timedelta(minutes=2)
AGAIN_AFTER = timedelta(minutes=5)
GIVEN_UP_AFTER = timedelta(minutes=30)
SINGLE_SIGN_ON = "AWSReservedSSO_"


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who made a call. `is_service`: AWS itself, in the name of a fleet, a group or a request that somebody made."""

    arn: str
    is_service: bool = False


def is_due(lease: Lease, now: datetime) -> bool:
    """Whether to ask who started an adopted box of which no tag says whose it is."""
    if not lease.is_adopted or lease.status is not Status.ACTIVE or not lease.instance_ids:
        return False
    if lease.launched_by or lease.owner != NOBODY:
        return False
    started_at, asked_at = lease.launched_at or lease.requested_at, lease.creator_asked_at
    if asked_at is None:
        return now - started_at >= NOT_BEFORE
    return asked_at - started_at < GIVEN_UP_AFTER and now - asked_at >= AGAIN_AFTER


def is_last_time(lease: Lease, now: datetime) -> bool:
    """Whether it will not be asked about again: what is known then stands."""
    return now - (lease.launched_at or lease.requested_at) >= GIVEN_UP_AFTER


def controllers(instance: Instance) -> tuple[str, ...]:
    """What may have started it for somebody, by the names that CloudTrail knows them by."""
    named = (instance.fleet_id, instance.spot_fleet_id, instance.group, instance.spot_request_id)
    return tuple(name for name in named if name)


def owner_of(arn: str) -> str:
    """A person's name for a caller: the user's, the one who signed in, else the role's, never a role's session: those
    who assume a role choose its name."""
    kind, _, path = arn.rpartition(":")[2].partition("/")
    parts = path.split("/")
    if kind == "assumed-role":
        return parts[-1] if parts[0].startswith(SINGLE_SIGN_ON) else parts[0]
    return parts[-1] or kind


def with_creator(lease: Lease, caller: Caller | None, book: BudgetBook, now: datetime) -> Lease:
    """The lease with what was told, or with nothing but that it was asked.

    It becomes the person's where nobody has it and no budget of nobody's is charged for it: whoever pays for a box
    already goes on paying.
    """
    asked = replace(lease, creator_asked_at=now)
    if caller is None:
        return asked
    nobody_pays = any(
        state.budget.scope_kind is ScopeKind.OWNER and any(map(state.budget.charged_by, lease.charges))
        for state in book.states
    )
    is_free = lease.owner == NOBODY and not nobody_pays and not caller.is_service
    return replace(asked, launched_by=caller.arn, owner=owner_of(caller.arn) if is_free else lease.owner)
