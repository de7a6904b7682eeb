"""How an account looks to a launcher: what is their own, where others are answered the whole of it."""

from datetime import date, datetime
from decimal import Decimal
from typing import Literal

from typing_extensions import TypedDict

from chalicelib.domain.budget import Period
from chalicelib.domain.lease import KeptImage
from chalicelib.domain.missed import Missed
from chalicelib.domain.money import ZERO
from chalicelib.usecases.budgets import BudgetReport
from chalicelib.usecases.health import OwnHealth
from chalicelib.usecases.own_budgets import LimitReport
from chalicelib.usecases.own_spend import OwnSpend
from chalicelib.web import spend as spend_view
from chalicelib.web import views
from chalicelib.web.encode import JsonValue, plain
from chalicelib.web.spend import LeaseForecast, LeaseSpend, ProjectSpend, RegionSpend


class LimitAnswer(TypedDict):
    """Of a budget that is not one's own: how much fits."""

    name: str
    limit_usd: Decimal
    period: Period
    period_key: str
    left_usd: Decimal


class OwnHealthAnswer(TypedDict):
    """What a launcher is told of Curfew's health: its word, and what regards their own leases."""

    status: Literal["ok", "failing"]
    owner: str
    open_leases: int
    missed: list[Missed]


class OwnDay(TypedDict):
    """One day of what somebody's leases cost."""

    day: date
    metered_usd: Decimal
    metered: dict[str, Decimal]


class OwnForecast(TypedDict):
    """To the end of the month, of one's own leases."""

    until: datetime
    leases: list[LeaseForecast]
    total_usd: Decimal


class OwnSpendAnswer(TypedDict):
    """A month's meter of one's own leases. The bill says of no line whose it is."""

    period: str
    owner: str
    metered_usd: Decimal
    days: list[OwnDay]
    by_project: list[ProjectSpend]
    by_region: list[RegionSpend]
    by_lease: list[LeaseSpend]
    forecast: OwnForecast
    kept_images: list[KeptImage]


def budget(report: BudgetReport | LimitReport) -> JsonValue:
    """A budget in full, or how much fits into it."""
    return plain(report) if isinstance(report, LimitReport) else views.budget(report)


def health(told: OwnHealth) -> JsonValue:
    """As it is."""
    return plain(told)


def spend(told: OwnSpend) -> JsonValue:
    """What one's own leases cost, day by day, in the forms of the account's."""
    whole = spend_view.spend(told.whole)
    days = [
        plain({"day": day.isoformat(), "metered_usd": sum(amounts.values(), ZERO), "metered": amounts})
        for day, amounts in told.days.items()
    ]
    parts = ("period", "by_project", "by_region", "by_lease", "forecast", "kept_images")
    return {
        **{part: whole[part] for part in parts},
        **plain({"owner": told.owner, "metered_usd": told.metered_usd}),
        "days": days,
    }
