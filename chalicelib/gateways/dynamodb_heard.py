"""What boxes told of themselves, an item each, all in one partition: the sweep reads them by one query.

A report costs a read and a write of an item; it is written over the one that was read, so of two at once none is lost.
"""

from datetime import timedelta

from chalicelib.domain.errors import Stale
from chalicelib.domain.heartbeats import Heard
from chalicelib.domain.sync import Synced
from chalicelib.gateways import dynamodb_codec as codec
from chalicelib.gateways.dynamodb_records import Records, new_write_id
from chalicelib.gateways.dynamodb_table import HASTE_SECONDS, Key, Write

HEARD = "HEARD"
SYNC = "SYNC"
SYNCED_FOR = timedelta(days=90)
"""After what a box told last of its data nobody asks for it any more."""
PATIENCE_SECONDS = 5.0
"""The box waits for its answer, and repeats what was not answered."""
KEPT_FOR = timedelta(days=1)
"""After the last report: nothing is known of a box that is silent for so long, and no report of then is taken again."""


class HeardRecords(Records):
    """Nothing of it is worth a transaction: a report that is lost comes again."""

    def heard(self) -> tuple[Heard, ...]:
        """Of every box that has told anything. Raises Unavailable within a second."""
        items = self._table.query("pk = :heard", {":heard": HEARD}, patience=HASTE_SECONDS)
        return tuple(codec.read(Heard, item) for item in items)

    def heard_of(self, instance_id: str) -> Heard | None:
        """Of one box. Raises Unavailable."""
        item = self._table.get(_key(instance_id))
        return codec.read(Heard, item) if item else None

    def keep_heard(self, heard: Heard, *, over: Heard | None) -> None:
        """Replace what was known of a box. Raises Stale where another report has been there first, Unavailable."""
        write_id = new_write_id()
        put = Write(
            operation="Put",
            key=_key(heard.instance_id),
            item={
                "report_count": heard.counter,
                "write_id": write_id,
                "expires_epoch": int((heard.heard_at + KEPT_FOR).timestamp()),
                **codec.document(heard),
            },
            condition="attribute_not_exists(pk)" if over is None else "report_count = :over",
            values={} if over is None else {":over": over.counter},
            refusal=Stale(f"another report of {heard.instance_id} came first; nothing was kept"),
        )
        self._table.commit([put], trace=(_key(heard.instance_id), write_id), patience=PATIENCE_SECONDS)

    def keep_synced(self, synced: Synced) -> None:
        """Of two reports the later one stands."""
        key = (f"{SYNC}#{synced.lease_id}", f"{synced.instance_id}#{synced.way}")
        expires = int((synced.at + SYNCED_FOR).timestamp())
        put = Write(operation="Put", key=key, item={"expires_epoch": expires, **codec.document(synced)})
        self._table.commit([put], patience=PATIENCE_SECONDS)

    def synced(self, lease_id: str) -> tuple[Synced, ...]:
        """One query. Raises Unavailable."""
        items = self._table.query("pk = :sync", {":sync": f"{SYNC}#{lease_id}"}, patience=PATIENCE_SECONDS)
        return tuple(codec.read(Synced, item) for item in items)


def _key(instance_id: str) -> Key:
    return HEARD, instance_id
