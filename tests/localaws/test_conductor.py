"""Who moves the clock of the server, and what it stands for."""

from contextlib import suppress
from threading import Event
from typing import Any

from localaws.events.containers import Containers
from localaws.serve.conductor import Conductor
from localaws.world import World


class Stub:
    """Functions and boxes that do nothing; `ran` once a minute has passed."""

    def __init__(self) -> None:
        self.ran = Event()

    def minute(self) -> None:
        """No box tells anything."""

    def run_due(self, _: Any) -> None:
        """What is due each minute."""
        self.ran.set()

    def work_off(self) -> bool:
        """Nothing waits."""
        return False


def test_the_clock_stands_while_a_call_changes_something() -> None:
    """However long that takes, and it goes on by itself afterwards."""
    with World() as world:
        start, seen = world.now, list[Any]()

        def waits() -> bool:
            seen.append(world.now)
            return len(seen) < 4

        stub: Any = Stub()
        conductor = Conductor(world, stub, stub, 60_000, waits=waits)
        conductor.start()
        assert stub.ran.wait(10)
        conductor.stop(10)
        assert seen[:4] == [start] * 4
        assert world.now > start


def test_a_call_that_only_reads_holds_nothing_up() -> None:
    """It may wait for a lease to settle, and that takes time."""
    with World() as world:
        containers = Containers(world)
        with containers.answering("GET"):
            assert not containers.is_changing
        with containers.answering("POST"), containers.answering("DELETE"):
            assert containers.is_changing
        with suppress(LookupError), containers.answering("PATCH"):
            raise LookupError
        assert not containers.is_changing
