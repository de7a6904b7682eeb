"""Choosing instance types by the GPUs that somebody needs: the cheapest now that have them, a few, so that EC2 may fall
through from one to the next.

Memory is that of each GPU, never the sum of a box, and as its maker prints it: EC2 tells 22,888 MiB of an A10G, which
are the 24 GB that everybody calls it by.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

MOST_TYPES = 6
"""So many types are tried. The hold covers the dearest of them."""
NEAREST = 3
MIB = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuNeed:
    """What is asked for: so many GPUs or more in a box, each with so much memory or more, of a name or a maker."""

    count: int = 1
    memory_gib: int | None = None
    name: str | None = None
    manufacturer: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuType:
    """An instance type with GPUs, all of one kind. `memory_mib`: of each."""

    instance_type: str
    gpus: int
    name: str
    manufacturer: str
    memory_mib: int
    architecture: str

    @property
    def memory_gib(self) -> int:
        """Of each GPU as its maker prints it: whole GiB where they are, else rounded GB."""
        whole, rest = divmod(self.memory_mib, 1024)
        return round(self.memory_mib * MIB / 10**9) if rest else whole


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuTypes:
    """The types that a region has on spot; where EC2 did not say, those of the dated table, and why (`lacking`)."""

    types: tuple[GpuType, ...]
    lacking: tuple[str, ...] = ()


def fitting(need: GpuNeed, types: Iterable[GpuType]) -> tuple[GpuType, ...]:
    """The types that have what is needed."""
    return tuple(one for one in types if not _wants(need, one))


def cheapest(
    types: Sequence[GpuType],
    *,
    on_demand: Callable[[str], Decimal],
    spot: Mapping[str, Mapping[str, Decimal]],
    cap_usd: Decimal | None,
) -> tuple[GpuType, ...]:
    """The few that cost least now: on spot in their cheapest zone. Where EC2 told no spot price of any, by the list.

    A type that EC2 told no price of while it told others' is not to be had there on spot; one above the cap starts
    nowhere, and is left out where another is not.
    """

    def now(one: GpuType) -> Decimal:
        zones = spot.get(one.instance_type)
        return min(zones.values()) if zones else on_demand(one.instance_type)

    priced = [one for one in types if spot.get(one.instance_type)] or list(types)
    within = [one for one in priced if cap_usd is None or now(one) <= cap_usd] or priced
    return tuple(sorted(within, key=lambda one: (now(one), one.instance_type))[:MOST_TYPES])


def nearest(need: GpuNeed, types: Iterable[GpuType]) -> tuple[GpuType, ...]:
    """What comes closest: a few of different GPUs that lack the fewest things, and then the least of them."""
    found: dict[tuple[str, int], GpuType] = {}
    for one in sorted(types, key=lambda one: (len(_wants(need, one)), _short(need, one), one.instance_type)):
        found.setdefault((one.name, one.gpus), one)
    return tuple(found.values())[:NEAREST]


def _wants(need: GpuNeed, one: GpuType) -> tuple[str, ...]:
    """What a type lacks."""
    lacks = {
        "count": one.gpus < need.count,
        "memory_gib": need.memory_gib is not None and one.memory_gib < need.memory_gib,
        "name": need.name is not None and need.name.casefold() != one.name.casefold(),
        "manufacturer": need.manufacturer is not None
        and need.manufacturer.casefold() != one.manufacturer.casefold(),
    }
    return tuple(name for name, lacking in lacks.items() if lacking)


def _short(need: GpuNeed, one: GpuType) -> tuple[int, int, int]:
    """How far it falls short, in GPUs and in memory; of two that do alike the smaller one is nearer."""
    gpus = max(need.count - one.gpus, 0)
    return gpus, max((need.memory_gib or 0) - one.memory_gib, 0), one.gpus * one.memory_mib
