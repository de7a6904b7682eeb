"""The application as WSGI, for tools that speak it: Chalice's own local gateway, as API Gateway would call the app."""

import json
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from chalice.app import Chalice
from chalice.test import Client

from chalicelib.web import problems


class Wsgi:
    """Calls an app in this process."""

    def __init__(self, app: Chalice) -> None:
        self._client = Client(app, project_dir="/nonexistent")

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """One request."""
        path = "/" + quote(environ["PATH_INFO"].encode("latin-1")).lstrip("/")  # the document names no server
        query = environ.get("QUERY_STRING", "")
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        headers = {
            key.removeprefix("HTTP_").replace("_", "-"): value
            for key, value in environ.items()
            if key.startswith("HTTP_") or key == "CONTENT_TYPE"
        }
        whole = f"{path}?{query}" if query else path
        answer = self._client.http.request(environ["REQUEST_METHOD"], whole, headers=headers, body=body)
        status, told, sent = answer.status_code, answer.headers, answer.body
        if status == HTTPStatus.FORBIDDEN and told.get("Content-Type") != problems.MEDIA_TYPE:  # the gateway's word for a path without a route
            problem = problems.unknown_path(path)
            status, told, sent = (
                problem.status,
                {"Content-Type": problems.MEDIA_TYPE},
                json.dumps(problem.body).encode(),
            )
        start_response(f"{status} {HTTPStatus(status).phrase}", list(told.items()))
        return [sent]
