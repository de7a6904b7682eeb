"""What ran before Curfew came, and arming."""

from chalicelib.domain.notices import Kind
from chalicelib.usecases.sweep import arm
from tests.builders import MINUTE, REGION, Stage, at


def test_what_ran_before_curfew_came_is_reported_until_the_account_is_armed() -> None:
    """Told, not adopted, not ended; armed it is under a lease a minute later."""
    stage = Stage(is_armed=False)
    old = stage.compute.start()
    record = stage.until(at("21:00"))
    assert stage.store.open_leases() == ()
    assert "ran before" in record.reported[0]["reason"]
    assert stage.alive == [old]
    assert len(stage.told(Kind.REPORTED)) == 1
    assert arm(stage.services) == at("21:00")
    stage.after(MINUTE)
    assert stage.only_lease().instance_ids == (old,)
    stage.after(MINUTE)
    assert arm(stage.services) == at("21:00")


def test_what_starts_after_curfew_came_is_adopted_unarmed_too() -> None:
    """Only what ran before is spared."""
    stage = Stage(is_armed=False)
    stage.sweep()
    stage.clock.advance(MINUTE)
    new = stage.compute.start()
    stage.after(MINUTE)
    assert stage.only_lease().instance_ids == (new,)


def test_what_had_started_but_was_not_shown_yet_ran_before() -> None:
    """DescribeInstances is eventually consistent at first sight too."""
    stage = Stage(is_armed=False)
    late = stage.compute.start()
    stage.box(late).is_hidden = True
    stage.sweep()
    stage.box(late).is_hidden = False
    stage.after(MINUTE)
    assert stage.store.open_leases() == ()


def test_a_box_that_was_stopped_at_first_sight_did_not_run() -> None:
    """Started later, it is as new as any other."""
    stage = Stage(is_armed=False)
    box = stage.compute.start(state="stopped")
    stage.sweep()
    stage.clock.advance(MINUTE)
    stage.box(box).state, stage.box(box).launched_at = "running", stage.clock.now()
    stage.after(MINUTE)
    assert stage.only_lease().instance_ids == (box,)


def test_a_region_that_fails_at_first_has_its_first_sight_later() -> None:
    """What runs there is not taken for new because the region was not seen."""
    stage = Stage(is_armed=False)
    stage.compute.fail("observe", REGION, times=3)
    stage.compute.start()
    stage.until(at("09:10"))
    assert stage.store.open_leases() == ()


def test_an_event_before_the_first_sweep_adopts_nothing() -> None:
    """One box is no first sight."""
    stage = Stage(is_armed=False)
    old = stage.compute.start()
    stage.sweep(old)
    assert stage.store.open_leases() == ()
    assert stage.store.account().first_sights == {}
    stage.sweep()
    stage.after(MINUTE)
    assert stage.store.open_leases() == ()
