"""Look once an hour for capacity that is reserved and unused, after everything else and under a deadline.

It is told once a day and shown in GET /health; nothing cancels it.
"""

from concurrent.futures import ThreadPoolExecutor, wait

from chalicelib.domain import account_notices
from chalicelib.domain.errors import Unavailable
from chalicelib.domain.reservations import (
    ASKED_EVERY,
    Reservation,
    ReservationLook,
    reservation_bills,
    unused,
)
from chalicelib.ports import Services
from chalicelib.usecases.gather import Facts, is_watched

PATIENCE_SECONDS = 3.0
REGIONS_AT_ONCE = 16


def look_for_reservations(services: Services, facts: Facts) -> str | None:
    """Keep what there is and tell people. Answers what is lacking."""
    try:
        known = services.store.reservation_look()
        if known and facts.now - known.at < ASKED_EVERY:
            return None
        seen, lacking = _ask(services, facts)
        services.prices.refresh({(one.region, one.type) for one in seen if one.unused}, now=facts.now)
        found = unused(seen, scope=facts.policy.scope, prices=services.prices.on_demand(), now=facts.now)
        told = [
            account_notices.reserved(one.reservation.id, reservation_bills(one), facts.now) for one in found
        ]
        services.store.keep_reservation_look(ReservationLook(at=facts.now, unused=found), notices=told)
    except Unavailable as error:
        return f"capacity reservations: {error.detail}"
    return lacking


def _ask(services: Services, facts: Facts) -> tuple[list[Reservation], str | None]:
    """Every region that answered at once; what says nothing in time is asked in an hour."""
    regions = [one for one in sorted(facts.sight.seen_regions) if is_watched(services, one)]
    if not regions:
        return [], None
    seen: list[Reservation] = []
    lacking: str | None = None
    pool = ThreadPoolExecutor(min(len(regions), REGIONS_AT_ONCE), thread_name_prefix="reservations")
    try:
        asked = {region: pool.submit(services.compute.reservations, region) for region in regions}
        wait(asked.values(), timeout=PATIENCE_SECONDS)
        for region, answer in asked.items():
            try:
                seen += answer.result(timeout=0)
            except (TimeoutError, Unavailable) as error:
                why = error.detail if isinstance(error, Unavailable) else "no answer in time"
                lacking = lacking or f"DescribeCapacityReservations {region}: {why}"
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
    return seen, lacking
