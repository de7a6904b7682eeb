"""List prices of the regions and types that matter, asked of the Pricing API once a day and kept in between.

They are kept in the warm process and in the table, so that a cold one need not ask. A question waits for
`DEADLINE_SECONDS` at most, and a region that failed is left alone for an hour: a price is never worth a late end. An
answer that comes later still lands. They are written to the table by `save` alone, which a sweep calls after its kills.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import chain
from threading import Lock
from typing import Protocol

from chalicelib.domain.errors import CurfewError
from chalicelib.domain.prices import ListPrices, Told, assumed_rates
from chalicelib.gateways import get_products
from chalicelib.gateways.aws import Aws, explain

DEADLINE_SECONDS = 3.0
QUESTIONS_AT_ONCE = 8
ASKED_EVERY = timedelta(days=1)
LEFT_ALONE_FOR = timedelta(hours=1)
NEVER = datetime.min.replace(tzinfo=UTC)

_Learnt = Callable[[ListPrices, datetime], ListPrices]
"""What an answer makes of what was known before, at a moment."""

log = logging.getLogger(__name__)


class PriceCache(Protocol):
    """Where list prices outlive a process."""

    def list_prices(self) -> tuple[ListPrices, ...]:
        """Of every region that was ever asked about. Raises CurfewError."""

    def keep_list_prices(self, prices: ListPrices) -> None:
        """Keep a region's. Raises CurfewError."""


@dataclass(frozen=True, slots=True)
class _Wish:
    """One thing to learn of a region: a type's price, or its rates (no type)."""

    region: str
    instance_type: str | None


class PriceList:
    """What is known of list prices, and the way to learn more."""

    def __init__(
        self,
        aws: Aws,
        cache: PriceCache | None,
        table: Mapping[str, Decimal],
        *,
        deadline_seconds: float = DEADLINE_SECONDS,
    ) -> None:
        self._aws = aws
        self._cache = cache
        self._table = table
        self._deadline = deadline_seconds
        self._known: dict[str, ListPrices] = {}
        self._unsaved: set[str] = set()
        self._failed: dict[str, tuple[datetime, str]] = {}
        self._is_read = False
        self._lock = Lock()

    def known(self) -> Mapping[str, ListPrices]:
        """By region, what is known without asking AWS; the table is read once. Never raises."""
        if not self._is_read:
            self._read()
        with self._lock:
            return dict(self._known)

    def refresh(
        self, wanted: Collection[tuple[str, str]], *, now: datetime, only_unknown: bool
    ) -> tuple[str, ...]:
        """Ask for the price of each (region, type), and for the region's rates, where what is known is a day old, or
        with `only_unknown` where nothing is. Answers what is lacking, for people. Never raises."""
        wishes = [_Wish(region, name) for region, name in dict.fromkeys(wanted)]
        wishes += [_Wish(region, None) for region in dict.fromkeys(region for region, _ in wanted)]
        is_warm = self._is_read
        self.known()
        if self._due(wishes, now, only_unknown=only_unknown):
            if is_warm:
                self._read()  # another process may have asked meanwhile
            self._ask(self._due(wishes, now, only_unknown=only_unknown), now)
        behind = {wish.region for wish in self._stale(wishes, now, only_unknown=only_unknown)}
        with self._lock:
            return tuple(
                f"GetProducts {region}: {why}"
                for region, (_, why) in sorted(self._failed.items())
                if region in behind
            )

    def _stale(self, wishes: Collection[_Wish], now: datetime, *, only_unknown: bool) -> list[_Wish]:
        oldest = None if only_unknown else now - ASKED_EVERY
        with self._lock:
            asked = {wish: _asked_at(self._known.get(wish.region), wish) for wish in wishes}
        return [wish for wish, at in asked.items() if at is None or (oldest is not None and at <= oldest)]

    def _due(self, wishes: Collection[_Wish], now: datetime, *, only_unknown: bool) -> list[_Wish]:
        stale = self._stale(wishes, now, only_unknown=only_unknown)
        with self._lock:
            resting = {region for region, (at, _) in self._failed.items() if now - at < LEFT_ALONE_FOR}
        return [wish for wish in stale if wish.region not in resting]

    def _ask(self, wishes: Collection[_Wish], now: datetime) -> None:
        """Ask side by side, and wait no longer than the deadline; what was not even begun is asked the next time."""
        if not wishes:
            return
        pool = ThreadPoolExecutor(max_workers=QUESTIONS_AT_ONCE, thread_name_prefix="price-list")
        asked: dict[Future[None], _Wish] = {pool.submit(self._learn, wish, now): wish for wish in wishes}
        late = wait(asked, timeout=self._deadline).not_done
        pool.shutdown(wait=False, cancel_futures=True)
        for future in late:
            if not future.cancelled():
                self._fail(asked[future].region, now, f"no answer within {self._deadline:g} s")

    def _learn(self, wish: _Wish, now: datetime) -> None:
        """Ask for one thing, and keep what comes: that there is no price, too."""
        try:
            learnt = self._rates(wish.region) if wish.instance_type is None else self._price(wish)
            with self._lock:
                before = self._known.get(wish.region) or ListPrices(region=wish.region)
                self._known[wish.region] = learnt(before, now)
                self._unsaved.add(wish.region)
        except Exception as error:  # noqa: BLE001 whatever it answered: the region is left alone, the sweep goes on
            self._fail(wish.region, now, explain(error))

    def _price(self, wish: _Wish) -> _Learnt:
        name = wish.instance_type or ""
        filters = get_products.instance_filters(wish.region, name)
        products = get_products.ask(self._aws, "AmazonEC2", filters)
        usd = get_products.instance_usd(products, name, listed_at_home=self._table.get(name))
        if usd is None:
            log.warning("GetProducts has no price of %s in %s", name, wish.region)

        def learnt(before: ListPrices, now: datetime) -> ListPrices:
            told = {} if usd is None else {name: Told(usd=usd, at=now)}
            return replace(
                before, on_demand={**before.on_demand, **told}, asked_at={**before.asked_at, name: now}
            )

        return learnt

    def _rates(self, region: str) -> _Learnt:
        questions = get_products.rate_questions(region)
        with ThreadPoolExecutor(max_workers=len(questions), thread_name_prefix="price-list") as pool:
            pages = list(pool.map(lambda question: get_products.ask(self._aws, *question), questions))

        def learnt(before: ListPrices, now: datetime) -> ListPrices:
            assumed = before.rates or assumed_rates(region)
            return replace(before, rates=get_products.rates_of(chain(*pages), assumed), rates_asked_at=now)

        return learnt

    def _fail(self, region: str, now: datetime, why: str) -> None:
        log.warning("no list prices of %s: %s", region, why)
        with self._lock:
            self._failed[region] = (now, why)

    def _read(self) -> None:
        """Take what the table has where it is newer. A table that does not answer is read again the next time."""
        if self._cache is None:
            self._is_read = True
            return
        try:
            kept = self._cache.list_prices()
        except Exception as error:  # noqa: BLE001 whatever stands there, a sweep goes on without it
            log.warning("the list prices that are kept can't be read: %s", error)
            return
        with self._lock:
            self._is_read = True
            for prices in kept:
                known = self._known.get(prices.region)
                self._known[prices.region] = prices if known is None else _merged(known, prices)

    def save(self) -> None:
        """Write down what was learnt since. Never raises: what the table does not take is written the next time."""
        with self._lock:
            unsaved = {region: self._known[region] for region in self._unsaved}
        for region, prices in unsaved.items():
            try:
                if self._cache is not None:
                    self._cache.keep_list_prices(prices)
            except CurfewError as error:
                log.warning("the list prices of %s can't be kept: %s", region, error)
                return
            with self._lock:
                if self._known[region] is prices:
                    self._unsaved.discard(region)


def _asked_at(known: ListPrices | None, wish: _Wish) -> datetime | None:
    if known is None:
        return None
    return known.rates_asked_at if wish.instance_type is None else known.asked_at.get(wish.instance_type)


def _merged(one: ListPrices, other: ListPrices) -> ListPrices:
    """Of both, what was asked last."""
    names = {**one.asked_at, **other.asked_at}
    later = {
        name: one if one.asked_at.get(name, NEVER) >= other.asked_at.get(name, NEVER) else other
        for name in names
    }
    by_rates = max(one, other, key=lambda each: each.rates_asked_at or NEVER)
    return ListPrices(
        region=one.region,
        on_demand={name: by.on_demand[name] for name, by in later.items() if name in by.on_demand},
        asked_at={name: by.asked_at[name] for name, by in later.items()},
        rates=by_rates.rates,
        rates_asked_at=by_rates.rates_asked_at,
    )
