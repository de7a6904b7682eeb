"""What a `/_world` request says, or a mistake that names the field to change."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from localaws.errors import RequestError


def text(body: dict[str, Any], name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not value:
        raise RequestError(f"{name} must be given, as a string", field=name)
    return value


def number(body: dict[str, Any], name: str) -> Decimal:
    """A sum of money or the like, as a number or a string."""
    value = body.get(name)
    try:
        found = Decimal(str(value))
    except InvalidOperation:
        found = Decimal("NaN")
    if not found.is_finite():
        raise RequestError(f"{name} must be a number, not {value!r}", field=name)
    return found


def moment(body: dict[str, Any], name: str) -> datetime:
    """A time in ISO 8601; without a zone it is UTC."""
    try:
        when = datetime.fromisoformat(text(body, name))
    except ValueError as problem:
        raise RequestError(f"{name} must be a time in ISO 8601, not {body[name]!r}", field=name) from problem
    return when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)
