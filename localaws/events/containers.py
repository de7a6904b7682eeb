"""Where functions run: each invocation may be made to die, and what comes after it starts afresh."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeVar

from localaws.mortality import LambdaDied, Life, invocation
from localaws.protocol.faults import API, DIED, FUNCTIONS, SKIPPED
from localaws.protocol.wire import CallId

if TYPE_CHECKING:
    from localaws.world import World

T = TypeVar("T")
READING = ("GET", "HEAD", "OPTIONS")


class Containers:
    """Runs functions, as the faults of the service `lambda` say."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._changing = 0
        self._counting = Lock()

    @property
    def is_changing(self) -> bool:
        """Whether an HTTP call that may change something is under way. None of those waits for time to pass."""
        return self._changing > 0

    @contextmanager
    def answering(self, method: str) -> Iterator[None]:
        """Around an HTTP call."""
        step = 0 if method in READING else 1
        with self._counting:
            self._changing += step
        try:
            yield
        finally:
            with self._counting:
                self._changing -= step

    def run(self, function: str, work: Callable[[], T]) -> T:
        """What `work` answers. Raises LambdaDied where it died, whatever its own code made of that."""
        fault = self._strike(function, DIED)
        life = Life() if fault is None else Life(dies_at=fault.dies_at, after=fault.after)
        try:
            with invocation(life):
                answer = work()
        except BaseException:
            if not life.dead:
                raise
        else:
            if not life.dead:
                return answer
        forget_caches()
        print(
            f"localaws: the function {function} died, as a fault has asked for", file=sys.stderr, flush=True
        )
        raise LambdaDied

    def gateway_fault(self, method: str) -> str | None:
        """The status that API Gateway answers an HTTP call with by itself, where a fault of the service `api` hits."""
        with self._world.lock:
            call = CallId(API, self._world.home_region, method)
            fault = self._world.faults.strike(call, "gateway")
        return fault.code if fault else None

    def skips(self, function: str) -> bool:
        """Whether this scheduled invocation does not happen."""
        return self._strike(function, SKIPPED) is not None

    def _strike(self, function: str, code: str) -> Any:
        with self._world.lock:
            call = CallId(FUNCTIONS, self._world.home_region, function)
            return self._world.faults.strike(call, "invocation", code=code)


def forget_caches() -> None:
    """Let the application build everything anew, as a fresh container does."""
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] == "chalicelib":
            for value in list(vars(module).values()):
                clear = getattr(value, "cache_clear", None)
                if callable(clear):
                    clear()
