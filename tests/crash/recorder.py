"""The recorder: counts the calls of AWS that one process makes, and lets one accident happen at call k.

The calls of all services and threads are counted in the order in which they leave; a call is one, however often botocore
tries it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from botocore.exceptions import ReadTimeoutError

from localaws.mortality import LambdaDied
from localaws.session import _plain

if TYPE_CHECKING:
    from localaws.world import World

Mode = Literal["dies", "unanswered", "retried", "interleaved"]
READING = ("Describe", "Get", "List", "Query", "Scan", "BatchGet", "Lookup")


@dataclass(frozen=True, slots=True)
class Called:
    """One call."""

    service: str
    operation: str

    @property
    def writes(self) -> bool:
        """Whether it may change anything at AWS."""
        return not self.operation.startswith(READING)

    def __str__(self) -> str:
        return f"{self.service}:{self.operation}"


@dataclass(frozen=True, slots=True)
class Accident:
    """What happens at call `at`, from 1 on.

    `dies`: the process is gone once that call has taken effect; at 0: before its first. `unanswered`: it takes effect and
    no try of it is answered. `retried`: its first try takes effect without an answer, botocore tries it again.
    `interleaved`: another process does something once it has taken effect, and this one goes on.
    """

    mode: Mode
    at: int


@dataclass(slots=True)
class Recorder:
    """Hooks on a boto3 session; quiet until `begin`."""

    world: World
    meanwhile: Callable[[], None] | None = None
    """What another process does, of an `interleaved` accident."""
    calls: list[Called] = field(default_factory=list)
    accident: Accident | None = None
    is_dead: bool = False
    tries: int = 0
    """How often the call of the accident was tried."""
    _is_on: bool = False
    _lock: Any = field(default_factory=threading.RLock)
    _mine: Any = field(default_factory=threading.local)

    def hook(self, session: Any) -> None:
        """Watch what a session's clients call."""
        session.events.register_first("before-call", self._before)
        session.events.register_first("before-send", self._send)
        session.events.register_last("after-call", self._after)

    def begin(self, accident: Accident | None, meanwhile: Callable[[], None] | None = None) -> None:
        """Count from here on."""
        self.calls, self.accident, self.meanwhile = [], accident, meanwhile
        self.is_dead, self._is_on, self.tries = False, True, 0

    def end(self) -> list[Called]:
        """Stop, and answer the calls. A dead process stays dead."""
        self._is_on = False
        return list(self.calls)

    def reach_out(self) -> None:
        """Something is about to leave the process."""
        if self.is_dead:
            raise LambdaDied

    def _before(self, model: Any, **_: Any) -> None:
        with self._lock:
            self.reach_out()
            if not self._is_on:
                return
            if self.accident == Accident("dies", len(self.calls)):
                self.is_dead = True
                raise LambdaDied
            self.calls.append(Called(model.service_model.service_name, model.name))
            self._mine.number = len(self.calls)

    def _send(self, request: Any, **_: Any) -> None:
        self.reach_out()
        if not self._is_hit("unanswered", "retried"):
            return
        self.tries += 1
        if self.tries == 1 or self._is_hit("unanswered"):
            self.world.endpoint.handle(_plain(request))
            raise ReadTimeoutError(endpoint_url=request.url)

    def _after(self, **_: Any) -> None:
        self.reach_out()
        if self._is_hit("dies"):
            self.is_dead = True
            raise LambdaDied
        if self._is_hit("interleaved") and self.meanwhile:
            meanwhile, self.meanwhile = self.meanwhile, None
            meanwhile()

    def _is_hit(self, *modes: Mode) -> bool:
        accident = self.accident
        number = getattr(self._mine, "number", 0)
        return self._is_on and accident is not None and accident.mode in modes and accident.at == number
