"""Who a token stands for."""

import hashlib

import pytest

from chalicelib.web.auth import ADMIN, caller_of
from chalicelib.web.problems import Unauthorized

HASH = hashlib.sha256(b"sesame").hexdigest()


@pytest.mark.parametrize("header", ["Bearer sesame", "bearer sesame", "BEARER   sesame ", " Bearer sesame"])
def test_the_admin_token_is_the_admin(header: str) -> None:
    """The scheme's case and stray blanks don't matter."""
    assert caller_of(header, admin_token_sha256=HASH) == ADMIN


@pytest.mark.parametrize("written", [HASH.upper(), f" {HASH}\n"])
def test_the_hash_may_be_written_carelessly(written: str) -> None:
    """Upper case and white space round it are forgiven."""
    assert caller_of("Bearer sesame", admin_token_sha256=written) == ADMIN


def test_a_token_is_hashed_as_utf_8_also_when_the_server_read_latin_1() -> None:
    """Python's HTTP server decodes header bytes as Latin-1."""
    token = "påssord-密码"
    expected = hashlib.sha256(token.encode()).hexdigest()
    assert caller_of(f"Bearer {token}", admin_token_sha256=expected) == ADMIN
    assert caller_of(f"Bearer {token.encode().decode('latin-1')}", admin_token_sha256=expected) == ADMIN


def test_no_header_is_nobody() -> None:
    """Whether that is enough is the route's to say."""
    assert caller_of(None, admin_token_sha256=HASH) is None


@pytest.mark.parametrize(
    "header", ["Bearer open", "Bearer", "Bearer ", "", "Basic sesame", "sesame", f"Bearer {HASH}"]
)
def test_anything_else_is_refused(header: str) -> None:
    """Also the hash itself, which is no secret."""
    with pytest.raises(Unauthorized, match=r"nothing was done.*Authorization: Bearer <token>"):
        caller_of(header, admin_token_sha256=HASH)


@pytest.mark.parametrize("missing", [None, "", "  "])
def test_without_a_hash_nobody_gets_in(missing: str | None) -> None:
    """An unset variable opens no door."""
    with pytest.raises(Unauthorized):
        caller_of("Bearer sesame", admin_token_sha256=missing)
