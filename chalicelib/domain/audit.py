"""The audit trail: who changed what, when, and what came of it."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One call that changes something. `status` is HTTP's, None while its outcome is not written: the call was cut off,
    or the table did not take it. What was sent is in none of it.

    `path` is the route's, with its parameters named; `subject` what they were, or what came of the call. `owner` is
    who called, `link` for whoever used a warning's link.
    """

    id: str
    at: datetime
    owner: str
    role: str
    token_id: str | None
    method: str
    path: str
    subject: str | None = None
    status: int | None = None
    problem: str | None = None
    request_id: str | None = None
