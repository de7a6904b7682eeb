"""What hangs, is refused or fails in one place holds up no end elsewhere, and is never taken for nothing to see."""

import threading
from typing import Any, cast

import pytest

from chalicelib.domain.errors import Unavailable
from chalicelib.domain.lease import Lease, Status
from chalicelib.domain.notices import Kind
from chalicelib.usecases import teardown
from chalicelib.usecases.gather import gather
from tests.builders import HOUR, MINUTE, Stage, at
from tests.contract.compute_labs import let_finish
from tests.doubles.accidents import Crash
from tests.doubles.memory_compute import Call

WHY = teardown.Why(cause="requested", reason="ada asked for it", figures={})


def test_a_region_that_hangs_in_its_ends_is_left_at_it() -> None:
    """Its receipt says `ending`, its lease stays claimed, and the sweep goes on; once EC2 answers it ends."""
    stage = Stage()
    lease = stage.launch(lasts_for=HOUR)
    answers = threading.Event()

    def hang(when: str, call: Call) -> None:
        if (when, call.operation) == ("before", "terminate"):
            answers.wait()

    stage.compute.on_call = hang
    facts = gather(stage.services, stage.clock.now())
    claimed = teardown.begin(stage.services, facts.leases[0], WHY, facts.owned(facts.leases[0]), facts.now)
    assert claimed
    receipts = teardown.carry_out(stage.services, facts, [claimed], patience=0)
    assert [(one.lease_id, one.status) for one in receipts] == [(lease.id, "ending")]
    assert (stage.lease(lease.id).status, len(stage.alive)) == (Status.ENDING, 1)
    answers.set()
    let_finish("end")
    stage.after(MINUTE)
    assert (stage.alive, stage.lease(lease.id).status) == ([], Status.CLOSED)


@pytest.mark.parametrize("method", ["save_lease", "close_lease"])
def test_a_launch_that_can_t_be_taken_up_delays_no_end(method: str) -> None:
    """The table refuses what a lost launch has come to: what must end ends all the same, the record says what is
    lacking, and the next sweep takes it up."""
    stage = Stage()
    due = stage.launch(lasts_for=HOUR, region="eu-west-1")
    stage.until(at("09:50"))
    lost = _lost_launch(stage, takes_effect=method == "save_lease")
    stage.clock.advance(10 * MINUTE)
    refuse_once(stage, method, lost)
    record = stage.sweep()
    assert record.ended == (due.id,)
    assert [one for one in record.lacking if one.startswith(f"Recovery {lost}")]
    stage.after(MINUTE)
    assert stage.lease(lost).status is (Status.ACTIVE if method == "save_lease" else Status.CLOSED)


def _lost_launch(stage: Stage, *, takes_effect: bool) -> str:
    """A lease whose launcher died in its call."""

    def die(when: str, call: Call) -> None:
        if (when, call.operation) == ("after" if takes_effect else "before", "launch"):
            stage.compute.on_call = lambda *_: None
            raise Crash

    stage.compute.on_call = die
    with pytest.raises(Crash):
        stage.launch(lasts_for=8 * HOUR)
    return next(one.id for one in stage.store.open_leases() if one.status is Status.REQUESTED)


def refuse_once(stage: Stage, method: str, lease_id: str) -> None:
    """The first write of a kind that is about one lease fails."""
    write = getattr(stage.store, method)

    def refused(lease: Lease, **rest: Any) -> Lease:
        if lease.id == lease_id:
            setattr(stage.store, method, write)
            raise Unavailable("throttled")
        return cast("Lease", write(lease, **rest))

    setattr(stage.store, method, refused)


def test_a_first_sight_that_can_t_be_recorded_delays_no_end() -> None:
    """It is lacking, and recorded a minute later."""
    stage = Stage()
    stage.regions = ("us-east-1",)
    due = stage.launch(lasts_for=HOUR)
    stage.until(at("09:59"))
    stage.regions = None
    stage.clock.advance(MINUTE)
    stage.store.inject("record_first_sight", Unavailable("throttled"))
    record = stage.sweep()
    assert record.ended == (due.id,)
    assert [one for one in record.lacking if one.startswith("FirstSight")]
    assert not [one for one in stage.after(MINUTE).lacking if one.startswith("FirstSight")]
    assert set(stage.store.account().first_sights) == {"eu-west-1", "us-east-1", "us-west-2"}


DENIALS = pytest.mark.parametrize("code", ["UnauthorizedOperation", "AuthFailure"])


@DENIALS
def test_a_denial_everywhere_is_a_failure(code: str) -> None:
    """Curfew has lost its own permission: the sweep is not complete, and people are told."""
    stage = Stage()
    stage.compute.fail("observe", times=3, code=code)
    record = stage.sweep()
    assert not record.is_complete
    assert {status.partition(":")[0] for status in record.regions.values()} == {"failed"}
    assert len(stage.told(Kind.INCOMPLETE)) == 1


@DENIALS
def test_a_region_that_has_answered_is_not_denied_for_ever(code: str) -> None:
    """What ran there may bill on unseen: it has failed."""
    stage = Stage()
    stage.sweep()
    stage.compute.fail("observe", "us-west-2", code=code)
    record = stage.after(MINUTE)
    assert not record.is_complete
    assert record.regions["us-west-2"] == f"failed: {code}"
    assert len(stage.told(Kind.INCOMPLETE)) == 1


@DENIALS
def test_a_region_with_a_lease_is_not_denied_for_ever(code: str) -> None:
    """Something of ours runs there."""
    stage = Stage()
    stage.launch(region="us-west-2")
    stage.compute.fail("observe", "us-west-2", code=code)
    assert not stage.sweep().is_complete
