"""A 422 in Curfew's own words: which field, what is wrong with it, and what it takes. pydantic's speak of tuples and
classes that no caller has ever seen.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from chalicelib.web.problems import Invalid

WHOLE = "body"
"""The field of what is wrong with everything together."""

MOST = 100
"""How many fields a 422 names: nobody mends more at once, and whoever sends thousands gets no longer answer."""

WANTED = "has to be "

LONGEST_PATTERN = 60
"""Letters of a pattern that is told beside its field's hint: a longer one hides what is to be mended."""

Path = tuple[int | str, ...]

SENTENCES: Mapping[str, str] = {
    "missing": "this field is required",
    "tuple_type": "has to be a list",
    "model_type": "has to be an object",
    "dict_type": "has to be an object",
    "string_type": "has to be a string",
    "string_pattern_mismatch": "does not have the form {pattern}",
    "string_too_short": "has to have at least {min_length} characters",
    "string_too_long": "has to have at most {max_length} characters",
    "too_short": "has to have at least {min_length} of them",
    "too_long": "has to have at most {max_length} of them",
    "int_type": "has to be a whole number",
    "int_parsing": "has to be a whole number",
    "int_parsing_size": "has to be a whole number of fewer digits",
    "int_from_float": "has to be a whole number",
    "bool_type": "has to be true or false",
    "bool_parsing": "has to be true or false",
    "decimal_type": "has to be a number",
    "decimal_parsing": "has to be a number",
    "finite_number": "has to be a finite number",
    "greater_than": "has to be greater than {gt}",
    "greater_than_equal": "has to be at least {ge}",
    "less_than_equal": "has to be at most {le}",
    "literal_error": "has to be {expected}",
    "enum": "has to be {expected}",
    "time_delta_type": "has to be an ISO 8601 duration such as PT30M",
    "time_delta_parsing": "has to be an ISO 8601 duration such as PT30M",
}


def invalid_from(error: ValidationError, *, model: type[BaseModel]) -> Invalid:
    """Each bad field of what was sent for `model`, once, with the fix; the first `MOST` of them."""
    found: dict[Path, list[Mapping[str, Any]]] = {}
    everything = error.errors(include_url=False, include_context=True)
    for one in everything:
        if not _follows(one, everything):
            found.setdefault(_place(one["loc"]), []).append(one)
    return Invalid([_told(model, place, some) for place, some in list(found.items())[:MOST]])


def _follows(one: Mapping[str, Any], everything: Sequence[Mapping[str, Any]]) -> bool:
    """A list that is too short only because an entry of it was refused."""
    depth = len(one["loc"])
    return one["type"] == "too_short" and any(
        len(other["loc"]) > depth and other["loc"][:depth] == one["loc"] for other in everything
    )


def _place(loc: Path) -> Path:
    """Where it is in what was sent: pydantic names the alternative that it tried there as well."""
    return tuple(part for part in loc if isinstance(part, int) or not part.endswith("]"))


def _told(model: type[BaseModel], place: Path, found: Sequence[Mapping[str, Any]]) -> tuple[str, str]:
    hint = "" if found[0]["type"] == "extra_forbidden" else _hint(model, place)
    detail = " or ".join(dict.fromkeys(_sentence(model, place, one, hint) for one in found))
    return ".".join(map(str, place)) or WHOLE, _together(detail, hint)


def _together(detail: str, hint: str) -> str:
    """What is wrong and what the field takes, each once: "has to be a list" is said by "a list of 1 to 20 types"."""
    wanted = detail.removeprefix(WANTED)
    if hint.startswith(wanted) and wanted != detail:
        return f"{WANTED}{hint}"
    return f"{detail}; {hint}" if hint else detail


def _sentence(model: type[BaseModel], place: Path, found: Mapping[str, Any], hint: str) -> str:
    kind = found["type"]
    if kind == "string_pattern_mismatch" and hint and len(found["ctx"]["pattern"]) > LONGEST_PATTERN:
        return "is not written as it has to be"
    if kind == "extra_forbidden":
        inside = _model_at(model, place[:-1])
        known = ", ".join(_names(inside)) if inside else ""
        return f"there is no field {place[-1]!r}; known: {known or 'none'}"
    if kind in SENTENCES:
        return SENTENCES[kind].format_map(found.get("ctx") or {})
    return str(found["msg"]).removeprefix("Value error, ")


def _hint(model: type[BaseModel], place: Path) -> str:
    """What the field takes in words: its own, or those of the field that it is in."""
    for depth in range(len(place), 0, -1):
        inside, name = _model_at(model, place[: depth - 1]), place[depth - 1]
        field = _fields(inside).get(str(name)) if inside else None
        if field is not None and field.description:
            return str(field.description)
    return ""


def _model_at(model: type[BaseModel], place: Path) -> type[BaseModel] | None:
    """The model of an object inside of what was sent; None where there is none."""
    inside: type[BaseModel] | None = model
    for part in place:
        if isinstance(part, int) or inside is None:
            continue
        field = _fields(inside).get(part)
        inside = next(_models_in(field.annotation), None) if field else None
    return inside


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models_in(argument)


def _fields(model: type[BaseModel]) -> dict[str, Any]:
    """By the name that callers use."""
    return {field.alias or name: field for name, field in model.model_fields.items()}


def _names(model: type[BaseModel]) -> list[str]:
    return list(_fields(model))
