"""A table for tests, made from the only definition there is, and time that passes by sleeping alone."""

import json
import threading
from pathlib import Path
from typing import Any

RESOURCES = Path(__file__).parents[2] / ".chalice" / "resources.json"
CREATABLE = ("AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes", "BillingMode")


def create_table(client: Any, name: str) -> None:
    """Create Curfew's table under a name."""
    properties = json.loads(RESOURCES.read_text())["Resources"]["CurfewTable"]["Properties"]
    client.create_table(TableName=name, **{key: properties[key] for key in CREATABLE})


class IdleTime:
    """A clock that only sleeping moves; `slept` has each sleep."""

    def __init__(self) -> None:
        self.slept: list[float] = []
        self._lock = threading.Lock()

    def sleep(self, seconds: float) -> None:
        """Let time pass, at once."""
        with self._lock:
            self.slept.append(seconds)

    def elapsed(self) -> float:
        """Seconds slept so far, by anybody."""
        with self._lock:
            return sum(self.slept)
