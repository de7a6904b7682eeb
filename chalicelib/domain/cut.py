"""Which leases end when a budget's limit is lowered by force: idle first, then the latest expiry, the costliest."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from chalicelib.domain.case import Verdict
from chalicelib.domain.evidence import Use
from chalicelib.domain.lease import Status
from chalicelib.domain.money import ZERO

ByPeriod = Mapping[str, Decimal]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """The leases that must end, in order, and what is spent and held before in the first period that is too full, else
    in the first one."""

    leases: tuple[str, ...]
    period_key: str
    used_usd: Decimal
    is_over: bool


def cut_to_fit(
    verdicts: Sequence[Verdict],
    *,
    frees_usd: Mapping[str, ByPeriod],
    used_usd: ByPeriod,
    limit_usd: Decimal,
) -> Cut:
    """End as few as the order allows until spent + held fits in every period.

    `frees_usd`, by lease: what its end gives back, its hold less what it has cost. One that gives back nothing where it
    is needed is left alone.
    """
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
    left = dict(used_usd)
    for _, lease in candidates:
        frees = frees_usd.get(lease.id, {})
        if any(left[key] > limit_usd and frees.get(key, ZERO) > 0 for key in left):
            ending.append(lease.id)
            left = {key: usd - frees.get(key, ZERO) for key, usd in left.items()}
    over = [key for key, usd in sorted(used_usd.items()) if usd > limit_usd]
    first = (over or sorted(used_usd) or [""])[0]
    return Cut(
        leases=tuple(ending),
        period_key=first,
        used_usd=used_usd.get(first, ZERO),
        is_over=bool(over),
    )
