"""DELETE by lease, spot request or instance: one use case, one receipt, and nothing that comes back."""

from collections.abc import Callable

import pytest

from chalicelib.domain.errors import NotFound, Refused, Unavailable
from chalicelib.domain.lease import Lease, Receipt, RequestType, Status
from chalicelib.domain.notices import Kind
from chalicelib.usecases.end import end_instance, end_lease, end_spot_request
from tests.builders import HOUR, MINUTE, REGION, Stage, at, minutes, usd
from tests.doubles.accidents import Crash
from tests.doubles.memory_compute import Call, Request

By = Callable[[Stage, Lease], Receipt]


def by_lease(stage: Stage, lease: Lease) -> Receipt:
    return end_lease(stage.services, lease.id, by="ada")


def by_request(stage: Stage, lease: Lease) -> Receipt:
    return end_spot_request(stage.services, lease.spot_request_ids[0], by="ada")


def by_instance(stage: Stage, lease: Lease) -> Receipt:
    return end_instance(stage.services, lease.instance_ids[0], by="ada")


PATHS = pytest.mark.parametrize("path", [by_lease, by_request, by_instance])
BOTH = pytest.mark.parametrize("kind", [RequestType.ONE_TIME, RequestType.PERSISTENT])


def is_over(stage: Stage) -> bool:
    return (stage.alive, stage.armed, stage.store.open_leases()) == ([], [], ())


@PATHS
@BOTH
def test_each_path_ends_the_box_its_request_and_the_lease(path: By, kind: RequestType) -> None:
    """One receipt that names who asked, the request cancelled first, the money back."""
    stage = Stage()
    stage.put_budget()
    lease = stage.launch(request_type=kind)
    receipt = path(stage, lease)
    assert (receipt.lease_id, receipt.cause, receipt.status) == (lease.id, "requested", "done")
    assert "ada" in receipt.reason
    assert [call.operation for call in stage.ending_calls] == ["cancel_spot_requests", "terminate"]
    assert is_over(stage)
    assert stage.left() > usd("99.9")


@PATHS
def test_ending_what_is_ended_answers_the_same_receipt(path: By) -> None:
    """Again is no error, and no second call; also when EC2 has forgotten it."""
    stage = Stage()
    lease = stage.launch()
    first = path(stage, lease)
    for length in (MINUTE, 3 * HOUR):
        stage.clock.advance(length)
        for again in (by_lease, by_request, by_instance):
            assert again(stage, lease) == first
    assert len(stage.ending_calls) == 2
    assert len(stage.told(Kind.ENDED)) == 1


@PATHS
def test_an_end_that_takes_time_answers_how_far_it_is(path: By) -> None:
    """`ending` now, `done` later, asked by whichever path."""
    stage = Stage()
    stage.compute.ec2.shutting_down_for = minutes(3)
    lease = stage.launch()
    assert path(stage, lease).status == "ending"
    stage.clock.advance(MINUTE)
    assert path(stage, lease).status == "ending"
    stage.until(at("09:05"))
    assert path(stage, lease).status == "done"
    assert is_over(stage)


@PATHS
def test_an_end_somebody_else_is_at_answers_what_is_recorded(path: By) -> None:
    """While a writer holds the claim nobody calls beside it."""
    stage = Stage()
    lease = stage.launch()
    statuses: list[str] = []

    def ask_again(when: str, call: object) -> None:
        if when == "before" and getattr(call, "operation", "") == "terminate":
            stage.compute.on_call = lambda *_: None
            statuses.append(path(stage, lease).status)

    stage.compute.on_call = ask_again
    assert by_lease(stage, lease).status == "done"
    assert statuses == ["ending"]
    assert [call.operation for call in stage.ending_calls] == ["cancel_spot_requests", "terminate"]


def test_nobody_s_box_is_ended_too() -> None:
    """Spot or on-demand, adopted yet or not, by its id."""
    for market in ("on-demand", "one-time", "persistent"):
        stage = Stage(is_armed=False)
        box = stage.compute.start(market=market)
        assert end_instance(stage.services, box, by="ada").status == "done"
        assert is_over(stage)
        adopting = Stage()
        box = adopting.compute.start(market=market)
        adopting.sweep()
        assert end_instance(adopting.services, box, by="ada").status == "done"
        assert is_over(adopting)


def test_nobody_s_request_is_cancelled_and_its_box_terminated() -> None:
    """Whoever made it."""
    stage = Stage(is_armed=False)
    request = stage.request_of(stage.compute.start(market="persistent"))
    assert end_spot_request(stage.services, request.id, by="ada").status == "done"
    assert request.state == "cancelled"
    assert is_over(stage)


def an_open_request(stage: Stage) -> Request:
    """Somebody's persistent request whose box is gone and which finds no capacity for another."""
    box = stage.compute.start(market="persistent")
    stage.compute.ec2.no_capacity = {(REGION, "g5.xlarge")}
    stage.compute.terminate(REGION, [box])
    request = stage.request_of(box)
    assert request.state == "open"
    return request


def test_a_request_without_a_box_is_cancelled() -> None:
    """Open for want of capacity, it could start one at any time; it is over once none can show up late."""
    stage = Stage()
    request = an_open_request(stage)
    assert end_spot_request(stage.services, request.id, by="ada").status == "ending"
    assert request.state == "cancelled"
    stage.until(at("09:06"))
    assert is_over(stage)
    receipt = end_spot_request(stage.services, request.id, by="ada")
    assert (receipt.status, receipt.cost_usd) == ("done", 0)
    assert "ada" in receipt.reason


def test_a_box_that_shows_up_after_its_request_was_cancelled_is_ended() -> None:
    """EC2 fulfilled the request just before the cancel and shows the box later: its lease has not closed over it."""
    stage = Stage()
    lease = stage.launch(request_type=RequestType.PERSISTENT)
    stage.compute.ec2.relaunches_after = 99 * HOUR
    stage.compute.terminate(REGION, lease.instance_ids)
    stage.after(MINUTE)

    def fulfil(when: str, call: Call) -> None:
        if (when, call.operation) == ("before", "cancel_spot_requests"):
            stage.compute.on_call = lambda *_: None
            stage.compute.ec2.relaunches_after = 0 * HOUR
            for box in stage.compute.alive:
                box.is_hidden = True

    stage.compute.on_call = fulfil
    assert by_lease(stage, lease).status == "ending"
    (late,) = stage.compute.alive
    stage.after(2 * MINUTE)
    assert stage.only_lease().id == lease.id
    late.is_hidden = False
    stage.until(at("09:09"))
    assert is_over(stage)
    assert late.id in stage.receipt(lease.id).instance_ids


def test_a_request_too_new_to_be_known_is_not_called_cancelled() -> None:
    """NotFound of an id that EC2 gave a moment ago proves nothing: its box is not terminated before it, and the next
    sweep tries again."""
    stage = Stage()
    lease = stage.launch(request_type=RequestType.PERSISTENT)
    stage.compute.fail("cancel_spot_requests", code="InvalidSpotInstanceRequestID.NotFound")
    assert by_lease(stage, lease).status == "ending"
    assert stage.alive == list(lease.instance_ids)
    stage.after(MINUTE)
    assert is_over(stage)
    assert len(stage.compute.ec2.boxes) == 1


def test_a_rehearsed_end_of_a_request_without_a_box_leaves_no_lease() -> None:
    """There was none before, and no rule would ever end it; in earnest it is cancelled later."""
    stage = Stage(is_dry_run=True)
    request = an_open_request(stage)
    assert end_spot_request(stage.services, request.id, by="ada").status == "dry-run"
    assert (request.state, stage.store.open_leases()) == ("open", ())
    stage.is_dry_run = False
    stage.after(MINUTE)
    assert request.state == "open"
    end_spot_request(stage.services, request.id, by="ada")
    stage.until(at("09:08"))
    assert request.state == "cancelled"
    assert is_over(stage)


def test_a_request_without_a_box_is_ended_by_the_sweep_where_its_ender_died() -> None:
    """A crash right after the first write: the lease is ending already, so a sweep takes it up."""
    stage = Stage()
    request = an_open_request(stage)
    stage.store.inject("open_lease", Crash(), after=True)
    with pytest.raises(Crash):
        end_spot_request(stage.services, request.id, by="ada")
    stage.until(at("09:07"))
    assert request.state == "cancelled"
    assert is_over(stage)


@pytest.mark.parametrize("forgotten", [False, True], ids=["shown", "dropped by EC2"])
def test_a_cancelled_request_s_box_that_runs_on_is_terminated(*, forgotten: bool) -> None:
    """Cancelled by hand without a thought for its box: DELETE of the request ends that too."""
    stage = Stage(is_armed=False)
    box = stage.compute.start(market="persistent")
    request = stage.request_of(box)
    stage.compute.cancel_spot_requests(REGION, [request.id])
    stage.clock.advance(HOUR)
    if forgotten:
        del stage.compute.ec2.requests[request.id]
    assert stage.alive == [box]
    receipt = end_spot_request(stage.services, request.id, by="ada")
    assert receipt.instance_ids == (box,)
    stage.after(MINUTE)
    assert is_over(stage)


def test_a_box_that_runs_on_after_its_lease_closed_is_ended_all_the_same() -> None:
    """EC2 did not show it, its lease was closed; shown again it can be ended by any of its ids."""
    stage = Stage(is_armed=False)
    lease = stage.launch(request_type=RequestType.PERSISTENT)
    box = stage.box(lease.instance_ids[0])
    stage.sweep()
    stage.compute.cancel_spot_requests(REGION, lease.spot_request_ids)
    box.is_hidden = True
    stage.until(at("09:10"))
    assert stage.lease(lease.id).status is Status.CLOSED
    box.is_hidden = False
    assert by_request(stage, lease).instance_ids == (box.id,)
    assert is_over(stage)


def test_an_adopted_box_closed_and_seen_again_is_ended_by_its_id() -> None:
    """Its first lease is closed: the end gets a record of its own."""
    stage = Stage(is_armed=False)
    stage.sweep()
    stage.clock.advance(MINUTE)
    box = stage.compute.start()
    stage.after(MINUTE)
    stage.box(box).is_hidden = True
    stage.until(at("09:10"))
    assert stage.store.open_leases() == ()
    stage.box(box).is_hidden = False
    assert end_instance(stage.services, box, by="ada").status == "done"
    assert is_over(stage)


def test_boxes_of_one_lease_end_together_or_not_at_all() -> None:
    """By one instance or one request of two: 409, and the way that works."""
    stage = Stage()
    lease = stage.launch(target_capacity=2)
    for path in (by_instance, by_request):
        with pytest.raises(Refused) as told:
            path(stage, lease)
        assert told.value.slug == "shared-lease"
        assert f"DELETE /leases/{lease.id}" in told.value.detail
    assert len(stage.alive) == 2
    assert by_lease(stage, lease).status == "done"
    assert is_over(stage)


def test_the_last_box_of_a_lease_may_be_named() -> None:
    """The others are gone already."""
    stage = Stage()
    lease = stage.launch(target_capacity=2)
    stage.compute.terminate(REGION, lease.instance_ids[1:])
    assert by_instance(stage, lease).status == "done"
    assert is_over(stage)


def test_what_another_service_runs_is_refused_with_the_lever_that_works() -> None:
    """Nothing is called, no lease is made."""
    stage = Stage(is_armed=False)
    box = stage.compute.start(managed_by="EKS")
    with pytest.raises(Refused, match="update-nodegroup-config") as told:
        end_instance(stage.services, box, by="ada")
    assert told.value.slug == "controller"
    assert (stage.alive, stage.ending_calls, stage.store.open_leases()) == ([box], [], ())


def test_a_leased_box_that_a_group_has_taken_in_is_taken_out_first() -> None:
    """Adopted first, attached later: ended as it is, it would come back."""
    stage = Stage()
    box = stage.compute.start()
    stage.sweep()
    stage.box(box).group = "web"
    stage.compute.ec2.controllers.take_in(stage.box(box))
    end_instance(stage.services, box, by="ada")
    assert [call.operation for call in stage.ending_calls] == ["detach", "resize_group", "terminate"]
    assert stage.alive == []


def test_what_is_unknown_is_not_found() -> None:
    """404 for an absent id, and for a box that is none of Curfew's business."""
    stage = Stage()
    other = stage.compute.start("t3.micro")
    absent: list[Callable[[], Receipt]] = [
        lambda: end_lease(stage.services, "lease-0", by="ada"),
        lambda: end_spot_request(stage.services, "sir-0", by="ada"),
        lambda: end_instance(stage.services, "i-0", by="ada"),
        lambda: end_instance(stage.services, other, by="ada"),
    ]
    for ask in absent:
        with pytest.raises(NotFound):
            ask()
    assert stage.alive == [other]


def test_what_could_be_in_a_region_that_does_not_answer_is_not_called_absent() -> None:
    """503: ask again."""
    stage = Stage()
    box = stage.compute.start(market="persistent")
    request_id = stage.request_of(box).id
    stage.compute.fail("observe", REGION, times=2)
    with pytest.raises(Unavailable):
        end_instance(stage.services, box, by="ada")
    with pytest.raises(Unavailable):
        end_spot_request(stage.services, request_id, by="ada")
    assert end_spot_request(stage.services, request_id, by="ada").status == "done"


def test_a_lease_in_a_region_that_does_not_answer_is_ended_by_its_ids() -> None:
    """Who asks by lease need not wait for Describe."""
    stage = Stage()
    lease = stage.launch()
    stage.compute.fail("observe", REGION, times=2)
    assert by_lease(stage, lease).status == "ending"
    assert stage.alive == []
    stage.after(MINUTE)
    assert is_over(stage)


def test_the_shields_of_the_sweep_do_not_stop_a_person() -> None:
    """Protected by tag, adopted a moment ago, or stopped: whoever asks for the end gets it."""
    stage = Stage()
    boxes = [
        stage.compute.start(tags={"curfew:protect": "2026-12-24"}),
        stage.compute.start(),
        stage.compute.start(state="stopped"),
    ]
    stage.sweep()
    for box in boxes:
        end_instance(stage.services, box, by="ada")
    stage.after(MINUTE)
    assert is_over(stage)


def test_a_launch_that_started_nothing_has_no_receipt() -> None:
    """There was nothing to end."""
    stage = Stage()
    stage.compute.fail("launch", code="InvalidParameterValue")
    with pytest.raises(Refused):
        stage.launch(key="k")
    failed = stage.store.leases(limit=1, cursor=None).items[0]
    with pytest.raises(NotFound):
        end_lease(stage.services, failed.id, by="ada")


def test_a_dry_run_s_delete_ends_nothing() -> None:
    """Its receipt is marked, and the box lives."""
    stage = Stage()
    lease = stage.launch()
    stage.is_dry_run = True
    for path in (by_lease, by_request, by_instance):
        assert path(stage, lease).status == "dry-run"
    assert stage.alive == list(lease.instance_ids)
    assert stage.lease(lease.id).status is Status.ACTIVE
    stage.is_dry_run = False
    assert by_lease(stage, lease).status == "done"
