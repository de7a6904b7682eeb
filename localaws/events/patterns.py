"""EventBridge patterns: does an event match? Pure.

Sources: EventBridge guide, "Comparison operators for use in event patterns" (those without numbers) and "Matching on
arrays" (one of the values in the event's array is enough).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def matches(pattern: Mapping[str, Any], event: Mapping[str, Any]) -> bool:
    """Every field of the pattern must match; a field's list holds the values that will do."""
    for name, wanted in pattern.items():
        actual = event.get(name)
        if isinstance(wanted, Mapping):
            if not isinstance(actual, Mapping) or not matches(wanted, actual):
                return False
        elif not any(_fits(one, actual, present=name in event) for one in wanted):
            return False
    return True


def _fits(wanted: Any, actual: Any, *, present: bool) -> bool:
    values = actual if isinstance(actual, list) else [actual]
    if isinstance(wanted, Mapping):
        return any(_operator(wanted, value, present=present) for value in values)
    return present and wanted in values


def _operator(wanted: Mapping[str, Any], actual: Any, *, present: bool) -> bool:
    ((name, value),) = wanted.items()
    if name == "exists":
        return present is bool(value)
    if name == "prefix":
        return isinstance(actual, str) and actual.startswith(value)
    if name == "suffix":
        return isinstance(actual, str) and actual.endswith(value)
    if name == "anything-but":
        return present and actual not in (value if isinstance(value, list) else [value])
    raise ValueError(f"the pattern operator {name!r} is not built")
