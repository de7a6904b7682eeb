"""What the Describe calls of both kinds of fleets have in common."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from localaws.ec2.fleets import Fleets
from localaws.ec2.spot_terms import aware
from localaws.model import Fleet
from localaws.operations import Call
from localaws.protocol.paging import page

HISTORY_DELAY = timedelta(seconds=30)
HISTORY_KEPT = timedelta(hours=48)


def shown_fleets(call: Call, fleets: Fleets) -> list[Fleet]:
    """The fleets of the region that AWS still shows."""
    return [fleet for fleet in fleets if fleet.region == call.region and fleets.is_shown(fleet)]


def active_instances(call: Call, fleets: Fleets, fleet: Fleet) -> tuple[list[dict[str, Any]], str | None]:
    """A page of the running boxes of a fleet."""
    some, token = page(
        fleets.counted(fleet), call.params.get("NextToken"), call.params.get("MaxResults"), least=1
    )
    rows = [
        {
            "InstanceId": box.id,
            "InstanceType": box.type,
            "SpotInstanceRequestId": box.request_id,
            "InstanceHealth": "healthy",
        }
        for box in some
    ]
    return rows, token


def history(call: Call, fleet: Fleet, words: Mapping[str, str]) -> dict[str, Any]:
    """Its events since a time: half a minute late, and for two days (botocore, DescribeFleetHistory)."""
    now = call.world.now
    since: datetime = aware(call.params["StartTime"]) or now
    wanted = call.params.get("EventType")
    told = [
        {
            "Timestamp": event.at,
            "EventType": words.get(event.kind, event.kind),
            "EventInformation": {
                "EventSubType": event.sub_type,
                "InstanceId": event.instance_id,
                "EventDescription": event.description,
            },
        }
        for event in fleet.history
        if max(since, now - HISTORY_KEPT) <= event.at <= now - HISTORY_DELAY
        and wanted in (None, words.get(event.kind, event.kind))
    ]
    some, token = page(told, call.params.get("NextToken"), call.params.get("MaxResults"), least=1)
    last = {} if token else {"LastEvaluatedTime": now - HISTORY_DELAY}
    return {"HistoryRecords": some, "StartTime": since, "NextToken": token, **last}


def with_configs(call: Call, fleets: Fleets, fleet: Fleet) -> None:
    """Take over the launch templates of a modification, unless they can't launch."""
    if call.params.get("LaunchTemplateConfigs"):
        changed = {**fleet.params, "LaunchTemplateConfigs": call.params["LaunchTemplateConfigs"]}
        fleets.kind.ways(call.region, changed)
        fleet.params = changed


def activity(fleets: Fleets, fleet: Fleet) -> str:
    """The progress of a fleet (botocore, FleetData.ActivityStatus)."""
    if fleet.type == "instant":
        return "fulfilled"
    if len(fleets.counted(fleet)) < len(fleets.live(fleet)) or fleet.state.endswith("_terminating"):
        return "pending_termination"
    return "fulfilled" if fleets.fulfilled(fleet) >= fleet.target else "pending_fulfillment"
