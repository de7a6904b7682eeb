"""Who calls: a bearer token. The admin's is compared with the hash that the environment holds, and needs no table: it
works while nothing else does. Every other is looked up by its id, at each call anew.
"""

import hashlib
import hmac
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import date

from chalicelib.domain.errors import CurfewError
from chalicelib.domain.tokens import Caller, Needs, Role, Standing
from chalicelib.ports import Services
from chalicelib.settings import HASH_IT
from chalicelib.usecases import tokens
from chalicelib.web.problems import Forbidden, Unauthorized

ADMIN = "admin"
"""The owner that the admin token stands for."""
ROOT = Caller(owner=ADMIN, role=Role.ADMIN)

HOW = (
    "Send the token that an admin gave you, or the one whose SHA-256 Curfew was deployed with, as: "
    "Authorization: Bearer <token>"
)
HANDED_OVER_EVERY_SECONDS = 60.0


class Gate:
    """Lets callers in, and counts the wrong tokens. They are counted in the process, and handed to the table once a
    minute: a flood of them costs one write a minute, and what a process had not handed over when it ended is lost."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._wrong: dict[date, int] = {}
        self._next_at: float | None = None

    def caller_of(
        self,
        authorization: str | None,
        *,
        admin_token_sha256: str | None,
        services: Callable[[], Services],
    ) -> Caller | None:
        """Whom a header stands for, None without a header. Raises Unauthorized for anything but a valid token, and
        Unavailable where the table does not say whether it is one."""
        if authorization is None:
            return None
        scheme, _, text = authorization.strip().partition(" ")
        text = text.strip()
        if scheme.lower() != "bearer" or not text:
            raise Unauthorized(f"the Authorization header is of another form; nothing was done. {HOW}")
        if _is_admin(text, (admin_token_sha256 or "").strip().lower()):
            return ROOT
        if _is_hash(text, (admin_token_sha256 or "").strip().lower()):
            self._count(services())
            raise Unauthorized(f"{_UNHASHED}; nothing was done. {HOW}", slug="token-unhashed")
        standing, token = tokens.recognise(services(), text)
        if standing is Standing.ACTIVE and token:
            return token.caller
        self._count(services())
        raise Unauthorized(f"{_WRONG[standing]}; nothing was done. {HOW}")

    def hand_over(self, services: Services) -> None:
        """Give the table what was counted, where that is due. A failure is tried again a minute later."""
        with self._lock:
            now = services.clock.elapsed()
            if not self._wrong or (self._next_at is not None and now < self._next_at):
                return
            self._next_at = now + HANDED_OVER_EVERY_SECONDS
            counted, self._wrong = self._wrong, {}
        for day, count in counted.items():
            with suppress(CurfewError):
                services.tokens.count_wrong_tokens(day, count)
                continue
            with self._lock:
                self._wrong[day] = self._wrong.get(day, 0) + count

    def _count(self, services: Services) -> None:
        day = services.clock.now().date()
        with self._lock:
            self._wrong[day] = self._wrong.get(day, 0) + 1


_WRONG = {
    Standing.UNKNOWN: "this token is not known",
    Standing.EXPIRED: "this token's time is over",
    Standing.REVOKED: "this token was revoked",
}
"""Only who has the whole token is told that it once worked."""
_UNHASHED = (
    "this is what CURFEW_ADMIN_TOKEN_SHA256 holds, and a hash opens nothing. If it is one, send the token that it was "
    "made from. If it is the token itself, Curfew was deployed with it unhashed: make a new token, and deploy what "
    f"this prints: {HASH_IT}"
)
"""A token of 64 hexadecimal digits looks like a hash, and nobody can tell before it is sent."""


def admit(caller: Caller, needs: Needs, *, what: str) -> None:
    """Raises Forbidden where a caller's role does not do for `what`."""
    if not needs.admits(caller.role):
        raise Forbidden(
            f"{what} needs the role {needs}, and this token of {caller.owner} has the role {caller.role}; nothing was "
            "done. An admin can make one that has it: POST /tokens",
            needs=needs,
            role=caller.role,
        )


def _is_hash(token: str, expected: str) -> bool:
    """Whether what the environment holds was sent as it is."""
    sent = token.lower().encode("utf-8", "replace")
    return bool(expected) and hmac.compare_digest(sent, expected.encode("utf-8", "replace"))


def _is_admin(token: str, expected: str) -> bool:
    """HTTP servers hand over header bytes as Latin-1, so the token may be UTF-8 in disguise."""
    readings = [token.encode("utf-8", "replace"), token.encode("latin-1", "replace")]
    matches = [
        hmac.compare_digest(hashlib.sha256(reading).hexdigest().encode(), expected.encode("utf-8", "replace"))
        for reading in readings
    ]
    return bool(expected) and any(matches)
