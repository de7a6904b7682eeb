"""How a month's spend looks to callers."""

from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Literal

from typing_extensions import TypedDict

from chalicelib.domain.guard import GuardCost
from chalicelib.domain.lease import KeptImage, Lease, Status
from chalicelib.domain.reconcile import DaySpend
from chalicelib.usecases.spend import NotCounted, SpendReport
from chalicelib.web.encode import JsonValue, number, plain


class DayAnswer(TypedDict):
    """One day of a month's spend."""

    day: date
    status: Literal["settled", "estimated", "unbilled"]
    metered_usd: Decimal
    metered: dict[str, Decimal]
    billed_usd: Decimal
    billed: dict[str, Decimal]
    spent_usd: Decimal
    accelerators_usd: Decimal
    variance_usd: Decimal | None
    variance_percent: float | None
    not_metered: dict[str, Decimal]


class OwnerSpend(TypedDict):
    """Of one owner."""

    owner: str | None
    usd: Decimal


class ProjectSpend(TypedDict):
    """Of one project."""

    project: str | None
    usd: Decimal


class RegionSpend(TypedDict):
    """Of one region."""

    region: str | None
    usd: Decimal


class LeaseSpend(TypedDict):
    """Of one lease."""

    lease_id: str
    usd: Decimal
    owner: str
    project: str | None
    region: str
    status: Status


class LeaseForecast(TypedDict):
    """What one lease will add."""

    lease_id: str
    usd: Decimal


class ForecastAnswer(TypedDict):
    """To the end of the month."""

    until: datetime
    leases: list[LeaseForecast]
    total_usd: Decimal


class CostExplorerAnswer(TypedDict):
    """How the bill stands."""

    status: str
    detail: str
    answered_at: datetime | None
    data_age_for: timedelta | None
    next_at: datetime
    newest_day: date | None


class SpendAnswer(TypedDict):
    """A month's meter beside its bill."""

    period: str
    spent_usd: Decimal
    accelerators_usd: Decimal
    metered_usd: Decimal
    billed_usd: Decimal
    days: list[DayAnswer]
    by_owner: list[OwnerSpend]
    by_project: list[ProjectSpend]
    by_region: list[RegionSpend]
    by_lease: list[LeaseSpend]
    not_metered: dict[str, Decimal]
    forecast: ForecastAnswer
    cost_explorer: CostExplorerAnswer
    guard: GuardCost
    not_counted: NotCounted
    kept_images: list[KeptImage]


TENTH = Decimal("0.1")


def spend(told: SpendReport) -> JsonValue:
    """The meter beside the bill, day by day; whose the meter is; and what is to come."""
    return {
        **plain(
            {
                "period": told.period,
                "spent_usd": told.spent_usd,
                "accelerators_usd": told.accelerators_usd,
                "metered_usd": told.metered_usd,
                "billed_usd": told.billed_usd,
            }
        ),
        "days": [_day(each) for each in told.days],
        "by_owner": _by(told, "owner", lambda lease: lease.owner),
        "by_project": _by(told, "project", lambda lease: lease.project),
        "by_region": _by(told, "region", lambda lease: lease.region),
        "by_lease": [
            {
                **plain({"lease_id": one.lease.id, "usd": one.usd()}),
                **plain({"owner": one.lease.owner, "project": one.lease.project}),
                **plain({"region": one.lease.region, "status": one.lease.status}),
            }
            for one in told.leases
        ],
        "not_metered": plain(told.not_metered),
        "forecast": plain(
            {
                "until": told.forecast.until,
                "leases": [
                    {"lease_id": lease_id, "usd": usd} for lease_id, usd in told.forecast.leases.items()
                ],
                "total_usd": told.forecast.total_usd,
            }
        ),
        "cost_explorer": {
            **plain(
                {
                    "status": told.cost_explorer.status,
                    "detail": told.cost_explorer.detail,
                    "answered_at": told.cost_explorer.answered_at,
                    "data_age_for": told.cost_explorer.data_age_for,
                    "next_at": told.cost_explorer.next_at,
                }
            ),
            "newest_day": told.cost_explorer.newest_day and told.cost_explorer.newest_day.isoformat(),
        },
        "guard": plain(told.guard),
        "not_counted": plain(told.not_counted),
        "kept_images": plain(told.kept_images),
    }


def _day(told: DaySpend) -> JsonValue:
    percent = told.variance_percent
    return {
        "day": told.day.isoformat(),
        **plain(
            {
                "status": told.status,
                "metered_usd": told.metered_usd,
                "metered": told.metered,
                "billed_usd": told.billed_usd,
                "billed": told.billed,
                "spent_usd": told.spent_usd,
                "accelerators_usd": told.accelerators_usd,
                "variance_usd": told.variance_usd,
            }
        ),
        "variance_percent": None if percent is None else number(percent.quantize(TENTH, ROUND_HALF_EVEN)),
        "not_metered": plain(told.outside),
    }


def _by(told: SpendReport, name: str, name_of: Callable[[Lease], str | None]) -> JsonValue:
    return [plain({name: key, "usd": usd}) for key, usd in told.by(name_of)]
