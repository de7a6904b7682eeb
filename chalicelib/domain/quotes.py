"""How a type's spot price has been: what it is now, and what it was for half and for nine tenths of the time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

HALF, NINE_TENTHS = Decimal("0.5"), Decimal("0.9")

Path = Sequence[tuple[datetime, Decimal]]
"""(From when, USD per hour), ascending."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ZonePrices:
    """Spot in one zone, in USD per hour. For half of the time since `since` the price was `p50_usd` at most, for nine
    tenths `p90_usd`."""

    zone: str
    spot_usd: Decimal
    p50_usd: Decimal
    p90_usd: Decimal
    since: datetime


def zone_prices(zone: str, path: Path, *, since: datetime, until: datetime) -> ZonePrices | None:
    """What a history says of a time; None where no price was known in it."""
    stays = _stays(path, since, until)
    if not stays:
        return None
    return ZonePrices(
        zone=zone,
        spot_usd=stays[-1][1],
        p50_usd=_enough(stays, HALF),
        p90_usd=_enough(stays, NINE_TENTHS),
        since=max(since, path[0][0]),
    )


def enough_for(share: Decimal, path: Path, *, since: datetime, until: datetime) -> Decimal | None:
    """The least price that was enough for at least that share of a time, weighted by how long each price was in force;
    None where no price was known in it."""
    stays = _stays(path, since, until)
    return _enough(stays, share) if stays else None


def _stays(path: Path, since: datetime, until: datetime) -> list[tuple[timedelta, Decimal]]:
    """How long each price was in force within a time, in order."""
    ends = [at for at, _ in path[1:]] + [until]
    cut = [(min(end, until) - max(begin, since), usd) for (begin, usd), end in zip(path, ends, strict=False)]
    return [(length, usd) for length, usd in cut if length > timedelta(0)]


def _enough(stays: Sequence[tuple[timedelta, Decimal]], share: Decimal) -> Decimal:
    wanted = share * sum(_ticks(length) for length, _ in stays)
    passed = 0
    for length, usd in sorted(stays, key=lambda stay: stay[1]):
        passed += _ticks(length)
        if passed >= wanted:
            return usd
    return max(usd for _, usd in stays)


def _ticks(length: timedelta) -> int:
    """In microseconds, so that shares are exact."""
    return length // timedelta.resolution
