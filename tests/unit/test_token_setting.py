"""The hash of the admin's token in the environment, and what may stand there in its place."""

import hashlib

import pytest

from chalicelib.settings import SettingsError, read

TOKEN = "sesame-opens-the-door"
HASH = hashlib.sha256(TOKEN.encode()).hexdigest()


@pytest.mark.parametrize("value", [HASH, HASH.upper(), f" {HASH}\n"])
def test_a_hash_is_taken_however_it_is_written(value: str) -> None:
    """Upper case and blanks round it don't matter."""
    assert read({"CURFEW_TABLE": "t", "CURFEW_ADMIN_TOKEN_SHA256": value}).admin_token_sha256 == HASH


@pytest.mark.parametrize(
    "value, why",
    [
        (TOKEN, "token itself.*make a new token"),
        (f"{HASH}  -", "more than the hash"),
        (f"{HASH} *stdin", "more than the hash"),
        (f"SHA2-256(stdin)= {HASH}", "more than the hash"),
        (HASH[:40], "no SHA-256, which has 64"),
        (f"{HASH}{HASH}", "no SHA-256, which has 64"),
        (f"{HASH[:32]} {HASH[32:]}", "token itself"),
        ("", "is not set"),
    ],
)
def test_what_is_no_hash_is_told_with_the_command_and_never_repeated(value: str, why: str) -> None:
    """It may be the token itself, and the message goes to the log."""
    with pytest.raises(SettingsError, match=f"CURFEW_ADMIN_TOKEN_SHA256 .*{why}") as told:
        read({"CURFEW_TABLE": "t", "CURFEW_ADMIN_TOKEN_SHA256": value})
    assert TOKEN not in str(told.value)
    assert HASH[:32] not in str(told.value)
    assert not value or "openssl dgst -sha256 -r | cut -d ' ' -f 1" in str(told.value)
