"""What other guards have got wrong: each test is named after what must not happen here.

Those that need EC2's own behaviour stand in tests/contract and tests/simulation.
"""

from datetime import timedelta

import pytest

from chalicelib.domain.evidence import Use, of_box
from chalicelib.domain.lease import Status
from chalicelib.domain.policy import IdlePolicy
from tests.builders import HOUR, MINUTE, REGION, START, Stage, at, samples
from tests.unit.sweep_kit import idle_box, is_over

PROTECTED = {"curfew:protect": "2026-12-31T00:00:00+00:00"}


def working(stage: Stage, box: str, percent: float, *, for_: timedelta) -> None:
    stage.works(box, percent, since=stage.clock.now(), until=stage.clock.now() + for_)


# -- Did not kill ------------------------------------------------------------------------------------------------------


def test_the_sweeper_never_says_found_0_while_leases_have_instances() -> None:
    """EC2 answers with nothing at all: what was expected stands beside what was seen, and nothing is closed for it."""
    stage = Stage()
    lease = stage.launch()
    stage.after(MINUTE)
    stage.compute.fail("observe")
    blind = stage.after(MINUTE)
    assert not blind.is_complete
    assert (blind.expected, stage.lease(lease.id).status) == (1, Status.ACTIVE)
    stage.compute.mend()
    seen = stage.after(MINUTE)
    assert (seen.expected, seen.seen, seen.is_complete) == (1, 1, True)


def test_one_empty_describe_answer_deletes_no_record() -> None:
    """A box that EC2 does not show for a minute keeps its lease, and ends with it."""
    stage = Stage()
    lease = stage.launch(lasts_for=HOUR)
    stage.until(at("09:10"))
    hidden = stage.compute.ec2.boxes.pop(lease.instance_ids[0])
    stage.after(MINUTE)
    assert stage.lease(lease.id).status is Status.ACTIVE
    stage.compute.ec2.boxes[hidden.id] = hidden
    stage.until(at("10:01"))
    assert is_over(stage)


def test_not_only_the_first_25_leases_are_checked() -> None:
    """Thirty end in the minute in which all are over."""
    stage = Stage()
    stage.put_policy(lease={"max_open_per_owner": 100})
    for _ in range(30):
        stage.launch(lasts_for=HOUR)
    stage.until(at("09:01"))
    stage.clock.advance(HOUR)
    stage.sweep()
    assert stage.alive == []


def test_no_record_says_ended_while_its_box_runs() -> None:
    """EC2 takes the call and nothing happens: the lease stays open, and the call is made again."""
    stage = Stage()
    lease = stage.launch(lasts_for=HOUR)
    stage.until(at("09:59"))
    stage.compute.fail("terminate", times=3)
    stage.until(at("10:02"))
    assert stage.alive == list(lease.instance_ids)
    assert stage.lease(lease.id).status is Status.ENDING
    assert stage.store.receipt(lease.id) is None
    stage.until(at("10:10"))
    assert is_over(stage)
    assert stage.receipt(lease.id).status == "done"


def test_a_first_protected_box_does_not_stop_the_rest() -> None:
    """Of forty the first can't be terminated: it is told of, and the others end in the same sweep."""
    stage = Stage()
    stage.put_policy(unleased={"for": "PT1H", "grace": "PT0S"})
    first = stage.compute.start(is_protected=True)
    for _ in range(39):
        stage.compute.start()
    stage.until(at("09:01"))
    stage.clock.advance(HOUR)
    stage.sweep()
    assert stage.alive == [first]


# -- Silent ------------------------------------------------------------------------------------------------------------


def test_a_cloudwatch_that_fails_drops_no_box_silently() -> None:
    """The sweep says what it lacks, ends nothing as idle on it, and at its hour the box ends all the same."""
    stage = Stage()
    idle_box(stage)
    stage.until(at("09:45"))
    stage.metrics.fail(REGION)
    record = stage.until(at("10:30"))
    assert any("CloudWatch" in one for one in record.lacking)
    assert stage.alive
    stage.clock.advance(7 * HOUR)
    stage.sweep()
    assert is_over(stage)


# -- Killed the wrong thing --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_dry_run", [True, False])
def test_protection_is_honoured_in_real_runs_as_in_dry_runs(*, is_dry_run: bool) -> None:
    """The protected box is ended by neither, and no receipt says that it would be; the other one is or would be."""
    stage = Stage(is_dry_run=is_dry_run)
    stage.put_policy(unleased={"for": "PT1H", "grace": "PT0S"})
    protected, other = stage.compute.start(tags=PROTECTED), stage.compute.start()
    stage.until(at("10:05"))
    named = {
        one for receipt in stage.store.receipts(limit=50, cursor=None).items for one in receipt.instance_ids
    }
    assert protected in stage.alive
    assert named == {other}
    assert (other in stage.alive) == is_dry_run


def test_only_the_first_datapoint_is_never_what_decides() -> None:
    """A window that begins with silence and has work later is busy; one that begins with work alone is not idle for all
    of it."""
    now = START + HOUR
    late_work = samples(START, [0.0] * 59 + [90.0])
    early_work = samples(START, [90.0] + [0.0] * 59)
    assert of_box([late_work], idle=IdlePolicy(), running_since=START, now=now).use is Use.BUSY
    first = of_box([early_work], idle=IdlePolicy(), running_since=START, now=now)
    assert first.since is not None
    assert first.since > START


def test_a_gpu_at_0_percent_of_eight_does_not_end_the_box() -> None:
    """Nor do seven."""
    silent = [samples(START, [0.0] * 60, source=f"gpu{number}") for number in range(7)]
    busy = samples(START, [91.0] * 60, source="gpu7")
    found = of_box([*silent, busy], idle=IdlePolicy(), running_since=START, now=START + HOUR)
    assert found.use is Use.BUSY


# -- Idleness ----------------------------------------------------------------------------------------------------------


def test_a_user_can_not_cancel_the_admins_idle_rule() -> None:
    """A lease that asks for a day of idleness is ended after the policy's hour."""
    stage = Stage()
    stage.put_policy(idle={"after": "PT1H"})
    lease = stage.launch(idle_after=timedelta(days=1))
    working(stage, lease.instance_ids[0], 0.0, for_=3 * HOUR)
    stage.until(at("10:30"))
    assert stage.receipt(lease.id).cause == "idle"


# -- Billing lag -------------------------------------------------------------------------------------------------------


def test_a_bill_that_never_comes_lets_no_lease_run_over() -> None:
    """Cost Explorer is down all the while: time and the meter end what its hold pays for."""
    stage = Stage()
    stage.bills.fail("failed", "Cost Explorer is down")
    lease = stage.launch(lasts_for=3 * HOUR)
    stage.until(at("12:01"))
    assert is_over(stage)
    assert stage.receipt(lease.id).cost_usd <= lease.hold.total_usd
