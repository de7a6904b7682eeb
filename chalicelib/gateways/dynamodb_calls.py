"""Calls under an Idempotency-Key, an item each: begun by one process, answered, or forgotten."""

from chalicelib.domain.errors import Unavailable
from chalicelib.domain.once import IN_FLIGHT_FOR, KEPT_FOR, KeyedCall
from chalicelib.gateways import dynamodb_codec as codec
from chalicelib.gateways.dynamodb_codec import Item
from chalicelib.gateways.dynamodb_records import Records
from chalicelib.gateways.dynamodb_table import HASTE_SECONDS, Key, Write

PATIENCE_SECONDS = 5.0
"""A call that can't be begun by then is refused: whoever asks still waits for the rest."""
TRIES = 3
"""A call that stood in the way may be forgotten before it is read."""


class CallRecords(Records):
    """What `chalicelib.domain.once` decides, as conditions."""

    def begin_call(self, asked: KeyedCall) -> KeyedCall:
        """What stands under the key now: `asked` itself where it may be made. Raises Unavailable."""
        put = Write(
            operation="Put",
            key=_key(asked),
            item=_item(asked),
            condition=(
                "attribute_not_exists(pk) OR holder = :mine OR expires_epoch <= :now OR "
                "(attribute_not_exists(answered) AND began_at < :died AND fingerprint = :fingerprint)"
            ),
            values={
                ":mine": asked.holder,
                ":now": int(asked.began_at.timestamp()),
                ":died": codec.stamp(asked.began_at - IN_FLIGHT_FOR),
                ":fingerprint": asked.fingerprint,
            },
            group="begin",
        )
        for _ in range(TRIES):
            if not self._table.commit([put], patience=PATIENCE_SECONDS, sentence=NOT_BEGUN):
                return asked
            standing = self._table.get(_key(asked), sentence=NOT_BEGUN)
            if standing:
                return codec.read(KeyedCall, standing)
        raise Unavailable(f"other calls with this Idempotency-Key came and went. {NOT_BEGUN}")

    def keep_call(self, answered: KeyedCall) -> None:
        """Write the answer over one's own beginning; what another has taken over stays theirs. Raises Unavailable."""
        put = Write(
            operation="Put",
            key=_key(answered),
            item={**_item(answered), "answered": 1},
            condition="holder = :mine",
            values={":mine": answered.holder},
            group="keep",
        )
        self._table.commit([put], patience=HASTE_SECONDS)

    def forget_call(self, asked: KeyedCall) -> None:
        """Remove one's own beginning; what another has taken over stays theirs. Raises Unavailable."""
        delete = Write(
            operation="Delete",
            key=_key(asked),
            condition="holder = :mine",
            values={":mine": asked.holder},
            group="forget",
        )
        self._table.commit([delete], patience=HASTE_SECONDS)


NOT_BEGUN = "Nothing was done; send the same again, with the same Idempotency-Key, in a minute"


def _key(call: KeyedCall) -> Key:
    return f"CALL#{call.id}", "CALL"


def _item(call: KeyedCall) -> Item:
    return {
        "holder": call.holder,
        "fingerprint": call.fingerprint,
        "began_at": codec.stamp(call.began_at),
        "expires_epoch": int((call.began_at + KEPT_FOR).timestamp()),
        **codec.document(call),
    }
