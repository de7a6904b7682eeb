"""DELETE and GET of a fleet by its id, of either kind, ours or not."""

import pytest

from chalicelib.domain.errors import NotFound, Refused
from chalicelib.domain.lease import Status
from chalicelib.domain.notices import Kind
from chalicelib.domain.steps import END_FLEET
from chalicelib.usecases.end import end_spot_request
from chalicelib.usecases.report import spot_request, spot_requests
from tests.builders import Stage, at

FLEET = {"fleet_id": "fleet-1", "fleet_type": "maintain"}
SPOT_FLEET = {"spot_fleet_id": "sfr-1", "fleet_type": "maintain"}
BOTH = pytest.mark.parametrize("facts", [FLEET, SPOT_FLEET], ids=["fleet", "spot fleet"])


def name_of(facts: dict[str, str]) -> str:
    return facts.get("fleet_id") or facts["spot_fleet_id"]


@BOTH
@pytest.mark.parametrize("is_armed", [True, False])
def test_a_fleet_ends_with_what_it_runs(facts: dict[str, str], *, is_armed: bool) -> None:
    """Leased or not: its boxes end under leases of their own, and nothing comes back."""
    stage = Stage(is_armed=is_armed)
    for _ in range(3):
        stage.compute.start(**facts)
    stage.sweep()
    first = end_spot_request(stage.services, name_of(facts), by="ada")
    stage.until(at("09:30"))
    assert (stage.alive, len(stage.compute.ec2.boxes), stage.store.open_leases()) == ([], 3, ())
    again = end_spot_request(stage.services, name_of(facts), by="ada")
    assert (again.id, again.status) == (first.id, "done")
    assert [step.action for step in again.steps] == [END_FLEET]


@BOTH
def test_the_receipt_of_a_fleet_says_where_its_boxes_and_their_cost_are(facts: dict[str, str]) -> None:
    """Its boxes by id, their leases, and a message that names all three and no cost of nothing."""
    stage = Stage()
    boxes = {stage.compute.start(**facts) for _ in range(2)}
    stage.sweep()
    leases = {lease.id for lease in stage.store.open_leases()}
    first = end_spot_request(stage.services, name_of(facts), by="ada")
    stage.until(at("09:30"))
    kept = stage.receipt(first.lease_id)
    for receipt in (first, kept):
        assert (set(receipt.instance_ids), set(receipt.leases)) == (boxes, leases)
    assert sum(stage.receipt(one).cost_usd for one in leases) > 0
    (told,) = [one for one in stage.told(Kind.ENDED) if one.lease_id == first.lease_id]
    assert told.title.startswith(f"Ended {name_of(facts)}")
    assert all(box in told.title for box in boxes)
    assert all(f"GET /leases/{one}" in told.lines[0] for one in leases)


def test_a_fleet_without_a_box_ends_too() -> None:
    """It would have started one as soon as there is capacity."""
    stage = Stage()
    box = stage.compute.start(**FLEET)
    fleet = stage.compute.ec2.controllers.fleets["fleet-1"]
    fleet.target = 0
    stage.compute.ec2.terminate("us-east-1", box)
    receipt = end_spot_request(stage.services, "fleet-1", by="ada")
    assert (receipt.status, receipt.cost_usd) == ("done", 0)
    assert fleet.state.startswith("deleted")


def test_what_has_no_accelerator_runs_on() -> None:
    """It is replaced no more, and never ended."""
    stage = Stage()
    small = stage.compute.start("c5.large", **FLEET)
    stage.compute.start(**FLEET)
    end_spot_request(stage.services, "fleet-1", by="ada")
    stage.until(at("09:10"))
    assert stage.alive == [small]
    assert stage.compute.ec2.controllers.fleets["fleet-1"].state == "deleted_running"


def test_a_launched_lease_s_own_fleet_is_the_lease() -> None:
    """One end, one receipt."""
    stage = Stage()
    lease = stage.launch()
    assert lease.fleet_id is not None
    assert end_spot_request(stage.services, lease.fleet_id, by="ada").lease_id == lease.id
    assert stage.alive == []


def test_what_a_service_runs_is_refused() -> None:
    """With the lever that works; nothing is called."""
    stage = Stage()
    stage.compute.start(**FLEET, managed_by="Batch")
    with pytest.raises(Refused, match="update-compute-environment"):
        end_spot_request(stage.services, "fleet-1", by="ada")
    assert stage.ending_calls == []


def test_an_unknown_fleet_is_not_found() -> None:
    """404."""
    with pytest.raises(NotFound):
        end_spot_request(Stage().services, "fleet-9", by="ada")


def test_a_fleet_s_end_that_was_cut_off_goes_on() -> None:
    """A sweep takes it up."""
    stage = Stage()
    stage.compute.start(**FLEET)
    stage.compute.fail("end_fleets")
    receipt = end_spot_request(stage.services, "fleet-1", by="ada")
    assert receipt.status == "ending"
    assert stage.lease(receipt.lease_id).status is Status.ENDING
    stage.until(at("09:05"))
    assert (stage.alive, stage.store.open_leases()) == ([], ())


def test_a_dry_run_ends_no_fleet() -> None:
    """It says what it would call."""
    stage = Stage(is_dry_run=True)
    box = stage.compute.start(**FLEET)
    receipt = end_spot_request(stage.services, "fleet-1", by="ada")
    assert receipt.status == "dry-run"
    assert stage.alive == [box]
    stage.sweep()
    assert {lease.status for lease in stage.store.open_leases()} == {Status.ACTIVE}


def test_fleets_are_listed_beside_requests() -> None:
    """Ours or not, also while they run nothing."""
    stage = Stage()
    lease = stage.launch()
    stage.compute.start(**SPOT_FLEET)
    listed = {report.request.id: report.lease for report in spot_requests(stage.services).items}
    assert set(listed) == {*lease.spot_request_ids, lease.fleet_id, "sfr-1"}
    assert listed["sfr-1"] is None
    owner = listed[str(lease.fleet_id)]
    assert owner is not None
    assert owner.id == lease.id
    assert spot_request(stage.services, "sfr-1").request.type == "maintain"
