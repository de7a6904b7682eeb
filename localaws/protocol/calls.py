"""The record of every call that changes something in EC2 or its groups."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from localaws.protocol.wire import CallId

READING = ("Describe", "Get", "List", "Search")
ID_FIELDS = (
    "InstanceIds",
    "InstanceId",
    "SpotInstanceRequestIds",
    "SpotFleetRequestIds",
    "SpotFleetRequestId",
    "CapacityReservationId",
    "FleetIds",
    "FleetId",
    "Resources",
    "VolumeId",
    "LaunchTemplateId",
    "LaunchTemplateName",
    "AutoScalingGroupName",
    "ImageId",
)
MADE = (("CreateFleet", "FleetId"), ("RequestSpotFleet", "SpotFleetRequestId"))
"""Where the answer of a call names the one thing that it made."""


@dataclass(frozen=True, slots=True)
class CallRow:
    """One call, in the order of its effect; `code` is None when it was done, `lost` when its answer never arrived.

    `by` is the schedule that EventBridge Scheduler made it for; None for everybody else's calls.
    """

    seq: int
    at: datetime
    service: str
    region: str
    operation: str
    ids: list[str]
    code: str | None
    lost: bool
    by: str | None = None


class CallLog:
    def __init__(self) -> None:
        self._rows: list[CallRow] = []

    def note(
        self,
        at: datetime,
        call: CallId,
        ids: list[str],
        code: str | None,
        *,
        lost: bool,
        by: str | None = None,
    ) -> None:
        seq = len(self._rows) + 1
        self._rows.append(CallRow(seq, at, call.service, call.region, call.operation, ids, code, lost, by))

    def as_dicts(self) -> list[dict[str, Any]]:
        return [asdict(row) for row in self._rows]


def changes_something(call: CallId) -> bool:
    return (
        call.service in ("ec2", "autoscaling")
        and bool(call.operation)
        and not call.operation.startswith(READING)
    )


def ids_in(call: CallId, params: Mapping[str, Any], answer: Mapping[str, Any] | None) -> list[str]:
    """What the call was about: the ids it names, or those it made."""
    found: list[str] = []
    if not call.operation.startswith(("Run", "Create", "Request")) or call.operation == "CreateTags":
        for name in ID_FIELDS:
            value = params.get(name)
            found += value if isinstance(value, list) else [value] if isinstance(value, str) else []
    if answer:
        found += [row["InstanceId"] for row in answer.get("Instances", []) if "InstanceId" in row]
        found += [instance for row in answer.get("Instances", []) for instance in row.get("InstanceIds", [])]
        found += [row["SpotInstanceRequestId"] for row in answer.get("SpotInstanceRequests", [])]
        found += [answer[made] for operation, made in MADE if call.operation == operation and made in answer]
    return found
