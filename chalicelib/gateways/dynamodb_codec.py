"""What items are made of: attributes, documents as JSON text, times as sort keys, places in lists as cursors.

A document is exactly the dataclass it stands for: Decimals as strings with every digit, times with their microseconds,
lengths as ISO 8601. Fields a document lacks take their defaults and fields it has beyond those are passed over, so that
two versions of Curfew can share a table while one replaces the other.
"""

import base64
import binascii
import zlib
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, TypeVar

from pydantic import TypeAdapter

from chalicelib.domain.errors import Refused

T = TypeVar("T")

Value = str | int | Decimal | bytes
Item = dict[str, Value]
"""One item as Python values. Numbers come back as Decimal."""

LONG = 2_000
"""Bytes from which a document is kept deflated. A lease weighs a third then, and DynamoDB bills by weight; and none
comes near an item's 400 KB: a lease that can't be written can't be ended."""


LONGEST_KEY = 1_024
"""Bytes of a sort key: with a longer one in a condition DynamoDB refuses the query."""

_adapters: dict[type[Any], TypeAdapter[Any]] = {}


def _adapter(kind: type[Any]) -> TypeAdapter[Any]:
    if kind not in _adapters:
        _adapters[kind] = TypeAdapter(kind)
    return _adapters[kind]


def to_text(document: object) -> str:
    """A document as JSON. What stands in a free mapping (an attempt's parameters) comes back as JSON has it: tuples as
    lists, times and Decimals as strings."""
    return _adapter(type(document)).dump_json(document, by_alias=True).decode()


def from_text(kind: type[T], text: str | bytes) -> T:
    """The document of a kind that `to_text` wrote."""
    document: T = _adapter(kind).validate_json(text)
    return document


def document(of: object) -> Item:
    """The attribute that carries a document: `doc`, or `doc_deflated` where it is long."""
    text = to_text(of)
    raw = text.encode()
    return {"doc": text} if len(raw) < LONG else {"doc_deflated": zlib.compress(raw)}


def read(kind: type[T], item: Mapping[str, Value]) -> T:
    """The document of a kind that an item carries."""
    packed = item.get("doc_deflated")
    return from_text(kind, zlib.decompress(packed) if isinstance(packed, bytes) else str(item["doc"]))


def to_attributes(item: Mapping[str, Value]) -> dict[str, dict[str, Any]]:
    """An item as DynamoDB takes it; Decimals exact and without exponents."""
    return {name: _attribute(value) for name, value in item.items()}


def from_attributes(attributes: Mapping[str, Mapping[str, Any]]) -> Item:
    """An item as DynamoDB gives it."""
    return {name: _value(*attribute.items()) for name, attribute in attributes.items()}


def _attribute(value: Value) -> dict[str, Any]:
    match value:
        case str():
            return {"S": value}
        case bytes():
            return {"B": value}
        case int() | Decimal():
            return {"N": f"{value:f}" if isinstance(value, Decimal) else str(value)}


def _value(attribute: tuple[str, Any]) -> Value:
    kind, value = attribute
    return Decimal(value) if kind == "N" else bytes(value) if kind == "B" else str(value)


def stamp(at: datetime) -> str:
    """A time as text that sorts as time does, of one length, to the microsecond."""
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}Z"


def stamped(at: datetime, name: str) -> str:
    """A sort key: by time, and by name where two share a moment."""
    return f"{stamp(at)}#{name}"


def cursor(of: str, position: str) -> str:
    """An opaque place in the list `of`, just after `position`."""
    return base64.urlsafe_b64encode(f"{of}|{position}".encode()).decode().rstrip("=")


def position(of: str, cursor_text: str) -> str:
    """The place a cursor stands for. Raises Refused for text that is no cursor of this list."""
    try:
        padded = cursor_text + "=" * (-len(cursor_text) % 4)
        name, _, place = base64.b64decode(padded, altchars=b"-_", validate=True).decode().partition("|")
    except (binascii.Error, ValueError):
        name, place = "", ""
    if name != of or not place or len(place.encode()) > LONGEST_KEY:
        raise Refused(
            f"{cursor_text!r} is no cursor of this list; take `next` of its last page, or leave it out to start over",
            slug="bad-cursor",
        )
    return place
