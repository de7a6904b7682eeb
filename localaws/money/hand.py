"""The hand of fate in matters of money: prices, credits, traffic, and how Cost Explorer behaves."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import threading

    from localaws.ec2.boxes import Boxes
    from localaws.ec2.spot import SpotRequests
    from localaws.money.account import Account, Credit, CreditKind
    from localaws.money.market import SpotMarket


class Money(ABC):
    """What a World lets happen to its prices and bills."""

    lock: threading.RLock
    account: Account
    boxes: Boxes
    market: SpotMarket
    spot: SpotRequests
    ce_page_size = 5000
    """Rows of a Cost Explorer page: groups, or periods without groups."""
    ce_hourly = False
    """Whether hourly data is switched on in Cost Explorer, which AWS bills extra."""

    @property
    @abstractmethod
    def now(self) -> datetime:
        """The virtual time."""

    def set_price(self, zone: str, instance_type: str, usd: Decimal | None) -> None:
        """Pin a spot price from now on; None lets it move again."""
        with self.lock:
            self.market.curve(zone, instance_type).pin(self.now, usd)
            self._watch_prices(zone, instance_type)

    def play_prices(self, zone: str, instance_type: str, steps: Sequence[tuple[datetime, Decimal]]) -> None:
        """Let a spot price follow a series, such as a real history moved to this world's time.

        Of the steps up to now the last is the price now; the others happen at their time, and the last one stays.
        """
        with self.lock:
            self.market.curve(zone, instance_type).play(self.now, steps)
            self._watch_prices(zone, instance_type)

    def _watch_prices(self, zone: str, instance_type: str) -> None:
        """What was to happen to capped boxes at the old prices is worked out anew."""
        for box in self.boxes:
            if box.zone == zone and box.type == instance_type:
                self.spot.interruptions.watch_price(box)

    def egress(self, box_id: str, gb: Decimal | float) -> None:
        """A running box sends so many GB to the internet, now."""
        with self.lock:
            self.account.send(self.boxes.of(box_id), Decimal(str(gb)))

    def grant_credit(self, usd: Decimal | float, kind: CreditKind = "Credit") -> Credit:
        """AWS gives money back: it shows in Cost Explorer as negative amounts, beside or instead of what was spent."""
        with self.lock:
            return self.account.grant(Decimal(str(usd)), kind)

    def switch_cost_explorer(self, *, on: bool) -> None:
        """Switched on, it has data a day later."""
        with self.lock:
            since = self.account.cost_explorer_since
            self.account.cost_explorer_since = (since or self.now) if on else None

    def activate_cost_tags(self, *keys: str) -> None:
        """From now on Cost Explorer knows these tags."""
        with self.lock:
            for key in keys:
                self.account.cost_tags.setdefault(key, self.now)

    def set_free_tier(self, offers: Sequence[dict[str, Any]], plan: dict[str, Any] | None = None) -> None:
        """What AWS says of the free tier and of the account's plan from now on, in its own shape."""
        with self.lock:
            self.account.free_tier, self.account.plan = list(offers), plan
