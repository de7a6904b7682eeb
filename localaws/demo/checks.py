"""What the play claims, each held against the truth of `/_world`."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

from localaws.demo.play import Cast, Part
from localaws.demo.stage import when

LEASE_OF_A_STRAY = timedelta(hours=1)
SLACK_IN_TIME = timedelta(minutes=10)
LIMIT_USD = Decimal("1.00")
SWEEP = timedelta(minutes=2)


def checks(cast: Cast, truth: dict[str, Any]) -> Iterator[tuple[str, bool]]:
    """Each claim, and whether it holds."""
    rows = {row["id"]: row for row in truth["instances"]}
    yield "worker was busy and still runs", rows[cast.worker.instance_id]["state"] == "running"
    yield from _sleeper(cast, truth, rows)
    capped = rows[cast.capped.instance_id]
    yield (
        "capped ended and billed no more than its $1.00",
        (capped["state"] == "terminated" and Decimal(capped["billed_usd"]) <= LIMIT_USD),
    )
    stray = rows[cast.stray.instance_id]
    yield (
        "stray ended when the hour of its lease was over, not before, and its request with it",
        (
            stray["state"] == "terminated"
            and LEASE_OF_A_STRAY
            <= when(stray["ended_at"]) - when(stray["launched_at"])
            <= LEASE_OF_A_STRAY + SWEEP
            and _is_over(cast.stray, truth)
        ),
    )
    again = [row for row in truth["instances"] if row["relaunch_of"] == cast.undead.instance_id]
    yield "undead was killed by hand and AWS started it again", bool(again)
    yield (
        "Curfew ended what came back, untagged though it came, and its request with it",
        (bool(again) and again[0]["state"] == "terminated" and _is_over(cast.undead, truth)),
    )
    before, after = cast.instances_at_refusal
    yield (
        "the launch that does not fit the budget was answered 409 and started nothing",
        (cast.refusal[0] == 409 and before == after),
    )
    running = {row["id"] for row in truth["instances"] if row["state"] in ("pending", "running")}
    yield "nothing else runs", running == {cast.worker.instance_id}


def _sleeper(cast: Cast, truth: dict[str, Any], rows: dict[str, Any]) -> Iterator[tuple[str, bool]]:
    part = cast.sleeper
    row = rows[part.instance_id]
    yield "sleeper ended", row["state"] == "terminated"
    warnings = [
        when(message["at"])
        for message in cast.slack
        if part.instance_id in message["body"]["text"] and "will end" in message["body"]["text"]
    ]
    yield (
        "Slack warned of it ten minutes before",
        (
            bool(warnings)
            and row["ended_at"] is not None
            and when(row["ended_at"]) - warnings[0] >= SLACK_IN_TIME
        ),
    )
    cancelled = _first_call(truth, "CancelSpotInstanceRequests", part.spot_request_id)
    terminated = _first_call(truth, "TerminateInstances", part.instance_id)
    yield (
        "its persistent request was cancelled first, then the box was terminated",
        (cancelled is not None and terminated is not None and cancelled < terminated),
    )
    came_back = any(other["relaunch_of"] == part.instance_id for other in truth["instances"])
    yield "it did not come back", not came_back and _is_over(part, truth)


def _first_call(truth: dict[str, Any], operation: str, one: str | None) -> int | None:
    return next(
        (
            row["seq"]
            for row in truth["calls"]
            if row["operation"] == operation and row["code"] is None and one in row["ids"]
        ),
        None,
    )


def _is_over(part: Part, truth: dict[str, Any]) -> bool:
    """Its request can start nothing more."""
    states = [row["state"] for row in truth["spot_requests"] if row["id"] == part.spot_request_id]
    return states == ["cancelled"]
