"""What Curfew itself costs: every call at list price, as if there were no free tier.

Prices are us-east-1's list prices as of `PRICES_AS_OF`. Describe calls, the Pricing API, parameters of Systems Manager
and rules of EventBridge cost nothing, so nobody counts them. Not counted either: what the table and the logs store
(about 0.1 GB: some cents a month) and data that leaves AWS.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum

from chalicelib.domain.budget import Period
from chalicelib.domain.money import ZERO, to_micro
from chalicelib.domain.periods import ends_at, starts_at
from chalicelib.domain.policy import OwnBill

PRICES_AS_OF = "2025-07-21"
HOUR = timedelta(hours=1)
THOUSANDTH = Decimal("0.001")


class Item(StrEnum):
    """What AWS bills a guard for, each with its unit."""

    METRICS_READ = "cloudwatch_metrics_read"
    METRICS_LISTED = "cloudwatch_list_requests"
    COST_EXPLORER = "cost_explorer_requests"
    LAMBDA_REQUESTS = "lambda_requests"
    LAMBDA_GB_SECONDS = "lambda_gb_seconds"
    API_REQUESTS = "api_gateway_requests"
    TABLE_READS = "dynamodb_read_units"
    TABLE_WRITES = "dynamodb_write_units"
    SCHEDULES = "scheduler_invocations"
    QUEUE_REQUESTS = "sqs_requests"
    TOPIC_MESSAGES = "sns_messages"
    LOG_BYTES = "log_bytes"
    METRIC_MONTHS = "custom_metric_months"
    ALARM_MONTHS = "alarm_months"


PRICES_USD: Mapping[Item, Decimal] = {
    Item.METRICS_READ: Decimal("0.01") / 1000,
    Item.METRICS_LISTED: Decimal("0.01") / 1000,  # a request, of up to 500 metrics
    Item.COST_EXPLORER: Decimal("0.01"),
    Item.LAMBDA_REQUESTS: Decimal("0.20") / 10**6,
    Item.LAMBDA_GB_SECONDS: Decimal("0.0000133334"),  # arm64
    Item.API_REQUESTS: Decimal("3.50") / 10**6,  # REST API
    Item.TABLE_READS: Decimal("0.125") / 10**6,  # on demand, since November 2024
    Item.TABLE_WRITES: Decimal("0.625") / 10**6,
    Item.SCHEDULES: Decimal("1.00") / 10**6,
    Item.QUEUE_REQUESTS: Decimal("0.40") / 10**6,  # standard queue
    Item.TOPIC_MESSAGES: (Decimal("0.50") + 20) / 10**6,  # a publish, and its mail to one subscriber
    Item.LOG_BYTES: Decimal("0.50") / 10**9,
    Item.METRIC_MONTHS: Decimal("0.30"),
    Item.ALARM_MONTHS: Decimal("0.10"),
}
"""Dollars a unit. Sources: the price pages of each service."""

PAID_READS = frozenset({Item.METRICS_READ, Item.METRICS_LISTED, Item.COST_EXPLORER})
"""What is asked only when it is due; see domain/due.py."""

POLLS_AN_HOUR = Decimal(5 * 3600 // 20)
"""Lambda polls the queue of events with five connections of 20 s each, whether anything is in it or not."""
ALARMS, METRICS = 5, 1
"""How many alarms the template makes, and metrics that are told of every minute; a test compares. A metric bills in
the hours in which it is told of (CloudWatch's price page), so those of what goes wrong cost nothing while nothing does.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What was counted in one month, and since when."""

    counted: Mapping[Item, Decimal] = field(default_factory=dict)
    since: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CostItem:
    """One line: how much of it so far, what that costs, and what it will by the month's end."""

    item: Item
    quantity: Decimal
    usd: Decimal
    projected_usd: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardCost:
    """What Curfew has cost in a month so far and will have cost at its end. `is_over`: more than the policy's
    `bills.own_usd_per_month` allows it so far, so that paid evidence is asked for less often."""

    period_key: str
    usd: Decimal
    projected_usd: Decimal
    paid_reads_usd: Decimal
    limit_usd: Decimal
    is_over: bool
    since: datetime | None
    prices_as_of: str
    items: tuple[CostItem, ...]


def month_of(now: datetime) -> str:
    """The month that a moment's costs fall in, UTC."""
    return Period.MONTHLY.key(now)


def cost_of(usage: Usage, *, now: datetime, own: OwnBill, boxes: int) -> GuardCost:
    """A month's costs, with what runs on whether anything is called or not. What was counted since the month began, or
    since the first count in it, goes on at the same rate."""
    begins, ends = starts_at(Period.MONTHLY, now), ends_at(Period.MONTHLY, now)
    since = max(begins, usage.since or now)
    seen, left = max(now - since, HOUR), ends - now
    standing = _standing(now - since, month=ends - begins)
    standing_left = _standing(left, month=ends - begins)
    lines = []
    for item in Item:
        counted = usage.counted.get(item, ZERO)
        more = counted * Decimal(left / seen) + standing_left.get(item, ZERO)
        quantity = counted + standing.get(item, ZERO)
        price = PRICES_USD[item]
        lines.append(
            CostItem(
                item=item,
                quantity=quantity.quantize(THOUSANDTH),
                usd=to_micro(quantity * price),
                projected_usd=to_micro((quantity + more) * price),
            )
        )
    usd, limit = sum((line.usd for line in lines), ZERO), own.base + own.per_box * boxes
    return GuardCost(
        period_key=month_of(now),
        usd=usd,
        projected_usd=sum((line.projected_usd for line in lines), ZERO),
        paid_reads_usd=sum((line.usd for line in lines if line.item in PAID_READS), ZERO),
        limit_usd=limit,
        is_over=usd > limit,
        since=usage.since,
        prices_as_of=PRICES_AS_OF,
        items=tuple(lines),
    )


def _standing(length: timedelta, *, month: timedelta) -> dict[Item, Decimal]:
    share = Decimal(length / month)
    return {
        Item.QUEUE_REQUESTS: POLLS_AN_HOUR * Decimal(length / HOUR),
        Item.ALARM_MONTHS: ALARMS * share,
        Item.METRIC_MONTHS: METRICS * share,
    }


def is_worth_asking(hourly_usd: Decimal, *, metrics: int) -> bool:
    """Whether a lease costs more an hour than asking about it every minute does: then it is asked however much Curfew
    has cost."""
    return hourly_usd > PRICES_USD[Item.METRICS_READ] * metrics * 60
