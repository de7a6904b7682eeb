"""Who called, by CloudTrail's LookupEvents: free, two calls a second and region, up to 15 minutes late.

Sources: botocore, LookupEvents; CloudTrail guide, "CloudTrail userIdentity element" and "Viewing events with CloudTrail
Event history".
"""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from threading import Lock
from typing import Any, Protocol, cast

from chalicelib.domain.creator import Caller
from chalicelib.gateways.aws import AWS_ERRORS, HURRIED, Aws, unavailable

SECONDS_BETWEEN = 0.5
EVENTS_A_PAGE = 50
PAGES = 3
"""A box's start is its oldest event; one that has more pages than these is not asked further."""
STARTS = frozenset(
    "RunInstances RequestSpotInstances CreateFleet RequestSpotFleet CreateAutoScalingGroup".split()
)
SERVICE_ROLE = ":assumed-role/AWSServiceRole"


class _Client(Protocol):
    def lookup_events(self, **question: Any) -> Mapping[str, Any]: ...


class CloudTrail:
    """Implements chalicelib.ports.Trail. Shared by threads, one a region."""

    def __init__(
        self,
        aws: Aws,
        *,
        sleep: Callable[[float], None] = time.sleep,
        elapsed: Callable[[], float] = time.monotonic,
    ) -> None:
        self._aws = aws
        self._sleep = sleep
        self._elapsed = elapsed
        self._lock = Lock()
        self._free_at: dict[str, float] = defaultdict(float)

    def started_by(self, region: str, name: str) -> Caller | None:
        """Who started or made what is called so; None while CloudTrail does not know. Raises Unavailable."""
        question: dict[str, Any] = {
            "LookupAttributes": [{"AttributeKey": "ResourceName", "AttributeValue": name}],
            "MaxResults": EVENTS_A_PAGE,
        }
        client = cast("_Client", self._aws.client("cloudtrail", region, HURRIED))
        for _ in range(PAGES):
            self._pace(region)
            try:
                page = client.lookup_events(**question)
            except AWS_ERRORS as error:
                raise unavailable(f"asking CloudTrail in {region} about {name}", error) from error
            for event in page.get("Events") or []:
                if event.get("EventName") in STARTS and (caller := to_caller(event)):
                    return caller
            if not page.get("NextToken"):
                break
            question["NextToken"] = page["NextToken"]
        return None

    def _pace(self, region: str) -> None:
        """Wait until a region may be asked again."""
        with self._lock:
            now = self._elapsed()
            begins = max(now, self._free_at[region])
            self._free_at[region] = begins + SECONDS_BETWEEN
        if begins > now:
            self._sleep(begins - now)


def to_caller(event: Mapping[str, Any]) -> Caller | None:
    """Who made the call of an event; None where it failed, or does not say."""
    try:
        document = json.loads(event.get("CloudTrailEvent") or "{}")
    except ValueError:
        return None
    if not isinstance(document, dict) or document.get("errorCode"):
        return None
    identity = document.get("userIdentity") or {}
    arn = str(identity.get("arn") or identity.get("invokedBy") or "")
    if not arn:
        return None
    return Caller(arn=arn, is_service=identity.get("type") == "AWSService" or SERVICE_ROLE in arn)
