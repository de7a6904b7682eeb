"""Tokens, each in an item of its own that is read by its id at each call; and how many wrong ones came on a day.

A token that is over stays for 400 days, so that the audit trail's `token_id` says whose it was.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta

from chalicelib.domain.errors import NotFound, Stale
from chalicelib.domain.tokens import Token
from chalicelib.gateways import dynamodb_codec as codec
from chalicelib.gateways.dynamodb_codec import Item
from chalicelib.gateways.dynamodb_records import Records, new_write_id
from chalicelib.gateways.dynamodb_table import HASTE_SECONDS, Key, Write

TOKENS = "TOKENS"
WRONG = "WRONG_TOKENS"
KEPT_FOR = timedelta(days=400)
COUNTED_FOR = timedelta(days=40)


class TokenRecords(Records):
    """Implements chalicelib.ports.TokenBook."""

    def token(self, token_id: str) -> Token | None:
        """The record of an id, read consistently. Raises Unavailable."""
        item = self._table.get(_key(token_id), sentence="Who calls could not be checked; nothing was done")
        return codec.read(Token, item) if item else None

    def tokens(self) -> tuple[Token, ...]:
        """All that are kept, newest first. Raises Unavailable."""
        found = [codec.read(Token, item) for item in self._table.query("pk = :tokens", {":tokens": TOKENS})]
        return tuple(sorted(found, key=lambda one: (one.created_at, one.id), reverse=True))

    def add_token(self, token: Token) -> None:
        """Keep a new one. Raises Stale, Unavailable."""
        write_id = new_write_id()
        put = Write(
            operation="Put",
            key=_key(token.id),
            item={**_item(token), "write_id": write_id},
            condition="attribute_not_exists(pk)",
            refusal=Stale(f"there is a token {token.id} already; none was made, ask again"),
        )
        self._table.commit([put], trace=(_key(token.id), write_id))

    def revoke_token(self, token_id: str, at: datetime) -> Token:
        """Revoke it; the first time stands. Raises NotFound, Unavailable."""
        token = self.token(token_id)
        unknown = NotFound(f"no token has the id {token_id!r}; GET /tokens lists them")
        if token is None:
            raise unknown
        if token.revoked_at is None:
            token = replace(token, revoked_at=at)
            put = Write(
                operation="Put",
                key=_key(token_id),
                item=_item(token),
                condition="attribute_exists(pk)",
                refusal=unknown,
            )
            self._table.commit([put], sentence="It may still be in force: ask again")
        return token

    def count_wrong_tokens(self, day: date, count: int) -> None:
        """Add to a day's; where an answer is lost they may count twice. Raises Unavailable within a second."""
        gone_at = datetime.combine(day, time(), UTC) + COUNTED_FOR
        add = Write(
            operation="Update",
            key=(WRONG, day.isoformat()),
            update="SET wrong = if_not_exists(wrong, :none) + :count, expires_epoch = :epoch",
            values={":none": 0, ":count": count, ":epoch": int(gone_at.timestamp())},
        )
        self._table.commit([add], patience=HASTE_SECONDS)

    def wrong_tokens(self, days: Sequence[date]) -> dict[date, int]:
        """By day. Raises Unavailable."""
        found = self._table.get_many((WRONG, day.isoformat()) for day in days)
        return {date.fromisoformat(day): int(str(item["wrong"])) for (_, day), item in found.items()}


def _item(token: Token) -> Item:
    over_at = min((at for at in (token.expires_at, token.revoked_at) if at), default=None)
    vanishes: Item = {"expires_epoch": int((over_at + KEPT_FOR).timestamp())} if over_at else {}
    return {**vanishes, **codec.document(token)}


def _key(token_id: str) -> Key:
    return TOKENS, token_id
