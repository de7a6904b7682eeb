"""`make token`: a first token to deploy with, and tokens from a Curfew that runs."""

import json
import re
from collections.abc import Mapping

import pytest

from chalicelib.domain.tokens import hash_of
from tests.unit.web_kit import TOKEN, World, open_world
from tools import make_token

HERE = {"CURFEW_URL": "https://curfew.example/prod/", "CURFEW_TOKEN": TOKEN}


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    """The app on doubles."""
    return open_world(monkeypatch)


def to(world: World) -> make_token.Post:
    """Calls that reach the app."""

    def send(url: str, headers: Mapping[str, str], body: bytes) -> tuple[int, bytes]:
        assert url == "https://curfew.example/prod/tokens"
        answer = world.respond("POST", "/tokens", json.loads(body), headers)
        return answer.status_code, answer.body

    return send


def test_a_first_token_comes_with_the_hash_to_deploy_with(capsys: pytest.CaptureFixture[str]) -> None:
    """No two are alike."""
    seen = set()
    for _ in range(2):
        assert make_token.main({}) == 0
        *_, hashed, token = capsys.readouterr().out.splitlines()
        assert re.fullmatch(r"curfew_[0-9a-f]{12}_[0-9a-f]{64}", token)
        assert hashed == f"AdminTokenSha256={hash_of(token)}"
        seen.add(token)
    assert len(seen) == 2


def test_a_token_for_somebody_is_the_last_line(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """And works; the lines before say whose it is and how it is taken back."""
    said = {"OWNER": "ada", "ROLE": "launcher", "EXPIRES_IN": "P90D", "LIMIT_USD": "50"}
    assert make_token.main({**HERE, **said}, to(world)) == 0
    *_, about, token = capsys.readouterr().out.splitlines()
    assert "DELETE /tokens/" in about
    assert world("GET", "/leases", headers={"Authorization": f"Bearer {token}"})[0] == 200
    assert world("GET", "/budgets/ada")[1]["limit_usd"] == "50"


@pytest.mark.parametrize(
    "said, status, why",
    [
        ({"OWNER": "ada"}, 2, "CURFEW_URL"),
        ({"OWNER": "ada", "CURFEW_URL": "curfew.example", "CURFEW_TOKEN": TOKEN}, 2, "CURFEW_URL"),
        ({**HERE, "OWNER": "ada", "ROLE": "root"}, 1, "role"),
        ({**HERE, "OWNER": "ada", "CURFEW_TOKEN": "guess"}, 1, "401"),
    ],
)
def test_what_went_wrong_is_told(
    world: World, capsys: pytest.CaptureFixture[str], said: Mapping[str, str], status: int, why: str
) -> None:
    """With Curfew's own words where it refused; no token is shown."""
    assert make_token.main(said, to(world)) == status
    told = capsys.readouterr()
    assert why in told.err
    assert not told.out
