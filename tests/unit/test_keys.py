"""Key pairs: which public keys are taken, what is said of the others, and a launch whose key is elsewhere."""

import base64
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.errors import Refused
from chalicelib.domain.keys import KeyPair, checked
from tests.builders import REGION, Stage
from tests.doubles.memory_keys import MemoryKeys
from tests.unit.web_kit import LAUNCH, World, logged, open_world


def encoded(*parts: bytes) -> str:
    return base64.b64encode(b"".join(len(part).to_bytes(4) + part for part in parts)).decode()


def rsa(bits: int) -> str:
    modulus = (1 << (bits - 1)).to_bytes(bits // 8 + 1)
    exponent = (65537).to_bytes(3)
    return f"ssh-rsa {encoded(b'ssh-rsa', exponent, modulus)} ann@laptop"


ED25519 = f"ssh-ed25519 {encoded(b'ssh-ed25519', b'k' * 32)} ann@laptop"
PRIVATE = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXk\n-----END OPENSSH PRIVATE KEY-----"


def pair(region: str, name: str = "laptop") -> KeyPair:
    return KeyPair(name=name, region=region, id="key-1", type="ed25519", fingerprint="f")


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    opened = open_world(monkeypatch)
    opened.put(keys=MemoryKeys())
    return opened


@pytest.mark.parametrize("bits", [1024, 2048, 3072, 4096, 8192])
def test_rsa_and_ed25519_are_taken(bits: int) -> None:
    """RSA of whatever size, 3072 as ssh-keygen makes it unasked; with or without a comment and white space around."""
    assert checked(rsa(bits)) == ("rsa", rsa(bits))
    assert checked(f"  {ED25519}\n") == ("ed25519", ED25519)
    assert checked(ED25519.rpartition(" ")[0])[0] == "ed25519"


@pytest.mark.parametrize(
    "text, said",
    [
        (PRIVATE, "private key"),
        ("PuTTY-User-Key-File-3: ssh-ed25519", "private key"),
        ("---- BEGIN SSH2 PUBLIC KEY ----\nAAAA\n---- END SSH2 PUBLIC KEY ----", "ssh-keygen -i"),
        (f"ssh-dss {encoded(b'ssh-dss', b'x')}", "neither DSA"),
        (f"ecdsa-sha2-nistp256 {encoded(b'ecdsa-sha2-nistp256', b'x')}", "ECDSA"),
        (f"sk-ssh-ed25519@openssh.com {encoded(b'x')}", "hardware tokens"),
        (ED25519[:40] + "\n" + ED25519[40:], "line break"),
        (f"{ED25519}\n{rsa(2048)}", "several keys"),
        (ED25519.partition(" ")[2], "name of its type is missing"),
        (f"256 SHA256:{'k' * 43} ann@laptop (ED25519)", "fingerprint"),
        ("1f:51:ae:28:bf:89:e9:d8:1f:25:5d:37:2d:7d:b8:ca:9f:f5:f1:6f", "fingerprint"),
        (f"SHA256:{'k' * 43}", "fingerprint"),
        ("~/.ssh/id_ed25519.pub", "name of a file"),
        ("id_ed25519.pub", "name of a file"),
        (f'from="10.0.0.1" {ED25519}', "options before its type"),
        ("ssh-ed25519-cert-v01@openssh.com AAAA", "certificate"),
        (rsa(512), "512 bits"),
        (ED25519[:60], "a part of it was lost"),
        ("ssh-ed25519", "a part of it was lost"),
        ("ssh-ed25519 !!!", "a part of it was lost"),
        (f"ssh-rsa {encoded(b'ssh-ed25519', b'k' * 32)}", "a part of it was lost"),
        (f"ssh-ed25519 {encoded(b'ssh-ed25519', b'k' * 31)}", "too short"),
        (f"ssh-rsa {encoded(b'ssh-rsa', b'e')}", "too short"),
        ("my-secret-password", "at its beginning"),
        ("ssh-ed448 AAAA", "ssh-ed448"),
    ],
)
def test_a_bad_key_is_explained(text: str, said: str) -> None:
    """What it is instead and how to mend it."""
    with pytest.raises(Refused, match="Nothing was imported") as told:
        checked(text)
    assert said in told.value.detail
    assert told.value.slug == "bad-key"
    assert "my-secret" not in told.value.detail


@given(st.text(max_size=200) | st.integers(0, len(ED25519) - 12).map(lambda size: ED25519[:size]))
def test_nothing_else_passes_and_nothing_breaks(text: str) -> None:
    """Whatever was cut off or typed in its place is refused as a bad key."""
    with pytest.raises(Refused, match="public_key can't be imported"):
        checked(text)


def test_a_made_pair_tells_its_private_part_once(world: World) -> None:
    """In the answer that made it, in no list, and in no log."""
    with logged() as lines:
        status, body = world("POST", "/key-pairs", {"name": "laptop", "region": "eu-west-1"})
    assert status == 201, body
    assert (body["name"], body["region"], body["type"], body["owner"]) == (
        "laptop",
        "eu-west-1",
        "ed25519",
        "admin",
    )
    assert body["private_key"].startswith("-----BEGIN")
    assert "BEGIN" not in json.dumps(lines)
    (listed,) = world("GET", "/key-pairs?region=eu-west-1")[1]["items"]
    assert "private_key" not in listed
    assert world("GET", "/key-pairs")[1]["items"] == []


def strings(value: Any) -> Iterator[str]:
    """Every text in what a double keeps."""
    if is_dataclass(value) and not isinstance(value, type):
        value = [getattr(value, field.name) for field in fields(value)]
    if isinstance(value, str | bytes):
        yield value if isinstance(value, str) else value.decode(errors="replace")
    elif isinstance(value, Mapping):
        yield from strings([*value.keys(), *value.values()])
    elif isinstance(value, Iterable):
        for one in value:
            yield from strings(one)


@pytest.mark.parametrize("kind", ["ed25519", "rsa"])
def test_a_private_part_is_in_no_line_of_the_log_and_no_item_of_the_table(world: World, kind: str) -> None:
    """Not even where the answer of a call is kept for its repeats, which then lack it, nor in the trail of changes."""
    sent, once = {"name": "laptop", "type": kind}, {"Idempotency-Key": "k"}
    with logged() as lines:
        first = world.respond("POST", "/key-pairs", sent, once)
        again = world.respond("POST", "/key-pairs", sent, once)
    assert (first.status_code, again.status_code) == (201, 409)
    secret = first.json_body["private_key"]
    kept = list(strings(vars(world.store)))
    assert any("laptop" in text for text in kept)
    assert [text for text in [*kept, *strings(lines), again.body.decode()] if secret[:20] in text] == []


def test_a_public_key_is_imported(world: World) -> None:
    """With its own type; a name that is taken is a 409."""
    status, body = world("POST", "/key-pairs", {"name": "laptop", "public_key": rsa(2048)})
    assert (status, body["type"]) == (201, "rsa")
    assert "private_key" not in body
    status, body = world("POST", "/key-pairs", {"name": "laptop", "public_key": ED25519})
    assert (status, body["type"]) == (409, "/problems/key-exists")


def test_a_type_that_is_not_the_key_s_is_refused(world: World) -> None:
    """Nothing that was asked for is ignored."""
    status, body = world("POST", "/key-pairs", {"name": "n", "public_key": ED25519, "type": "rsa"})
    assert (status, body["type"]) == (409, "/problems/bad-key")
    assert world("GET", "/key-pairs")[1]["items"] == []


def test_a_private_key_is_in_no_answer_and_no_log(world: World) -> None:
    """Whoever pasted it by mistake is told, and nothing more is done with it."""
    with logged() as lines:
        answer = world.respond("POST", "/key-pairs", {"name": "laptop", "public_key": PRIVATE})
    assert answer.status_code == 409
    assert "b3BlbnNzaC1rZXk" not in answer.body.decode() + json.dumps(lines)


def test_a_key_that_is_elsewhere_is_named(world: World) -> None:
    """With the regions that have it; nothing is held and nothing runs."""
    world.put(keys=MemoryKeys(known={("eu-west-1", "laptop"): pair("eu-west-1")}))
    status, body = world("POST", "/spot-requests", {**LAUNCH, "key_name": "laptop"})
    assert (status, body["type"], body["regions"]) == (409, "/problems/key-not-found", ["eu-west-1"])
    assert "eu-west-1" in body["detail"]
    assert world.store.open_leases() == ()
    _, body = world("POST", "/spot-requests", {**LAUNCH, "key_name": "desktop"})
    assert body["regions"] == []


def test_a_launch_with_its_key_goes_on() -> None:
    """Also where EC2 does not say whether it is there: then its own answer to the launch decides."""
    stage = Stage(keys=MemoryKeys(known={(REGION, "laptop"): pair(REGION)}))
    assert stage.launch(key_name="laptop").instance_ids
    stage = Stage(keys=MemoryKeys(fails=True))
    assert stage.launch(key_name="laptop").instance_ids


def test_dry_run_makes_no_key_pair(world: World) -> None:
    """Curfew that only rehearses changes nothing at EC2."""
    known = MemoryKeys()
    world.put(keys=known, is_dry_run=True)
    for body in ({"name": "n"}, {"name": "n", "public_key": ED25519}):
        status, told = world("POST", "/key-pairs", body)
        assert (status, told["type"]) == (409, "/problems/dry-run")
    assert known.known == {}
