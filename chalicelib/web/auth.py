"""Who calls: a bearer token, compared in constant time with the hash that the environment holds."""

import hashlib
import hmac

from chalicelib.web.problems import Unauthorized

ADMIN = "admin"
"""The owner that the admin token stands for."""

HOW = "Send the token whose SHA-256 Curfew was deployed with, as: Authorization: Bearer <token>"


def caller_of(authorization: str | None, *, admin_token_sha256: str | None) -> str | None:
    """The owner a header stands for, None without a header. Raises Unauthorized for anything but a valid token."""
    if authorization is None:
        return None
    scheme, _, token = authorization.strip().partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token:
        raise Unauthorized(f"the Authorization header is of another form; nothing was done. {HOW}")
    if not _is_admin(token, (admin_token_sha256 or "").strip().lower()):
        raise Unauthorized(f"this token is not known; nothing was done. {HOW}")
    return ADMIN


def _is_admin(token: str, expected: str) -> bool:
    """HTTP servers hand over header bytes as Latin-1, so the token may be UTF-8 in disguise."""
    readings = [token.encode("utf-8", "replace"), token.encode("latin-1", "replace")]
    matches = [
        hmac.compare_digest(hashlib.sha256(reading).hexdigest().encode(), expected.encode("utf-8", "replace"))
        for reading in readings
    ]
    return bool(expected) and any(matches)
