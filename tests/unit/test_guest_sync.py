"""A box's data: the very script of its user data, in a real shell, against the app and a bucket on doubles in memory."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from chalice.test import Client

import app as curfew
from chalicelib.domain.transfers import MIB
from chalicelib.gateways.beacons import RandomBeacons
from tests.builders import policy
from tests.doubles.memory_transfers import MemoryTransfers
from tests.guest_kit import MINUTE, GuestBox, Net, served
from tests.unit.test_guest_heartbeat import user_data_of
from tests.unit.web_kit import LAUNCH, World, open_world


class Lab:
    """A box with data, the bucket, and the clock they share. The box's folders are `data` and `output` below `here`."""

    def __init__(self, world: World, bucket: MemoryTransfers, net: Net, here: Path) -> None:
        self.world, self.bucket, self.net, self.here = world, bucket, net, here
        self.lease_id = ""
        self.box = GuestBox(here, net, booted_at=world.clock.now())

    def launch(self, **more: Any) -> None:
        """A box for two hours, which has just been seen."""
        wish = {**LAUNCH, "hours": 2, **more}
        status, told = self.world("POST", "/spot-requests", wish)
        assert status == 201, told
        self.lease_id, self.net.instance_id = told["id"], told["instance_ids"][0]
        lease = self.world.store.lease(self.lease_id)
        assert lease is not None
        self.box.install(user_data_of(self.world.compute.sent(lease.attempts[0])))

    @property
    def output(self) -> Path:
        return self.here / "output"

    def at(self, after: timedelta) -> None:
        """Let time pass until so long after the launch, and let the box look."""
        self.world.clock.advance(after - (self.world.clock.now() - self.box.booted_at))
        self.box.syncs()

    def pushed(self) -> dict[str, bytes]:
        """What stands in the lease's folder."""
        prefix = f"leases/{self.lease_id}/"
        return {
            key.removeprefix(prefix): body
            for key, body in self.bucket.objects.items()
            if key.startswith(prefix)
        }

    def told(self, way: str) -> tuple[int, int, str | None]:
        """What the lease's view says of one way."""
        (one,) = [
            one for one in self.world("GET", f"/leases/{self.lease_id}")[1]["sync"] if one["way"] == way
        ]
        return one["done"], one["left"], one["problem"]


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Lab]:
    """The app at 09:00, and nothing launched yet."""
    world = open_world(monkeypatch)
    bucket = MemoryTransfers(world.clock)
    client = Client(curfew.app, project_dir="/nonexistent")

    def door(method: str, path: str, body: bytes, headers: Mapping[str, str]) -> tuple[int, bytes]:
        if path.startswith("/bucket/"):
            return bucket.door(method, path, body)
        answer = client.http.request(method, path, headers=dict(headers), body=body)
        return answer.status_code, answer.body

    with served(Net(door=door, now=world.clock.now, instance_id="")) as net:
        bucket.base = net.url
        world.put(transfers=bucket, beacons=RandomBeacons(net.url))
        yield Lab(world, bucket, net, tmp_path)


def folders(lab: Lab, *, path: str = "birds") -> dict[str, Any]:
    """Both ways, with folders below the test's own."""
    return {
        "sync_from": {"path": path, "folder": f"{lab.here}/data"},
        "sync_to": {"folder": f"{lab.here}/output"},
    }


def test_a_box_fetches_a_folder_at_its_start_and_once(lab: Lab) -> None:
    """Page by page, with its subfolders; what else stands in the bucket stays there."""
    own = {f"owners/admin/birds/{n:03}.txt": f"bird {n}".encode() for n in range(60)}
    lab.bucket.objects |= {**own, "owners/admin/birds/a/b (1)/c.bin": b"\0\1", "owners/admin/bird": b"no"}
    lab.launch(**folders(lab))
    lab.box.syncs()
    got = {
        str(one.relative_to(lab.here / "data")): one.read_bytes()
        for one in (lab.here / "data").rglob("*")
        if one.is_file()
    }
    assert got == {
        key.removeprefix("owners/admin/birds/"): body
        for key, body in {**own, "a/b (1)/c.bin": b"\0\1"}.items()
    }
    assert lab.told("fetch") == (61, 0, None)
    before = len(lab.net.posts)
    lab.box.syncs()
    assert len(lab.net.posts) == before


def test_a_fetch_that_was_cut_off_goes_on(lab: Lab) -> None:
    """What is there is not fetched again; names that are not taken are told."""
    lab.bucket.objects |= {"owners/admin/birds/one": b"1", 'owners/admin/birds/t"wo': b"2"}
    lab.launch(**folders(lab))
    lab.net.is_down = True
    lab.box.syncs()
    assert not (lab.here / "data" / "one").exists()
    lab.net.is_down = False
    lab.box.syncs()
    assert (lab.here / "data" / "one").read_bytes() == b"1"
    assert lab.told("fetch") == (1, 1, "1 with names that are not taken")


def test_output_is_pushed_within_the_margin_before_the_end_and_again_where_it_changed(lab: Lab) -> None:
    """Two hours with a margin of 15 minutes: nothing before 10:45."""
    lab.launch(**folders(lab))
    lab.box.syncs()
    (lab.output / "run 1").mkdir(parents=True)
    (lab.output / "run 1" / "model.pt").write_bytes(b"first")
    lab.at(timedelta(minutes=104))
    assert lab.pushed() == {}
    lab.at(timedelta(minutes=105))
    assert lab.pushed() == {"run 1/model.pt": b"first"}
    assert lab.told("push") == (1, 0, None)
    (lab.output / "log.txt").write_bytes(b"later")
    (lab.output / "run 1" / "model.pt").write_bytes(b"second")
    lab.at(timedelta(minutes=110))
    assert lab.pushed() == {"run 1/model.pt": b"second", "log.txt": b"later"}
    assert lab.told("push") == (2, 0, None)
    written = len(lab.bucket.written)
    lab.at(timedelta(minutes=111))
    assert len(lab.bucket.written) == written


def test_a_moved_end_moves_the_push(lab: Lab) -> None:
    """The box knows its end from its tag, and from heartbeats."""
    lab.launch(**folders(lab))
    lab.output.mkdir(exist_ok=True)
    (lab.output / "a").write_bytes(b"a")
    assert lab.world("PATCH", f"/leases/{lab.lease_id}", {"hours": 4})[0] == 200
    lab.world.clock.advance(MINUTE)
    lab.box.tick()
    lab.at(timedelta(minutes=110))
    assert lab.pushed() == {}
    lab.at(timedelta(minutes=230))
    assert lab.pushed() == {"a": b"a"}


def test_an_announced_interruption_pushes_at_once(lab: Lab) -> None:
    """Two minutes are left then."""
    lab.launch(**folders(lab))
    lab.output.mkdir(exist_ok=True)
    (lab.output / "a").write_bytes(b"a")
    lab.at(timedelta(minutes=10))
    assert lab.pushed() == {}
    lab.net.is_noticed = True
    lab.at(timedelta(minutes=11))
    assert lab.pushed() == {"a": b"a"}


@pytest.mark.parametrize("rule", ["idle", "over_budget"])
def test_a_warning_of_idleness_or_of_its_money_pushes_before_the_end(lab: Lab, rule: str) -> None:
    """The answer to the next heartbeat says so."""
    lab.world.store.put_policy(policy(), if_version=None)
    lab.launch(**folders(lab))
    lab.output.mkdir(exist_ok=True)
    (lab.output / "a").write_bytes(b"a")
    lease = lab.world.store.lease(lab.lease_id)
    assert lease is not None
    lab.world.clock.advance(MINUTE)
    lab.box.tick()
    lab.world.store.save_lease(replace(lease, warned_at={rule: lab.world.clock.now()}))
    lab.box.syncs()
    assert lab.pushed() == {}
    lab.world.clock.advance(16 * MINUTE)
    lab.box.tick()
    lab.box.syncs()
    assert lab.pushed() == {"a": b"a"}


def test_a_large_file_is_pushed_in_parts_and_begun_anew_where_it_changed(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No parts of two versions are ever put together."""
    monkeypatch.setattr("chalicelib.domain.guest_sync.SINGLE_BYTES", MIB)
    monkeypatch.setattr("chalicelib.domain.transfers.PART_BYTES", MIB)
    lab.launch(**folders(lab))
    lab.output.mkdir(exist_ok=True)
    old, new = b"o" * (2 * MIB + 5), b"n" * (2 * MIB + 5)
    (lab.output / "model.pt").write_bytes(old)
    stale = lab.bucket.begin(f"leases/{lab.lease_id}/model.pt")
    lab.bucket.begun[stale.upload_id][1][1] = new[:MIB]
    lab.at(timedelta(minutes=110))
    assert lab.pushed() == {"model.pt": old}
    assert lab.bucket.begun == {}
    assert lab.told("push") == (1, 0, None)


def test_what_could_not_be_pushed_is_told(lab: Lab) -> None:
    """Names that are not taken keep no others back; what a link points to is not sent."""
    lab.launch(**folders(lab))
    lab.output.mkdir(exist_ok=True)
    (lab.output / "a").write_bytes(b"a")
    (lab.output / "b'c").write_bytes(b"a")
    (lab.output / "link").symlink_to("/etc/passwd")
    for odd in (" blank", "ä", "x\ny", "/".join("d" * 31)):
        (lab.output / odd).mkdir(parents=True)
        (lab.output / odd / "b").write_bytes(b"b")
    (lab.output / "..a" / ".hidden").mkdir(parents=True)
    (lab.output / "..a" / ".hidden" / "c d").write_bytes(b"c")
    lab.at(timedelta(minutes=110))
    assert lab.pushed() == {"a": b"a", "..a/.hidden/c d": b"c"}
    assert lab.told("push") == (2, 6, "5 with names that are not taken")


def test_boxes_of_one_launch_do_not_write_over_each_other(lab: Lab) -> None:
    """Each has a folder named as it."""
    lab.launch(**folders(lab), target_capacity=2)
    lab.output.mkdir(exist_ok=True)
    (lab.output / "a").write_bytes(b"a")
    lab.at(timedelta(minutes=110))
    assert lab.pushed() == {f"{lab.net.instance_id}/a": b"a"}


def test_a_box_of_a_copied_disk_moves_nothing(lab: Lab) -> None:
    """Its image was made of another box, whose lease it is not."""
    lab.bucket.objects["owners/admin/birds/one"] = b"1"
    lab.launch(**folders(lab))
    (lab.here / "board_asset_tag").write_text("i-another")
    lab.box.syncs()
    assert not (lab.here / "data" / "one").exists()
