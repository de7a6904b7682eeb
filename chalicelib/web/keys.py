"""/key-pairs: what callers send, and how key pairs are answered."""

from datetime import datetime
from typing import Literal, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from chalicelib.domain.keys import KeyPair, NewKeyPair
from chalicelib.web.encode import JsonValue, plain
from chalicelib.web.models import PageQuery, Printable, Region, Sent


class KeyQuery(PageQuery):
    """GET /key-pairs."""

    region: Region | None = Field(default=None, description="such as us-east-1; the home region when absent")


class KeyBody(Sent):
    """POST /key-pairs."""

    name: str = Field(
        pattern=Printable, max_length=255, description="what launches call it by, printable, 255 at most"
    )
    region: Region | None = Field(default=None, description="such as us-east-1; the home region when absent")
    public_key: str | None = Field(
        default=None,
        min_length=1,
        max_length=16_384,
        repr=False,
        description="the line of a .pub file, RSA or ED25519; when absent EC2 makes a pair, and its private part is "
        "answered once",
    )
    type: Literal["ed25519", "rsa"] | None = Field(
        default=None, description="ed25519 or rsa; when absent a pair that EC2 makes is ed25519"
    )


class KeyAnswer(TypedDict):
    """A key pair. `private_key` is in the answer that made it alone: keep it, nobody can read it again."""

    name: str
    region: str
    id: str
    type: str
    fingerprint: str
    created_at: datetime | None
    owner: str | None
    private_key: NotRequired[str]


def view(pair: KeyPair) -> JsonValue:
    """A key pair as it is answered."""
    return plain(_answer(pair))


def made(new: NewKeyPair) -> JsonValue:
    """One that was just made, with its private part."""
    return plain({**_answer(new.pair), "private_key": new.private_key})


def _answer(pair: KeyPair) -> KeyAnswer:
    return KeyAnswer(
        name=pair.name,
        region=pair.region,
        id=pair.id,
        type=pair.type,
        fingerprint=pair.fingerprint,
        created_at=pair.created_at,
        owner=pair.owner,
    )
