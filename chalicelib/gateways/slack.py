"""Notices to a Slack channel: one POST to an incoming webhook.

The webhook's URL is a secret that lets anybody post, so it is in no message, no log and no traceback.
"""

from __future__ import annotations

import json
import logging
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import urllib3
from urllib3.exceptions import HTTPError

from chalicelib.domain.errors import Unavailable
from chalicelib.domain.notices import Notice
from chalicelib.gateways.aws import AWS_ERRORS, Aws, code_of
from chalicelib.gateways.clock import SystemClock
from chalicelib.gateways.slack_blocks import to_message, to_text
from chalicelib.ports import Clock

if TYPE_CHECKING:
    from urllib3.response import BaseHTTPResponse  # urllib3 1.26, which some runtimes bring, has none

TIMEOUT = urllib3.Timeout(connect=2.0, read=3.0)
PAUSE = timedelta(seconds=1)
TOO_MANY = 429
LONGEST_PAUSE = 3600.0
UNREADABLE = (400, 413)
WHY = {
    401: "the webhook is not known any more",
    403: "the webhook may not post there: an admin of the workspace has restricted it, or it was revoked",
    404: "the webhook is gone: it was revoked, or its channel was deleted",
    410: "the webhook's channel is archived",
}

logging.getLogger("urllib3").setLevel(logging.WARNING)  # its debug lines show the path, which is the secret


class SlackNotifier:
    """A Notifier for an incoming webhook, given as its URL or as the SSM parameter that holds it."""

    def __init__(
        self, aws: Aws, *, url: str | None = None, parameter: str | None = None, clock: Clock | None = None
    ) -> None:
        self._aws = aws
        self._clock = clock or SystemClock()
        self._posted_at: datetime | None = None
        self._url = url or None
        self._parameter = parameter or None
        self._http = urllib3.PoolManager(maxsize=1)

    @property
    def is_configured(self) -> bool:
        """Whether there is anywhere to send to."""
        return bool(self._url or self._parameter)

    def send(self, notice: Notice) -> None:
        """Deliver one notice within a few seconds; as plain text where Slack can't read its blocks. Raises Unavailable:
        `status` is Slack's, `retry_after` the seconds that it asks to be left alone for."""
        answer = self._post(to_message(notice))
        if answer.status in UNREADABLE:
            answer = self._post(to_text(notice))
        if 200 <= answer.status < 300:  # noqa: PLR2004 (HTTP)
            return
        why = f": {WHY[answer.status]}" if answer.status in WHY else ""
        if why and self._parameter:
            self._url = None  # somebody puts a new one there: it is read anew, with no new container
        told = f"Slack answered {answer.status}{why}"
        if answer.status == TOO_MANY:
            raise Unavailable(told, status=answer.status, retry_after=_pause(answer))
        raise Unavailable(told, status=answer.status)

    def _post(self, message: dict[str, Any]) -> BaseHTTPResponse:
        url = self._url = self._url or self._read_url()
        self._keep_pace()
        headers = {"Content-Type": "application/json; charset=utf-8"}
        try:
            return self._http.request(
                "POST",
                url,
                body=json.dumps(message).encode(),
                headers=headers,
                timeout=TIMEOUT,
                retries=False,
                redirect=False,
            )
        except (HTTPError, ValueError, OSError) as error:
            raise Unavailable(f"Slack did not answer: {type(error).__name__}") from None

    def _keep_pace(self) -> None:
        """Slack takes one message a second of a webhook."""
        waited = self._clock.now() - self._posted_at if self._posted_at else PAUSE
        if timedelta(0) <= waited < PAUSE:
            self._clock.sleep((PAUSE - waited).total_seconds())
        self._posted_at = self._clock.now()

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


def _pause(answer: BaseHTTPResponse) -> float:
    """How long Slack wants to be left alone: seconds, as it says; a second where it says nothing that is one."""
    told = answer.headers.get("Retry-After", "")
    return min(float(told), LONGEST_PAUSE) if told.isdigit() else 1.0
