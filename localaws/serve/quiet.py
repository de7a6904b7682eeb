"""What a person at a terminal need not read: a sweep a second that did nothing."""

from __future__ import annotations

import json
import logging

DEEDS = ("ended", "ending", "warned", "adopted", "deferred", "lacking")


def hush_idle_sweeps() -> None:
    """Leave the application's lines of sweeps that saw everything and did nothing out of stderr."""
    logging.getLogger("curfew").addFilter(_says_something)


def _says_something(record: logging.LogRecord) -> bool:
    try:
        line = json.loads(record.getMessage())
    except ValueError:
        return True
    is_quiet = line.get("what") == "sweep" and line.get("is_complete") is not False
    return not is_quiet or any(line.get(deed) for deed in DEEDS)
