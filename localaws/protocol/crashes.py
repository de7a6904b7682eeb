"""What AWS answers when something breaks inside it: an error in its own form, never a dropped connection."""

from __future__ import annotations

import sys
import traceback

from localaws.errors import AwsError
from localaws.protocol.wire import CallId


def crashed(call: CallId, failure: Exception) -> AwsError:
    """The answer to a call that nobody simulates, or that broke; what broke is told on stderr too."""
    name = call.operation or "this call"
    if isinstance(failure, NotImplementedError):
        return AwsError("UnsupportedOperation", f"localaws does not simulate {call.service} {name}")
    print(f"localaws: {call.service} {name} broke", file=sys.stderr)
    traceback.print_exception(failure)
    sys.stderr.flush()
    message = f"{name} broke inside localaws: {type(failure).__name__}: {failure}"
    return AwsError("InternalError", message, status=500)
