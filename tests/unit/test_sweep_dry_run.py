"""A dry run goes the same way and does nothing."""

from chalicelib.domain.lease import Status
from chalicelib.domain.notices import Kind
from tests.builders import MINUTE, Stage, at
from tests.unit.sweep_kit import is_over, one_hour


def test_a_dry_run_says_what_it_would_do_and_does_nothing() -> None:
    """Its receipts are marked, people are told once, nothing is called."""
    stage = Stage(is_dry_run=True)
    stage.put_policy(unleased={"for": "PT1H", "grace": "PT0S"})
    box = stage.compute.start(market="persistent")
    record = stage.until(at("11:00"))
    assert stage.alive == [box]
    assert stage.ending_calls == []
    lease = stage.only_lease()
    assert lease.status is Status.ACTIVE
    receipt = stage.receipt(lease.id)
    assert (receipt.status, {step.answer for step in receipt.steps}) == ("dry-run", {"dry-run"})
    assert len(stage.told(Kind.ENDED)) == 1
    assert "Dry run" in stage.told(Kind.ENDED)[0].title
    assert record.is_dry_run


def test_what_a_dry_run_has_rehearsed_ends_once_it_is_enforced() -> None:
    """The switch really ends it, with a receipt and a message of its own."""
    stage = Stage(is_dry_run=True)
    stage.put_policy(unleased={"for": "PT1H", "grace": "PT0S"})
    stage.compute.start(market="persistent")
    stage.until(at("10:30"))
    lease = stage.only_lease()
    stage.is_dry_run = False
    stage.after(MINUTE)
    assert is_over(stage)
    assert stage.receipt(lease.id).status == "done"
    assert len(stage.told(Kind.ENDED)) == 2


def test_an_end_under_way_stops_where_the_dry_run_begins() -> None:
    """Switched to dry-run between cancel and terminate: nothing more is called, and enforcing ends it."""
    stage = Stage()
    one_hour(stage)
    stage.until(at("09:59"))
    stage.compute.fail("terminate")
    stage.until(at("10:00"))
    stage.is_dry_run = True
    stage.after(MINUTE)
    assert stage.alive
    stage.is_dry_run = False
    stage.after(MINUTE)
    assert is_over(stage)
