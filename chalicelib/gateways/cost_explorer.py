"""The bill from Cost Explorer: GetCostAndUsage by day, service and usage type, without credits and refunds.

Each page costs $0.01, each call is made once, and nothing is raised: a bill that can't be had is an answer, too. Taxes
stay in, as the service "Tax": they are paid, and nothing else in a bill is mistaken for them.

Sources: botocore, GetCostAndUsage and its errors; Cost Explorer guide (RECORD_TYPE, and that an account has to switch
it on once); public threads for the words of "not enabled".
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any, Protocol, cast

from botocore.config import Config

from chalicelib.domain.bills import BillAnswer, BillFailure, BillLine, DayBill, Trouble
from chalicelib.gateways.aws import AWS_ERRORS, DENIED, THROTTLES, Aws, code_of, explain

PATIENCE_SECONDS = 10.0
"""No further page is asked for after this long."""
PAGES = 20
ONCE = Config(connect_timeout=2, read_timeout=8, retries={"mode": "standard", "total_max_attempts": 1})
"""Every try may be billed."""
METRIC = "UnblendedCost"
QUESTION: Mapping[str, Any] = {
    "Granularity": "DAILY",
    "Metrics": [METRIC],
    "GroupBy": [{"Type": "DIMENSION", "Key": "SERVICE"}, {"Type": "DIMENSION", "Key": "USAGE_TYPE"}],
    "Filter": {"Not": {"Dimensions": {"Key": "RECORD_TYPE", "Values": ["Credit", "Refund"]}}},
}
"""Credits and refunds would hide what is spent."""

log = logging.getLogger(__name__)


class _Client(Protocol):
    def get_cost_and_usage(self, **question: Any) -> Mapping[str, Any]: ...


@dataclass(slots=True)
class _Day:
    lines: list[BillLine] = field(default_factory=list)
    is_estimated: bool = False


class CostExplorerBills:
    """Implements chalicelib.ports.Bills."""

    def __init__(self, aws: Aws, *, elapsed: Callable[[], float] = time.monotonic) -> None:
        self._aws = aws
        self._elapsed = elapsed

    def daily(self, since: date, until: date) -> BillAnswer | BillFailure:
        """Each day from `since` up to, not with, `until`; the last ones may be missing where pages come slowly."""
        question = {**QUESTION, "TimePeriod": {"Start": since.isoformat(), "End": until.isoformat()}}
        days: dict[date, _Day] = {}
        pages, started, token = 0, self._elapsed(), ""
        try:
            while pages == 0 or (token and pages < PAGES and self._elapsed() - started < PATIENCE_SECONDS):
                pages += 1
                page = self._client().get_cost_and_usage(
                    **question, **({"NextPageToken": token} if token else {})
                )
                _read(page, days)
                token = page.get("NextPageToken") or ""
        except AWS_ERRORS as error:
            log.warning("GetCostAndUsage: %s", explain(error))
            return BillFailure(trouble=trouble_of(error), detail=explain(error), pages=pages)
        except (ArithmeticError, KeyError, TypeError, ValueError) as error:
            log.warning("GetCostAndUsage answered what can't be read: %r", error)
            return BillFailure(
                trouble=Trouble.FAILED, detail=f"its answer can't be read: {error!r}", pages=pages
            )
        if token:
            log.warning("GetCostAndUsage has more than %d pages, or is slow: the rest is asked later", pages)
        return BillAnswer(days=_whole(days, is_cut=bool(token)), pages=pages, is_whole=not token)

    def _client(self) -> _Client:
        """Cost Explorer is one for all regions of the partition, and answers in one."""
        return cast("_Client", self._aws.client("ce", "us-east-1", ONCE))


def read_days(answer: Mapping[str, Any]) -> tuple[DayBill, ...]:
    """The days of one answer that is whole. Raises KeyError, ValueError or ArithmeticError for what is no answer."""
    days: dict[date, _Day] = {}
    _read(answer, days)
    return _whole(days, is_cut=False)


def _read(page: Mapping[str, Any], days: dict[date, _Day]) -> None:
    """Add a page's groups; a day may begin on one page and go on on the next."""
    for result in page["ResultsByTime"]:
        into = days.setdefault(date.fromisoformat(result["TimePeriod"]["Start"][:10]), _Day())
        into.is_estimated = into.is_estimated or bool(result.get("Estimated"))
        for group in result.get("Groups") or []:
            service, usage_type = (*group["Keys"], "")[:2]
            usd = _usd(group["Metrics"][METRIC])
            into.lines.append(BillLine(service=service, usage_type=usage_type, usd=usd))


def _usd(metric: Mapping[str, str]) -> Decimal:
    """An amount; another currency is nothing that may be added up with dollars."""
    if metric.get("Unit", "USD") != "USD":
        raise ValueError(f"amounts are in {metric['Unit']}, not USD")
    try:
        usd = Decimal(metric["Amount"])
    except InvalidOperation as error:
        raise ValueError(f"{metric['Amount']!r} is no amount") from error
    if not usd.is_finite():
        raise ValueError(f"{metric['Amount']!r} is no amount")
    return usd


def _whole(days: Mapping[date, _Day], *, is_cut: bool) -> tuple[DayBill, ...]:
    """The days in order; the last of an answer that was cut off may go on, and is left out."""
    known: Iterable[tuple[date, _Day]] = sorted(days.items())
    shown = list(known)[: -1 if is_cut else None]
    return tuple(
        DayBill(day=day, lines=tuple(one.lines), is_estimated=one.is_estimated) for day, one in shown
    )


def trouble_of(error: BaseException) -> Trouble:
    """What an error of Cost Explorer means for the next turn."""
    code = code_of(error)
    if code == "DataUnavailableException" or (code in DENIED and "not enabled" in explain(error).lower()):
        return Trouble.NOT_ENABLED
    if code in DENIED:
        return Trouble.DENIED
    return Trouble.THROTTLED if code in THROTTLES or code.startswith("LimitExceeded") else Trouble.FAILED
