"""Who may call, and as what: tokens, the roles that they give, and what each role is let in for.

A token is `curfew_<id>_<secret>`: a form that secret scanners can look for (docs/people.md has the pattern), whose id
finds the record that it is compared with. The secret has 256 random bits, so that its plain SHA-256 tells nobody
anything: there is no list of likely ones to try.
"""

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

ID_BYTES, SECRET_BYTES = 6, 32
_FORM = re.compile(rf"curfew_([0-9a-f]{{{2 * ID_BYTES}}})_[0-9a-f]{{{2 * SECRET_BYTES}}}")


class Role(StrEnum):
    """What somebody may do. A viewer reads what regards anybody; a launcher reads and changes his own alone."""

    VIEWER = "viewer"
    LAUNCHER = "launcher"
    ADMIN = "admin"


class Needs(StrEnum):
    """Whom a route lets in. Viewer and launcher are no steps of one ladder: one sees more, the other may act."""

    READER = "any role"
    """It reads, and shows a launcher what is his own."""
    VIEWER = "viewer or admin"
    """It reads what can't be told apart by owner."""
    LAUNCHER = "launcher or admin"
    """It changes; a launcher's own only."""
    ADMIN = "admin"

    def admits(self, role: Role) -> bool:
        """Whether somebody of that role is let in."""
        return role in _ADMITTED[self]


_ADMITTED: Mapping[Needs, frozenset[Role]] = {
    Needs.READER: frozenset(Role),
    Needs.VIEWER: frozenset({Role.VIEWER, Role.ADMIN}),
    Needs.LAUNCHER: frozenset({Role.LAUNCHER, Role.ADMIN}),
    Needs.ADMIN: frozenset({Role.ADMIN}),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who calls. `token_id` is None for the token that the deployment itself knows, which is in no record."""

    owner: str
    role: Role
    token_id: str | None = None

    @property
    def only(self) -> str | None:
        """The owner whose things alone they may see and touch; None: everybody's."""
        return self.owner if self.role is Role.LAUNCHER else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """What is kept of a token: never the token. `created_by`: the owner who made it. Without `expires_at` it works
    until it is revoked."""

    id: str
    owner: str
    role: Role
    hash: str = field(repr=False)
    created_at: datetime
    created_by: str
    expires_at: datetime | None = None
    revoked_at: datetime | None = None

    def standing(self, now: datetime) -> "Standing":
        """What has become of it."""
        if self.revoked_at is not None:
            return Standing.REVOKED
        if self.expires_at is not None and now >= self.expires_at:
            return Standing.EXPIRED
        return Standing.ACTIVE

    @property
    def caller(self) -> Caller:
        """Whom it lets in."""
        return Caller(owner=self.owner, role=self.role, token_id=self.id)


class Standing(StrEnum):
    """What a token that was sent is; `unknown`: none of ours, or one with another secret."""

    ACTIVE = "active"
    EXPIRED = "expired"
    REVOKED = "revoked"
    UNKNOWN = "unknown"


def compose(random_id: bytes, secret: bytes) -> str:
    """The token made of that much chance."""
    return f"curfew_{random_id.hex()}_{secret.hex()}"


def id_of(text: str) -> str | None:
    """The id in a token; None where it has not even the form of one, so that nothing needs to be looked up."""
    match = _FORM.fullmatch(text)
    return match.group(1) if match else None


def hash_of(text: str) -> str:
    """What is kept of it, and compared."""
    return hashlib.sha256(text.encode()).hexdigest()


def judge(text: str, known: Token | None, now: datetime) -> Standing:
    """What a token that was sent is, beside the record of its id. Of one with another secret nothing more is told than
    of one that never was."""
    if known is None or not hmac.compare_digest(hash_of(text), known.hash):
        return Standing.UNKNOWN
    return known.standing(now)
