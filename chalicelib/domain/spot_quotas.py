"""The quotas on spot: which one a type counts on, how much of it, and where more is asked for.

Each is a number of vCPUs in a region, and 0 in a new account for all that is accelerated (EC2 endpoints and quotas,
"Spot Instance quotas"; what is listed here was read in 2026-11).
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

_FAMILY = re.compile(r"^([a-z]+)(\d*)")
_SIZE = re.compile(r"^(\d*)xlarge$")
VCPUS_OF_XLARGE = 4


@dataclass(frozen=True, slots=True)
class Quota:
    """A quota by the name and the code that Service Quotas shows; no code where it is not known."""

    name: str
    code: str | None

    def url(self, region: str) -> str:
        """Where the console asks for more of it."""
        listed = f"https://{region}.console.aws.amazon.com/servicequotas/home/services/ec2/quotas"
        return f"{listed}/{self.code}" if self.code else listed


G_AND_VT = Quota("All G and VT Spot Instance Requests", "L-3819A6DF")
P4_P3_P2 = Quota("All P4, P3 and P2 Spot Instance Requests", "L-7212CCBC")
P5 = Quota("All P5 Spot Instance Requests", "L-C4BD4855")
STANDARD = Quota("All Standard (A, C, D, H, I, M, R, T, Z) Spot Instance Requests", "L-34B43A08")
_BY_LETTERS = {
    **dict.fromkeys(("g", "gr", "vt"), G_AND_VT),
    "dl": Quota("All DL Spot Instance Requests", "L-85EED4F7"),
    "f": Quota("All F Spot Instance Requests", "L-88CF9481"),
    "inf": Quota("All Inf Spot Instance Requests", "L-B5D1601B"),
    "trn": Quota("All Trn Spot Instance Requests", "L-6B0D517C"),
    "x": Quota("All X Spot Instance Requests", "L-E3A00192"),
    **dict.fromkeys(("a", "c", "d", "h", "i", "im", "is", "m", "r", "t", "z"), STANDARD),
}
_BY_FAMILY = {"p2": P4_P3_P2, "p3": P4_P3_P2, "p4": P4_P3_P2, "p5": P5}


def quota_of(instance_type: str) -> Quota:
    """The quota that a type's vCPUs count on; of families that AWS's list does not name, their own without a code."""
    found = _FAMILY.match(instance_type)
    letters, generation = found.groups() if found else ("", "")
    known = _BY_FAMILY.get(letters + generation) or _BY_LETTERS.get(letters)
    return known or Quota(f"the Spot Instance Requests of {letters.upper()}{generation}", None)


def quotas_of(instance_types: Iterable[str]) -> tuple[Quota, ...]:
    """The quotas of several types, each once."""
    return tuple(dict.fromkeys(quota_of(name) for name in instance_types))


def vcpus_of(instance_type: str) -> int | None:
    """How much of its quota one box takes, by the name of its size: an xlarge has four. None for those without."""
    size = instance_type.partition(".")[2]
    found = _SIZE.match(size)
    if found:
        return VCPUS_OF_XLARGE * int(found.group(1) or 1)
    return VCPUS_OF_XLARGE // 2 if size == "large" else None
