"""What things cost: by the list, by the bill, and what Curfew itself costs."""

from collections.abc import Collection, Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Protocol

from chalicelib.domain.bills import BillAnswer, BillFailure
from chalicelib.domain.free_tier import FreeTier
from chalicelib.domain.guard import Item
from chalicelib.domain.prices import PriceBook


class Prices(Protocol):
    """What compute costs."""

    def on_demand(self) -> PriceBook:
        """List prices as they are known, and the dated table: AWS is not asked."""

    def refresh(
        self, wanted: Collection[tuple[str, str]], *, now: datetime, only_unknown: bool = False
    ) -> tuple[str, ...]:
        """Learn the list prices of each (region, type), and the region's rates, where what is known is a day old; with
        `only_unknown` where nothing is. Under a deadline, never raises: answers what is lacking, for people."""

    def spot_history(
        self, region: str, instance_type: str, *, since: datetime, now: datetime
    ) -> Mapping[str, tuple[tuple[datetime, Decimal], ...]]:
        """By zone, how a type's spot price moved: (from when, USD per hour), ascending, first the one in force at
        `since`. Raises Unavailable."""

    def spot_now(
        self, region: str, instance_types: Collection[str], *, now: datetime
    ) -> Mapping[str, Mapping[str, Decimal]]:
        """What types cost on spot in each zone now, by one question; a type of which EC2 tells no price is left out.
        Raises Unavailable."""

    def book(
        self, zones: Collection[tuple[str, str]], *, since: datetime, now: datetime, fresh: bool = False
    ) -> PriceBook:
        """With the spot history of each (zone, type) since a moment, not older than some minutes, or with `fresh` asked
        anew. Never raises: of what EC2 did not tell by the deadline the last price that was ever told is in force, and
        a pool of which nothing was told is left out: the meter then assumes the cap."""

    def keep(self, zones: Collection[tuple[str, str]], *, since: datetime, now: datetime) -> None:
        """Write down, for other processes, list prices that were learnt and what is known of these spot pools since a
        moment. Not before the kills. Never raises, and takes a few seconds at most."""


class Bills(Protocol):
    """Cost Explorer, late and at $0.01 a page."""

    def daily(self, since: date, until: date) -> BillAnswer | BillFailure:
        """Each day from `since` up to, not with, `until`, by service and usage type, without credits and refunds. Never
        raises, and takes 20 s at most."""


class FreeTiers(Protocol):
    """AWS's free tier and the account's plan; asking costs nothing."""

    def ask(self, now: datetime) -> FreeTier:
        """What AWS says of it; what it does not say is absent, and `lacking` says why. Never raises, and takes 32 s at
        most."""


class Ledger(Protocol):
    """What Curfew's own calls cost, counted in memory as they are made."""

    def invoked(self, seconds: float, *, is_http: bool = False, log_bytes: int = 0) -> None:
        """Count one invocation of a function, and of API Gateway where it came over HTTP."""

    def hand_over(self, now: datetime, *, every: timedelta) -> Mapping[Item, Decimal]:
        """Everything counted since the last time, at the first call and then once `every`; else nothing."""
