"""Tokens and the audit trail in memory, through the same JSON as in the table."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime

from chalicelib.domain.audit import Change
from chalicelib.domain.errors import NotFound, Stale
from chalicelib.domain.tokens import Token
from chalicelib.gateways.dynamodb_audit import AUDIT
from chalicelib.gateways.dynamodb_codec import cursor as make_cursor
from chalicelib.gateways.dynamodb_codec import from_text, position, stamp, stamped, to_text
from chalicelib.ports import Page
from tests.doubles.accidents import AccidentProne, call


class MemoryAccess(AccidentProne):
    """Implements chalicelib.ports.TokenBook and AuditTrail."""

    def __init__(self) -> None:
        super().__init__()
        self._tokens: dict[str, str] = {}
        self._wrong: dict[date, int] = {}
        self._changes: dict[str, str] = {}

    @call
    def token(self, token_id: str) -> Token | None:
        text = self._tokens.get(token_id)
        return from_text(Token, text) if text else None

    @call
    def tokens(self) -> tuple[Token, ...]:
        found = [from_text(Token, text) for text in self._tokens.values()]
        return tuple(sorted(found, key=lambda one: (one.created_at, one.id), reverse=True))

    @call
    def add_token(self, token: Token) -> None:
        if token.id in self._tokens:
            raise Stale(f"there is a token {token.id} already; none was made, ask again")
        self._tokens[token.id] = to_text(token)

    @call
    def revoke_token(self, token_id: str, at: datetime) -> Token:
        if token_id not in self._tokens:
            raise NotFound(f"no token has the id {token_id!r}; GET /tokens lists them")
        known = from_text(Token, self._tokens[token_id])
        revoked = replace(known, revoked_at=known.revoked_at or at)
        self._tokens[token_id] = to_text(revoked)
        return revoked

    @call
    def count_wrong_tokens(self, day: date, count: int) -> None:
        self._wrong[day] = self._wrong.get(day, 0) + count

    @call
    def wrong_tokens(self, days: Sequence[date]) -> dict[date, int]:
        return {day: self._wrong[day] for day in days if day in self._wrong}

    @call
    def note(self, change: Change) -> None:
        self._changes[stamped(change.at, change.id)] = to_text(change)

    @call
    def changes(
        self, *, since: datetime | None, owner: str | None, limit: int, cursor: str | None
    ) -> Page[Change]:
        before = position(AUDIT, cursor) if cursor else "~"
        first = stamp(since) if since else ""
        rows = {key: from_text(Change, text) for key, text in self._changes.items() if first <= key < before}
        mine = {key: one for key, one in rows.items() if owner in {None, one.owner}}
        newest = sorted(mine, reverse=True)
        shown = newest[:limit]
        more = make_cursor(AUDIT, shown[-1]) if len(newest) > limit else None
        return Page(tuple(mine[key] for key in shown), more)
