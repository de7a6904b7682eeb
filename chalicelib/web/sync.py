"""POST /sync: what a box asks about its data, and what it is answered."""

from datetime import UTC, datetime
from typing import Annotated, Literal, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from chalicelib.domain.errors import Refused
from chalicelib.domain.sync import Way
from chalicelib.domain.transfers import MOST_BYTES
from chalicelib.ports import Services
from chalicelib.usecases import sync
from chalicelib.usecases.sync import FILES_A_PAGE, Asked, Told
from chalicelib.web.heartbeats import Epoch
from chalicelib.web.models import Sent
from chalicelib.web.transfers import FilePath

Count = Annotated[int, Field(strict=True, ge=0, le=10**9)]


class PushedBody(Sent):
    """One file that is to be sent."""

    path: FilePath = Field(description="its path below the folder")
    size: int = Field(strict=True, ge=0, le=MOST_BYTES, description="its bytes")


class SyncBody(Sent):
    """What a box asks; the header `Curfew-Signature` signs all of it."""

    lease: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$", description="the lease's id")
    instance: str = Field(pattern=r"^i-[0-9a-z]{1,32}$", description="the instance's id")
    sent_at: Epoch
    do: Literal["fetch", "push", "part", "remote", "tell"] = Field(
        description="fetch: URLs of what sync_from names; push: URLs for files; part: URLs for the missing parts of a "
        "large one; remote: rclone's configuration; tell: how far it has come"
    )
    after: str = Field(
        default="", pattern=r"^[A-Za-z0-9_=-]{0,1500}$", description="`next` of the fetch before"
    )
    files: tuple[PushedBody, ...] = Field(
        default=(), max_length=FILES_A_PAGE, description="what is to be pushed"
    )
    path: FilePath | None = Field(default=None, description="the large file's path")
    size: int = Field(default=1, strict=True, ge=1, le=MOST_BYTES, description="the large file's bytes")
    anew: bool = Field(
        default=False, strict=True, description="true: the large file is not what was begun before"
    )
    way: Way = Field(default=Way.FETCH, description="fetch or push")
    done: Count = Field(default=0, description="files that are where they belong")
    left: Count = Field(default=0, description="files that are not")
    problem: str = Field(default="", pattern=r"^[a-z0-9 ]{0,80}$", description="why, as far as the box knows")


class SignedAnswer(TypedDict):
    """One URL; `path`: the file's, of a part the MiB at which it begins. The script on the box relies on this order."""

    url: str
    bytes: int
    path: str


class SyncAnswer(TypedDict):
    """What the box does next; what does not concern its question is left out."""

    items: list[SignedAnswer]
    left_out: int
    next: NotRequired[str]
    remote: NotRequired[str]
    config: NotRequired[str]


def answered(services: Services, body: SyncBody, *, raw: bytes, signature: str | None) -> Told:
    """What it asks for. Raises Forged, Refused, Unavailable."""
    asked = Asked(
        lease_id=body.lease,
        instance_id=body.instance,
        sent_at=datetime.fromtimestamp(body.sent_at, UTC),
        raw=raw,
        signature=signature,
    )
    match body.do:
        case "fetch":
            return sync.fetch(services, asked, after=body.after)
        case "push":
            return sync.push(services, asked, files=[(one.path, one.size) for one in body.files])
        case "part":
            if body.path is None:
                raise Refused("a part is of a file: path names it", slug="sync-refused")
            return sync.part(services, asked, path=body.path, size=body.size, is_new=body.anew)
        case "remote":
            return sync.remote(services, asked, way=body.way)
        case "tell":
            return sync.tell(
                services, asked, way=body.way, done=body.done, left=body.left, problem=body.problem
            )


def view(told: Told) -> dict[str, object]:
    """As the script on the box reads it."""
    rest = {"next": told.next, "remote": told.remote, "config": told.config}
    return {
        "items": [{"url": one.url, "bytes": one.size_bytes, "path": one.path} for one in told.items],
        "left_out": told.left_out,
        **{name: value for name, value in rest.items() if value is not None},
    }
