"""Which instance types cost like a GPU box: GPUs, Neuron, inference, media and FPGA accelerators.

A table of families that works offline, then what EC2 itself says of a type, then the letters AWS has used for
accelerated computing so far, so that a family newer than this table is still guarded before anybody was asked. (EC2
guide, "Accelerated computing instances".)
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from chalicelib.domain.instance import Instance, Sight

FAMILIES = frozenset(
    "dl1 dl2q f1 f2 g2 g3 g3s g4ad g4dn g5 g5g g6 g6e g6f gr6 gr6f g7 g7e inf1 inf2 p2 p3 p3dn p4d p4de p5 p5e p5en "
    "p6-b200 p6-b300 p6e-gb200 trn1 trn1n trn2 trn2u vt1".split()
)
X86_64, ARM64 = "x86_64", "arm64"
ARCHITECTURES = (X86_64, ARM64)
OF_ARM64 = frozenset("g5g p6e-gb200 p6e-gb300".split())
"""The families of GPUs beside AWS's or NVIDIA's own processors (EC2 guide, "Accelerated computing instances")."""
_LETTERS = re.compile(r"^(p|g|gr|dl|inf|trn|f|vt)\d")


def family(instance_type: str) -> str:
    """`g4dn` of `g4dn.xlarge`."""
    return instance_type.partition(".")[0]


def processors(instance_type: str) -> str | None:
    """The architecture of a type of the table; None where EC2 alone knows it."""
    if family(instance_type) in OF_ARM64:
        return ARM64
    return X86_64 if is_listed(instance_type) else None


ASK_AGAIN_AFTER = timedelta(days=1)
"""When a type that EC2 did not know is asked about again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TypeFact:
    """What EC2 said of a type: whether it has accelerators, or None: it knows no such type."""

    name: str
    is_accelerated: bool | None
    asked_at: datetime


def is_listed(instance_type: str) -> bool:
    """Whether the table has a type's family: nobody need be asked."""
    return family(instance_type) in FAMILIES


def is_accelerator(instance_type: str, *, told: bool | None = None) -> bool:
    """Whether a type belongs to accelerated computing; `told`: what EC2 says of it, None where that is not known."""
    if is_listed(instance_type) or told is None:
        return is_listed(instance_type) or bool(_LETTERS.match(instance_type))
    return told


def with_facts(sight: Sight, facts: Iterable[TypeFact]) -> Sight:
    """The sight, each of its instances with what EC2 said of its type."""
    told = {fact.name: fact.is_accelerated for fact in facts if fact.is_accelerated is not None}
    if not told:
        return sight
    views = tuple(
        replace(view, instances=tuple(replace(i, is_accelerated=told.get(i.type)) for i in view.instances))
        for view in sight.views
    )
    return replace(sight, views=views)


def unlisted(instances: Iterable[Instance]) -> dict[str, str]:
    """The types that the table does not have, each with a region where one of it was seen."""
    return {i.type: i.region for i in instances if not i.is_gone and not is_listed(i.type)}


def to_ask(
    instances: Iterable[Instance], facts: Iterable[TypeFact], now: datetime
) -> Mapping[str, tuple[str, ...]]:
    """By region, the types to ask EC2 about: once for each, and a day later where it knew none of that name."""
    known = {
        fact.name
        for fact in facts
        if fact.is_accelerated is not None or now - fact.asked_at < ASK_AGAIN_AFTER
    }
    wanted: dict[str, tuple[str, ...]] = {}
    for name, region in sorted(unlisted(instances).items()):
        if name not in known:
            wanted[region] = (*wanted.get(region, ()), name)
    return wanted
