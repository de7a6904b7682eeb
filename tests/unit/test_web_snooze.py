"""The public routes of a warning's link: a page or JSON, nothing beyond its lease, no trace in a log."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from chalice.test import Client

import app as curfew
from chalicelib.domain.links import Claim, Purpose, token_of
from tests.builders import HOUR
from tests.doubles.memory_links import SECRET, MemoryLinks
from tests.unit.web_kit import World, is_problem, logged, open_world

PAGE = {"Accept": "text/html,application/xhtml+xml"}


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    made = open_world(monkeypatch)
    services = replace(made.services, links=MemoryLinks())
    monkeypatch.setattr(curfew.door, "services", lambda: services)
    return made


def link(world: World, lease: Any, purpose: Purpose = Purpose.KEEP_1H, *, lasts: timedelta = HOUR) -> str:
    claim = Claim(purpose=purpose, lease_id=lease["id"], expires_at=world.clock.now() + lasts)
    return f"/snooze/{token_of(claim, SECRET)}"


def public(
    world: World, method: str, path: str, headers: Mapping[str, str] | None = None
) -> tuple[int, Any, Mapping[str, str]]:
    """Without a token, as whoever reads a channel."""
    del world
    client = Client(curfew.app, project_dir="/nonexistent")
    answer = client.http.request(method, path, headers=dict(headers or {}), body=b"")
    is_json = "json" in answer.headers["Content-Type"]
    return answer.status_code, answer.json_body if is_json else answer.body.decode(), answer.headers


def test_a_program_sees_the_lease_and_what_the_link_would_do(world: World) -> None:
    """And looking, as often as it likes, does not do it."""
    lease = world.launched()
    path = link(world, lease)
    public(world, "GET", path)
    status, told, headers = public(world, "GET", path)
    assert (status, headers["Content-Type"], headers["Cache-Control"]) == (
        200,
        "application/json",
        "no-store",
    )
    assert told["lease"]["id"] == lease["id"]
    assert told["link"]["keeps_for"] == "PT1H"
    assert (told["is_kept"], told["keeps_until"]) == (False, "2026-11-23T10:00:00Z")
    assert world("GET", f"/leases/{lease['id']}")[1]["snoozed_until"] is None


def test_a_post_keeps_it_and_the_lease_shows_it(world: World) -> None:
    """Without a body, or with the empty one of a form."""
    lease = world.launched()
    status, told, _ = public(
        world, "POST", link(world, lease), {"Content-Type": "application/x-www-form-urlencoded"}
    )
    assert (status, told["is_kept"], told["lease"]["snoozed_until"]) == (200, True, "2026-11-23T10:00:00Z")
    assert world("GET", f"/leases/{lease['id']}")[1]["snoozed_until"] == "2026-11-23T10:00:00Z"


def test_more_than_its_time_is_a_patch_that_holds_more(world: World) -> None:
    """The answer names it, and it is one that Curfew takes."""
    lease = world.launched(hours=2)
    world.clock.advance(timedelta(minutes=30))
    _, told, _ = public(world, "POST", link(world, lease, Purpose.KEEP_4H))
    assert told["keeps_until"] == told["lease"]["expires_at"] == lease["expires_at"]
    more = told["to_keep_longer"]
    assert (more["method"], more["body"]) == ("PATCH", {"hours": 5})
    status, changed = world(more["method"], more["path"], more["body"])
    assert (status, changed["expires_at"]) == (200, "2026-11-23T14:00:00Z")


def test_people_get_a_page_with_a_button(world: World) -> None:
    """It posts to itself, loads nothing, shows in no frame and tells no other site where it was."""
    lease = world.launched()
    status, page, headers = public(world, "GET", link(world, lease), PAGE)
    assert (status, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert '<form method="post">' in page
    assert lease["instance_ids"][0] in page
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert headers["Referrer-Policy"] == "no-referrer"
    status, page, _ = public(world, "POST", link(world, lease), PAGE)
    assert (status, "Kept until 2026-11-23 10:00 UTC" in page, "<form" in page) == (200, True, False)


def test_a_link_of_a_lease_that_is_over_shows_its_end_and_offers_nothing(world: World) -> None:
    """Neither the page nor the answer names an hour that it has not lived to see, or a PATCH that is refused."""
    lease = world.launched()
    kept = world.store.lease(lease["id"])
    assert kept is not None
    world.store.close_lease(replace(kept, closed_at=world.clock.now()), receipt=None)
    _, told, _ = public(world, "GET", link(world, lease))
    assert (told["lease"]["status"], told["keeps_until"], told["to_keep_longer"]) == ("closed", None, None)
    _, page, _ = public(world, "GET", link(world, lease), PAGE)
    assert "closed since 2026-11-23 09:00 UTC" in page
    assert "at the latest" not in page


def test_a_page_shows_a_stranger_s_name_as_it_is_written(world: World) -> None:
    """A tag is no HTML."""
    lease = world.launched()
    kept = world.store.lease(lease["id"])
    assert kept is not None
    world.store.save_lease(replace(kept, owner="<script>alert(1)</script>"))
    _, page, _ = public(world, "GET", link(world, lease), PAGE)
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


def test_wrong_and_late_links_are_problems_for_programs_and_pages_for_people(world: World) -> None:
    """404 that says nothing, 410; nothing is kept."""
    lease = world.launched()
    path = link(world, lease)
    late = link(world, lease, lasts=timedelta(0))
    for method in ("GET", "POST"):
        assert is_problem(public(world, method, path[:-1] + "~"), 404, "not-found")
        assert is_problem(public(world, method, path.replace("keep1h", "keep4h")), 404, "bad-link")
        assert is_problem(public(world, method, late), 410, "link-expired")
        status, page, headers = public(world, method, late, PAGE)
        assert (status, headers["Content-Type"]) == (410, "text/html; charset=utf-8")
        assert "nothing was changed" in page
    assert world("GET", f"/leases/{lease['id']}")[1]["snoozed_until"] is None


def test_no_log_has_the_link(world: World) -> None:
    """Who reads the log keeps no box by it; that a link was wrong is counted there all the same."""
    path = link(world, world.launched())
    with logged() as lines:
        public(world, "GET", path)
        public(world, "POST", path)
        public(world, "GET", path.replace("keep1h", "show"))
    assert path.removeprefix("/snooze/") not in str(lines)
    assert [line["path"] for line in lines] == ["/snooze/…"] * 3
    assert [line["problem"] for line in lines] == [None, None, "bad-link"]


def test_a_test_message_says_of_every_channel_how_it_went(world: World) -> None:
    """With the reason and the fix; only for who has the token."""
    status, told = world("POST", "/notifications/test")
    slack, sns = told["items"]
    assert (status, slack["channel"], slack["ok"], slack["fix"]) == (200, "slack", True, None)
    assert (sns["channel"], sns["configured"], sns["ok"]) == ("sns", False, False)
    assert "AlarmTopicArn" in sns["fix"]
    world.services.notifier.fail(status=404)  # type: ignore[attr-defined]
    _, told = world("POST", "/notifications/test")
    assert told["items"][0]["why"] == "Slack answered 404"
    assert "make a new incoming webhook" in told["items"][0]["fix"]
    assert is_problem(public(world, "POST", "/notifications/test"), 401, "unauthorized")
