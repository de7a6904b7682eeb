"""The two HTTP servers: the AWS port, and the application's own API."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from chalice.app import Chalice
from chalice.config import Config
from chalice.local import (
    ChaliceRequestHandler,
    CustomLocalChalice,
    ForbiddenError,
    LambdaContext,
    LocalChalice,
    LocalDevServer,
    LocalGateway,
    LocalGatewayException,
)

from localaws.events.containers import Containers
from localaws.events.lambdas import context_for
from localaws.mortality import LambdaDied
from localaws.protocol.faults import API, REFUSED, UNANSWERED
from localaws.protocol.wire import HttpRequest, HttpResponse
from localaws.serve.listening import HOST, opened
from localaws.template import FAILED, THROTTLED, TIMED_OUT, TOO_LARGE, UNKNOWN_PATH, Template

API_FUNCTION = "api_handler"
NOT_MODIFIED = HTTPStatus.NOT_MODIFIED
MOST_BYTES = 10 * 1024 * 1024
"""Of a body (API Gateway guide, "Amazon API Gateway quotas": payload size)."""
PIECE_BYTES = 64 * 1024
Respond = Callable[[HttpRequest], HttpResponse]

BUFFERED = -1
"""An answer leaves in one piece. In two, head and body, each one waits 40 ms for the other's acknowledgement."""


class Server(ThreadingHTTPServer):
    """A thread a connection, and room for hundreds of connections that arrive at once."""

    daemon_threads = True
    request_queue_size = 512

    def handle_error(self, *_: Any) -> None:
        """A client that hangs up is no error of ours."""


def start(server: Any, name: str) -> None:
    """Serve in a thread of its own."""
    threading.Thread(target=partial(server.serve_forever, 0.05), name=name, daemon=True).start()


def aws_server(port: int, respond: Respond) -> Server:
    server: Server = opened(
        port, "--aws-port", lambda: Server((HOST, port), partial(AwsHandler, respond=respond))
    )
    return server


def api_server(app: Chalice, port: int, template: Template, containers: Containers) -> Any:
    """Chalice's local server for the application.

    Its class is rebased as Chalice's own command line does, or `app.current_request` would be shared between threads.
    """
    CustomLocalChalice.__bases__ = (LocalChalice, app.__class__)
    app.__class__ = CustomLocalChalice
    config = Config(function_name=API_FUNCTION, user_provided_params={"chalice_app": app})
    handler = partial(ApiHandler, template=template, containers=containers)
    dev_server = opened(port, "--api-port", lambda: LocalDevServer(app, config, HOST, port, handler, Server))
    return dev_server.server


class AwsHandler(BaseHTTPRequestHandler):
    """HTTP/1.1 to `HttpRequest` and back."""

    protocol_version = "HTTP/1.1"
    wbufsize = BUFFERED

    def __init__(self, *args: Any, respond: Respond) -> None:
        self._respond = respond
        super().__init__(*args)

    def answer(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        response = self._respond(HttpRequest(self.command, self.path, headers, self._read_body(headers)))
        if response.dropped:
            self.close_connection = True
            return
        self.send_response(response.status)
        for name, value in response.headers.items():
            if name.lower() not in ("content-length", "connection", "date", "server"):
                self.send_header(name, value)
        is_head = self.command == "HEAD"
        stated = response.headers.get("content-length") if is_head else None
        self.send_header("Content-Length", stated or str(len(response.body)))
        self.end_headers()
        if not is_head:
            self.wfile.write(response.body)

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = do_PATCH = answer  # noqa: N815 http.server's names

    def _read_body(self, headers: dict[str, str]) -> bytes:
        if headers.get("transfer-encoding", "").lower() != "chunked":
            return self.rfile.read(int(headers.get("content-length", 0)))
        chunks = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(chunks)

    def log_message(self, *_: Any) -> None:
        """Nothing: a sweep makes a dozen calls."""


class ApiFunction:
    """The application behind the API as one Lambda function, which may die."""

    def __init__(self, app: Chalice, template: Template, containers: Containers) -> None:
        self._app = app
        self._failed = template.gateway_answer(FAILED)
        self._containers = containers

    def __call__(self, event: Any, context: Any) -> Any:
        """Its answer, or API Gateway's own to a function that failed (API Gateway guide, "Troubleshooting: 502")."""
        try:
            with self._containers.answering(event["requestContext"]["httpMethod"]):
                return self._containers.run(API, lambda: self._app(event, context))
        except LambdaDied:
            return {
                "statusCode": self._failed.status,
                "headers": dict(self._failed.headers),
                "multiValueHeaders": {},
                "body": self._failed.body,
            }

    def __getattr__(self, name: str) -> Any:
        return getattr(self._app, name)


class Gateway(LocalGateway):
    """Chalice's local API Gateway with a context that counts real seconds. Every method reaches the function, OPTIONS
    too, as the packaged template has it."""

    def __init__(self, app: Chalice, config: Config, template: Template, containers: Containers) -> None:
        super().__init__(app, config)
        as_function: Any = ApiFunction(app, template, containers)
        self._app_object = as_function

    def _has_user_defined_options_method(self, lambda_event: Any) -> bool:
        del lambda_event
        return True

    def _generate_lambda_context(self) -> LambdaContext:
        return context_for(API_FUNCTION)


class ApiHandler(ChaliceRequestHandler):
    """Chalice's local handler, with the template's own answers to what never reaches the function."""

    wbufsize = BUFFERED

    def __init__(
        self,
        request: Any,
        address: Any,
        server: Any,
        app_object: Chalice,
        config: Config,
        *,
        template: Template,
        containers: Containers,
    ) -> None:
        self.local_gateway = Gateway(app_object, config, template, containers)
        self._template = template
        self._containers = containers
        BaseHTTPRequestHandler.__init__(self, request, address, server)

    def handle_call(self) -> None:
        """One HTTP call, whatever its method: what API Gateway answers by itself, else what the function does."""
        length = int(self.headers.get("content-length", "0"))
        if length > MOST_BYTES:
            self._pass_over(length)
            self._answer(TOO_LARGE)
            return
        fault = self._containers.gateway_fault(self.command)
        if fault == REFUSED:
            self._parse_payload()
            self._answer(THROTTLED)
        elif fault == UNANSWERED:
            headers, body = self._parse_payload()
            with suppress(LocalGatewayException):
                self.local_gateway.handle_request(self.command, self.path, headers, body)
            self._answer(TIMED_OUT)
        else:
            self._generic_handle()

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = do_PATCH = do_OPTIONS = handle_call  # noqa: N815

    def __getattr__(self, name: str) -> Any:
        """Any other method, such as TRACE or QUERY: http.server would answer each of those with a 501 of its own."""
        if not name.startswith("do_"):
            raise AttributeError(name)
        return self.handle_call

    def _pass_over(self, length: int) -> None:
        """Read a body and keep nothing of it: whoever sends it hears no answer before it has gone."""
        while length > 0 and (piece := self.rfile.read(min(length, PIECE_BYTES))):
            length -= len(piece)

    def _answer(self, kind: str) -> None:
        answer = self._template.gateway_answer(kind)
        self._send_http_response(answer.status, dict(answer.headers), answer.body)

    def _send_error_response(self, error: LocalGatewayException) -> None:
        if isinstance(error, ForbiddenError):
            self._answer(UNKNOWN_PATH)
        else:
            super()._send_error_response(error)

    def _send_http_response(self, code: int, headers: Any, body: str | bytes | None) -> None:
        """To HEAD the head alone: what came after it would be taken for the next answer."""
        if self.command == "HEAD" or code == NOT_MODIFIED:
            body = None
        super()._send_http_response(code, headers, body)

    def log_message(self, *_: Any) -> None:
        """Nothing: the application logs what it wants known."""
