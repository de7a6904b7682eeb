"""What every family of records shares: the table it stands in, and pages of a list, newest first."""

import uuid
from itertools import islice
from typing import Any, TypeVar

from chalicelib.gateways import dynamodb_codec as codec
from chalicelib.gateways.dynamodb_table import Table
from chalicelib.ports import Page

T = TypeVar("T")

VIEW = "view"


class Records:
    """One family of records in the table; the store is all of them together."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def _page(self, kind: type[T], of: str, *, index: str | None, limit: int, cursor: str | None) -> Page[T]:
        """A page of the partition `of`, of the table or an index. Raises Refused for a cursor of another list."""
        pk, sk = ("view_pk", "view_sk") if index else ("pk", "sk")
        condition, values = f"{pk} = :of", {":of": of}
        if cursor:
            condition, values = (
                f"{condition} AND {sk} < :before",
                {**values, ":before": codec.position(of, cursor)},
            )
        options: dict[str, Any] = {"ScanIndexForward": False, "Limit": limit + 1}
        if index:
            options["IndexName"] = index
        found = list(islice(self._table.query(condition, values, **options), limit + 1))
        shown = found[:limit]
        more = codec.cursor(of, str(shown[-1][sk])) if shown and len(found) > limit else None
        return Page(tuple(codec.read(kind, item) for item in shown), more)


def new_write_id() -> str:
    """An id for one write, by which it knows itself again when its answer was lost. Random, not made of the content:
    two writers with the same content must not both believe they won."""
    return uuid.uuid4().hex
