"""A region that AWS does not let the account use: told as that, with what mends it."""

import pytest

from chalicelib.domain.errors import Refused, Unavailable
from chalicelib.domain.network import Opening
from chalicelib.usecases import keys, security_groups
from tests.builders import Stage
from tests.doubles.memory_keys import MemoryKeys
from tests.doubles.memory_security_groups import MemorySecurityGroups
from tests.unit.web_kit import LAUNCH, open_world

EVERY = ["UnauthorizedOperation", "AuthFailure", "OptInRequired", "AccessDeniedException"]
FAR = "ap-east-1"
PUBLIC = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB8Ht8Z3j6yDWPBHQtOdp/R9rjWvfMYo3MSA/K6q8x5P ann@laptop"


class Denying(MemoryKeys):
    """Key pairs of regions that an organisation denies."""

    def _answer(self) -> None:
        raise Unavailable("key pairs: not authorized", code="UnauthorizedOperation")


@pytest.mark.parametrize("code", EVERY)
def test_a_denied_look_is_no_outage(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    """409 with the command that enables it, by a dry run too; nothing runs and nothing is held."""
    world = open_world(monkeypatch)
    for dry_run in (True, False):
        world.compute.fail("image", code=code)
        status, body = world("POST", "/spot-requests", {**LAUNCH, "dry_run": dry_run})
        assert (status, body["type"], body["region"]) == (409, "/problems/region-denied", "us-east-1")
        assert "enable-region --region-name us-east-1" in body["detail"]
    assert world.store.open_leases() == ()


def test_a_launch_that_a_policy_denies_is_told_alike() -> None:
    """An organisation may let a region be looked at, and nothing be started there."""
    stage = Stage()
    stage.put_budget(limit="100")
    stage.compute.fail("launch", code="UnauthorizedOperation")
    with pytest.raises(Refused, match="service control policy") as told:
        stage.launch()
    assert told.value.slug == "region-denied"
    assert told.value.extra["tried"]
    assert stage.left() == 100
    assert stage.store.open_leases() == ()


def test_a_region_that_is_not_there_is_told_alike() -> None:
    """Nothing answers by its name, and it is not among the account's; one that is among them is down."""
    stage = Stage()
    stage.compute.fail("image", code="EndpointConnectionError")
    with pytest.raises(Refused, match=FAR) as told:
        stage.launch(region=FAR)
    assert told.value.slug == "region-denied"
    for regions_fail in (False, True):
        stage.compute.fail("image", code="EndpointConnectionError")
        if regions_fail:
            stage.compute.fail("regions")
        with pytest.raises(Unavailable):
            stage.launch(region=FAR if regions_fail else "us-east-1")


def test_an_outage_stays_one() -> None:
    """It is asked again; the table's own refusal is no region's."""
    stage = Stage()
    stage.compute.fail("image", code="InternalError")
    with pytest.raises(Unavailable):
        stage.launch()
    stage.store.inject("budgets", Unavailable("the table does not answer", code="AccessDeniedException"))
    with pytest.raises(Unavailable):
        stage.launch()


def test_a_key_of_a_denied_region_is_told_alike() -> None:
    """Listed, made or imported."""
    stage = Stage(keys=Denying())
    for ask in (
        lambda: keys.pairs(stage.services, FAR),
        lambda: keys.make(stage.services, region=FAR, name="n", kind="rsa", owner="ann"),
        lambda: keys.bring(stage.services, region=FAR, name="n", public_key=PUBLIC, kind=None, owner="ann"),
    ):
        with pytest.raises(Refused, match=FAR) as told:
            ask()
        assert told.value.slug == "region-denied"


@pytest.mark.parametrize("method", ["default_vpc", "named", "make", "open"])
def test_a_group_of_a_denied_region_is_told_alike(method: str) -> None:
    """Whatever is asked of it first."""
    groups = MemorySecurityGroups()
    groups.inject(method, Unavailable("no", code="UnauthorizedOperation"))
    stage = Stage(security_groups=groups)
    with pytest.raises(Refused) as told:
        stage.launch(opening=Opening(cidr="203.0.113.7/32"))
    assert told.value.slug == "region-denied"
    groups.inject("tagged", Unavailable("no", code="OptInRequired"))
    with pytest.raises(Refused) as told:
        security_groups.groups(stage.services, "us-east-1")
    assert told.value.slug == "region-denied"
    stage.store.inject(
        "group_records", Unavailable("the table does not answer", code="AccessDeniedException")
    )
    with pytest.raises(Unavailable):
        security_groups.groups(stage.services, "us-east-1")
