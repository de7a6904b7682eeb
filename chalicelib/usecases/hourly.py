"""What everything together can cost an hour, which `limits.hourly_usd` keeps a launch from passing.

Leases are read from the table, each at the most that its boxes can cost; boxes without a lease as the last sweeps saw
them, because a launch must not wait for a look at every region.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal

from chalicelib.domain.admission import hourly_limit
from chalicelib.domain.errors import Refused
from chalicelib.domain.lease import Lease
from chalicelib.domain.meter import measure
from chalicelib.domain.money import ZERO
from chalicelib.domain.policy import Policy
from chalicelib.domain.prices import PriceBook
from chalicelib.ports import Services
from chalicelib.usecases.last_sweeps import whole_sweeps

LOOKED_BACK = timedelta(minutes=5)
"""Without a complete sweep for so long health fails, and the last ones have to do."""


def most_per_hour(
    services: Services, leases: Iterable[Lease], policy: Policy, prices: PriceBook, now: datetime
) -> Decimal:
    """The most that these leases and all boxes without one can cost an hour; nothing where no limit asks for it."""
    if policy.limits.hourly_usd is None:
        return ZERO
    return sum((_most(lease, prices, now) for lease in leases), _unleased(services, now))


def passed_limit(services: Services, lease: Lease, policy: Policy, prices: PriceBook) -> Refused | None:
    """The refusal of a launch whose lease is written already, where others were written at the same moment that do not
    fit beside it. Each of them sees at least one other, so that never all go through."""
    limit = policy.limits.hourly_usd
    if limit is None:
        return None
    others = [one for one in services.store.open_leases() if one.id != lease.id]
    usd = most_per_hour(services, others, policy, prices, lease.requested_at)
    if usd + lease.hold.hourly_usd <= limit:
        return None
    return hourly_limit(lease.hold.hourly_usd, others_usd=usd, limit_usd=limit)


def _most(lease: Lease, prices: PriceBook, now: datetime) -> Decimal:
    return max(lease.hold.hourly_usd, measure(lease, prices, now).ceiling_usd)


def _unleased(services: Services, now: datetime) -> Decimal:
    """By the last look at everything, or, where that missed a region, by the last complete one if it saw more."""
    whole = whole_sweeps(services, since=now - LOOKED_BACK)
    complete = [one for one in whole if one.is_complete]
    return max((one.unleased_hourly_usd for one in (*whole[:1], *complete[:1])), default=ZERO)
