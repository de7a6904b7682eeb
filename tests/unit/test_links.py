"""Links: what was signed is read as it was; anything else is no link, whatever it claims."""

from datetime import UTC, timedelta

from hypothesis import given
from hypothesis import strategies as some

from chalicelib.domain.links import Claim, Purpose, claim_of, token_of
from chalicelib.web.endpoint import _ID
from tests.builders import lease
from tests.doubles.memory_ports import START

SECRET = b"a secret"
NAIVE = START.replace(tzinfo=None)
LEASES = some.from_regex(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,80}", fullmatch=True)
MOMENTS = some.datetimes(NAIVE.replace(year=2020), NAIVE.replace(year=2100), timezones=some.just(UTC))
CLAIMS = some.builds(Claim, purpose=some.sampled_from(Purpose), lease_id=LEASES, expires_at=MOMENTS)


@given(CLAIMS)
def test_a_token_tells_its_claim_and_fits_into_a_path(claim: Claim) -> None:
    """To the second, which is all that a link needs."""
    token = token_of(claim, SECRET)
    read = claim_of(token, SECRET)
    assert read is not None
    assert (read.purpose, read.lease_id) == (claim.purpose, claim.lease_id)
    assert timedelta(0) <= claim.expires_at - read.expires_at < timedelta(seconds=1)
    assert _ID.fullmatch(token)


@given(CLAIMS, some.data())
def test_a_token_that_was_changed_anywhere_is_none(claim: Claim, data: some.DataObject) -> None:
    """Purpose, hour, lease or signature: one letter is enough."""
    token = token_of(claim, SECRET)
    place = data.draw(some.integers(0, len(token) - 1))
    letter = data.draw(some.sampled_from("Aa0.-_é").filter(lambda one: one != token[place]))
    assert claim_of(token[:place] + letter + token[place + 1 :], SECRET) is None


@given(some.text(max_size=60))
def test_whatever_is_sent_is_judged_without_an_error(token: str) -> None:
    """Nobody signed it."""
    assert claim_of(token, SECRET) is None


def test_another_secret_opens_nothing() -> None:
    """Neither a rotated one nor another deployment's."""
    claim = Claim(purpose=Purpose.KEEP_1H, lease_id=lease().id, expires_at=START)
    assert claim_of(token_of(claim, SECRET), b"another") is None
