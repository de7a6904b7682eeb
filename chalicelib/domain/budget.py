"""A budget: a limit per period for a scope. Its `left` is kept per period, in the same transaction as the holds."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from chalicelib.domain.lease import Charge


class Period(StrEnum):
    """Calendar periods, UTC."""

    MONTHLY = "monthly"
    DAILY = "daily"
    TOTAL = "total"

    def key(self, at: datetime) -> str:
        """The period that a moment falls in: `2026-11`, `2026-11-23` or `total`."""
        match self:
            case Period.MONTHLY:
                return f"{at:%Y-%m}"
            case Period.DAILY:
                return f"{at:%Y-%m-%d}"
            case Period.TOTAL:
                return "total"


class ScopeKind(StrEnum):
    """Whose leases a budget counts."""

    ACCOUNT = "account"
    OWNER = "owner"
    PROJECT = "project"


class Consequence(StrEnum):
    """What happens when a threshold is crossed."""

    NOTIFY = "notify"
    STOP_LAUNCHES = "stop_launches"
    END = "end"


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """`at_percent` of the limit spent: do these."""

    at_percent: Decimal
    do: tuple[Consequence, ...]


DEFAULT_THRESHOLDS = (
    Threshold(at_percent=Decimal(50), do=(Consequence.NOTIFY,)),
    Threshold(at_percent=Decimal(80), do=(Consequence.NOTIFY, Consequence.STOP_LAUNCHES)),
    Threshold(at_percent=Decimal(100), do=(Consequence.END,)),
)


THRESHOLDS_FOR_ALL = DEFAULT_THRESHOLDS[:2]
"""For all services: ending GPU boxes may be no help against what something else costs, so it has to be asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What may be spent, by whom, in which period, on `accelerators` or on `all` services of the account.

    `generation` tells it from an earlier budget of its name, whose charges are none of its own. While `is_filling` it
    does not carry yet what was there before it, so nobody is admitted against it. `cut`: leases that a forced limit
    ends.
    """

    name: str
    limit_usd: Decimal
    period: Period = Period.MONTHLY
    scope_kind: ScopeKind = ScopeKind.ACCOUNT
    scope_value: str | None = None
    services: str = "accelerators"
    thresholds: tuple[Threshold, ...] = DEFAULT_THRESHOLDS
    generation: int = 0
    is_filling: bool = False
    cut: tuple[str, ...] = ()

    @property
    def counts_bill(self) -> bool:
        """Whether what the bill has beyond the meter counts: for the account alone, as no line of it says whose a box
        is."""
        return self.services == "all" or self.scope_kind is ScopeKind.ACCOUNT

    def charged_by(self, charge: Charge) -> bool:
        """Whether a charge, of any period, is on this budget."""
        return (charge.budget, charge.generation) == (self.name, self.generation)

    def covers(self, *, owner: str, project: str | None) -> bool:
        """Whether a lease of this owner and project counts against it."""
        match self.scope_kind:
            case ScopeKind.ACCOUNT:
                return True
            case ScopeKind.OWNER:
                return owner == self.scope_value
            case ScopeKind.PROJECT:
                return project is not None and project == self.scope_value

    def period_key(self, at: datetime) -> str:
        """The period a moment falls in: `2026-11`, `2026-11-23` or `total`."""
        return self.period.key(at)

    def reached(self, spent_usd: Decimal) -> tuple[Threshold, ...]:
        """The thresholds that spending has reached; nothing spent reaches none of a limit of zero."""
        if spent_usd <= 0 and self.limit_usd <= 0:
            return ()
        return tuple(t for t in self.thresholds if spent_usd >= self.limit_usd * t.at_percent / 100)

    def crossed(self, spent_usd: Decimal) -> frozenset[Consequence]:
        """Everything that the thresholds reached so far ask for."""
        return frozenset(consequence for one in self.reached(spent_usd) for consequence in one.do)


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetState:
    """A budget and what is left of it in one period: limit less holds of open leases and costs of closed ones.

    `told`: the thresholds, in percent, that people were told of and that spending has not fallen below since;
    `crossings` counts the times that these changed. `billed_usd`: what of it the bill has beyond the meter, as Cost
    Explorer told at `billed_at`; only of a budget that `counts_bill`.
    """

    budget: Budget
    period_key: str
    left_usd: Decimal
    told: tuple[Decimal, ...] = ()
    crossings: int = 0
    billed_usd: Decimal = Decimal(0)
    billed_at: datetime | None = None

    @property
    def used_usd(self) -> Decimal:
        """What the period carries."""
        return self.budget.limit_usd - self.left_usd

    def charged_by(self, charge: Charge) -> bool:
        """Whether a charge is on this budget in this period."""
        return self.budget.charged_by(charge) and charge.period_key == self.period_key


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetBook:
    """All budgets at one moment, each in its present period (`states`) and in those that were asked for beyond it
    (`later`). `revision` moves with every change of a definition, so that a launch can tell that the budgets it was
    admitted against are still all there are."""

    revision: int
    states: tuple[BudgetState, ...]
    later: tuple[BudgetState, ...] = ()

    def covering(self, *, owner: str, project: str | None) -> tuple[BudgetState, ...]:
        """The budgets a lease of this owner and project falls in, in all periods that are known."""
        known = (*self.states, *self.later)
        return tuple(state for state in known if state.budget.covers(owner=owner, project=project))

    def budgets_covering(self, *, owner: str, project: str | None) -> tuple[Budget, ...]:
        """The same budgets, each once."""
        budgets = (state.budget for state in self.states)
        return tuple(budget for budget in budgets if budget.covers(owner=owner, project=project))
