"""What Curfew itself costs: handing over what was counted, and adding it up."""

from contextlib import suppress
from datetime import datetime, timedelta

from chalicelib.domain.errors import Unavailable
from chalicelib.domain.guard import GuardCost, cost_of, month_of
from chalicelib.domain.policy import Policy
from chalicelib.ports import Services

EVERY = timedelta(minutes=10)
"""One small write: 4,400 a month for a function that runs all the time, a third of a cent."""


def hand_over(services: Services) -> None:
    """Add to the month what this container has counted, at its first call and then once `EVERY`. What can't be written
    is lost: money does not hang on it."""
    now = services.clock.now()
    counted = services.ledger.hand_over(now, every=EVERY)
    if counted:
        with suppress(Unavailable):
            services.store.add_usage(month_of(now), counted, since=now)


def guard_cost(services: Services, now: datetime) -> GuardCost:
    """This month so far and projected, itemised, as far as it was handed over. Raises Unavailable."""
    policy, _ = services.store.policy()
    boxes = sum(len(lease.instance_ids) for lease in services.store.open_leases())
    own = policy.bills.own_usd_per_month
    return cost_of(services.store.usage(month_of(now)), now=now, own=own, boxes=boxes)


def is_past_limit(services: Services, policy: Policy, *, boxes: int, now: datetime) -> bool:
    """Whether Curfew has cost more this month than `bills.own_usd_per_month` allows; no, where nobody can tell."""
    try:
        usage = services.store.usage(month_of(now))
    except Unavailable:
        return False
    return cost_of(usage, now=now, own=policy.bills.own_usd_per_month, boxes=boxes).is_over
