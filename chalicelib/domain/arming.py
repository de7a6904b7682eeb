"""Which timers a lease is to have now, and which of them have to be made, moved or removed for that."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from chalicelib.domain.accelerators import is_accelerator
from chalicelib.domain.case import Case, Effect, Finding
from chalicelib.domain.ends import timers_of
from chalicelib.domain.fleets import Fleet
from chalicelib.domain.instance import Instance, RegionView
from chalicelib.domain.lease import Lease, OnEnd
from chalicelib.domain.shields import lapses_at, spare
from chalicelib.domain.timer import EXPIRE, Timer

OVER = Finding(rule="expired", effect=Effect.END, reason="its time is up")


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What has to be done at AWS, in this order."""

    put: tuple[Timer, ...] = ()
    drop: tuple[Timer, ...] = ()

    @property
    def is_empty(self) -> bool:
        """All is as it is to be."""
        return not (self.put or self.drop)


def wanted(case: Case, view: RegionView, *, home_region: str) -> tuple[Timer, ...] | None:
    """The timers of a lease as it is now; none for one that something spares, because a timer spares nothing, and later
    ones where a clock takes that away. None: what spares it can't be told now, so they stay as they are."""
    lease = case.lease
    if lease is None or (lease.is_adopted and not case.instances):
        return None
    if lease.is_storage:
        return ()
    not_before = max([lease.expires_at, *(lapses_at(case) if lease.is_adopted else [])])
    if spare(replace(case, now=not_before), OVER).spared_by:
        return ()
    fleet_id, is_replaced = _replaced_by(lease, case.instances, view)
    return timers_of(
        lease,
        home_region=home_region,
        on_end=_on_end(lease, case),
        not_before=not_before,
        fleet_id=fleet_id,
        is_replaced=is_replaced,
    )


def _replaced_by(lease: Lease, boxes: Sequence[Instance], view: RegionView) -> tuple[str | None, bool]:
    """The fleet that runs its boxes and nothing else, and can't; or whether something else would replace them."""
    names = {name for box in boxes for name in (box.fleet_id, box.spot_fleet_id) if name}
    if not lease.is_adopted:
        # Its own: an instant one starts nothing again, and one that maintains its boxes has its timer anyway.
        names.discard(lease.fleet_id or "")
    fleets = {name: view.fleet(name) for name in names}
    replacing = {name: fleet for name, fleet in fleets.items() if fleet is None or fleet.replaces}
    if not replacing and not any(box.group for box in boxes):
        return None, False
    whole = [name for name, fleet in replacing.items() if fleet is not None and _is_whole(lease, fleet)]
    if len(replacing) == len(whole) == 1 and not any(box.group for box in boxes):
        return whole[0], False
    return None, True


def _is_whole(lease: Lease, fleet: Fleet) -> bool:
    """Whether a fleet runs this lease's boxes alone and can have launched nothing but accelerators."""
    if fleet.members is None or not fleet.members or not set(fleet.members) <= set(lease.instance_ids):
        return False
    return bool(fleet.types) and all(map(is_accelerator, fleet.types))


def _on_end(lease: Lease, case: Case) -> OnEnd:
    """What becomes of its boxes when its time is up."""
    return lease.order.on_end if lease.order else OnEnd(case.policy.unleased.end)


def change(lease: Lease, timers: Sequence[Timer], now: datetime, *, anew: bool = False) -> Change:
    """What makes the timers of a lease these; with `anew` whatever is recorded of them. A moment that has passed is no
    longer anybody's: Scheduler refuses it, and the sweep ends what is over."""
    armed = {timer.name: timer for timer in lease.timers}
    names = {timer.name for timer in timers}
    return Change(
        put=tuple(one for one in timers if one.at > now and (anew or armed.get(one.name) != one)),
        drop=tuple(one for one in lease.timers if one.name not in names and one.at > now),
    )


def shifted(lease: Lease, to: datetime, now: datetime) -> tuple[Timer, ...]:
    """Its timers as they are for another end, what ends a box first and the call of Curfew last. One that would be in
    the past stays."""
    since = next((one.at for one in lease.timers if one.call == EXPIRE), lease.expires_at)
    moved = (replace(one, at=one.at + (to - since)) for one in lease.timers)
    return tuple(sorted((one for one in moved if one.at > now), key=lambda one: one.call == EXPIRE))


def with_put(lease: Lease, timer: Timer) -> Lease:
    """The lease with a timer armed, in the place of the one of its name."""
    kept = tuple(one for one in lease.timers if one.name != timer.name)
    return replace(lease, timers=(*kept, timer))


def without(lease: Lease, name: str) -> Lease:
    """The lease with a timer gone."""
    return replace(lease, timers=tuple(one for one in lease.timers if one.name != name))
