"""Snooze: a warning's link puts the idle end off, within the lease's time and no further; looking changes nothing."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as some

from chalicelib.domain.decide import decide
from chalicelib.domain.errors import Gone, NotFound, Refused, Unavailable
from chalicelib.domain.lease import Lease
from chalicelib.domain.links import Claim, Purpose, token_of
from chalicelib.domain.notices import Kind
from chalicelib.usecases.snooze import look, snooze
from tests.builders import HOUR, MINUTE, Stage, at, case, idle_since, lease, ruled
from tests.doubles.memory_links import SECRET, MemoryLinks
from tests.unit.sweep_kit import idle_box


def token(of: Lease, purpose: Purpose = Purpose.KEEP_1H, *, until: str = "11:00") -> str:
    """A link as a warning has it."""
    return token_of(Claim(purpose=purpose, lease_id=of.id, expires_at=at(until)), SECRET)


def warned() -> tuple[Stage, Lease]:
    """An idle box at the minute of its warning."""
    stage = Stage(links=MemoryLinks())
    found = idle_box(stage)
    stage.until(at("09:50"))
    assert [one.lease_id for one in stage.told(Kind.WARNED)] == [found.id]
    return stage, found


def test_a_kept_box_is_warned_of_again_and_then_ends() -> None:
    """At the end of the hour that somebody asked for, not before."""
    stage, found = warned()
    snooze(stage.services, token(found))
    assert stage.lease(found.id).snoozed_until == at("10:50")
    stage.until(at("10:39"))
    assert len(stage.told(Kind.WARNED)) == 1
    stage.until(at("10:49"))
    assert len(stage.told(Kind.WARNED)) == 2
    assert stage.alive
    stage.until(at("10:52"))
    assert stage.alive == []
    assert stage.receipt(found.id).cause == "idle"


def test_people_read_that_it_is_kept_and_not_that_the_warning_is_taken_back() -> None:
    """Once, however often the link is used in that minute."""
    stage, found = warned()
    snooze(stage.services, token(found))
    snooze(stage.services, token(found))
    stage.until(at("09:55"))
    (told,) = stage.told(Kind.KEPT)
    assert "kept until 2026-11-23 10:50 UTC by link" in told.title
    assert "for idleness before 2026-11-23 10:50 UTC." in told.lines[0]
    assert stage.told(Kind.TAKEN_BACK) == []


def test_work_while_a_box_is_kept_takes_the_second_warning_back_and_says_what_it_saw() -> None:
    """Not only until when it is kept, which the warning said as well."""
    stage, found = warned()
    snooze(stage.services, token(found))
    stage.works(found.instance_ids[0], 80, since=at("10:43"), until=at("10:48"))
    stage.until(at("10:49"))
    (told,) = stage.told(Kind.TAKEN_BACK)
    assert "is at 80 %; kept until 2026-11-23 10:50 UTC by link" in told.lines[0]


def test_a_page_that_is_loaded_again_and_again_keeps_and_tells_once() -> None:
    """A browser posts once more when it is reloaded: within five minutes that is the same use; later it is a new one."""
    stage, found = warned()
    for _ in range(5):
        snooze(stage.services, token(found))
        stage.clock.advance(MINUTE)
    assert stage.lease(found.id).snoozed_until == at("10:50")
    snooze(stage.services, token(found))
    assert stage.lease(found.id).snoozed_until == at("10:55")
    stage.until(at("09:57"))
    assert len(stage.told(Kind.KEPT)) == 2


def test_the_verdict_says_until_when_it_is_kept() -> None:
    """Whether its evidence is asked for meanwhile or not."""
    kept = lease(snoozed_until=at("13:00"))
    judged = decide(case(at("12:00"), lease=kept, evidence=idle_since(at("10:00"))))
    assert "kept until 2026-11-23 13:00 UTC by link" in ruled(judged, "idle").reason
    assert judged.effect.name == "KEEP"


def test_looking_changes_nothing() -> None:
    """A chat program that fetches every link of a message keeps no box."""
    stage, found = warned()
    before = stage.lease(found.id)
    for purpose in Purpose:
        look(stage.services, token(found, purpose))
    assert stage.lease(found.id) == before
    stage.until(at("10:02"))
    assert stage.alive == []


@given(
    some.integers(0, 20 * 60).map(lambda minutes: minutes * MINUTE),
    some.lists(some.sampled_from([Purpose.KEEP_1H, Purpose.KEEP_4H]), min_size=1, max_size=4),
)
def test_no_link_keeps_a_box_beyond_its_lease_or_changes_what_is_held(
    lasts_for: timedelta, used: list[Purpose]
) -> None:
    """However often, whichever, and however short the lease is."""
    stage = Stage(links=MemoryLinks())
    found = stage.launch(lasts_for=lasts_for + HOUR)
    for purpose in used:
        offer = snooze(stage.services, token(found, purpose))
        assert offer.keeps_until is not None
        assert offer.keeps_until <= found.expires_at
        wanted = stage.clock.now() + (purpose.keeps_for or HOUR)
        assert (offer.hours_for_more is None) == (wanted <= found.expires_at)
        if offer.hours_for_more:
            assert wanted <= found.requested_at + offer.hours_for_more * HOUR < wanted + HOUR
    kept = stage.lease(found.id)
    assert kept.snoozed_until is not None
    assert kept.snoozed_until <= kept.expires_at
    assert (kept.hold, kept.charges, kept.expires_at) == (found.hold, found.charges, found.expires_at)


def test_a_shorter_wish_never_takes_back_a_longer_one() -> None:
    """Two people press two buttons."""
    stage, found = warned()
    snooze(stage.services, token(found, Purpose.KEEP_4H))
    offer = snooze(stage.services, token(found, Purpose.KEEP_1H))
    assert offer.keeps_until == stage.lease(found.id).snoozed_until == at("13:50")


def test_a_link_s_time_ends() -> None:
    """It says so, and changes nothing."""
    stage, found = warned()
    with pytest.raises(Gone):
        snooze(stage.services, token(found, until="09:50"))
    assert stage.lease(found.id).snoozed_until is None


def test_a_wrong_link_is_told_nothing() -> None:
    """Neither that there is such a lease nor that there is none."""
    stage, found = warned()
    stranger = token_of(Claim(purpose=Purpose.SHOW, lease_id="nobody-s", expires_at=at("11:00")), SECRET)
    forged = token(found).replace("keep1h", "keep4h")
    told = set()
    for wrong in (stranger, forged, "x", ""):
        with pytest.raises(NotFound) as refusal:
            look(stage.services, wrong)
        told.add((refusal.value.slug, refusal.value.detail))
    assert len(told) == 1


def test_without_links_nothing_is_a_link() -> None:
    """No secret, no signature."""
    stage = Stage()
    found = stage.launch()
    with pytest.raises(NotFound):
        look(stage.services, token(found))


def test_who_has_a_link_is_not_told_where_its_secret_stands() -> None:
    """While the secret can't be read: try again."""
    links = MemoryLinks()
    stage = Stage(links=links)
    found = stage.launch()
    links.is_down = True
    with pytest.raises(Unavailable) as failure:
        snooze(stage.services, token(found))
    assert "SSM" not in failure.value.detail


def test_the_link_that_shows_keeps_nothing() -> None:
    """Each link does one thing."""
    stage, found = warned()
    with pytest.raises(Refused):
        snooze(stage.services, token(found, Purpose.SHOW))
    assert look(stage.services, token(found, Purpose.SHOW)).keeps_until is None


def test_what_ends_already_is_kept_by_no_link() -> None:
    """It says that it is over."""
    stage, found = warned()
    stage.until(at("10:01"))
    with pytest.raises(Refused) as refusal:
        snooze(stage.services, token(found))
    assert refusal.value.slug == "lease-over"
    assert look(stage.services, token(found)).keeps_until is None


def test_a_click_at_the_moment_of_the_end_is_not_run_over() -> None:
    """The end claims the lease as it was read; one that was kept meanwhile is judged anew."""
    stage, found = warned()
    clicked: list[bool] = []

    def click(method: str, phase: str) -> None:
        if (method, phase) == ("open_leases", "after") and not clicked:
            clicked.append(True)
            snooze(stage.services, token(found))

    stage.until(at("09:59"))
    stage.store.hook = click
    stage.until(at("10:10"))
    assert clicked
    assert stage.alive == list(found.instance_ids)


def test_work_does_not_end_what_was_asked_for() -> None:
    """A box that works within its hour and falls silent is idle for as long as any other."""
    stage, found = warned()
    snooze(stage.services, token(found))
    stage.works(found.instance_ids[0], 80, since=at("10:30"), until=at("10:35"))
    stage.until(at("11:30"))
    assert stage.alive
    stage.until(at("11:40"))
    assert stage.alive == []
