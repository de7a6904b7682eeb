"""A launch whose call lands after it was given up: it is that lease's, and is ended at once; no stray for hours."""

from typing import Any

import pytest

from chalicelib.domain.errors import Refused
from chalicelib.domain.lease import Attempt, Lease, RequestType, Status
from chalicelib.domain.notices import Kind
from chalicelib.ports import LaunchAnswer
from chalicelib.usecases.end import end_lease
from tests.builders import HOUR, MINUTE, TYPE, Stage, minutes

KINDS = pytest.mark.parametrize("kind", [RequestType.ONE_TIME, RequestType.PERSISTENT, RequestType.MAINTAIN])


def given_up(stage: Stage, **wishes: Any) -> tuple[Lease, Attempt]:
    """A launch whose calls have had no answer, closed as lost."""
    stage.compute.fail("launch", times=9)
    lease = stage.launch(key="k", lasts_for=HOUR, **wishes)
    stage.compute.mend()
    stage.until(stage.clock.now() + minutes(7))
    closed = stage.lease(lease.id)
    assert closed.status is Status.CLOSED
    return closed, closed.attempts[-1]


@KINDS
@pytest.mark.parametrize("late", [1, 55])
def test_what_a_lost_call_starts_after_the_give_up_is_ended_at_once(kind: RequestType, late: int) -> None:
    """Known by its token, or by a fleet's own tag; it is not adopted, and its cost is its lease's."""
    stage = Stage()
    stage.put_budget()
    lease, attempt = given_up(stage, request_type=kind)
    stage.until(stage.clock.now() + minutes(late - 1))
    stage.compute.ec2.launch(attempt)
    stage.until(stage.clock.now() + minutes(3))
    assert (stage.alive, stage.armed, stage.store.open_leases()) == ([], [], ())
    assert stage.told(Kind.ADOPTED) == []
    receipt = stage.receipt(lease.id)
    assert (receipt.status, receipt.owner) == ("done", "ada")
    assert 0 < receipt.cost_usd < 1
    assert "late" in receipt.reason
    assert "given up" in stage.told(Kind.CAME_BACK)[0].title


def test_a_box_that_a_fleet_of_several_types_starts_late_is_ended_too() -> None:
    """Its token is the fleet's own: its lease is told by the tag that a fleet gave it."""
    stage = Stage()
    _, attempt = given_up(stage, instance_types=(TYPE, "g4dn.xlarge"))
    stage.compute.ec2.launch(attempt)
    stage.until(stage.clock.now() + minutes(3))
    assert (stage.alive, stage.told(Kind.ADOPTED)) == ([], [])


def test_what_an_unanswered_attempt_of_an_ended_lease_starts_late_is_ended_too() -> None:
    """DELETE came first, and closed the lease five minutes after the call."""
    stage = Stage()
    stage.compute.fail("launch", times=9)
    lease = stage.launch(lasts_for=HOUR)
    stage.compute.mend()
    end_lease(stage.services, lease.id, by="ada")
    stage.until(stage.clock.now() + minutes(7))
    closed = stage.lease(lease.id)
    assert closed.status is Status.CLOSED
    stage.compute.ec2.launch(closed.attempts[-1])
    stage.until(stage.clock.now() + minutes(3))
    assert (stage.alive, stage.told(Kind.ADOPTED)) == ([], [])


@pytest.mark.parametrize("answer", ["unknown", "refused", "launched"])
def test_a_launcher_that_finds_its_lease_given_up_says_that_it_was_lost(answer: str) -> None:
    """Its call took longer than the sweep waits: 409 launch-lost, as the same key answers from then on."""
    stage = Stage()
    launch = stage.compute.launch

    def slow(attempt: Attempt) -> LaunchAnswer:
        for _ in range(14):
            stage.clock.advance(MINUTE)
            stage.sweep()
        if answer == "launched":
            return launch(attempt)
        return LaunchAnswer(outcome=answer, code="InsufficientInstanceCapacity", detail="none")

    stage.compute.launch = slow  # type: ignore[method-assign]
    for _ in range(2):
        with pytest.raises(Refused) as told:
            stage.launch(key="k", lasts_for=HOUR)
        assert told.value.slug == "launch-lost"
    stage.after(MINUTE)
    assert (stage.alive, stage.told(Kind.ADOPTED)) == ([], [])
