"""A bounded share of the enumeration: no process that dies, hears no answer or meets another one leaves anything undone.

`make crash` runs all of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from zlib import crc32

import pytest

from chalicelib.ports import LaunchAnswer
from tests.crash.account import Account, opened
from tests.crash.enumerate import Result, enumerated
from tests.crash.recorder import Accident
from tests.crash.scenarios import SCENARIOS

SHARE = {
    "launch one-time": 12,
    "launch persistent at the second attempt": 12,
    "extend persistent earlier": 12,
    "adopt persistent": 25,
    "end persistent": 25,
    "end one-time with an image": 25,
    "shrink maintain by one": 25,
}
"""Of so many accidents one is taken."""


@pytest.fixture(scope="module")
def account() -> Iterator[Account]:
    with opened() as one:
        yield one


@pytest.mark.parametrize("name", SHARE)
def test_no_accident_at_any_call_loses_or_doubles_anything(account: Account, name: str) -> None:
    """Nothing runs without a lease, twice or for ever; no hold is kept; each end has one receipt and is told once."""
    result = enumerated(
        account,
        SCENARIOS[name],
        lambda one: crc32(f"{name} {one.mode} {one.at}".encode()) % SHARE[name] == 0,
    )
    assert result.calls
    assert result.accidents
    assert result.lines == []


class Forgetful:
    """A Compute that never finds what a lost launch has started."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def find_launched(self, *_: Any, **__: Any) -> LaunchAnswer:
        """Nothing at all."""
        return LaunchAnswer(outcome="refused")


def after_the_launch(account: Account, *, forgetful: bool) -> Result:
    """A launch that dies right after its fleet was made."""

    def before(_: Account) -> None:
        if forgetful:
            services = account.next.services
            compute: Any = Forgetful(services.compute)
            account.next.services = replace(services, compute=compute)

    scenario = replace(SCENARIOS["launch one-time"], before=before)
    (at,) = [number for number, one in enumerate(_calls(account), 1) if one == "ec2:CreateFleet"]
    return enumerated(account, scenario, lambda one: one == Accident("dies", at))


def _calls(account: Account) -> list[str]:
    return list(map(str, enumerated(account, SCENARIOS["launch one-time"], lambda _: False).calls))


def test_a_curfew_that_forgets_its_launches_is_found_out(account: Account) -> None:
    """What is asserted above can fail."""
    assert after_the_launch(account, forgetful=False).lines == []
    assert any("one Idempotency-Key has" in line for line in after_the_launch(account, forgetful=True).lines)
