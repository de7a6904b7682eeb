"""Launching by the GPUs that are needed: the cheapest types that have them, and what is said where none has."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.errors import NoCapacity, Refused
from chalicelib.domain.gpus import MOST_TYPES, GpuNeed, GpuType, cheapest, fitting, nearest
from chalicelib.domain.lease import RequestType
from chalicelib.gateways.ec2_gpus import dated_table
from chalicelib.gateways.pricing import on_demand_book
from chalicelib.ports import Image
from chalicelib.usecases.launch import quote
from chalicelib.web.problems import TITLES
from tests.builders import AMI, REGION, Stage, order, usd
from tests.doubles.memory_catalogue import MemoryCatalogue
from tests.doubles.memory_ports import MemoryPrices

A10G = GpuType(
    instance_type="g5.xlarge",
    gpus=1,
    name="A10G",
    manufacturer="NVIDIA",
    memory_mib=22888,
    architecture="x86_64",
)


def gpu_order(**need: Any) -> Any:
    """A wish for GPUs."""
    return order(instance_types=(), gpu=GpuNeed(**need))


def stage(**facts: Any) -> Stage:
    """With the whole table of prices."""
    return Stage(prices=MemoryPrices(on_demand_book().on_demand), **facts)


def chosen(at: Stage, **need: Any) -> list[str]:
    """The types that a need comes to."""
    return list(quote(at.services, gpu_order(**need), owner="ada").price_caps)


# -- what fits -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "mib, printed",
    [(16384, 16), (22888, 24), (45776, 48), (40960, 40), (81920, 80), (144384, 141), (8192, 8)],
)
def test_memory_is_what_the_maker_prints(mib: int, printed: int) -> None:
    """EC2 tells an A10G's 24 GB as 22,888 MiB, and a T4's 16 GiB as 16,384."""
    assert replace(A10G, memory_mib=mib).memory_gib == printed


@pytest.mark.parametrize(
    "need, fits",
    [
        ({}, True),
        ({"memory_gib": 24}, True),
        ({"memory_gib": 25}, False),
        ({"count": 2}, False),
        ({"name": "a10g", "manufacturer": "nvidia"}, True),
        ({"name": "A10"}, False),
        ({"manufacturer": "AMD"}, False),
    ],
)
def test_a_type_fits_if_it_has_all_that_is_needed(need: dict[str, Any], *, fits: bool) -> None:
    """Memory is each GPU's; names are matched whole, whatever their case."""
    assert bool(fitting(GpuNeed(**need), [A10G])) is fits


needs = st.builds(
    GpuNeed,
    count=st.integers(1, 16),
    memory_gib=st.none() | st.integers(1, 400),
    name=st.none() | st.sampled_from(["A10G", "T4", "nonsense"]),
)


@given(needs)
def test_what_is_chosen_has_what_is_needed_and_else_something_is_near(need: GpuNeed) -> None:
    """A few of them, cheapest first; what is near falls short of it."""
    table, book = dated_table(), on_demand_book()
    fit = [one for one in fitting(need, table) if book.knows(one.instance_type)]
    for one in fit:
        assert one.gpus >= need.count
        assert one.memory_gib >= (need.memory_gib or 0)
    usd_of = [
        book.on_demand_usd(one.instance_type)
        for one in cheapest(fit, on_demand=book.on_demand_usd, spot={}, cap_usd=None)
    ]
    assert usd_of == sorted(usd_of)
    assert len(usd_of) == min(len(fit), MOST_TYPES)
    if not fitting(need, table):
        assert nearest(need, table)
        assert not fitting(need, nearest(need, table))


# -- what is chosen ------------------------------------------------------------------------------------------------------


def test_the_cheapest_types_by_the_list_are_taken_where_spot_is_not_known() -> None:
    """One T4 or better: those with one GPU and x86, because the image is; the hold covers the dearest of them."""
    at = stage()
    told = quote(at.services, gpu_order(memory_gib=16), owner="ada")
    assert list(told.price_caps) == [
        "g4dn.xlarge",
        "g4dn.2xlarge",
        "g6.xlarge",
        "g6.2xlarge",
        "g5.xlarge",
        "g4dn.4xlarge",
    ]
    dearest = order(instance_types=("g4dn.4xlarge",))
    assert told.hold == quote(at.services, dearest, owner="ada").hold


def test_the_spot_price_in_force_goes_before_the_list() -> None:
    """In its cheapest zone; a type of which EC2 tells no price is not to be had there on spot."""
    at = stage()
    for zone, name, price in [
        ("a", "g5.xlarge", "0.50"),
        ("b", "g5.xlarge", "0.21"),
        ("a", "g6.xlarge", "0.30"),
    ]:
        at.prices.set_spot(f"{REGION}{zone}", name, price)
    assert chosen(at, memory_gib=16) == ["g5.xlarge", "g6.xlarge"]
    at.prices.set_spot(f"{REGION}c", "g4dn.xlarge", "0.10")
    assert chosen(at, memory_gib=16) == ["g4dn.xlarge", "g5.xlarge", "g6.xlarge"]


def test_what_is_above_the_cap_is_left_out_where_another_is_not() -> None:
    """It would start nowhere; where all are above, the answer says so."""
    at = stage()
    at.prices.set_spot(f"{REGION}a", "g5.xlarge", "0.50")
    at.prices.set_spot(f"{REGION}a", "g6.xlarge", "0.30")
    wish = gpu_order(memory_gib=16)
    told = quote(at.services, replace(wish, max_price_usd_per_hour=usd("0.4")), owner="ada")
    assert list(told.price_caps) == ["g6.xlarge"]
    told = quote(at.services, replace(wish, max_price_usd_per_hour=usd("0.1")), owner="ada")
    assert [one.slug for one in told.objections] == ["price-too-low"]


def test_an_image_s_processor_chooses_among_the_types() -> None:
    """An arm64 one runs on g5g alone."""
    at = stage()
    at.compute.ec2.images[AMI] = Image(id=AMI, root_device="/dev/xvda", root_gib=45, architecture="arm64")
    assert {name.partition(".")[0] for name in chosen(at, memory_gib=16)} == {"g5g"}


def test_deep_learning_takes_types_that_aws_s_image_has_drivers_for() -> None:
    """No AMD, no old GPUs, and x86_64 where that has what is needed; the image is looked up for those."""
    parameter = (
        "/aws/service/deeplearning/ami/{}/oss-nvidia-driver-gpu-pytorch-2.9-ubuntu-24.04/latest/ami-id"
    )
    catalogue = MemoryCatalogue(
        parameters={
            (REGION, "x86_64"): {parameter.format("x86_64"): AMI},
            (REGION, "arm64"): {parameter.format("arm64"): AMI},
        }
    )
    at = stage(catalogue=catalogue)
    told = quote(at.services, replace(gpu_order(), image="deep-learning"), owner="ada")
    assert {name.partition(".")[0] for name in told.price_caps} <= {"g4dn", "g5", "g6", "g6e", "gr6"}
    with pytest.raises(Refused) as refused:
        quote(at.services, replace(gpu_order(manufacturer="AMD"), image="deep-learning"), owner="ada")
    assert refused.value.slug == "no-such-gpu"


def test_what_ec2_tells_of_its_types_goes_before_the_table() -> None:
    """A region that lacks a type, and a type that the table lacks."""
    at = stage()
    at.prices.table["g9.xlarge"] = usd("0.3")
    new = replace(A10G, instance_type="g9.xlarge", name="Z9", memory_mib=131072)
    at.compute.ec2.gpu_types = (A10G, new)
    assert chosen(at, memory_gib=16) == ["g9.xlarge", "g5.xlarge"]


def test_without_an_answer_the_dated_table_chooses() -> None:
    """EC2 judges at the launch what its region has."""
    at = stage()
    at.compute.fail("gpu_types")
    assert chosen(at, count=8, name="A100")[0] == "p4d.24xlarge"
    at.compute.fail("gpu_types")
    with pytest.raises(Refused, match="What EC2 offers is not known now: ServiceUnavailable"):
        chosen(at, name="nonsense")


@pytest.mark.parametrize("kind", [RequestType.ONE_TIME, RequestType.PERSISTENT, RequestType.MAINTAIN])
def test_a_launch_by_gpus_starts_one_of_the_types(kind: RequestType) -> None:
    """The lease has the types that it may start and what they were chosen by; the first that has room is taken."""
    at = stage()
    at.compute.ec2.no_capacity = {(REGION, "g4dn.xlarge")}
    lease = at.launch(instance_types=(), gpu=GpuNeed(memory_gib=16), request_type=kind)
    assert lease.order is not None
    assert lease.order.gpu == GpuNeed(memory_gib=16)
    assert lease.order.instance_types[0] == "g4dn.xlarge"
    assert at.compute.alive[0].type == "g4dn.2xlarge"


def test_the_same_key_answers_the_same_lease_whatever_the_market_says_by_then() -> None:
    """Nothing is chosen anew."""
    at = stage()
    first = at.launch(key="k", instance_types=(), gpu=GpuNeed(memory_gib=16))
    at.prices.set_spot(f"{REGION}a", "g6.xlarge", "0.01")
    assert at.launch(key="k", instance_types=(), gpu=GpuNeed(memory_gib=16)).id == first.id


# -- what is not there ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "need, near",
    [
        ({"memory_gib": 999}, "B300"),
        ({"count": 32, "name": "T4"}, "T4"),
        ({"name": "RTX 4090", "memory_gib": 24}, None),
    ],
)
def test_what_no_type_has_is_refused_with_what_is_nearest(need: dict[str, Any], near: str | None) -> None:
    """Nothing is held, and the answer names a few types with their GPUs."""
    at = stage()
    with pytest.raises(Refused) as told:
        at.launch(instance_types=(), gpu=GpuNeed(**need))
    assert told.value.slug == "no-such-gpu"
    assert told.value.slug in TITLES
    found: Any = told.value.extra["nearest"]
    assert 1 <= len(found) <= 3
    assert near is None or found[0]["name"] == near
    assert found[0]["instance_type"] in told.value.detail
    assert at.store.open_leases() == ()


def test_types_without_a_price_are_not_chosen() -> None:
    """Their worst case can't be held: they are asked about, and refused where nobody knows."""
    at = Stage()
    assert chosen(at, memory_gib=16) == [
        "g4dn.xlarge",
        "g5.xlarge",
        "p3.2xlarge",
        "g5.12xlarge",
        "p5.48xlarge",
    ]
    with pytest.raises(Refused) as told:
        chosen(at, name="L40S")
    assert told.value.slug == "price-unknown"
    assert (REGION, "g6e.xlarge") in at.prices.refreshed[-1]


def test_want_of_capacity_names_every_type_that_was_chosen() -> None:
    """So that whoever asked for GPUs knows what was tried."""
    at = stage()
    at.compute.ec2.no_capacity = {(REGION, name) for name in on_demand_book().on_demand}
    with pytest.raises(NoCapacity) as told:
        at.launch(instance_types=(), gpu=GpuNeed(memory_gib=16), lasts_for=timedelta(hours=1))
    tried: Any = told.value.extra["tried"]
    assert len({one["instance_type"] for one in tried}) == MOST_TYPES
