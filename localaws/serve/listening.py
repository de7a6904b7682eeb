"""Opening ports, and saying in one line why one can't be opened."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable
from typing import TypeVar

from localaws.errors import LocalAwsError

HOST = "127.0.0.1"
AIRPLAY = 5000
T = TypeVar("T")


def opened(port: int, option: str, bind: Callable[[], T]) -> T:
    """What `bind` makes; `option` is the one that names the port."""
    try:
        return bind()
    except OSError as problem:
        if problem.errno == errno.EADDRINUSE:
            raise LocalAwsError(
                f"port {port} is in use: stop what listens there (lsof -i :{port} names it"
                f"{'; on macOS it is AirPlay Receiver' if port == AIRPLAY else ''}) or choose another: {option} "
                f"{port + 1}, or make serve {option.strip('-').replace('-', '_').upper()}={port + 1}"
            ) from problem
        raise LocalAwsError(
            f"port {port} can't be opened ({problem.strerror}): choose another {option}"
        ) from problem


def check(port: int, option: str) -> None:
    """Refuse a port that is taken, before anything slow is begun."""

    def probe() -> None:
        with socket.socket() as one:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            one.bind((HOST, port))

    opened(port, option, probe)
