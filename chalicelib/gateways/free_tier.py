"""The free tier by AWS's own API, which costs nothing and has one endpoint, in us-east-1.

Nothing is raised: an account that may not ask, has no plan, or runs a boto3 that does not know the call yet, has that
part absent and the reason beside it.

Sources: botocore, `freetier` 2023-09-07; AWS, "Free Tier API" (no charge).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Protocol, TypeVar, cast

from botocore.config import Config

from chalicelib.domain.free_tier import FreeTier, Offer, Plan
from chalicelib.gateways.aws import AWS_ERRORS, DENIED, Aws, code_of, explain

ENDPOINT_REGION = "us-east-1"
PAGES = 3
PAGE = 1000
PATIENT = Config(connect_timeout=2, read_timeout=6, retries={"mode": "standard", "total_max_attempts": 1})
"""Nobody waits but the digest, and a day is a short time to ask again."""

T = TypeVar("T")
log = logging.getLogger(__name__)


class _Client(Protocol):
    def get_free_tier_usage(self, **question: Any) -> Mapping[str, Any]: ...
    def get_account_plan_state(self) -> Mapping[str, Any]: ...


class AwsFreeTier:
    """Implements chalicelib.ports.FreeTiers."""

    def __init__(self, aws: Aws) -> None:
        self._aws = aws

    def ask(self, now: datetime) -> FreeTier:
        """What AWS says of the plan and of each offer; takes 32 s at most."""
        lacking: list[str] = []
        plan = _told(lacking, "freetier:GetAccountPlanState", self._plan)
        offers = _told(lacking, "freetier:GetFreeTierUsage", lambda: tuple(self._offers()))
        return FreeTier(at=now, plan=plan, offers=offers or (), lacking=tuple(lacking))

    def _plan(self) -> Plan:
        told = self._client().get_account_plan_state()
        credit = told.get("accountPlanRemainingCredits") or {}
        return Plan(
            kind=str(told["accountPlanType"]),
            status=str(told["accountPlanStatus"]),
            credits_usd=_number(credit["amount"]) if credit.get("unit") == "USD" else None,
            ends_at=_moment(told.get("accountPlanExpirationDate")),
        )

    def _offers(self) -> Iterator[Offer]:
        question: dict[str, Any] = {"maxResults": PAGE}
        for _ in range(PAGES):
            page = self._client().get_free_tier_usage(**question)
            for one in page["freeTierUsages"]:
                yield Offer(
                    service=str(one.get("service") or "unknown"),
                    usage_type=str(one.get("usageType") or ""),
                    region=str(one.get("region") or "global"),
                    kind=str(one.get("freeTierType") or ""),
                    used=_number(one.get("actualUsageAmount", 0)),
                    forecast=_number(one.get("forecastedUsageAmount", 0)),
                    limit=_number(one.get("limit", 0)),
                    unit=str(one.get("unit") or ""),
                )
            if not page.get("nextToken"):
                return
            question["nextToken"] = page["nextToken"]

    def _client(self) -> _Client:
        return cast("_Client", self._aws.client("freetier", ENDPOINT_REGION, PATIENT))


def _told(lacking: list[str], what: str, ask: Callable[[], T]) -> T | None:
    """What was answered, or nothing and why."""
    try:
        return ask()
    except AWS_ERRORS as error:
        if code_of(error) == "ResourceNotFoundException":
            lacking.append(
                f"{what}: the account has no plan: it is older than plans are, or in an organization"
            )
            return None
        why = _why(error)
    except AttributeError:
        why = "this boto3 does not know the call yet"
    except (ArithmeticError, KeyError, TypeError, ValueError) as error:
        why = f"its answer can't be read: {error!r}"
    log.warning("%s: %s", what, why)
    lacking.append(f"{what}: {why}")
    return None


def _why(error: BaseException) -> str:
    code = code_of(error)
    if code in DENIED:
        return f"denied ({explain(error)}): the account's owner can activate IAM access to billing"
    return "this boto3 does not know the service yet" if code == "UnknownServiceError" else explain(error)


def _number(told: Any) -> Decimal:
    """AWS sends doubles. Raises ValueError for what is none."""
    try:
        number = Decimal(str(told))
    except InvalidOperation as error:
        raise ValueError(f"{told!r} is no number") from error
    if not number.is_finite():
        raise ValueError(f"{told!r} is no number")
    return number


def _moment(told: Any) -> datetime | None:
    """Botocore parses it; without a zone it is UTC."""
    if not isinstance(told, datetime):
        return None
    return told.astimezone(UTC) if told.tzinfo else told.replace(tzinfo=UTC)
