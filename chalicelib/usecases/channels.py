"""Whether anybody can be told: a test message through each channel, now."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime

from chalicelib.domain.errors import Unavailable
from chalicelib.domain.notices import Kind, Notice
from chalicelib.ports import Services
from chalicelib.usecases.deliver import trouble_after

NEW_WEBHOOK = (
    "make a new incoming webhook (Slack: the app's settings, Incoming Webhooks) and deploy with SlackWebhookUrl, or "
    "put it into the parameter that SlackWebhookParameter names"
)
FIXES: Mapping[object, str] = {
    **dict.fromkeys((401, 403, 404, 410), NEW_WEBHOOK),
    **dict.fromkeys((400, 413), "the URL takes no Slack messages: check that it is an incoming webhook's"),
    429: "wait: Slack takes one message a second",
}
ELSE = {
    "slack": "check that the function reaches the webhook, and https://slack-status.com",
    "sns": "check that the topic of AlarmTopicArn exists and that the function may publish to it",
}
SET_UP = {
    "slack": "deploy with the parameter SlackWebhookUrl or SlackWebhookParameter, see docs/deploy.md",
    "sns": "deploy with the parameter AlarmTopicArn, see docs/deploy.md",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelReport:
    """How a channel took a message: `why` it did not, the `fix`, and the problem that it is where it has a name."""

    channel: str
    configured: bool
    ok: bool
    why: str | None = None
    fix: str | None = None
    slug: str | None = None


def try_channels(services: Services) -> tuple[ChannelReport, ...]:
    """Send a message through every channel that is set up, past the outbox, and say what came of it."""
    now = services.clock.now()
    told = Notice(
        id=f"test:{now:%Y%m%dT%H%M%S%f}",
        kind=Kind.TEST,
        at=now,
        title="A test message from Curfew",
        lines=("Whoever reads this is warned before a box ends. There is nothing to do.",),
    )
    return _test("slack", services, told), _test("sns", services, told)


def _test(name: str, services: Services, told: Notice) -> ChannelReport:
    channel = services.notifier if name == "slack" else services.topic
    if not channel.is_configured:
        return ChannelReport(
            channel=name, configured=False, ok=False, why="it is not set up", fix=SET_UP[name]
        )
    failure: Unavailable | None = None
    try:
        channel.send(told)
    except Unavailable as error:
        failure = error
    if name == "slack":
        _remember(services, failure, told.at)
    if failure is None:
        return ChannelReport(channel=name, configured=True, ok=True)
    fix = FIXES.get(failure.extra.get("status"), ELSE[name])
    report = ChannelReport(channel=name, configured=True, ok=False, why=failure.detail, fix=fix)
    return replace(report, slug="webhook-gone") if fix == NEW_WEBHOOK else report


def _remember(services: Services, failure: Unavailable | None, now: datetime) -> None:
    """What deliveries and /health go by: a webhook that is gone is named at once, one that works no more."""
    with suppress(Unavailable):
        known = services.store.trouble() if failure else None
        services.store.put_trouble(trouble_after(failure, known, now) if failure else None)
