"""What comes back after its lease was closed: it is that lease's, is ended at once, and people are alarmed."""

import pytest

from chalicelib.domain.lease import Lease, Status
from chalicelib.domain.notices import Kind
from chalicelib.usecases.end import end_spot_request
from tests.builders import MINUTE, REGION, TYPE, Stage, at, minutes, usd
from tests.doubles.accidents import Crash
from tests.unit.sweep_kit import is_over, one_hour


def comes_back(stage: Stage, lease: Lease, **facts: object) -> str:
    """Its request starts another box behind Curfew's back, without tags."""
    return stage.compute.start(request_id=lease.spot_request_ids[0], lifecycle="spot", **facts)


def ended_at_ten(stage: Stage) -> Lease:
    lease = one_hour(stage)
    stage.until(at("10:00"))
    assert is_over(stage)
    return lease


def test_a_box_that_its_request_starts_after_the_close_is_ended_at_once_with_an_alarm() -> None:
    """It is no stray with a grace and a hold of its own: it belongs to the lease that was ended."""
    stage = Stage()
    lease = ended_at_ten(stage)
    stage.until(at("10:20"))
    box = comes_back(stage, lease)
    stage.after(MINUTE)
    assert is_over(stage)
    assert stage.told(Kind.ADOPTED) == []
    (alarm,) = stage.told(Kind.CAME_BACK)
    assert box in alarm.title
    assert lease.id in alarm.lines[0]


def test_what_came_back_stands_in_the_same_receipt_and_its_cost_on_the_same_budget() -> None:
    """One receipt: its steps and its cost are added; the budget has spent what both have cost."""
    stage = Stage()
    stage.put_budget()
    lease = ended_at_ten(stage)
    first = stage.receipt(lease.id)
    stage.until(at("10:19"))
    box = comes_back(stage, lease)
    stage.after(MINUTE)
    receipt = stage.receipt(lease.id)
    assert ("came-back", box) in [(step.action, step.target) for step in receipt.steps]
    assert ("terminate-instance", box) in [(step.action, step.target) for step in receipt.steps]
    assert receipt.cost_usd > first.cost_usd
    assert abs(stage.left() - (usd(100) - receipt.cost_usd)) < usd("0.00001")
    assert stage.store.receipt(f"{lease.id}-again-1") is None


def test_it_bills_since_it_started_not_since_it_was_seen() -> None:
    """Ten minutes that nobody saw are paid for by the budget all the same."""
    stage = Stage()
    stage.put_budget()
    lease = ended_at_ten(stage)
    comes_back(stage, lease)
    stage.after(minutes(10))
    follower = stage.lease(f"{lease.id}-again-1")
    assert (follower.status, follower.runs[0].started_at) == (Status.CLOSED, at("10:00"))


def test_what_comes_back_again_and_again_is_one_receipt() -> None:
    """Each time is a lease of its own, and the first lease's receipt tells of all."""
    stage = Stage()
    lease = ended_at_ten(stage)
    for _ in range(2):
        comes_back(stage, lease)
        stage.after(minutes(2))
        assert is_over(stage)
    assert stage.receipt(lease.id).figures["times_back"] == "2"
    assert len(stage.told(Kind.CAME_BACK)) == 2


def test_a_copied_tag_makes_no_box_the_closed_leases() -> None:
    """A template copies tags: such a box is a stray with all its grace."""
    stage = Stage()
    lease = ended_at_ten(stage)
    stage.compute.start(tags={"curfew:lease": lease.id})
    stage.after(MINUTE)
    assert len(stage.alive) == 1
    assert len(stage.told(Kind.ADOPTED)) == 1
    assert stage.told(Kind.CAME_BACK) == []


def test_what_comes_back_hours_later_is_a_stray() -> None:
    """Ids are watched for an hour."""
    stage = Stage()
    lease = ended_at_ten(stage)
    stage.until(at("11:01"))
    comes_back(stage, lease)
    stage.after(MINUTE)
    assert len(stage.alive) == 1
    assert stage.told(Kind.CAME_BACK) == []


def test_a_region_that_is_no_longer_swept_is_watched_for_what_comes_back() -> None:
    """A launch may go where Curfew watches nothing else."""
    stage = Stage(regions=("eu-west-1",))
    lease = ended_at_ten(stage)
    assert lease.region == REGION
    comes_back(stage, lease)
    stage.after(MINUTE)
    assert is_over(stage)


def test_a_box_that_was_ended_outside_curfew_is_nobodys_to_end_when_it_shows_again() -> None:
    """EC2 did not show it for a while and its lease was closed as gone: it may be at work, so it is adopted."""
    stage = Stage()
    box = stage.compute.start()
    stage.sweep()
    stage.box(box).is_hidden = True
    stage.until(at("09:06"))
    stage.box(box).is_hidden = False
    stage.after(MINUTE)
    assert stage.alive == [box]
    assert stage.told(Kind.CAME_BACK) == []


@pytest.mark.parametrize("phase", ["before", "after"])
@pytest.mark.parametrize("call", ["open_lease", "save_lease", "terminate", "close_lease"])
def test_a_process_killed_while_it_ends_what_came_back_leaves_nothing(call: str, phase: str) -> None:
    """One lease more, one alarm, one receipt, no box."""
    stage = Stage()
    lease = ended_at_ten(stage)
    comes_back(stage, lease)
    stage.clock.advance(MINUTE)
    died: list[str] = []

    def step(method: str, when: str) -> None:
        if (method, when) == (call, phase) and not died:
            died.append(method)
            raise Crash

    stage.store.hook = step
    stage.compute.on_call = lambda when, made: step(made.operation, when)
    with pytest.raises(Crash):
        stage.sweep()
    stage.after(MINUTE)
    stage.after(MINUTE)
    assert is_over(stage)
    assert len(stage.told(Kind.CAME_BACK)) == 1
    steps = [step.action for step in stage.receipt(lease.id).steps]
    assert steps.count("came-back") == 1


def test_what_another_service_runs_is_left_to_it() -> None:
    """Its levers are others, whatever request it came from."""
    stage = Stage()
    lease = ended_at_ten(stage)
    box = comes_back(stage, lease)
    stage.box(box).managed_by = "EKS"
    stage.after(MINUTE)
    assert stage.alive == [box]


@pytest.mark.parametrize("facts", [{"fleet_id": "fleet-1"}, {"spot_fleet_id": "sfr-1"}])
def test_what_an_ended_fleet_starts_after_the_close_is_ended_at_once(facts: dict[str, str]) -> None:
    """It belongs to the lease whose end has ended the fleet."""
    stage = Stage()
    stage.compute.start(fleet_type="maintain", **facts)
    stage.until(at("17:30"))
    assert is_over(stage)
    stage.compute.start(fleet_type="maintain", **facts)
    stage.after(MINUTE)
    stage.after(MINUTE)
    assert stage.alive == []
    assert len(stage.told(Kind.CAME_BACK)) == 1


def test_what_a_closed_group_is_made_to_start_later_is_a_stray() -> None:
    """Somebody has set its size anew: that box may be wanted, and has its grace."""
    stage = Stage()
    stage.compute.start(group="web")
    stage.until(at("17:30"))
    assert is_over(stage)
    stage.compute.start(group="web")
    stage.after(MINUTE)
    assert len(stage.alive) == 1
    assert stage.told(Kind.CAME_BACK) == []


def test_what_a_dry_run_only_said_it_would_cancel_is_nobodys_to_end() -> None:
    """A rehearsal has ended nothing, so that nothing can come back of it."""
    stage = Stage()
    request = stage.request_of(stage.compute.start(market="persistent"))
    stage.compute.ec2.no_capacity = {(REGION, TYPE)}
    stage.compute.terminate(REGION, stage.alive)
    stage.is_dry_run = True
    end_spot_request(stage.services, request.id, by="admin")
    stage.is_dry_run = False
    stage.compute.ec2.no_capacity = set()
    stage.until(at("09:05"))
    assert len(stage.alive) == 1
    assert stage.only_lease().follows is None
