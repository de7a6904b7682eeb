"""Accidents for a double: calls that fail before they do anything, or once they are done; and a second writer's moment.

`inject` makes a call fail; `hook` is called around every call, outside the lock, so that a test can act in between;
`calls` has the methods called, in order.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar, cast

P = ParamSpec("P")
R = TypeVar("R")
S = TypeVar("S", bound="AccidentProne")


class Crash(BaseException):
    """The process ends here: no `except Exception` catches it."""


@dataclass(slots=True)
class Accident:
    """What happens to one call of a method, after `skip` calls went well."""

    method: str
    error: BaseException
    after: bool
    skip: int


def _nothing(method: str, phase: str) -> None:
    del method, phase


class AccidentProne:
    """A double whose calls (`@call`) go one by one, and may fail when a test says so."""

    def __init__(self) -> None:
        self.hook: Callable[[str, str], None] = _nothing
        self.calls: list[str] = []
        self._lock = threading.RLock()
        self._accidents: list[Accident] = []

    def inject(self, method: str, error: BaseException, *, after: bool = False, skip: int = 0) -> None:
        """Let one call of a method fail, after `skip` that go well: before it does anything, or (`after`) once it is
        done, as when the answer is lost or the process dies."""
        with self._lock:
            self._accidents.append(Accident(method, error, after, skip))

    def _accident(self, method: str) -> Accident | None:
        with self._lock:
            self.calls.append(method)
            waiting = [accident for accident in self._accidents if accident.method == method]
            for accident in waiting:
                if accident.skip == 0:
                    self._accidents.remove(accident)
                    return accident
                accident.skip -= 1
        return None


def call(method: Callable[Concatenate[S, P], R]) -> Callable[Concatenate[S, P], R]:
    """A method of the port, to which accidents can happen."""

    @wraps(method)
    def run(self: S, *args: P.args, **kwargs: P.kwargs) -> R:
        accident = self._accident(method.__name__)
        self.hook(method.__name__, "before")
        if accident and not accident.after:
            raise accident.error
        with self._lock:
            result = method(self, *args, **kwargs)
        self.hook(method.__name__, "after")
        if accident:
            raise accident.error
        return result

    return cast("Callable[Concatenate[S, P], R]", run)
