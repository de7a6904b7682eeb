"""Files up and down: who may, and the URLs with which it is done. Nothing passes through Curfew, and nothing is kept.

`only` is the owner whose leases alone the caller may touch, None for everybody's.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from chalicelib.domain.errors import NotFound, Refused
from chalicelib.domain.transfers import (
    OWN,
    SINGLE_BYTES,
    Part,
    StoredFile,
    TransferId,
    Upload,
    below,
    lease_prefix,
    mark_of,
    missing,
    owner_prefix,
    parts_of,
    read_id,
)
from chalicelib.ports import Page, Services
from chalicelib.usecases.own import own_lease

MOST_KEY = 1024
"""S3's limit on the bytes of a name."""
PARTS_A_PAGE = 50
"""Each URL is signed in about a millisecond and has 1.5 KB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asker:
    """Whose call it is, and whose leases it may be about."""

    owner: str
    only: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A URL for the whole file, or the id of an upload in parts."""

    path: str
    expires_at: datetime | None = None
    url: str | None = None
    id: TransferId | None = None
    parts: tuple[Part, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedPart:
    """A part that S3 does not have, and where it is sent."""

    part: Part
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Owed:
    """The next parts that S3 does not have, and how many there are of them in all."""

    items: tuple[SignedPart, ...]
    missing: int
    expires_at: datetime
    next: int | None


def up(
    services: Services,
    asker: Asker,
    *,
    lease_id: str | None,
    path: str,
    size_bytes: int | None,
    lasts_for: timedelta,
) -> Opened:
    """Where to send a file; one that is large begins an upload in parts. Raises NotFound, Refused, Unavailable."""
    key = _prefix(services, asker, lease_id) + path
    if size_bytes is None or size_bytes <= SINGLE_BYTES:
        url = services.transfers.upload_url(key, lasts_for=lasts_for)
        return Opened(path=path, url=url, expires_at=services.clock.now() + lasts_for)
    upload = services.transfers.begin(key)
    made = TransferId(place=lease_id or OWN, mark=mark_of(upload.upload_id), size_bytes=size_bytes)
    return Opened(path=path, id=made, parts=parts_of(size_bytes))


def down(
    services: Services, asker: Asker, *, lease_id: str | None, path: str, lasts_for: timedelta
) -> Opened:
    """Where to fetch a file that is there. Raises NotFound, Refused, Unavailable."""
    key = _prefix(services, asker, lease_id) + path
    if not any(one.path == key for one in services.transfers.files(key, after=None, limit=1)):
        raise NotFound(f"there is no file {path!r} there; GET /transfers lists what there is")
    url = services.transfers.download_url(key, lasts_for=lasts_for)
    return Opened(path=path, url=url, expires_at=services.clock.now() + lasts_for)


def files(
    services: Services, asker: Asker, *, lease_id: str | None, limit: int, after: str | None
) -> Page[StoredFile]:
    """What stands in a folder, by name, beyond `after`. Raises NotFound, Refused, Unavailable."""
    prefix = _prefix(services, asker, lease_id)
    begin = None if after is None else prefix + after
    if begin is not None and len(begin.encode()) > MOST_KEY:
        raise Refused("no file's name is as long as this cursor's", slug="bad-cursor")
    found = services.transfers.files(prefix, after=begin, limit=limit)
    more = found[-1].path.removeprefix(prefix) if len(found) == limit else None
    return Page(items=below(prefix, found), next=more)


def owed(services: Services, asker: Asker, id_text: str, *, begin: int, lasts_for: timedelta) -> Owed:
    """URLs of the next parts, from number `begin` on, that S3 does not have. Raises NotFound, Unavailable."""
    told, upload = _find(services, asker, id_text)
    left = missing(told.size_bytes, services.transfers.sent(upload))
    here = [part for part in left if part.number >= begin]
    page, rest = here[:PARTS_A_PAGE], here[PARTS_A_PAGE:]
    return Owed(
        items=tuple(
            SignedPart(part=part, url=services.transfers.part_url(upload, part.number, lasts_for=lasts_for))
            for part in page
        ),
        missing=len(left),
        expires_at=services.clock.now() + lasts_for,
        next=rest[0].number if rest else None,
    )


def complete(services: Services, asker: Asker, id_text: str) -> str:
    """Make one file of the parts; its key. Raises NotFound, Refused (`transfer-incomplete`), Unavailable."""
    told, upload = _find(services, asker, id_text)
    sent = services.transfers.sent(upload)
    if left := missing(told.size_bytes, sent):
        numbers = [part.number for part in left]
        raise Refused(
            f"{len(left)} of {len(parts_of(told.size_bytes))} parts are not there, or not whole; nothing was done. "
            f"Ask POST /transfers/{id_text}/parts for their URLs, send them, and complete again",
            slug="transfer-incomplete",
            missing=numbers[:PARTS_A_PAGE],
        )
    whole = {part.number: sent[part.number] for part in parts_of(told.size_bytes)}
    services.transfers.complete(upload, whole)
    return upload.key


def give_up(services: Services, asker: Asker, id_text: str) -> None:
    """Its parts are deleted, and bill no more. Raises NotFound, Unavailable."""
    _, upload = _find(services, asker, id_text)
    services.transfers.abort(upload)


def _prefix(services: Services, asker: Asker, lease_id: str | None) -> str:
    if lease_id is None:
        return owner_prefix(asker.owner)
    return lease_prefix(own_lease(services, lease_id, asker.only).id)


def _find(services: Services, asker: Asker, id_text: str) -> tuple[TransferId, Upload]:
    told = read_id(id_text)
    if told is not None:
        place = None if told.place == OWN else told.place
        found = _marked(services.transfers.uploads(_prefix(services, asker, place)), told.mark)
        if found:
            return told, found
    raise NotFound(
        f"no upload has the id {id_text!r}: it was completed, given up, or is a day old; POST /transfers begins another"
    )


def _marked(uploads: Sequence[Upload], mark: str) -> Upload | None:
    return next((one for one in uploads if mark_of(one.upload_id) == mark), None)
