"""Slack down or slow changes nothing about what ends."""

import pytest

from chalicelib.domain.notices import Kind
from tests.builders import MINUTE, REGION, Stage, at
from tests.doubles.accidents import Crash
from tests.unit.sweep_kit import is_over, one_hour


def test_slack_down_changes_nothing_and_its_messages_come_later() -> None:
    """What ends ends; each message is delivered once Slack is back, none twice."""
    stage = Stage()
    stage.prices.set_spot(f"{REGION}a", "g5.xlarge", "0.4")
    one_hour(stage)
    stage.notifier.fail(times=1000)
    record = stage.until(at("10:00"))
    assert is_over(stage)
    assert any("Slack answered 500" in lack for lack in record.lacking)
    assert stage.notifier.sent == []
    stage.notifier.fail(times=0)
    stage.until(at("10:30"))
    kinds = [notice.kind for notice in stage.notifier.sent]
    assert sorted(kinds) == sorted([Kind.LAUNCHED, Kind.WARNED, Kind.ENDED])


def test_slack_is_spoken_to_after_everything_has_ended() -> None:
    """A message that never comes back delays no end."""
    stage = Stage()
    one_hour(stage)
    stage.until(at("09:59"))
    stage.clock.advance(MINUTE)

    def hang(*_: object) -> None:
        raise Crash

    stage.store.hook = lambda method, _phase: hang() if method == "claim_notices" else None
    with pytest.raises(Crash):
        stage.sweep()
    assert is_over(stage)
