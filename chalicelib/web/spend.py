"""How a month's spend looks to callers."""

from collections.abc import Callable
from decimal import ROUND_HALF_EVEN, Decimal

from chalicelib.domain.lease import Lease
from chalicelib.domain.reconcile import DaySpend
from chalicelib.usecases.spend import SpendReport
from chalicelib.web.encode import JsonValue, number, plain

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
