"""What Compute promises, held against the gateway on localaws and against its twin in memory."""

import json
from collections.abc import Iterator

import pytest

from chalicelib.domain.lease import RequestType
from chalicelib.ports import Outcome
from tests.contract.compute_labs import (
    AMI,
    REGION,
    Lab,
    alive,
    an_order,
    attempts_of,
    instance_of,
    look,
    opened,
    request_of,
)


@pytest.fixture(params=["localaws", "memory"])
def lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    with opened(request.param) as found:
        yield found


class TestObserving:
    def test_sees_an_on_demand_box(self, lab: Lab) -> None:
        """A plain box is seen with its type, zone, tags and start."""
        box = instance_of(lab, lab.start("g5.xlarge", tags={"team": "vision"}, zone="us-east-1b"))
        assert (box.type, box.zone, box.state, box.lifecycle) == (
            "g5.xlarge",
            "us-east-1b",
            "running",
            "on-demand",
        )
        assert box.tags["team"] == "vision"
        assert box.launched_at is not None
        assert box.launched_at <= lab.now
        assert box.public_ip

    def test_links_a_spot_box_and_its_request_both_ways(self, lab: Lab) -> None:
        """A spot box names its request, and the request its box."""
        box = instance_of(lab, lab.start(market="persistent"))
        request = request_of(lab, box.spot_request_id)
        assert box.is_spot
        assert (request.instance_id, request.type, request.state) == (box.id, "persistent", "active")

    def test_a_region_is_seen_empty(self, lab: Lab) -> None:
        """A region without anything is seen, and empty."""
        view = look(lab, region="eu-west-1")
        assert (view.status, view.instances, view.spot_requests) == ("ok", (), ())

    def test_regions_are_answered_in_the_order_asked(self, lab: Lab) -> None:
        """One view a region, in order."""
        assert [view.region for view in lab.compute.observe(["us-west-2", "us-east-1"])] == [
            "us-west-2",
            "us-east-1",
        ]

    def test_lists_the_regions(self, lab: Lab) -> None:
        """The regions the account can use."""
        assert {"us-east-1", "us-west-2", "eu-west-1"} <= set(lab.compute.regions())

    def test_only_narrows_to_one_box_and_its_request(self, lab: Lab) -> None:
        """`only` shows one box and the request it belongs to."""
        lab.start(market="one-time")
        box = lab.start(market="persistent")
        view = look(lab, only=box)
        assert [one.id for one in view.instances] == [box]
        assert [one.instance_id for one in view.spot_requests] == [box]

    def test_only_with_an_unknown_id_is_no_error(self, lab: Lab) -> None:
        """An id that EC2 does not know is simply not seen."""
        view = look(lab, only="i-00000000000000bad")
        assert (view.status, view.instances) == ("ok", ())

    def test_a_terminated_box_is_still_seen_with_its_end(self, lab: Lab) -> None:
        """Gone boxes are listed for a while, with the moment they ended."""
        box = lab.start()
        at = lab.now
        lab.compute.terminate(REGION, [box])
        lab.wait()
        seen = instance_of(lab, box)
        assert (seen.state, seen.ended_at) == ("terminated", at)

    def test_an_image_is_found_or_none(self, lab: Lab) -> None:
        """An AMI with its root volume, or None."""
        found = lab.compute.image(REGION, AMI.id)
        assert found is not None
        assert found.root_gib > 0
        assert lab.compute.image(REGION, "ami-nonsense") is None

    def test_the_disks_of_a_box(self, lab: Lab) -> None:
        """What is attached, as the box names it; nothing for an unknown box."""
        (attempt,) = attempts_of(lab, an_order(volume_gib=200))
        (box,) = lab.compute.launch(attempt).instance_ids
        found = lab.compute.volumes(REGION, [box, "i-00000000000000bad"])
        assert found["i-00000000000000bad"] == ()
        (root,) = found[box]
        assert (root.type, root.gib, root.instance_id, root.since) == ("gp3", 200, box, lab.now)
        assert instance_of(lab, box).volumes == {root.id: False}


class TestLaunching:
    @pytest.mark.parametrize("request_type", [RequestType.ONE_TIME, RequestType.PERSISTENT])
    def test_starts_a_tagged_spot_box_under_its_price_cap(self, lab: Lab, request_type: RequestType) -> None:
        """The box runs on spot, of the kind asked for, carries the lease's tags, and its request the cap."""
        attempt = attempts_of(lab, an_order(request_type, project="vision"))[0]
        answer = lab.compute.launch(attempt)
        lab.wait()
        assert answer.outcome == "launched"
        box = instance_of(lab, answer.instance_ids[0])
        assert (box.state, box.lifecycle, box.type) == ("running", "spot", "g5.xlarge")
        assert {box.tags[f"curfew:{key}"] for key in ("lease", "owner", "project")} == {
            "lease-1",
            "ann",
            "vision",
        }
        request = request_of(lab, box.spot_request_id)
        assert request.type == request_type.value
        assert request.max_price is not None
        assert float(request.max_price) == 1.006
        assert request.tags["curfew:lease"] == "lease-1"
        assert answer.spot_request_ids == (request.id,)

    def test_a_one_time_launch_is_an_instant_fleet(self, lab: Lab) -> None:
        """Its fleet is named, and known as instant: it replaces nothing."""
        answer = lab.compute.launch(attempts_of(lab, an_order())[0])
        assert answer.fleet_id is not None
        assert instance_of(lab, answer.instance_ids[0]).fleet_id == answer.fleet_id
        assert [(fleet.id, fleet.type, fleet.can_launch) for fleet in look(lab).fleets] == [
            (answer.fleet_id, "instant", False)
        ]

    def test_starts_as_many_as_asked(self, lab: Lab) -> None:
        """The target capacity in one call."""
        for number, kind in enumerate((RequestType.ONE_TIME, RequestType.PERSISTENT)):
            attempt = attempts_of(lab, an_order(kind, target_capacity=3), lease_id=f"lease-{number}")[0]
            assert len(lab.compute.launch(attempt).instance_ids) == 3

    @pytest.mark.parametrize("request_type", [RequestType.ONE_TIME, RequestType.PERSISTENT])
    def test_the_same_attempt_again_starts_nothing_new(self, lab: Lab, request_type: RequestType) -> None:
        """A replayed attempt gives the first answer."""
        attempt = attempts_of(lab, an_order(request_type))[0]
        first = lab.compute.launch(attempt)
        assert lab.compute.launch(attempt).instance_ids == first.instance_ids
        assert len(alive(lab)) == 1

    @pytest.mark.parametrize("request_type", [RequestType.ONE_TIME, RequestType.PERSISTENT])
    def test_no_capacity_is_refused_and_leaves_nothing(self, lab: Lab, request_type: RequestType) -> None:
        """Without capacity nothing runs, and the answer says what was tried."""
        lab.lose_capacity("g5.xlarge")
        answer = lab.compute.launch(attempts_of(lab, an_order(request_type))[0])
        assert (answer.outcome, answer.instance_ids) == ("refused", ())
        assert answer.code == "InsufficientInstanceCapacity"
        assert "g5.xlarge" in answer.detail
        assert alive(lab) == []
        assert [one for one in look(lab).spot_requests if one.is_armed] == []

    def test_a_fleet_takes_the_next_type_when_one_has_no_capacity(self, lab: Lab) -> None:
        """Every type is tried in the one call."""
        lab.lose_capacity("g4dn.xlarge")
        answer = lab.compute.launch(
            attempts_of(lab, an_order(instance_types=("g4dn.xlarge", "g5.xlarge")))[0]
        )
        assert instance_of(lab, answer.instance_ids[0]).type == "g5.xlarge"

    @pytest.mark.parametrize("request_type", [RequestType.ONE_TIME, RequestType.PERSISTENT])
    def test_what_an_attempt_started_is_found_again(self, lab: Lab, request_type: RequestType) -> None:
        """By its token or by its fleet, after a crash that lost the answer."""
        attempt = attempts_of(lab, an_order(request_type))[0]
        answer = lab.compute.launch(attempt)
        found = lab.compute.find_launched(REGION, lease_id="lease-1", tokens=[attempt.token])
        assert (found.outcome, found.instance_ids) == ("launched", answer.instance_ids)
        assert found.spot_request_ids == answer.spot_request_ids
        assert found.fleet_id == answer.fleet_id

    def test_a_copied_tag_proves_nothing(self, lab: Lab) -> None:
        """A box somebody tagged with the lease is not what the lease launched."""
        lab.start(tags={"curfew:lease": "lease-1"})
        found = lab.compute.find_launched(REGION, lease_id="lease-1", tokens=["0" * 32])
        assert (found.outcome, found.instance_ids) == ("refused", ())

    def test_attempts_survive_json(self, lab: Lab) -> None:
        """Parameters come back from the table as they went in, and still launch."""
        for number, kind in enumerate((RequestType.ONE_TIME, RequestType.PERSISTENT)):
            attempt = attempts_of(lab, an_order(kind, key_name="mine"), lease_id=f"lease-{number}")[0]
            assert json.loads(json.dumps(attempt.parameters)) == attempt.parameters
            assert lab.compute.launch(attempt).outcome == "launched"

    def test_the_template_of_a_lease_is_deleted(self, lab: Lab) -> None:
        """What a launch left behind can be removed, and the box stays."""
        answer = lab.compute.launch(attempts_of(lab, an_order())[0])
        lab.compute.delete_launch_template(REGION, "lease-1")
        assert alive(lab) == list(answer.instance_ids)


class TestEnding:
    def test_terminating_before_cancelling_brings_a_new_box(self, lab: Lab) -> None:
        """AWS replaces what a persistent request lost: the reason for cancelling first."""
        box = lab.start(market="persistent")
        lab.compute.terminate(REGION, [box])
        lab.wait(600)
        (replacement,) = alive(lab)
        assert replacement != box
        assert instance_of(lab, replacement).spot_request_id == instance_of(lab, box).spot_request_id

    def test_cancelling_then_terminating_ends_it_for_good(self, lab: Lab) -> None:
        """Cancelled first, nothing comes back."""
        box = lab.start(market="persistent")
        request_id = instance_of(lab, box).spot_request_id or ""
        assert lab.compute.cancel_spot_requests(REGION, [request_id])[request_id].accepted
        assert instance_of(lab, box).state == "running"
        assert request_of(lab, request_id).status_code == "request-canceled-and-instance-running"
        assert lab.compute.terminate(REGION, [box])[box].accepted
        lab.wait(600)
        assert alive(lab) == []
        assert not request_of(lab, request_id).is_armed

    def test_ending_twice_is_accepted_twice(self, lab: Lab) -> None:
        """Cancel and terminate are idempotent."""
        box = lab.start(market="persistent")
        request_id = instance_of(lab, box).spot_request_id or ""
        for _ in range(2):
            assert lab.compute.cancel_spot_requests(REGION, [request_id])[request_id].accepted
            assert lab.compute.terminate(REGION, [box])[box].accepted

    def test_an_unknown_id_shields_nobody(self, lab: Lab) -> None:
        """The unknown one is absent, the others end."""
        boxes = [lab.start() for _ in range(3)]
        outcomes = lab.compute.terminate(REGION, [boxes[0], "i-00000000000000bad", *boxes[1:]])
        assert outcomes["i-00000000000000bad"] == Outcome(
            accepted=False, answer="InvalidInstanceID.NotFound", is_absent=True
        )
        assert all(outcomes[box].accepted for box in boxes)
        assert alive(lab) == []

    def test_a_protected_box_shields_only_itself(self, lab: Lab) -> None:
        """Its zone's other boxes end; lifting the protection ends it too."""
        boxes = [lab.start(zone="us-east-1a") for _ in range(4)]
        lab.protect(boxes[1])
        outcomes = lab.compute.terminate(REGION, boxes)
        assert outcomes[boxes[1]] == Outcome(accepted=False, answer="OperationNotPermitted")
        assert alive(lab) == [boxes[1]]
        assert lab.compute.lift_termination_protection(REGION, boxes[1]).accepted
        assert lab.compute.terminate(REGION, [boxes[1]])[boxes[1]].accepted
        assert alive(lab) == []

    def test_an_unknown_request_shields_nobody(self, lab: Lab) -> None:
        """The unknown request is absent, the other is cancelled."""
        request_id = instance_of(lab, lab.start(market="persistent")).spot_request_id or ""
        outcomes = lab.compute.cancel_spot_requests(REGION, ["sir-00000bad", request_id])
        assert outcomes["sir-00000bad"].is_absent
        assert outcomes[request_id].accepted

    def test_stopping_a_persistent_box_disables_its_request(self, lab: Lab) -> None:
        """The box is stopped and its request can't start another; cancelling then ends the box."""
        box = lab.start(market="persistent")
        assert lab.compute.stop(REGION, [box])[box].accepted
        lab.wait()
        seen = instance_of(lab, box)
        assert (seen.state, request_of(lab, seen.spot_request_id).state) == ("stopped", "disabled")
        lab.compute.cancel_spot_requests(REGION, [seen.spot_request_id or ""])
        lab.wait()
        assert alive(lab) == []

    def test_a_one_time_spot_box_cannot_be_stopped(self, lab: Lab) -> None:
        """EC2 refuses; the box runs on."""
        box, plain = lab.start(market="one-time"), lab.start()
        outcomes = lab.compute.stop(REGION, [box, plain])
        assert outcomes[box] == Outcome(accepted=False, answer="UnsupportedOperation")
        assert outcomes[plain].accepted

    def test_nothing_to_end_is_no_call(self, lab: Lab) -> None:
        """No ids, no outcomes."""
        assert lab.compute.terminate(REGION, []) == {}

    def test_tags_are_added(self, lab: Lab) -> None:
        """What was there stays."""
        box = lab.start(tags={"team": "vision"})
        lab.compute.tag(REGION, [box], {"curfew:owner": "ann"})
        assert {"team": "vision", "curfew:owner": "ann"}.items() <= instance_of(lab, box).tags.items()

    @pytest.mark.parametrize("request_type", [RequestType.ONE_TIME, RequestType.PERSISTENT])
    def test_a_lost_answer_starts_one_box_all_the_same(self, lab: Lab, request_type: RequestType) -> None:
        """Whether the call is made again at once or by the next sweep, one box runs."""
        attempt = attempts_of(lab, an_order(request_type))[0]
        lab.lose_answer("launch")
        first = lab.compute.launch(attempt)
        assert first.outcome in {"launched", "unknown"}
        assert lab.compute.launch(attempt).instance_ids == tuple(alive(lab))
        assert len(alive(lab)) == 1
