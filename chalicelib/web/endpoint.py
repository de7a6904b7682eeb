"""The door every route goes through: who calls, what is sent, what comes back, and every way it can fail.

One decorator does all of it, because Chalice's middleware never sees an exception that escapes a view. A view gets a
`Call` and gives an `Answer`; whatever it raises becomes problem+json.
"""

import json
import re
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from functools import wraps
from http import HTTPStatus
from typing import Concatenate, Generic, ParamSpec, TypeVar
from urllib.parse import unquote

from chalice.app import Chalice, Request, Response
from pydantic import BaseModel

from chalicelib.domain.errors import CurfewError, NotFound
from chalicelib.domain.tokens import Caller, Needs
from chalicelib.ports import Services
from chalicelib.settings import Settings, SettingsError
from chalicelib.usecases import once as calls
from chalicelib.usecases import regions
from chalicelib.web import logs, metering, once, receive
from chalicelib.web.about import NOTHING, About, Says, describe
from chalicelib.web.auth import HOW, Gate, admit
from chalicelib.web.encode import JsonValue, plain
from chalicelib.web.problems import (
    MEDIA_TYPE,
    MethodNotAllowed,
    Problem,
    Unauthorized,
    problem_of,
    problem_of_settings,
    problem_of_unexpected,
)
from chalicelib.web.trail import Trail

B = TypeVar("B", bound=BaseModel)
Q = TypeVar("Q", bound=BaseModel)
P = ParamSpec("P")

ANSWER_SECONDS = 22.0
"""After so long nothing more is waited for: with the last writes a call stays under 25 s, and API Gateway gives 29."""

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@=+-]{0,254}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(Generic[B, Q]):
    """One request, checked. `caller` is None only where a route is public and no token came."""

    services: Services
    settings: Settings
    caller: Caller | None
    body: B
    query: Q
    headers: Mapping[str, str]
    raw: bytes = b""
    """The body's own bytes, for what is signed."""
    source_ip: str | None = None
    """The address that it came from, as API Gateway saw it."""

    @property
    def owner(self) -> str:
        """Who answers for what this call starts."""
        if self.caller is None:
            raise Unauthorized("this call needs an Authorization: Bearer <token> header")
        return self.caller.owner

    @property
    def only(self) -> str | None:
        """The owner whose things alone this call may show and touch: a launcher's own. None: everybody's."""
        return self.caller.only if self.caller else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a view gives back: any value that `plain` knows, or a page where `headers` call it `text/html`."""

    body: object = None
    status: int = HTTPStatus.OK
    headers: Mapping[str, str] = field(default_factory=dict)
    subject: str | None = None
    """What the audit trail says that the call was about, where the path does not name it."""
    secrets: tuple[str, ...] = ()
    """Members of the body that are in this answer alone: no repeat under an Idempotency-Key has them."""
    is_kept: bool = True
    """Whether such a repeat is answered with it. Not where the view itself knows what has become of the first call."""


class Door:
    """Makes endpoints of views. Tests put their own services and settings in."""

    def __init__(
        self, app: Chalice, *, services: Callable[[], Services], settings: Callable[[], Settings]
    ) -> None:
        self._app = app
        self.services = services
        self.settings = settings
        self.gate = Gate()

    def endpoint(
        self,
        *,
        body: type[B],
        query: type[Q],
        needs: Needs = Needs.ADMIN,
        is_public: bool = False,
        says: Says = NOTHING,
        refused: Callable[[Problem, Request], Answer | None] = lambda _problem, _request: None,
    ) -> Callable[[Callable[Concatenate[Call[B, Q], P], Answer]], Callable[P, Response]]:
        """Wrap a view that takes this body and query; without `is_public` it needs a token of a role that
        `needs` admits. `refused` may say how a
        problem looks to whoever called. What it `says` of its answers stands in GET /openapi.json."""

        def decorate(view: Callable[Concatenate[Call[B, Q], P], Answer]) -> Callable[P, Response]:
            about = About(
                name=view.__name__,
                promise=view.__doc__ or "",
                body=body,
                query=query,
                needs=needs,
                is_public=is_public,
                says=says,
            )

            @wraps(view)
            def entered(*args: P.args, **path: P.kwargs) -> Response:
                def proceed(request: Request, caller: Caller | None) -> Answer:
                    services = self.services()
                    call = Call(
                        services=replace(services, answer_by=services.clock.elapsed() + ANSWER_SECONDS),
                        settings=self.settings(),
                        caller=caller,
                        query=receive.query(request, query),
                        body=receive.body(request, body),
                        headers=request.headers,
                        raw=receive.raw_body(request),
                        source_ip=receive.source_ip(request),
                    )
                    parts = _readable(path)
                    if about.has_no_tag(request.method):
                        receive.over_nothing(request)

                    def make() -> Answer:
                        with _in_region(call):
                            # Path parts are strings whatever a view calls them, which ParamSpec has no way to say.
                            return view(call, *args, **parts)  # type: ignore[arg-type]

                    return _once(call, about.name, parts, make) if about.takes_key(request.method) else make()

                with metering.invocation(self.services, is_http=True):
                    return self._respond(proceed, needs=needs, is_public=is_public, refused=refused)

            describe(entered, about)
            return entered

        return decorate

    def _respond(
        self,
        proceed: Callable[[Request, Caller | None], Answer],
        *,
        needs: Needs,
        is_public: bool,
        refused: Callable[[Problem, Request], Answer | None],
    ) -> Response:
        request = self._app.current_request
        assert request is not None  # noqa: S101 (Chalice sets it before it calls a view)
        began = time.monotonic()
        caller = None
        slug = None
        subject = None
        trail = Trail(self.services, request, is_public=is_public)
        try:
            caller = self._admit(request, needs=needs, is_public=is_public)
            trail.begin(caller)
            answer = proceed(request, caller)
            subject = answer.subject
            response = _response(answer)
        except CurfewError as error:
            slug, problem = error.slug, problem_of(error)
            shown = refused(problem, request)
            response = _response(shown) if shown else _problem(problem)
        except Exception as error:  # noqa: BLE001 (the last door: whatever it is, it is logged and answered)
            response = _unexpected(error, request)
            slug = "internal-error"
        trail.settle(response, problem=slug, subject=subject)
        logs.line(
            "request",
            method=request.method,
            path=request.path,
            status=response.status_code,
            caller=caller and caller.owner,
            token=caller and caller.token_id,
            problem=slug,
            took_ms=round((time.monotonic() - began) * 1000),
        )
        with suppress(SettingsError):
            self.gate.hand_over(self.services())
        return response

    def _admit(self, request: Request, *, needs: Needs, is_public: bool) -> Caller | None:
        caller = self.gate.caller_of(
            request.headers.get("authorization"),
            admin_token_sha256=self.settings().admin_token_sha256,
            services=self.services,
        )
        if is_public:
            return caller
        if caller is None:
            raise Unauthorized(f"this call needs a token; nothing was done. {HOW}")
        admit(caller, needs, what=f"{request.method} {request.path}")
        return caller


def _readable(path: Mapping[str, object]) -> dict[str, str]:
    """Path parts, decoded: API Gateway has done that already, a local server has not."""
    parts = {name: unquote(str(value)) for name, value in path.items()}
    for value in parts.values():
        if not _ID.fullmatch(value):
            raise NotFound(
                f"nothing has the id {value[:80]!r}: ids are letters, digits and . _ : @ = + -; nothing was done"
            )
    return parts


def _in_region(call: Call[B, Q]) -> AbstractContextManager[None]:
    """A region that a caller names, and that the account can't use or that is nowhere, is no outage."""
    named = getattr(call.query, "region", None) or getattr(call.body, "region", None)
    return regions.explained(call.services, named) if named else nullcontext()


def _once(call: Call[B, Q], route: str, parts: Mapping[str, str], make: Callable[[], Answer]) -> Answer:
    """What `make` answers, or under an Idempotency-Key has answered. A process that dies in between leaves the key
    taken for a minute."""
    services = call.services
    asked = once.keyed(
        call.headers,
        owner=call.owner,
        only=call.only,
        route=route,
        sent=(call.body, call.query),
        parts=parts,
        now=services.clock.now(),
    )
    if asked is None:
        return make()
    known = calls.begin(services, asked)
    if known:
        return Answer(status=known.status, headers=known.headers, body=json.loads(known.body))
    try:
        answer = make()
        told = once.kept(answer.status, answer.headers, plain(answer.body), answer.secrets)
    except Exception:
        calls.forget(services, asked)
        raise
    if told and answer.is_kept:
        calls.keep(services, asked, told)
    else:
        calls.forget(services, asked)
    return answer


def _response(answer: Answer) -> Response:
    is_page = answer.headers.get("Content-Type", "").startswith("text/html")
    text = str(answer.body) if is_page else _json(answer.body)
    return Response(
        body="" if answer.status in {HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED} else text,
        status_code=int(answer.status),
        headers={"Content-Type": "application/json", "Cache-Control": "no-store", **answer.headers},
    )


def _problem(problem: Problem) -> Response:
    return Response(
        body=_json(problem.body),
        status_code=int(problem.status),
        headers={"Content-Type": MEDIA_TYPE, "Cache-Control": "no-store", **problem.headers},
    )


def _unexpected(error: Exception, request: Request) -> Response:
    request_id = getattr(request.lambda_context, "aws_request_id", None)
    logs.failure("request failed", error, method=request.method, path=request.path, request_id=request_id)
    is_ours_to_set = isinstance(error, SettingsError)
    return _problem(problem_of_settings(request_id) if is_ours_to_set else problem_of_unexpected(request_id))


def _json(value: object) -> str:
    document: JsonValue = plain(value)
    return json.dumps(document, separators=(",", ":"))


def as_problem(response: Response, request: Request) -> Response:
    """Chalice's own refusals (an unknown method) in the form of all others; everything else as it is."""
    if response.status_code != HTTPStatus.METHOD_NOT_ALLOWED or not isinstance(response.body, dict):
        return response
    allowed = str(response.headers.get("Allow", ""))
    problem = _problem(
        problem_of(
            MethodNotAllowed(
                f"{request.path} does not take {request.method}; nothing was done. It takes {allowed}"
            )
        )
    )
    problem.headers["Allow"] = allowed
    return problem
