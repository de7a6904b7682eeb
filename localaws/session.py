"""A boto3 session whose calls reach a world without a socket."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import boto3
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.compat import HTTPHeaders
from botocore.config import Config
from botocore.exceptions import ConnectionClosedError
from botocore.loaders import create_loader

from localaws.clients import quick_session
from localaws.protocol.wire import HttpRequest

if TYPE_CHECKING:
    from localaws.world import World

KEY = "testing"
NAMELESS = Config(user_agent="localaws")
"""botocore puts who calls together anew for each call, a seventh of its time; nobody here asks."""
_loader = create_loader()  # service models are read once a process


@lru_cache
def service_names() -> frozenset[str]:
    """Every service that botocore has a model of."""
    return frozenset(_loader.list_available_services("service-2"))


def session_for(world: World, region: str) -> boto3.Session:
    inner = quick_session()
    inner.register_component("data_loader", _loader)
    inner.set_default_client_config(NAMELESS)
    session = boto3.Session(
        aws_access_key_id=KEY, aws_secret_access_key=KEY, region_name=region, botocore_session=inner
    )

    def answer(request: AWSPreparedRequest, **_: Any) -> AWSResponse:
        response = world.endpoint.handle(_plain(request))
        if response.dropped:
            raise ConnectionClosedError(endpoint_url=request.url)
        return AWSResponse(
            request.url, response.status, HTTPHeaders.from_dict(response.headers), _Raw(response.body)
        )

    hook: Any = answer  # the stubs take the hook for one that answers nothing
    session.events.register_first("before-send", hook)
    return session


def _plain(request: AWSPreparedRequest) -> HttpRequest:
    sent: Any = request.headers
    headers = {
        name.lower(): value.decode() if isinstance(value, bytes) else str(value)
        for name, value in sent.items()
    }
    body: Any = request.body
    if hasattr(body, "read"):
        body = body.read()
    return HttpRequest(
        request.method, request.url, headers, body.encode() if isinstance(body, str) else body or b""
    )


class _Raw:
    """What AWSResponse reads its content from."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self, *_: Any, **__: Any) -> Iterator[bytes]:
        if self._body:
            body, self._body = self._body, b""
            yield body

    def read(self, *_: Any, **__: Any) -> bytes:
        body, self._body = self._body, b""
        return body
