"""Who may call, and what they changed: tokens, and the audit trail."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Protocol

from chalicelib.domain.audit import Change
from chalicelib.domain.errors import Unavailable
from chalicelib.domain.tokens import Token
from chalicelib.ports.records import Page


class TokenBook(Protocol):
    """The tokens that were made, and how many wrong ones were sent."""

    def token(self, token_id: str) -> Token | None:
        """The record of an id, as it is at this moment: what was revoked a second ago is. Raises Unavailable."""

    def tokens(self) -> tuple[Token, ...]:
        """All that are kept, newest first. Raises Unavailable."""

    def add_token(self, token: Token) -> None:
        """Keep a new one. Raises Stale where its id is taken, Unavailable."""

    def revoke_token(self, token_id: str, at: datetime) -> Token:
        """Revoke it, once: the first time stands. Raises NotFound, Unavailable."""

    def count_wrong_tokens(self, day: date, count: int) -> None:
        """Add to a day's. Raises Unavailable within a second."""

    def wrong_tokens(self, days: Sequence[date]) -> dict[date, int]:
        """How many were counted on each of these days; those without any are left out. Raises Unavailable."""


class AuditTrail(Protocol):
    """What was changed. Nothing waits for it for long, and nothing is undone where it fails."""

    def note(self, change: Change) -> None:
        """Keep a change in place of what was kept of it before; for 400 days. Raises Unavailable within a second."""

    def changes(
        self, *, since: datetime | None, owner: str | None, limit: int, cursor: str | None
    ) -> Page[Change]:
        """Changes since a moment, an owner's where one is named, newest first. Raises Unavailable."""


class NoTokens:
    """No tokens are kept: nobody has one but the deployment's own."""

    def token(self, token_id: str) -> Token | None:
        """None is known."""

    def tokens(self) -> tuple[Token, ...]:
        """None."""
        return ()

    def add_token(self, token: Token) -> None:
        """There is nowhere to keep it."""
        raise Unavailable(f"tokens are not set up: none was made for {token.owner}")

    def revoke_token(self, token_id: str, at: datetime) -> Token:
        """There is none."""
        raise Unavailable(f"tokens are not set up: {token_id} was not revoked at {at:%H:%M}")

    def count_wrong_tokens(self, day: date, count: int) -> None:
        """Forgotten."""

    def wrong_tokens(self, days: Sequence[date]) -> dict[date, int]:
        """None were counted."""
        del days
        return {}


class NoAuditTrail:
    """Nothing is kept."""

    def note(self, change: Change) -> None:
        """Forgotten."""

    def changes(
        self, *, since: datetime | None, owner: str | None, limit: int, cursor: str | None
    ) -> Page[Change]:
        """None."""
        del since, owner, limit, cursor
        return Page(())
