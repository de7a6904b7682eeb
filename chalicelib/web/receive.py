"""Reading a request: JSON whatever `curl -d` calls it, decimals without a detour over floats, a query's keys once."""

import json
import re
from decimal import Decimal
from typing import Any, NoReturn, TypeVar

from chalice.app import Request
from pydantic import BaseModel, ValidationError

from chalicelib.domain.errors import PreconditionFailed
from chalicelib.domain.preconditions import IfMatch
from chalicelib.web.invalid import WHOLE, invalid_from
from chalicelib.web.problems import BadJson, BodyTooLarge, Invalid, UnsupportedMediaType

M = TypeVar("M", bound=BaseModel)
MOST_DIGITS = 20
"""No field takes a number with more before its point."""

MOST_BYTES = 128 * 1024
"""Of a body: user data of 16 KB with every letter escaped fits. Parsing megabytes would cost seconds, and two routes
take bodies from anybody."""

_JSON_ENOUGH = re.compile(
    r"application/([\w.-]+\+)?json|text/(json|plain)|application/(x-www-form-urlencoded|octet-stream)|\*/\*"
)
_TAG = re.compile(r'(?:^|,)\s*"?([^\s",/]+)"?\s*(?=,|$)')
_ANY_TAG = re.compile(r'(?:W/)?"?[^\s",/]+"?')
_KEY = re.compile(r"[\x21-\x7e]([\x20-\x7e]{0,253}[\x21-\x7e])?")


def body(request: Request, model: type[M]) -> M:
    """The body as the model has it; no body at all is an empty object. Raises BodyTooLarge, BadJson, Invalid."""
    raw = raw_body(request)
    if len(raw) > MOST_BYTES:
        raise BodyTooLarge(
            f"the body has {len(raw)} bytes, no call takes more than {MOST_BYTES}; nothing was done"
        )
    if not raw.strip():
        return _checked(model, {})
    media_type = str(request.headers.get("content-type", "*/*")).partition(";")[0].strip().lower()
    if not _JSON_ENOUGH.fullmatch(media_type):
        raise UnsupportedMediaType(
            f"the body is called {media_type}; nothing was done. Send JSON with Content-Type: application/json"
        )
    return _checked(model, _parsed(raw))


def raw_body(request: Request) -> bytes:
    """The bytes of the body as they were sent."""
    return request.raw_body.encode() if isinstance(request.raw_body, str) else bytes(request.raw_body or b"")


def source_ip(request: Request) -> str | None:
    """The address of whoever opened the connection; no header can say another."""
    identity = (request.context or {}).get("identity") or {}
    return identity.get("sourceIp") or None


def query(request: Request, model: type[M]) -> M:
    """The query as the model has it. A key that comes twice is refused: which of both was meant?"""
    sent = request.query_params
    if sent is None:
        return _checked(model, {})
    twice = [key for key in sent if len(sent.getlist(key)) > 1]
    if twice:
        raise Invalid([(key, "has to be given once in the query") for key in twice])
    return _checked(model, dict(sent))


def idempotency_key(request_headers: Any) -> str | None:
    """The Idempotency-Key header, if there is one. Raises Invalid."""
    key = request_headers.get("idempotency-key")
    if key is not None and not _KEY.fullmatch(key):
        raise Invalid([("Idempotency-Key", "has to be 1 to 255 printable ASCII characters, such as a UUID")])
    return None if key is None else str(key)


def if_match(request_headers: Any) -> IfMatch | None:
    """What a change is to be made over; None: whatever there is. A weak tag is none (RFC 9110, 8.8.3.2: strong
    comparison); one whose quotes a shell has eaten is taken for what it was."""
    sent = request_headers.get("if-match")
    if sent is None:
        return None
    return IfMatch(None if sent.strip() == "*" else frozenset(_TAG.findall(sent)))


def over_nothing(request: Request) -> None:
    """Raises PreconditionFailed where something without an ETag is to be changed over one: a condition that is passed
    over would end a box that its sender meant to spare."""
    over = if_match(request.headers)
    if over and over.tags is not None:
        raise PreconditionFailed(
            f"nothing at {request.path} has an ETag, so none is as If-Match says; nothing was done, and what runs goes "
            "on and bills. Leave If-Match out; leases, budgets and the policy have ETags"
        )


def is_as_known(request_headers: Any, tag: str) -> bool:
    """Whether whoever asks has this state already, as If-None-Match says by weak comparison (RFC 9110, 13.1.2)."""
    sent = request_headers.get("if-none-match", "")
    return sent.strip() == "*" or tag in [one.removeprefix("W/").strip('"') for one in _ANY_TAG.findall(sent)]


def _checked(model: type[M], sent: Any) -> M:
    try:
        return model.model_validate(sent)
    except ValidationError as error:
        raise invalid_from(error, model=model) from error


def _parsed(raw: bytes) -> Any:
    try:
        document = json.loads(
            raw, parse_float=_figure, parse_constant=_refuse_constant, object_pairs_hook=_each_key_once
        )
        json.dumps(document, default=str, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise BadJson(
            f"the body can't be read as JSON ({_short(error)}); nothing was done. Send one object with its keys and "
            'strings in double quotes and no comma after the last, such as {"hours": 4}'
        ) from error
    if not isinstance(document, dict):
        raise Invalid([(WHOLE, "has to be a JSON object")])
    return document


def _figure(text: str) -> Decimal | int:
    """8.0 is the whole number 8, as JSON Schema has it."""
    figure = Decimal(text)
    is_short = figure.adjusted() < MOST_DIGITS
    return int(figure) if is_short and figure == figure.to_integral_value() else figure


def _each_key_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """JSON leaves open which of two counts: whoever sends `dry_run` as true and as false is not launched for."""
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"{name[:80]!r} comes twice in one object")
        found[name] = value
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def _short(error: Exception) -> str:
    return "it is nested too deeply" if isinstance(error, RecursionError) else str(error)[:200]
