"""Finding public images: the gateway on localaws, and what happens when AWS does not answer."""

from collections.abc import Iterator
from datetime import timedelta

import pytest

from chalicelib.domain.accelerators import ARM64, X86_64
from chalicelib.domain.catalogue import current
from chalicelib.domain.errors import Unavailable
from chalicelib.domain.images import ImageOrder
from chalicelib.gateways.ec2 import Ec2Compute
from chalicelib.gateways.ec2_catalogue import Ec2Catalogue
from localaws.world import World
from tests.contract.compute_labs import REGION, aws_of


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with World(seed=7) as opened:
        yield opened


@pytest.fixture
def catalogue(world: World) -> Ec2Catalogue:
    return Ec2Catalogue(aws_of(world))


def test_every_page_of_parameters_is_read(catalogue: Ec2Catalogue) -> None:
    """Of one architecture; the newest PyTorch is among them."""
    x86, arm = catalogue.deep_learning(REGION, X86_64), catalogue.deep_learning(REGION, ARM64)
    assert len(x86) == 7
    assert all("/x86_64/" in name for name in x86)
    (image,) = catalogue.described(REGION, [current(x86) or ""])
    assert "PyTorch 2.10" in image.name
    assert (image.owner_alias, image.architecture, image.gib) == ("amazon", "x86_64", 65)
    (image,) = catalogue.described(REGION, [current(arm) or ""])
    assert image.architecture == "arm64"


def test_ids_differ_by_region(catalogue: Ec2Catalogue) -> None:
    """An image of one region is not in another one."""
    here, there = (current(catalogue.deep_learning(one, X86_64)) for one in (REGION, "eu-west-1"))
    assert here != there
    assert catalogue.described("eu-west-1", [here or ""]) == ()


def test_one_that_is_no_more_hides_no_other(catalogue: Ec2Catalogue) -> None:
    """EC2 refuses a call that names an id it does not know, as a whole."""
    here = current(catalogue.deep_learning(REGION, X86_64)) or ""
    assert [one.id for one in catalogue.described(REGION, [here, "ami-0123456789abcdead"])] == [here]
    assert catalogue.described(REGION, []) == ()


def test_public_images_are_found_by_name(catalogue: Ec2Catalogue) -> None:
    """Whoever owns them, and the owner is told."""
    (found,) = catalogue.named(REGION, "stable-diffusion")
    assert (found.owner_alias, found.is_verified) == (None, False)
    assert len(catalogue.named(REGION, "PyTorch 2.10")) == 2
    assert catalogue.named(REGION, "no such thing") == ()


def test_what_it_names_can_be_launched(world: World, catalogue: Ec2Catalogue) -> None:
    """Its root volume is known, and it bills as plain Linux."""
    image_id = current(catalogue.deep_learning(REGION, X86_64)) or ""
    image = Ec2Compute(aws_of(world)).image(REGION, image_id)
    assert image is not None
    assert (image.root_gib, image.unpriced, image.ssh_user) == (65, None, "ubuntu")


def test_a_refusal_is_no_empty_list(world: World, catalogue: Ec2Catalogue) -> None:
    """What AWS did not say is not known to be nothing."""
    world.fault(service="ssm", operation="GetParametersByPath", code="AccessDeniedException", times=1)
    world.fault(service="ec2", operation="DescribeImages", code="UnauthorizedOperation", times=2)
    with pytest.raises(Unavailable, match="AccessDenied"):
        catalogue.deep_learning(REGION, X86_64)
    with pytest.raises(Unavailable, match="Unauthorized"):
        catalogue.described(REGION, ["ami-0123456789abcdef0"])
    with pytest.raises(Unavailable, match="Unauthorized"):
        catalogue.named(REGION, "pytorch")


def test_a_saved_image_has_its_box_s_user(world: World, catalogue: Ec2Catalogue) -> None:
    """Its name is Curfew's own, and tells nothing of it."""
    box = world.start_box("g5.xlarge", market="on-demand").id
    world.advance(timedelta(minutes=1))
    order = ImageOrder(
        lease_id="lease-1", instance_id=box, owner="ann", name="train", ssh_user="ubuntu", is_live=True
    )
    saved = Ec2Compute(aws_of(world)).save_image(REGION, order)
    (shown,) = catalogue.described(REGION, [saved.answer])
    assert (shown.ssh_user, shown.state, shown.architecture) == ("ubuntu", "pending", "x86_64")
