"""Run something in a copy of this process, as it is now: a world is built once, and every accident gets its own."""

from __future__ import annotations

import gc
import os
import pickle
import select
import signal
import traceback
import warnings
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")
PATIENCE_SECONDS = 300
"""Real ones: a copy that takes longer hangs."""


class CopyFailed(AssertionError):
    """What ran in the copy raised, hung or vanished."""


def in_a_copy(work: Callable[[], T], *, patience: float | None = PATIENCE_SECONDS) -> T:
    """What `work()` answers in a copy of this process; here nothing changes. Raises CopyFailed. `patience` in real
    seconds; None: it has copies of its own, which have theirs."""
    gc.freeze()  # a collection in the copy would copy every page
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        # Python 3.12 warns of any fork beside other threads. Those of this process only wait: none holds a lock.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        os.close(reading)
        _answer(work, writing)
    os.close(writing)
    try:
        answer = _all_of(reading, child, patience)
    finally:
        os.close(reading)
        os.waitpid(child, 0)
        gc.unfreeze()
    if answer is None:
        raise CopyFailed("the copy ended without an answer")
    is_well, content = pickle.loads(answer)  # noqa: S301 our own process wrote it
    if not is_well:
        raise CopyFailed(content)
    result: T = content
    return result


def _answer(work: Callable[[], Any], writing: int) -> None:
    """In the copy: never comes back."""
    try:
        try:
            told = pickle.dumps((True, work()))
        except BaseException:  # noqa: BLE001 whatever it is, the parent raises it
            told = pickle.dumps((False, traceback.format_exc()))
        with os.fdopen(writing, "wb") as pipe:
            pipe.write(told)
    finally:
        os._exit(0)


def _all_of(reading: int, child: int, patience: float | None) -> bytes | None:
    parts = []
    while True:
        ready, _, _ = select.select([reading], [], [], patience)
        if not ready:
            os.kill(child, signal.SIGKILL)
            raise CopyFailed(f"the copy did not answer within {patience} s")
        part = os.read(reading, 1 << 16)
        if not part:
            return b"".join(parts) or None
        parts.append(part)
