"""By what a lease ends although no sweep comes: one pure function gives the ends for its kind.

| kind | in the box, at `expires_at` | timers, no code of ours | AWS's own |
| --- | --- | --- | --- |
| one-time | shutdown, which terminates | +3 min terminate | - |
| persistent | shutdown, which stops: compute ends | +3 cancel the request, +5 terminate | `ValidUntil`: no relaunch |
| maintain | none that lasts: the fleet replaces | +3 delete the fleet with its boxes | `ValidUntil` with termination |
| adopted | - | by what was found: cancel, delete fleets, terminate, in that order | - |

And for each the timer `expire`, at `expires_at` in the home region, which calls Curfew. A timer names one thing alone:
TerminateInstances fails as a whole for one unknown id.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple

from chalicelib.domain.fleets import is_spot_fleet
from chalicelib.domain.lease import Lease, OnEnd, RequestType
from chalicelib.domain.rescue import guest_end
from chalicelib.domain.timer import EXPIRE, Timer

FIRST = timedelta(minutes=3)
LAST = timedelta(minutes=5)
"""After `expires_at`: late enough for Curfew itself to have ended it, early enough for the hold's margin."""
LATE = timedelta(minutes=2)
"""How much earlier than at the end of the margin a box is ended that is being saved: a timer fires up to 60 s late."""
CANCEL = "ec2:cancelSpotInstanceRequests"
DELETE_FLEET = "ec2:deleteFleets"
CANCEL_SPOT_FLEET = "ec2:cancelSpotFleetRequests"
TERMINATE = "ec2:terminateInstances"
SHUTDOWN = "shutdown"
VALID_UNTIL = "ValidUntil"
LONGEST_NAME = 64
"""Scheduler's limit (botocore, scheduler, `Name`)."""


class Kind(StrEnum):
    """What decides by which ends a lease ends."""

    ONE_TIME = "one-time"
    PERSISTENT = "persistent"
    MAINTAIN = "maintain"
    ADOPTED = "adopted"


class Means(StrEnum):
    """Who carries an end out."""

    GUEST = "guest"
    TIMER = "timer"
    AWS = "aws"


class Reach(StrEnum):
    """What an end achieves when it is the only one."""

    ENDS_BOX = "ends the box"
    STOPS_COMPUTE = "stops compute"
    STOPS_RELAUNCH = "stops relaunches"


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What there is to end. `request_ids` are those that would start a box again; `fleet_id` is a fleet's that does,
    and all of whose boxes are the lease's; `first` and `last`: how long after `expires_at` AWS ends what would start a
    box again, and the box; `valid_until` what AWS was told at the launch; `guest_at` when the box shuts itself down."""

    lease_id: str
    region: str
    expires_at: datetime
    instance_ids: tuple[str, ...] = ()
    request_ids: tuple[str, ...] = ()
    fleet_id: str | None = None
    first: timedelta = FIRST
    last: timedelta = LAST
    guest_at: datetime | None = None
    valid_until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """One end: what calls what, when, and what comes of it. `name` is unique within its lease."""

    name: str
    means: Means
    at: datetime
    region: str
    call: str
    input: str
    reach: Reach

    def timer(self, lease_id: str) -> Timer:
        """The timer that makes it."""
        name = f"{prefix(lease_id)}{self.name}"
        return Timer(
            name=name[:LONGEST_NAME], region=self.region, at=self.at, call=self.call, input=self.input
        )


class Call(NamedTuple):
    """A call of AWS's, and what it achieves."""

    name: str
    said: Mapping[str, Any]
    reach: Reach


def prefix(lease_id: str) -> str:
    """How the names of a lease's timers begin."""
    return f"curfew-{lease_id}-"


def ends(kind: Kind, held: Held, *, home_region: str) -> tuple[End, ...]:
    """Every end of a lease but the sweep, in the order in which they are to be armed."""
    expire = End(
        name="expire",
        means=Means.TIMER,
        at=held.expires_at,
        region=home_region,
        call=EXPIRE,
        input=_json({"lease": held.lease_id}),
        reach=Reach.ENDS_BOX,
    )
    return (*_guest(kind, held), expire, *_direct(kind, held), *_own(kind, held))


def kind_of(lease: Lease) -> Kind:
    """Which row of the table a lease stands in."""
    if lease.is_adopted:
        return Kind.ADOPTED
    return Kind(lease.request_type.value)


def held_by(lease: Lease) -> Held:
    """What a lease has that is to be ended: boxes that are not known to be gone, and requests that start them again."""
    over = {run.instance_id for run in lease.runs if run.disk_ended_at is not None}
    comes_back = lease.request_type is RequestType.PERSISTENT
    return Held(
        lease_id=lease.id,
        region=lease.region,
        expires_at=lease.expires_at,
        instance_ids=tuple(one for one in lease.instance_ids if one not in over),
        request_ids=lease.spot_request_ids if comes_back else (),
        fleet_id=lease.fleet_id if lease.request_type is RequestType.MAINTAIN else None,
        guest_at=guest_end(lease) if lease.guest_deadline else None,
        valid_until=lease.valid_until,
    )


def timers_of(
    lease: Lease,
    *,
    home_region: str,
    on_end: OnEnd = OnEnd.TERMINATE,
    not_before: datetime | None = None,
    fleet_id: str | None = None,
    is_replaced: bool = False,
) -> tuple[Timer, ...]:
    """The timers that a lease is to have, in the order of the table. `not_before`: until then something spares it.

    What is to be saved first has nearly all of the time that is held for it (`teardown.margin`). What is to be kept
    stopped is left to Curfew. So is what a group or a fleet with other boxes would replace (`is_replaced`): a call that
    ends the box alone starts another. `fleet_id`: a fleet that runs nothing else; the one that a lease has launched to
    maintain its boxes is known by itself.
    """
    held = held_by(lease)
    held = replace(held, fleet_id=fleet_id or held.fleet_id)
    if not_before is not None and not_before > held.expires_at:
        held = replace(held, expires_at=not_before)
    if on_end is OnEnd.IMAGE:
        last = max(lease.margin(LAST) - LATE, LAST)
        held = replace(held, first=last - (LAST - FIRST), last=last)
    if is_replaced or on_end is OnEnd.STOP:
        held = replace(held, instance_ids=(), request_ids=(), fleet_id=None)
    found = ends(kind_of(lease), held, home_region=home_region)
    return tuple(one.timer(lease.id) for one in found if one.means is Means.TIMER)


def _guest(kind: Kind, held: Held) -> Iterator[End]:
    if held.guest_at is None or kind not in {Kind.ONE_TIME, Kind.PERSISTENT}:
        return
    yield End(
        name="guest",
        means=Means.GUEST,
        at=held.guest_at,
        region=held.region,
        call=SHUTDOWN,
        input="{}",
        reach=Reach.ENDS_BOX if kind is Kind.ONE_TIME else Reach.STOPS_COMPUTE,
    )


def _direct(kind: Kind, held: Held) -> Iterator[End]:
    """Controller first, then the box: a box that is ended first is started again."""
    first, last = held.expires_at + held.first, held.expires_at + held.last
    begun = False
    for request_id in held.request_ids if kind is not Kind.ONE_TIME else ():
        begun = True
        call = Call(CANCEL, {"SpotInstanceRequestIds": [request_id]}, Reach.STOPS_RELAUNCH)
        yield _direct_end(held, f"cancel-{request_id}", first, call)
    if held.fleet_id is not None and kind in {Kind.MAINTAIN, Kind.ADOPTED}:
        begun = True
        is_spot = is_spot_fleet(held.fleet_id)
        name, ids = (CANCEL_SPOT_FLEET, "SpotFleetRequestIds") if is_spot else (DELETE_FLEET, "FleetIds")
        call = Call(name, {ids: [held.fleet_id], "TerminateInstances": True}, Reach.ENDS_BOX)
        yield _direct_end(held, "fleet", first, call)
    for instance_id in held.instance_ids if kind is not Kind.MAINTAIN else ():
        call = Call(TERMINATE, {"InstanceIds": [instance_id]}, Reach.ENDS_BOX)
        yield _direct_end(held, f"terminate-{instance_id}", last if begun else first, call)


def _direct_end(held: Held, name: str, at: datetime, call: Call) -> End:
    return End(
        name=name,
        means=Means.TIMER,
        at=at,
        region=held.region,
        call=call.name,
        input=_json(call.said),
        reach=call.reach,
    )


def _own(kind: Kind, held: Held) -> Iterator[End]:
    """What AWS was told at the launch; no API moves it."""
    if held.valid_until is None or kind not in {Kind.PERSISTENT, Kind.MAINTAIN}:
        return
    yield End(
        name="valid-until",
        means=Means.AWS,
        at=held.valid_until,
        region=held.region,
        call=VALID_UNTIL,
        input="{}",
        reach=Reach.ENDS_BOX if kind is Kind.MAINTAIN else Reach.STOPS_RELAUNCH,
    )


def _json(said: Mapping[str, Any]) -> str:
    return json.dumps(said, separators=(",", ":"))
