"""A region that a caller names and that is nowhere is the caller's mistake, whichever route it is for."""

from typing import Any, NoReturn

import pytest

from chalicelib.domain.errors import Unavailable
from tests.unit.web_kit import open_world


class Nowhere:
    """A port of which nothing answers."""

    def __getattr__(self, name: str) -> Any:
        def ask(*_: object, **__: object) -> NoReturn:
            raise Unavailable(f"{name}: Could not connect", code="EndpointConnectionError")

        return ask


@pytest.mark.parametrize(
    "method, path, body",
    [
        ("GET", "/images?region=aa-a-0", None),
        ("GET", "/key-pairs?region=aa-a-0", None),
        ("POST", "/key-pairs", {"name": "laptop", "region": "aa-a-0"}),
    ],
)
def test_a_region_that_is_nowhere_is_no_outage(
    monkeypatch: pytest.MonkeyPatch, method: str, path: str, body: object
) -> None:
    """409 with how to see which regions there are; EC2 that is down at home is still a 503."""
    world = open_world(monkeypatch)
    world.put(keys=Nowhere(), catalogue=Nowhere())
    status, told = world(method, path, body)
    assert (status, told["type"], told["region"]) == (409, "/problems/region-denied", "aa-a-0")
    assert world("GET", "/key-pairs")[0] == 503
