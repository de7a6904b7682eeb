"""All ports together."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from chalicelib.ports.access import AuditTrail, NoAuditTrail, NoTokens, TokenBook
from chalicelib.ports.clock import Clock
from chalicelib.ports.compute import Compute
from chalicelib.ports.launching import Beacons, Catalogue, KeyPairs, NoCatalogue, NoKeyPairs
from chalicelib.ports.money import Bills, FreeTiers, Ledger, Prices
from chalicelib.ports.network import NoSecurityGroups, SecurityGroups
from chalicelib.ports.people import DeadMan, Links, NoLinks, NoNotifier, Notifier
from chalicelib.ports.store import Store
from chalicelib.ports.timers import NoTimers, Timers
from chalicelib.ports.transfers import NoTransfers, Transfers
from chalicelib.ports.witnesses import Metrics, Trail


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """Everything a use case may speak to, and the few settings that change what it does."""

    clock: Clock
    compute: Compute
    metrics: Metrics
    prices: Prices
    bills: Bills
    trail: Trail
    store: Store
    notifier: Notifier
    ledger: Ledger
    regions: tuple[str, ...] | None
    """None: all that the account can use."""
    home_region: str
    is_armed: bool = False
    deadman: DeadMan | None = None
    is_dry_run: bool = False
    timers: Timers = field(default_factory=NoTimers)
    links: Links = field(default_factory=NoLinks)
    topic: Notifier = field(default_factory=NoNotifier)
    """Who is told where `notifier` is none, or fails for too long."""
    beacons: Beacons | None = None
    """None: no address is set that a box could reach, and boxes tell nothing."""
    catalogue: Catalogue = field(default_factory=NoCatalogue)
    keys: KeyPairs = field(default_factory=NoKeyPairs)
    transfers: Transfers = field(default_factory=NoTransfers)
    security_groups: SecurityGroups = field(default_factory=NoSecurityGroups)
    free_tier: FreeTiers | None = None
    """None: not asked."""
    tokens: TokenBook = field(default_factory=NoTokens)
    audit: AuditTrail = field(default_factory=NoAuditTrail)
    missing: tuple[Mapping[str, Any], ...] = ()
    answer_by: float | None = None
    """When, in `clock.elapsed`, whoever asked over HTTP is to have an answer. None: nobody waits for one."""

    def patience(self, most: float) -> float:
        """How many seconds one thing may take of `most`: no more than a caller who waits has left."""
        return most if self.answer_by is None else max(min(most, self.answer_by - self.clock.elapsed()), 0)
