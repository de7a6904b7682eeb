"""Deliver what people are to be told. Recorded before, sent after: a failed message waits and blocks nothing.

Slack is told first. The SNS topic is told what Slack has not taken for a day or never will take, and everything where
there is no Slack. A webhook knows no idempotency: what dies between its answer and the one write that notes it is told
once more, and so is what Slack took without an answer.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta

from chalicelib.domain import notices
from chalicelib.domain.bundles import Trouble, as_one, bundles, instead
from chalicelib.domain.errors import Unavailable
from chalicelib.domain.links import Claim, Link
from chalicelib.domain.notices import Notice
from chalicelib.ports import Notifier, Services

CLAIM_FOR = timedelta(seconds=55)
MINUTE = timedelta(minutes=1)
AT_ONCE = 20
LONGEST_WAIT = timedelta(minutes=15)
LATE = timedelta(minutes=5)
REFUSED_FOR_ITSELF = (400, 413)
"""HTTP's words for a message that will never be taken, by a notifier that may well take the next."""
TOO_MANY = 429
NEVER = (401, 403, 404, 410)
"""HTTP's words for a webhook that is gone or may not post there any more: people have to make a new one."""
PATIENCE_SECONDS = 15.0
"""A slow notifier is left for the next sweep after this long."""
GIVEN_UP_AFTER = timedelta(days=1)


def deliver(services: Services) -> str | None:
    """Send what waits, oldest first, similar messages as one. Where nobody answers the rest is left for later; what is
    refused for what it says keeps no other from being sent. Returns what failed first, or None."""
    now = services.clock.now()
    waiting = services.store.claim_notices(now=now, hold_for=CLAIM_FOR, limit=AT_ONCE)
    if not waiting:
        return None
    delivery = _Delivery(services, now)
    for group in bundles(waiting):
        delivery.tell(group)
    return delivery.failure


def _pause(tries: int) -> timedelta:
    """Twice as long after each try, up to a bound: also after thousands of them, when no timedelta holds the power."""
    doublings = min(tries, LONGEST_WAIT // MINUTE)
    return min(MINUTE * int(2**doublings), LONGEST_WAIT)


def _signed(services: Services, notice: Notice) -> Notice:
    """With the links that it offers; without, where they can't be made: a warning does not wait for them."""
    until, lease_id = notice.offers_until, notice.lease_id
    if until is None or lease_id is None:
        return notice
    try:
        links = tuple(
            Link(
                label=purpose.label,
                url=services.links.url(Claim(purpose=purpose, lease_id=lease_id, expires_at=until)),
            )
            for purpose in notice.offers
        )
    except Unavailable:
        return notice
    return replace(notice, links=links)


def trouble_after(error: Unavailable, known: Trouble | None, now: datetime) -> Trouble | None:
    """What is known of Slack once it has failed so: a message refused for itself says nothing of it."""
    status = error.extra.get("status")
    if status in REFUSED_FOR_ITSELF:
        return known
    return Trouble(
        since=known.since if known else now,
        why=error.detail,
        is_for_good=status in NEVER,
        quiet_until=now + _asked_for(error) if status == TOO_MANY else None,
    )


def _asked_for(error: Unavailable) -> timedelta:
    """How long it wants to be left alone."""
    return timedelta(seconds=float(str(error.extra.get("retry_after") or 1)))


class _Delivery:
    """One round: what it has found out about each channel so far."""

    def __init__(self, services: Services, now: datetime) -> None:
        self.failure: str | None = None
        self._services = services
        self._now = now
        self._until = services.clock.elapsed() + services.patience(PATIENCE_SECONDS)
        self._down: dict[str, Unavailable] = {}
        self._retry_after = timedelta(0)
        self._trouble = services.store.trouble() if services.notifier.is_configured else None
        quiet_until = self._trouble.quiet_until if self._trouble else None
        if quiet_until and now < quiet_until:
            self._down["Slack"] = Unavailable(
                f"Slack: left alone until {quiet_until:%H:%M:%S} UTC, as it asks"
            )
            self._retry_after = quiet_until - now

    def tell(self, group: tuple[Notice, ...]) -> None:
        """Send a group as one message, one by one where it is refused for itself; note what came of it."""
        error = self._send(group)
        if error is not None and len(group) > 1 and error.extra.get("status") in REFUSED_FOR_ITSELF:
            for notice in group:
                self.tell((notice,))
            return
        if error is not None:
            self.failure = self.failure or error.detail
        wait = max(_pause(max(notice.tries for notice in group)), self._retry_after)
        self._services.store.settle_notices(group, sent=error is None, retry_at=self._now + wait)

    def _send(self, group: tuple[Notice, ...]) -> Unavailable | None:
        """By the first channel, or by the second where that has to stand in."""
        slack, topic = self._services.notifier, self._services.topic
        message = as_one(tuple(self._shown(notice) for notice in group))
        error: Unavailable | None = None
        if slack.is_configured:
            error = self._by(slack, message)
            if error is None or not (topic.is_configured and self._is_given_up(group)):
                return error
            message = instead(message, self._trouble)
        return self._by(topic, message) if topic.is_configured else error

    def _shown(self, notice: Notice) -> Notice:
        signed = _signed(self._services, notice)
        return notices.late(signed, self._now) if self._now - notice.at >= LATE else signed

    def _is_given_up(self, group: Sequence[Notice]) -> bool:
        trouble = self._trouble
        if trouble and (trouble.is_for_good or self._now - trouble.since >= GIVEN_UP_AFTER):
            return True
        return any(self._now - notice.at >= GIVEN_UP_AFTER for notice in group)

    def _by(self, channel: Notifier, message: Notice) -> Unavailable | None:
        """What failed, if it did. A channel that is down is asked once a round."""
        is_slack = channel is self._services.notifier
        name = "Slack" if is_slack else "SNS"
        if name in self._down:
            return self._down[name]
        if self._services.clock.elapsed() > self._until:
            self._down[name] = Unavailable("too slow: the rest follows")
            return self._down[name]
        try:
            self._post(channel, message)
        except Unavailable as error:
            told = error.saying(f"{name}: {error.detail}")
            if error.extra.get("status") not in REFUSED_FOR_ITSELF:
                self._down[name] = told
            if is_slack:
                self._remember(error)
            return told
        if is_slack:
            self._remember(None)
        return None

    def _post(self, channel: Notifier, message: Notice) -> None:
        """Send; once more where the channel said how long to wait and there is time for it. Raises Unavailable."""
        try:
            channel.send(message)
        except Unavailable as error:
            if error.extra.get("status") != TOO_MANY:
                raise
            self._retry_after = _asked_for(error)
            seconds, clock = self._retry_after.total_seconds(), self._services.clock
            if clock.elapsed() + seconds >= self._until:
                raise
            clock.sleep(seconds)
            channel.send(message)
            self._retry_after = timedelta(0)

    def _remember(self, error: Unavailable | None) -> None:
        """Keep since when Slack fails, for the next rounds and for /health."""
        known = self._trouble
        trouble = trouble_after(error, known, self._now) if error is not None else None
        if trouble != known:
            self._trouble = trouble
            with suppress(Unavailable):
                self._services.store.put_trouble(trouble)
