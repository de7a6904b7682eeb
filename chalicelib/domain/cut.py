"""Which leases end when a budget's limit is lowered by force: idle first, then the latest expiry, the costliest."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from chalicelib.domain.case import Verdict
from chalicelib.domain.evidence import Use
from chalicelib.domain.lease import Status


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """The leases that must end, in order, and what is spent and held before."""

    leases: tuple[str, ...]
    used_usd: Decimal


def cut_to_fit(verdicts: Sequence[Verdict], *, used_usd: Decimal, limit_usd: Decimal) -> Cut:
    """End as few as the order allows until spent + held fits; ending a lease frees its hold less what it has cost."""
    candidates = [
        (v, v.case.lease) for v in verdicts if v.case.lease and v.case.lease.status is not Status.ENDING
    ]
    candidates.sort(
        key=lambda pair: (
            pair[0].case.evidence.use is not Use.IDLE,
            -pair[1].expires_at.timestamp(),
            -pair[0].case.cost.hourly_usd,
        )
    )
    ending: list[str] = []
    left = used_usd
    for verdict, lease in candidates:
        if left <= limit_usd:
            break
        ending.append(lease.id)
        left -= max(lease.hold.total_usd - verdict.case.cost.accrued_usd, Decimal(0))
    return Cut(leases=tuple(ending), used_usd=used_usd)
