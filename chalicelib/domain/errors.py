"""Every way a caller's wish can fail, as exceptions that the web layer turns into problem+json.

CurfewError
├── NotFound            404  the id names nothing
├── Forged              401  signed with another key than its own
├── Gone                410  a link whose time is over
├── PreconditionFailed  412  it is no longer as If-Match says: somebody has changed it since
├── Refused             409  state, policy or AWS forbids it; carries its slug
│   ├── BudgetExceeded       the hold does not fit into a budget
│   ├── NoCapacity           every type and zone was tried
│   ├── InFlight             the same call is going on: its answer can be asked for in some seconds
│   └── Stale                somebody else changed it first: read again, try again
└── Unavailable         503  a service Curfew rests on did not answer; it says what may have changed

Each message is a sentence for a person: what is wrong, what happens to the money, how to mend it.
"""

from collections.abc import Mapping


class CurfewError(Exception):
    """The root: `slug` names the problem type, `extra` holds members for the problem document."""

    slug = "error"

    def __init__(self, detail: str, *, slug: str | None = None, **extra: object) -> None:
        super().__init__(detail)
        self.detail = detail
        self.slug = slug or type(self).slug
        self.extra: Mapping[str, object] = extra


class NotFound(CurfewError):
    """The id names nothing that Curfew or EC2 knows."""

    slug = "not-found"


class Gone(CurfewError):
    """A link that worked once, and whose time is over."""

    slug = "link-expired"


class Forged(CurfewError):
    """What was sent is not signed with the key that it needs; nothing was done."""

    slug = "heartbeat-forged"


class PreconditionFailed(CurfewError):
    """If-Match names another state than the one in force; nothing was changed."""

    slug = "precondition-failed"


class Refused(CurfewError):
    """What was asked is well-formed, but state, policy or AWS forbids it."""

    slug = "refused"


class BudgetExceeded(Refused):
    """A budget has no room for the hold; nothing was launched and nothing is held."""

    slug = "budget-exceeded"


class NoCapacity(Refused):
    """EC2 had no capacity in any type and zone that was tried; nothing runs and nothing is held."""

    slug = "no-capacity"


class Stale(Refused):
    """The record changed between reading and writing; nothing was written."""

    slug = "stale"


class InFlight(Refused):
    """The same call, under the same Idempotency-Key, is being made; nothing more was done."""

    slug = "in-flight"

    def __init__(self, detail: str, *, retry_after_seconds: int) -> None:
        super().__init__(detail, retry_after_seconds=retry_after_seconds)
        self.retry_after_seconds = retry_after_seconds


class Unavailable(CurfewError):
    """A service Curfew rests on did not answer."""

    slug = "unavailable"

    def saying(self, detail: str, **members: object) -> "Unavailable":
        """The same failure, told with what it means for who asked."""
        told = Unavailable(detail)
        told.extra = {**self.extra, **members}
        return told
