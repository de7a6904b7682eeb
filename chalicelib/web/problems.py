"""Every way a request can fail, as RFC 9457 problem+json; docs/problems.md says what each slug means.

The domain's errors carry their slug; those that only HTTP knows stand here. A detail is a sentence for a person.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from chalicelib.domain.errors import (
    CurfewError,
    Forged,
    Gone,
    InFlight,
    NotFound,
    PreconditionFailed,
    Refused,
    Unavailable,
)
from chalicelib.web.encode import plain

MEDIA_TYPE = "application/problem+json"

TITLES: Mapping[str, str] = {
    "bad-cursor": "This cursor belongs to no page of this list",
    "bad-address": "This is no address that ports can be opened to",
    "bad-link": "This is no link of Curfew's",
    "bad-key": "This is no public key that EC2 takes",
    "bad-json": "The body is not JSON",
    "bad-request": "API Gateway refused this",
    "body-too-large": "The body is too large",
    "budget-exceeded": "A budget has no room for this",
    "budget-fixed": "A budget's period and scope can't change",
    "budget-too-small": "budget_usd is too small for this",
    "controller": "What would start it again can't be stopped yet",
    "dry-run": "Curfew only rehearses here",
    "forbidden": "Your token's role does not do for this",
    "heartbeat-foreign": "This box is not known as one of its lease",
    "heartbeat-forged": "This heartbeat is not signed as it has to be",
    "heartbeat-late": "This heartbeat was sent at another time than now",
    "heartbeat-replayed": "This heartbeat has been here before",
    "hourly-limit": "The account's limit per hour has no room for this",
    "idempotency-key-reused": "This Idempotency-Key was used for something else",
    "idle-looser": "idle may only tighten the policy",
    "image-architecture": "The image is for other processors",
    "image-in-use": "This image is needed still",
    "image-name-taken": "There is an image of that name already",
    "image-refused": "EC2 does not save this box now",
    "image-not-found": "The region has no such image",
    "in-flight": "The same call is going on",
    "internal-error": "Curfew made a mistake",
    "invalid": "The request says something it can't say",
    "key-exists": "A key pair of that name is there already",
    "key-not-found": "The region has no such key pair",
    "launch-lost": "The launch was cut off, and nothing of it has shown up",
    "launch-refused": "EC2 refused the launch",
    "launches-stopped": "A budget has stopped launches",
    "lease-limit": "The policy's lease limits forbid this",
    "lease-over": "The lease is no longer active",
    "link-expired": "This link's time is over",
    "method-not-allowed": "This path does not take that method",
    "no-default-vpc": "The region has no network for a launch that names none",
    "no-answer": "Curfew gave no answer in time",
    "no-capacity": "EC2 has no capacity for this now",
    "no-such-gpu": "No type has these GPUs",
    "not-configured": "Curfew is not set up",
    "not-found": "There is no such thing",
    "partition-not-supported": "Curfew does not work in this part of AWS",
    "open-to-world": "This would open ports to everybody",
    "precondition-failed": "It changed since you read it",
    "price-too-low": "Spot costs more than the price cap",
    "price-unknown": "No price is known for this",
    "region-denied": "AWS denies this region",
    "refused": "This can't be done now",
    "service-linked-role": "The account lacks a role that EC2 needs for spot",
    "secret-shown-once": "This was done, and its secret can't be told again",
    "security-group-differs": "A security group of that name says something else",
    "security-group-in-use": "Something uses this security group",
    "security-group-not-found": "The launch's network has no such security group",
    "security-group-refused": "EC2 refused this of a security group",
    "shared-lease": "It runs under one lease with others",
    "spot-quota": "The account's spot quota has no room for this",
    "stale": "Somebody else changed it first",
    "subnet-not-found": "The region has no such subnet",
    "sync-refused": "This data can't be brought to a box, or away from it",
    "token-unhashed": "The token's hash was sent, or the token deployed in its place",
    "too-many-periods": "It falls into too many budget periods at once",
    "too-many-requests": "Too many calls at once",
    "transfer-incomplete": "Parts of this upload are missing",
    "transfers-off": "Curfew has no bucket for files",
    "unauthorized": "A valid token is needed",
    "unavailable": "A service Curfew rests on did not answer",
    "unsupported-media-type": "The body has to be JSON",
    "user-data-too-large": "The user data and the deadline are too long together",
    "user-data-unreadable": "The user data is no MIME message, though it begins as one",
    "volume-too-small": "The volume is smaller than the image",
    "webhook-gone": "Slack's webhook is gone",
}


class WebError(CurfewError):
    """A request that fails before any use case is asked. `status` is HTTP's."""

    status = HTTPStatus.INTERNAL_SERVER_ERROR
    headers: Mapping[str, str] = {}


class Unauthorized(WebError):
    """No token, or one that is not known."""

    slug = "unauthorized"
    status = HTTPStatus.UNAUTHORIZED
    headers: Mapping[str, str] = {"WWW-Authenticate": 'Bearer realm="curfew"'}


class Forbidden(WebError):
    """A valid token, of a role that is not let in here."""

    slug = "forbidden"
    status = HTTPStatus.FORBIDDEN


class BadJson(WebError):
    """A body that can't be read as a JSON object."""

    slug = "bad-json"
    status = HTTPStatus.BAD_REQUEST


class BodyTooLarge(WebError):
    """A body that no call needs: it is not even parsed."""

    slug = "body-too-large"
    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE


class UnsupportedMediaType(WebError):
    """A body that says it is something else than JSON."""

    slug = "unsupported-media-type"
    status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE


class MethodNotAllowed(WebError):
    """The path exists and does not take this method."""

    slug = "method-not-allowed"
    status = HTTPStatus.METHOD_NOT_ALLOWED


class Invalid(WebError):
    """What the schema forbids; `errors` has an entry for each bad field."""

    slug = "invalid"
    status = HTTPStatus.UNPROCESSABLE_ENTITY

    def __init__(self, errors: Sequence[tuple[str, str]]) -> None:
        names = ", ".join(dict.fromkeys(name for name, _ in errors))
        super().__init__(
            f"nothing was done: {names} can't be accepted as sent; errors says why, and what would be",
            errors=[{"field": name, "detail": detail} for name, detail in errors],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """What goes over the wire."""

    status: int
    body: Mapping[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)


def problem_of(error: CurfewError) -> Problem:
    """The document of an expected error."""
    status = _status(error)
    return Problem(
        status=status,
        headers=_headers(error),
        body={**plain(error.extra), **_members(error.slug, status, error.detail)},
    )


def problem_of_unexpected(request_id: str | None) -> Problem:
    """The document of a mistake of ours: no internals, and where to look."""
    detail = (
        "Curfew failed by its own mistake. What was launched stays held and leased, and sweeps go on; "
        "look at GET /leases before you try again"
    )
    body = _members("internal-error", HTTPStatus.INTERNAL_SERVER_ERROR, detail)
    return Problem(status=HTTPStatus.INTERNAL_SERVER_ERROR, body={"request_id": request_id, **body})


def problem_of_settings(request_id: str | None) -> Problem:
    """The document of a deployment that lacks a setting; the log names it."""
    detail = "Curfew is not set up: a setting is missing or wrong, and its log says which. It launches and ends nothing"
    body = _members("not-configured", HTTPStatus.INTERNAL_SERVER_ERROR, detail)
    return Problem(status=HTTPStatus.INTERNAL_SERVER_ERROR, body={"request_id": request_id, **body})


def unknown_path(path: str) -> Problem:
    """The document for a path without a route, for servers that answer those themselves."""
    return problem_of(
        NotFound(f"there is nothing at {path}; nothing was done. GET /openapi.json lists every path")
    )


def _headers(error: CurfewError) -> Mapping[str, str]:
    match error:
        case WebError():
            return error.headers
        case InFlight():
            return {"Retry-After": str(error.retry_after_seconds)}
        case _:
            return {}


def _members(slug: str, status: int, detail: str) -> dict[str, Any]:
    title = TITLES.get(slug, slug.replace("-", " "))
    return {"type": f"/problems/{slug}", "title": title, "status": int(status), "detail": detail}


def _status(error: CurfewError) -> int:
    match error:
        case WebError():
            return error.status
        case NotFound():
            return HTTPStatus.NOT_FOUND
        case Forged():
            return HTTPStatus.UNAUTHORIZED
        case Gone():
            return HTTPStatus.GONE
        case PreconditionFailed():
            return HTTPStatus.PRECONDITION_FAILED
        case Refused():
            return HTTPStatus.CONFLICT
        case Unavailable():
            return HTTPStatus.SERVICE_UNAVAILABLE
        case _:
            return HTTPStatus.INTERNAL_SERVER_ERROR
