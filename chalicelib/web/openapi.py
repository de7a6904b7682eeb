"""GET /openapi.json: OpenAPI 3.1, made of the routes, the models that check what is sent, and the types of answers.

Nothing here runs before somebody asks for it. Objects in answers are open: a later version may tell more.
"""

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from functools import cache
from typing import Any

from chalice.app import Chalice
from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, JsonSchemaValue
from pydantic_core import core_schema

from chalicelib.domain.case import Effect
from chalicelib.web import answers
from chalicelib.web.about import IF_MATCH, About, Header, about_of
from chalicelib.web.models import BUDGET_NAME
from chalicelib.web.problems import MEDIA_TYPE, TITLES

REFERENCE = "#/components/schemas/{model}"
ID = r"^[A-Za-z0-9][A-Za-z0-9._:@=+-]{0,254}$"
PATHS: Mapping[str, str] = {"name": BUDGET_NAME}
"""Path parameters that have a form of their own."""
MONEY = r"^-?[0-9]+(\.[0-9]+)?$"
DECIMALS = 10
PERCENT = 100
VERSION = "1"

REFUSALS: Mapping[int, str] = {
    400: "The body is not JSON",
    401: "A valid token is needed",
    403: "The token's role does not do for this",
    404: "There is no such thing",
    409: "State, policy or AWS forbids it",
    410: "The link's time is over",
    412: "It changed since you read it",
    413: "The body is too large",
    415: "The body has to be JSON",
    422: "The schema forbids what was sent",
    429: "Too many calls at once",
    500: "Curfew made a mistake",
    502: "Curfew's function failed: whether this was done is not known",
    503: "A service that Curfew rests on did not answer",
    504: "Curfew gave no answer in time: whether this was done is not known",
}
EVERYWHERE = (400, 401, 403, 404, 409, 413, 415, 422, 429, 500, 502, 503, 504)

PASSING = (409, 429)
"""What may pass by itself: a call in flight, and too many at once."""
RETRY_AFTER: Mapping[str, Any] = {
    "description": "After so many seconds the same call is worth while; absent where waiting mends nothing",
    "schema": {"type": "integer"},
}
ETAG: Mapping[str, Any] = {
    "description": "For If-Match: of what people or Curfew decided, not of figures that move by themselves",
    "required": True,
    "schema": {"type": "string"},
}

ABOUT = (
    "A bill guard for GPU boxes on EC2. Money is a string of dollars with its full value; times are ISO 8601 UTC, "
    "lengths ISO 8601 durations. Every error is application/problem+json; docs/problems.md says what each type means."
)


class Schemas(GenerateJsonSchema):
    """pydantic's schemas, as our own encoder writes the values and our own reader takes them."""

    ignored_warning_kinds = {"non-serializable-default", "skipped-choice"}  # noqa: RUF012 pydantic declares it so

    def decimal_schema(self, schema: core_schema.DecimalSchema) -> JsonSchemaValue:
        """Sent: a number, or a string of it. Answered: money as a string, percentages and shares as numbers."""
        is_share = "le" in schema and schema["le"] <= PERCENT
        if self.mode == "serialization" and is_share:
            return {"type": "number"}
        if self.mode == "serialization":
            return {"type": "string", "pattern": MONEY, "examples": ["12.50"]}
        limits: Mapping[str, Any] = {**schema}
        bounds = {"ge": "minimum", "gt": "exclusiveMinimum", "le": "maximum"}
        number: JsonSchemaValue = {"type": "number"}
        number |= {name: int(limits[key]) for key, name in bounds.items() if key in limits}
        pattern = _digits(most=schema.get("le"), is_positive="gt" in schema)
        return {"anyOf": [number, {"type": "string", "pattern": pattern}]}

    def enum_schema(self, schema: core_schema.EnumSchema) -> JsonSchemaValue:
        """An effect is told by its name."""
        if schema["cls"] is Effect:
            return {"type": "string", "enum": [each.name.lower() for each in Effect]}
        return super().enum_schema(schema)

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        """What is left out of a call; answers leave nothing out."""
        told = super().default_schema(schema)
        return told if self.mode == "validation" else {k: v for k, v in told.items() if k != "default"}

    def field_is_required(
        self,
        field: core_schema.ModelField | core_schema.DataclassField | core_schema.TypedDictField,
        total: bool,  # noqa: FBT001 pydantic's signature
    ) -> bool:
        """An answer has all of its members, also those that have a default where they are made."""
        if self.mode == "serialization" and field["type"] != "typed-dict-field":
            return True
        return super().field_is_required(field, total)


def _digits(*, most: Decimal | None, is_positive: bool) -> str:
    """The form of a decimal in a string: no more digits before its point than what is allowed has for certain."""
    whole = len(str(int(most))) - 1 if most is not None else DECIMALS
    rest = rf"(\.[0-9]{{1,{DECIMALS}}})?"
    if not whole:
        return rf"^0{rest}$"
    if not is_positive:
        return rf"^[0-9]{{1,{whole}}}{rest}$"
    return rf"^([1-9][0-9]{{0,{whole - 1}}}{rest}|0\.[0-9]{{0,4}}[1-9][0-9]{{0,4}})$"


@cache
def document(app: Chalice) -> Mapping[str, Any]:
    """The whole document of an application, made once a process. Every route has to be one of the door's."""
    routes = [
        (path, method, about_of(entry.view_function))
        for path, methods in app.routes.items()
        for method, entry in methods.items()
    ]
    schemas, components = _schemas([about for _, _, about in routes])
    paths: dict[str, dict[str, Any]] = {}
    for path, method, about in routes:
        paths.setdefault(path, {})[method.lower()] = _operation(path, method, about, schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Curfew", "version": VERSION, "description": ABOUT},
        "servers": [{"url": ".", "description": "where this document is"}],
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": components,
            "responses": {str(status): _refusal(status) for status in REFUSALS},
        },
    }


Key = tuple[Any, JsonSchemaMode]


def _schemas(abouts: list[About]) -> tuple[Mapping[Key, JsonSchemaValue], Mapping[str, Any]]:
    """The schema of each type, and those that they refer to."""
    wanted: dict[Key, Any] = {}
    for about in abouts:
        wanted[about.body, "validation"] = TypeAdapter(about.body)
        for answer in about.says.answers.values():
            if answer is not None:
                wanted[answer, "serialization"] = TypeAdapter(answer)
    wanted[answers.Problem, "serialization"] = TypeAdapter(answers.Problem)
    found, definitions = TypeAdapter.json_schemas(
        [(key, key[1], adapter) for key, adapter in wanted.items()],
        ref_template=REFERENCE,
        schema_generator=Schemas,
    )
    schemas = {key: schema for (key, _), schema in found.items()}
    components = dict(definitions.get("$defs", {}))
    components["Types"] = {"type": "string", "enum": [f"/problems/{slug}" for slug in sorted(TITLES)]}
    return schemas, components


def _operation(
    path: str, method: str, about: About, schemas: Mapping[Key, JsonSchemaValue]
) -> dict[str, Any]:
    let_in = [] if about.is_public else [f"Let in: {about.needs}."]
    summary = " ".join([*about.promise.split(), *let_in])
    operation: dict[str, Any] = {
        "operationId": about.name,
        "summary": summary.partition(". ")[0].rstrip(".")[:120],
        "description": " ".join([summary, *_in_words(about)]),
        "parameters": [
            *_in_path(path),
            *_in_query(about.query),
            *(_in_header(each) for each in about.all_headers(method) if not each.is_http),
        ],
        "responses": {
            **{
                str(int(status)): _answer(about, answer, schemas)
                for status, answer in about.says.answers.items()
            },
            **_refusals(about, method),
        },
    }
    if about.is_public:
        operation["security"] = [{}, {"token": []}]
    if about.body.model_fields:
        operation["requestBody"] = {
            "required": not _takes_nothing(about.body),
            "content": {
                "application/json": _with_example(schemas[about.body, "validation"], about.says.example)
            },
        }
    return operation


def _takes_nothing(model: type[BaseModel]) -> bool:
    """Whether a call without a body passes."""
    try:
        model.model_validate({})
    except ValidationError:
        return False
    return True


def _in_path(path: str) -> Iterator[dict[str, Any]]:
    for name in re.findall(r"{(\w+)}", path):
        form = {"type": "string", "pattern": PATHS.get(name, ID)}
        yield {"name": name, "in": "path", "required": True, "schema": form}


def _in_query(model: type[BaseModel]) -> Iterator[dict[str, Any]]:
    properties = model.model_json_schema(schema_generator=Schemas).get("properties", {})
    for name, field in model.model_fields.items():
        schema = {
            key: value for key, value in properties[name].items() if key not in {"title", "description"}
        }
        yield {
            "name": name,
            "in": "query",
            "required": field.is_required(),
            "description": field.description or "",
            "schema": _without_null(schema),
        }


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """A query has no null: what is absent is left out."""
    kinds = [kind for kind in schema.get("anyOf", ()) if kind.get("type") != "null"]
    kept = {
        key: value for key, value in schema.items() if key != "anyOf" and (key, value) != ("default", None)
    }
    return {**kept, **kinds[0]} if len(kinds) == 1 else {**kept, **({"anyOf": kinds} if kinds else {})}


def _in_words(about: About) -> Iterator[str]:
    for header in about.says.headers:
        if header.is_http:
            yield f"{header.name}: {header.description}."


def _in_header(header: Header) -> dict[str, Any]:
    form = {"type": "string", "pattern": header.pattern} if header.pattern else {"type": "string"}
    return {
        "name": header.name,
        "in": "header",
        "required": False,
        "description": header.description,
        "schema": form,
    }


def _answer(about: About, answer: Any, schemas: Mapping[Key, JsonSchemaValue]) -> dict[str, Any]:
    headers = {"headers": {"ETag": ETAG}} if about.says.has_tag else {}
    if answer is None:
        return {"description": "Done, or as before; there is nothing to say", **headers}
    content: dict[str, Any] = {"application/json": {"schema": schemas[answer, "serialization"]}}
    if about.says.has_pages:
        content["text/html"] = {"schema": {"type": "string"}}
    return {"description": "The answer", "content": content, **headers}


def _refusals(about: About, method: str) -> dict[str, Any]:
    changed = {412} if IF_MATCH in about.says.headers or about.has_no_tag(method) else set()
    statuses = {*EVERYWHERE, *changed, *about.says.refusals} - {int(status) for status in about.says.answers}
    refs: dict[str, Any] = {
        str(status): {"$ref": f"#/components/responses/{status}"} for status in sorted(statuses)
    }
    if about.says.has_pages:
        page = {"text/html": {"schema": {"type": "string"}}}
        refs = {
            key: {**_refusal(int(key)), "content": {**_refusal(int(key))["content"], **page}} for key in refs
        }
    return refs


def _refusal(status: int) -> dict[str, Any]:
    schema = {"$ref": REFERENCE.format(model="Problem")}
    told = {"description": REFUSALS[status], "content": {MEDIA_TYPE: {"schema": schema}}}
    return {**told, "headers": {"Retry-After": RETRY_AFTER}} if status in PASSING else told


def _with_example(schema: JsonSchemaValue, example: Mapping[str, Any] | None) -> dict[str, Any]:
    return {"schema": schema, **({"example": dict(example)} if example else {})}
