"""The outbox: notices wait under pk OUTBOX, oldest first; their ids are remembered for `REMEMBERED_FOR` after that.

A notice joins the transaction of what it tells. If its id is known already it alone is left out: a message must never
keep a lease from being written.
"""

import hashlib
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from chalicelib.domain.bundles import Trouble
from chalicelib.domain.notices import Notice
from chalicelib.gateways import dynamodb_codec as codec
from chalicelib.gateways.dynamodb_codec import Item
from chalicelib.gateways.dynamodb_records import Records
from chalicelib.gateways.dynamodb_table import PER_TRANSACTION, Key, Trace, Write

REMEMBERED_FOR = timedelta(days=40)
OUTBOX = "OUTBOX"
TROUBLE: Key = ("CHANNELS", "SLACK")
FREE = "0"
"""Sorts before every time: claimed until then, that is by nobody."""
LONGEST_ID = 500


class OutboxRecords(Records):
    """Notices on their way."""

    def claim_notices(self, *, now: datetime, hold_for: timedelta, limit: int) -> tuple[Notice, ...]:
        """Once any is due take what waits, oldest first, up to one that others hold; what is due first where it is
        more than `limit`."""
        waiting = list(self._table.query("pk = :outbox", {":outbox": OUTBOX}))
        due = [item for item in waiting if str(item["due_at"]) <= codec.stamp(now)]
        if not due:
            return ()
        later = [item for item in waiting if str(item["due_at"]) > codec.stamp(now)]
        claimed: list[Notice] = []
        for item in sorted([*due, *later][:limit], key=lambda one: str(one["sk"])):
            notice = codec.read(Notice, item)
            if notice.at > now or not self._claim(item, now=now, until=now + hold_for):
                break
            claimed.append(replace(notice, tries=int(str(item["tries"]))))
        return tuple(claimed)

    def settle_notices(self, notices: Sequence[Notice], *, sent: bool, retry_at: datetime) -> None:
        """Take sent notices out, or make them due again, in one transaction; what is gone already stays gone."""
        if sent:
            self._table.commit([Write(operation="Delete", key=_waiting(notice)) for notice in notices])
            return
        again = [
            Write(
                operation="Update",
                key=_waiting(notice),
                update="SET due_at = :due, claimed_until = :free, tries = :tries",
                condition="attribute_exists(pk)",
                values={":due": codec.stamp(retry_at), ":free": FREE, ":tries": notice.tries + 1},
                group=notice.id,
            )
            for notice in notices
        ]
        self._table.commit(again)

    def tell(self, notices: Sequence[Notice]) -> None:
        """Put into the outbox what is not known yet."""
        self._commit([], notices)

    def is_told(self, notice_id: str) -> bool:
        """Whether a notice of that id is known."""
        return bool(self._table.get((f"NOTICE#{_key_part(notice_id)}", "NOTICE")))

    def trouble(self) -> Trouble | None:
        """Since when Slack fails, and why."""
        item = self._table.get(TROUBLE)
        return codec.read(Trouble, item) if item else None

    def put_trouble(self, trouble: Trouble | None) -> None:
        """Replace that."""
        write = Write(operation="Delete", key=TROUBLE)
        if trouble is not None:
            write = Write(operation="Put", key=TROUBLE, item=codec.document(trouble))
        self._table.commit([write])

    def waiting_notices(self) -> int:
        """How many have not been sent."""
        return self._table.count("pk = :outbox", {":outbox": OUTBOX})

    def _claim(self, item: Item, *, now: datetime, until: datetime) -> bool:
        claim = Write(
            operation="Update",
            key=(OUTBOX, str(item["sk"])),
            update="SET claimed_until = :until, claim_id = :mine",
            condition="attribute_exists(pk) AND (claimed_until <= :now OR claim_id = :mine)",
            values={":now": codec.stamp(now), ":until": codec.stamp(until), ":mine": uuid.uuid4().hex},
            group="claim",
        )
        return not self._table.commit([claim])

    def _commit(
        self,
        writes: Sequence[Write],
        notices: Sequence[Notice],
        *,
        trace: Trace | None = None,
        sentence: str = "",
    ) -> None:
        """Write with the notices that are new. Those beyond a transaction's room follow in further ones."""
        fresh = self._unknown(notices)
        room = (PER_TRANSACTION - len(writes)) // 2
        self._table.commit([*writes, *_told(fresh[:room])], trace=trace, sentence=sentence)
        for start in range(room, len(fresh), PER_TRANSACTION // 2):
            self._table.commit(_told(fresh[start : start + PER_TRANSACTION // 2]))

    def _unknown(self, notices: Sequence[Notice]) -> list[Notice]:
        distinct = {_remembered(notice): notice for notice in reversed(notices)}
        known = self._table.get_many(distinct) if distinct else {}
        return [notice for key, notice in reversed(distinct.items()) if key not in known]


def _told(notices: Iterable[Notice]) -> list[Write]:
    """Two writes a notice: its memory, and its place in the outbox."""
    writes: list[Write] = []
    for notice in notices:
        memory = Write(
            operation="Put",
            key=_remembered(notice),
            item={"expires_epoch": int((notice.at + REMEMBERED_FOR).timestamp())},
            condition="attribute_not_exists(pk)",
            group=notice.id,
        )
        waiting = Write(
            operation="Put",
            key=_waiting(notice),
            item={
                "due_at": codec.stamp(notice.at),
                "claimed_until": FREE,
                "tries": 0,
                **codec.document(notice),
            },
            group=notice.id,
        )
        writes += [memory, waiting]
    return writes


def _remembered(notice: Notice) -> Key:
    return f"NOTICE#{_key_part(notice.id)}", "NOTICE"


def _waiting(notice: Notice) -> Key:
    return OUTBOX, codec.stamped(notice.at, _key_part(notice.id))


def _key_part(notice_id: str) -> str:
    """The id, or its hash where it is too long for a key."""
    raw = notice_id.encode()
    return notice_id if len(raw) <= LONGEST_ID else hashlib.sha256(raw).hexdigest()
