"""AWS's protocols: which call a request is, its parameters, and the bytes of an answer.

Requests are read by moto's parsers (they follow botocore's service models); answers in boto3's shape are written by
the small serializers here, which know the three protocols that the operations of this package need: `ec2` and
`query` (XML) and `json`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit
from xml.sax.saxutils import escape

from botocore.model import ListShape, Shape, StructureShape
from moto.core.model import OperationModel, ServiceModel
from moto.core.parse import PROTOCOL_PARSERS
from moto.core.utils import get_service_model
from werkzeug.datastructures import Headers, MultiDict

from localaws.errors import AwsError
from localaws.protocol import s3_calls

SIGNING_NAME_TO_SERVICE = {"monitoring": "cloudwatch"}
SCOPE = re.compile(r"Credential=[^/]+/\d+/([^/]+)/([^/]+)/aws4_request")
REQUEST_ID = "00000000-0000-4000-8000-000000000000"


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """One HTTP request, whatever brought it; header names are lower case."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """One HTTP answer; `dropped` means that the connection ends without one."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    dropped: bool = False


@dataclass(frozen=True, slots=True)
class CallId:
    """Which call a request is. `operation` is empty where only moto can tell."""

    service: str
    region: str
    operation: str


def identify(request: HttpRequest) -> CallId | None:
    """The service and region the request was signed for, and the operation it names; None for unsigned ones."""
    scope = SCOPE.search(request.headers.get("authorization", ""))
    if scope is None:
        return None
    region, signing_name = scope.groups()
    service = SIGNING_NAME_TO_SERVICE.get(signing_name, signing_name)
    target = request.headers.get("x-amz-target")
    if target:
        return CallId(service, region, target.rpartition(".")[2])
    if request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        action = re.search(rb"(?:^|&)Action=([A-Za-z0-9]+)", request.body)
        return CallId(service, region, action.group(1).decode() if action else "")
    if service == "s3":
        host = request.headers.get("host") or urlsplit(request.url).netloc
        return CallId(service, region, s3_calls.operation(request.method, request.url, host))
    return CallId(service, region, _rest_operation(service, request))


def _rest_operation(service: str, request: HttpRequest) -> str:
    """The operation of a REST call, found by its method and path in the service model."""
    try:
        model = service_model(service)
    except Exception:  # noqa: BLE001 botocore raises several kinds for a service it has no model of
        return ""
    path = urlsplit(request.url).path
    for method, pattern, name in _rest_routes(model.service_name):
        if method == request.method and pattern.fullmatch(path):
            return name
    return ""


@lru_cache
def _rest_routes(service: str) -> list[tuple[str, re.Pattern[str], str]]:
    model = service_model(service)
    routes = []
    for name in model.operation_names:
        http = model.operation_model(name).http
        uri = http.get("requestUri", "/").partition("?")[0]
        parts = re.split(r"(\{[^}]+\})", uri)
        pattern = "".join(
            (".+" if p.endswith("+}") else "[^/]+") if p.startswith("{") else re.escape(p) for p in parts
        )
        routes.append((http.get("method", "POST"), re.compile(pattern), name))
    return sorted(routes, key=lambda route: ".+" in route[1].pattern)


@lru_cache
def service_model(service: str) -> ServiceModel:
    return get_service_model(service)


@lru_cache(maxsize=512)
def operation_model(service: str, operation: str) -> OperationModel:
    model: OperationModel = service_model(service).operation_model(operation)
    return model


@lru_cache
def speaks_query(service: str) -> bool:
    """Whether the installed botocore calls a service in `query`: CloudWatch in releases before JSON was added to it."""
    return service == "autoscaling" or (
        service == "cloudwatch" and service_model(service).metadata.get("protocol") == "query"
    )


def parameters(call: CallId, request: HttpRequest) -> dict[str, Any]:
    """The call's parameters as boto3 takes them; times are naive UTC, as moto has them."""
    model = operation_model(call.service, call.operation)
    if call.service == "ec2" or speaks_query(call.service):
        values = MultiDict(parse_qsl(request.body.decode(), keep_blank_values=True))
        parser = PROTOCOL_PARSERS["ec2" if call.service == "ec2" else "query"](model)
        parsed = parser.parse(
            {
                "method": request.method,
                "values": values,
                "headers": Headers(),
                "body": request.body,
                "url_path": "/",
                "url_params": {},
            }
        )
        return dict(parsed)
    if service_model(call.service).metadata.get("protocol") == "rest-json":
        return _rest_parameters(model, request)
    return dict(json.loads(request.body or b"{}"))


def _rest_parameters(model: OperationModel, request: HttpRequest) -> dict[str, Any]:
    """Those of a REST call, from its path, its query and its body."""
    url = urlsplit(request.url)
    template = model.http["requestUri"].partition("?")[0]
    pattern = re.sub(r"\{(\w+)(\+?)\}", lambda m: f"(?P<{m[1]}>{'.+' if m[2] else '[^/]+'})", template)
    found = re.fullmatch(pattern, url.path)
    parsed = PROTOCOL_PARSERS["rest-json"](model).parse(
        {
            "method": request.method,
            "values": MultiDict(parse_qsl(url.query, keep_blank_values=True)),
            "headers": Headers(),
            "body": request.body,
            "url_path": url.path,
            "url_params": {name: unquote(value) for name, value in found.groupdict().items()}
            if found
            else {},
        }
    )
    return dict(parsed)


def result(call: CallId, answer: Mapping[str, Any]) -> HttpResponse:
    """The answer of a call, in its service's protocol."""
    model = operation_model(call.service, call.operation)
    if call.service == "ec2":
        inner = xml_members(model.output_shape, answer, "ec2")
        body = (
            f'<{call.operation}Response xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>{REQUEST_ID}'
            f"</requestId>{inner}</{call.operation}Response>"
        )
        return _xml(200, body)
    if speaks_query(call.service):
        inner = xml_members(model.output_shape, answer, "query")
        body = (
            f"<{call.operation}Response><{call.operation}Result>{inner}</{call.operation}Result>"
            f"<ResponseMetadata><RequestId>{REQUEST_ID}</RequestId></ResponseMetadata></{call.operation}Response>"
        )
        return _xml(200, body)
    return _json(200, answer)


def error_status(call: CallId, code: str) -> int | None:
    """The HTTP status that the service's own model gives an error; None where it says nothing of it."""
    try:
        shapes = service_model(call.service).error_shapes
    except Exception:  # noqa: BLE001 botocore raises several kinds for a service it has no model of
        return None
    for shape in shapes:
        stated = shape.metadata.get("error", {})
        if code in (shape.name, stated.get("code")):
            return int(stated["httpStatusCode"]) if "httpStatusCode" in stated else None
    return None


def error(call: CallId, problem: AwsError) -> HttpResponse:
    """An error of a call, in its service's protocol."""
    code, message = escape(problem.code), escape(problem.message)
    if call.service == "ec2":
        return _xml(
            problem.status,
            f"<Response><Errors><Error><Code>{code}</Code><Message>{message}</Message></Error>"
            f"</Errors><RequestID>{REQUEST_ID}</RequestID></Response>",
        )
    if call.service in ("sts", "iam", "sns", "cloudformation") or speaks_query(call.service):
        side = "Sender" if problem.status < 500 else "Receiver"
        return _xml(
            problem.status,
            f"<ErrorResponse><Error><Type>{side}</Type><Code>{code}</Code><Message>{message}"
            f"</Message></Error><RequestId>{REQUEST_ID}</RequestId></ErrorResponse>",
        )
    if call.service == "s3":
        return _xml(problem.status, f"<Error><Code>{code}</Code><Message>{message}</Message></Error>")
    answer = _json(problem.status, {"__type": problem.code, "message": problem.message, **problem.extra})
    answer.headers["x-amzn-errortype"] = problem.code
    if call.service in ("cloudwatch", "sqs"):
        answer.headers["x-amzn-query-error"] = (
            f"{problem.code};{'Sender' if problem.status < 500 else 'Receiver'}"
        )
    return answer


def xml_members(shape: Shape | None, value: Mapping[str, Any], protocol: str) -> str:
    """The members of a structure as XML, in the names of the protocol; absent and None members are left out."""
    if not isinstance(shape, StructureShape):
        return ""
    return "".join(
        _xml_value(member, value[name], _tag(member, name), protocol)
        for name, member in shape.members.items()
        if value.get(name) is not None
    )


def _tag(shape: Shape, name: str) -> str:
    return str(shape.serialization.get("name", name))


def _xml_value(shape: Shape, value: Any, tag: str, protocol: str) -> str:
    if isinstance(shape, StructureShape):
        return f"<{tag}>{xml_members(shape, value, protocol)}</{tag}>"
    if isinstance(shape, ListShape):
        default = "item" if protocol == "ec2" else "member"
        item = str(shape.member.serialization.get("name", default))
        return f"<{tag}>{''.join(_xml_value(shape.member, entry, item, protocol) for entry in value)}</{tag}>"
    if isinstance(value, bool):
        return f"<{tag}>{'true' if value else 'false'}</{tag}>"
    if isinstance(value, datetime):
        return f"<{tag}>{value.strftime('%Y-%m-%dT%H:%M:%S.000Z')}</{tag}>"
    return f"<{tag}>{escape(str(value))}</{tag}>"


def _xml(status: int, body: str) -> HttpResponse:
    text = f'<?xml version="1.0" encoding="UTF-8"?>\n{body}'
    return HttpResponse(status, {"content-type": "text/xml;charset=UTF-8"}, text.encode())


def _json(status: int, answer: Mapping[str, Any]) -> HttpResponse:
    def encode(value: Any) -> Any:
        if isinstance(value, datetime):
            return value.timestamp()
        raise TypeError(f"no JSON form for {type(value).__name__}")

    body = json.dumps(answer, default=encode).encode()
    return HttpResponse(status, {"content-type": "application/x-amz-json-1.0"}, body)
