"""Timers in memory: they are kept, and fire when a test asks what is due."""

from datetime import datetime

from chalicelib.domain.errors import Unavailable
from chalicelib.domain.timer import Timer
from tests.doubles.accidents import AccidentProne, call


class MemoryTimers(AccidentProne):
    """Implements chalicelib.ports.Timers, with accidents on demand. `down` are regions whose Scheduler fails."""

    is_configured = True

    def __init__(self) -> None:
        super().__init__()
        self.down: set[str] = set()
        self.armed: dict[tuple[str, str], Timer] = {}

    @call
    def put(self, timer: Timer) -> None:
        self._fail(timer.region)
        self.armed[timer.region, timer.name] = timer

    @call
    def delete(self, region: str, name: str) -> None:
        self._fail(region)
        self.armed.pop((region, name), None)

    def of(self, lease_id: str) -> dict[str, datetime]:
        """When each timer of a lease fires, by the end's name, in the order in which they were made."""
        start = f"curfew-{lease_id}-"
        return {
            name.removeprefix(start): timer.at
            for (_, name), timer in self.armed.items()
            if name.startswith(start)
        }

    def _fail(self, region: str) -> None:
        if region in self.down:
            raise Unavailable(f"Scheduler in {region}: InternalServerException")
