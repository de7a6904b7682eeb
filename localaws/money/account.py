"""What the account owns and owes beside its instances: volumes, snapshots, images, addresses, requests, credits."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

from localaws.errors import RequestError
from localaws.money.addresses import Addresses
from localaws.money.disks import Disks
from localaws.money.requests import Requests
from localaws.money.snapshots import Images, Snapshots

if TYPE_CHECKING:
    from localaws.model import Box
    from localaws.world import World

CreditKind = Literal["Credit", "Refund"]
EVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Credit:
    """Money that AWS gives back: a credit pays usage from its month on until it is used up, a refund is one line."""

    at: datetime
    usd: Decimal
    kind: CreditKind


class Account:
    """Everything that bills, for as long as the world lasts."""

    def __init__(self, world: World, *, cost_explorer: bool) -> None:
        def now() -> datetime:
            return world.now

        self._world = world
        self.opened_at = world.now
        self.disks = Disks(now)
        self.snapshots = Snapshots(now, world.at)
        self.images = Images(self.snapshots)
        self.addresses = Addresses(now)
        self.requests = Requests(now)
        self.credits: list[Credit] = []
        self.cost_tags: dict[str, datetime] = {}
        """The tags that are activated for cost allocation, and since when."""
        self.cost_explorer_since: datetime | None = EVER if cost_explorer else None
        """When Cost Explorer was switched on; a world that has it from the start has had it for ever."""
        self.free_tier: list[dict[str, Any]] = []
        """The offers of the free tier, as AWS tells them."""
        self.plan: dict[str, Any] | None = None
        """The account's plan, as AWS tells it. None: the account is older than plans are."""

    def watch(self) -> None:
        """Follow the boxes, once there are any."""
        self._world.boxes.on_running.append(self.addresses.box_runs)
        self._world.boxes.on_ended.append(self._box_ended)

    def grant(self, usd: Decimal, kind: CreditKind) -> Credit:
        """Give money back from now on."""
        if usd <= 0:
            raise RequestError(f"usd must be more than 0, not {usd}", field="usd")
        credit = Credit(self._world.now, usd, kind)
        self.credits.append(credit)
        return credit

    def send(self, box: Box, gb: Decimal) -> None:
        """A running box sends so much to the internet, now."""
        if gb < 0:
            raise RequestError(f"egress_gb must not be below 0, not {gb}", field="egress_gb")
        if box.state != "running":
            raise RequestError(f"{box.id} is {box.state} and sends nothing", field="egress_gb", status=409)
        box.sent.append((self._world.now, gb))

    def _box_ended(self, box: Box) -> None:
        self.images.box_ended(box)
        for address in self.addresses.of_box(box):
            address.moto.ec2_backend.disassociate_address(address=address.ip)
