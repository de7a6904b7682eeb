"""What the use cases need from the world, as Protocols. Each has one gateway; tests bring fakes.

Gateways raise `Unavailable` where AWS did not answer, and answer per id where AWS answers per id: one poisoned id never
hides the others. `No…` is a port that is not set up. Everybody imports from here, whichever file a port stands in.
"""

from chalicelib.ports.access import AuditTrail, NoAuditTrail, NoTokens, TokenBook
from chalicelib.ports.clock import Clock
from chalicelib.ports.compute import Compute, Image, LaunchAnswer, Outcome
from chalicelib.ports.launching import Beacons, Catalogue, KeyPairs, NoCatalogue, NoKeyPairs
from chalicelib.ports.money import Bills, FreeTiers, Ledger, Prices
from chalicelib.ports.network import NoSecurityGroups, SecurityGroups
from chalicelib.ports.people import DeadMan, Links, NoLinks, NoNotifier, Notifier
from chalicelib.ports.records import ALL_RECEIPTS, Account, FirstSight, Page, ReceiptFilter, SweepRecord
from chalicelib.ports.services import Services
from chalicelib.ports.store import Store
from chalicelib.ports.timers import NoTimers, Timers
from chalicelib.ports.transfers import NoTransfers, Transfers
from chalicelib.ports.witnesses import Metrics, Trail

__all__ = [
    "ALL_RECEIPTS",
    "Account",
    "AuditTrail",
    "Beacons",
    "Bills",
    "Catalogue",
    "Clock",
    "Compute",
    "DeadMan",
    "FirstSight",
    "FreeTiers",
    "Image",
    "KeyPairs",
    "LaunchAnswer",
    "Ledger",
    "Links",
    "Metrics",
    "NoAuditTrail",
    "NoCatalogue",
    "NoKeyPairs",
    "NoLinks",
    "NoNotifier",
    "NoSecurityGroups",
    "NoTimers",
    "NoTokens",
    "NoTransfers",
    "Notifier",
    "Outcome",
    "Page",
    "Prices",
    "ReceiptFilter",
    "SecurityGroups",
    "Services",
    "Store",
    "SweepRecord",
    "Timers",
    "TokenBook",
    "Trail",
    "Transfers",
]
