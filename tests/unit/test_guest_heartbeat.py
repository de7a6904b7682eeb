"""What a launched box does each minute: the very script, in a real shell, against the app on doubles in memory."""

import json
from base64 import b64decode
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from chalice.test import Client

import app as curfew
from chalicelib.domain.evidence import Beat
from chalicelib.domain.heartbeats import Heard
from chalicelib.gateways.beacons import RandomBeacons
from tests.builders import policy
from tests.guest_kit import MINUTE, GuestBox, Net, served
from tests.unit.web_kit import LAUNCH, World, open_world

QUARTER = 15 * MINUTE
SECONDS = timedelta(seconds=40)
"""So far into its minute a look is over."""


class Lab:
    """A launched box that reports to the app, and the clock they share."""

    def __init__(self, world: World, net: Net, box: GuestBox, lease_id: str) -> None:
        self.world, self.net, self.box, self.lease_id = world, net, box, lease_id

    def pass_minutes(self, number: int) -> list[int]:
        """A look each minute: the numbers of the minutes that posted, from 1."""
        posted = []
        for minute in range(1, number + 1):
            self.world.clock.advance(MINUTE)
            if self.box.tick():
                posted.append(minute)
        return posted

    @property
    def heard(self) -> Heard:
        """What Curfew knows of the box."""
        found = self.world.store.heard_of(self.net.instance_id)
        assert found is not None
        return found

    @property
    def last_post(self) -> Any:
        """The body of the last post."""
        return json.loads(self.net.posts[-1])

    @property
    def silence(self) -> timedelta:
        """How much of it Curfew knows."""
        return length_of(self.heard.beats, is_busy=False)


def length_of(beats: tuple[Beat, ...], *, is_busy: bool) -> timedelta:
    """Of all stretches of a kind together."""
    return sum((one.until - one.since for one in beats if one.is_busy is is_busy), timedelta(0))


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Lab]:
    """One box, launched by the app at 09:00 with the user data that the app made."""
    world = open_world(monkeypatch)
    client = Client(curfew.app, project_dir="/nonexistent")

    def door(method: str, path: str, body: bytes, headers: Mapping[str, str]) -> tuple[int, bytes]:
        answer = client.http.request(method, path, headers=dict(headers), body=body)
        return answer.status_code, answer.body

    with served(Net(door=door, now=world.clock.now, instance_id="")) as net:
        services = replace(world.services, beacons=RandomBeacons(net.url))
        monkeypatch.setattr(curfew.door, "services", lambda: services)
        launched = world("POST", "/spot-requests", LAUNCH)[1]
        net.instance_id = launched["instance_ids"][0]
        lease = world.store.lease(launched["id"])
        assert lease is not None
        box = GuestBox(tmp_path, net, booted_at=world.clock.now())
        box.install(user_data_of(world.compute.sent(lease.attempts[0])))
        world.clock.advance(SECONDS)
        yield Lab(world, net, box, lease.id)


def user_data_of(parameters: Mapping[str, Any]) -> str:
    """As the fleet's template has it."""
    return b64decode(parameters["launch_template"]["LaunchTemplateData"]["UserData"]).decode()


def test_an_idle_box_tells_each_quarter_of_an_hour_and_each_minute_before_a_warning(lab: Lab) -> None:
    """Idle since 09:00:40: warned 20 minutes later at the earliest, so each minute is told from the 19th on."""
    lab.world.store.put_policy(
        policy(idle={"after": "PT25M", "warn_before": "PT5M", "after_launch": "PT0S"}), if_version=None
    )
    assert lab.pass_minutes(22) == [1, 16, 19, 20, 21, 22]
    assert len(lab.heard.beats) == 1
    assert lab.silence == 22 * MINUTE


def test_work_is_told_at_once_and_so_is_its_end(lab: Lab) -> None:
    """A change between the two is known within the minute."""
    assert lab.pass_minutes(3) == [1]
    lab.box.works(0, 97)
    assert lab.pass_minutes(4) == [1]
    lab.box.works(0, 0)
    assert lab.pass_minutes(4) == [1]
    assert [beat.is_busy for beat in lab.heard.beats] == [False, True, False]
    assert length_of(lab.heard.beats, is_busy=True) == 4 * MINUTE + (MINUTE - SECONDS)


def test_what_was_not_answered_is_told_again_each_minute_with_all_that_came_since(lab: Lab) -> None:
    """No minute is lost, and none counts twice."""
    lab.pass_minutes(2)
    lab.net.is_down = True
    lab.box.works(50)
    assert lab.pass_minutes(3) == [1, 2, 3]
    lab.net.is_down, lab.net.is_deaf = False, True
    assert lab.pass_minutes(2) == [1, 2]
    lab.net.is_deaf = False
    assert lab.pass_minutes(2) == [1]
    assert len(lab.last_post["minutes"]) >= 6
    assert length_of(lab.heard.beats, is_busy=True) >= 5 * MINUTE
    assert set(lab.net.codes) == {200}


def test_each_gpu_counts(lab: Lab) -> None:
    """The busiest of them."""
    lab.box.works(0, 0, 3, 0)
    lab.pass_minutes(1)
    assert lab.last_post["minutes"][-1]["gpu"] == 3


@pytest.mark.parametrize(
    "use, apps, fails, gpu",
    [
        (("[N/A]",), (), 0, 0),
        (("[N/A]", "0"), (77,), 0, None),
        (("[N/A]", "40"), (77,), 0, 40),
        (("[Not Supported]",), (77,), 0, None),
        (("No devices were found",), (), 6, None),
        (("NVIDIA-SMI has failed because it could not communicate with the NVIDIA driver.",), (), 9, None),
        ((), (), 0, None),
        ((), (), 124, None),
    ],
)
def test_what_the_driver_does_not_say_is_unknown(
    lab: Lab, use: tuple[str, ...], apps: tuple[int, ...], fails: int, gpu: int | None
) -> None:
    """Never idle; but a GPU without a figure, as with MIG, does nothing where no process computes."""
    lab.box.works(0, apps=apps)
    lab.pass_minutes(1)
    lab.box.works(*use, apps=apps, fails=fails)
    lab.pass_minutes(1)
    lab.world.clock.advance(QUARTER)
    lab.box.tick()
    assert lab.last_post["minutes"][-1]["gpu"] == gpu


def test_processes_that_can_t_be_told_make_no_gpu_at_rest_unknown(lab: Lab) -> None:
    """Not every driver lists them; a figure for each GPU says enough."""
    script = lab.box.here / "nvidia-smi"
    script.write_text(script.read_text().replace("*compute-apps*) cat", "*compute-apps*) exit 1; cat"))
    lab.pass_minutes(1)
    assert lab.last_post["minutes"][-1]["gpu"] == 0


def test_a_box_without_a_driver_tells_so_and_is_never_idle(lab: Lab) -> None:
    """It may be installing one."""
    (lab.box.here / "nvidia-smi").write_text("#!/bin/sh\nexit 127\n")
    assert lab.pass_minutes(20) == [1, 16]
    assert lab.heard.beats == ()


def test_a_process_that_begins_to_compute_is_work_and_one_that_waits_is_none(lab: Lab) -> None:
    """An idle notebook holds its GPU for days."""
    lab.pass_minutes(1)
    lab.box.works(0, apps=(77,))
    assert lab.pass_minutes(1) == [1]
    assert lab.last_post["minutes"][-1]["signs"] == "p"
    assert lab.pass_minutes(1) == [1]
    assert (lab.last_post["minutes"][-1]["signs"], lab.last_post["processes"]) == ("", 1)
    assert [beat.is_busy for beat in lab.heard.beats] == [False, True, False]


def test_somebody_who_types_is_at_work(lab: Lab) -> None:
    """A session in which nobody does is not."""
    lab.box.types()
    lab.pass_minutes(1)
    assert lab.last_post["minutes"][-1]["signs"] == "s"
    lab.box.leaves()
    lab.pass_minutes(1)
    assert [beat.is_busy for beat in lab.heard.beats] == [True, False]


def test_load_is_told_and_is_no_evidence(lab: Lab) -> None:
    """CPU is a poor sign of work, either way."""
    (lab.box.here / "load").write_text("12.50 9.00 7.00 3/200 1234\n")
    lab.pass_minutes(2)
    assert (lab.last_post["load"], lab.last_post["minutes"][-1]["signs"]) == ("12.50", "l")
    assert [beat.is_busy for beat in lab.heard.beats] == [False]


@pytest.mark.parametrize("hours", [-7, 3, 24 * 365])
def test_a_wrong_clock_is_put_right_by_the_first_answer(lab: Lab, hours: int) -> None:
    """What it counted by its own time is thrown away; from then on its minutes and its end are by Curfew's."""
    lab.box.off_by = timedelta(hours=hours)
    assert lab.pass_minutes(3) == [1, 2]
    assert lab.net.codes == [409, 200]
    (beat,) = lab.heard.beats
    assert beat.until - beat.since == MINUTE
    assert lab.world.clock.now() - beat.until == MINUTE
    lease = lab.world.store.lease(lab.lease_id)
    assert lease is not None
    assert not lab.box.looks_at_its_end()
    lab.world.clock.at = lease.expires_at
    assert lab.box.looks_at_its_end()


def test_a_reboot_keeps_what_was_not_told(lab: Lab) -> None:
    """Its files are on the disk; the minutes in which it was off are a gap."""
    lab.pass_minutes(5)
    lab.box.boots_again()
    lab.world.clock.advance(5 * MINUTE)
    lab.pass_minutes(6)
    assert lab.silence == 11 * MINUTE
    assert len(lab.heard.beats) == 2


def test_the_answer_moves_the_deadline(lab: Lab) -> None:
    """In the box's timer, by the post after the PATCH; a tag that still says the old end moves nothing back."""
    lab.net.tag = lab.box.calendar.isoformat()
    assert not lab.box.looks_at_its_end()
    status, told = lab.world("PATCH", f"/leases/{lab.lease_id}", {"hours": 10})
    assert status == 200, told
    lab.pass_minutes(1)
    assert lab.box.calendar == datetime.fromisoformat(told["expires_at"]).replace(microsecond=0)
    lab.box.looks_at_its_end()
    assert lab.box.calendar == datetime.fromisoformat(told["expires_at"]).replace(microsecond=0)


def test_a_box_that_was_started_from_its_image_tells_nothing(lab: Lab) -> None:
    """The key on its disk is another lease's."""
    (lab.box.here / "board_asset_tag").write_text("i-0fedcba9876543210\n")
    assert lab.pass_minutes(3) == []


def test_a_box_that_is_not_known_yet_asks_again_in_five_minutes(lab: Lab) -> None:
    """And loses nothing of what it saw meanwhile."""
    known = lab.net.instance_id
    lab.net.instance_id = "i-0fedcba9876543210"
    assert lab.pass_minutes(6) == [1, 6]
    lab.net.instance_id = known
    assert lab.pass_minutes(5) == [5]
    assert lab.net.codes == [409, 409, 200]
    assert lab.silence >= 10 * MINUTE


@pytest.mark.parametrize("status", [429, 502, 503])
def test_a_busy_or_broken_curfew_is_asked_again_each_minute(lab: Lab, status: int) -> None:
    """It has said nothing of the heartbeat."""
    taken_by, lab.net.door = lab.net.door, lambda *_: (status, b"{}")
    assert lab.pass_minutes(3) == [1, 2, 3]
    lab.net.door = taken_by
    assert lab.pass_minutes(2) == [1]
    assert lab.silence == 3 * MINUTE + SECONDS


def test_python_signs_where_openssl_is_missing(lab: Lab) -> None:
    """Every deep-learning image has one of the two."""
    script = lab.box.here / "curfew-heartbeat"
    script.write_text(script.read_text().replace("command -v openssl", "false"))
    lab.pass_minutes(1)
    assert lab.net.codes == [200]


def test_only_root_may_read_the_script(lab: Lab) -> None:
    """User data can be read by all on the box all the same: docs/limits.md says so."""
    assert (lab.box.here / "curfew-heartbeat").stat().st_mode & 0o77 == 0
