"""moto's own answers, called without a socket."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any
from urllib.parse import unquote, urlsplit

from moto.backends import get_backend
from moto.core import responses
from moto.core.request import Request
from moto.core.utils import method_names_from_class
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.exceptions import HTTPException

from localaws.events.bus import ACCOUNT
from localaws.protocol.wire import HttpRequest, HttpResponse

ONE_PATH = frozenset({"ec2", "dynamodb", "cloudwatch", "autoscaling"})
"""Often asked, and every call goes to `/`: their handler is known without moto's routing, which costs a lot."""

Handler = Callable[[Request, str, Any], tuple[int, dict[str, Any], Any]]
_method_names = lru_cache(maxsize=None)(method_names_from_class)


class MotoApp:
    """Everything of AWS that this package does not answer itself."""

    def __init__(self) -> None:
        self._app = DomainDispatcherApplication(create_backend_app)
        # moto looks through the whole class for its methods at every call
        responses.method_names_from_class = _method_names  # type: ignore[attr-defined]

    def handle(self, request: HttpRequest, service: str = "") -> HttpResponse:
        """moto's answer to any request; `service` spares it from finding out."""
        environ = _environ(request)
        if service in ONE_PATH and environ["PATH_INFO"] == "/":
            return _direct(service, environ)
        return self._by_wsgi(environ)

    def _by_wsgi(self, environ: dict[str, Any]) -> HttpResponse:
        status = 500
        headers: dict[str, str] = {}

        def start_response(
            line: str, answered: list[tuple[str, str]], exc_info: Any = None
        ) -> Callable[[bytes], None]:
            nonlocal status
            status = int(line.split(maxsplit=1)[0])
            headers.update((name.lower(), value) for name, value in answered)
            return lambda _: None

        chunks: Iterable[bytes] = self._app(environ, start_response)
        try:
            body = b"".join(chunks)
        finally:
            close = getattr(chunks, "close", None)
            if close:
                close()
        return HttpResponse(status, headers, body)


def _direct(service: str, environ: dict[str, Any]) -> HttpResponse:
    request = Request(environ)
    try:
        status, headers, body = _handler(service)(request, request.raw_url, dict(request.headers))
    except HTTPException as problem:
        status, headers, body = problem.code or 500, dict(problem.get_headers()), problem.get_body()
    plain = {name.lower(): str(value) for name, value in headers.items() if name.lower() != "status"}
    return HttpResponse(int(status), plain, body.encode() if isinstance(body, str) else body)


@lru_cache
def _handler(service: str) -> Handler:
    backend: Any = get_backend(service)  # type: ignore[call-overload]
    (handler,) = set(backend[ACCOUNT]["us-east-1"].url_paths.values())
    found: Handler = handler
    return found


def _environ(request: HttpRequest) -> dict[str, Any]:
    url = urlsplit(request.url)
    environ: dict[str, Any] = {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote(url.path or "/"),
        "QUERY_STRING": url.query,
        "SERVER_NAME": url.hostname or "127.0.0.1",
        "SERVER_PORT": str(url.port or 80),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "CONTENT_TYPE": request.headers.get("content-type", ""),
        "CONTENT_LENGTH": str(len(request.body)),
        "HTTP_HOST": request.headers.get("host", url.netloc),
        "RAW_URI": f"{url.path or '/'}{'?' + url.query if url.query else ''}",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": url.scheme or "http",
        "wsgi.input": io.BytesIO(request.body),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for name, value in request.headers.items():
        key = name.upper().replace("-", "_")
        if key not in ("CONTENT_TYPE", "CONTENT_LENGTH", "HOST"):
            environ[f"HTTP_{key}"] = value
    return environ
