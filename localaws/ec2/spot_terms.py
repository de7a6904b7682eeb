"""What a launch asks of its spot requests, checked as RunInstances checks it.

Source: botocore, SpotMarketOptions: a persistent request needs the behaviour stop or hibernate, an end goes only with a
persistent one, HibernationOptions.Configured means hibernate and contradicts the others, a cap is at least $0.001.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Literal

from localaws.errors import AwsError

LEAST_CAP = Decimal("0.001")
PROTECTIONS = ("DisableApiTermination", "DisableApiStop")
"""Against ending by the API, and against stopping and ending; neither is for spot."""


@dataclass(frozen=True, slots=True)
class SpotTerms:
    """The terms of one spot request."""

    kind: Literal["one-time", "persistent"]
    behaviour: str
    cap_usd: Decimal | None
    valid_until: datetime | None


def spot_terms(params: dict[str, Any]) -> SpotTerms | None:
    """Those of RunInstances parameters; None for a launch that is not spot."""
    market = params.get("InstanceMarketOptions", {})
    if market.get("MarketType") != "spot":
        return None
    options = market.get("SpotOptions", {})
    persistent = options.get("SpotInstanceType") == "persistent"
    behaviour = _behaviour(options, hibernates=bool(params.get("HibernationOptions", {}).get("Configured")))
    if persistent and behaviour == "terminate":
        raise _contradiction("A persistent Spot request needs the interruption behavior stop or hibernate")
    if not persistent and (options.get("ValidUntil") or behaviour != "terminate"):
        raise _contradiction("ValidUntil and the behaviors stop and hibernate need a persistent Spot request")
    for protection in PROTECTIONS:
        if params.get(protection):
            raise _contradiction(f"{protection} can't be used with Spot Instances")
    cap = Decimal(options["MaxPrice"]) if options.get("MaxPrice") else None
    if cap is not None and cap < LEAST_CAP:
        raise AwsError("InvalidParameterValue", f"MaxPrice must be more than {LEAST_CAP}, not {cap}")
    kind: Literal["one-time", "persistent"] = "persistent" if persistent else "one-time"
    return SpotTerms(kind, behaviour, cap, aware(options.get("ValidUntil")))


def aware(when: datetime | None) -> datetime | None:
    """A time of a request, which moto's parser leaves naive."""
    return when.replace(tzinfo=UTC) if when is not None and when.tzinfo is None else when


def _behaviour(options: dict[str, Any], *, hibernates: bool) -> str:
    asked = options.get("InstanceInterruptionBehavior")
    if hibernates and asked not in (None, "hibernate"):
        raise _contradiction(f"The interruption behavior {asked} contradicts HibernationOptions")
    return "hibernate" if hibernates else str(asked or "terminate")


def _contradiction(message: str) -> AwsError:
    return AwsError("InvalidParameterCombination", message)
