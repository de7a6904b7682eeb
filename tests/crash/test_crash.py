"""A bounded share of the enumeration: no process that dies, hears no answer or meets another one leaves anything undone.

`make crash` runs all of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from chalicelib.ports import LaunchAnswer
from tests.crash.account import Account, opened
from tests.crash.enumerate import Chooses, enumerated
from tests.crash.recorder import Accident
from tests.crash.scenarios import SCENARIOS

SHARE = {
    "launch one-time": [
        "dies ec2:CreateFleet",
        "unanswered ec2:CreateFleet",
        "interleaved dynamodb:TransactWriteItems",
    ],
    "extend persistent earlier": ["dies scheduler:UpdateSchedule", "interleaved scheduler:UpdateSchedule"],
    "adopt persistent": ["interleaved dynamodb:TransactWriteItems"],
    "end persistent": ["dies ec2:CancelSpotInstanceRequests", "retried ec2:TerminateInstances"],
    "end one-time with an image": ["unanswered ec2:CreateImage"],
    "launch one-time for an address": ["unanswered ec2:CreateSecurityGroup"],
    "save a box": ["unanswered ec2:CreateImage"],
    "shrink maintain by one": ["dies ec2:ModifyFleet", "interleaved ec2:ModifyFleet"],
}
"""The accidents that are taken, each at the first call of its name."""


@pytest.fixture(scope="module")
def account() -> Iterator[Account]:
    with opened() as one:
        yield one


def first_of(wanted: list[str]) -> Chooses:
    """Choose each of these once."""
    left = set(wanted)

    def chooses(accident: Accident, call: str) -> bool:
        name = f"{accident.mode} {call}"
        is_chosen = name in left
        left.discard(name)
        return is_chosen

    return chooses


@pytest.mark.parametrize("name", SHARE)
def test_no_accident_at_any_call_loses_or_doubles_anything(account: Account, name: str) -> None:
    """Nothing runs without a lease, twice or for ever; no hold is kept; each end has one receipt and is told once."""
    result = enumerated(account, SCENARIOS[name], first_of(SHARE[name]))
    assert result.accidents == sum(1 + one.startswith("dies") for one in SHARE[name])
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


def test_a_curfew_that_forgets_its_launches_is_found_out(account: Account) -> None:
    """What is asserted above can fail."""

    def forget(_: Account) -> None:
        compute: Any = Forgetful(account.next.services.compute)
        account.next.services = replace(account.next.services, compute=compute)

    scenario = replace(SCENARIOS["launch one-time"], before=forget)
    result = enumerated(account, scenario, first_of(["dies ec2:CreateFleet"]))
    assert result.accidents
    assert result.lines != []
