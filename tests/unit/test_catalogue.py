"""Which image `deep-learning` means, and what is told of each image that there is."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.accelerators import is_accelerator
from chalicelib.domain.catalogue import (
    FAMILIES,
    PublicImage,
    architecture_for,
    current,
    offered,
    warning,
)
from chalicelib.domain.errors import Refused, Unavailable
from tests.builders import REGION, Stage
from tests.doubles.memory_catalogue import MemoryCatalogue
from tests.doubles.memory_ec2 import AMI
from tests.unit.web_kit import open_world

AT = "/aws/service/deeplearning/ami/x86_64"
IMAGE = PublicImage(
    id="ami-0a",
    name="Deep Learning OSS Nvidia Driver AMI GPU PyTorch 2.10 (Ubuntu 24.04) 20261009",
    region=REGION,
    owner_id="898082745236",
    owner_alias="amazon",
    architecture="x86_64",
    gib=65,
    created_at=datetime(2026, 10, 9, tzinfo=UTC),
)


def pytorch(version: str, ubuntu: str = "24.04") -> str:
    return f"{AT}/oss-nvidia-driver-gpu-pytorch-{version}-ubuntu-{ubuntu}/latest/ami-id"


def on_catalogue(catalogue: MemoryCatalogue) -> Stage:
    return Stage(catalogue=catalogue)


def test_the_newest_pytorch_is_the_current_one() -> None:
    """By number, so 2.10 comes after 2.9; of one PyTorch the newer Ubuntu; what has none comes last."""
    parameters = {
        pytorch("2.9"): "ami-29",
        pytorch("2.10", "22.04"): "ami-old",
        pytorch("2.10"): "ami-210",
        f"{AT}/base-oss-nvidia-driver-gpu-ubuntu-24.04/latest/ami-id": "ami-base",
    }
    assert current(parameters) == "ami-210"


def test_without_pytorch_the_driver_alone_will_do() -> None:
    """A region that has no image of PyTorch still has one with driver and CUDA; one that has neither has none."""
    base = f"{AT}/base-oss-nvidia-driver-gpu-ubuntu-22.04/latest/ami-id"
    assert current({base: "ami-base", f"{AT}/something-else/latest/ami-id": "ami-x"}) == "ami-base"
    assert current({f"{AT}/base-proprietary-nvidia-driver/latest/ami-id": "ami-x"}) is None


@given(
    st.lists(st.tuples(st.integers(1, 9), st.integers(0, 30)), min_size=1, unique=True).flatmap(
        lambda versions: st.tuples(st.just(versions), st.permutations(versions))
    )
)
def test_the_order_of_the_parameters_does_not_matter(
    both: tuple[list[tuple[int, int]], list[tuple[int, int]]],
) -> None:
    """SSM may list them in any."""
    versions, listed = both
    parameters = {pytorch(f"{major}.{minor}"): f"ami-{major}-{minor}" for major, minor in listed}
    major, minor = max(versions)
    assert current(parameters) == f"ami-{major}-{minor}"


@pytest.mark.parametrize(
    "types, architecture",
    [
        (["g5.xlarge", "g4dn.xlarge"], "x86_64"),
        (["g5g.xlarge"], "arm64"),
        (["g5.xlarge", "g5g.xlarge"], None),
        (["p3.2xlarge"], None),
        (["g5.xlarge", "p3.2xlarge"], None),
        (["trn1.2xlarge"], None),
        (["m5.large"], None),
    ],
)
def test_the_architecture_is_that_of_every_type(types: list[str], architecture: str | None) -> None:
    """Types that no one image runs on have none."""
    assert architecture_for(types) == architecture


def test_a_warning_tells_of_unverified_owners() -> None:
    """And of software that costs something, which a launch would be refused for."""
    assert warning(IMAGE) is None
    assert "account 42" in (warning(replace(IMAGE, owner_id="42", owner_alias=None)) or "")
    assert "refused" in (warning(replace(IMAGE, has_product_code=True)) or "")
    assert "refused" in (warning(replace(IMAGE, platform="Windows")) or "")


def test_each_image_is_offered_once_newest_first() -> None:
    """A search by name that finds AWS's again does not list it again."""
    other = replace(IMAGE, id="ami-0b", owner_alias=None, created_at=datetime(2026, 11, 1, tzinfo=UTC))
    timeless = replace(IMAGE, id="ami-0c", created_at=None)
    found = offered(
        current_ids=["ami-0a"], deep_learning=[timeless, IMAGE], community=[IMAGE, other], mine=[]
    )
    assert [(one.image, one.kind) for one in found] == [
        ("ami-0b", "community"),
        ("deep-learning", "deep-learning"),
        ("ami-0c", "deep-learning"),
    ]


@pytest.mark.parametrize(
    "name, user",
    [(IMAGE.name, "ubuntu"), ("Deep Learning (Amazon Linux 2023)", "ec2-user"), ("debian-13", "admin")],
)
def test_the_name_tells_whom_to_log_in_as(name: str, user: str) -> None:
    """As AWS and the distributions have it."""
    assert replace(IMAGE, name=name).ssh_user == user


def test_deep_learning_launches_the_current_image() -> None:
    """The lease keeps what was asked for, EC2 is told what it came to."""
    catalogue = MemoryCatalogue(parameters={(REGION, "x86_64"): {pytorch("2.10"): AMI.id}})
    stage = on_catalogue(catalogue)
    lease = stage.launch(image="deep-learning")
    assert lease.order is not None
    assert lease.order.image == "deep-learning"
    data = stage.compute.sent(lease.attempts[-1])["launch_template"]["LaunchTemplateData"]
    assert data["ImageId"] == AMI.id


@pytest.mark.parametrize("types, named", [(("trn1.2xlarge",), "trn1.2xlarge"), (("g5g.xlarge",), "arm64")])
def test_types_without_such_an_image_are_refused(types: tuple[str, ...], named: str) -> None:
    """With what it is for; nothing is held."""
    stage = on_catalogue(MemoryCatalogue())
    with pytest.raises(Refused, match=named) as told:
        stage.launch(image="deep-learning", instance_types=types)
    assert told.value.slug == "image-not-found"
    assert stage.store.open_leases() == ()


def test_nothing_is_launched_while_ssm_is_silent() -> None:
    """Which image is the current one is not guessed."""
    stage = on_catalogue(MemoryCatalogue(fails=True))
    with pytest.raises(Unavailable, match="nothing was launched"):
        stage.launch(image="deep-learning")
    assert stage.alive == []


def test_get_images_lists_what_can_be_launched(monkeypatch: pytest.MonkeyPatch) -> None:
    """AWS's, everybody's by name with a warning, and nobody else's saved ones."""
    world = open_world(monkeypatch)
    strange = replace(IMAGE, id="ami-0b", name="my pytorch", owner_id="42", owner_alias=None)
    catalogue = MemoryCatalogue(
        parameters={("us-east-1", "x86_64"): {pytorch("2.10"): IMAGE.id}}, images=[IMAGE, strange]
    )
    world.put(catalogue=catalogue)
    status, body = world("GET", "/images")
    assert status == 200, body
    assert body == {
        "items": [
            {
                "image": "deep-learning",
                "kind": "deep-learning",
                "id": "ami-0a",
                "name": IMAGE.name,
                "region": "us-east-1",
                "state": "available",
                "owner": "amazon",
                "is_verified": True,
                "architecture": "x86_64",
                "gib": 65,
                "created_at": "2026-10-09T00:00:00Z",
                "age_days": (world.clock.now() - datetime(2026, 10, 9, tzinfo=UTC)).days,
                "ssh_user": "ubuntu",
                "warning": None,
            }
        ],
        "next": None,
    }
    _, body = world("GET", "/images?name=my%20pytorch")
    (found,) = [one for one in body["items"] if one["kind"] == "community"]
    assert (found["image"], found["owner"], found["is_verified"]) == ("ami-0b", "42", False)
    assert "nobody has verified" in found["warning"]
    assert world("GET", "/images?region=eu-west-1")[1]["items"] == []


def test_one_s_own_images_are_listed_as_a_launch_names_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """The newest of a name by that name; older ones by their ids; others' not at all."""
    world = open_world(monkeypatch)
    lease = world.launched(project="train", on_end="image")
    world.put(catalogue=MemoryCatalogue())
    world("DELETE", f"/leases/{lease['id']}")
    made = world.compute.ec2.albums.made
    assert len(made) == 1
    own = next(iter(made.values()))
    world.put(catalogue=MemoryCatalogue(images=[replace(IMAGE, id=own.id, region="us-east-1")]))
    (item,) = world("GET", "/images")[1]["items"]
    assert (item["kind"], item["image"]) == ("mine", own.id)
    made[own.id] = replace(own, state="available")
    (item,) = world("GET", "/images")[1]["items"]
    assert item["image"] == "mine:train"
    made[own.id] = replace(own, state="available", owner="bob")
    assert world("GET", "/images")[1]["items"] == []


@pytest.mark.parametrize("query", ["name=ab", "name=*", "region=moon", "all=true"])
def test_a_bad_query_names_its_field(monkeypatch: pytest.MonkeyPatch, query: str) -> None:
    """Wildcards are not for callers: a search of everything is thousands of images."""
    status, body = open_world(monkeypatch)("GET", f"/images?{query}")
    assert status == 422
    assert body["errors"][0]["field"] == query.partition("=")[0]


def test_families_with_such_images_are_accelerated() -> None:
    """Nothing in that table that the other doesn't guard."""
    assert all(is_accelerator(f"{family}.xlarge") for family in FAMILIES)
