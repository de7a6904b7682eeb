"""The rules, in the order in which their reasons are given. One file a rule; to add one, write it and list it here.

A rule is a pure function from a `Case` to its `Finding`, or None where it has nothing to say. It never softens as
spend, age or idle time grows.
"""

from collections.abc import Callable

from chalicelib.domain.case import Case, Finding
from chalicelib.domain.rules.contradicted import contradicted
from chalicelib.domain.rules.expired import expired
from chalicelib.domain.rules.idle import idle
from chalicelib.domain.rules.over_budget import over_budget
from chalicelib.domain.rules.over_share import over_share
from chalicelib.domain.rules.stopped_still_billing import stopped_still_billing
from chalicelib.domain.rules.unleased import unleased

Rule = Callable[[Case], Finding | None]

RULES: tuple[Rule, ...] = (
    expired,  # time is certain, so it speaks first
    over_budget,  # money is metered to the second
    over_share,  # the same within one day or month of a budget
    idle,  # rests on evidence, and is spared where that is unknown
    contradicted,  # what the evidence disagrees on, which ends nothing
    stopped_still_billing,  # the only one that judges a box at rest
    unleased,  # says what becomes of a box that nobody launched through Curfew
)
