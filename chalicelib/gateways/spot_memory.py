"""What is known of spot prices: in the warm process, and in the table for the process that comes next.

A pool (zone, type) that was ever told keeps its last price until the next one is known, as on the bill. The table is
read only when EC2 did not tell what is needed. It is written after the kills, a region at a time: when a pool is new
there or, at most every `KEPT_EVERY`, when a price moved.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from threading import Lock
from typing import Protocol

from chalicelib.domain.errors import CurfewError
from chalicelib.domain.prices import SpotPool, SpotPrices, region_of

ASKED_EVERY = timedelta(minutes=5)
RESTS_FOR = timedelta(seconds=30)
"""So long a region that failed is not asked again, so that tries in a row do not each wait for it."""
KEPT_EVERY = timedelta(minutes=15)
MOST_POINTS = 5_000
"""Of all pools of a region together, which is some 60 KB of an item's 400; each keeps its last price at least."""
NEVER = datetime.min.replace(tzinfo=UTC)

Key = tuple[str, str]
"""A pool: zone and type."""
Path = tuple[tuple[datetime, Decimal], ...]
"""(From when, USD per hour), ascending."""

log = logging.getLogger(__name__)


class SpotCache(Protocol):
    """Where spot prices outlive a process."""

    def spot_prices(self) -> tuple[SpotPrices, ...]:
        """Of every region that was ever kept. Raises CurfewError."""

    def keep_spot_prices(self, prices: SpotPrices) -> None:
        """Keep a region's. Raises CurfewError."""


@dataclass(slots=True)
class _Pool:
    """What is known of one pool: its price points since `since`, asked last at `asked_at`."""

    since: datetime
    asked_at: datetime
    points: dict[datetime, Decimal] = field(default_factory=dict)

    def wanted_from(self, since: datetime, now: datetime, *, fresh: bool) -> datetime | None:
        """From when it must be asked, or None while what is known will do."""
        if since < self.since:
            return since
        if now - self.asked_at < (timedelta(0) if fresh else ASKED_EVERY):
            return None
        return max(self.points, default=since)


class SpotMemory:
    """Every pool that was asked about or is kept in the table. Shared between threads."""

    def __init__(self, cache: SpotCache | None) -> None:
        self._cache = cache
        self._pools: dict[Key, _Pool] = {}
        self._failed_at: dict[str, datetime] = {}
        self._kept: dict[str, tuple[datetime, SpotPrices]] = {}
        self._lock = Lock()

    def wanted(
        self, zones: Collection[Key], since: datetime, now: datetime, *, fresh: bool
    ) -> dict[str, dict[Key, datetime]]:
        """By region, the pools to ask about and from when."""
        wanted: dict[str, dict[Key, datetime]] = {}
        with self._lock:
            for key in dict.fromkeys(zones):
                region = region_of(key[0])
                known = self._pools.get(key)
                start = since if known is None else known.wanted_from(since, now, fresh=fresh)
                if region is None or start is None:
                    continue
                if fresh or now - self._failed_at.get(region, NEVER) >= RESTS_FOR:
                    wanted.setdefault(region, {})[key] = start
        return wanted

    def learn(
        self, wanted: Mapping[Key, datetime], told: Mapping[Key, Mapping[datetime, Decimal]], now: datetime
    ) -> None:
        """A region told what was wanted of it: that it has no price, too."""
        start = min(wanted.values())
        with self._lock:
            for key in wanted:
                known = self._pools.setdefault(key, _Pool(since=start, asked_at=now))
                known.points |= told.get(key, {})
                known.since, known.asked_at = min(known.since, start), max(known.asked_at, now)

    def failed(self, region: str, now: datetime) -> None:
        """A region did not tell, or not in time."""
        with self._lock:
            self._failed_at[region] = now

    def recall(self, zones: Collection[Key], since: datetime) -> None:
        """Take from the table what EC2 did not tell of these pools. Never raises: what is unknown stays so."""
        with self._lock:
            asked = [key for key in zones if region_of(key[0])]
            lacks = any(key not in self._pools or self._pools[key].since > since for key in asked)
        if self._cache is None or not lacks:
            return
        try:
            kept = self._cache.spot_prices()
        except Exception as error:  # noqa: BLE001 whatever stands there, a sweep goes on without it
            log.warning("the spot prices that are kept can't be read: %s", error)
            return
        with self._lock:
            for pool in (pool for region in kept for pool in region.pools):
                key = (pool.zone, pool.instance_type)
                known = self._pools.setdefault(key, _Pool(since=pool.since, asked_at=NEVER))
                known.points = dict(pool.points) | known.points

    def known(self, zones: Collection[Key], since: datetime, now: datetime) -> dict[Key, Path]:
        """How each pool's price moved since a moment; without those of which nothing is known."""
        with self._lock:
            known = {key: dict(self._pools[key].points) for key in zones if key in self._pools}
        paths = {key: path_of(points, since, now) for key, points in known.items()}
        return {key: path for key, path in paths.items() if path}

    def keep(self, zones: Collection[Key], *, since: datetime, now: datetime) -> None:
        """Write down what is known of these pools, where that is worth a write. Never raises: a table that does not
        take it is tried again the next time."""
        if self._cache is None:
            return
        for region in sorted({region_of(zone) or "" for zone, _ in zones}):
            made = self._of_region(region, zones, since, now)
            if made is None or not self._is_worth_keeping(made, now):
                continue
            try:
                self._cache.keep_spot_prices(made)
            except CurfewError as error:
                log.warning("the spot prices of %s can't be kept: %s", region, error)
                return
            self._kept[region] = (now, made)

    def _of_region(
        self, region: str, zones: Collection[Key], since: datetime, now: datetime
    ) -> SpotPrices | None:
        """None where EC2 has not told of each pool lately: what another process kept may be better then."""
        keys = sorted(key for key in dict.fromkeys(zones) if region_of(key[0]) == region)
        with self._lock:
            pools = [self._pools.get(key) for key in keys]
        if any(pool is None or now - pool.asked_at > ASKED_EVERY for pool in pools):
            return None
        most = max(1, MOST_POINTS // max(len(keys), 1))
        paths = [(key, path[-most:]) for key, path in self.known(keys, since, now).items()]
        made = [
            SpotPool(zone=zone, instance_type=name, since=max(since, path[0][0]), points=path)
            for (zone, name), path in paths
        ]
        return SpotPrices(region=region, pools=tuple(made)) if made else None

    def _is_worth_keeping(self, made: SpotPrices, now: datetime) -> bool:
        kept_at, kept = self._kept.get(made.region, (NEVER, SpotPrices(region=made.region)))
        before = {(pool.zone, pool.instance_type): pool.points[-1] for pool in kept.pools}
        last = {(pool.zone, pool.instance_type): pool.points[-1] for pool in made.pools}
        if not last.keys() <= before.keys():
            return True
        return now - kept_at >= KEPT_EVERY and any(before[key] != point for key, point in last.items())


def path_of(points: Mapping[datetime, Decimal], since: datetime, now: datetime) -> Path:
    """The price in force at `since` and every change up to `now`, ascending."""
    first = max((at for at in points if at <= since), default=since)
    return tuple((at, usd) for at, usd in sorted(points.items()) if first <= at <= now)
