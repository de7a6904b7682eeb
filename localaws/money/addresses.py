"""Elastic IP addresses, from AllocateAddress to ReleaseAddress.

Sources: VPC pricing page (a public IPv4 address is billed by the hour in use or idle) and EC2 guide, "Elastic IP
addresses" (associating one gives the box's own address back; a box that ends leaves it allocated).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from localaws.model import Box, Run

Span = tuple[datetime, datetime]


@dataclass(slots=True)
class Association:
    """A time in which an address belonged to a box."""

    box_id: str
    since: datetime
    until: datetime | None = None


@dataclass(slots=True, eq=False)
class Address:
    """An Elastic IP address; it bills until it is released."""

    id: str
    region: str
    ip: str
    since: datetime
    moto: Any
    until: datetime | None = None
    associations: list[Association] = field(default_factory=list)

    @property
    def box_id(self) -> str | None:
        """The box that has it now."""
        last = self.associations[-1] if self.associations else None
        return last.box_id if last and last.until is None else None


class Addresses:
    """The Elastic IP addresses there ever were; moto keeps them, this remembers whose they were when."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._by_id: dict[str, Address] = {}

    def __iter__(self) -> Iterator[Address]:
        return iter(list(self._by_id.values()))

    def allocated(self, region: str, moto: Any) -> None:
        self._by_id[moto.allocation_id] = Address(
            moto.allocation_id, region, moto.public_ip, self._now(), moto
        )

    def associated(self, moto: Any) -> None:
        """It is another box's now, or none's where moto has given it to a bare network interface."""
        address = self._by_id[moto.allocation_id]
        self._end_association(address)
        instance = moto.instance or (moto.eni.instance if moto.eni else None)
        if instance is not None:
            address.associations.append(Association(instance.id, self._now()))

    def disassociated(self, ip: str | None, association_id: str | None) -> None:
        for address in self:
            named = ip == address.ip if ip else association_id == address.moto.association_id
            if named and address.until is None:
                self._end_association(address)

    def released(self, address_id: str) -> None:
        address = self._by_id[address_id]
        self._end_association(address)
        address.until = self._now()

    def of_box(self, box: Box) -> list[Address]:
        """Those it has now."""
        return [address for address in self if address.box_id == box.id]

    def box_runs(self, box: Box) -> None:
        """moto gives a box that starts a new address, even where it has an Elastic IP."""
        for address in self.of_box(box):
            box.moto.nics[0].public_ip = address.ip

    def spans(self, box: Box) -> list[Span]:
        """When a box had one instead of an address of its own."""
        return [
            (one.since, one.until or self._now())
            for address in self
            for one in address.associations
            if one.box_id == box.id
        ]

    def _end_association(self, address: Address) -> None:
        if address.box_id is not None:
            address.associations[-1].until = self._now()


def in_use(address: Address, runs_of: Callable[[str], list[Run]], now: datetime) -> list[Span]:
    """When it belonged to a running box; the rest of its time it was idle, at the same price."""
    found = []
    for one in address.associations:
        for run in runs_of(one.box_id):
            low, high = max(one.since, run.start), min(one.until or now, run.end or now)
            if high > low:
                found.append((low, high))
    return sorted(found)


def without(span: Span, holes: list[Span]) -> list[Span]:
    """What is left of a span when others are taken out of it."""
    left, low = [], span[0]
    for start, end in sorted(holes):
        if min(start, span[1]) > low:
            left.append((low, min(start, span[1])))
        low = max(low, end)
    return [*left, (low, span[1])] if low < span[1] else left
