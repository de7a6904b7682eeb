"""The two ways a call can go wrong.

LocalAwsError            somebody used localaws itself wrongly; the text says how to mend it
  RequestError           ... over HTTP, under /_world: names the field and carries the HTTP status
AwsError                 an error that AWS would answer, with AWS's own code
"""

from __future__ import annotations

from typing import Any


class LocalAwsError(Exception):
    """A mistake in using localaws, told in one line."""


class RequestError(LocalAwsError):
    """A `/_world` request that can't be done; `field` is the part of the request to change."""

    def __init__(self, detail: str, *, field: str | None = None, status: int = 422) -> None:
        super().__init__(detail)
        self.detail = detail
        self.field = field
        self.status = status


class AwsError(Exception):
    """What AWS answers instead of a result; `extra` joins the body of JSON protocols."""

    def __init__(
        self, code: str, message: str, *, status: int = 400, extra: dict[str, Any] | None = None
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status
        self.extra = extra or {}
