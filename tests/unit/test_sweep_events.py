"""A sweep for an event looks at its own box only; and what sweeps leave on record."""

from chalicelib.domain.notices import Kind
from chalicelib.usecases.sweep import sweep
from tests.builders import HOUR, MINUTE, REGION, SECOND, Stage, at, minutes
from tests.unit.sweep_kit import idle_box, is_over, one_hour


def test_an_event_s_sweep_looks_at_its_box_only() -> None:
    """One region, one instance: nobody else is missing, judged, warned or ended."""
    stage = Stage()
    others = [one_hour(stage), one_hour(stage, region="eu-west-1")]
    stage.until(at("09:40"))
    stage.clock.advance(minutes(25))
    new = stage.compute.start()
    stage.compute.calls.clear()
    record = stage.sweep(new)
    looks = [(call.region, call.ids) for call in stage.compute.calls if call.operation == "observe"]
    assert looks == [(REGION, (new,))]
    assert not record.is_complete
    assert record.adopted
    assert all(stage.lease(one.id).missing_since == {} for one in others)
    assert len(stage.alive) == 3


def test_an_event_s_sweep_ends_its_own_box() -> None:
    """An expired one goes at once, not within a minute."""
    stage = Stage()
    lease = one_hour(stage)
    stage.until(at("09:30"))
    stage.clock.advance(HOUR)
    stage.sweep(lease.instance_ids[0])
    assert is_over(stage)


def test_an_event_s_sweep_does_not_misjudge_a_budget() -> None:
    """What the other boxes have cost is in the records, seen or not."""
    stage = Stage()
    stage.put_budget(limit=30)
    one = stage.launch(lasts_for=8 * HOUR, egress_gb=0)
    stage.launch(lasts_for=8 * HOUR, egress_gb=0)
    stage.until(at("10:00"))
    stage.clock.advance(6 * HOUR)
    stage.sweep(one.instance_ids[0])
    assert len(stage.alive) == 2
    assert stage.told(Kind.BUDGET) == [] or all(
        "50 %" not in n.title or "$1" in n.title for n in stage.told(Kind.BUDGET)
    )


def test_an_event_about_one_of_several_boxes_judges_no_idleness() -> None:
    """The idle one of two is news; the busy one keeps them both."""
    stage = Stage()
    lease = stage.launch(target_capacity=2)
    idle, busy = lease.instance_ids
    stage.works(idle, 0, since=at("09:00"), until=at("20:00"))
    stage.works(busy, 90, since=at("09:00"), until=at("20:00"))
    stage.until(at("10:30"))
    for _ in range(20):
        stage.sweep(idle)
        stage.clock.advance(MINUTE)
    assert set(stage.alive) == {idle, busy}
    assert stage.told(Kind.WARNED) == []


def test_events_do_not_pass_the_cap_on_idle_ends() -> None:
    """However many come, idleness is judged by the minute's sweep alone."""
    stage = Stage()
    stage.put_policy(limits={"idle_ends_per_sweep": 1})
    leases = [idle_box(stage) for _ in range(4)]
    stage.until(at("10:00"))
    assert len(stage.alive) == 3
    stage.clock.advance(30 * SECOND)
    for lease in leases:
        stage.sweep(lease.instance_ids[0])
    assert len(stage.alive) == 3


def test_an_event_of_a_relaunch_brings_the_box_to_its_lease() -> None:
    """Known by its request at once, tagged or not."""
    stage = Stage()
    lease = one_hour(stage)
    stage.until(at("09:10"))
    stage.compute.terminate(REGION, lease.instance_ids)
    (again,) = stage.alive
    stage.sweep(again)
    assert again in stage.only_lease().instance_ids


def test_an_event_about_a_box_that_is_gone_or_unknown_is_harmless() -> None:
    """Events come late and twice."""
    stage = Stage()
    lease = one_hour(stage)
    stage.until(at("10:00"))
    stage.sweep(lease.instance_ids[0])
    record = sweep(stage.services, trigger="event", only=(REGION, "i-00000000000000000"))
    assert record.seen == 0
    assert is_over(stage)


def test_sweeps_are_recorded() -> None:
    """What was seen and done stays for thirty days."""
    stage = Stage()
    lease = one_hour(stage)
    stage.until(at("10:00"))
    newest = stage.store.sweeps(limit=1, cursor=None).items[0]
    assert newest.ended == (lease.id,)
    assert (newest.trigger, newest.is_complete, newest.started_at) == ("schedule", True, at("10:00"))
