"""Lists: `{"items": [...], "next": cursor or null}`."""

from collections.abc import Callable, Iterable
from typing import TypeVar

from chalicelib.ports import Page
from chalicelib.web.encode import JsonValue
from chalicelib.web.models import PageQuery

T = TypeVar("T")


def listed(page: Page[T], view: Callable[[T], JsonValue]) -> JsonValue:
    """A page as it is answered."""
    return {"items": [view(item) for item in page.items], "next": page.next}


def cut(everything: Iterable[T], key: Callable[[T], str], query: PageQuery) -> Page[T]:
    """One page of a list that is read whole each time: the items after the cursor, which is the last one's key."""
    ordered = sorted(everything, key=key)
    after = [item for item in ordered if query.cursor is None or key(item) > query.cursor]
    items = tuple(after[: query.limit])
    return Page(items, key(items[-1]) if len(after) > query.limit else None)
