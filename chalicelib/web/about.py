"""What an endpoint says of itself: what it takes, what it answers, and with which statuses."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from chalicelib.domain.tokens import Needs


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """A request header that a route reads beside its token. `is_http`: one that HTTP itself has for every resource,
    told of in words: as a parameter whose every value fits, what it refuses (412) would be no answer to it."""

    name: str
    description: str
    pattern: str | None = None
    is_http: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Says:
    """What a route's author tells of its answers. `answers`: status → its type, None where the body is empty.
    `refusals`: statuses of problems beside those that every route may answer. `has_pages`: it answers a page to whoever
    accepts text/html. `has_tag`: it answers with an ETag."""

    answers: Mapping[int, Any] = field(default_factory=dict)
    refusals: tuple[int, ...] = ()
    headers: tuple[Header, ...] = ()
    example: Mapping[str, Any] | None = None
    has_pages: bool = False
    has_tag: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """One operation, as the door serves it."""

    name: str
    promise: str
    body: type[BaseModel]
    query: type[BaseModel]
    needs: Needs
    is_public: bool
    says: Says

    def takes_key(self, method: str) -> bool:
        """Whether a call with an Idempotency-Key is made once. A box's reports and a warning's link have their own way
        to bear a repeat."""
        return method == "POST" and not self.is_public

    def has_no_tag(self, method: str) -> bool:
        """Whether this changes what has no ETag: nothing of it is as an If-Match says, but for `*`."""
        return method in {"PUT", "PATCH", "DELETE"} and IF_MATCH not in self.says.headers

    def all_headers(self, method: str) -> tuple[Header, ...]:
        """What the route says that it reads, and the key of a call."""
        return (*self.says.headers, *((IDEMPOTENCY_KEY,) if self.takes_key(method) else ()))


def describe(endpoint: Callable[..., Any], about: About) -> None:
    """Write on an endpoint what it says of itself."""
    vars(endpoint)["about"] = about


def about_of(endpoint: Callable[..., Any]) -> About:
    """What `describe` wrote. Raises KeyError for what is no endpoint of the door's."""
    about: About = vars(endpoint)["about"]
    return about


NOTHING = Says()

IDEMPOTENCY_KEY = Header(
    name="Idempotency-Key",
    description="any text of your own, such as a UUID: within 24 h the same call with the same key is done once, and "
    "answered as it was the first time; another body is refused with 409",
    pattern=r"^[!-~]([ -~]{0,253}[!-~])?$",
)
IF_MATCH = Header(
    name="If-Match",
    description="the ETag of what is changed: refused with 412 where somebody has changed it since",
    is_http=True,
)
IF_NONE_MATCH = Header(
    name="If-None-Match",
    description="an ETag: answered with 304 while that is still what stands",
)
SIGNATURE = Header(
    name="Curfew-Signature",
    description="the HMAC-SHA256, in hex, of the body's bytes by the lease's key",
    pattern=r"^[0-9a-f]{64}$",
)
LAUNCH: Mapping[str, Any] = {
    "instance_types": ["g4dn.xlarge"],
    "image": "ami-0abcdef1234567890",
    "hours": 8,
    "budget_usd": "5",
    "project": "resnet",
    "dry_run": True,
}
