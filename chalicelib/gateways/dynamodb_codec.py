"""What items are made of: documents as JSON text, times as sort keys, places in lists as cursors.

A document is exactly the dataclass it stands for: Decimals as strings with every digit, times with their microseconds,
lengths as ISO 8601. Fields a document lacks take their defaults and fields it has beyond those are passed over, so that
two versions of Curfew can share a table while one replaces the other.
"""

import base64
import binascii
from datetime import UTC, datetime
from typing import Any, TypeVar

from pydantic import TypeAdapter

from chalicelib.domain.errors import Refused

T = TypeVar("T")


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
    if name != of or not place:
        raise Refused(
            f"{cursor_text!r} is no cursor of this list; take `next` of its last page, or leave it out to start over",
            slug="bad-cursor",
        )
    return place
