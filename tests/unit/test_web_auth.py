"""Who a token stands for."""

import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.errors import Unavailable
from chalicelib.domain.tokens import Caller, Role, Standing, Token, compose, hash_of, id_of, judge
from chalicelib.ports import Services
from chalicelib.web.auth import ROOT, Gate
from chalicelib.web.problems import Unauthorized
from tests.doubles.memory_compute import MemoryCompute
from tests.doubles.memory_ports import MemoryClock
from tests.doubles.memory_store import MemoryStore
from tests.unit.web_kit import on_doubles

HASH = hashlib.sha256(b"sesame").hexdigest()
TEXT = compose(b"six.id", b"a secret of 32 bytes, to the end")
NOW = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
ADA = Token(
    id=id_of(TEXT) or "",
    owner="ada",
    role=Role.LAUNCHER,
    hash=hash_of(TEXT),
    created_at=NOW,
    created_by="admin",
)


class Desk:
    """A gate, and the store behind it."""

    def __init__(self) -> None:
        self.clock, self.store, self.gate = MemoryClock(), MemoryStore(), Gate()
        self.services: Services = on_doubles(self.clock, MemoryCompute(self.clock), self.store)

    def __call__(self, header: str | None, *, sha256: str | None = HASH) -> Caller | None:
        return self.gate.caller_of(header, admin_token_sha256=sha256, services=lambda: self.services)

    def wrong(self) -> int:
        """How many wrong tokens the table has counted today."""
        self.gate.hand_over(self.services)
        today = self.clock.now().date()
        return self.store.wrong_tokens([today]).get(today, 0)


@pytest.fixture
def desk() -> Desk:
    """Nobody has a token yet."""
    return Desk()


@pytest.mark.parametrize("header", ["Bearer sesame", "bearer sesame", "BEARER   sesame ", " Bearer sesame"])
def test_the_admin_token_is_the_admin(desk: Desk, header: str) -> None:
    """The scheme's case and stray blanks don't matter."""
    assert desk(header) == ROOT


@pytest.mark.parametrize("written", [HASH.upper(), f" {HASH}\n"])
def test_the_hash_may_be_written_carelessly(desk: Desk, written: str) -> None:
    """Upper case and white space round it are forgiven."""
    assert desk("Bearer sesame", sha256=written) == ROOT


def test_a_token_is_hashed_as_utf_8_also_when_the_server_read_latin_1(desk: Desk) -> None:
    """Python's HTTP server decodes header bytes as Latin-1."""
    token = "påssord-密码"
    expected = hashlib.sha256(token.encode()).hexdigest()
    assert desk(f"Bearer {token}", sha256=expected) == ROOT
    assert desk(f"Bearer {token.encode().decode('latin-1')}", sha256=expected) == ROOT


def test_no_header_is_nobody(desk: Desk) -> None:
    """Whether that is enough is the route's to say."""
    assert desk(None) is None


@pytest.mark.parametrize(
    "header", ["Bearer open", "Bearer", "Bearer ", "", "Basic sesame", "sesame", f"Bearer {HASH}"]
)
def test_anything_else_is_refused(desk: Desk, header: str) -> None:
    """Also the hash itself, which is no secret; none of it is looked up, because it has not the form of a token."""
    with pytest.raises(Unauthorized, match=r"nothing was done.*Authorization: Bearer <token>"):
        desk(header)
    assert desk.store.calls == []


def test_a_token_that_was_deployed_unhashed_is_told_as_such(desk: Desk) -> None:
    """One of 64 hexadecimal digits passes for a hash, so this is the first to show it: what was sent is what the
    environment holds. The answer has the command that hashes it, and not the token."""
    token = "0123456789abcdef" * 4
    for sent in (token, token.upper()):
        with pytest.raises(Unauthorized, match=r"deployed with it unhashed.*openssl dgst -sha256") as told:
            desk(f"Bearer {sent}", sha256=token)
        assert told.value.slug == "token-unhashed"
        assert token not in told.value.detail.lower()


@pytest.mark.parametrize("missing", [None, "", "  "])
def test_without_a_hash_nobody_gets_in(desk: Desk, missing: str | None) -> None:
    """An unset variable opens no door."""
    with pytest.raises(Unauthorized):
        desk("Bearer sesame", sha256=missing)


def test_a_token_of_the_table_is_its_owner_in_its_role(desk: Desk) -> None:
    """Found by the id that stands in it, by one read."""
    desk.store.add_token(ADA)
    assert desk(f"Bearer {TEXT}") == Caller(owner="ada", role=Role.LAUNCHER, token_id=ADA.id)
    assert desk.store.calls.count("token") == 1


def test_the_admin_token_reads_no_table(desk: Desk) -> None:
    """So that boxes can be ended while it fails; a token from it is a 503 then, and not counted as a wrong one."""
    desk.store.inject("token", Unavailable("the table does not answer"))
    assert desk("Bearer sesame") == ROOT
    with pytest.raises(Unavailable):
        desk(f"Bearer {TEXT}")
    assert desk.wrong() == 0


def test_a_wrong_secret_is_told_what_an_unknown_id_is(desk: Desk) -> None:
    """Nobody learns which ids there are."""
    with pytest.raises(Unauthorized) as unknown:
        desk(f"Bearer {TEXT}")
    desk.store.add_token(ADA)
    desk.store.revoke_token(ADA.id, NOW)
    with pytest.raises(Unauthorized) as wrong:
        desk(f"Bearer {TEXT[:-1]}0")
    assert wrong.value.detail == unknown.value.detail


def test_a_revoked_token_is_refused_by_the_next_call(desk: Desk) -> None:
    """Nothing is remembered of it between two calls; who has all of it is told why."""
    desk.store.add_token(ADA)
    desk(f"Bearer {TEXT}")
    desk.store.revoke_token(ADA.id, desk.clock.now())
    with pytest.raises(Unauthorized, match="was revoked"):
        desk(f"Bearer {TEXT}")


def test_a_token_ends_at_its_time(desk: Desk) -> None:
    """To the second."""
    expires_at = desk.clock.now() + timedelta(hours=1)
    desk.store.add_token(
        Token(
            id=ADA.id,
            owner="ada",
            role=Role.VIEWER,
            hash=ADA.hash,
            created_at=NOW,
            created_by="admin",
            expires_at=expires_at,
        )
    )
    desk.clock.advance(timedelta(minutes=59, seconds=59))
    assert desk(f"Bearer {TEXT}")
    desk.clock.advance(timedelta(seconds=1))
    with pytest.raises(Unauthorized, match="time is over"):
        desk(f"Bearer {TEXT}")


@given(place=st.integers(0, len(TEXT) - 1), letter=st.sampled_from("0123456789abcdefg_ "))
def test_a_token_with_another_letter_is_none(place: int, letter: str) -> None:
    """Wherever it is changed, and whatever has become of the true one, it is unknown; only the true one is let in."""
    changed = TEXT[:place] + letter + TEXT[place + 1 :]
    for known in (None, ADA, replace(ADA, revoked_at=NOW), replace(ADA, expires_at=NOW)):
        found = known if id_of(changed) == ADA.id else None
        assert changed == TEXT or judge(changed, found, NOW) is Standing.UNKNOWN


def test_a_flood_of_wrong_tokens_is_counted_by_one_write_a_minute(desk: Desk) -> None:
    """The first is told at once; of the others none is lost while the process lives."""
    for _ in range(500):
        with pytest.raises(Unauthorized):
            desk("Bearer open")
        desk.gate.hand_over(desk.services)
    assert desk.store.calls.count("count_wrong_tokens") == 1
    assert desk.wrong() == 1
    desk.clock.advance(timedelta(minutes=1))
    assert desk.wrong() == 500


def test_what_the_table_did_not_take_is_counted_later(desk: Desk) -> None:
    """A minute later, not at the next call."""
    desk.store.inject("count_wrong_tokens", Unavailable("the table does not answer"))
    with pytest.raises(Unauthorized):
        desk("Bearer open")
    assert (desk.wrong(), desk.wrong()) == (0, 0)
    desk.clock.advance(timedelta(minutes=1))
    assert desk.wrong() == 1
