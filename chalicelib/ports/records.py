"""What a store keeps that no rule of the domain judges."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Generic, TypeVar

from chalicelib.domain.lease import Receipt

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstSight:
    """What already ran in a region when Curfew first saw it."""

    at: datetime
    instance_ids: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """What is known of the account: first sights by region, and since when it is armed."""

    first_sights: Mapping[str, FirstSight] = field(default_factory=dict)
    armed_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepRecord:
    """What one sweep saw and did. `regions`: name → `ok`, `denied: …` or `failed: …`. `unleased_hourly_usd`: the most
    that boxes without a lease cost an hour. `seen`: boxes that were seen; `expected`: those that open leases run, as it
    is written. `ends_denied`: calls of ends that AWS denied. `pages`: of instances that each region answered with; one
    that does not answer in full has failed. `took_ms`: until the record was made."""

    id: str
    started_at: datetime
    finished_at: datetime
    trigger: str
    is_complete: bool
    is_dry_run: bool
    regions: Mapping[str, str]
    seen: int
    leases: int
    ended: tuple[str, ...] = ()
    ending: tuple[str, ...] = ()
    warned: tuple[str, ...] = ()
    adopted: tuple[str, ...] = ()
    deferred: tuple[str, ...] = ()
    reported: tuple[Mapping[str, str], ...] = ()
    lacking: tuple[str, ...] = ()
    unleased_hourly_usd: Decimal = Decimal(0)
    expected: int = 0
    ends_denied: int = 0
    took_ms: int = 0
    pages: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiptFilter:
    """Which receipts are asked for: of ends decided from `since` on and before `until`, of an owner, in a region. What
    is None asks for all."""

    since: datetime | None = None
    until: datetime | None = None
    owner: str | None = None
    region: str | None = None

    def takes(self, receipt: Receipt) -> bool:
        """Whether this one is asked for."""
        return (
            (self.since is None or receipt.decided_at >= self.since)
            and (self.until is None or receipt.decided_at < self.until)
            and self.owner in {None, receipt.owner}
            and self.region in {None, receipt.region}
        )


ALL_RECEIPTS = ReceiptFilter()


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page of a list, and the cursor of the next."""

    items: tuple[T, ...]
    next: str | None = None
