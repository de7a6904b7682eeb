"""The dead man's URL: one GET, nothing of the address in any failure."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from chalicelib.domain.errors import Unavailable
from chalicelib.gateways.deadman import DeadManUrl

SECRET = "/ping/secret"


class Elsewhere(HTTPServer):
    """Keeps the paths that are asked for, and answers with `status`."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Get)
        self.status = 200
        self.paths: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}{SECRET}"


class _Get(BaseHTTPRequestHandler):
    server: Elsewhere

    def do_GET(self) -> None:
        self.server.paths.append(self.path)
        self.send_response(self.server.status)
        self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def elsewhere() -> Iterator[Elsewhere]:
    with Elsewhere() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_it_is_called_once(elsewhere: Elsewhere) -> None:
    """By GET, at its whole address."""
    DeadManUrl(elsewhere.url).is_alive()
    assert elsewhere.paths == [SECRET]


@pytest.mark.parametrize("status", [302, 404, 500])
def test_any_other_answer_is_a_failure_that_names_no_address(elsewhere: Elsewhere, status: int) -> None:
    """A redirection is not followed: whoever answers it is not who was told."""
    elsewhere.status = status
    with pytest.raises(Unavailable, match=str(status)) as error:
        DeadManUrl(elsewhere.url).is_alive()
    assert "secret" not in str(error.value)
    assert elsewhere.paths == [SECRET]


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/ping/secret", "http://[/ping/secret"])
def test_no_answer_is_a_failure_that_names_no_address(url: str) -> None:
    """Nobody listens, or the address is none."""
    with pytest.raises(Unavailable) as error:
        DeadManUrl(url).is_alive()
    assert "secret" not in str(error.value)
    assert error.value.__cause__ is None
