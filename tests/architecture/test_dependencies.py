"""What ships stays small, and every version is pinned."""

import re
import tomllib

import pytest

from tests.architecture.sources import ROOT

NEVER_AT_RUN_TIME = {
    "boto3",
    "botocore",
    "chalice",
    "moto",
    "pip",
    "pytest",
    "setuptools",
    "urllib3",
    "wheel",
}


def pins(name: str) -> list[str]:
    """The requirements in a file, without comments and includes."""
    lines = (line.partition("#")[0].strip() for line in (ROOT / name).read_text().splitlines())
    return [line for line in lines if line and not line.startswith("-r")]


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_every_version_is_pinned(name: str) -> None:
    """A build tomorrow is the build of today."""
    assert [
        pin for pin in pins(name) if not re.fullmatch(r"[A-Za-z0-9_.\[\],-]+==[0-9][0-9a-z.]*", pin)
    ] == []


def test_run_time_needs_neither_chalice_nor_boto3() -> None:
    """Chalice adds its own two files and Lambda brings boto3; listed, they drag in botocore, pip and setuptools."""
    names = {re.split(r"[\[=]", pin)[0].lower() for pin in pins("requirements.txt")}
    assert names.isdisjoint(NEVER_AT_RUN_TIME)


def test_the_oldest_boto3_is_stated_and_older_than_the_one_developed_with() -> None:
    """`make test-oldest-boto3` tests something else than `make test`."""
    oldest = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["curfew"]["oldest-boto3"]
    (developed,) = (
        pin.partition("==")[2] for pin in pins("requirements-dev.txt") if pin.startswith("boto3==")
    )
    assert tuple(map(int, oldest.split("."))) < tuple(map(int, developed.split(".")))
