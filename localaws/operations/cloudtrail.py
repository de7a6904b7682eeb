"""LookupEvents, as far as it tells who started instances and made fleets and groups: the last 90 days."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

from localaws.errors import AwsError
from localaws.operations import Call, operation
from localaws.trail import Entry

KEPT = timedelta(days=90)
MOST = 50
READERS = {
    "EventName": lambda one: {one.name},
    "EventSource": lambda one: {one.source},
    "ResourceName": lambda one: set(one.resources),
    "Username": lambda one: {one.identity.get("userName", "")},
}


@operation("cloudtrail", "LookupEvents")
def lookup_events(call: Call) -> dict[str, Any]:
    """One attribute a call, the newest first, 50 a page (botocore)."""
    params = call.params
    attributes = params.get("LookupAttributes", [])
    if len(attributes) > 1 or any(one["AttributeKey"] not in READERS for one in attributes):
        raise AwsError(
            "InvalidLookupAttributesException",
            f"one attribute at most, of those that are simulated: {', '.join(READERS)}",
        )
    size = params.get("MaxResults") or MOST
    if not 1 <= size <= MOST:
        raise AwsError("InvalidMaxResultsException", f"MaxResults is 1 to {MOST}")
    found = [one for one in call.world.trail.known(call.region) if _is_asked_for(call, one, attributes)]
    token = params.get("NextToken") or "0"
    if not token.isdigit():
        raise AwsError("InvalidNextTokenException", "Invalid NextToken")
    start = int(token)
    answer: dict[str, Any] = {"Events": [_shown(call, one) for one in found[start : start + size]]}
    return answer | ({"NextToken": str(start + size)} if start + size < len(found) else {})


def _is_asked_for(call: Call, one: Entry, attributes: list[dict[str, str]]) -> bool:
    since = _moment(call, "StartTime") or call.world.now - KEPT
    until = _moment(call, "EndTime") or call.world.now
    return since <= one.at <= until and all(
        asked["AttributeValue"] in READERS[asked["AttributeKey"]](one) for asked in attributes
    )


def _moment(call: Call, name: str) -> datetime | None:
    """A time of the request, in seconds as JSON has it."""
    seconds = call.params.get(name)
    return None if seconds is None else datetime.fromtimestamp(float(seconds), UTC)


def _shown(call: Call, one: Entry) -> dict[str, Any]:
    event_id = sha256(f"{one.name}/{one.resources}/{one.at}".encode()).hexdigest()[:32]
    document = {
        "eventVersion": "1.08",
        "userIdentity": one.identity,
        "eventTime": f"{one.at:%Y-%m-%dT%H:%M:%SZ}",
        "eventSource": one.source,
        "eventName": one.name,
        "awsRegion": call.region,
        "eventID": event_id,
    }
    return {
        "EventId": event_id,
        "EventName": one.name,
        "ReadOnly": "false",
        "EventTime": one.at,
        "EventSource": one.source,
        "Username": one.identity.get("userName", ""),
        "Resources": [{"ResourceName": name} for name in one.resources],
        "CloudTrailEvent": json.dumps(document),
    }
