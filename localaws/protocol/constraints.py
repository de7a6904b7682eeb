"""What a service's own model says of its parameters, beyond what botocore checks before it sends them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from botocore.model import ListShape, Shape, StructureShape

from localaws.errors import AwsError
from localaws.protocol.wire import operation_model


def check(service: str, operation: str, params: Mapping[str, Any]) -> None:
    """Raise AWS's ValidationException for lengths, ranges, patterns and enumerations that are not kept."""
    problems = list(_problems(operation_model(service, operation).input_shape, params, ""))
    if problems:
        plural = "s" if len(problems) > 1 else ""
        raise AwsError(
            "ValidationException",
            f"{len(problems)} validation error{plural} detected: {'; '.join(problems)}",
        )


def _problems(shape: Shape | None, value: Any, path: str) -> Iterator[str]:
    if isinstance(shape, StructureShape) and isinstance(value, Mapping):
        for name, member in shape.members.items():
            if value.get(name) is not None:
                small = name[0].lower() + name[1:]
                yield from _problems(member, value[name], f"{path}.{small}" if path else small)
        return
    if isinstance(shape, ListShape) and isinstance(value, list):
        for number, one in enumerate(value, 1):
            yield from _problems(shape.member, one, f"{path}.{number}.member")
    if shape is not None and (problem := _problem(shape, value)):
        yield f"Value '{value}' at '{path}' failed to satisfy constraint: {problem}"


def _problem(shape: Shape, value: Any) -> str | None:
    limits = shape.metadata
    size, what = (len(value), "length ") if isinstance(value, (str, list)) else (value, "value ")
    if "enum" in limits and value not in limits["enum"]:
        return f"Member must satisfy enum value set: [{', '.join(limits['enum'])}]"
    if isinstance(size, (int, float)) and size < limits.get("min", size):
        return f"Member must have {what}greater than or equal to {limits['min']}"
    if isinstance(size, (int, float)) and size > limits.get("max", size):
        return f"Member must have {what}less than or equal to {limits['max']}"
    if isinstance(value, str) and "pattern" in limits and not re.fullmatch(limits["pattern"], value):
        return f"Member must satisfy regular expression pattern: {limits['pattern']}"
    return None
