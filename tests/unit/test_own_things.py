"""What a launcher is told: never a name that is another's, on any route, in no answer and no header."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

import app as curfew
from chalicelib.domain.keys import KeyPair
from chalicelib.web.about import about_of
from tests.doubles.memory_keys import MemoryKeys
from tests.doubles.memory_ports import MINUTE
from tests.doubles.memory_transfers import MemoryTransfers
from tests.unit.web_kit import LAUNCH, World, open_world

ADA, BOB = "ada-lovelace", "bob"
PROJECT, KEY, BUDGET, PROJECT_BUDGET = "adas-engine", "adas-laptop", "adas-money", "adas-engine-money"
ORDER = {"DELETE": 1}
TAKEN_ONCE = {"token", "image_name", "group_name", "address"}
"""What is no id, or is looked for among one's own alone."""
PUBLIC_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f"

BODIES: dict[tuple[str, str], list[Any]] = {
    ("POST", "/spot-requests"): [
        {**LAUNCH, "dry_run": True},
        LAUNCH,
        {**LAUNCH, "hours": 70, "instance_types": ["p5.48xlarge"]},
        {**LAUNCH, "key_name": "nobodys"},
        {**LAUNCH, "image": "mine:<image_name>"},
        {**LAUNCH, "sync_from": {"path": "leases/<lease_id>/output"}},
        {"image": 7},
    ],
    ("PATCH", "/leases/{lease_id}"): [{"hours": 3}, {"budget_usd": "100000"}, {"hours": 3000}],
    ("POST", "/instances/{instance_id}/image"): [{"name": "resnet"}, {"name": "<image_name>"}],
    ("POST", "/key-pairs"): [{"name": "bobs-new"}, {"name": "bobs-laptop", "public_key": PUBLIC_KEY}],
    ("POST", "/security-groups"): [
        {"ssh_from": "192.0.2.1/32", "name": "<group_name>"},
        {"ssh_from": "<address>"},
        {"ssh_from": "<address>", "name": "<group_name>"},
    ],
    ("POST", "/transfers"): [
        {"direction": "up", "path": "data/train.tar"},
        {"direction": "down", "path": "<file>"},
        {"direction": "down", "path": "<file>", "lease_id": "<lease_id>"},
        {"direction": "up", "path": "data/train.tar", "lease_id": "<lease_id>"},
    ],
    ("POST", "/transfers/{transfer_id}/parts"): [{}],
    ("PUT", "/budgets/{name}"): [{"limit_usd": "1"}],
    ("POST", "/tokens"): [{"owner": "bob", "role": "admin"}],
    ("PUT", "/policy"): [{"idle": {"after": "PT9H"}}],
    ("POST", "/sweeps"): [{}],
    ("POST", "/heartbeats"): [{}],
    ("POST", "/sync"): [{}],
}
"""What is sent; `<…>` stands for bob's own, and then for ada's."""
QUERIES = {
    "/quotes": ["?instance_type=g5.xlarge"],
    "/receipts": ["", f"?owner={BOB}"],
    "/images": ["", "?name=pytorch"],
    "/transfers": ["", "?lease_id=<lease_id>"],
    "/leases/{lease_id}": ["", "?wait=1"],
}


@dataclass
class House:
    """A world with two owners; `theirs` has every name that is ada's."""

    world: World
    bob: dict[str, str]
    own: dict[str, str]
    others: dict[str, str]
    theirs: set[str]

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, str]:
        """As bob: the status, and everything that is told with it."""
        answer = self.world.respond(method, path, body, headers=self.bob)
        return answer.status_code, answer.body.decode() + json.dumps(dict(answer.headers))


def token_of(world: World, owner: str, role: str = "launcher") -> dict[str, str]:
    """The header of somebody's new token."""
    status, made = world("POST", "/tokens", {"owner": owner, "role": role})
    assert status == 201, made
    return {"Authorization": f"Bearer {made['token']}"}


@pytest.fixture
def house(monkeypatch: pytest.MonkeyPatch) -> House:
    """Both have launched, one of each has ended, and a stray box each was adopted by its tag; budgets gate them."""
    world = open_world(monkeypatch)
    keys = MemoryKeys()
    for name, owner in ((KEY, ADA), ("bobs-laptop-1", BOB)):
        keys.known["us-east-1", name] = KeyPair(
            name=name, region="us-east-1", id=f"key-of-{owner}", type="rsa", fingerprint="f", owner=owner
        )
    world.put(keys=keys, transfers=MemoryTransfers(world.clock))
    for name, scope in (
        ("account", {"kind": "account"}),
        (BUDGET, {"kind": "owner", "value": ADA}),
        (PROJECT_BUDGET, {"kind": "project", "value": PROJECT}),
        ("bobs-money", {"kind": "owner", "value": BOB}),
        ("bobs-project-money", {"kind": "project", "value": "bobs-project"}),
    ):
        assert world("PUT", f"/budgets/{name}", {"limit_usd": "400", "scope": scope})[0] == 200
    ada, bob = token_of(world, ADA), token_of(world, BOB)
    for header, project, key in ((ada, PROJECT, KEY), (bob, "bobs-project", "bobs-laptop-1")):
        first = {**LAUNCH, "project": project, "key_name": key}
        status, lease = world("POST", "/spot-requests", first, headers=header)
        assert status == 201, lease
        assert world("POST", "/spot-requests", first, headers=header)[0] == 201
        world.clock.advance(MINUTE)
        assert world("DELETE", f"/leases/{lease['id']}", headers=header)[0] in {200, 202}
    for owner in (ADA, BOB, None):
        tags = {"curfew:owner": owner} if owner else {}
        world.compute.start(tags=tags)
    for _ in range(4):
        world.clock.advance(MINUTE)
        world("POST", "/sweeps")
    world.clock.advance(40 * MINUTE)
    world("POST", "/sweeps")
    own, others = ids_of(world, BOB, bob), ids_of(world, ADA, ada)
    theirs = {ADA, PROJECT, KEY, BUDGET, PROJECT_BUDGET, f"key-of-{ADA}", *others.values()}
    theirs |= {value for one in every(world, ADA) for value in ids_in(one)}
    return House(
        world, bob, own, others, theirs - {value for one in every(world, BOB) for value in ids_in(one)}
    )


def every(world: World, owner: str) -> list[Any]:
    """All that the admin is told of an owner."""
    paths = ("/leases", "/instances", "/spot-requests", "/receipts", "/tokens", "/key-pairs")
    items = [item for path in paths for item in world("GET", f"{path}?limit=200")[1]["items"]]
    return [item for item in items if item.get("owner") == owner]


def ids_in(told: Any) -> Iterator[str]:
    """Every id in an answer."""
    yield from re.findall(r"\b(?:lease|i|sir|fleet|sfr|key|vol|receipt)-[\w-]*[0-9a-f]\b", json.dumps(told))


def ids_of(world: World, owner: str, header: dict[str, str]) -> dict[str, str]:
    """One of each kind of an owner's, by the name of a path's parameter; made here where a launch makes none."""
    told, is_ada = every(world, owner), owner == ADA
    lease = next(one for one in told if one.get("status") == "active" and one.get("origin") == "launched")
    address = "203.0.113.199/32" if is_ada else "198.51.100.9/32"
    file, image_name = f"{owner}s-file.tar", f"{owner}s-model"
    box = lease["instance_ids"][0]

    def made(path: str, body: Any) -> str:
        status, answer = world("POST", path, body, headers=header)
        assert status in {201, 202}, answer
        return str(answer["id"])

    upload = {"direction": "up", "path": file, "size_bytes": 2**30}
    return {
        "lease_id": lease["id"],
        "instance_id": box,
        "spot_request_id": lease["spot_request_ids"][0],
        "name": BUDGET if is_ada else "bobs-money",
        "token_id": next(one["id"] for one in told if one.get("role")),
        "image_id": made(f"/instances/{box}/image", {"name": image_name}),
        "image_name": image_name,
        "group_id": made("/security-groups", {"ssh_from": address, "name": f"{owner}s-group"}),
        "group_name": f"{owner}s-group",
        "address": address,
        "transfer_id": made("/transfers", upload),
        "file": file,
        "token": "no-link",
    }


def absent(parameter: str, known: str) -> str:
    """An id of the same form that is nobody's."""
    return {"name": "nobodys-money", "file": "nobodys.tar"}.get(parameter, f"{known[:-4]}fade")


def calls(house: House) -> Iterator[tuple[str, str, str, Any, dict[str, str]]]:
    """Every route with ada's, and with bob's own: method, template, path, body, and which of ada's ids are sent."""
    routes = [
        (method, path, entry) for path, all_ in curfew.app.routes.items() for method, entry in all_.items()
    ]
    for method, path, entry in sorted(
        routes, key=lambda one: (ORDER.get(one[0], 0), one[0] != "GET", one[1])
    ):
        body = about_of(entry.view_function).body
        bodies = BODIES.get((method, path), [None])
        assert bodies != [None] or not any(one.is_required() for one in body.model_fields.values()), (
            f"{method} {path} needs a body: put one into BODIES"
        )
        for query in QUERIES.get(path, [""]):
            for sent in bodies:
                template = re.sub(r"{(\w+)}", r"<\1>", path) + query
                names = re.findall(r"<(\w+)>", template + json.dumps(sent))
                for whose in (house.others, house.own) if names else (house.own,):
                    told = {name: whose[name] for name in names} if whose is house.others else {}
                    filled = json.loads(filled_in(json.dumps(sent), whose))
                    yield method, path, filled_in(template, whose), filled, told


def filled_in(text: str, whose: dict[str, str]) -> str:
    """A text with somebody's names in it."""
    return re.sub(r"<(\w+)>", lambda found: whose[found.group(1)], text)


def test_no_answer_names_what_is_anothers(house: House) -> None:
    """Every route of the application, with bob's token, on his own ids and on ada's: her names are in no answer but for
    the id that he sent himself. A route with a new parameter has to be told here which ids are whose."""
    assert len(house.theirs) > 15
    for method, _, path, body, sent in calls(house):
        status, told = house.ask(method, path, body)
        for name in house.theirs - set(sent.values()):
            assert not re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", told), (
                *(method, path, body, status),
                name,
                told,
            )
        for parameter in sent.keys() - TAKEN_ONCE:
            one, none = sent[parameter], absent(parameter, sent[parameter])
            again = json.loads(json.dumps(body).replace(one, none))
            as_none = house.ask(method, path.replace(one, none), again)
            assert (status, told.replace(one, "ID")) == (as_none[0], as_none[1].replace(none, "ID")), path


def test_a_viewer_reads_all_and_changes_nothing(house: House) -> None:
    """Every change is refused with the role that it needs; what everybody owns is there to be read."""
    viewer = token_of(house.world, "vera", "viewer")
    for method, template, path, body, _ in calls(house):
        if about_of(curfew.app.routes[template][method].view_function).is_public:
            continue
        status, told = house.world(method, path, body, headers=viewer)
        if method != "GET":
            assert (status, told["type"]) == (403, "/problems/forbidden"), (method, path, told)
    leases = house.world("GET", "/leases", headers=viewer)[1]["items"]
    assert {ADA, BOB} <= {lease["owner"] for lease in leases}
    assert house.world("GET", "/sweeps", headers=viewer)[0] == 200


def test_a_launcher_sees_and_ends_what_is_theirs(house: House) -> None:
    """Leases, boxes, requests and receipts of their own, an adopted box among them, and nobody else's."""
    world, bob = house.world, house.bob
    for path in ("/leases", "/instances", "/spot-requests", "/receipts", "/key-pairs"):
        owners = {item["owner"] for item in world("GET", path, headers=bob)[1]["items"]}
        assert owners == {BOB}, path
    adopted = [one for one in world("GET", "/leases", headers=bob)[1]["items"] if one["origin"] == "adopted"]
    assert [one["owner"] for one in adopted] == [BOB]
    assert world("DELETE", f"/instances/{adopted[0]['instance_ids'][0]}", headers=bob)[0] in {200, 202}
    assert world("DELETE", f"/spot-requests/{house.own['spot_request_id']}", headers=bob)[0] in {200, 202}


def test_what_nobody_owns_is_the_admins_to_end(house: House) -> None:
    """A stray box without a name is absent to everybody else."""
    (stray,) = (one for one in house.world("GET", "/instances")[1]["items"] if one["owner"] == "unleased")
    assert house.world("DELETE", f"/instances/{stray['id']}", headers=house.bob)[0] == 404
    assert house.world("DELETE", f"/instances/{stray['id']}")[0] in {200, 202}


def test_of_budgets_a_launcher_sees_their_own_and_how_much_fits_into_the_others(house: House) -> None:
    """The account's and their project's by name, limit and what is left; nothing of what others spend."""
    items = {item["name"]: item for item in house.world("GET", "/budgets", headers=house.bob)[1]["items"]}
    assert set(items) == {"account", "bobs-money", "bobs-project-money"}
    assert set(items["account"]) == {"name", "limit_usd", "period", "period_key", "left_usd"}
    assert "held_usd" in items["bobs-money"]
    assert house.world("GET", "/budgets/account", headers=house.bob) == (200, items["account"])


def test_an_end_that_an_admin_asked_for_does_not_name_them(house: House) -> None:
    """To its owner; the audit trail and everybody who sees all have the name."""
    boss = token_of(house.world, "grace-hopper", "admin")
    path = f"/leases/{house.own['lease_id']}"
    assert "grace-hopper" in house.world("DELETE", path, headers=boss)[1]["reason"]
    status, told = house.ask("GET", path)
    assert (status, "grace-hopper" in told) == (200, False)
    assert "an admin asked for it" in told


def test_spend_and_health_are_told_as_far_as_they_are_ones_own(house: House) -> None:
    """The meter of one's own leases, and whether the account is guarded at all."""
    _, spend = house.world("GET", "/spend", headers=house.bob)
    assert spend["owner"] == BOB
    assert {one["owner"] for one in spend["by_lease"]} == {BOB}
    _, whole = house.world("GET", "/spend")
    assert {one["owner"]: one["usd"] for one in whole["by_owner"]}[BOB] == spend["metered_usd"]
    status, health = house.world("GET", "/health", headers=house.bob)
    assert (status, set(health)) == (200, {"status", "owner", "open_leases", "missed"})


def test_one_key_of_two_owners_is_two_calls(house: House) -> None:
    """An Idempotency-Key is its owner's."""
    world, key = house.world, {"Idempotency-Key": "same"}
    first = world("POST", "/spot-requests", LAUNCH, headers={**house.bob, **key})
    second = world("POST", "/spot-requests", LAUNCH, headers=key)
    assert (first[0], second[0]) == (201, 201)
    assert (first[1]["owner"], second[1]["owner"]) == (BOB, "admin")
    assert first[1]["id"] != second[1]["id"]
