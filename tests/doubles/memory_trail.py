"""CloudTrail in memory."""

from threading import Lock

from chalicelib.domain.creator import Caller
from chalicelib.domain.errors import Unavailable


class MemoryTrail:
    """Knows what was put into `known`: name → who started or made it."""

    def __init__(self) -> None:
        self.known: dict[str, Caller] = {}
        self.failing: set[str] = set()
        self.calls: list[tuple[str, str]] = []
        self._lock = Lock()

    def tell(self, name: str, arn: str, *, is_service: bool = False) -> None:
        """From now on CloudTrail knows who that was."""
        self.known[name] = Caller(arn=arn, is_service=is_service)

    def started_by(self, region: str, name: str) -> Caller | None:
        with self._lock:
            self.calls.append((region, name))
        if region in self.failing:
            raise Unavailable(f"CloudTrail in {region}: AccessDeniedException")
        return self.known.get(name)
