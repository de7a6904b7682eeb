"""What compute costs: list prices (`price_list`), and spot's own history as it moved, kept between sweeps.

Prices never hold up a kill: they are asked under a deadline, region by region side by side, and what is not known by
then is left out. A late answer still lands in the cache.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import replace
from datetime import datetime
from decimal import Decimal, InvalidOperation
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Protocol

from chalicelib.domain.prices import PriceBook
from chalicelib.gateways import price_list
from chalicelib.gateways.aws import ASKING, AWS_ERRORS, HURRIED, Aws, explain, is_settled, unavailable
from chalicelib.gateways.price_list import PriceCache, PriceList
from chalicelib.gateways.spot_memory import Key, SpotCache, SpotMemory, path_of

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client

DEADLINE_SECONDS = 4.0
REGIONS_AT_ONCE = 8
PRODUCT = "Linux/UNIX"

log = logging.getLogger(__name__)


@cache
def on_demand_book() -> PriceBook:
    """The dated table that ships with Curfew; a price of 0 in it would be an error, never free."""
    table = json.loads((files("chalicelib") / "data" / "on_demand_prices.json").read_text(encoding="utf-8"))
    return PriceBook(
        on_demand={name: Decimal(usd) for name, usd in table["usd_per_hour"].items() if Decimal(usd) > 0},
        as_of=table["as_of"],
    )


class Cache(PriceCache, SpotCache, Protocol):
    """Where prices outlive a process."""


class Ec2Prices:
    """Prices by table, by GetProducts and by DescribeSpotPriceHistory."""

    def __init__(
        self, aws: Aws, *, cache: Cache | None = None, deadline_seconds: float = DEADLINE_SECONDS
    ) -> None:
        self._aws = aws
        self._deadline = deadline_seconds
        patience = min(deadline_seconds, price_list.DEADLINE_SECONDS)
        self._list = PriceList(aws, cache, on_demand_book().on_demand, deadline_seconds=patience)
        self._spot = SpotMemory(cache)

    def on_demand(self) -> PriceBook:
        """List prices as they are known: no call to AWS's prices."""
        return replace(on_demand_book(), listed=self._list.known())

    def refresh(
        self, wanted: Collection[tuple[str, str]], *, now: datetime, only_unknown: bool = False
    ) -> tuple[str, ...]:
        """Learn the list prices of each (region, type) under a deadline. Never raises."""
        return self._list.refresh(wanted, now=now, only_unknown=only_unknown)

    def spot_history(
        self, region: str, instance_type: str, *, since: datetime, now: datetime
    ) -> Mapping[str, tuple[tuple[datetime, Decimal], ...]]:
        """By zone, how a type's spot price moved since a moment, asked anew. Raises Unavailable."""
        try:
            told = _told(self._aws.ec2(region, ASKING), [instance_type], since=since, now=now)
        except AWS_ERRORS as error:
            raise unavailable(f"asking for spot prices of {region}", error) from error
        paths = {
            zone: path_of(points, since, now)
            for (zone, name), points in told.items()
            if name == instance_type
        }
        return {zone: path for zone, path in paths.items() if path}

    def spot_now(
        self, region: str, instance_types: Collection[str], *, now: datetime
    ) -> Mapping[str, Mapping[str, Decimal]]:
        """What types cost on spot in each zone now, by one question. Raises Unavailable."""
        try:
            told = _told(self._aws.ec2(region, HURRIED), sorted(set(instance_types)), since=now, now=now)
        except AWS_ERRORS as error:
            raise unavailable(f"asking for spot prices of {region}", error) from error
        found: dict[str, dict[str, Decimal]] = {}
        for (zone, name), points in sorted(told.items()):
            if name in instance_types:
                found.setdefault(name, {})[zone] = points[max(points)]
        return found

    def book(
        self, zones: Collection[tuple[str, str]], *, since: datetime, now: datetime, fresh: bool = False
    ) -> PriceBook:
        """With the spot history of each pool since a moment. Never raises."""
        wanted = self._spot.wanted(zones, since, now, fresh=fresh)
        if wanted:
            self._ask(wanted, now)
        self._spot.recall(zones, since)
        return replace(self.on_demand(), spot=self._spot.known(zones, since, now))

    def keep(self, zones: Collection[tuple[str, str]], *, since: datetime, now: datetime) -> None:
        """Write down list prices that were learnt, and what is known of these pools. Never raises."""
        self._list.save()
        self._spot.keep(zones, since=since, now=now)

    def _ask(self, wanted: Mapping[str, Mapping[Key, datetime]], now: datetime) -> None:
        """Ask the regions side by side, and wait no longer than the deadline; a late answer still lands."""
        pool = ThreadPoolExecutor(max_workers=REGIONS_AT_ONCE, thread_name_prefix="prices")
        asked = {pool.submit(self._refresh, region, some, now): region for region, some in wanted.items()}
        late = wait(asked, timeout=self._deadline).not_done
        pool.shutdown(wait=False, cancel_futures=True)
        for future in late:
            self._spot.failed(asked[future], now)
        if late:
            log.warning("%d of %d regions told no spot prices in time", len(late), len(asked))

    def _refresh(self, region: str, wanted: Mapping[Key, datetime], now: datetime) -> None:
        """Ask a region once for all its pools, and keep the answer."""
        try:
            self._spot.learn(wanted, self._asked_twice(region, wanted, now), now)
        except Exception as error:  # noqa: BLE001 whatever it answered, a sweep goes on without it
            log.warning("no spot prices from %s: %s", region, explain(error))
            self._spot.failed(region, now)

    def _asked_twice(
        self, region: str, wanted: Mapping[Key, datetime], now: datetime
    ) -> dict[Key, dict[datetime, Decimal]]:
        """Again where AWS failed: a lease whose price is not known counts at its cap, and may end for that."""
        try:
            return self._history(region, wanted, now)
        except AWS_ERRORS as error:
            if is_settled(error):
                raise
        return self._history(region, wanted, now)

    def _history(
        self, region: str, wanted: Mapping[Key, datetime], now: datetime
    ) -> dict[Key, dict[datetime, Decimal]]:
        """What moved in the pools that are wanted."""
        zones = [{"Name": "availability-zone", "Values": sorted({key[0] for key in wanted})}]
        ec2, types = self._aws.ec2(region, HURRIED), sorted({key[1] for key in wanted})
        found = _told(ec2, types, since=min(wanted.values()), now=now, filters=zones)
        return {key: points for key, points in found.items() if key in wanted}


def _told(
    ec2: EC2Client, types: Sequence[str], *, since: datetime, now: datetime, filters: Any = ()
) -> dict[Key, dict[datetime, Decimal]]:
    """Price changes by pool, and the price in force at the start, which AWS includes."""
    found: dict[Key, dict[datetime, Decimal]] = {}
    question: Any = {
        "InstanceTypes": list(types),
        "Filters": list(filters),
        "ProductDescriptions": [PRODUCT],
        "StartTime": since,
        "EndTime": now,
    }
    for page in ec2.get_paginator("describe_spot_price_history").paginate(**question):
        for raw in page.get("SpotPriceHistory") or []:
            key = (raw.get("AvailabilityZone") or "", str(raw.get("InstanceType") or ""))
            usd = _usd(raw.get("SpotPrice"))
            if usd is not None and raw.get("Timestamp"):
                found.setdefault(key, {})[raw["Timestamp"]] = usd
    return found


def _usd(text: Any) -> Decimal | None:
    """A spot price; nothing is free, so 0 is no price."""
    try:
        usd = Decimal(str(text))
    except InvalidOperation:
        return None
    return usd if usd.is_finite() and usd > 0 else None
