"""What an invocation costs: its time, its lines in the log, API Gateway. The calls it makes count themselves."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from chalicelib.ports import Services
from chalicelib.settings import SettingsError
from chalicelib.usecases import guard
from chalicelib.web import logs


@contextmanager
def invocation(services: Callable[[], Services], *, is_http: bool = False) -> Iterator[None]:
    """Count what goes on inside, and hand it over when that is due, after everything else."""
    began, logged = time.monotonic(), logs.written()
    try:
        yield
    finally:
        with suppress(SettingsError):
            here = services()
            seconds, log_bytes = time.monotonic() - began, logs.written() - logged
            here.ledger.invoked(seconds, is_http=is_http, log_bytes=log_bytes)
            guard.hand_over(here)
