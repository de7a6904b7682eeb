"""Lambdas that die: before or after a call of AWS, and from then on none of their code reaches anything.

    died = Mortality(session)
    with died.life(dies_at=5, after=True) as life: ...      # in process, one invocation at a time

    with watched_process():                                 # the server: every invocation on its own
        with invocation(Life(dies_at=5)) as life: ...

AWS freezes and drops a container whenever it likes, between any two calls: no `except` or `finally` of the function
runs any more (Lambda guide, "Understanding the Lambda execution environment lifecycle").
"""

from __future__ import annotations

import http.client
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import Any

from botocore.client import BaseClient


class LambdaDied(BaseException):
    """The process is gone in the middle of what it did: no code of its own runs any more."""


class Life:
    """One invocation, over all its threads: dead from its k-th call of AWS on, made (`after`) or not."""

    def __init__(self, *, dies_at: int | None = None, after: bool = False) -> None:
        self._left = dies_at
        self._after = after
        self._lock = threading.Lock()
        self.dead = False

    def before_call(self) -> None:
        """A call of AWS is about to leave."""
        with self._lock:
            self._stay_dead()
            if self._left is not None:
                self._left -= 1
                if self._left <= 0 and not self._after:
                    self._die()

    def after_call(self) -> None:
        """AWS has answered."""
        with self._lock:
            self._stay_dead()
            if self._left is not None and self._left <= 0:
                self._die()

    def reach_out(self) -> None:
        """Anything at all is about to leave, be it a retry or a message to a person."""
        self._stay_dead()

    def _stay_dead(self) -> None:
        if self.dead:
            raise LambdaDied

    def _die(self) -> None:
        self.dead = True
        raise LambdaDied


class Mortality:
    """Lets what uses one boto3 session die, one invocation at a time; its threads die with it."""

    def __init__(self, session: Any) -> None:
        self._life = Life()
        session.events.register_first("before-call", lambda **_: self._life.before_call())
        session.events.register_last("after-call", lambda **_: self._life.after_call())

    @contextmanager
    def life(self, *, dies_at: int | None = None, after: bool = False) -> Iterator[Life]:
        """One invocation. Whether it died is nobody's to know but the table's and AWS's."""
        self._life = Life(dies_at=dies_at, after=after)
        try:
            yield self._life
        except LambdaDied:
            return
        finally:
            self._life = Life()


_current: ContextVar[Life | None] = ContextVar("life", default=None)


@contextmanager
def invocation(life: Life | None) -> Iterator[Life | None]:
    """Everything called in here, in this thread and those started from it, belongs to this life."""
    token = _current.set(life)
    try:
        yield life
    finally:
        _current.reset(token)


@contextmanager
def watched_process() -> Iterator[None]:
    """In here every AWS call of this process counts for the invocation that makes it, in whichever thread.

    Calls are counted where botocore makes one of many tries; anything else is stopped where HTTP leaves the process.
    """
    hooks: tuple[tuple[Any, str, Callable[[Any], Any]], ...] = (
        (BaseClient, "_make_request", _counted),
        (http.client.HTTPConnection, "putrequest", _stopped),
        (ThreadPoolExecutor, "submit", _handing_on),
        (threading.Thread, "start", _starting),
    )
    originals = [(owner, name, getattr(owner, name)) for owner, name, _ in hooks]
    for owner, name, hook in hooks:
        setattr(owner, name, hook(getattr(owner, name)))
    try:
        yield
    finally:
        for owner, name, original in originals:
            setattr(owner, name, original)


def _counted(make_request: Any) -> Any:
    @wraps(make_request)
    def counted(*args: Any, **kwargs: Any) -> Any:
        life = _current.get()
        if life is None:
            return make_request(*args, **kwargs)
        life.before_call()
        answer = make_request(*args, **kwargs)
        life.after_call()
        return answer

    return counted


def _stopped(send: Any) -> Any:
    @wraps(send)
    def stopped(*args: Any, **kwargs: Any) -> Any:
        life = _current.get()
        if life is not None:
            life.reach_out()
        return send(*args, **kwargs)

    return stopped


def _handing_on(submit: Any) -> Any:
    @wraps(submit)
    def handing_on(pool: ThreadPoolExecutor, work: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        return submit(pool, _belonging(work), *args, **kwargs)

    return handing_on


def _starting(start: Any) -> Any:
    @wraps(start)
    def starting(thread: threading.Thread) -> Any:
        thread.run = _belonging(thread.run)  # type: ignore[method-assign]
        return start(thread)

    return starting


def _belonging(work: Callable[..., Any]) -> Callable[..., Any]:
    """The same work, for the life that asks for it, whatever the thread did before."""
    life = _current.get()

    @wraps(work)
    def belonging(*args: Any, **kwargs: Any) -> Any:
        with invocation(life):
            return work(*args, **kwargs)

    return belonging
