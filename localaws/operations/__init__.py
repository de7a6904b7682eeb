"""The AWS operations that this package answers itself; moto answers all others.

An operation is a function from `Call` to the answer in boto3's shape, registered by the decorator. It may answer None
to leave this one call to moto.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from localaws.errors import AwsError
from localaws.protocol.wire import CallId

if TYPE_CHECKING:
    from localaws.world import World


@dataclass(frozen=True, slots=True)
class Call:
    """One call of an operation: where, and with what."""

    world: World
    region: str
    params: dict[str, Any]

    def filters(self) -> dict[str, list[str]]:
        """The `Filters` by name; at most 50 with 200 values each (EC2 guide, "Filter your resources")."""
        found = {one["Name"]: list(one.get("Values", [])) for one in self.params.get("Filters", [])}
        if len(found) > 50 or any(len(values) > 200 for values in found.values()):
            raise AwsError(
                "FilterLimitExceeded", "The maximum number of filter values specified on a single call is 200"
            )
        return found


Operation = Callable[[Call], Mapping[str, Any] | None]
Repeat = Callable[[Call, Mapping[str, Any]], Mapping[str, Any]]
_operations: dict[tuple[str, str], Operation] = {}
_repeats: dict[tuple[str, str], Repeat] = {}


def operation(service: str, name: str) -> Callable[[Operation], Operation]:
    """Register the function as the answer to this operation."""

    def register(function: Operation) -> Operation:
        _operations[service, name] = function
        return function

    return register


def repeated(service: str, name: str) -> Callable[[Repeat], Repeat]:
    """Register what answers a request whose client token was used already, from its first answer."""

    def register(function: Repeat) -> Repeat:
        _repeats[service, name] = function
        return function

    return register


def repeat_for(call: CallId) -> Repeat | None:
    """None: the first answer is given again."""
    return _repeats.get((call.service, call.operation))


def operation_for(call: CallId) -> Operation | None:
    return _operations.get((call.service, call.operation))


def load_all() -> None:
    """Import every file of this folder, so that all operations are registered."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
