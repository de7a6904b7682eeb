"""Pages: MaxResults and NextToken over a list that is worked out anew for each page."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TypeVar

from localaws.errors import AwsError

T = TypeVar("T")
TOKEN = re.compile(r"page-(\d+)")


def page(
    items: Sequence[T], token: str | None, size: int | None, *, least: int = 5, most: int = 1000
) -> tuple[list[T], str | None]:
    """The items of one page and the token of the next; without a size a page holds `most`.

    Source: botocore, DescribeInstancesRequest.MaxResults ("a value between 5 and 1000").
    """
    if size is not None and not least <= size <= most:
        raise AwsError(
            "InvalidParameterValue",
            f"Value ( {size} ) for parameter maxResults is invalid. Expecting a value "
            f"between {least} and {most}.",
        )
    start = _start(token) if token else 0
    end = start + (size or most)
    return list(items[start:end]), f"page-{end}" if end < len(items) else None


def _start(token: str) -> int:
    found = TOKEN.fullmatch(token)
    if found is None:
        raise AwsError("InvalidParameterValue", f"The pagination token {token} is not valid")
    return int(found.group(1))
