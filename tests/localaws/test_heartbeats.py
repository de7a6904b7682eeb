"""What boxes of localaws tell Curfew of their load."""

from __future__ import annotations

import hmac
import json
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from chalicelib.domain.guest import user_data
from chalicelib.domain.guest_heartbeat import Beacon
from localaws.ec2.heartbeats import Heartbeats
from localaws.world import World
from tests.localaws.conftest import IMAGE

MINUTE = timedelta(minutes=1)
ADDRESS, KEY = "http://127.0.0.1:8000", "ab" * 32


@dataclass
class Ear:
    """Takes posts, and answers like Curfew. `is_down`: nobody answers."""

    posts: list[tuple[str, Any]] = field(default_factory=list)
    each_minute_from: str | None = None
    is_down: bool = False

    def __call__(self, url: str, body: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
        if self.is_down:
            raise OSError
        assert headers["Curfew-Signature"] == hmac.new(KEY.encode(), body, "sha256").hexdigest()
        self.posts.append((url, json.loads(body)))
        return 200, json.dumps({"each_minute_from": self.each_minute_from}).encode()


@dataclass
class Lab:
    """A box with Curfew's script, and who hears it."""

    world: World
    ear: Ear
    box_id: str
    heartbeats: Heartbeats

    def pass_minutes(self, number: int) -> list[int]:
        """The numbers of the minutes, from 1, in which a post was heard."""
        posted = []
        for minute in range(1, number + 1):
            self.world.advance(MINUTE)
            before = len(self.ear.posts)
            self.heartbeats.minute()
            if len(self.ear.posts) > before:
                posted.append(minute)
        return posted


def lab_at(world: World, ec2: Any, url: str) -> Lab:
    """A box whose script knows that address."""
    told = user_data(None, None, Beacon(lease_id="lease-1", url=url, key=KEY))
    answer = ec2.run_instances(
        ImageId=IMAGE, InstanceType="g5.xlarge", MinCount=1, MaxCount=1, UserData=told or ""
    )
    world.advance(MINUTE)
    ear, box_id = Ear(), answer["Instances"][0]["InstanceId"]
    world.boxes.of(box_id).load.is_told = True
    return Lab(world, ear, box_id, Heartbeats(world, ADDRESS, ear))


@pytest.fixture
def lab(world: World, ec2: Any) -> Lab:
    """One whose script knows the application's own address."""
    return lab_at(world, ec2, ADDRESS)


def test_a_box_that_nobody_told_to_speak_is_silent(lab: Lab) -> None:
    """CloudWatch alone tells of it."""
    lab.world.boxes.of(lab.box_id).load.is_told = False
    lab.world.set_load(lab.box_id, gpu=80.0)
    assert lab.pass_minutes(3) == []


def test_a_box_tells_of_changes_at_once_and_else_each_quarter_of_an_hour(lab: Lab) -> None:
    """With all minutes since its last post that was answered."""
    lab.world.set_load(lab.box_id, gpu=0.0)
    assert lab.pass_minutes(16) == [1, 16]
    lab.world.set_load(lab.box_id, gpu=80.0)
    assert lab.pass_minutes(2) == [1]
    lab.world.set_load(lab.box_id, gpu=None)
    assert lab.pass_minutes(2) == [1]
    url, told = lab.ear.posts[-1]
    assert (url, told["instance"]) == (f"{ADDRESS}/heartbeats", lab.box_id)
    assert [minute["gpu"] for minute in told["minutes"]] == [80, None]


def test_what_is_not_answered_comes_again_and_each_minute_when_asked_for(lab: Lab) -> None:
    """As the script does it."""
    lab.world.set_load(lab.box_id, gpu=0.0)
    lab.ear.is_down = True
    assert lab.pass_minutes(3) == []
    lab.ear.is_down, lab.ear.each_minute_from = False, (lab.world.now + 4 * MINUTE).isoformat()
    assert lab.pass_minutes(5) == [1, 4, 5]
    assert len(lab.ear.posts[0][1]["minutes"]) == 4


def test_no_box_tells_anybody_but_the_application(world: World, ec2: Any) -> None:
    """Whatever address its user data has."""
    lab = lab_at(world, ec2, "http://127.0.0.1:80001")
    lab.world.set_load(lab.box_id, gpu=0.0)
    assert lab.pass_minutes(2) == []


def test_a_stopped_box_is_silent_and_goes_on_after_its_start(lab: Lab, ec2: Any) -> None:
    """The script lies on the disk."""
    lab.world.set_load(lab.box_id, gpu=0.0)
    lab.pass_minutes(1)
    ec2.stop_instances(InstanceIds=[lab.box_id])
    assert lab.pass_minutes(20) == []
    ec2.start_instances(InstanceIds=[lab.box_id])
    assert lab.pass_minutes(3)
