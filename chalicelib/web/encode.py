"""How Curfew's values look in JSON: money is a string with the full value, times are ISO 8601 UTC with a Z, lengths
ISO 8601 durations in days and below (a year or a month has no fixed length)."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any

from pydantic import BaseModel

from chalicelib.domain.case import Effect
from chalicelib.domain.money import exact

JsonValue = Any
"""A dict, list, string, number, bool or None, all the way down."""


def plain(value: object) -> JsonValue:
    """Any value of the domain as JSON has it."""
    match value:
        case None | bool() | str() if not isinstance(value, Enum):
            return value
        case Effect():
            return value.name.lower()
        case Enum():
            return value.value
        case Decimal():
            return exact(value)
        case datetime():
            return moment(value)
        case timedelta():
            return duration(value)
        case _:
            return _nested(value)


def _nested(value: object) -> JsonValue:
    match value:
        case int() | float():
            return value
        case Mapping():
            return {str(key): plain(item) for key, item in value.items()}
        case BaseModel():
            return plain(value.model_dump(by_alias=True))
        case _ if is_dataclass(value) and not isinstance(value, type):
            return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
        case AbstractSet():
            return sorted(plain(item) for item in value)
        case list() | tuple():
            return [plain(item) for item in value]
        case _:
            raise TypeError(f"no JSON form for {type(value).__name__}")


def number(amount: Decimal) -> int | float:
    """A JSON number, for what is no money (a percentage, a share)."""
    return int(amount) if amount == int(amount) else float(amount)


def moment(at: datetime) -> str:
    """`2026-11-23T09:00:00Z`, with microseconds only where there are any."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def duration(length: timedelta) -> str:
    """`PT1H`, `P3D`, `P1DT30M`, `PT0S`."""
    days, rest = length.days, timedelta(seconds=length.seconds, microseconds=length.microseconds)
    hours, rest = divmod(rest, timedelta(hours=1))
    minutes, rest = divmod(rest, timedelta(minutes=1))
    seconds = f"{rest.total_seconds():f}".rstrip("0").rstrip(".")
    time = "".join(
        f"{figure}{unit}"
        for figure, unit in ((hours, "H"), (minutes, "M"), (seconds, "S"))
        if figure not in (0, "0", "")
    )
    text = "P" + (f"{days}D" if days else "") + (f"T{time}" if time else "")
    return text if text != "P" else "PT0S"
