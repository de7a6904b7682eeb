"""Lists: `{"items": [...], "next": cursor or null}`, and `unseen`, the regions that it missed, of one that asks EC2."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from chalicelib.domain.errors import Refused
from chalicelib.ports import Page
from chalicelib.usecases.report import Seen
from chalicelib.web.encode import JsonValue
from chalicelib.web.models import PageQuery

T = TypeVar("T")


def listed(page: Page[T], view: Callable[[T], JsonValue]) -> JsonValue:
    """A page as it is answered."""
    return {"items": [view(item) for item in page.items], "next": page.next}


def seen(found: Seen[T], view: Callable[[T], JsonValue], query: PageQuery | None = None) -> JsonValue:
    """What one look found, with the regions that it missed; with a `query` a page of it."""
    page = cut(found.items, query) if query else Page(found.items, found.next)
    return {**listed(page, view), "unseen": dict(found.unseen)}


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
