"""A box's data: what a launch may ask for, and the URLs with which its box fetches and pushes.

The box signs with its lease's key, so it gets what its lease was ordered with and nothing else: the paths stand in the
order, never in the question.
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from chalicelib.domain import guest, sync
from chalicelib.domain.errors import Refused
from chalicelib.domain.guest_sync import GuestSync
from chalicelib.domain.heartbeats import Report, believe
from chalicelib.domain.lease import LaunchOrder, Lease, RequestType
from chalicelib.domain.policy import Policy
from chalicelib.domain.rescue import ends_itself
from chalicelib.domain.sync import Synced, Way
from chalicelib.domain.transfers import LIFE, MIB, StoredFile, below, missing, parts_of
from chalicelib.ports import NoTransfers, Services
from chalicelib.usecases.own import own_lease

FILES_A_PAGE = 50
PARTS_A_PAGE = 20
"""What is signed together is used within the hour, also over a slow line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Who asks, as the body says, and what proves it."""

    lease_id: str
    instance_id: str
    sent_at: datetime
    raw: bytes
    signature: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """One URL for so many bytes; `path`: the file's, of a part the MiB at which it begins."""

    url: str
    size_bytes: int
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a box is answered. `next`: ask again from there on; `left_out`: files whose names are not taken."""

    items: tuple[Signed, ...] = ()
    next: str | None = None
    left_out: int = 0
    remote: str | None = None
    config: str | None = None


def refuse_unmovable(
    services: Services, order: LaunchOrder, *, owner: str, policy: Policy, now: datetime
) -> None:
    """Whether a launch's data can be moved. Raises Refused, NotFound; Unavailable where SSM is silent."""
    if order.sync_from is None and order.sync_to is None and order.rclone is None:
        return
    sync.check(order.sync_from, order.sync_to, order.rclone, owner=owner)
    if services.beacons is None or isinstance(services.transfers, NoTransfers):
        raise Refused(
            "sync_from and sync_to need a bucket and an address that boxes can reach; nothing was launched. Deploy the "
            "whole template with PublicUrl, see docs/transfers.md",
            slug="transfers-off",
        )
    if not guest.takes_deadline(order.user_data):
        raise _refused(
            "user_data is of a kind that cloud-init does not know, so nothing can be put beside it"
        )
    if order.sync_to and order.request_type is RequestType.MAINTAIN:
        raise _refused("the boxes of a maintain launch know no end, so sync_to would push nothing")
    if order.sync_from and not sync.is_remote(order.sync_from.path):
        named = sync.lease_named(order.sync_from.path)
        if named:
            own_lease(services, named, owner)
    if order.rclone:
        services.transfers.remote(order.rclone)
    beacon = replace(
        services.beacons.of("lease-" + "0" * 17, "0" * 64), sync=of_order(order, policy.teardown.margin)
    )
    deadline = now if ends_itself(order) else None
    if guest.is_too_long(order.user_data, deadline, beacon):
        raise Refused(
            f"user_data and the parts that move the box's data and end it are over {guest.LIMIT_BYTES} bytes together, "
            "EC2's limit; nothing was launched. Leave more of it to a file that sync_from brings",
            slug="user-data-too-large",
        )


def of_order(order: LaunchOrder, margin: timedelta | None) -> GuestSync | None:
    """What a launch's boxes are to move."""
    if order.sync_from is None and order.sync_to is None:
        return None
    return GuestSync(
        sync_from=order.sync_from,
        sync_to=order.sync_to,
        lead=sync.lead(margin or timedelta(0), order.lasts_for),
    )


def fetch(services: Services, asked: Asked, *, after: str) -> Told:
    """The next files of what the lease was ordered with. Raises Forged, Refused, Unavailable."""
    lease, order = _believed(services, asked)
    if order.sync_from is None or sync.is_remote(order.sync_from.path):
        raise _not_ordered(lease, "sync_from")
    prefix = sync.prefix_from(order.sync_from.path, owner=lease.owner)
    last = prefix + _read_cursor(after) if after else None
    found = services.transfers.files(prefix, after=last, limit=FILES_A_PAGE)
    taken = below(prefix, found)
    return Told(
        items=tuple(_download(services, prefix, one) for one in taken),
        next=_cursor(found[-1].path.removeprefix(prefix)) if len(found) == FILES_A_PAGE else None,
        left_out=len(found) - len(taken),
    )


def push(services: Services, asked: Asked, *, files: Sequence[tuple[str, int]]) -> Told:
    """Where to send these files, each in one PUT, in their order. Raises Forged, Refused, Unavailable."""
    lease, order = _believed(services, asked)
    prefix = _prefix_to(lease, order, asked)
    urls = [services.transfers.upload_url(prefix + path, lasts_for=LIFE) for path, _ in files]
    told = zip(urls, files, strict=True)
    return Told(items=tuple(Signed(url=url, size_bytes=size, path=path) for url, (path, size) in told))


def part(services: Services, asked: Asked, *, path: str, size: int, is_new: bool) -> Told:
    """The next parts of a large file that S3 does not have; once it has all, they become one file, and there are none.

    `is_new`: the file is not what was begun before. Raises Forged, Refused, Unavailable, NotFound.
    """
    lease, order = _believed(services, asked)
    key = _prefix_to(lease, order, asked) + path
    begun = [one for one in services.transfers.uploads(key) if one.key == key]
    if is_new:
        for old in begun:
            services.transfers.abort(old)
        begun = []
    upload = begun[-1] if begun else services.transfers.begin(key)
    left = missing(size, sent := services.transfers.sent(upload))
    if left:
        return Told(
            items=tuple(
                Signed(
                    url=services.transfers.part_url(upload, one.number, lasts_for=LIFE),
                    size_bytes=one.size_bytes,
                    path=str(one.offset // MIB),
                )
                for one in left[:PARTS_A_PAGE]
            )
        )
    services.transfers.complete(upload, {one.number: sent[one.number] for one in parts_of(size)})
    return Told()


def remote(services: Services, asked: Asked, *, way: Way) -> Told:
    """The remote of one way, and its configuration, for this box alone. Raises Forged, Refused, Unavailable."""
    lease, order = _believed(services, asked)
    ordered = order.sync_from if way is Way.FETCH else order.sync_to
    if ordered is None or ordered.path is None or order.rclone is None or not sync.is_remote(ordered.path):
        raise _not_ordered(lease, "rclone")
    path = ordered.path
    if way is Way.PUSH and order.target_capacity > 1:
        path = f"{path}/{asked.instance_id}"
    config = services.transfers.remote(order.rclone)
    return Told(remote=path, config=base64.b64encode(config.encode()).decode())


def tell(services: Services, asked: Asked, *, way: Way, done: int, left: int, problem: str) -> Told:
    """Keep how far a box has come. Raises Forged, Refused, Unavailable."""
    lease, _ = _believed(services, asked)
    synced = Synced(
        lease_id=lease.id,
        instance_id=asked.instance_id,
        way=way,
        done=done,
        left=left,
        problem=problem,
        at=services.clock.now(),
    )
    services.store.keep_synced(synced)
    return Told()


def _believed(services: Services, asked: Asked) -> tuple[Lease, LaunchOrder]:
    report = Report(
        lease_id=asked.lease_id, instance_id=asked.instance_id, counter=0, sent_at=asked.sent_at, minutes=()
    )
    lease = believe(
        report,
        raw=asked.raw,
        signature=asked.signature,
        lease=services.store.lease(asked.lease_id),
        now=services.clock.now(),
    )
    if lease.order is None:
        raise _not_ordered(lease, "sync")
    return lease, lease.order


def _prefix_to(lease: Lease, order: LaunchOrder, asked: Asked) -> str:
    if order.sync_to is None or sync.is_remote(order.sync_to.path):
        raise _not_ordered(lease, "sync_to")
    return sync.prefix_to(
        order.sync_to,
        lease_id=lease.id,
        owner=lease.owner,
        instance_id=asked.instance_id,
        target_capacity=order.target_capacity,
    )


def _cursor(path: str) -> str:
    """Of letters that the script can carry, whatever the file is called."""
    return base64.urlsafe_b64encode(path.encode()).decode()


def _read_cursor(text: str) -> str:
    try:
        return base64.urlsafe_b64decode(text).decode()
    except ValueError as error:
        raise Refused(f"{text!r} is no cursor of a fetch", slug="bad-cursor") from error


def _download(services: Services, prefix: str, one: StoredFile) -> Signed:
    url = services.transfers.download_url(prefix + one.path, lasts_for=LIFE)
    return Signed(url=url, size_bytes=one.size_bytes, path=one.path)


def _not_ordered(lease: Lease, what: str) -> Refused:
    return Refused(f"{lease.id} was not ordered with {what}", slug="sync-refused")


def _refused(why: str) -> Refused:
    return Refused(f"{why}; nothing was launched", slug="sync-refused")
