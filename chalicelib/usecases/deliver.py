"""Deliver what people are to be told. Recorded before, sent after: a failed message waits and blocks nothing."""

from datetime import timedelta

from chalicelib.domain.errors import Unavailable
from chalicelib.domain.notices import Notice
from chalicelib.ports import Services

CLAIM_FOR = timedelta(seconds=55)
AT_ONCE = 20
LONGEST_WAIT = timedelta(minutes=15)
PATIENCE = timedelta(seconds=15)
"""A slow notifier is left for the next sweep after this long."""


def deliver(services: Services) -> str | None:
    """Send what is due, oldest first; at the first failure leave the rest for later. Returns why, or None."""
    now = services.clock.now()
    due = services.store.claim_notices(now=now, hold_for=CLAIM_FOR, limit=AT_ONCE)
    failure: str | None = None
    for notice in due:
        if failure is None and services.clock.now() - now > PATIENCE:
            failure = "too slow: the rest follows"
        if failure is None and services.notifier.is_configured:
            failure = _send(services, notice)
        wait = min(timedelta(minutes=1) * 2**notice.tries, LONGEST_WAIT)
        services.store.settle_notice(notice, sent=failure is None, retry_at=now + wait)
    return failure


def _send(services: Services, notice: Notice) -> str | None:
    try:
        services.notifier.send(notice)
    except Unavailable as error:
        return f"Slack: {error.detail}"
    return None
