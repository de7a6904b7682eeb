"""What is launched through Curfew is guarded whatever it is: a lease needs no GPU, only strays are told by their type."""

from decimal import Decimal

import pytest

from chalicelib.domain.lease import RequestType, Status
from chalicelib.domain.notices import Kind
from chalicelib.usecases import report
from tests.builders import HOUR, REGION, Stage, at, usd
from tests.doubles.memory_ports import ON_DEMAND, MemoryPrices

PLAIN = "t3.micro"


@pytest.fixture
def stage() -> Stage:
    """A Curfew that knows the price of a box without a GPU, on a budget."""
    stage = Stage(prices=MemoryPrices({**ON_DEMAND, PLAIN: Decimal("0.0104")}))
    stage.put_budget()
    return stage


@pytest.mark.parametrize("kind", [RequestType.ONE_TIME, RequestType.PERSISTENT])
def test_a_launched_box_without_a_gpu_ends_with_its_lease(stage: Stage, kind: RequestType) -> None:
    """It is held, seen, metered and ended as any other."""
    lease = stage.launch(instance_types=(PLAIN,), request_type=kind, lasts_for=HOUR)
    assert stage.left() == usd(100) - lease.hold.total_usd
    stage.until(at("09:30"))
    (seen,) = report.instances(stage.services).items
    assert (seen.instance.type, seen.lease and seen.lease.id) == (PLAIN, lease.id)
    assert seen.cost.accrued_usd > 0
    stage.until(at("10:02"))
    assert (stage.alive, stage.armed) == ([], [])
    assert stage.lease(lease.id).status is Status.CLOSED


def test_a_box_without_a_gpu_that_its_request_started_again_is_its_lease_s(stage: Stage) -> None:
    """It comes back without a tag, under another id, and would not be adopted: its request tells whose it is."""
    lease = stage.launch(instance_types=(PLAIN,), request_type=RequestType.PERSISTENT, lasts_for=HOUR)
    stage.compute.ec2.terminate(REGION, lease.instance_ids[0])
    stage.until(at("09:30"))
    (again,) = stage.alive
    assert again in stage.lease(lease.id).instance_ids
    stage.until(at("10:02"))
    assert (stage.alive, stage.armed) == ([], [])


def test_a_scope_that_leaves_a_type_out_keeps_no_launched_box(stage: Stage) -> None:
    """`scope` says which strays are adopted; a lease was asked for."""
    stage.put_policy(scope={"exclude_types": ["*"]})
    stage.launch(lasts_for=HOUR)
    stage.until(at("10:02"))
    assert stage.alive == []


def test_a_stray_without_a_gpu_is_left_alone(stage: Stage) -> None:
    """Nothing else on the bill is touched."""
    stray = stage.compute.start(PLAIN)
    stage.until(at("12:00"))
    assert stage.alive == [stray]
    assert stage.told(Kind.ADOPTED) == []
