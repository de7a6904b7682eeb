"""If-Match: a change is made over what its sender has read, or not at all (RFC 9110, 13.1.1).

A tag stands for what people or Curfew have decided of a thing, not for what its figures say: a lease's meter and a
budget's `spent_usd` move by the minute, and would refuse every change. No cache may keep these answers, and nothing is
answered in parts, so the tag is a strong one all the same: weak ones never match.
"""

import hashlib
from dataclasses import dataclass

from chalicelib.domain.budget import Budget
from chalicelib.domain.errors import PreconditionFailed
from chalicelib.domain.lease import Lease

LETTERS = 16


@dataclass(frozen=True, slots=True)
class IfMatch:
    """What a change was asked to be made over: one of the `tags`; None: over whatever is there, if anything is."""

    tags: frozenset[str] | None = None

    def require(self, tag: str | None, *, otherwise: str) -> None:
        """Raise PreconditionFailed, with what that means, for a `tag` that is not meant; None: there is nothing."""
        if tag is None or not (self.tags is None or tag in self.tags):
            raise PreconditionFailed(f"{otherwise}. Read it and its ETag again, or leave If-Match out")


def lease_tag(lease: Lease) -> str:
    """Of what a launch, a PATCH, a snooze or an end decides of a lease."""
    ordered = lease.order.budget_usd if lease.order else None
    cap = ordered if lease.budget_usd is None else lease.budget_usd
    return _tag(
        lease.id,
        lease.status,
        lease.expires_at.isoformat(),
        None if cap is None else f"{cap.normalize():f}",
        lease.snoozed_until and lease.snoozed_until.isoformat(),
    )


def budget_tag(budget: Budget) -> str:
    """Of a budget's definition; one that was deleted and made anew is another."""
    return _tag(
        budget.name,
        budget.generation,
        f"{budget.limit_usd.normalize():f}",
        budget.period,
        budget.scope_kind,
        budget.scope_value,
        budget.services,
        *(f"{one.at_percent.normalize():f} {' '.join(one.do)}" for one in budget.thresholds),
    )


def _tag(*parts: object) -> str:
    return hashlib.sha256("\n".join(map(str, parts)).encode()).hexdigest()[:LETTERS]
