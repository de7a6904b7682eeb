"""Ask CloudTrail who started the boxes that were adopted, and tell people.

After everything else and under a deadline, a few boxes of each region a sweep: what does not answer is asked again.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from datetime import UTC, datetime, timedelta

from chalicelib.domain import notices
from chalicelib.domain.creator import Caller, controllers, is_due, is_last_time, with_creator
from chalicelib.domain.errors import Stale, Unavailable
from chalicelib.domain.lease import Lease
from chalicelib.ports import Services
from chalicelib.usecases.gather import Facts

PATIENCE_SECONDS = 4.0
REGIONS_AT_ONCE = 16
A_REGION = 4
BEGUN_WITHIN = timedelta(seconds=30)
"""A sweep that has taken longer leaves it to the next one."""
NEVER = datetime(1970, 1, 1, tzinfo=UTC)

Told = dict[str, Caller | None]
"""By lease; None: CloudTrail does not know yet."""


def identify(services: Services, facts: Facts) -> str | None:
    """Note on each lease that is due who started its box. Answers what is lacking."""
    if services.clock.now() - facts.now > BEGUN_WITHIN:
        return None
    by_region: dict[str, list[Lease]] = {}
    for lease in sorted(facts.leases, key=lambda one: one.creator_asked_at or NEVER):
        if is_due(lease, facts.now) and lease.region in facts.sight.seen_regions:
            by_region.setdefault(lease.region, []).append(lease)
    if not by_region:
        return None
    told: Told = {}
    lacking: list[str] = []
    pool = ThreadPoolExecutor(min(len(by_region), REGIONS_AT_ONCE), thread_name_prefix="trail")
    try:
        asked = [
            pool.submit(_ask, services, facts, leases[:A_REGION], told, lacking)
            for leases in by_region.values()
        ]
        wait(asked, timeout=PATIENCE_SECONDS)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
    for lease_id, caller in list(told.items()):
        _note(services, facts, lease_id, caller)
    return lacking[0] if lacking else None


def _ask(services: Services, facts: Facts, leases: Sequence[Lease], told: Told, lacking: list[str]) -> None:
    """What is answered stays, however many are not."""
    for lease in leases:
        try:
            told[lease.id] = _started_by(services, facts, lease)
        except Unavailable as error:
            told[lease.id] = None
            lacking.append(f"CloudTrail {lease.region}: {error.detail}")
            return


def _started_by(services: Services, facts: Facts, lease: Lease) -> Caller | None:
    """Who started its box; where that was AWS, who made what it did so for, which may be told later."""
    caller = services.trail.started_by(lease.region, lease.instance_ids[0])
    if caller is None or not caller.is_service:
        return caller
    names = [name for box in facts.owned(lease).live for name in controllers(box)]
    for name in dict.fromkeys(names):
        maker = services.trail.started_by(lease.region, name)
        if maker is not None and not maker.is_service:
            return maker
    return caller if is_last_time(lease, facts.now) else None


def _note(services: Services, facts: Facts, lease_id: str, caller: Caller | None) -> None:
    try:
        lease = services.store.lease(lease_id)
        if lease is None or not is_due(lease, facts.now):
            return
        noted = with_creator(lease, caller, facts.book, facts.now)
        services.store.save_lease(noted, notices=[notices.identified(noted, facts.now)] if caller else [])
    except (Stale, Unavailable):
        return  # it changed, or the write failed: it is asked again
