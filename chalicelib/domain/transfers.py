"""Files in the transfer bucket: how they may be called, where they stand, in which parts a large one is sent.

A lease's files stand below `leases/<lease id>/`, a person's own below `owners/<owner>/`. Whatever is true of a transfer
stands in S3 alone, and its id says the rest: whose it is, which upload, of how many bytes. Nothing of it is kept
elsewhere. Why so: docs/adr/0028-s3-alone-knows-a-transfer.md.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256

MIB = 1024 * 1024
SINGLE_BYTES = 100 * MIB
"""What is larger is sent in parts, where its size is told: S3 takes 5 GiB in one piece, none of which survives a line
that breaks."""
PART_BYTES = 64 * MIB
MOST_PARTS = 10_000
MOST_BYTES = 5 * 1024 * 1024 * MIB
"""S3's limits (S3 guide, "Multipart upload limits"); an object of 5 TiB is its largest in every region."""
MOST_NAME = 512
LIFE = timedelta(hours=1)
"""The longest life of a URL. A Lambda's own signature dies with its session, whose end it is not told."""
OWN = "own"

_LETTERS = r"[A-Za-z0-9_=+,@()~-]"
SEGMENT = rf"\.{{0,2}}{_LETTERS}[A-Za-z0-9_.=+,@()~ -]*"
"""A part of a path that is neither `.` nor `..`, and that a shell, a URL and a line of text can carry as it is."""
PATH = rf"{SEGMENT}(/{SEGMENT}){{0,29}}"
_PATH = re.compile(PATH)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFile:
    """What stands in the bucket."""

    path: str
    size_bytes: int
    modified_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """A multipart upload that is neither complete nor given up."""

    key: str
    upload_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SentPart:
    """One part that S3 has."""

    size_bytes: int
    etag: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One part of a file: which bytes."""

    number: int
    offset: int
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferId:
    """What the id of a transfer in parts says; `place` is a lease's id, or `own`."""

    place: str
    mark: str
    size_bytes: int

    def __str__(self) -> str:
        return f"{self.place}.{self.mark}.{self.size_bytes}"


def is_path(text: str) -> bool:
    """Whether a file may be called so: relative, of plain characters, without `.` and `..`."""
    return len(text) <= MOST_NAME and _PATH.fullmatch(text) is not None


def lease_prefix(lease_id: str) -> str:
    """Where a lease's files stand."""
    return f"leases/{lease_id}/"


def owner_prefix(owner: str) -> str:
    """Where a person's own files stand; no owner's lies within another's, whatever is in their names."""
    return f"owners/{''.join(map(_escaped, owner.encode()))}/"


def _escaped(byte: int) -> str:
    letter = chr(byte)
    is_plain = letter.isascii() and (letter.isalnum() or letter in "_.~-")
    return letter if is_plain else f"%{byte:02X}"


def mark_of(upload_id: str) -> str:
    """A short name for an upload: S3's own are too long for a path."""
    return sha256(upload_id.encode()).hexdigest()[:16]


def read_id(text: str) -> TransferId | None:
    """What an id says; None for what is none."""
    found = re.fullmatch(r"(.{1,100})\.([0-9a-f]{16})\.([0-9]{1,13})", text)
    if found is None or not 0 < int(found[3]) <= MOST_BYTES:
        return None
    return TransferId(place=found[1], mark=found[2], size_bytes=int(found[3]))


def part_bytes(size_bytes: int) -> int:
    """How large each part but the last is: whole MiB, so that there are 10,000 at most."""
    least = -(-size_bytes // MOST_PARTS)
    return max(PART_BYTES, -(-least // MIB) * MIB)


def parts_of(size_bytes: int) -> tuple[Part, ...]:
    """A file's parts, in order."""
    each = part_bytes(size_bytes)
    offsets = range(0, max(size_bytes, 1), each)
    return tuple(
        Part(number=number, offset=offset, size_bytes=min(each, size_bytes - offset))
        for number, offset in enumerate(offsets, 1)
    )


def missing(size_bytes: int, sent: Mapping[int, SentPart]) -> tuple[Part, ...]:
    """The parts that S3 does not have, or not whole."""
    return tuple(
        part
        for part in parts_of(size_bytes)
        if part.number not in sent or sent[part.number].size_bytes != part.size_bytes
    )


def below(prefix: str, keys: Iterable[StoredFile]) -> tuple[StoredFile, ...]:
    """Files by their paths below a prefix, but for those whose names nothing here would have given."""
    cut = [
        StoredFile(path=one.path.removeprefix(prefix), size_bytes=one.size_bytes, modified_at=one.modified_at)
        for one in keys
    ]
    return tuple(one for one in cut if is_path(one.path))
