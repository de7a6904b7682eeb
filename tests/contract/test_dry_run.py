"""Dry run: everything is seen, nothing is touched, and what was not done says so."""

from datetime import timedelta

import pytest

from chalicelib.domain.errors import Refused
from chalicelib.domain.lease import Hold, Lease, Origin, RequestType, Status
from chalicelib.domain.policy import Policy
from chalicelib.gateways.dry_run import NOT_DONE, DryRunCompute
from chalicelib.gateways.scratch_store import ScratchStore
from chalicelib.ports import FirstSight
from tests.contract.compute_labs import AMI, REGION, MemoryLab, an_order, attempts_of
from tests.doubles.memory_ports import START
from tests.doubles.memory_store import MemoryStore


@pytest.fixture
def lab() -> MemoryLab:
    return MemoryLab()


def a_lease(lease_id: str = "lease-1") -> Lease:
    return Lease(
        id=lease_id,
        owner="ann",
        region=REGION,
        origin=Origin.ADOPTED,
        request_type=RequestType.NONE,
        status=Status.ACTIVE,
        requested_at=START,
        expires_at=START + timedelta(hours=8),
        hold=Hold(),
    )


class TestCompute:
    def test_ends_nothing(self, lab: MemoryLab) -> None:
        """Cancel, terminate, stop and lift answer `dry-run`; EC2 hears nothing of it."""
        box = lab.start(market="persistent")
        request_id = lab.compute.box(box).request_id or ""
        dry = DryRunCompute(lab.compute)
        assert dry.cancel_spot_requests(REGION, [request_id]) == {request_id: NOT_DONE}
        assert dry.terminate(REGION, [box]) == {box: NOT_DONE}
        assert dry.stop(REGION, [box]) == {box: NOT_DONE}
        assert dry.lift_termination_protection(REGION, box) == NOT_DONE
        dry.tag(REGION, [box], {"team": "vision"})
        dry.delete_launch_template(REGION, "lease-1")
        assert lab.compute.acts == []
        assert (NOT_DONE.accepted, NOT_DONE.answer, NOT_DONE.is_dry_run) == (False, "dry-run", True)

    def test_launches_nothing_and_says_how_to(self, lab: MemoryLab) -> None:
        """A launch is refused with the setting to change."""
        dry = DryRunCompute(lab.compute)
        with pytest.raises(Refused, match="set CURFEW_MODE=enforce") as refusal:
            dry.launch(attempts_of(lab, an_order())[0])
        assert refusal.value.slug == "dry-run"
        assert lab.compute.acts == []

    def test_sees_everything(self, lab: MemoryLab) -> None:
        """Reads pass through."""
        box = lab.start()
        dry = DryRunCompute(lab.compute)
        assert dry.regions() == lab.compute.regions()
        assert dry.observe([REGION]) == lab.compute.observe([REGION])
        assert dry.image(REGION, AMI.id) == lab.compute.image(REGION, AMI.id)
        assert dry.volumes(REGION, [box]) == lab.compute.volumes(REGION, [box])
        assert dry.find_launched(REGION, lease_id="x", tokens=[]).outcome == "refused"
        assert dry.fleet_problem(REGION, "fleet-1", since=lab.now) is None


class TestStore:
    def test_writes_go_nowhere(self) -> None:
        """They answer as if they had succeeded; the table is as it was."""
        store = MemoryStore()
        scratch = ScratchStore(store)
        opened = scratch.open_lease(a_lease(), revision=0)
        saved = scratch.save_lease(opened)
        assert (opened.version, saved.version) == (1, 2)
        assert scratch.put_policy(Policy(), if_version=None) == 1
        scratch.record_first_sight(REGION, FirstSight(at=START, instance_ids=frozenset()))
        scratch.arm(START)
        assert store.open_leases() == ()
        assert store.policy()[1] == 0
        assert store.account().armed_at is None
        assert store.account().first_sights == {}

    def test_a_lease_written_is_read_again(self) -> None:
        """A sweep that reads back what it wrote goes on as a real one would."""
        store = MemoryStore()
        real = store.open_lease(a_lease("lease-2"), revision=0)
        scratch = ScratchStore(store)
        opened = scratch.open_lease(a_lease(), revision=0)
        changed = scratch.save_lease(real)
        assert scratch.lease("lease-1") == opened
        assert scratch.open_leases() == (changed, opened)
        closed = scratch.close_lease(changed, receipt=None)
        assert closed.status is Status.CLOSED
        assert scratch.open_leases() == (opened,)
        assert store.open_leases() == (real,)

    def test_nobody_is_told_anything(self) -> None:
        """There is nothing to send."""
        scratch = ScratchStore(MemoryStore())
        assert scratch.claim_notices(now=START, hold_for=timedelta(minutes=1), limit=10) == ()
