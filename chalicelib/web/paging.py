"""Lists: `{"items": [...], "next": cursor or null}`."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from chalicelib.domain.errors import Refused
from chalicelib.ports import Page
from chalicelib.web.encode import JsonValue
from chalicelib.web.models import PageQuery

T = TypeVar("T")


def listed(page: Page[T], view: Callable[[T], JsonValue]) -> JsonValue:
    """A page as it is answered."""
    return {"items": [view(item) for item in page.items], "next": page.next}


def cut(everything: Sequence[T], query: PageQuery) -> Page[T]:
    """One page of a list that is read whole each time, in its own order; the cursor is the place in it."""
    cursor = query.cursor or "0"
    if not (cursor.isascii() and cursor.isdigit()):
        raise Refused(
            f"{cursor!r} is no cursor of this list; take `next` of its last page", slug="bad-cursor"
        )
    begin = int(cursor)
    end = begin + query.limit
    return Page(tuple(everything[begin:end]), str(end) if end < len(everything) else None)
