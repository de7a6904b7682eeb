"""What every family of records shares: the table it stands in, and pages of a list, newest first."""

import uuid
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from chalicelib.gateways import dynamodb_codec as codec
from chalicelib.gateways.dynamodb_table import Table
from chalicelib.ports import Page

T = TypeVar("T")

VIEW = "view"
FIRST, LAST = "0", "~"
"""Sort keys of lists begin with a time: all of them lie between."""
AFTER_NAMES = "$"
"""Sorts after the `#` behind which an item of a moment has its name."""
MOST_READ = 1000
"""Where few are taken of many, a page has those among so many."""


class Records:
    """One family of records in the table; the store is all of them together."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def _page(
        self,
        kind: type[T],
        of: str,
        *,
        index: str | None,
        limit: int,
        cursor: str | None,
        since: str | None = None,
        until: str | None = None,
        takes: Callable[[T], bool] | None = None,
    ) -> Page[T]:
        """A page of the partition `of`, of the table or an index: of what lies from `since` on and before `until`, by
        its sort key, what is taken. Raises Refused for a cursor of another list."""
        pk, sk = ("view_pk", "view_sk") if index else ("pk", "sk")
        ends = [end for end in (until, codec.position(of, cursor) if cursor else None) if end]
        before = min(ends, default=LAST)
        if (since or FIRST) > before:
            return Page(())
        options: dict[str, Any] = {"ScanIndexForward": False, "Limit": MOST_READ if takes else limit + 2}
        if index:
            options["IndexName"] = index
        found = self._table.query(
            f"{pk} = :of AND {sk} BETWEEN :since AND :before",
            {":of": of, ":since": since or FIRST, ":before": before},
            **options,
        )
        taken: list[tuple[str, T]] = []
        first = last = ""
        for read, item in enumerate(item for item in found if str(item[sk]) != before):
            if len(taken) == limit:
                break
            if read == MOST_READ:
                return _cut(of, taken, first, last)
            last = str(item[sk])
            first = first or last
            one = codec.read(kind, item)
            taken += [(last, one)] if takes is None or takes(one) else []
        else:
            return Page(_items(taken))
        return Page(_items(taken), codec.cursor(of, last))


def _items(taken: Sequence[tuple[str, T]]) -> tuple[T, ...]:
    return tuple(one for _, one in taken)


def _cut(of: str, taken: Sequence[tuple[str, T]], first: str, last: str) -> Page[T]:
    """A page that ends with something that may be another's: its cursor says the moment alone, and what is of that
    moment comes with the next page. Where all is of one moment, there is none before it to end with."""
    moment = last.partition("#")[0]
    if first.startswith(moment):
        return Page(_items(taken), codec.cursor(of, last))
    before = [(key, one) for key, one in taken if not key.startswith(moment)]
    return Page(_items(before), codec.cursor(of, moment + AFTER_NAMES))


def new_write_id() -> str:
    """An id for one write, by which it knows itself again when its answer was lost. Random, not made of the content:
    two writers with the same content must not both believe they won."""
    return uuid.uuid4().hex
