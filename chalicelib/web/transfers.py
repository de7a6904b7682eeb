"""POST /transfers and what follows: what is sent, and what is answered."""

import shlex
from datetime import datetime, timedelta
from typing import Annotated, Literal

from pydantic import Field
from typing_extensions import TypedDict

from chalicelib.domain.transfers import LIFE, MOST_BYTES, MOST_NAME, MOST_PARTS, PATH, StoredFile, part_bytes
from chalicelib.gateways.dynamodb_codec import cursor, position
from chalicelib.ports import Page, Services
from chalicelib.usecases import transfers
from chalicelib.usecases.transfers import Asker, Opened, Owed
from chalicelib.web import paging
from chalicelib.web.encode import JsonValue, plain
from chalicelib.web.models import PageQuery, Sent

LISTING = "transfers"
LEASE_ID = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"

LeaseId = Annotated[str, Field(pattern=LEASE_ID)]
FilePath = Annotated[str, Field(pattern=rf"^{PATH}$", max_length=MOST_NAME)]
UrlLife = Annotated[str, Field(pattern=r"^PT(?:(?:[1-9]|[1-5][0-9]|60)M|1H)$")]
"""Whole minutes, up to the hour that `transfers.LIFE` is."""


class TransferBody(Sent):
    """POST /transfers."""

    direction: Literal["up", "down"] = Field(description="up to the bucket, or down from it")
    path: FilePath = Field(
        description="what the file is called there, such as data/train.tar: a relative path of letters, digits, blanks "
        "and . _ = + , @ ( ) ~ -, 512 characters at most"
    )
    lease_id: LeaseId | None = Field(
        default=None, description="the lease whose folder it is; your own folder when absent"
    )
    size_bytes: int | None = Field(
        default=None,
        strict=True,
        ge=0,
        le=MOST_BYTES,
        description="how large the file is: over 100 MiB it is sent up in parts; when absent one PUT of 5 GiB at most",
    )
    expires_in: UrlLife = Field(
        default="PT15M", description="for how long the URL may be used: whole minutes, PT1M to PT60M"
    )


class PartsBody(Sent):
    """POST /transfers/{id}/parts."""

    begin: int = Field(
        default=1, strict=True, ge=1, le=MOST_PARTS, description="the number of the first part that is wanted"
    )
    expires_in: UrlLife = Field(
        default="PT1H", description="for how long the URLs may be used: whole minutes, PT1M to PT60M"
    )


class TransferQuery(PageQuery):
    """GET /transfers."""

    lease_id: LeaseId | None = Field(
        default=None, description="the lease whose folder is listed; your own folder when absent"
    )


class TransferAnswer(TypedDict):
    """`url` and the `command` that uses it; of an upload in parts the `id` under which its parts are asked for.
    `expires_at`: at the latest, because a signature ends with the session that made it."""

    direction: Literal["up", "down"]
    path: str
    lease_id: str | None
    url: str | None
    command: str | None
    expires_at: datetime | None
    id: str | None
    parts: int
    part_bytes: int | None


class PartAnswer(TypedDict):
    """One part that is not there: its bytes from `offset` on, and the URL that they are PUT to."""

    number: int
    offset: int
    size_bytes: int
    url: str


class PartsAnswer(TypedDict):
    """The next parts that are missing, in order; `missing`: how many in all, `next`: where to begin next."""

    items: list[PartAnswer]
    missing: int
    expires_at: datetime
    next: int | None


class CompletedAnswer(TypedDict):
    """It is one file now."""

    id: str
    completed: Literal[True]


class FileAnswer(TypedDict):
    """One file in a folder, and since when it bills."""

    path: str
    size_bytes: int
    modified_at: datetime
    age: timedelta


def begun(services: Services, asker: Asker, body: TransferBody) -> Opened:
    """What a body asks for. Raises NotFound, Refused, Unavailable."""
    lasts_for = _length(body.expires_in)
    if body.direction == "down":
        return transfers.down(services, asker, lease_id=body.lease_id, path=body.path, lasts_for=lasts_for)
    return transfers.up(
        services,
        asker,
        lease_id=body.lease_id,
        path=body.path,
        size_bytes=body.size_bytes,
        lasts_for=lasts_for,
    )


def owed(services: Services, asker: Asker, transfer_id: str, body: PartsBody) -> Owed:
    """The parts that a body asks for. Raises NotFound, Unavailable."""
    lasts_for = _length(body.expires_in)
    return transfers.owed(services, asker, transfer_id, begin=body.begin, lasts_for=lasts_for)


def _length(life: str) -> timedelta:
    return LIFE if life == "PT1H" else timedelta(minutes=int(life[2:-1]))


def listed(services: Services, asker: Asker, query: TransferQuery) -> JsonValue:
    """A page of a folder. Raises NotFound, Refused (`bad-cursor`), Unavailable."""
    after = None if query.cursor is None else position(LISTING, query.cursor)
    page = transfers.files(services, asker, lease_id=query.lease_id, limit=query.limit, after=after)
    now = services.clock.now()
    shown = Page(page.items, None if page.next is None else cursor(LISTING, page.next))
    return paging.listed(shown, lambda one: file(one, now))


def opened(told: Opened, body: TransferBody) -> JsonValue:
    """What to do next: one command, or parts."""
    return plain(
        {
            "direction": body.direction,
            "path": told.path,
            "lease_id": body.lease_id,
            "url": told.url,
            "command": None if told.url is None else command(body.direction, told.path, told.url),
            "expires_at": told.expires_at,
            "id": None if told.id is None else str(told.id),
            "parts": len(told.parts),
            "part_bytes": None if told.id is None else part_bytes(told.id.size_bytes),
        }
    )


def command(direction: str, path: str, url: str) -> str:
    """For the box and for home alike: the file has the last part of its path as its name there."""
    name = shlex.quote(f"./{path.rpartition('/')[2]}")
    return f"curl -f {'-T' if direction == 'up' else '-o'} {name} {shlex.quote(url)}"


def parts(told: Owed) -> JsonValue:
    """A page of them."""
    return plain(
        {
            "items": [
                {
                    "number": one.part.number,
                    "offset": one.part.offset,
                    "size_bytes": one.part.size_bytes,
                    "url": one.url,
                }
                for one in told.items
            ],
            "missing": told.missing,
            "expires_at": told.expires_at,
            "next": told.next,
        }
    )


def file(told: StoredFile, now: datetime) -> JsonValue:
    """With how old it is."""
    return plain(
        {
            "path": told.path,
            "size_bytes": told.size_bytes,
            "modified_at": told.modified_at,
            "age": max(now - told.modified_at, timedelta(0)),
        }
    )
