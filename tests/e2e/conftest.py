"""Curfew on localaws, over HTTP: one server for all tests of a worker, started over for each."""

from collections.abc import Iterator

import pytest

from localaws.demo.stage import Stage
from tests.e2e.kit import Lab


@pytest.fixture(scope="session")
def stage() -> Iterator[Stage]:
    """The server, as `make serve` runs it, with its clock standing still."""
    with Stage("--regions", "us-east-1,eu-west-1") as running:
        yield running


@pytest.fixture
def lab(stage: Stage) -> Lab:
    """An empty account, Curfew's table empty too."""
    stage.world("DELETE", "")
    return Lab(stage)
