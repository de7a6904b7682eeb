"""Put boxes that nobody launched through Curfew under a lease, once each, however many sweeps find them."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime

from chalicelib.domain import notices
from chalicelib.domain.adoption import adopt, adopt_at_rest
from chalicelib.domain.budget import BudgetBook
from chalicelib.domain.errors import BudgetExceeded, Stale, Unavailable
from chalicelib.domain.fleets import Fleet, Group
from chalicelib.domain.instance import Instance
from chalicelib.domain.lease import Lease
from chalicelib.domain.storage import Disk, Volume
from chalicelib.domain.tracking import is_awaited, owned_by, track
from chalicelib.ports import FirstSight, Services
from chalicelib.usecases.gather import Facts, is_watched, obstacle_of

ASSUMED = (Disk(gib=100, type="gp3"),)
"""The disks of a box whose own can't be had."""
TRIES = 10
VOLUMES_SECONDS = 5.0
ADOPTING_SECONDS = 5.0
"""No adoption is begun later: each write that the table refuses is tried for 20 s, and the ends come after them."""
REGIONS_AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class Adopted:
    """The facts with the new leases among them, and their ids."""

    facts: Facts
    lease_ids: tuple[str, ...]


def record_first_sights(services: Services, facts: Facts) -> Facts:
    """Remember what ran in a region when it was first seen whole; an event's look at one box is no first sight.

    What the table does not take is lacking, and recorded by a later sweep: until then nothing there is adopted.
    """
    if facts.only is not None:
        return facts
    for view in facts.sight.views:
        is_new = view.region not in facts.account.first_sights and is_watched(services, view.region)
        if view.status == "ok" and is_new:
            ids = frozenset(instance.id for instance in view.instances if instance.is_running)
            try:
                services.store.record_first_sight(view.region, FirstSight(at=facts.now, instance_ids=ids))
            except Unavailable as error:
                return replace(facts, lacking=(*facts.lacking, f"FirstSight {view.region}: {error.detail}"))
    return facts


def adopt_loose(services: Services, facts: Facts) -> Adopted:
    """Adopt every box that is to be adopted. Its lease and hold are one conditional write."""
    wanted = _still_loose(services, [box.instance for box in facts.loose if box.because is None], facts.now)
    disks = _volumes(services, wanted)
    new, until = [], services.clock.elapsed() + ADOPTING_SECONDS
    for instance in wanted:
        if services.clock.elapsed() > until:
            break
        lease = _adopt(services, facts, instance, disks.get(instance.id))
        if lease:
            new.append(lease)
    loose = tuple(
        box for box in facts.loose if box.because
    )  # the others have a lease now, of this sweep or another
    stored = {**facts.stored, **{lease.id: lease for lease in new}}
    tracked = tuple(track(lease, facts.sight, facts.now, only=facts.only) for lease in new)
    facts = replace(facts, leases=(*facts.leases, *tracked), loose=loose, stored=stored)
    return Adopted(facts=facts, lease_ids=tuple(lease.id for lease in new))


def _still_loose(services: Services, instances: list[Instance], now: datetime) -> list[Instance]:
    """Without what a launch or another sweep has put under a lease since the leases were read."""
    if not instances:
        return []
    leases = services.store.open_leases()
    return [i for i in instances if not any(owned_by(one, i) or is_awaited(one, i, now) for one in leases)]


def _adopt(
    services: Services, facts: Facts, instance: Instance, disks: tuple[Volume, ...] | None
) -> Lease | None:
    """None where another sweep was first, or the table would not have it: the next look sees to it.

    A box that EC2 did not show for so long that its lease was closed gets another.
    """
    book, closed_before = facts.book, 0
    for tries_left in reversed(range(TRIES)):
        lease = _lease_of(facts, instance, disks, book, closed_before)
        lease = replace(
            lease, volumes=disks or ()
        )  # looked at for the first time with its addresses, after the ends
        told = [] if lease.is_storage else [_told(facts, lease)]
        try:
            return services.store.open_lease(
                lease, revision=book.revision, allow_overdraft=not tries_left, notices=told
            )
        except (BudgetExceeded, Stale):
            known = services.store.lease(lease.id)
            if known and known.is_open:
                return None
            closed_before += known is not None
            book = services.store.budgets(facts.now, until=facts.now + facts.policy.unleased.run_for)
        except Unavailable:
            return None
    return None


def _lease_of(
    facts: Facts,
    instance: Instance,
    disks: tuple[Volume, ...] | None,
    book: BudgetBook,
    closed_before: int,
) -> Lease:
    """One that ends by its hour and its hold; of a box at rest one that only meters what it keeps."""
    if not instance.is_running:
        return adopt_at_rest(
            instance,
            spot_requests=facts.sight.spot_requests,
            starter=_starter_of(facts, instance),
            states=book.states,
            now=facts.now,
            closed_before=closed_before,
        )
    return adopt(
        instance,
        spot_requests=facts.sight.spot_requests,
        starter=_starter_of(facts, instance),
        disks=ASSUMED if disks is None else [volume.disk for volume in disks],
        states=(*book.states, *book.later),
        policy=facts.policy,
        prices=facts.prices,
        now=facts.now,
        closed_before=closed_before,
    )


def _starter_of(facts: Facts, instance: Instance) -> Fleet | Group | None:
    """What was told of the fleet of either kind, or the group, that started it."""
    view = facts.sight.view(instance.region)
    fleet_id = instance.fleet_id or instance.spot_fleet_id
    if fleet_id:
        return view.fleet(fleet_id)
    return view.group(instance.group) if instance.group else None


def _told(facts: Facts, lease: Lease) -> notices.Notice:
    hourly_usd = facts.prices.ceiling_usd(lease.runs[0])
    return notices.adopted(lease, hourly_usd=hourly_usd, obstacle=obstacle_of(facts, lease), now=facts.now)


def _volumes(services: Services, instances: list[Instance]) -> Mapping[str, tuple[Volume, ...]]:
    """Their disks, for the storage part of the meter, of every region at once; a size that can't be had in time is
    assumed, not taken for nothing."""
    by_region: dict[str, list[str]] = {}
    for instance in instances:
        by_region.setdefault(instance.region, []).append(instance.id)
    if not by_region:
        return {}
    pool = ThreadPoolExecutor(min(len(by_region), REGIONS_AT_ONCE), thread_name_prefix="volumes")
    try:
        asked = [pool.submit(services.compute.volumes, region, ids) for region, ids in by_region.items()]
        wait(asked, timeout=services.patience(VOLUMES_SECONDS))
        disks: dict[str, tuple[Volume, ...]] = {}
        for answer in asked:
            with suppress(Unavailable):
                disks |= answer.result() if answer.done() else {}
        return disks
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
