"""What the first sweeps say and count of a box that ended by itself while nobody looked."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from chalicelib.domain import notices
from chalicelib.domain.lease import Lease, RequestType, Step
from chalicelib.domain.missed import missed, refused
from chalicelib.domain.tracking import DISKS_GO_WITHIN, track
from tests.builders import BOX, HOUR, Stage, at, lease, run, sight
from tests.unit.test_notices import ending_lease

LATER = at("10:03") + timedelta(hours=20)
NOT_FOUND = "InvalidInstanceID.NotFound"


def unseen_since(stopped_at: datetime | None, kind: RequestType) -> Lease:
    """A lease whose box was gone from a region that answers for five minutes, 20 hours later."""
    known = replace(lease(request_type=kind), runs=(run(ended_at=stopped_at),))
    return track(track(known, sight(), LATER), sight(), LATER + timedelta(minutes=5))


def test_the_disks_of_a_one_time_box_end_with_its_run() -> None:
    """A one-time spot box can't be stopped: a run that ended was a termination, whose disks go with it."""
    (one,) = unseen_since(at("10:03"), RequestType.ONE_TIME).runs
    assert (one.ended_at, one.disk_ended_at) == (at("10:03"), at("10:03") + DISKS_GO_WITHIN)


@pytest.mark.parametrize("kind", [RequestType.PERSISTENT, RequestType.MAINTAIN, RequestType.NONE])
def test_the_disks_of_what_may_have_been_stopped_bill_until_it_was_missed(kind: RequestType) -> None:
    """Nobody knows when a stopped box was terminated, so that the meter stays an upper bound."""
    (one,) = unseen_since(at("10:03"), kind).runs
    assert (one.ended_at, one.disk_ended_at) == (at("10:03"), LATER)


def test_a_run_that_nobody_saw_end_counts_until_its_box_was_missed() -> None:
    """Its own shutdown may have failed: an hour that it was to end at proves nothing."""
    (one,) = unseen_since(None, RequestType.ONE_TIME).runs
    assert (one.ended_at, one.disk_ended_at) == (LATER, LATER)


def stuck_with(step: Step, **facts: object) -> Lease:
    known = ending_lease()
    assert known.ending is not None
    return replace(known, ending=replace(known.ending, steps=(step,)), **facts)  # type: ignore[arg-type]


def a_step(**facts: object) -> Step:
    whole = {"action": "terminate-instance", "target": BOX, "region": "us-east-1", "tried": 1, **facts}
    return Step(**whole)  # type: ignore[arg-type]


def test_not_found_of_a_box_that_is_missing_is_no_refusal() -> None:
    """It is gone, and only waited for to be sure; of one that EC2 shows it is told."""
    step = a_step(answer=NOT_FOUND, refused_at=at("17:00"))
    assert refused(stuck_with(step, missing_since={BOX: at("17:00")})) == ()
    assert refused(stuck_with(step)) == (step,)


def test_a_refusal_counts_from_the_first_one() -> None:
    """Not from the decision, which may be a day older."""
    known = stuck_with(a_step(answer="Denied", refused_at=LATER))
    assert notices.stuck(known, LATER + timedelta(minutes=1)).title.startswith("Could not end")
    (told_of,) = missed([known], Stage().prices.on_demand(), LATER + timedelta(minutes=1))
    assert told_of.since == LATER
    hour = notices.stuck(known, LATER + HOUR)
    assert "in 1 h 0 min" in hour.title


def test_the_first_sweep_after_an_outage_cries_about_nothing() -> None:
    """A box that shut itself down 20 hours ago is over within five minutes, and nobody is told of a refusal."""
    stage = Stage()
    launched = stage.launch(request_type=RequestType.ONE_TIME, lasts_for=HOUR)
    (box_id,) = launched.instance_ids
    stage.until(at("09:02"))
    stage.clock.advance(at("10:00") - at("09:02"))
    stage.compute.fail("terminate")
    stage.sweep()  # decided, and nothing got through
    stage.compute.ec2.terminate("us-east-1", box_id)
    stage.clock.advance(timedelta(hours=20))
    stage.compute.ec2.boxes.pop(box_id, None)
    stage.sweep()
    stage.until(stage.clock.now() + timedelta(minutes=6))
    assert not stage.store.open_leases()
    assert not [one for one in stage.notifier.sent if "Could not end" in one.title and one.at > at("11:00")]
