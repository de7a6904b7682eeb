"""What a schedule of EventBridge Scheduler calls: any operation of any service, a Lambda function or a queue.

Sources: EventBridge Scheduler guide, "Using universal targets in EventBridge Scheduler" (the form of the ARN, and which
operations can't be called) and "Using templated targets"; how parameters are named and that missing ones are found when
the schedule is made is told by many ("Invalid RequestJson provided. Reason Request payload is missing the following
field(s)"), none of it by the guide.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from botocore import xform_name
from botocore.model import ListShape, MapShape, Shape, StructureShape

from localaws.errors import AwsError
from localaws.protocol.wire import service_model
from localaws.session import service_names

UNIVERSAL = re.compile(r"arn:aws[\w-]*:scheduler:::aws-sdk:([a-z0-9-]+):([a-z][A-Za-z0-9]*)")
FUNCTION = re.compile(r"arn:aws[\w-]*:lambda:[a-z0-9-]+:\d{12}:function:([\w-]+)(?::[\w$-]+)?")
QUEUE = re.compile(r"arn:aws[\w-]*:sqs:([a-z0-9-]+):\d{12}:([\w-]+)")
READ_ONLY = (
    "get describe list poll receive search scan query select read lookup discover validate batchGet batchDescribe "
    "batchRead transactGet adminGet adminList testMigration retrieve testConnection translateDocument isAuthorized "
    "invokeModel"
).split()
SERVICES = {
    "cloudwatchlogs": "logs",
    "costexplorer": "ce",
    "eventbridge": "events",
    "sfn": "stepfunctions",
}
"""Where the SDKs for Java, whose names the ARNs have, call a service otherwise than botocore."""


@dataclass(frozen=True, slots=True)
class UniversalTarget:
    """One call of an AWS API; `method` is botocore's name for it."""

    service: str
    operation: str

    @property
    def method(self) -> str:
        return xform_name(self.operation)

    def parameters(self, text: str) -> dict[str, Any]:
        """The input as botocore takes it. Raises a ValidationException where it lacks or has too much."""
        shape = service_model(self.service).operation_model(self.operation).input_shape
        named = _named(shape, _json(text), "")
        assert isinstance(named, dict)
        return named


@dataclass(frozen=True, slots=True)
class FunctionTarget:
    """A Lambda function, invoked with the input."""

    name: str


@dataclass(frozen=True, slots=True)
class QueueTarget:
    """A queue that is sent the input."""

    region: str
    name: str


Target = UniversalTarget | FunctionTarget | QueueTarget


def target_of(arn: str, text: str | None) -> Target:
    """The target of a schedule, checked as far as AWS checks it when the schedule is made."""
    universal, function, queue = (pattern.fullmatch(arn) for pattern in (UNIVERSAL, FUNCTION, QUEUE))
    if universal is not None:
        target = _universal(*universal.groups())
        target.parameters(text or "{}")
        return target
    if function is not None:
        _json(text or "{}")
        return FunctionTarget(function.group(1))
    if queue is not None:
        return QueueTarget(*queue.groups())
    raise invalid(
        f"Provided Arn {arn} is not supported: neither a function, a queue, nor aws-sdk:<service>:<action>"
    )


def invalid(message: str) -> AwsError:
    return AwsError("ValidationException", message)


def _universal(service: str, action: str) -> UniversalTarget:
    if re.match(rf"({'|'.join(READ_ONLY)})(?=[A-Z]|$)", action):
        raise invalid(f"{action} is not a supported api for service {service}: it only reads.")
    name = SERVICES.get(service, service)
    if name not in service_names():
        raise invalid(f"{service} is not a supported service for a target.")
    operation = _operations(name).get(action)
    if operation is None:
        raise invalid(f"{action} is not a supported api for service {service}.")
    return UniversalTarget(name, operation)


@lru_cache
def _operations(service: str) -> dict[str, str]:
    """The operations of a service by their names in ARNs, which begin with a small letter."""
    return {name[0].lower() + name[1:]: name for name in service_model(service).operation_names}


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as problem:
        raise invalid("Invalid RequestJson provided. Reason The input is not well-formed JSON.") from problem


def _named(shape: Shape | None, value: Any, path: str) -> Any:
    """A value with its fields in botocore's names, from those with a capital letter that AWS asks for."""
    if isinstance(shape, StructureShape) and isinstance(value, Mapping):
        return _fields(shape, value, path)
    if isinstance(shape, ListShape) and isinstance(value, list):
        return [_named(shape.member, one, path) for one in value]
    if isinstance(shape, MapShape) and isinstance(value, Mapping):
        return {key: _named(shape.value, one, path) for key, one in value.items()}
    if shape is None or isinstance(shape, StructureShape):
        return {}
    return value


def _fields(shape: StructureShape, value: Mapping[str, Any], path: str) -> dict[str, Any]:
    members = {name[0].upper() + name[1:]: name for name in shape.members}
    missing = [
        name for name, member in members.items() if member in shape.required_members and name not in value
    ]
    if missing:
        raise invalid(
            f"Invalid RequestJson provided. Reason Request payload is missing the following field(s): "
            f"{', '.join(path + name for name in missing)}."
        )
    unknown = sorted(set(value) - set(members))
    if unknown:
        raise invalid(
            f"Invalid RequestJson provided. Reason Unknown field(s): {', '.join(path + u for u in unknown)}."
        )
    return {
        members[name]: _named(shape.members[members[name]], one, f"{path}{name}.")
        for name, one in value.items()
    }
