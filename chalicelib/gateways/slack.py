"""Notices to a Slack channel: one POST to an incoming webhook.

The webhook's URL is a secret that lets anybody post, so it is in no message, no log and no traceback.
"""

from __future__ import annotations

import json
import logging
from typing import Any

import urllib3
from urllib3.exceptions import HTTPError

from chalicelib.domain.errors import Unavailable
from chalicelib.domain.notices import Notice
from chalicelib.gateways.aws import AWS_ERRORS, Aws, code_of

HEADER_LIMIT = 150
SECTION_LIMIT = 3000
TIMEOUT = urllib3.Timeout(connect=2.0, read=3.0)

logging.getLogger("urllib3").setLevel(logging.WARNING)  # its debug lines show the path, which is the secret


class SlackNotifier:
    """A Notifier for an incoming webhook, given as its URL or as the SSM parameter that holds it."""

    def __init__(self, aws: Aws, *, url: str | None = None, parameter: str | None = None) -> None:
        self._aws = aws
        self._url = url or None
        self._parameter = parameter or None
        self._http = urllib3.PoolManager(maxsize=1)

    @property
    def is_configured(self) -> bool:
        """Whether there is anywhere to send to."""
        return bool(self._url or self._parameter)

    def send(self, notice: Notice) -> None:
        """Deliver one notice within a few seconds. Raises Unavailable."""
        url = self._url = self._url or self._read_url()
        body = json.dumps(to_message(notice)).encode()
        headers = {"Content-Type": "application/json; charset=utf-8"}
        try:
            answer = self._http.request(
                "POST", url, body=body, headers=headers, timeout=TIMEOUT, retries=False, redirect=False
            )
        except (HTTPError, ValueError, OSError) as error:
            raise Unavailable(f"Slack did not answer: {type(error).__name__}") from None
        if not 200 <= answer.status < 300:  # noqa: PLR2004 (HTTP)
            raise Unavailable(f"Slack answered {answer.status}", status=answer.status)

    def _read_url(self) -> str:
        """The URL from SSM, read when it is first needed. Raises Unavailable."""
        if self._parameter is None:
            raise Unavailable("no Slack webhook is configured")
        try:
            answer = self._aws.ssm().get_parameter(Name=self._parameter, WithDecryption=True)
        except AWS_ERRORS as error:
            raise Unavailable(
                f"the Slack webhook could not be read from SSM parameter {self._parameter}: {code_of(error)}"
            ) from error
        url = (answer.get("Parameter") or {}).get("Value") or ""
        if not url:
            raise Unavailable(f"SSM parameter {self._parameter} is empty")
        return url


def to_message(notice: Notice) -> dict[str, Any]:
    """The notice in Slack's Block Kit, with plain text for where blocks are not shown."""
    context = [notice.kind.value, f"{notice.at:%Y-%m-%d %H:%M} UTC"]
    context += [f"lease {notice.lease_id}"] if notice.lease_id else []
    blocks: list[dict[str, Any]] = [
        {"type": "header", "text": {"type": "plain_text", "text": _fit(notice.title, HEADER_LIMIT)}}
    ]
    text = "\n".join(
        [notice.title, *notice.lines] if len(_escaped(notice.title)) > HEADER_LIMIT else notice.lines
    )
    if text.strip():
        blocks.append({"type": "section", "text": {"type": "mrkdwn", "text": _fit(text, SECTION_LIMIT)}})
    blocks.append(
        {
            "type": "context",
            "elements": [{"type": "mrkdwn", "text": _fit(" · ".join(context), SECTION_LIMIT)}],
        }
    )
    return {"text": _fit(notice.title, SECTION_LIMIT), "blocks": blocks}


def _escaped(text: str) -> str:
    """Slack's three control characters, so that a tag's value can't mention a channel."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _fit(text: str, limit: int) -> str:
    """Escaped, and cut where it would not fit, never inside an escape."""
    if len(_escaped(text)) <= limit:
        return _escaped(text)
    used, kept = 1, []
    for char in text:
        used += len(_escaped(char))
        if used > limit:
            break
        kept.append(_escaped(char))
    return "".join(kept) + "…"
