"""Adoption over policy changes, regions and modes: what must not be ended is not."""

import pytest

from chalicelib.usecases.sweep import sweep
from tests.builders import HOUR, MINUTE, Stage, at, minutes

FAR = "eu-west-1"


@pytest.mark.parametrize(
    "change",
    [
        {"scope": {"exclude_types": ["g5.*"]}},
        {"scope": {"exclude_tags": {"team": "infra"}}},
        {"scope": {"regions": ["ap-south-1"]}},
        {"unleased": {"effect": "warn"}},
        {"unleased": {"effect": "ignore"}},
    ],
)
def test_a_policy_that_would_not_adopt_a_box_does_not_end_it(change: dict) -> None:
    """Excluded after it was adopted, a busy box outlives the hour that its adoption set."""
    stage = Stage()
    box = stage.compute.start(tags={"team": "infra"})
    stage.until(at("09:10"))
    stage.put_policy(**change)
    stage.until(at("18:00"))
    assert stage.alive == [box]


def test_an_unwatched_region_is_seen_for_its_lease_alone() -> None:
    """A launch into a region that Curfew does not watch does not put others' boxes there under leases."""
    stage = Stage(regions=("us-east-1",))
    foreign = stage.compute.start(region=FAR)
    lease = stage.launch(region=FAR, lasts_for=HOUR)
    stage.until(at("09:10"))
    assert [one.id for one in stage.store.open_leases()] == [lease.id]
    sweep(stage.services, trigger="event", only=(FAR, foreign))
    assert [one.id for one in stage.store.open_leases()] == [lease.id]
    stage.until(at("19:00"))
    assert stage.alive == [foreign]


def test_enforcing_begins_with_a_grace_for_what_a_dry_run_only_said() -> None:
    """After days of dry run, the first enforcing sweep ends nothing adopted; its grace does pass."""
    stage = Stage()
    stage.put_policy(unleased={"for": "PT1H", "grace": "PT30M"})
    stage.is_dry_run = True
    box = stage.compute.start()
    stage.until(at("12:00"))
    stage.is_dry_run = False
    stage.after(MINUTE)
    assert stage.alive == [box]
    stage.clock.advance(minutes(31))
    stage.sweep()
    stage.after(MINUTE)
    assert stage.alive == []


def test_a_box_that_a_service_has_taken_over_is_counted_and_reported_each_sweep_and_nobody_is_warned() -> (
    None
):
    """It costs its budget, so its budget knows; its service would put it right again, so it is not ended."""
    stage = Stage()
    stage.put_budget()
    box = stage.compute.start()
    stage.sweep()
    stage.box(box).managed_by = "Batch"
    stage.until(at("12:00"))
    record = stage.sweep()
    assert [one["reason"] for one in record.reported] == [
        "Batch manages it: cancel its jobs, or aws batch update-compute-environment with desiredvCpus 0 and minvCpus 0"
    ]
    assert stage.left() < 100
    stage.until(at("19:00"))
    assert stage.alive == [box]
    assert not [notice for notice in stage.notifier.sent if "will end" in notice.title]


def test_a_box_stopped_by_aws_keeps_its_lease_and_one_stopped_by_its_owner_does_not() -> None:
    """An interrupted persistent box comes back by itself; a stopped one only if somebody starts it."""
    stage = Stage()
    interrupted, stopped = stage.compute.start(market="persistent"), stage.compute.start()
    stage.sweep()
    kept = next(one for one in stage.store.open_leases() if interrupted in one.instance_ids)
    stage.compute.ec2.interrupt(interrupted)
    stage.compute.stop("us-east-1", [stopped])
    stage.clock.advance(minutes(1))
    stage.sweep()
    going_on = {one.id: one.is_storage for one in stage.store.open_leases()}
    assert going_on.pop(kept.id) is False
    assert list(going_on.values()) == [True]
