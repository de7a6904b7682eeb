"""Who guards the guard: what is overdue is counted and told louder, and somebody elsewhere hears that Curfew lives."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib import settings
from chalicelib.domain.errors import Unavailable
from chalicelib.domain.lease import Step
from chalicelib.domain.missed import LONGEST_SILENCE, denials, loudness
from chalicelib.domain.notices import Kind
from chalicelib.domain.steps import TERMINATE
from chalicelib.usecases.end import end_instance
from chalicelib.usecases.health import health
from chalicelib.usecases.sweep import sweep
from tests.builders import HOUR, MINUTE, REGION, START, Stage, at, minutes, usd
from tests.unit.sweep_kit import is_over, one_hour

HASH = "a" * 64
ENOUGH = {"CURFEW_TABLE": "curfew", "CURFEW_ADMIN_TOKEN_SHA256": HASH}


@dataclass
class Listener:
    """Somebody elsewhere; deaf while `is_deaf`."""

    heard: list[datetime] = field(default_factory=list)
    stage: Stage | None = None
    is_deaf: bool = False

    def is_alive(self) -> None:
        assert self.stage
        self.heard.append(self.stage.clock.now())
        if self.is_deaf:
            raise Unavailable("the dead man's URL answered 500")


def listening() -> tuple[Stage, Listener]:
    stage, listener = Stage(), Listener()
    listener.stage = stage
    return stage, listener


def test_a_complete_sweep_is_heard_elsewhere() -> None:
    """Each one."""
    stage, listener = listening()
    services = replace(stage.services, deadman=listener)
    sweep(services, trigger="schedule")
    assert listener.heard == [START]


def test_a_sweep_that_did_not_see_everything_is_not_heard() -> None:
    """Nor is an event's look at one box: the alarm elsewhere is to go off."""
    stage, listener = listening()
    box = stage.compute.start()
    services = replace(stage.services, deadman=listener)
    sweep(services, trigger="event", only=(REGION, box))
    stage.compute.fail("observe", REGION)
    sweep(services, trigger="schedule")
    assert listener.heard == []


def test_a_deaf_dead_man_costs_no_kill_and_is_lacking() -> None:
    """What must end has ended by then."""
    stage, listener = listening()
    listener.is_deaf = True
    one_hour(stage)
    stage.until(at("09:59"))
    stage.clock.advance(MINUTE)
    record = sweep(replace(stage.services, deadman=listener), trigger="schedule")
    assert is_over(stage)
    assert record.lacking == ("dead man: the dead man's URL answered 500",)


def test_the_dead_mans_url_is_a_secret_and_both_are_missing_while_unset() -> None:
    """Whoever knows it could keep it silent."""
    url = "https://alive.example/secret-path"
    here = settings.read({**ENOUGH, "CURFEW_DEADMAN_URL": url, "CURFEW_SNS_TOPIC_ARN": "arn:aws:sns:x:1:t"})
    assert here.deadman_url == url
    assert "secret-path" not in repr(here)
    assert not {"dead man", "alarms"} & {one["what"] for one in here.missing()}
    assert {"dead man", "alarms"} <= {one["what"] for one in settings.read(ENOUGH).missing()}


def test_a_dead_mans_url_that_is_none_is_refused_by_name() -> None:
    """And not shown."""
    with pytest.raises(settings.SettingsError, match="CURFEW_DEADMAN_URL") as error:
        settings.read({**ENOUGH, "CURFEW_DEADMAN_URL": "ftp://secret-path"})
    assert "secret-path" not in str(error.value)


def unending() -> Stage:
    """A box that could be neither terminated nor stopped since ten."""
    stage = Stage()
    one_hour(stage)
    stage.until(at("09:59"))
    stage.compute.fail("terminate", times=10**6, code="OperationNotPermitted")
    stage.compute.fail("stop", times=10**6, code="OperationNotPermitted")
    return stage


def test_a_box_that_can_not_be_ended_counts_as_missed() -> None:
    """With its lease, since when, what it costs an hour and AWS's own word."""
    stage = unending()
    stage.until(at("10:05"))
    (missed,) = health(stage.services).missed
    lease = stage.only_lease()
    assert (missed.lease_id, missed.target, missed.since) == (lease.id, lease.instance_ids[0], at("10:00"))
    assert missed.hourly_usd == lease.hold.hourly_usd > 0
    assert "could not be stopped either" in missed.why
    assert health(stage.services).status == "degraded"


def test_of_what_is_missed_the_dearest_comes_first() -> None:
    """Whoever reads one line reads that of the box that costs most."""
    stage = Stage()
    cheap = one_hour(stage)
    dear = stage.launch(instance_types=("p5.48xlarge",), lasts_for=HOUR)
    stage.until(at("09:59"))
    stage.compute.fail("terminate", times=10**6, code="OperationNotPermitted")
    stage.compute.fail("stop", times=10**6, code="OperationNotPermitted")
    stage.until(at("10:02"))
    assert [one.lease_id for one in health(stage.services).missed] == [dear.id, cheap.id]
    assert cheap.instance_ids < dear.instance_ids


def test_a_call_that_was_denied_and_is_done_all_the_same_is_no_denial() -> None:
    """Somebody else has ended it: no permission is lacking for that any more."""
    denied = Step(action=TERMINATE, target="i-1", region=REGION, answer="UnauthorizedOperation")
    assert denials([denied, replace(denied, answer="shutting-down")]) == 1
    assert denials([replace(denied, done_at=START)]) == 0


def test_what_was_stopped_instead_is_missed_at_what_its_disk_costs() -> None:
    """A box that protection keeps from termination does not bill its compute any more."""
    stage = Stage()
    box = stage.compute.start(is_protected=True)
    stage.until(at("09:05"))
    lease = stage.only_lease()
    end_instance(stage.services, box, by="ada")
    stage.until(at("09:10"))
    (missed,) = health(stage.services).missed
    assert 0 < missed.hourly_usd < usd("0.02") < lease.hold.hourly_usd
    assert "stopped instead" in missed.why


def test_a_box_that_can_not_be_ended_is_told_of_louder_and_louder() -> None:
    """At once, after 5, 15, 30 and 60 minutes, and it becomes urgent."""
    stage = unending()
    stage.until(at("11:01"))
    told = stage.told(Kind.STUCK)
    assert [one.at for one in told] == [at("10:00") + minutes(n) for n in (0, 5, 15, 30, 60)]
    assert [one.title.split()[0] for one in told] == ["Could", "STILL", "STILL", "STILL", "URGENT,"]
    assert "an hour" in told[0].lines[-1]


@given(st.timedeltas(timedelta(0), timedelta(days=99)), st.timedeltas(timedelta(0), timedelta(days=9)))
def test_nobody_waits_longer_than_four_hours_to_hear_of_it_again(passed: timedelta, more: timedelta) -> None:
    """However long it lasts, and never is a later time counted lower."""
    now, later = loudness(START, START + passed), loudness(START, START + passed + more)
    assert now <= later
    assert later - now >= more // LONGEST_SILENCE
