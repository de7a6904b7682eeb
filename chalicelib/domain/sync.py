"""Data that a launch brings to its boxes (`sync_from`) and takes away from them before the end (`sync_to`).

Either side is a folder of the transfer bucket, or a path of an rclone remote (`drive:birds`), whose configuration
stands in an SSM parameter below `/curfew/rclone/`: one's own, or `shared`. How the box does it: domain/guest_sync.py.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from chalicelib.domain.errors import Refused
from chalicelib.domain.transfers import lease_prefix, owner_prefix

PARAMETERS = "/curfew/rclone"
SHARED = "shared"
LEASES = "leases/"
SHARE_OF_LEASE = 4


class Way(StrEnum):
    """Which of the two."""

    FETCH = "fetch"
    PUSH = "push"


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncFrom:
    """What is brought into a folder of each box."""

    path: str
    folder: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncTo:
    """Which folder's files are pushed, and where to; `path` None: the lease's own folder."""

    folder: str
    path: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Synced:
    """What a box told last of one way: files done, files that are not, and why as far as it knows."""

    lease_id: str
    instance_id: str
    way: Way
    done: int
    left: int
    problem: str
    at: datetime


def is_remote(path: str | None) -> bool:
    """Whether rclone moves it."""
    return path is not None and ":" in path


def check(sync_from: SyncFrom | None, sync_to: SyncTo | None, rclone: str | None, *, owner: str) -> None:
    """Raises Refused (`sync-refused`) for what can't be meant, or reads a parameter that is not the owner's."""
    paths = (sync_from.path if sync_from else None, sync_to.path if sync_to else None)
    has_remote = any(map(is_remote, paths))
    if sync_to and sync_to.path and lease_named(sync_to.path):
        raise _refused(
            f"sync_to.path {sync_to.path} means a lease's folder in sync_from, and what is pushed goes to a folder of "
            "yours: name one that does not begin with leases/, or leave path out for the launch's own lease's"
        )
    if has_remote and rclone is None:
        raise _refused(
            "a path such as drive:birds needs rclone, the name of the SSM parameter that has its remote"
        )
    if rclone is not None and not has_remote:
        raise _refused("rclone is for a path such as drive:birds in sync_from or sync_to, and there is none")
    allowed = (f"{PARAMETERS}/{owner}", f"{PARAMETERS}/{SHARED}")
    if rclone is not None and rclone.rpartition("/")[0] not in allowed:
        raise _refused(f"rclone names {rclone}; yours stand below {allowed[0]}/ or {allowed[1]}/")


def lease_named(path: str) -> str | None:
    """The lease whose folder a path is in: `leases/<id>/…`; None for one's own folder."""
    return path.split("/")[1] if path.startswith(LEASES) else None


def prefix_from(path: str, *, owner: str) -> str:
    """The keys that a fetch brings."""
    if lease_named(path) is not None:
        return f"{path}/"
    return f"{owner_prefix(owner)}{path}/"


def prefix_to(sync_to: SyncTo, *, lease_id: str, owner: str, instance_id: str, target_capacity: int) -> str:
    """Where a push writes; the boxes of a launch of several don't write over each other."""
    base = lease_prefix(lease_id) if sync_to.path is None else f"{owner_prefix(owner)}{sync_to.path}/"
    return base if target_capacity == 1 else f"{base}{instance_id}/"


def lead(margin: timedelta, lasts_for: timedelta) -> timedelta:
    """How long before its end a box begins to push: the margin, but a quarter of a short lease at most."""
    return min(margin, lasts_for / SHARE_OF_LEASE)


def _refused(why: str) -> Refused:
    return Refused(f"{why}; nothing was launched", slug="sync-refused")
