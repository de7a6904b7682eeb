"""Notices to an SNS topic, as plain text: for whoever has subscribed to it, by mail for instance."""

from __future__ import annotations

import re
from typing import Any

from chalicelib.domain.errors import Unavailable
from chalicelib.domain.notices import Notice
from chalicelib.gateways.aws import AWS_ERRORS, HURRIED, Aws, code_of

SUBJECT_LIMIT = 99
"""SNS takes fewer than 100 characters of printable ASCII."""
BODY_LIMIT = 60_000
"""SNS takes 256 KB in all; a character has four bytes at most."""


class SnsNotifier:
    """A Notifier for the topic of an ARN; None: none is set."""

    def __init__(self, aws: Aws, *, topic_arn: str | None) -> None:
        self._aws = aws
        self._topic_arn = topic_arn

    @property
    def is_configured(self) -> bool:
        """Whether there is a topic."""
        return bool(self._topic_arn)

    def send(self, notice: Notice) -> None:
        """Publish one notice. Raises Unavailable."""
        arn = self._topic_arn
        if not arn:
            raise Unavailable("no SNS topic is configured")
        region = arn.split(":")[3] if arn.count(":") > 4 else ""  # noqa: PLR2004 (an ARN's)
        client: Any = self._aws.client("sns", region or self._aws.home_region, HURRIED)
        try:
            client.publish(TopicArn=arn, Subject=subject(notice), Message=body(notice))
        except AWS_ERRORS as error:
            raise Unavailable(f"SNS answered {code_of(error)}") from error


def subject(notice: Notice) -> str:
    """The title as a mail's subject: printable ASCII, cut where SNS would refuse it."""
    text = re.sub(r"[^\x20-\x7e]+", "?", f"Curfew: {notice.title}")
    return text if len(text) <= SUBJECT_LIMIT else f"{text[: SUBJECT_LIMIT - 3]}..."


def body(notice: Notice) -> str:
    """Everything the notice says, its links with their addresses."""
    told = [notice.title, *notice.lines, *(f"{link.label}: {link.url}" for link in notice.links)]
    for part in notice.parts:
        told += ["", body(part)]
    text = "\n".join(told)
    return text if len(text) <= BODY_LIMIT else f"{text[: BODY_LIMIT - 1]}…"
