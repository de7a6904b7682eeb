"""Real answers held against GET /openapi.json, which they have to match to the last member."""

import json
import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker

import app as curfew
from chalicelib.web import openapi


def check_answer(method: str, path: str, status: int, headers: Mapping[str, str], body: bytes) -> None:
    """Fail where the document does not say that this may be answered."""
    template = _template(path.partition("?")[0])
    operation = _document()["paths"].get(template, {}).get(method.lower())
    if operation is None:
        assert status in {404, 405}, (method, path, status)
        return
    assert str(status) in operation["responses"], (method, template, status, body)
    kind = headers.get("Content-Type", "").partition(";")[0]
    told = _resolved(operation["responses"][str(status)]).get("content", {})
    if not told:
        assert not body, (method, template, status, body)
        return
    assert kind in told, (method, template, status, kind)
    if kind != "text/html":
        _validator(json.dumps(told[kind]["schema"])).validate(json.loads(body))


def _template(path: str) -> str | None:
    """Of several the one with the fewest parameters, as routers choose."""
    found = [
        each
        for each in _document()["paths"]
        if re.fullmatch(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(each)), path)
    ]
    return min(found, key=lambda each: each.count("{"), default=None)


@cache
def _document() -> Any:
    return json.loads(json.dumps(openapi.document(curfew.app)))


def _resolved(response: Any) -> Any:
    reference = response.get("$ref")
    return _document()["components"]["responses"][reference.rpartition("/")[2]] if reference else response


@cache
def _validator(schema: str) -> Draft202012Validator:
    whole = {**json.loads(schema), "components": {"schemas": _closed(_document()["components"]["schemas"])}}
    return Draft202012Validator(whole, format_checker=FormatChecker())


def _closed(schema: Any) -> Any:
    """Objects without any member that the document does not tell, but for problems, which may carry some."""
    if isinstance(schema, list):
        return [_closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    inside = {key: _closed(value) for key, value in schema.items()}
    is_open = schema.get("title") == "Problem" or not isinstance(schema.get("properties"), dict)
    return inside if is_open else {"additionalProperties": False, **inside}
