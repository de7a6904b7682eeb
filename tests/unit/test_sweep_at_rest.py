"""Boxes at rest: found stopped, or stopped by their owners after their adoption."""

import pytest

from chalicelib.domain.notices import Kind
from chalicelib.domain.storage import Disk
from chalicelib.usecases.end import end_instance
from tests.builders import DAY, HOUR, MINUTE, REGION, TYPE, Stage, at, owner_budget, storage_usd, usd
from tests.doubles.memory_compute import Call

BIG = (Disk(gib=500, type="gp3"),)


def stopped(stage: Stage, **facts: object) -> str:
    """A box that has been stopped since 09:00."""
    return stage.compute.start(state="stopped", ended_at=at("09:00"), public_ip=None, disks=BIG, **facts)


def days(stage: Stage, number: int) -> None:
    """So many days, looked at every hour."""
    for _ in range(24 * number):
        stage.after(HOUR)


def test_a_box_found_stopped_is_metered_and_told_of_once_and_never_ended() -> None:
    """A month: its storage stands on the budget, one warning says what it costs."""
    stage = Stage()
    stage.put_budget(limit=1000)
    box = stopped(stage)
    stage.sweep()
    assert stage.told(Kind.ADOPTED) == []
    days(stage, 30)
    assert (stage.alive, stage.ending_calls) == ([box], [])
    (told,) = stage.told(Kind.WARNED)
    assert "$40" in told.title
    assert "No clock ends it" in told.lines[0]
    lease = stage.only_lease()
    assert (lease.is_storage, lease.hold.total_usd, lease.runs) == (True, 0, ())
    assert "curfew:expires-at" not in stage.box(box).tags


def test_what_it_has_cost_stands_on_its_budgets_by_month_when_it_is_gone() -> None:
    """Deleted by hand after ten days, of which seven lie in November."""
    stage = Stage()
    stage.put_budget(limit=1000)
    stage.store.put_budget(
        owner_budget("adas", "ada", 1000), revision=stage.store.budgets(at("09:00")).revision
    )
    box = stopped(stage, tags={"curfew:owner": "ada"})
    stage.sweep()
    lease = stage.only_lease()
    days(stage, 10)
    stage.compute.terminate(REGION, [box])
    stage.until(stage.clock.now() + 8 * MINUTE)
    assert stage.store.open_leases() == ()
    cost = stage.receipt(lease.id).cost_usd
    assert storage_usd(500, 10 * DAY) <= cost <= storage_usd(500, 10 * DAY + 5 * MINUTE)
    december = storage_usd(500, 2 * DAY + 9 * HOUR)
    assert usd(1000) - stage.left("adas") == pytest.approx(december, rel=usd("0.01"))
    assert stage.receipt(lease.id).leftovers == ()


def test_with_end_after_it_is_terminated_and_its_request_cancelled_first() -> None:
    """A week after it was found."""
    stage = Stage()
    stage.put_policy(stopped={"end_after": "P7D"})
    box = stage.compute.start(market="persistent")
    stage.until(at("09:05"))
    stage.compute.stop(REGION, [box])
    stage.until(at("09:07"))
    days(stage, 6)
    assert stage.alive == [box]
    days(stage, 1)
    stage.until(stage.clock.now() + 8 * MINUTE)
    assert (stage.alive, stage.armed, stage.store.open_leases()) == ([], [], ())
    assert [one.operation for one in stage.ending_calls] == ["stop", "cancel_spot_requests", "terminate"]


def test_with_end_after_one_that_is_to_be_saved_is_before_its_request_is_cancelled() -> None:
    """Cancelled first, EC2 would terminate it with its disk."""
    stage = Stage()
    stage.put_policy(stopped={"end_after": "P7D"}, unleased={"end": "image"})
    box = stage.compute.start(market="persistent")
    stage.until(at("09:05"))
    stage.compute.stop(REGION, [box])
    stage.until(at("09:07"))
    days(stage, 7)
    stage.until(stage.clock.now() + 20 * MINUTE)
    watched = {"save_image", "cancel_spot_requests"}
    acts = [one.operation for one in stage.compute.calls if one.operation in watched and one.ids]
    assert list(dict.fromkeys(acts)) == ["save_image", "cancel_spot_requests"]
    (image,) = stage.compute.ec2.albums.made.values()
    assert (image.state, stage.alive, stage.armed) == ("available", [], [])


def test_one_that_is_started_again_is_adopted_in_the_same_sweep_with_all_its_grace() -> None:
    """What it keeps billed until then; from its start on it has an hour and a hold."""
    stage = Stage()
    stage.put_budget()
    box = stopped(stage)
    stage.until(at("10:00"))
    first = stage.only_lease()
    stage.box(box).state, stage.box(box).launched_at, stage.box(box).ended_at = "running", at("10:01"), None
    stage.after(MINUTE)
    second = stage.only_lease()
    assert not second.is_storage
    assert second.expires_at == at("18:01")
    assert stage.receipt(first.id).cause == "started"
    assert len(stage.told(Kind.ADOPTED)) == 1


def test_one_that_is_stopped_starts_and_stops_again_has_a_lease_each_time() -> None:
    """Each closes with its receipt, and none is lost."""
    stage = Stage()
    box = stage.compute.start()
    for hour in ("10", "11", "12"):
        stage.until(at(f"{hour}:00"))
        assert not stage.only_lease().is_storage
        stage.compute.stop(REGION, [box])
        stage.until(at(f"{hour}:30"))
        assert stage.only_lease().is_storage
        stage.box(box).state, stage.box(box).launched_at = "running", stage.clock.now()
        stage.box(box).ended_at = None
    assert len(stage.store.receipts(limit=50, cursor=None).items) == 5


def test_an_interrupted_box_that_was_found_stopped_is_guarded_when_aws_starts_it() -> None:
    """Its request starts it again at any time."""
    stage = Stage()
    box = stage.compute.start(market="persistent")
    stage.compute.ec2.no_capacity.add((REGION, TYPE))
    stage.compute.ec2.interrupt(box)
    stage.until(at("09:30"))
    assert stage.only_lease().is_storage
    stage.compute.ec2.no_capacity.clear()
    stage.after(MINUTE)
    stage.after(MINUTE)
    assert not stage.only_lease().is_storage


def test_what_was_stopped_before_curfew_came_is_only_reported_until_the_account_is_armed() -> None:
    """No clock begins to run for it."""
    stage = Stage(is_armed=False)
    stage.put_policy(stopped={"end_after": "PT1H"})
    box = stopped(stage)
    stage.sweep()
    record = stage.until(at("12:00"))
    assert (stage.alive, stage.store.open_leases()) == ([box], ())
    assert "only its storage bills" in record.reported[0]["reason"]


def test_a_spent_budget_and_a_lowered_limit_leave_it_alone() -> None:
    """Money ends what runs; a disk is somebody's work."""
    stage = Stage()
    stage.put_budget(limit=0)
    box = stopped(stage)
    days(stage, 3)
    assert stage.alive == [box]


def test_a_person_may_end_it() -> None:
    """DELETE goes the way of every other end."""
    stage = Stage()
    box = stopped(stage)
    stage.sweep()
    end_instance(stage.services, box, by="admin")
    stage.after(MINUTE)
    assert (stage.alive, stage.store.open_leases()) == ([], ())


@pytest.mark.parametrize("happens", ["started", "protected", "unseen"])
def test_a_box_at_rest_is_looked_at_again_right_before_its_clock_ends_it(happens: str) -> None:
    """Its disk can't be brought back, and a minute more costs next to nothing."""
    stage = Stage()
    stage.put_policy(stopped={"end_after": "P1D"})
    box = stopped(stage)
    stage.sweep()
    stage.clock.advance(DAY)

    def act(when: str, call: Call) -> None:
        if (when, call.operation) == ("before", "observe") and call.ids:
            stage.compute.on_call = lambda *_: None
            if happens == "started":
                stage.box(box).state, stage.box(box).launched_at = "running", stage.clock.now()
            elif happens == "protected":
                stage.box(box).tags["curfew:protect"] = "2027-01-01"
            else:
                stage.compute.fail("observe", times=1)

    stage.compute.on_call = act
    stage.sweep()
    assert (stage.alive, stage.ending_calls) == ([box], [])


def test_a_box_of_a_warm_pool_is_left_to_its_group_and_told_of() -> None:
    """Deleted, it would be replaced by one that starts, bills and stops; its disk is metered meanwhile."""
    stage = Stage()
    stage.put_policy(stopped={"end_after": "PT1H"})
    box = stopped(stage, group="web")
    stage.compute.ec2.controllers.groups["web"].desired = 0  # it is none of the group's own
    stage.sweep()
    days(stage, 1)
    assert (stage.alive, stage.ending_calls) == ([box], [])
    record = stage.after(MINUTE)
    assert "delete-warm-pool" in record.reported[0]["reason"]
