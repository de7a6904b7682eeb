"""What a launch may bring and take away, and what its boxes may ask: over HTTP, on doubles in memory."""

import hmac
import json
from datetime import timedelta
from typing import Any

import pytest

from chalicelib.domain import sync
from chalicelib.gateways.beacons import RandomBeacons
from tests.builders import MINUTE
from tests.doubles.memory_transfers import MemoryTransfers
from tests.unit.test_web_transfers import as_launcher
from tests.unit.web_kit import LAUNCH, World, open_world

FROM: dict[str, Any] = {"sync_from": {"path": "birds"}}
TO: dict[str, Any] = {"sync_to": {}}
DRIVE = "/curfew/rclone/admin/drive"


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    made = open_world(monkeypatch)
    made.put(transfers=MemoryTransfers(made.clock), beacons=RandomBeacons("http://curfew"))
    return made


def ask(world: World, lease: Any, *, key: str | None = None, **more: Any) -> tuple[int, Any]:
    """What a box of that lease asks, signed."""
    record = world.store.lease(lease["id"])
    assert record is not None
    body = {
        "lease": lease["id"],
        "instance": lease["instance_ids"][0],
        "sent_at": int(world.clock.now().timestamp()),
        **more,
    }
    signed = hmac.new((key or record.heartbeat_key or "").encode(), json.dumps(body).encode(), "sha256")
    return world("POST", "/sync", body, {"Curfew-Signature": signed.hexdigest()})


@pytest.mark.parametrize(
    "wish, slug, says",
    [
        ({"sync_from": {"path": "drive:birds"}}, "sync-refused", "needs rclone"),
        ({**FROM, "rclone": DRIVE}, "sync-refused", "there is none"),
        ({"rclone": DRIVE}, "sync-refused", "there is none"),
        ({"sync_from": {"path": "drive:x"}, "rclone": DRIVE}, "sync-refused", "could not be read"),
        (
            {"sync_from": {"path": "drive:x"}, "rclone": "/curfew/rclone/bob/drive"},
            "sync-refused",
            "/curfew/rclone/admin/",
        ),
        ({**TO, "request_type": "maintain"}, "sync-refused", "no end"),
        ({**TO, "user_data": "MZ not for cloud-init"}, "sync-refused", "cloud-init"),
        ({**TO, "user_data": "#!/bin/sh\n" + "x" * 9000}, "user-data-too-large", "limit"),
        ({"sync_from": {"path": "leases/lease-none/out"}}, "not-found", "lease-none"),
        ({"sync_to": {"path": "leases/lease-1/out"}}, "sync-refused", "does not begin with leases/"),
    ],
)
def test_data_that_can_t_be_moved_launches_nothing(
    world: World, wish: dict[str, Any], slug: str, says: str
) -> None:
    """It is said why, in the quote too."""
    for more in ({}, {"dry_run": True}):
        _, told = world("POST", "/spot-requests", {**LAUNCH, **wish, **more})
        assert told["type"] == f"/problems/{slug}"
        assert says in told["detail"]
    assert world.store.open_leases() == ()


@pytest.mark.parametrize(
    "wish",
    [
        {"sync_from": {"path": "../x"}},
        {"sync_from": {"path": "/abs"}},
        {"sync_from": {}},
        {"sync_to": {"folder": "relative"}},
        {"sync_to": {"folder": "/a/../b"}},
        {"sync_to": {"folder": "/"}},
        {"rclone": "/curfew/slack"},
        {"rclone": "/curfew/rclone/drive"},
        {"rclone": "/curfew/rclone/../slack"},
    ],
)
def test_what_leads_elsewhere_is_no_folder_and_no_parameter(world: World, wish: dict[str, Any]) -> None:
    """Curfew's own secrets stand beside those of remotes, and can't be named."""
    status, _ = world("POST", "/spot-requests", {**LAUNCH, **wish})
    assert status in {409, 422}
    assert world.store.open_leases() == ()


def test_without_a_bucket_or_an_address_nothing_is_promised(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A box that could not be served is not launched."""
    world.put(beacons=None)
    assert world("POST", "/spot-requests", {**LAUNCH, **FROM})[1]["type"] == "/problems/transfers-off"
    bare = open_world(monkeypatch)
    bare.put(beacons=RandomBeacons("http://curfew"))
    assert bare("POST", "/spot-requests", {**LAUNCH, **TO})[1]["type"] == "/problems/transfers-off"


def test_a_launcher_brings_his_own_leases_data_alone(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another's is answered as one that never was."""
    others = world.launched()["id"]
    wish = {**LAUNCH, "sync_from": {"path": f"leases/{others}/out"}}
    assert world("POST", "/spot-requests", wish)[0] == 201
    as_launcher(monkeypatch, "ann")
    assert world("POST", "/spot-requests", wish)[0] == 404


def test_a_box_gets_what_its_lease_was_ordered_with_and_nothing_else(world: World) -> None:
    """The folder stands in the order: the question has no say in it."""
    transfers: Any = world.services.transfers
    transfers.objects |= {"owners/admin/birds/a": b"1", "owners/admin/secrets/b": b"2"}
    lease = world.launched(**FROM)
    status, told = ask(world, lease, do="fetch")
    assert (status, [one["path"] for one in told["items"]]) == (200, ["a"])
    for question in (
        {"do": "push", "files": [{"path": "a", "size": 1}]},
        {"do": "part", "path": "a"},
        {"do": "part"},
        {"do": "remote", "way": "fetch"},
    ):
        status, told = ask(world, lease, **question)
        assert (status, told["type"]) == (409, "/problems/sync-refused"), question


def test_what_is_not_signed_by_its_lease_is_told_nothing(world: World) -> None:
    """Another lease's key, no key, a box that is not its own, a question of yesterday, a lease that is over."""
    lease, other = world.launched(**FROM), world.launched(**FROM)
    record = world.store.lease(other["id"])
    assert record is not None
    assert ask(world, lease, key=record.heartbeat_key, do="fetch")[0] == 401
    assert ask(world, {**lease, "id": lease["id"]}, key="x", do="tell", way="push")[0] == 401
    assert (
        ask(world, {**lease, "instance_ids": ["i-0123"]}, do="fetch")[1]["type"]
        == "/problems/heartbeat-foreign"
    )
    late = int((world.clock.now() - 3 * MINUTE).timestamp())
    assert ask(world, lease, do="fetch", sent_at=late)[1]["type"] == "/problems/heartbeat-late"
    world("DELETE", f"/leases/{lease['id']}")
    world.clock.advance(5 * MINUTE)
    world("POST", "/sweeps", {})
    assert ask(world, lease, do="fetch")[1]["type"] == "/problems/lease-over"


def test_the_configuration_of_a_remote_goes_to_the_box_alone(world: World) -> None:
    """It stands in no lease, no view and no log."""
    transfers: Any = world.services.transfers
    transfers.remotes[DRIVE] = "[drive]\nsecret = hush\n"
    lease = world.launched(
        rclone=DRIVE, sync_from={"path": "drive:x"}, sync_to={"path": "drive:y"}, target_capacity=2
    )
    status, told = ask(world, lease, do="remote", way="push")
    assert (status, told["remote"]) == (200, f"drive:y/{lease['instance_ids'][0]}")
    assert told["config"] == "W2RyaXZlXQpzZWNyZXQgPSBodXNoCg=="
    shown = world("GET", f"/leases/{lease['id']}")[1]
    assert "hush" not in json.dumps(shown)
    assert "hush" not in repr(world.store.lease(lease["id"]))


def test_what_a_box_told_last_stands_in_its_lease_s_view(world: World) -> None:
    """Also once it is over."""
    lease = world.launched(**FROM, **TO)
    ask(world, lease, do="tell", way="push", done=1, left=4)
    ask(world, lease, do="tell", way="push", done=5, left=0)
    ask(world, lease, do="tell", way="fetch", done=2, left=1, problem="1 with names that are not taken")
    world("DELETE", f"/leases/{lease['id']}")
    world.clock.advance(5 * MINUTE)
    world("POST", "/sweeps", {})
    _, shown = world("GET", f"/leases/{lease['id']}")
    assert shown["status"] == "closed"
    assert {(one["way"], one["done"], one["left"]) for one in shown["sync"]} == {
        ("push", 5, 0),
        ("fetch", 2, 1),
    }


def test_a_short_lease_pushes_in_its_last_quarter() -> None:
    """A margin as long as the lease would leave no time for work."""
    assert sync.lead(15 * MINUTE, timedelta(hours=8)) == 15 * MINUTE
    assert sync.lead(15 * MINUTE, 20 * MINUTE) == 5 * MINUTE
