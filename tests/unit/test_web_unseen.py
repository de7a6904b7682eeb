"""Lists that look at EC2 say which regions they could not see."""

import pytest

from tests.unit.web_kit import World, open_world

LISTS = pytest.mark.parametrize("path", ["/instances", "/leases", "/spot-requests"])


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return open_world(monkeypatch)


@LISTS
def test_a_list_says_that_every_region_answered(world: World, path: str) -> None:
    """An empty `unseen`."""
    world.launched()
    body = world("GET", path)[1]
    assert (set(body), bool(body["items"]), body["unseen"]) == ({"items", "next", "unseen"}, True, {})


@LISTS
def test_a_list_names_the_regions_that_it_could_not_see(world: World, path: str) -> None:
    """With EC2's word for it: what is there is missing from the list, or as the last sweep left it."""
    world.compute.fail("observe", "us-west-2", code="UnauthorizedOperation")
    world.compute.fail("observe", "eu-west-1", code="InternalError")
    assert world("GET", path)[1]["unseen"] == {
        "eu-west-1": "failed: InternalError",
        "us-west-2": "denied: UnauthorizedOperation",
    }


@LISTS
def test_a_list_says_when_there_may_be_other_regions(world: World, path: str) -> None:
    """The list of regions could not be had."""
    world.compute.fail("regions", code="InternalError")
    assert world("GET", path)[1]["unseen"]["*"].startswith("DescribeRegions")


def test_a_spot_request_that_may_be_in_a_region_that_did_not_answer_is_not_called_absent(
    world: World,
) -> None:
    """503, ask again; 404 once every region has answered."""
    world.compute.fail("observe", "us-west-2", times=1, code="InternalError")
    status, body = world("GET", "/spot-requests/sir-1234567")
    assert (status, "us-west-2" in body["detail"]) == (503, True)
    assert world("GET", "/spot-requests/sir-1234567")[0] == 404
