"""How long botocore waits between its tries: on a clock that stands still, not at all.

A client that backs off sleeps for real seconds while the virtual clock stands, which helps nobody in a process that
has the whole of AWS in it. What comes of the tries is the same.
"""

from __future__ import annotations

import time
from typing import Any

from botocore import endpoint


class Hasty:
    """The `time` that botocore's endpoint sees."""

    def __getattr__(self, name: str) -> Any:
        return getattr(time, name)

    def sleep(self, seconds: float) -> None:
        """Go on at once."""


def take_over() -> None:
    """From here on botocore's clients try again at once."""
    endpoint.time = Hasty()  # type: ignore[attr-defined]


def let_go() -> None:
    """Let them wait again."""
    endpoint.time = time  # type: ignore[attr-defined]
