"""EC2's filters: all named filters must match, any of a filter's values will do, `*` and `?` are wildcards."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import TypeVar

from localaws.errors import AwsError

T = TypeVar("T")
Values = str | None | list[str]


@lru_cache(maxsize=1024)
def _pattern(value: str) -> re.Pattern[str]:
    parts = (".*" if c == "*" else "." if c == "?" else re.escape(c) for c in value)
    return re.compile("".join(parts))


def matches(
    thing: T,
    tags: Mapping[str, str],
    filters: Mapping[str, list[str]],
    readers: Mapping[str, Callable[[T], Values]],
) -> bool:
    """Whether `thing` passes every filter; `readers` gives the value that a filter name looks at."""
    for name, wanted in filters.items():
        actual = _actual(name, thing, tags, readers)
        if not any(_pattern(value).fullmatch(one) for value in wanted for one in actual):
            return False
    return True


def _actual(
    name: str, thing: T, tags: Mapping[str, str], readers: Mapping[str, Callable[[T], Values]]
) -> list[str]:
    if name.startswith("tag:"):
        return [tags[name[4:]]] if name[4:] in tags else []
    if name == "tag-key":
        return list(tags)
    if name == "tag-value":
        return list(tags.values())
    if name not in readers:
        raise AwsError("InvalidParameterValue", f"The filter '{name}' is invalid")
    value = readers[name](thing)
    return value if isinstance(value, list) else [] if value is None else [str(value)]
