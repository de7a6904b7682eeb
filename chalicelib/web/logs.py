"""One JSON line for each request, sweep and event, on stderr. No header, body or query ever goes in, and no
secret: bearer tokens, webhooks and the links of warnings are struck out of whatever is quoted."""

import json
import logging
import re
import sys
import traceback
from typing import Any

from chalicelib.web.encode import plain

LOG = logging.getLogger("curfew")
_SECRETS = re.compile(
    r"(?i)(bearer\s+|curfew_[0-9a-f]{12}_|hooks\.slack\.com/|/services/|/snooze/|(?:token|secret|signature)=)[^\s'\"&)]+"
)


class _Stderr(logging.Handler):
    """Writes to whatever stderr is at that moment, and counts what AWS will bill."""

    written = 0

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage() + "\n"
        _Stderr.written += len(text.encode())
        sys.stderr.write(text)


def set_up() -> None:
    """Send Curfew's lines to stderr, bare: Lambda adds the time."""
    if not any(isinstance(handler, _Stderr) for handler in LOG.handlers):
        LOG.addHandler(_Stderr())
    LOG.propagate = False
    LOG.setLevel(logging.INFO)


def written() -> int:
    """Bytes written so far."""
    return _Stderr.written


def line(what: str, **facts: object) -> None:
    """Write one line of facts."""
    LOG.info(_compose("info", what, facts))


def failure(what: str, error: BaseException, **facts: object) -> None:
    """Write one line with the traceback in it."""
    told = "".join(traceback.format_exception(error))
    LOG.error(_compose("error", what, {**facts, "traceback": told}))


def _compose(level: str, what: str, facts: Any) -> str:
    return json.dumps({"level": level, "what": what, **_struck(plain(facts))}, default=str)


def struck(text: str) -> str:
    """A text without what opens something."""
    return _SECRETS.sub(r"\1…", text)


def _struck(told: Any) -> Any:
    """The same without what opens something: in paths, tracebacks and whatever else is quoted."""
    match told:
        case str():
            return struck(told)
        case dict():
            return {name: _struck(one) for name, one in told.items()}
        case list():
            return [_struck(one) for one in told]
        case _:
            return told
