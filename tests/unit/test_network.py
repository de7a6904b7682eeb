"""Getting to a box: whom to log in as, and a region without a network to start in."""

from dataclasses import replace

import pytest

from chalicelib.domain.errors import Refused
from chalicelib.domain.images import ImageOrder
from tests.builders import Stage
from tests.doubles.memory_ec2 import AMI
from tests.unit.web_kit import LAUNCH, open_world


@pytest.mark.parametrize(
    "user, said",
    [
        ("ubuntu", " ubuntu@"),
        (None, " ec2-user@"),
        ("$(touch /tmp/x)", " ec2-user@"),
        ("-oProxyCommand=sh", " ec2-user@"),
    ],
)
def test_the_command_has_the_user_of_the_image(
    monkeypatch: pytest.MonkeyPatch, user: str | None, said: str
) -> None:
    """As it was when it was launched; Amazon's own where nothing is known of it, or what a tag says is no name: people
    paste the command."""
    world = open_world(monkeypatch)
    world.compute.ec2.images[AMI.id] = replace(AMI, ssh_user=user)
    command = world.launched()["ssh"]
    assert said in command
    assert not set("$()=") & set(command)


def test_a_saved_image_remembers_the_user() -> None:
    """Its name is Curfew's own: the tag says whom the box had to log in as."""
    order = ImageOrder(lease_id="lease-1", instance_id="i-1", owner="ann", name="train")
    assert "curfew:ssh-user" not in order.tags
    assert replace(order, ssh_user="ubuntu").tags["curfew:ssh-user"] == "ubuntu"


@pytest.mark.parametrize("code", ["VPCIdNotSpecified", "InvalidInput: No subnets found for the default VPC"])
def test_no_default_vpc_names_the_fix(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    """The problem says which field to give; nothing runs and nothing is held."""
    world = open_world(monkeypatch)
    monkeypatch.setattr("tests.doubles.memory_compute.REFUSALS", ("VPC", "Invalid"))
    world.compute.fail("launch", code=code)
    status, body = world("POST", "/spot-requests", LAUNCH)
    assert (status, body["type"]) == (409, "/problems/no-default-vpc")
    assert "subnet_id" in body["detail"]
    assert world.store.open_leases() == ()


def test_another_refusal_is_told_as_it_is() -> None:
    """Only what EC2 calls by that name is a missing network."""
    stage = Stage()
    stage.compute.fail("launch", code="InvalidSubnetID.NotFound")
    with pytest.raises(Refused) as told:
        stage.launch()
    assert told.value.slug == "launch-refused"
