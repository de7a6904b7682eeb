"""What the meter must be told from time to time: which volumes boxes have, and what they have sent.

Asked after the kills and under a deadline. Volumes: of a box that shows others than are known, and once an hour,
because one that grew keeps its id. What was sent: once an hour, and when a lease is over, because the question costs
money. What does not answer leaves the meter as it is, and is asked again.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any, TypeVar

from chalicelib.domain import egress
from chalicelib.domain.egress import Window
from chalicelib.domain.errors import Unavailable
from chalicelib.domain.instance import AT_REST, Instance
from chalicelib.domain.lease import Lease, Status
from chalicelib.domain.money import ZERO
from chalicelib.domain.prices import PriceBook
from chalicelib.domain.storage import Address, Volume, addresses_after, attached, merged
from chalicelib.ports import Services
from chalicelib.usecases.gather import Facts, price_book

PATIENCE_SECONDS = 3.0
LAST_FIGURES_SECONDS = 3.0
"""The close of a lease waits so long for its last price and for what it sent at last; its boxes are ended by then."""
REGIONS_AT_ONCE = 16
HOUR = timedelta(hours=1)
VOLUMES_ASKED_EVERY = HOUR

T = TypeVar("T")
Disks = Mapping[str, tuple[Volume, ...]]
Addresses = Mapping[str, tuple[Address, ...]]
"""By box."""
Windows = Mapping[str, Window]
"""By lease."""


@dataclass(frozen=True, slots=True)
class _Told:
    """What one region answered: disks and Elastic IPs by box, bytes by lease, and what it did not."""

    disks: Disks
    addresses: Addresses
    sent: Mapping[str, int]
    lacking: tuple[str, ...]


def learn(services: Services, facts: Facts) -> Facts:
    """The facts with leases that know their volumes and what was sent, as far as it is due and answered."""
    going_on = [lease for lease in facts.leases if lease.status is Status.ACTIVE and facts.in_focus(lease)]
    boxes = {lease.id: _to_ask_about(facts, lease) for lease in going_on}
    windows = {
        lease.id: window
        for lease in going_on
        if facts.only is None and (window := egress.due(lease, facts.now)) is not None
    }
    told = _ask_regions(services, going_on, boxes, windows)
    learned = {
        lease.id: _learned(lease, boxes[lease.id], windows.get(lease.id), told.get(lease.region), facts)
        for lease in going_on
    }
    lacking = [line for one in told.values() for line in one.lacking]
    leases = tuple(learned.get(lease.id, lease) for lease in facts.leases)
    return replace(facts, leases=leases, lacking=(*facts.lacking, *lacking))


def last_figures(
    services: Services, leases: Sequence[Lease], prices: PriceBook, now: datetime
) -> tuple[list[Lease], PriceBook]:
    """Leases of one region that are over, with what they sent at last, and the prices as they are known by now."""
    if not leases:
        return [], prices
    windows = {lease.id: window for lease in leases if (window := egress.last(lease, now)) is not None}
    pool = ThreadPoolExecutor(2, thread_name_prefix="last")
    try:
        sending = pool.submit(_sent, services, leases[0].region, leases, windows)
        pricing = pool.submit(price_book, services, leases, (), now, fresh=True)
        waiting: list[Future[Any]] = [sending, pricing]
        wait(waiting, timeout=LAST_FIGURES_SECONDS)
        sent = _or_else(sending, dict[str, int]())
        told = [
            egress.with_sent(lease, sent[lease.id], windows[lease.id]) if lease.id in sent else lease
            for lease in leases
        ]
        return told, _or_else(pricing, prices)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def at_rest(services: Services, boxes: Sequence[Instance], prices: PriceBook) -> dict[str, Decimal]:
    """What the disks of stopped boxes go on costing an hour, by id; without those that EC2 does not tell now."""
    by_region: dict[str, list[str]] = {}
    for box in boxes:
        if box.state in AT_REST:
            by_region.setdefault(box.region, []).append(box.id)
    if not by_region:
        return {}
    pool = ThreadPoolExecutor(min(len(by_region), REGIONS_AT_ONCE), thread_name_prefix="meter")
    try:
        asked = {
            region: pool.submit(services.compute.volumes, region, ids) for region, ids in by_region.items()
        }
        wait(asked.values(), timeout=PATIENCE_SECONDS)
        return {
            box_id: sum((disk.usd(prices.rates_in(region), HOUR) for disk in disks), ZERO)
            for region, answer in asked.items()
            for box_id, disks in _or_else(answer, dict[str, tuple[Volume, ...]]()).items()
        }
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _or_else(answer: Future[T], known: T) -> T:
    """What was answered in time, else what is known."""
    return answer.result() if answer.done() and not answer.exception() else known


def _to_ask_about(facts: Facts, lease: Lease) -> tuple[Instance, ...]:
    """The boxes of a lease whose volumes are not what is known of them, or may not be any more."""
    if lease.region not in facts.sight.seen_regions:
        return ()
    live = [box for box in facts.owned(lease).live if box.volumes is not None]
    is_old = lease.volumes_at is None or facts.now - lease.volumes_at >= VOLUMES_ASKED_EVERY
    return tuple(
        box for box in live if is_old or set(box.volumes or ()) != set(attached(lease.volumes, box.id))
    )


def _ask_regions(
    services: Services, leases: Sequence[Lease], boxes: Mapping[str, Sequence[Instance]], windows: Windows
) -> dict[str, _Told]:
    """Every region at once; what has not answered in time is lacking."""
    asked: dict[str, Callable[[], _Told]] = {}
    for region in sorted({lease.region for lease in leases}):
        mine = [lease for lease in leases if lease.region == region]
        ids = [box.id for lease in mine for box in boxes[lease.id]]
        sending = [lease for lease in mine if lease.id in windows]
        if ids or sending:
            asked[region] = partial(_ask, services, region, ids, sending, windows)
    if not asked:
        return {}
    pool = ThreadPoolExecutor(min(len(asked), REGIONS_AT_ONCE), thread_name_prefix="meter")
    try:
        answers = {region: pool.submit(ask) for region, ask in asked.items()}
        wait(answers.values(), timeout=PATIENCE_SECONDS)
        return {
            region: answer.result()
            if answer.done()
            else _Told({}, {}, {}, (f"meter {region}: no answer within {PATIENCE_SECONDS:g} s",))
            for region, answer in answers.items()
        }
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _ask(
    services: Services, region: str, ids: Sequence[str], sending: Sequence[Lease], windows: Windows
) -> _Told:
    disks: Disks = {}
    addresses: Addresses = {}
    sent: Mapping[str, int] = {}
    lacking = []
    if ids:
        try:
            disks = services.compute.volumes(region, ids)
        except Unavailable as error:
            lacking.append(f"DescribeVolumes {region}: {error.detail}")
        try:
            addresses = services.compute.addresses(region, ids, now=services.clock.now())
        except Unavailable as error:
            lacking.append(f"DescribeAddresses {region}: {error.detail}")
    try:
        sent = _sent(services, region, sending, windows)
    except Unavailable as error:
        lacking.append(f"NetworkOut {region}: {error.detail}")
    return _Told(disks, addresses, sent, tuple(lacking))


def _sent(services: Services, region: str, leases: Sequence[Lease], windows: Windows) -> dict[str, int]:
    """Bytes by lease; those with the same window share a call. Raises Unavailable."""
    by_window: dict[Window, list[Lease]] = {}
    for lease in leases:
        if lease.id in windows:
            by_window.setdefault(windows[lease.id], []).append(lease)
    sent: dict[str, int] = {}
    for window, some in by_window.items():
        ids = [instance_id for lease in some for instance_id in lease.instance_ids]
        by_box = services.metrics.network_out(region, ids, since=window.since, until=window.until)
        sent |= {lease.id: sum(by_box.get(one, 0) for one in lease.instance_ids) for lease in some}
    return sent


def _learned(
    lease: Lease, boxes: Sequence[Instance], window: Window | None, told: _Told | None, facts: Facts
) -> Lease:
    if told is None:
        return _with_flags(lease, facts)
    answered = [box.id for box in boxes if box.id in told.disks]
    if answered:
        seen = [disk for box_id in answered for disk in told.disks[box_id]]
        volumes = merged(lease.volumes, seen, of=answered, looked_at=lease.volumes_at, now=facts.now)
        lease = replace(lease, volumes=volumes, volumes_at=_looked_at(lease, answered, facts))
    looked_at = [box.id for box in boxes if box.id in told.addresses]
    if looked_at:
        seen_ips = [address for box_id in looked_at for address in told.addresses[box_id]]
        addresses = addresses_after(lease.addresses, seen_ips, of=looked_at, now=facts.now)
        lease = replace(lease, addresses=addresses)
    if window is not None and lease.id in told.sent:
        lease = egress.with_sent(lease, told.sent[lease.id], window)
    return _with_flags(lease, facts)


def _looked_at(lease: Lease, answered: Sequence[str], facts: Facts) -> datetime | None:
    """When all of its boxes were looked at: not by a look at one that has just come, or that an event is about."""
    boxes = {box.id for box in facts.owned(lease).live}
    boxes |= {run.instance_id for run in lease.runs if run.disk_ended_at is None}
    return facts.now if boxes <= set(answered) else lease.volumes_at


def _with_flags(lease: Lease, facts: Facts) -> Lease:
    """What a box itself says of whether its volumes outlive it."""
    flags = {
        volume_id: outlives
        for box in facts.owned(lease).live
        for volume_id, outlives in (box.volumes or {}).items()
    }
    volumes = tuple(
        replace(one, outlives_box=flags[one.id]) if one.until is None and one.id in flags else one
        for one in lease.volumes
    )
    return lease if volumes == lease.volumes else replace(lease, volumes=volumes)
