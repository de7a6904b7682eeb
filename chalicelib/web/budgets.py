"""PUT /budgets/{name}: from the body to a budget."""

import re

from chalicelib.domain.budget import THRESHOLDS_FOR_ALL, Budget, Threshold
from chalicelib.web.models import BUDGET_NAME, BudgetBody
from chalicelib.web.problems import Invalid


def budget_of(name: str, body: BudgetBody) -> Budget:
    """The budget that a body and a path describe. Raises Invalid for a name that is none."""
    if not re.fullmatch(BUDGET_NAME, name):
        raise Invalid(
            [
                (
                    "name",
                    "a budget's name has letters, digits and . _ -, 64 at most, and starts with one of the first two",
                )
            ]
        )
    thresholds = tuple(Threshold(at_percent=each.at_percent, do=each.do) for each in body.thresholds)
    if body.services == "all" and "thresholds" not in body.model_fields_set:
        thresholds = THRESHOLDS_FOR_ALL
    return Budget(
        name=name,
        limit_usd=body.limit_usd,
        period=body.period,
        scope_kind=body.scope.kind,
        scope_value=body.scope.value,
        services=body.services,
        thresholds=thresholds,
    )
