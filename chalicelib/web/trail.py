"""The audit trail at the door: each change is noted before it is made, and again with what came of it.

So one that was cut off stands there too, without an outcome. Nothing waits for the trail for more than a second each
time (three where the table hangs), and nothing is refused where it fails: what it could not keep is a line of the log.
"""

from collections.abc import Callable
from dataclasses import replace
from uuid import uuid4

from chalice.app import Request, Response

from chalicelib.domain.audit import Change
from chalicelib.domain.tokens import Caller
from chalicelib.ports import Services
from chalicelib.web import logs
from chalicelib.web.encode import plain

BY_LINK = "link"
"""Who, where a link of a warning was all that somebody had."""
LONGEST = 255
"""Letters of an id."""
CHANGES_NOTHING = frozenset({"GET", "HEAD", "OPTIONS"})


class Trail:
    """One call's part of it. On a public route, where strangers call, only what was done is noted: a call whose answer
    names its `subject`."""

    def __init__(self, services: Callable[[], Services], request: Request, *, is_public: bool) -> None:
        self._services = services
        self._request = request
        self._is_public = is_public
        self._change: Change | None = None

    def begin(self, caller: Caller | None) -> None:
        """Note who is about to change what."""
        request = self._request
        if request.method in CHANGES_NOTHING or (caller is None and not self._is_public):
            return
        self._change = Change(
            id=uuid4().hex[:16],
            at=self._services().clock.now(),
            owner=caller.owner if caller else BY_LINK,
            role=caller.role if caller else BY_LINK,
            token_id=caller.token_id if caller else None,
            method=request.method,
            path=request.path,
            subject=None if self._is_public else _named(request),
            request_id=getattr(request.lambda_context, "aws_request_id", None),
        )
        if not self._is_public:
            self._note(self._change)

    def settle(self, response: Response, *, problem: str | None, subject: str | None) -> None:
        """Note what came of it. `subject`: what the answer says it was about."""
        if self._change is None or (self._is_public and subject is None):
            return
        made = str(response.headers.get("Location", "")).rpartition("/")[2] or None
        self._note(
            replace(
                self._change,
                subject=subject or self._change.subject or made,
                status=int(response.status_code),
                problem=problem,
            )
        )

    def _note(self, change: Change) -> None:
        try:
            self._services().audit.note(change)
        except Exception as error:  # noqa: BLE001 (no change, least of all an end, fails for its being noted)
            logs.line("audit", is_kept=False, why=str(error), change=plain(change))


def _named(request: Request) -> str | None:
    """What the path's parameters were; somebody may send a whole token where its id belongs."""
    told = "/".join(str(value)[:LONGEST] for value in (request.uri_params or {}).values())
    return logs.struck(told) or None
