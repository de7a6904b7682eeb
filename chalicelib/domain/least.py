"""The least that a lease must hold after a change: what it has cost, and what its end may cost."""

from datetime import datetime, timedelta
from decimal import Decimal

from chalicelib.domain.lease import Hold, Lease, Status
from chalicelib.domain.meter import Cost
from chalicelib.domain.money import ZERO, hours, up_to_cent
from chalicelib.domain.policy import Policy
from chalicelib.domain.prices import MINIMUM_RUN
from chalicelib.domain.tracking import MISSING_FOR

NEXT_LOOK = timedelta(minutes=1)
"""A sweep comes each minute: until then it runs on."""


def least_usd(
    lease: Lease, cost: Cost, hold: Hold, *, expires_at: datetime, policy: Policy, now: datetime
) -> Decimal:
    """What a lease has cost, with what runs on until the next sweep or its end, and what ending it may cost: its
    `teardown.margin` at the dearest price, and the images of its end. Up to a cent.

    `hold`: the one that a change would give it. A launched lease counts every box that was ordered, seen or not.
    """
    dearest, accrued = cost.ceiling_usd, cost.accrued_usd
    if not lease.is_adopted:
        dearest = max(dearest, hold.hourly_usd)
    if not lease.runs and lease.launched_at and lease.status is Status.ACTIVE and not lease.is_adopted:
        unseen = min(
            max(now - lease.launched_at, MINIMUM_RUN), MISSING_FOR
        )  # a fleet may wait for its first box
        accrued += dearest * hours(unseen)
    soon = max(min(NEXT_LOOK, expires_at - now), timedelta(0))
    ending = dearest * hours(soon + lease.margin(policy.teardown.margin))
    images = max(max(lease.hold.snapshot_usd, hold.snapshot_usd) - cost.snapshot_usd, ZERO)
    return up_to_cent(accrued + ending + images)
