"""A view shows that heartbeats are heard: while a box works, and while it is too young to be idle."""

from chalicelib.domain.evidence import Evidence, Use
from chalicelib.usecases.report import instances
from tests.builders import at
from tests.unit.test_sweep_heartbeats import launched, play


def shown(use: int, until: str, **idle: str) -> Evidence:
    """What a view says of a box that reports that use, and speaks once a quarter of an hour."""
    stage, box = launched(**idle)
    box.use = use
    play(stage, box, at(until))
    (told,) = instances(stage.services).items
    return told.verdict.case.evidence


def test_a_box_that_works_is_heard() -> None:
    """With the time of its last heartbeat, although CloudWatch knows nothing of it."""
    seen = shown(90, "11:10")
    assert (seen.use, seen.last_heard_at, seen.heard_at) == (Use.BUSY, at("11:01"), None)


def test_a_young_box_is_heard_too() -> None:
    """Nothing judges it yet: in plain words why, and when it was heard."""
    seen = shown(0, "09:20", after_launch="PT2H")
    assert (seen.use, seen.last_heard_at) == (Use.UNKNOWN, at("09:16"))
    assert "not before 2026-11-23 10:50 UTC" in seen.reason
    assert "its last heartbeat came at 2026-11-23 09:16 UTC: GPU at 0 %" in seen.reason


def test_a_box_that_was_never_heard_has_no_such_time() -> None:
    """None until it speaks."""
    stage, _ = launched()
    stage.until(at("09:20"))
    (told,) = instances(stage.services).items
    assert told.verdict.case.evidence.last_heard_at is None
