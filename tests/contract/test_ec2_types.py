"""Instance types as the gateway reads them."""

from collections.abc import Iterator
from typing import Any

import pytest

from chalicelib.domain.accelerators import TypeFact
from chalicelib.domain.errors import Unavailable
from chalicelib.gateways.aws import HURRIED
from chalicelib.gateways.ec2 import Ec2Compute
from chalicelib.gateways.ec2_types import has_accelerator
from chalicelib.ports import Store
from localaws.world import World
from tests.contract.compute_labs import REGION, aws_of, stubbed
from tests.contract.store_examples import NOW


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with World(regions=(REGION,)) as made:
        yield made


def test_types_are_told_and_one_unknown_type_hides_no_other(world: World) -> None:
    """EC2 refuses the whole call for it: it is split until that type stands alone."""
    told = Ec2Compute(aws_of(world)).accelerated(
        REGION, ["g5.xlarge", "inf1.xlarge", "t3.micro", "m5.large", "nonsense.large", "f1.2xlarge"]
    )
    assert {name: told[name] for name in ("g5.xlarge", "inf1.xlarge", "t3.micro", "m5.large")} == {
        "g5.xlarge": True,
        "inf1.xlarge": True,
        "t3.micro": False,
        "m5.large": False,
    }
    assert told["nonsense.large"] is None


@pytest.mark.parametrize(
    "raw, expected",
    [
        ({"GpuInfo": {"Gpus": [{"Name": "L4", "Count": 0}]}}, True),
        ({"NeuronInfo": {"NeuronDevices": [{"Count": 1}]}}, True),
        ({"InferenceAcceleratorInfo": {"Accelerators": [{"Count": 1}]}}, True),
        ({"MediaAcceleratorInfo": {"Accelerators": [{"Count": 1}]}}, True),
        ({"FpgaInfo": {"Fpgas": [{"Count": 1}]}}, True),
        ({"VCpuInfo": {"DefaultVCpus": 2}}, False),
    ],
)
def test_whatever_accelerates_counts(*, raw: dict[str, Any], expected: bool) -> None:
    """A part of a GPU, which is counted as none, as well."""
    assert has_accelerator(raw) is expected


def test_a_denial_is_unavailable_and_half_an_answer_is_kept() -> None:
    """Of 101 types one call is refused: what the other said is told."""
    compute, stubber = stubbed(HURRIED)
    stubber.add_client_error("describe_instance_types", "UnauthorizedOperation")
    with pytest.raises(Unavailable):
        compute.accelerated(REGION, ["m5.large"])
    names = [f"m{number:03}.large" for number in range(101)]
    answer = {"InstanceTypes": [{"InstanceType": names[100], "GpuInfo": {"TotalGpuMemoryInMiB": 1}}]}
    stubber.add_response("describe_instance_types", answer, {"InstanceTypes": [names[100]]})
    stubber.add_client_error("describe_instance_types", "RequestLimitExceeded")
    assert compute.accelerated(REGION, names) == {names[100]: True}


def test_what_is_known_of_types_replaces_what_was_known(store: Store) -> None:
    """In both stores, also what EC2 did not know."""
    facts = (
        TypeFact(name="m5.large", is_accelerated=False, asked_at=NOW),
        TypeFact(name="z9.large", is_accelerated=None, asked_at=NOW),
    )
    assert store.type_facts() == ()
    store.keep_type_facts(facts)
    assert store.type_facts() == facts
    store.keep_type_facts(facts[1:])
    assert store.type_facts() == facts[1:]
