"""Which types with GPUs a region has on spot, by DescribeInstanceTypes; else by a dated table of what it has told.

A filter by name, unlike a list of names, is no error where a region lacks one of them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from time import monotonic
from typing import Any

from chalicelib.domain.gpus import GpuType, GpuTypes
from chalicelib.gateways.aws import AWS_ERRORS, HURRIED, Aws, explain

NAMES = ("g*", "p*", "dl1.*")
"""What the types with GPUs are called so far (EC2 guide, "Accelerated computing instances")."""
PAGE = 100
PATIENCE_SECONDS = 3.0


def gpu_types(aws: Aws, region: str) -> GpuTypes:
    """As EC2 tells; where it does not answer in time, those of the table. Never raises."""
    try:
        told = tuple(_told(aws, region))
    except AWS_ERRORS as error:
        return GpuTypes(types=dated_table(), lacking=(f"DescribeInstanceTypes {region}: {explain(error)}",))
    if not told:
        return GpuTypes(types=dated_table(), lacking=(f"DescribeInstanceTypes {region}: no type with GPUs",))
    return GpuTypes(types=told)


def _told(aws: Aws, region: str) -> Iterator[GpuType]:
    ec2, token = aws.ec2(region, HURRIED), ""
    deadline = monotonic() + PATIENCE_SECONDS
    while monotonic() < deadline:
        more: Any = {"NextToken": token} if token else {}
        answer = ec2.describe_instance_types(
            Filters=[{"Name": "instance-type", "Values": list(NAMES)}], MaxResults=PAGE, **more
        )
        for raw in answer.get("InstanceTypes") or []:
            found = to_gpu_type(raw)
            if found is not None:
                yield found
        token = answer.get("NextToken") or ""
        if not token:
            return


def to_gpu_type(raw: Mapping[str, Any]) -> GpuType | None:
    """A type of an answer; None for one without whole GPUs, with several kinds of them, or that is not sold on spot."""
    kinds = (raw.get("GpuInfo") or {}).get("Gpus") or []
    if len(kinds) != 1 or not kinds[0].get("Count") or "spot" not in (raw.get("SupportedUsageClasses") or []):
        return None
    (kind,) = kinds
    processors = (raw.get("ProcessorInfo") or {}).get("SupportedArchitectures") or ["x86_64"]
    return GpuType(
        instance_type=raw.get("InstanceType") or "",
        gpus=kind["Count"],
        name=kind.get("Name") or "",
        manufacturer=kind.get("Manufacturer") or "",
        memory_mib=(kind.get("MemoryInfo") or {}).get("SizeInMiB") or 0,
        architecture=processors[-1],
    )


@cache
def dated_table() -> tuple[GpuType, ...]:
    """What ships with Curfew: what EC2 told of its types at the table's date."""
    table = json.loads((files("chalicelib") / "data" / "gpu_types.json").read_text(encoding="utf-8"))
    return tuple(GpuType(instance_type=name, **facts) for name, facts in table["types"].items())
