"""Time for the server: one thread that moves the clock, runs what falls due and delivers events.

Everything that moves the clock runs in this thread, one thing at a time, so that nothing interleaves with a sweep.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from datetime import datetime, timedelta
from typing import Any

from localaws.ec2.heartbeats import Heartbeats
from localaws.events.lambdas import Lambdas
from localaws.world import World

STEP = timedelta(seconds=60)
MOST_AT_ONCE = 10_000
HELD_UP_SECONDS = 0.02


class Conductor:
    """Steps of a minute, at most `speed` times as fast as real time; 0 moves only when asked to.

    The clock stands while something `waits`: a launch takes a second on AWS, and on a slow machine its minutes here
    would be taken for a launch that died.
    """

    def __init__(
        self,
        world: World,
        lambdas: Lambdas,
        heartbeats: Heartbeats,
        speed: float,
        *,
        waits: Callable[[], bool] = lambda: False,
    ) -> None:
        self._waits = waits
        self._world = world
        self._heartbeats = heartbeats
        self._lambdas = lambdas
        self._pause = STEP.total_seconds() / speed if speed > 0 else None
        self._began = world.now
        self._commands: queue.SimpleQueue[Callable[[], Any] | None] = queue.SimpleQueue()
        self._woken = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name="conductor", daemon=True)
        world.on_event(self._wake)

    def start(self) -> None:
        self._thread.start()

    def stop(self, within_seconds: float) -> None:
        """Finish what is going on, unless it takes too long."""
        self._stopping.set()
        self._commands.put(None)
        self._thread.join(within_seconds)

    def do(self, work: Callable[[], Any]) -> Any:
        """Run `work` in the conductor's thread and answer its result; never called with the world's lock held."""
        done: Future[Any] = Future()

        def run() -> None:
            try:
                done.set_result(work())
            except BaseException as problem:  # noqa: BLE001 it is the caller's
                done.set_exception(problem)

        self._commands.put(run)
        return done.result()

    def advance(self, by: timedelta) -> datetime:
        """Move the clock on by whole steps and what is left, with every sweep on the way; answers when all is done."""
        moved: datetime = self.do(lambda: self._advance_to(self._world.now + by))
        return moved

    def sweep_once(self) -> None:
        """What runs each minute, now, without moving the clock."""
        self.do(self._sweep)

    def start_over(self, prepare: Callable[[], None]) -> None:
        """An empty world, made ready by `prepare`, then one sweep."""

        def anew() -> None:
            self._world.start_over()
            self._lambdas.start_over(self._last_step())
            self._heartbeats.start_over()
            prepare()
            self._sweep()

        self.do(anew)

    def _work(self) -> None:
        step_at = time.monotonic() + (self._pause or 0)
        while not self._stopping.is_set():
            timeout = None if self._pause is None else max(0.0, step_at - time.monotonic())
            try:
                command = self._commands.get(timeout=timeout)
            except queue.Empty:
                if self._waits():
                    step_at = time.monotonic() + HELD_UP_SECONDS
                    continue
                step_at = time.monotonic() + (self._pause or 0)
                self._advance_to(self._next_step())
                continue
            if command is not None:
                command()

    def _wake(self) -> None:
        if not self._woken.is_set():
            self._woken.set()
            self._commands.put(self._deliver)

    def _sweep(self) -> None:
        self._lambdas.run_every_minute_ones(self._world.now)
        self._deliver()

    def _last_step(self) -> datetime:
        return self._world.now - (self._world.now - self._began) % STEP

    def _next_step(self) -> datetime:
        return self._last_step() + STEP

    def _advance_to(self, target: datetime) -> datetime:
        while self._world.now < target and not self._stopping.is_set():
            step = min(self._next_step(), target)
            while (due := self._world.next_at) is not None and due <= step:
                self._world.advance_to(due)
                self._deliver()
            self._world.advance_to(step)
            if (step - self._began) % STEP == timedelta(0):
                self._heartbeats.minute()
                self._lambdas.run_due(step)
            self._deliver()
        return self._world.now

    def _deliver(self) -> None:
        """Work off all that waits, what that causes too."""
        self._woken.clear()
        for _ in range(MOST_AT_ONCE):
            if self._stopping.is_set() or not self._lambdas.work_off():
                return
