"""What EC2 says of fleets and Auto Scaling groups, as seen at one moment.

An EC2 Fleet (`fleet-…`) and a Spot Fleet (`sfr-…`) differ in their calls and hardly in what they are: one record serves
both. (EC2 guide, "EC2 Fleet request types"; Auto Scaling guide, "Instance lifecycle".)
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

SPOT_FLEET_PREFIX = "sfr-"
FORGOTTEN = "forgotten"
"""The state of a fleet whose id EC2 no longer knows."""
_LIVES = frozenset({"submitted", "active", "modifying"})
_IN_SERVICE = "InService"
_ON_THE_WAY = ("Pending", "Quarantined", "ReplacingRootVolume", "RootVolumeReplaced")


def is_spot_fleet(fleet_id: str) -> bool:
    """Whether an id is a Spot Fleet's."""
    return fleet_id.startswith(SPOT_FLEET_PREFIX)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """A fleet. `target` and `on_demand_target` are in units: a box of a type counts for its weight, 1 where none is
    said. `members`: instance id → type of what it runs; None where that is not known."""

    id: str
    region: str
    type: str = "maintain"
    state: str = "active"
    target: int = 0
    on_demand_target: int = 0
    weights: Mapping[str, Decimal] = field(default_factory=dict)
    types: frozenset[str] = frozenset()
    """Every type that it may launch; empty where that is not known."""
    fulfilled: Decimal = Decimal(0)
    members: Mapping[str, str] | None = None
    created_at: datetime | None = None
    valid_until: datetime | None = None
    max_price: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def lives(self) -> bool:
        """Neither deleted, cancelled, failed nor forgotten."""
        return self.state in _LIVES

    @property
    def replaces(self) -> bool:
        """Starts another box when one of its own ends."""
        return self.lives and self.type == "maintain"

    @property
    def can_launch(self) -> bool:
        """May start a box now or later; an instant fleet has started all it ever will."""
        return self.lives and self.type != "instant"

    def weight(self, instance_type: str) -> Decimal:
        """What a box of a type counts for."""
        return self.weights.get(instance_type, Decimal(1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """An instance of a group: its state in the group's own words, and what it counts for."""

    id: str
    type: str
    state: str = _IN_SERVICE
    weight: int = 1

    @property
    def counts(self) -> bool:
        """Counts towards the desired capacity, so that the group replaces it."""
        return self.state == _IN_SERVICE or self.state.startswith(_ON_THE_WAY)

    @property
    def can_leave(self) -> bool:
        """DetachInstances takes it."""
        return self.state == _IN_SERVICE

    @property
    def stays(self) -> bool:
        """Is not on its way out of the group."""
        return not self.state.startswith(("Terminat", "Detach", "Warmed:Terminat"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """An Auto Scaling group and everything in it."""

    name: str
    region: str
    least: int
    most: int
    desired: int
    members: tuple[Member, ...] = ()
    managed_by: str | None = None
    """The AWS service that made it and runs it."""
    tags: Mapping[str, str] = field(default_factory=dict)

    def member(self, instance_id: str) -> Member | None:
        """One of its instances."""
        return next((one for one in self.members if one.id == instance_id), None)
