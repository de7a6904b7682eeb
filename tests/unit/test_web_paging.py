"""Paging: nothing comes twice and nothing is left out, whatever changes between two pages; a bad cursor is told."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

import app as curfew
from chalicelib.domain.errors import Refused
from chalicelib.gateways.dynamodb_codec import cursor
from chalicelib.web.models import PageQuery
from chalicelib.web.paging import Listing, cut
from tests.unit.web_kit import World, is_problem, open_world

LISTS = sorted(
    path
    for path, methods in curfew.app.routes.items()
    if "GET" in methods
    and "cursor" in methods["GET"].view_function.about.query.model_fields
    and path != "/transfers"  # S3's own pages, and no bucket is set up here
)
NAMES = st.lists(st.text("abcdefgh", min_size=1, max_size=3), unique=True, max_size=20)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    """The app on doubles."""
    return open_world(monkeypatch)


@given(looks=st.lists(NAMES, min_size=1, max_size=8), limit=st.integers(1, 5), newest_first=st.booleans())
def test_no_change_between_pages_repeats_or_hides_an_item(
    looks: list[Sequence[str]], limit: int, *, newest_first: bool
) -> None:
    """Each page is of another look; what was in all of them is shown once, anything else at most once."""
    listing: Listing[str] = Listing("letters", lambda one: one, newest_first=newest_first)
    shown: list[str] = []
    place = None
    for number in range(60):
        everything = looks[min(number, len(looks) - 1)]
        page = cut(everything, PageQuery(limit=limit, cursor=place), listing)
        assert len(page.items) <= limit
        shown.extend(page.items)
        place = page.next
        if place is None:
            break
    else:
        pytest.fail("it has no end")
    assert len(shown) == len(set(shown))
    assert set.intersection(*map(set, looks)) <= set(shown)


def test_every_list_has_pages(world: World) -> None:
    """By the same two words."""
    assert {"/leases", "/instances", "/spot-requests", "/receipts", "/budgets", "/sweeps"} <= set(LISTS)
    for path in LISTS:
        status, body = world("GET", path)
        assert (status, {"items", "next"} <= set(body)) == (200, True), path


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize(
    "bad", ["0", "x", "%00", "QUJD", cursor("letters", "a"), cursor("LEASES", "a" * 1200), "%C3%A9"]
)
def test_a_cursor_of_no_page_of_a_list_is_refused(world: World, path: str, bad: str) -> None:
    """Tampered with, of another list, or too long for the table."""
    answer = world.respond("GET", f"{path}?cursor={bad}")
    assert is_problem((answer.status_code, answer.json_body, answer.headers), 409, "bad-cursor")


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize("query", ["limit=0", "limit=201", "limit=x", "limit=1&limit=2", "cursor="])
def test_limits_have_bounds(world: World, path: str, query: str) -> None:
    """422 names the field."""
    status, body = world("GET", f"{path}?{query}")
    assert (status, body["errors"][0]["field"]) == (422, query.partition("=")[0])


def test_boxes_are_paged_one_by_one(world: World) -> None:
    """Through as many pages as there are boxes."""
    made = {world.launched()["instance_ids"][0] for _ in range(3)}
    found, place = [], ""
    for _ in range(3):
        _, body = world("GET", f"/instances?limit=1{place}")
        found += [one["id"] for one in body["items"]]
        place = f"&cursor={body['next']}"
    assert (set(found), len(found), body["next"]) == (made, 3, None)


def test_a_key_too_long_for_the_table_is_no_place() -> None:
    """DynamoDB would refuse the query as a mistake of ours."""
    listing: Listing[str] = Listing("letters", lambda one: one)
    with pytest.raises(Refused):
        cut(["a"], PageQuery(cursor=cursor("letters", "a" * 1025)), listing)
