"""On-demand capacity reservations: they bill like what they are kept for, whether anything runs in them or not.

Source: EC2 guide, "Capacity Reservation pricing and billing". What runs in one is billed, and metered, as any instance;
here only what is unused counts. Capacity blocks are paid for in advance.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from chalicelib.domain.case import Effect, Finding
from chalicelib.domain.instance import Instance
from chalicelib.domain.lease import Run
from chalicelib.domain.money import ZERO, show
from chalicelib.domain.policy import ScopePolicy
from chalicelib.domain.prices import PriceBook
from chalicelib.domain.scope import in_scope

ASKED_EVERY = timedelta(hours=1)
PREPAID = "capacity-block"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """Capacity that is kept for the account; `unused` of its `total` instances are not running."""

    id: str
    region: str
    type: str
    zone: str | None = None
    total: int
    unused: int
    kind: str = "default"
    ends_at: datetime | None = None
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unused:
    """A reservation in scope that nothing uses in full, and what that costs an hour."""

    reservation: Reservation
    hourly_usd: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class ReservationLook:
    """What the last look at reservations has found."""

    at: datetime
    unused: tuple[Unused, ...] = ()


def unused(
    seen: Iterable[Reservation], *, scope: ScopePolicy, prices: PriceBook, now: datetime
) -> tuple[Unused, ...]:
    """What costs something and does nothing, the costliest first."""
    found = [
        Unused(reservation=one, hourly_usd=_hourly_usd(one, prices, now))
        for one in seen
        if one.unused > 0 and one.kind != PREPAID and _is_in_scope(one, scope)
    ]
    return tuple(sorted(found, key=lambda one: one.hourly_usd, reverse=True))


def reservation_bills(found: Unused) -> Finding:
    """reservation_bills: capacity that is reserved and unused bills like instances; it is shown and never cancelled."""
    one = found.reservation
    until = f" until {one.ends_at:%Y-%m-%d %H:%M} UTC" if one.ends_at else ", until somebody cancels it"
    return Finding(
        rule="reservation_bills",
        effect=Effect.WARN,
        reason=f"{one.unused} of {one.total} {one.type} that it keeps in {one.zone or one.region} are unused and cost "
        f"{show(found.hourly_usd)} an hour{until}",
        figures={"unused": str(one.unused), "total": str(one.total), "hourly_usd": str(found.hourly_usd)},
    )


def _is_in_scope(one: Reservation, scope: ScopePolicy) -> bool:
    return in_scope(Instance(id=one.id, region=one.region, type=one.type, tags=one.tags), scope)


def _hourly_usd(one: Reservation, prices: PriceBook, now: datetime) -> Decimal:
    run = Run(
        instance_id=one.id,
        instance_type=one.type,
        zone=one.zone or f"{one.region}a",
        is_spot=False,
        started_at=now,
    )
    return sum([prices.hourly_usd(run, now)] * one.unused, ZERO)
