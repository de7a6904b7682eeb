"""The audit trail: an item a change, in one partition, by time; it vanishes after 400 days.

It is written before the change and again with its outcome, without a condition: the second write stands for the first.
"""

from datetime import datetime, timedelta
from itertools import islice, takewhile
from typing import Any

from chalicelib.domain.audit import Change
from chalicelib.gateways import dynamodb_codec as codec
from chalicelib.gateways.dynamodb_records import Records
from chalicelib.gateways.dynamodb_table import HASTE_SECONDS, Write
from chalicelib.ports import Page

AUDIT = "AUDIT"
KEPT_FOR = timedelta(days=400)


class AuditRecords(Records):
    """Implements chalicelib.ports.AuditTrail."""

    def note(self, change: Change) -> None:
        """Keep it. Raises Unavailable within a second."""
        put = Write(
            operation="Put",
            key=(AUDIT, codec.stamped(change.at, change.id)),
            item={
                "change_owner": change.owner,
                "expires_epoch": int((change.at + KEPT_FOR).timestamp()),
                **codec.document(change),
            },
        )
        self._table.commit([put], patience=HASTE_SECONDS)

    def changes(
        self, *, since: datetime | None, owner: str | None, limit: int, cursor: str | None
    ) -> Page[Change]:
        """Newest first. Raises Refused for a cursor of another list, Unavailable."""
        condition, values = "pk = :audit", {":audit": AUDIT}
        if cursor:
            condition = f"{condition} AND sk < :before"
            values |= {":before": codec.position(AUDIT, cursor)}
        options: dict[str, Any] = {"ScanIndexForward": False}
        if owner is not None:
            options["FilterExpression"] = "change_owner = :owner"
            values |= {":owner": owner}
        first = codec.stamp(since) if since else ""
        newest = self._table.query(condition, values, **options)
        found = list(islice(takewhile(lambda item: str(item["sk"]) >= first, newest), limit + 1))
        shown = found[:limit]
        more = codec.cursor(AUDIT, str(shown[-1]["sk"])) if len(found) > limit else None
        return Page(tuple(codec.read(Change, item) for item in shown), more)
