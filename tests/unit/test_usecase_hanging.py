"""What hangs, is refused or fails in one place holds up no end elsewhere, and is never taken for nothing to see."""

import threading
from collections.abc import Collection, Mapping
from typing import Any, cast

import pytest

from chalicelib.domain.errors import Unavailable
from chalicelib.domain.lease import Lease, Status
from chalicelib.domain.notices import Kind
from chalicelib.domain.tags import LEASE_TAG
from chalicelib.usecases import report, teardown
from chalicelib.usecases.gather import gather
from chalicelib.usecases.health import health
from chalicelib.usecases.last_sweeps import MORE
from chalicelib.usecases.sweep import _time_for_ends
from chalicelib.usecases.tagging import A_SWEEP
from tests.builders import HOUR, MINUTE, SECOND, Stage, at
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


def test_one_lease_is_reported_by_a_look_at_its_own_region() -> None:
    """Another region that hangs keeps nobody waiting for the answer to a launch."""
    stage = Stage()
    lease = stage.launch(region="eu-west-1")
    stage.launch()
    stage.compute.calls.clear()
    told = report.lease(stage.services, lease.id)
    looks = [call for call in stage.compute.calls if call.operation in {"regions", "observe"}]
    assert [call.region for call in looks] == ["eu-west-1"]
    assert [box.id for box in told.instances] == list(lease.instance_ids)
    assert told.verdict


def test_a_storm_of_events_is_no_sign_of_sickness() -> None:
    """Their records hide no complete sweep from /health."""
    stage = Stage()
    box = stage.compute.start()
    stage.sweep()
    for _ in range(2 * MORE + 50):
        stage.clock.advance(SECOND / 2)
        stage.sweep(box)
    found = health(stage.services)
    assert found.last_complete_sweep
    assert found.last_complete_sweep.started_at == at("09:00")
    assert found.status == "degraded"


def test_boxes_that_can_t_be_tagged_keep_no_other_from_it() -> None:
    """However many they are: the others have their tags after some sweeps, and the record says why these have none."""
    stage = Stage()
    boxes = [stage.compute.start() for _ in range(2 * A_SWEEP)]
    refused, tag = set(boxes[: A_SWEEP + 5]), stage.compute.tag

    def picky(region: str, ids: Collection[str], tags: Mapping[str, str]) -> None:
        if refused.intersection(ids):
            raise Unavailable("denied")
        tag(region, ids, tags)

    setattr(stage.compute, "tag", picky)  # noqa: B010 (mypy)
    record = stage.until(at("09:04"))
    assert [one for one in boxes if LEASE_TAG not in stage.box(one).tags] == boxes[: A_SWEEP + 5]
    assert "CreateTags us-east-1: denied" in record.lacking


def test_tags_that_hang_are_left_for_later() -> None:
    """They are for reading: a sweep has no minute for them."""
    stage = Stage()
    for _ in range(5):
        stage.compute.start()

    def slow(when: str, call: Call) -> None:
        if (when, call.operation) == ("before", "tag"):
            stage.clock.advance(4 * SECOND)

    stage.compute.on_call = slow
    stage.sweep()
    assert len([call for call in stage.compute.calls if call.operation == "tag"]) == 2


def test_disks_that_hang_in_many_regions_delay_no_end_by_more_than_in_one() -> None:
    """Boxes are found in ten regions whose DescribeVolumes says nothing: all are asked at once."""
    stage = Stage()
    stage.compute.names = tuple(f"eu-north-{number}" for number in range(1, 11))
    for region in stage.compute.names:
        stage.compute.start(region=region)
    together = threading.Barrier(len(stage.compute.names), timeout=60)

    def hang(when: str, call: Call) -> None:
        if (when, call.operation) == ("before", "volumes") and len(stage.store.open_leases()) == 0:
            together.wait()

    stage.compute.on_call = hang
    stage.sweep()
    assert len(stage.store.open_leases()) == len(stage.compute.names)


def test_adoptions_that_the_table_is_slow_to_take_delay_no_end_for_long() -> None:
    """A write is tried for 20 s: what is not begun within five is the next sweep's."""
    stage = Stage()
    due = stage.launch(lasts_for=HOUR)
    stage.until(at("09:59"))
    for _ in range(5):
        stage.compute.start()
    slow_writes(stage, "open_lease")
    begun = stage.clock.now() + MINUTE
    record = stage.after(MINUTE)
    assert record.ended == (due.id,)
    assert len(record.adopted) == 1
    assert stage.clock.now() - begun < 45 * SECOND
    stage.store.hook = lambda *_: None
    assert len(stage.after(MINUTE).adopted) == 4


def slow_writes(stage: Stage, method: str) -> None:
    """Each write of a kind takes 20 s."""
    stage.store.hook = lambda name, phase: stage.clock.sleep(20 * (name == method and phase == "before"))


def test_ends_that_hang_leave_the_sweep_time_to_record_what_it_did() -> None:
    """The later they begin the less they are waited for, and never too short for what answers at once."""
    stage = Stage()
    facts = gather(stage.services, stage.clock.now())
    waits = {}
    for used in (0, 30, 40, 47, 55):
        stage.clock.at = facts.now + used * SECOND
        waits[used] = _time_for_ends(stage.services, facts, teardown.PATIENCE_SECONDS)
    assert waits == {0: 12, 30: 12, 40: 8, 47: 4, 55: 4}


def test_a_sweep_that_is_late_asks_no_questions_that_can_wait() -> None:
    """Its record is written first; volumes, list prices and types are the next sweep's."""
    stage = Stage()
    stage.launch(lasts_for=8 * HOUR)
    stage.until(at("09:02"))
    stage.compute.calls.clear()
    stage.compute.on_call = lambda when, call: stage.clock.sleep(
        50 * (when == "before" and call.operation == "observe")
    )
    stage.after(HOUR)
    assert "volumes" not in [call.operation for call in stage.compute.calls]
    stage.compute.on_call = lambda *_: None
    stage.after(MINUTE)
    assert "volumes" in [call.operation for call in stage.compute.calls]


def test_a_table_that_fails_the_end_of_one_region_stops_no_other() -> None:
    """Neither the close nor the look for its receipt is answered: it is still being ended, and the sweep goes on."""
    stage = Stage()
    leases = [stage.launch(lasts_for=HOUR, region=region) for region in ("us-east-1", "eu-west-1")]
    stage.until(at("09:59"))
    stage.store.inject("close_lease", Unavailable("throttled"))
    stage.store.inject("receipt", Unavailable("throttled"))
    stage.after(MINUTE)
    stage.after(MINUTE)
    assert stage.alive == []
    assert {stage.lease(lease.id).status for lease in leases} == {Status.CLOSED}
