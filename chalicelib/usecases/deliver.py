"""Deliver what people are to be told. Recorded before, sent after: a failed message waits and blocks nothing."""

from datetime import datetime, timedelta

from chalicelib.domain import notices
from chalicelib.domain.errors import Unavailable
from chalicelib.domain.notices import Notice
from chalicelib.ports import Services

CLAIM_FOR = timedelta(seconds=55)
AT_ONCE = 20
LONGEST_WAIT = timedelta(minutes=15)
LATE = timedelta(minutes=5)
REFUSED_FOR_ITSELF = (400, 413)
"""HTTP's words for a message that will never be taken, by a notifier that may well take the next."""
PATIENCE_SECONDS = 15.0
"""A slow notifier is left for the next sweep after this long."""


def deliver(services: Services) -> str | None:
    """Send what waits, oldest first. Where nobody answers the rest is left for later; a message that is refused for
    what it says keeps no other from being sent. Returns what failed first, or None."""
    now, until = services.clock.now(), services.clock.elapsed() + services.patience(PATIENCE_SECONDS)
    first: str | None = None
    is_down = False
    for notice in services.store.claim_notices(now=now, hold_for=CLAIM_FOR, limit=AT_ONCE):
        failure: str | None = first
        if not is_down and services.clock.elapsed() > until:
            failure, is_down = "too slow: the rest follows", True
        elif not is_down:
            failure, is_down = _send(services, notice, now)
        first = first or failure
        wait = min(timedelta(minutes=1) * 2**notice.tries, LONGEST_WAIT)
        services.store.settle_notice(notice, sent=failure is None, retry_at=now + wait)
    return first


def _send(services: Services, notice: Notice, now: datetime) -> tuple[str | None, bool]:
    """What failed, if it did, and whether the next message would as well."""
    if not services.notifier.is_configured:
        return None, False
    try:
        services.notifier.send(notices.late(notice, now) if now - notice.at >= LATE else notice)
    except Unavailable as error:
        return f"Slack: {error.detail}", error.extra.get("status") not in REFUSED_FOR_ITSELF
    return None, False
