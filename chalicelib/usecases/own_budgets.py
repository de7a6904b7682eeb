"""The budgets that a launcher sees: their own in full, and how much fits into those that gate their launches."""

from dataclasses import dataclass
from decimal import Decimal

from chalicelib.domain.budget import Budget, Period, ScopeKind
from chalicelib.domain.errors import NotFound
from chalicelib.ports import Services
from chalicelib.usecases import budgets
from chalicelib.usecases.budgets import BudgetReport
from chalicelib.usecases.own import own_projects


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitReport:
    """Of a budget that is not one's own: what may be known to find a launch that fits."""

    name: str
    limit_usd: Decimal
    period: Period
    period_key: str
    left_usd: Decimal


def name_of(report: BudgetReport | LimitReport) -> str:
    """What a budget is called."""
    return report.name if isinstance(report, LimitReport) else report.budget.name


def all_budgets(services: Services, *, only: str | None) -> tuple[BudgetReport | LimitReport, ...]:
    """By name: every one; for `only` their own, the account's, and those of the projects of their open leases."""
    found = budgets.all_budgets(services)
    if only is None:
        return found
    projects = own_projects(services.store.open_leases(), only)
    return tuple(
        one if one.budget.scope_kind is ScopeKind.OWNER else _limit(one)
        for one in found
        if _gates(one.budget, only, projects)
    )


def one(services: Services, name: str, *, only: str | None) -> BudgetReport | LimitReport:
    """One of them. Raises NotFound, for one that is not theirs to see as for none."""
    for each in all_budgets(services, only=only):
        if name_of(each) == name:
            return each
    raise NotFound(f"no budget is named {name!r}; GET /budgets lists them, PUT /budgets/{name} makes it")


def _gates(budget: Budget, only: str, projects: frozenset[str]) -> bool:
    if budget.scope_kind is ScopeKind.PROJECT:
        return budget.scope_value in projects
    return budget.covers(owner=only, project=None)


def _limit(report: BudgetReport) -> LimitReport:
    return LimitReport(
        name=report.budget.name,
        limit_usd=report.budget.limit_usd,
        period=report.budget.period,
        period_key=report.period_key,
        left_usd=report.left_usd,
    )
