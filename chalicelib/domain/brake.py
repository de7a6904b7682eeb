"""A brake on fights: somebody starts again what Curfew ends, and both go on for ever at the account's expense.

Boxes of one shape (region, type, and what starts them) that were started after others of the shape were ended are
replacements. From the third within an hour on, idleness ends none of them any more; time and money do, but of a box
that somebody else starts only some minutes after its start, more of them each time.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from chalicelib.domain.instance import Instance, SpotRequest
from chalicelib.domain.lease import Lease

REPLACEMENTS = 3
WITHIN = timedelta(hours=1)
FIRST_DELAY = timedelta(minutes=1)
LONGEST_DELAY = timedelta(minutes=10)
NOT_BY_CURFEW = frozenset({"gone", "started", "stopped", "requested"})
"""Causes of ends that start no fight: a person has ended or stopped it."""


@dataclass(frozen=True, slots=True, order=True)
class Shape:
    """What makes boxes alike."""

    region: str
    instance_type: str
    starter: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Fight:
    """How often boxes of a shape were started again in the last hour; `until`: when that is less than the brake needs,
    if nothing more is started."""

    shape: Shape
    replacements: int
    until: datetime | None = None

    @property
    def is_braked(self) -> bool:
        """Whether the brake holds."""
        return self.replacements >= REPLACEMENTS


def starter_of(instance: Instance, requests: Iterable[SpotRequest], *, owner: str) -> str:
    """What starts boxes like this one, as far as the box tells: its group, fleet or standing request, else the key that
    whoever starts it uses, else its owner."""
    if instance.group:
        return f"auto scaling group {instance.group}"
    if instance.spot_fleet_id:
        return f"spot fleet {instance.spot_fleet_id}"
    if instance.fleet_id:
        return f"fleet {instance.fleet_id}"
    if any(one.id == instance.spot_request_id and one.type == "persistent" for one in requests):
        return f"spot request {instance.spot_request_id}"
    return f"whoever uses the key {instance.key_name}" if instance.key_name else f"owner {owner}"


def shape_of(lease: Lease) -> Shape:
    """The shape of a lease's boxes: an adopted one's by what started it, a launched one's is its own."""
    types = [run.instance_type for run in lease.runs] or [
        *(lease.order.instance_types if lease.order else ())
    ]
    starter = lease.started_by or f"what {lease.follows or lease.id} had launched"
    return Shape(lease.region, types[-1] if types else "", starter)


def fights(leases: Sequence[Lease], now: datetime) -> Mapping[Shape, Fight]:
    """Every shape of which boxes were started again within the last hour, from open leases and those closed since.

    An end and the next start after it are one replacement, so three boxes that end together and one that follows are
    one.
    """
    happenings: dict[Shape, list[tuple[datetime, bool]]] = {}
    for lease in {lease.id: lease for lease in leases}.values():
        at_shape = happenings.setdefault(shape_of(lease), [])
        if (
            lease.ending
            and lease.ending.cause not in NOT_BY_CURFEW
            and now - lease.ending.decided_at < WITHIN
        ):
            at_shape.append((lease.ending.decided_at, False))
        at_shape.append((lease.launched_at or lease.requested_at, True))
    replaced = {shape: _replaced(sorted(told), now) for shape, told in happenings.items()}
    return {
        shape: Fight(
            shape=shape,
            replacements=len(starts),
            until=starts[-REPLACEMENTS] + WITHIN if len(starts) >= REPLACEMENTS else None,
        )
        for shape, starts in replaced.items()
        if starts
    }


def _replaced(happened: Iterable[tuple[datetime, bool]], now: datetime) -> list[datetime]:
    """The starts that each follow an end of their own."""
    ended, starts = 0, []
    for at, is_start in happened:
        if not is_start:
            ended += 1
        elif ended:
            ended -= 1
            starts.append(at)
    return [at for at in starts if now - at < WITHIN]


def delay(replacements: int) -> timedelta:
    """For how long after its start time and money leave the latest replacement alone: doubling, never over ten
    minutes."""
    if replacements < REPLACEMENTS:
        return timedelta(0)
    doubled: int = 2 ** min(replacements - REPLACEMENTS, 10)
    return min(FIRST_DELAY * doubled, LONGEST_DELAY)
