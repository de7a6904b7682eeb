"""GetFreeTierUsage and GetAccountPlanState, as they were set; `filter` is not simulated.

An account that is older than the plans of July 2025 has none: its plan is not found.
"""

from __future__ import annotations

from typing import Any

from localaws.errors import AwsError
from localaws.operations import Call, operation

MOST = 1000


@operation("freetier", "GetFreeTierUsage")
def get_free_tier_usage(call: Call) -> dict[str, Any]:
    """The offers, 1,000 a page at most (botocore)."""
    params, offers = call.params, call.world.account.free_tier
    if params.get("filter"):
        raise AwsError("ValidationException", "filters of the free tier are not simulated")
    size, start = params.get("maxResults") or MOST, int(params.get("nextToken") or 0)
    if not 1 <= size <= MOST:
        raise AwsError("ValidationException", f"maxResults is 1 to {MOST}")
    more = {"nextToken": str(start + size)} if start + size < len(offers) else {}
    return {"freeTierUsages": offers[start : start + size], **more}


@operation("freetier", "GetAccountPlanState")
def get_account_plan_state(call: Call) -> dict[str, Any]:
    """The account's plan."""
    plan = call.world.account.plan
    if plan is None:
        raise AwsError("ResourceNotFoundException", "This account has no account plan", status=400)
    return plan
