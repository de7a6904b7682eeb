"""Key pairs: the gateway on localaws."""

import base64
from collections.abc import Iterator

import pytest

from chalicelib.domain.errors import Refused, Unavailable
from chalicelib.domain.keys import checked
from chalicelib.gateways.ec2_keys import Ec2Keys
from localaws.world import World
from tests.contract.compute_labs import REGION, aws_of

PUBLIC = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB8Ht8Z3j6yDWPBHQtOdp/R9rjWvfMYo3MSA/K6q8x5P ann@laptop"


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with World(seed=7) as opened:
        yield opened


@pytest.fixture
def keys(world: World) -> Ec2Keys:
    return Ec2Keys(aws_of(world))


def test_a_key_is_imported_and_listed_in_its_region(keys: Ec2Keys) -> None:
    """With whose it is; other regions don't have it."""
    _, line = checked(PUBLIC)
    pair = keys.bring(REGION, "import", line, owner="ann")
    assert (pair.name, pair.type, pair.owner) == ("import", "ed25519", "ann")
    (listed,) = [one for one in keys.pairs(REGION) if one.name == "import"]
    assert (listed.id, listed.fingerprint, listed.owner) == (pair.id, pair.fingerprint, "ann")
    assert keys.has(REGION, "import")
    assert not keys.has("eu-west-1", "import")
    assert keys.regions_with("import", ["eu-west-1", REGION]) == (REGION,)


@pytest.mark.parametrize("kind", ["ed25519", "rsa"])
def test_a_made_pair_has_a_private_part(keys: Ec2Keys, kind: str) -> None:
    """In no text of its own, so that no log shows it."""
    new = keys.make(REGION, f"made {kind}", kind, owner="ann")  # type: ignore[arg-type]
    assert "PRIVATE KEY" in new.private_key
    assert new.private_key not in repr(new)
    assert new.pair.type == kind
    assert base64.b64decode(new.private_key.splitlines()[1])


def test_a_name_that_is_taken_is_refused(keys: Ec2Keys) -> None:
    """Nothing is put over what is there."""
    keys.make(REGION, "twice", "ed25519", owner="ann")
    with pytest.raises(Refused, match="already") as told:
        keys.bring(REGION, "twice", PUBLIC, owner="bob")
    assert told.value.slug == "key-exists"


def test_a_lost_answer_makes_no_second_pair(world: World, keys: Ec2Keys) -> None:
    """It may be there, and the message says where to look."""
    world.fault(service="ec2", operation="CreateKeyPair", lost_answer=True, times=1)
    with pytest.raises(Unavailable, match="GET /key-pairs"):
        keys.make(REGION, "lost", "ed25519", owner="ann")
    assert keys.has(REGION, "lost")


def test_a_denied_region_hides_no_other(world: World, keys: Ec2Keys) -> None:
    """Looking for a key goes on; asking one region tells that it did not answer."""
    world.fault(service="ec2", operation="DescribeKeyPairs", region="eu-west-1", code="UnauthorizedOperation")
    keys.make("us-west-2", "far", "ed25519", owner="ann")
    assert keys.regions_with("far", ["eu-west-1", "us-west-2"]) == ("us-west-2",)
    with pytest.raises(Unavailable):
        keys.has("eu-west-1", "far")
    with pytest.raises(Unavailable):
        keys.pairs("eu-west-1")
