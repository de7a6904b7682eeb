"""Signed links: what whoever reads a warning may do about it without a token.

A link carries its claim in the open: what it is for, until when, and for which one lease. HMAC-SHA-256 under a secret
that only Curfew has makes it; changed in any letter it is none. The claim is looked at once its signature is proven,
never before, and the comparison takes the same time however much of it is right.
"""

import hmac
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

MEANT_FOR = b"curfew-link-1:"
"""Signed with every claim: a signature made for something else opens nothing here."""


class Purpose(StrEnum):
    """The one thing that a link does."""

    KEEP_1H = "keep1h"
    KEEP_4H = "keep4h"
    SHOW = "show"

    @property
    def keeps_for(self) -> timedelta | None:
        """How long it puts an end for idleness off, from the moment it is used; None: it only shows."""
        return {Purpose.KEEP_1H: timedelta(hours=1), Purpose.KEEP_4H: timedelta(hours=4)}.get(self)

    @property
    def label(self) -> str:
        """What people read on it."""
        return {Purpose.KEEP_1H: "Keep it 1 h", Purpose.KEEP_4H: "Keep it 4 h"}.get(self, "Show me")


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What a link is for, and until when it works (to the second)."""

    purpose: Purpose
    lease_id: str
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """What a message shows, and where it leads."""

    label: str
    url: str


def token_of(claim: Claim, secret: bytes) -> str:
    """The claim and its signature, in letters that a path takes as they are."""
    text = f"{claim.purpose}.{int(claim.expires_at.timestamp())}.{claim.lease_id}"
    return f"{text}.{_signature(text, secret)}"


def claim_of(token: str, secret: bytes) -> Claim | None:
    """What a token claims; None for one that this secret has not signed."""
    text, _, signature = token.rpartition(".")
    if not hmac.compare_digest(signature.encode(), _signature(text, secret).encode()):
        return None
    purpose, epoch, lease_id = text.split(".", 2)
    return Claim(
        purpose=Purpose(purpose),
        lease_id=lease_id,
        expires_at=datetime.fromtimestamp(int(epoch), tz=UTC),
    )


def _signature(text: str, secret: bytes) -> str:
    digest = hmac.digest(secret, MEANT_FOR + text.encode(), "sha256")
    return urlsafe_b64encode(digest).decode().rstrip("=")
