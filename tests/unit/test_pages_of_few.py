"""Pages of the few things that are one's own, among very many of others."""

import base64
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

import pytest

from chalicelib.domain.lease import Lease
from chalicelib.gateways import dynamodb_codec as codec
from chalicelib.gateways.dynamodb_leases import LEASES, LeaseRecords
from chalicelib.gateways.dynamodb_records import MOST_READ
from chalicelib.gateways.dynamodb_table import Table
from tests.builders import lease

SECOND = timedelta(seconds=1)


class ManyLeases:
    """A table that has these leases alone, newest first."""

    def __init__(self, leases: list[Lease]) -> None:
        items = [
            {"view_sk": codec.stamped(one.requested_at, one.id), **codec.document(one)} for one in leases
        ]
        self._items = sorted(items, key=lambda item: str(item["view_sk"]), reverse=True)

    def query(self, _condition: str, values: dict[str, str], **_options: Any) -> Iterator[codec.Item]:
        """Between both ends."""
        return (one for one in self._items if values[":since"] <= str(one["view_sk"]) <= values[":before"])


@pytest.mark.parametrize("at_once", [1, 7])
def test_nothing_of_others_is_in_a_cursor(at_once: int) -> None:
    """However many of others' a page reads in vain, it ends with a moment; all of one's own come once."""
    a = lease()
    leases = [
        replace(
            a,
            id=f"lease-{'own' if n % 300 == 0 else 'their'}{n}",
            owner="bob" if n % 300 == 0 else "ada",
            requested_at=a.requested_at - SECOND * (n // at_once),
        )
        for n in range(2 * MOST_READ + 7)
    ]
    records = LeaseRecords(cast("Table", ManyLeases(leases)))
    seen: list[str] = []
    cursor: str | None = None
    for _ in range(9):
        page = records.leases(limit=50, cursor=cursor, owner="bob")
        seen += [one.id for one in page.items]
        cursor = page.next
        if cursor is None:
            break
        assert "their" not in base64.urlsafe_b64decode(cursor + "==").decode()
        assert codec.position(LEASES, cursor)
    assert cursor is None
    assert sorted(seen) == sorted(one.id for one in leases if one.owner == "bob")


def test_what_all_happened_at_once_is_paged_all_the_same() -> None:
    """There is no moment to end with, so the place is an item's."""
    a = lease()
    leases = [replace(a, id=f"lease-{n}", owner="bob" if n < 2 else "ada") for n in range(MOST_READ + 9)]
    records = LeaseRecords(cast("Table", ManyLeases(leases)))
    first = records.leases(limit=50, cursor=None, owner="bob")
    assert first.next is not None
    second = records.leases(limit=50, cursor=first.next, owner="bob")
    assert second.next is None
    assert sorted(one.id for one in (*first.items, *second.items)) == ["lease-0", "lease-1"]
