"""POST /heartbeats: whose post it is, what of it is believed, what is kept and what is answered."""

import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from chalice.test import Client
from hypothesis import given
from hypothesis import strategies as st

import app as curfew
from chalicelib import settings as environment
from chalicelib.domain.errors import Refused, Unavailable
from chalicelib.domain.evidence import Beat
from chalicelib.domain.guest import LIMIT_BYTES
from chalicelib.domain.guest_heartbeat import SIGNATURE_HEADER
from chalicelib.domain.heartbeats import Heard, Minute, Report, each_minute_from, joined, taken
from chalicelib.domain.policy import IdlePolicy
from chalicelib.gateways.beacons import RandomBeacons
from tests.builders import BOX, HOUR, MINUTE, at, lease, policy
from tests.doubles.memory_ports import START
from tests.unit.web_kit import World, logged, open_world

URL = "https://curfew.example/prod"
NOBODY: Mapping[str, str] = {}


@dataclass
class Lab:
    """A launched lease with a key, and a box that may say anything."""

    world: World
    lease_id: str
    box: str
    key: str

    def body(self, **more: Any) -> dict[str, Any]:
        """What the box would post now: one idle minute."""
        now = int(self.world.clock.now().timestamp())
        minute = {"at": now // 60 * 60 - 60, "gpu": 0, "signs": ""}
        whole = {
            "lease": self.lease_id,
            "instance": self.box,
            "counter": now,
            "sent_at": now,
            "minutes": [minute],
        }
        return {**whole, **more}

    def post(self, body: Mapping[str, Any], *, key: str | None = None, **headers: str) -> tuple[int, Any]:
        """Signed with the lease's key, or another."""
        raw = json.dumps(body).encode()
        signed = hmac.new((key or self.key).encode(), raw, "sha256").hexdigest()
        return self.send(raw, {SIGNATURE_HEADER: signed, **headers})

    def send(self, raw: bytes, headers: Mapping[str, str]) -> tuple[int, Any]:
        """These very bytes."""
        client = Client(curfew.app, project_dir="/nonexistent")
        answer = client.http.request("POST", "/heartbeats", headers=dict(headers), body=raw)
        return answer.status_code, answer.json_body

    def is_refused(self, answer: tuple[int, Any], status: int, slug: str) -> bool:
        """With that problem, and nothing was kept."""
        return (answer[0], answer[1]["type"]) == (
            status,
            f"/problems/{slug}",
        ) and not self.world.store.heard()


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch) -> Lab:
    """Launched at 09:00; it is 09:05."""
    world = open_world(monkeypatch)
    services = replace(world.services, beacons=RandomBeacons(URL))
    monkeypatch.setattr(curfew.door, "services", lambda: services)
    launched = world.launched()
    world.clock.advance(5 * MINUTE)
    kept = world.store.lease(launched["id"])
    assert kept is not None
    assert kept.heartbeat_key
    return Lab(world, kept.id, kept.instance_ids[0], kept.heartbeat_key)


def test_a_heartbeat_is_answered_with_the_end_and_with_when_to_tell_each_minute(lab: Lab) -> None:
    """A minute before the first warning that its silence allows."""
    status, told = lab.post(lab.body())
    assert status == 200
    assert told == {
        "lease": lab.lease_id,
        "status": "active",
        "deadline": "2026-11-23T17:00:00Z",
        "each_minute_from": "2026-11-23T09:53:00Z",
    }
    (heard,) = lab.world.store.heard()
    assert (heard.instance_id, heard.heard_at, len(heard.beats)) == (lab.box, at("09:05"), 1)


def test_a_box_at_work_is_told_only_its_end(lab: Lab) -> None:
    """It tells at once when it stops."""
    busy = [{"at": int(at("09:04").timestamp()), "gpu": 40, "signs": ""}]
    assert "each_minute_from" not in lab.post(lab.body(minutes=busy))[1]


@pytest.mark.parametrize("change", [{"counter": 5}, {"instance": "i-1"}, {"minutes": []}, {"sent_at": 0}])
def test_what_was_changed_on_its_way_is_refused(lab: Lab, change: dict[str, Any]) -> None:
    """Every byte is signed."""
    raw = json.dumps(lab.body()).encode()
    signed = hmac.new(lab.key.encode(), raw, "sha256").hexdigest()
    answer = lab.send(json.dumps(lab.body(**change)).encode(), {SIGNATURE_HEADER: signed})
    assert lab.is_refused(answer, 401, "heartbeat-forged")


def test_another_key_and_no_signature_are_refused_as_a_lease_that_never_was(lab: Lab) -> None:
    """Nobody learns which leases exist."""
    answers = [
        lab.post(lab.body(), key="0" * 64),
        lab.post(lab.body(lease="lease-00000000000000000")),
        lab.send(json.dumps(lab.body()).encode(), NOBODY),
        lab.send(json.dumps(lab.body()).encode(), {SIGNATURE_HEADER: "é"}),
    ]
    assert all(lab.is_refused(answer, 401, "heartbeat-forged") for answer in answers)
    assert len({json.dumps(body) for _, body in answers}) == 1


def test_a_lease_without_a_key_takes_none(lab: Lab) -> None:
    """An empty key would be anybody's."""
    kept = lab.world.store.lease(lab.lease_id)
    assert kept is not None
    lab.world.store.save_lease(replace(kept, heartbeat_key=None))
    assert lab.is_refused(lab.post(lab.body(), key="\0"), 401, "heartbeat-forged")


def test_the_key_of_one_lease_is_none_of_another(lab: Lab) -> None:
    """Nor do its boxes speak for others."""
    other = lab.world.launched()
    (box,) = other["instance_ids"]
    assert lab.is_refused(lab.post(lab.body(lease=other["id"], instance=box)), 401, "heartbeat-forged")
    assert lab.is_refused(lab.post(lab.body(instance=box)), 409, "heartbeat-foreign")


@pytest.mark.parametrize("by", [timedelta(seconds=-121), timedelta(seconds=121), -8 * HOUR, 8 * HOUR])
def test_what_was_sent_at_another_time_is_refused(lab: Lab, by: timedelta) -> None:
    """A post that was kept back, or a wrong clock."""
    sent = int((lab.world.clock.now() + by).timestamp())
    assert lab.is_refused(lab.post(lab.body(sent_at=sent)), 409, "heartbeat-late")


def test_a_replay_is_refused_and_changes_nothing(lab: Lab) -> None:
    """Also within the window."""
    body = lab.body()
    assert lab.post(body)[0] == 200
    kept = lab.world.store.heard()
    for again in (body, lab.body(counter=body["counter"] - 1)):
        status, problem = lab.post(again)
        assert (status, problem["type"]) == (409, "/problems/heartbeat-replayed")
    assert lab.world.store.heard() == kept


def test_nothing_is_kept_of_a_lease_that_is_over(lab: Lab) -> None:
    """Its boxes are gone, or will be."""
    lab.world("DELETE", f"/leases/{lab.lease_id}")
    assert lab.is_refused(lab.post(lab.body()), 409, "lease-over")


@pytest.mark.parametrize(
    "change, field",
    [
        ({"instance": "box"}, "instance"),
        ({"counter": -1}, "counter"),
        ({"counter": "7"}, "counter"),
        ({"minutes": [{"at": 1, "gpu": 101}]}, "minutes"),
        ({"minutes": [{"at": 1}] * 301}, "minutes"),
        ({"sent_at": 2**40}, "sent_at"),
        ({"more": 1}, "more"),
    ],
)
def test_what_no_box_says_is_a_422_that_names_it(lab: Lab, change: dict[str, Any], field: str) -> None:
    """As everywhere."""
    status, problem = lab.post(lab.body(**change))
    assert status == 422
    assert any(field in one["field"] for one in problem["errors"])


def test_a_table_that_does_not_answer_is_a_503(lab: Lab) -> None:
    """The box tries again in a minute."""
    lab.world.store.inject("keep_heard", Unavailable("the table does not answer"))
    assert lab.post(lab.body())[0] == 503


def test_nobody_is_shown_the_key(lab: Lab) -> None:
    """Neither in a view nor in the log nor in what Python prints."""
    with logged() as lines:
        lab.post(lab.body())
        views = [lab.world("GET", path)[1] for path in ("/leases", f"/leases/{lab.lease_id}", "/instances")]
        views.append(lab.world("DELETE", f"/leases/{lab.lease_id}")[1])
        views.append(lab.world("GET", "/receipts")[1])
    kept = lab.world.store.lease(lab.lease_id)
    assert kept is not None
    assert lab.key not in json.dumps([views, lines])
    assert lab.key not in repr(replace(kept, attempts=()))


def test_each_lease_has_a_key_of_its_own(lab: Lab) -> None:
    """256 bits of it."""
    other = lab.world.store.lease(lab.world.launched()["id"])
    assert other is not None
    assert other.heartbeat_key != lab.key
    assert len(lab.key) == 64


def test_a_launch_whose_user_data_leaves_no_room_goes_without(lab: Lab) -> None:
    """Its deadline is what matters; CloudWatch may still know of its work."""
    told = lab.world.launched(user_data="#!/bin/sh\n" + "#" * (LIMIT_BYTES - 6000))
    kept = lab.world.store.lease(told["id"])
    assert kept is not None
    assert (kept.heartbeat_key, kept.guest_deadline) == (None, kept.expires_at)


def test_without_an_address_heartbeats_are_missing() -> None:
    """And /health says what that costs."""
    enough = {"CURFEW_TABLE": "t", "CURFEW_ADMIN_TOKEN_SHA256": "0" * 64}
    assert "heartbeats" in {one["what"] for one in environment.read(enough).missing()}
    told = environment.read({**enough, "CURFEW_PUBLIC_URL": URL}).missing()
    assert "heartbeats" not in {one["what"] for one in told}


def test_without_an_address_no_launch_has_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """And its script is the deadline's alone."""
    world = open_world(monkeypatch)
    kept = world.store.lease(world.launched()["id"])
    assert kept is not None
    assert kept.heartbeat_key is None


# What is kept


def report(counter: int, now: datetime, *minutes: Minute) -> Report:
    """By a clock that is right."""
    return Report(lease_id="lease-1", instance_id=BOX, counter=counter, sent_at=now, minutes=minutes)


def test_a_box_of_another_lease_begins_anew() -> None:
    """What an instance told under a lease that is over says nothing of this one."""
    before = Heard(lease_id="lease-0", instance_id=BOX, counter=99, heard_at=START, beats=(silence(0, 5),))
    heard = taken(
        before, report(1, at("10:01"), Minute(at=at("10:00"), gpu=0)), idle=IdlePolicy(), now=at("10:01")
    )
    assert [beat.since for beat in heard.beats] == [at("10:00")]


def test_minutes_that_are_to_come_or_too_old_are_made_up() -> None:
    """They are left out; a look in the one that is not over speaks for the sixty seconds before it came in."""
    now = at("12:00:30")
    told = [Minute(at=now.replace(second=0) + n * MINUTE, gpu=0) for n in (-6 * 60, 0, 1, 60)]
    heard = taken(None, report(1, now, *told), idle=IdlePolicy(), now=now)
    assert [(beat.since, beat.until) for beat in heard.beats] == [(at("11:59:30"), now)]
    for made_up in (told[0], *told[2:]):
        assert taken(None, report(1, now, made_up), idle=IdlePolicy(), now=now).beats == ()


def test_load_alone_is_no_work() -> None:
    """A box whose CPU is busy with nothing keeps no GPU: a process that began, or somebody who typed, does."""
    told = {signs: taken(None, its, idle=IdlePolicy(), now=START) for signs, its in signed("", "l", "p", "s")}
    assert {signs: heard.beats[0].is_busy for signs, heard in told.items()} == {
        "": False,
        "l": False,
        "p": True,
        "s": True,
    }


def signed(*kinds: str) -> list[tuple[str, Report]]:
    """A report of one quiet minute with each of these signs."""
    return [(one, report(1, START, Minute(at=START - MINUTE, gpu=0, signs=one))) for one in kinds]


def test_what_is_too_old_to_matter_is_forgotten_and_of_too_much_the_oldest() -> None:
    """An item of the table stays small however often a box begins to work and stops; its last hours stay whole."""
    each_minute = tuple(stretch(n, n + 1, is_busy=n % 2 == 0) for n in range(-500, 0))
    before = Heard(lease_id="lease-1", instance_id=BOX, counter=0, heard_at=START, beats=each_minute)
    heard = taken(before, report(1, START), idle=IdlePolicy(), now=START)
    assert heard.beats == each_minute[-400:]
    slow = tuple(one for one in each_minute if one.is_busy)
    heard = taken(replace(before, beats=slow), report(1, START), idle=IdlePolicy(), now=START)
    assert [one.since for one in heard.beats] == [one.since for one in slow if one.until > START - 7 * HOUR]
    assert len(heard.beats) < len(slow)


def test_a_box_that_is_kept_or_young_need_not_tell_each_minute_sooner() -> None:
    """What puts its end off puts the posts off; a warning asks for them at once."""
    heard = Heard(lease_id="lease-1", instance_id=BOX, counter=1, heard_at=START, beats=(silence(0, 5),))
    idle = IdlePolicy(after=30 * MINUTE, after_launch=2 * HOUR, warn_before=10 * MINUTE)
    assert each_minute_from(heard, lease(), idle=idle, now=START) == at("10:49")
    kept = lease(snoozed_until=at("12:00"))
    assert each_minute_from(heard, kept, idle=idle, now=START) == at("11:49")
    warned = lease(warned_at={"idle": START})
    assert each_minute_from(heard, warned, idle=idle, now=START) == START


def silence(since: float, until: float) -> Beat:
    """Minutes after 09:00."""
    return stretch(since, until, is_busy=False)


def stretch(since: float, until: float, *, is_busy: bool) -> Beat:
    """Minutes after 09:00."""
    begins, ends = START + since * MINUTE, START + until * MINUTE
    return Beat(since=begins, until=ends, is_busy=is_busy, heard_at=ends)


@given(
    st.lists(
        st.tuples(st.integers(0, 60), st.integers(1, 20), st.booleans()).map(
            lambda one: stretch(one[0], one[0] + one[1], is_busy=one[2])
        ),
        max_size=12,
    )
)
def test_where_work_and_silence_are_told_of_one_time_it_was_work(beats: list[Beat]) -> None:
    """And nothing else is lost or made up."""
    kept = joined(beats)
    for minute in range(82):
        moment = START + (minute + 0.5) * MINUTE
        told = {beat.is_busy for beat in beats if beat.since <= moment < beat.until}
        expected = {True} if True in told else told
        assert {beat.is_busy for beat in kept if beat.since <= moment < beat.until} == expected
    assert joined(kept) == kept


@given(
    st.lists(st.sampled_from([0, 0, 0, 60, None]), min_size=5, max_size=90),
    st.lists(st.sampled_from(["taken", "taken", "lost", "deaf", "kept back"]), min_size=90, max_size=90),
    st.integers(0, 40),
)
def test_whatever_is_lost_replayed_or_kept_back_no_minute_of_work_becomes_silence(
    minutes: list[int | None], fates: list[str], seconds: int
) -> None:
    """A box that tells each minute, of which posts and answers are lost, and somebody who sends old posts again."""
    idle, heard = policy().idle, None
    owed: list[Minute] = []
    seen: list[Report] = []
    for number, gpu in enumerate(minutes):
        now = START + (number + 1) * MINUTE + timedelta(seconds=seconds)
        owed.append(Minute(at=START + number * MINUTE, gpu=gpu))
        post, fate = report(number, now, *owed), fates[number]
        if fate in {"taken", "deaf"}:
            heard = taken(heard, post, idle=idle, now=now)
        if fate == "taken":
            owed = []
        for old in [*seen, post] if heard and fate != "lost" else []:
            if old.counter <= heard.counter:  # type: ignore[union-attr]
                with pytest.raises(Refused):
                    taken(heard, old, idle=idle, now=now)
        seen = [*seen, post][-3:]
    for beat in heard.beats if heard else ():
        if not beat.is_busy:
            told = [n for n in range(len(minutes)) if beat.since < START + (n + 0.5) * MINUTE < beat.until]
            assert all(minutes[n] != 60 for n in told)
