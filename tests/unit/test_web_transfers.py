"""Files up and down, over HTTP: on doubles in memory, with a bucket whose URLs lead somewhere."""

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from chalice.test import Client
from hypothesis import given
from hypothesis import strategies as st

import app as curfew
from chalicelib.domain import transfers
from chalicelib.domain.tokens import Caller, Role
from chalicelib.domain.transfers import MIB, MOST_BYTES, MOST_PARTS, PART_BYTES, SentPart
from tests.architecture.sources import ROOT
from tests.doubles.memory_transfers import MemoryTransfers
from tests.guest_kit import Net, served
from tests.unit.web_kit import ADMIN, World, open_world

UP = {"direction": "up", "path": "data/train.tar"}
DOWN = {"direction": "down", "path": "data/train.tar"}
GIB = 1024 * MIB


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return open_world(monkeypatch)


@pytest.fixture
def bucket(world: World) -> MemoryTransfers:
    made = MemoryTransfers(world.clock)
    world.put(transfers=made)
    return made


def as_launcher(monkeypatch: pytest.MonkeyPatch, owner: str) -> None:
    """From now on that launcher calls."""
    caller = Caller(owner=owner, role=Role.LAUNCHER)
    monkeypatch.setattr(curfew.door, "_admit", lambda *_, **__: caller)


def test_a_file_goes_up_by_one_url_and_comes_down_by_another(world: World, bucket: MemoryTransfers) -> None:
    """In one's own folder, for as long as asked; the answers have the command to type."""
    status, told = world("POST", "/transfers", {**UP, "expires_in": "PT10M"})
    assert status == 201
    assert told["url"] == "http://s3/bucket/owners/admin/data/train.tar?expires=600"
    assert told["command"] == f"curl -f -T ./train.tar '{told['url']}'"
    assert told["expires_at"] == "2026-11-23T09:10:00Z"
    assert bucket.door("PUT", told["url"].removeprefix("http://s3"), b"hello") == (200, b"")
    _, down = world("POST", "/transfers", DOWN)
    assert bucket.door("GET", down["url"].removeprefix("http://s3"), b"") == (200, b"hello")
    assert down["command"].startswith("curl -f -o ./train.tar 'http")
    _, listed = world("GET", "/transfers")
    assert [(one["path"], one["size_bytes"]) for one in listed["items"]] == [("data/train.tar", 5)]


def test_a_lease_has_a_folder_of_its_own(world: World, bucket: MemoryTransfers) -> None:
    """Its files are in no other list."""
    lease = world.launched()["id"]
    _, told = world("POST", "/transfers", {**UP, "lease_id": lease})
    assert told["url"].startswith(f"http://s3/bucket/leases/{lease}/data/train.tar?")
    bucket.objects[f"leases/{lease}/out/model.pt"] = b"12"
    assert [one["path"] for one in world("GET", f"/transfers?lease_id={lease}")[1]["items"]] == [
        "out/model.pt"
    ]
    assert world("GET", "/transfers")[1]["items"] == []


def test_a_list_goes_on_where_the_page_before_ended(world: World, bucket: MemoryTransfers) -> None:
    """Names that nothing here would give are left out."""
    bucket.objects |= {f"owners/admin/{name}": b"" for name in ("a", "b", "c//d", "e")}
    _, first = world("GET", "/transfers?limit=2")
    assert [one["path"] for one in first["items"]] == ["a", "b"]
    _, second = world("GET", f"/transfers?limit=2&cursor={first['next']}")
    assert [one["path"] for one in second["items"]] == ["e"]
    _, last = world("GET", f"/transfers?limit=2&cursor={second['next']}")
    assert (last["items"], last["next"]) == ([], None)
    status, refused = world("GET", "/transfers?cursor=made-up")
    assert (status, refused["type"]) == (409, "/problems/bad-cursor")


def test_a_launcher_sees_and_touches_his_own_alone(
    world: World, bucket: MemoryTransfers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another's lease is answered as one that never was; an upload in another's folder likewise."""
    others = world.launched()["id"]
    _, upload = world("POST", "/transfers", {**UP, "size_bytes": GIB, "lease_id": others})
    as_launcher(monkeypatch, "ann")
    for method, path, body in (
        ("POST", "/transfers", {**UP, "lease_id": others}),
        ("POST", "/transfers", {**DOWN, "lease_id": others}),
        ("GET", f"/transfers?lease_id={others}", None),
        ("POST", f"/transfers/{upload['id']}/parts", {}),
        ("POST", f"/transfers/{upload['id']}/complete", None),
        ("DELETE", f"/transfers/{upload['id']}", None),
    ):
        assert world(method, path, body)[0] == 404, (method, path)
    _, own = world("POST", "/transfers", UP)
    assert "/owners/ann/" in own["url"]
    assert len(bucket.begun) == 1


@pytest.mark.parametrize(
    "path", ["", "/etc/passwd", "../x", "a/../b", "a/./b", "a//b", "a/", "a\nb", 'a"b', "a" * 513, "..", "ä"]
)
def test_a_path_that_leads_elsewhere_is_refused(world: World, bucket: MemoryTransfers, path: str) -> None:
    """Before anything is signed."""
    status, told = world("POST", "/transfers", {"direction": "up", "path": path})
    assert (status, told["type"]) == (422, "/problems/invalid")
    assert not transfers.is_path(path)


def test_no_bucket_is_said_with_its_setting(world: World) -> None:
    """Nothing is half done."""
    for method, path, body in (("POST", "/transfers", UP), ("GET", "/transfers", None)):
        status, told = world(method, path, body)
        assert (status, told["type"]) == (409, "/problems/transfers-off")
        assert "CURFEW_TRANSFER_BUCKET" in told["detail"]


def test_what_is_not_there_can_t_be_fetched(world: World, bucket: MemoryTransfers) -> None:
    """Also where something longer begins alike."""
    bucket.objects["owners/admin/data/train.tar.gz"] = b""
    assert world("POST", "/transfers", DOWN)[0] == 404
    assert world("POST", "/transfers", {**DOWN, "lease_id": "lease-none"})[0] == 404


def test_a_large_file_is_sent_in_parts(world: World, bucket: MemoryTransfers) -> None:
    """Those that have arrived whole are not asked for again; all together are one file."""
    size = 2 * PART_BYTES + 7
    _, told = world("POST", "/transfers", {**UP, "size_bytes": size})
    assert (told["url"], told["parts"], told["part_bytes"]) == (None, 3, PART_BYTES)
    id_ = told["id"]
    _, page = world("POST", f"/transfers/{id_}/parts", {})
    assert [(one["number"], one["offset"], one["size_bytes"]) for one in page["items"]] == [
        (1, 0, PART_BYTES),
        (2, PART_BYTES, PART_BYTES),
        (3, 2 * PART_BYTES, 7),
    ]
    (upload, parts) = next(iter(bucket.begun.values()))
    parts[1], parts[3] = b"x" * PART_BYTES, b"cut"
    status, refused = world("POST", f"/transfers/{id_}/complete")
    assert (status, refused["type"], refused["missing"]) == (409, "/problems/transfer-incomplete", [2, 3])
    _, page = world("POST", f"/transfers/{id_}/parts", {"begin": 3})
    assert ([one["number"] for one in page["items"]], page["missing"]) == ([3], 2)
    parts[2], parts[3] = b"y" * PART_BYTES, b"z" * 7
    assert world("POST", f"/transfers/{id_}/complete")[0] == 200
    assert len(bucket.objects[upload.key]) == size
    assert world("POST", f"/transfers/{id_}/complete")[0] == 404


def test_an_upload_that_is_given_up_bills_no_more(world: World, bucket: MemoryTransfers) -> None:
    """Its parts are gone, and so is its id."""
    _, told = world("POST", "/transfers", {**UP, "size_bytes": GIB})
    assert world.respond("DELETE", f"/transfers/{told['id']}").status_code == 204
    assert bucket.aborted == ["owners/admin/data/train.tar"]
    assert world("DELETE", f"/transfers/{told['id']}")[0] == 404
    assert world("DELETE", "/transfers/whatever")[0] == 404


def test_a_bucket_that_does_not_answer_is_a_503(world: World, bucket: MemoryTransfers) -> None:
    """It says what was asked."""
    bucket.fails = True
    assert world("GET", "/transfers")[0] == 503


@given(size=st.integers(min_value=1, max_value=MOST_BYTES))
def test_parts_are_the_whole_file_in_whole_mib_and_ten_thousand_at_most(size: int) -> None:
    """None overlaps, none is missing, and only the last is smaller than S3 takes."""
    parts = transfers.parts_of(size)
    assert len(parts) <= MOST_PARTS
    assert sum(part.size_bytes for part in parts) == size
    each = transfers.part_bytes(size)
    assert all(part.offset == (part.number - 1) * each and part.offset % MIB == 0 for part in parts)
    assert all(part.size_bytes >= 5 * MIB for part in parts[:-1])
    sent = {part.number: SentPart(size_bytes=part.size_bytes, etag="e") for part in parts[1:]}
    assert transfers.missing(size, sent) == parts[:1]


@given(one=st.text(min_size=1), other=st.text(min_size=1))
def test_no_owner_s_folder_lies_in_another_s(one: str, other: str) -> None:
    """Whatever is in their names."""
    is_within = transfers.owner_prefix(one).startswith(transfers.owner_prefix(other))
    assert is_within == (one == other)


@pytest.fixture
def served_api(world: World, bucket: MemoryTransfers) -> Iterator[Net]:
    """The app and its bucket behind one server."""
    client = Client(curfew.app, project_dir="/nonexistent")

    def door(method: str, path: str, body: bytes, headers: Mapping[str, str]) -> tuple[int, bytes]:
        if path.startswith("/bucket/"):
            return bucket.door(method, path, body)
        answer: Any = client.http.request(method, path, headers=dict(headers), body=body)
        return answer.status_code, answer.body

    with served(Net(door=door, now=world.clock.now, instance_id="")) as net:
        bucket.base = net.url
        yield net


def upload(net: Net, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the script as a person does."""
    env = {
        "PATH": os.environ["PATH"],
        "CURFEW_URL": net.url,
        "CURFEW_TOKEN": ADMIN["Authorization"].split()[1],
    }
    script = str(ROOT / "examples" / "upload.sh")
    return subprocess.run(
        ["/bin/sh", script, *words], env=env, check=False, capture_output=True, text=True, timeout=30
    )


def test_the_script_sends_a_small_file_whole(
    served_api: Net, bucket: MemoryTransfers, tmp_path: Path
) -> None:
    """To the path that it is given."""
    (tmp_path / "a.txt").write_bytes(b"hello")
    done = upload(served_api, str(tmp_path / "a.txt"), "in/a.txt")
    assert (done.returncode, bucket.objects) == (0, {"owners/admin/in/a.txt": b"hello"}), done.stderr


def test_the_script_sends_a_large_file_in_parts_and_goes_on_where_it_was_cut_off(
    served_api: Net, bucket: MemoryTransfers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A part that has arrived is not sent again."""
    monkeypatch.setattr("chalicelib.usecases.transfers.SINGLE_BYTES", 2 * MIB)
    monkeypatch.setattr("chalicelib.domain.transfers.PART_BYTES", MIB)
    content = bytes(range(256)) * 4 * 1024 * 2 + b"the end"
    (tmp_path / "big").write_bytes(content)
    begun = begun_upload(served_api, len(content))
    (first, parts) = next(iter(bucket.begun.values()))
    parts[1] = content[:MIB]
    done = upload(served_api, str(tmp_path / "big"), "--resume", begun)
    assert done.returncode == 0, done.stderr + done.stdout
    assert bucket.objects[first.key] == content
    assert len(bucket.written) == 2


def begun_upload(net: Net, size: int) -> str:
    """An upload that was begun and cut off."""
    body = json.dumps({"direction": "up", "path": "big", "size_bytes": size}).encode()
    status, told = net.door("POST", "/transfers", body, ADMIN)
    assert status == 201
    return str(json.loads(told)["id"])
