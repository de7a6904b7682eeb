"""Disks: as a launch asks for them, and the volumes of a lease, as one look after the other shows them."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

from chalicelib.domain.money import ZERO
from chalicelib.domain.rates import Rates

MONTH = timedelta(hours=730)
"""AWS's own, as prices a month are meant."""
GP3_IOPS, GP3_MIBPS = 3_000, 125
"""What every gp3 volume has (EC2 guide, "General Purpose SSD volumes")."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Disk:
    """A volume as it is asked for. A type that is none, or not known, is priced as the dearest. `throughput`: MiB/s."""

    device: str = ""
    gib: int
    type: str | None = None
    iops: int | None = None
    throughput: int | None = None

    def usd(self, rates: Rates, length: timedelta) -> Decimal:
        """What it costs over a time."""
        return rates.volume_usd(
            self.gib, length, kind=self.type or "", iops=self.iops or 0, mibps=self.throughput or 0
        )

    @property
    def in_full(self) -> "Disk":
        """With what a gp3 has if nothing is said: EC2, told in full, can't take something else from an image."""
        if self.type != "gp3":
            return self
        return replace(self, iops=self.iops or GP3_IOPS, throughput=self.throughput or GP3_MIBPS)


def disks_usd(disks: Iterable[Disk], rates: Rates, length: timedelta) -> Decimal:
    """What several disks cost over a time."""
    return sum((disk.usd(rates, length) for disk in disks), ZERO)


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume:
    """A volume of a box, as it is from `since` on; one that is changed has an entry for each shape.

    `until`: it was detached, or changed, then. `outlives_box`: DeleteOnTermination is off. `throughput`: MiB/s.
    """

    id: str
    instance_id: str
    type: str
    gib: int
    iops: int | None = None
    throughput: int | None = None
    since: datetime
    until: datetime | None = None
    outlives_box: bool = False

    def usd(self, rates: Rates, length: timedelta) -> Decimal:
        """What it costs over a time."""
        return self.disk.usd(rates, length)

    @property
    def disk(self) -> Disk:
        """What of it is priced."""
        return Disk(gib=self.gib, type=self.type, iops=self.iops, throughput=self.throughput)

    def is_like(self, other: "Volume") -> bool:
        """Whether it costs the same."""
        mine = (self.type, self.gib, self.iops, self.throughput)
        return mine == (other.type, other.gib, other.iops, other.throughput)

    def has_grown_to(self, new: "Volume") -> bool:
        """Whether a change may have made it dearer."""
        return (
            new.type != self.type
            or new.gib > self.gib
            or (new.iops or 0) > (self.iops or 0)
            or (new.throughput or 0) > (self.throughput or 0)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """An Elastic IP of a box, as it was seen from `since` on, until it was not the box's any more. It bills by the hour
    until it is released, also when its box is gone."""

    id: str
    ip: str
    instance_id: str
    since: datetime
    until: datetime | None = None


def addresses_after(
    known: Iterable[Address], seen: Collection[Address], *, of: Collection[str], now: datetime
) -> tuple[Address, ...]:
    """The addresses of a lease after a look at those of the boxes `of`."""
    there = {(one.id, one.instance_id) for one in seen}
    followed = tuple(
        replace(one, until=now)
        if one.until is None and one.instance_id in of and (one.id, one.instance_id) not in there
        else one
        for one in known
    )
    going = {(one.id, one.instance_id) for one in followed if one.until is None}
    return (*followed, *(one for one in seen if (one.id, one.instance_id) not in going))


def attached(volumes: Iterable[Volume], instance_id: str) -> dict[str, Volume]:
    """What is attached to a box as far as is known, by id."""
    return {one.id: one for one in volumes if one.instance_id == instance_id and one.until is None}


def merged(
    known: tuple[Volume, ...],
    seen: Collection[Volume],
    *,
    of: Collection[str],
    looked_at: datetime | None,
    now: datetime,
) -> tuple[Volume, ...]:
    """The volumes of a lease after a look at those attached to the boxes `of`, the last one being at `looked_at`."""
    entries = list(known)
    for instance_id in of:
        before = attached(known, instance_id)
        after = {one.id: one for one in seen if one.instance_id == instance_id}
        for volume_id, old in before.items():
            place = entries.index(old)
            entries[place : place + 1] = _follow(old, after.get(volume_id), looked_at, now)
        entries += [_again(one, known) for volume_id, one in after.items() if volume_id not in before]
    return tuple(entries)


def _again(new: Volume, known: Iterable[Volume]) -> Volume:
    """One that a look left out although it was there goes on from there: what bills already does not bill twice."""
    same = [one for one in known if (one.id, one.instance_id) == (new.id, new.instance_id)]
    ends = [one.until for one in same if one.until]
    return replace(new, since=max([new.since, *ends]))


def _follow(old: Volume, new: Volume | None, looked_at: datetime | None, now: datetime) -> list[Volume]:
    """What becomes of a volume that was known; one that has grown bills so since the last look: nobody knows when in
    between it grew."""
    if new is None:
        return [replace(old, until=now)]
    if new.is_like(old):
        return [replace(old, outlives_box=new.outlives_box)]
    turn = max(looked_at or old.since, old.since) if old.has_grown_to(new) else now
    return [replace(old, until=turn), replace(new, since=turn)]
