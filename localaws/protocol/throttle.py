"""Throttling: EC2 counts its calls, and what they start or end, in token buckets by account, region and action.

Source: EC2 developer guide, "Request throttling for the Amazon EC2 API", its tables: the request buckets by category of
action, those of the actions that have their own, and the resource buckets. They start full and are never fuller.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from localaws.errors import AwsError
from localaws.protocol.wire import CallId


class Size(NamedTuple):
    """How many tokens a bucket holds, and how many come back each second."""

    capacity: float
    refill: float


NON_MUTATING = Size(100, 20)
UNFILTERED = Size(50, 10)
MUTATING = Size(50, 5)
RESOURCE_INTENSIVE = Size(50, 5)
READING = ("Describe", "Get", "List", "Search")
UNFILTERED_ACTIONS = frozenset(
    "DescribeInstances DescribeInstanceStatus DescribeNetworkInterfaces DescribeSecurityGroups DescribeSnapshots "
    "DescribeSpotInstanceRequests DescribeVolumes".split()
)
"""They have a smaller bucket for calls with neither a filter nor a page."""
NARROWING = ("Filters", "MaxResults", "NextToken")
RESOURCE_INTENSIVE_ACTIONS = frozenset(
    "AuthorizeSecurityGroupIngress CancelSpotInstanceRequests CreateKeyPair RequestSpotInstances "
    "RevokeSecurityGroupIngress".split()
)
OWN_SIZES = {
    **dict.fromkeys(("RunInstances", "StartInstances"), Size(5, 2)),
    **dict.fromkeys(("CreateTags", "DeleteTags"), Size(100, 10)),
    **dict.fromkeys(
        (
            "TerminateInstances",
            "AssociateIamInstanceProfile",
            "CreateLaunchTemplateVersion",
            "CreateNetworkInterface",
            "CreateSnapshot",
            "CreateVolume",
            "DeleteNetworkInterface",
            "DeleteSnapshot",
            "DeleteVolume",
            "DeregisterImage",
            "DescribeSpotFleetInstances",
            "DescribeSpotFleetRequestHistory",
            "DisassociateIamInstanceProfile",
            "ModifyImageAttribute",
            "ModifyInstanceMetadataOptions",
            "ModifyLaunchTemplate",
        ),
        Size(100, 5),
    ),
    "CopyImage": Size(100, 1),
    "DescribeSpotFleetRequests": Size(50, 3),
    **dict.fromkeys(
        (
            "DescribeCapacityBlockExtensionOfferings",
            "DescribeCapacityBlockOfferings",
            "PurchaseCapacityBlock",
            "PurchaseCapacityBlockExtension",
        ),
        Size(10, 0.15),
    ),
}
RESOURCES = {
    "RunInstances": Size(1000, 2),
    "StartInstances": Size(1000, 2),
    "StopInstances": Size(1000, 20),
    "TerminateInstances": Size(1000, 20),
}
Key = tuple[str, str, str]


@dataclass(slots=True)
class Bucket:
    """One bucket, as it was when it was last looked at."""

    size: Size
    tokens: float
    seconds: float

    def has(self, wanted: float, seconds: float) -> bool:
        self.tokens = min(self.size.capacity, self.tokens + (seconds - self.seconds) * self.size.refill)
        self.seconds = seconds
        return self.tokens >= wanted


class Throttle:
    """The buckets of the account.

    They refill as the virtual clock moves and, with a `stopwatch` that tells real seconds, as real time passes too:
    else a clock that stands still would starve whoever calls.
    """

    def __init__(
        self, now: Callable[[], datetime], *, on: bool, stopwatch: Callable[[], float] | None = None
    ) -> None:
        self._now = now
        self._stopwatch = stopwatch
        self._buckets: dict[Key, Bucket] = {}
        self.on = on

    def switch(self, *, on: bool) -> None:
        """From here on calls are counted, from full buckets, or not."""
        self.on = on
        self._buckets.clear()

    def take(self, call: CallId, params: Mapping[str, Any]) -> None:
        """Count a call, or refuse it: then it takes nothing from any bucket."""
        if not self.on or call.service != "ec2" or not call.operation:
            return
        wanted = {self._request_bucket(call, params): 1}
        if call.operation in RESOURCES:
            wanted[self._resource_bucket(call)] = affected(params)
        seconds = self._seconds()
        if not all(self._buckets[key].has(tokens, seconds) for key, tokens in wanted.items()):
            raise AwsError("RequestLimitExceeded", "Request limit exceeded.", status=503)
        for key, tokens in wanted.items():
            self._buckets[key].tokens -= tokens

    def _request_bucket(self, call: CallId, params: Mapping[str, Any]) -> Key:
        size, kind = size_of(call.operation, params)
        return self._bucket((call.region, call.operation, kind), size)

    def _resource_bucket(self, call: CallId) -> Key:
        return self._bucket((call.region, call.operation, "resources"), RESOURCES[call.operation])

    def _bucket(self, key: Key, size: Size) -> Key:
        self._buckets.setdefault(key, Bucket(size, size.capacity, self._seconds()))
        return key

    def _seconds(self) -> float:
        return self._now().timestamp() + (self._stopwatch() if self._stopwatch else 0.0)


def size_of(operation: str, params: Mapping[str, Any]) -> tuple[Size, str]:
    """The request bucket of an action, and what tells it from the action's other one."""
    if operation in UNFILTERED_ACTIONS and not any(params.get(name) for name in NARROWING):
        return UNFILTERED, "unfiltered"
    if operation in OWN_SIZES:
        return OWN_SIZES[operation], "requests"
    if operation.startswith(READING):
        return NON_MUTATING, "requests"
    return RESOURCE_INTENSIVE if operation in RESOURCE_INTENSIVE_ACTIONS else MUTATING, "requests"


def affected(params: Mapping[str, Any]) -> int:
    """How many instances a call starts, stops or ends."""
    return int(params.get("MaxCount") or 0) or len(params.get("InstanceIds", []))
