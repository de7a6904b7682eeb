"""What a look, a change or a page leaves alone: other boxes, paid questions without a use, periods that are settled."""

from chalicelib.domain.lease import Status
from chalicelib.usecases.health import health
from tests.builders import HOUR, MINUTE, REGION, Stage, at, minutes

FAR = "eu-west-1"


def test_health_tells_of_the_whole_account_though_an_event_was_last() -> None:
    """An event's sweep has seen one region, and is no sign that the minute's sweep runs."""
    stage = Stage()
    box = stage.launch().instance_ids[0]
    stage.launch(region=FAR)
    stage.sweep()
    stage.clock.advance(minutes(1))
    stage.sweep(box)
    told = health(stage.services)
    assert {REGION, FAR} <= set(told.regions)
    assert told.last_complete_sweep is not None
    assert told.last_complete_sweep.trigger == "schedule"


def test_health_is_failing_while_events_alone_are_swept() -> None:
    """Their records go on while nobody watches the rest."""
    stage = Stage()
    box = stage.launch().instance_ids[0]
    stage.sweep()
    for _ in range(6):
        stage.clock.advance(MINUTE)
        stage.sweep(box)
    assert health(stage.services).status == "failing"


def test_an_event_s_sweep_leaves_ends_of_other_leases_alone() -> None:
    """It has not seen their boxes, and must not take them for gone."""
    stage = Stage()
    ending, other = stage.launch(lasts_for=HOUR, region=FAR), stage.launch()
    stage.until(at("09:59"))
    stage.compute.fail("terminate", times=1)
    stage.until(at("10:00"))
    assert stage.lease(ending.id).status is Status.ENDING
    stage.clock.advance(10 * MINUTE)
    before = len(stage.ending_calls)
    record = stage.sweep(other.instance_ids[0])
    assert (record.ended, record.ending, len(stage.ending_calls)) == ((), (), before)
    assert stage.lease(ending.id).status is Status.ENDING
    assert len(stage.alive) == 2
    stage.after(MINUTE)
    assert stage.alive == list(other.instance_ids)


def test_no_metrics_are_bought_of_a_box_that_a_service_runs() -> None:
    """It can't be ended for idleness, so what CloudWatch knows changes nothing."""
    stage = Stage()
    lease = stage.launch()
    stage.box(lease.instance_ids[0]).managed_by = "EKS"
    stage.until(at("10:30"))
    assert stage.metrics.calls == []
    stage.box(lease.instance_ids[0]).managed_by = None
    stage.after(MINUTE)
    assert stage.metrics.calls == [(REGION, lease.instance_ids)]
