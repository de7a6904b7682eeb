"""Which instance types have accelerators, by DescribeInstanceTypes.

One type that a region does not know makes the whole call an error, so it is split until that one stands alone.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from time import monotonic
from typing import Any

from chalicelib.domain.errors import Unavailable
from chalicelib.gateways.aws import AWS_ERRORS, HURRIED, Aws, code_of, unavailable

TYPES_A_CALL = 100
UNKNOWN = "InvalidInstanceType"
SIGNS = ("GpuInfo", "FpgaInfo", "InferenceAcceleratorInfo", "NeuronInfo", "MediaAcceleratorInfo")
"""What DescribeInstanceTypes has of accelerators. That it is there says enough: g6f and gr6f, which have a part of a
GPU, report a `Count` of 0."""
PATIENCE_SECONDS = 3.0
"""Splitting goes on for so long; what is left then is asked about by the next sweep."""


def accelerated(aws: Aws, region: str, names: Collection[str]) -> Mapping[str, bool | None]:
    """Whether each type has accelerators; None for one that the region does not know. Raises Unavailable where it said
    nothing at all."""
    ec2 = aws.ec2(region, HURRIED)
    deadline = monotonic() + PATIENCE_SECONDS
    ordered = sorted(names)
    waiting = [ordered[start : start + TYPES_A_CALL] for start in range(0, len(ordered), TYPES_A_CALL)]
    found: dict[str, bool | None] = {}
    failure: Unavailable | None = None
    while waiting and monotonic() < deadline:
        some = waiting.pop()
        try:
            # The stubs list the types of their day.
            answer = ec2.describe_instance_types(InstanceTypes=some)  # type: ignore[arg-type]
        except AWS_ERRORS as error:
            if code_of(error) != UNKNOWN:
                failure = unavailable(f"describing instance types in {region}", error)
            elif len(some) == 1:
                found[some[0]] = None
            else:
                middle = len(some) // 2
                waiting += [some[:middle], some[middle:]]
            continue
        found |= {raw["InstanceType"]: has_accelerator(raw) for raw in answer.get("InstanceTypes") or []}
    if failure and not found:
        raise failure
    return found


def has_accelerator(raw: Mapping[str, Any]) -> bool:
    """Whether an answer's type has one."""
    return any(raw.get(sign) for sign in SIGNS)
