"""Fleets and groups in memory: what they want, what they start when a box of theirs ends, and how they are changed."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from decimal import Decimal

from chalicelib.domain.fleets import Fleet, Group, Member
from chalicelib.domain.instance import AT_REST, GONE
from chalicelib.ports import Outcome
from tests.doubles.memory_records import Box

LIVING = "active"


@dataclass(slots=True)
class FleetRecord:
    """A fleet; without a `type` EC2 does not describe it."""

    id: str
    region: str
    type: str | None
    target: int = 0
    on_demand_target: int = 0
    state: str = LIVING
    token: str | None = None
    tags: dict[str, str] = field(default_factory=dict)
    starts: Callable[[], bool] | None = None
    """How it starts a box where it was asked for by itself; a fleet that a box names starts another like that one."""
    weights: dict[str, int] = field(default_factory=dict)
    may_start: set[str] = field(default_factory=set)


@dataclass(slots=True)
class GroupRecord:
    """A group and its sizes."""

    name: str
    region: str
    least: int = 0
    most: int = 100
    desired: int = 0
    states: dict[str, str] = field(default_factory=dict)
    """The lifecycle states of boxes that are not in service."""
    tags: dict[str, str] = field(default_factory=dict)


class Controllers:
    """Every fleet and group. One that a box names comes into being with it, and wants one more for each."""

    def __init__(self, boxes: dict[str, Box], replace: Callable[[Box], Box]) -> None:
        self.fleets: dict[str, FleetRecord] = {}
        self.groups: dict[str, GroupRecord] = {}
        self._boxes = boxes
        self._replace = replace
        self._members: dict[str, set[str]] = {}
        """Controller → every box that it has ever had, whatever their tags say."""

    def take_in(self, box: Box) -> None:
        """A box was started that names its fleet or group."""
        fleet_id = box.fleet_id or box.spot_fleet_id
        if fleet_id:
            fleet = self.fleets.setdefault(fleet_id, FleetRecord(fleet_id, box.region, box.fleet_type))
            if fleet.starts is None:
                fleet.target += fleet.weights.get(box.type, 1)
                fleet.on_demand_target += 0 if box.lifecycle == "spot" else fleet.weights.get(box.type, 1)
            fleet.may_start.add(box.type)
            self._members.setdefault(fleet_id, set()).add(box.id)
        if box.group:
            group = self.groups.setdefault(box.group, GroupRecord(box.group, box.region))
            group.desired += 1
            self._members.setdefault(box.group, set()).add(box.id)

    def settle(self) -> None:
        """Start what is missing, as AWS does within a minute."""
        for fleet in list(self.fleets.values()):
            while fleet.type not in {"instant", "request"} and fleet.state == LIVING:
                if self._fulfilled(fleet) >= fleet.target:
                    break
                if not (fleet.starts() if fleet.starts else self._renew(fleet.id)):
                    break
        for group in list(self.groups.values()):
            while len(self._live(group.name)) < group.desired and self._renew(group.name):
                continue

    def _renew(self, name: str) -> bool:
        """Start another box like the last that ended; whether there was one."""
        ended = [
            self._boxes[one]
            for one in sorted(self._members[name])
            if self._boxes[one].state in GONE | AT_REST
        ]
        if not ended:
            return False
        self._members[name].add(self._replace(ended[-1]).id)
        return True

    def _live(self, name: str) -> list[Box]:
        boxes = [self._boxes[one] for one in sorted(self._members.get(name, ()))]
        return [box for box in boxes if box.state not in GONE | AT_REST]

    def _fulfilled(self, fleet: FleetRecord) -> int:
        return sum(fleet.weights.get(box.type, 1) for box in self._live(fleet.id))

    def problem(self, region: str, fleet_id: str) -> str | None:
        """What keeps a fleet that was asked for by itself from its target."""
        fleet = self.fleets.get(fleet_id)
        is_short = fleet is not None and fleet.region == region and self._fulfilled(fleet) < fleet.target
        return "launchSpecTemporarilyBlacklisted: InsufficientInstanceCapacity" if is_short else None

    # -- acts ---------------------------------------------------------------------------------------------------------

    def end_fleet(
        self, region: str, fleet_id: str, end: Callable[[Box], None], *, and_boxes: bool
    ) -> Outcome:
        fleet = self.fleets.get(fleet_id)
        if fleet is None or fleet.region != region:
            return Outcome(accepted=False, answer="fleetIdDoesNotExist", is_absent=True)
        word = "cancelled" if fleet_id.startswith("sfr-") else "deleted"
        if fleet.state != LIVING:
            return Outcome(accepted=True, answer="fleetNotInDeletableState")
        fleet.state = f"{word}_{'terminating' if and_boxes else 'running'}"
        if and_boxes:
            for box in self._live(fleet_id):
                if not box.is_protected:
                    end(box)
        return Outcome(accepted=True, answer=fleet.state)

    def shrink_fleet(self, region: str, fleet_id: str, total: int, on_demand: int | None) -> Outcome:
        fleet = self.fleets.get(fleet_id)
        if fleet is None or fleet.region != region:
            return Outcome(accepted=False, answer="InvalidFleetId.NotFound", is_absent=True)
        if fleet.type != "maintain" or fleet.state != LIVING:
            return Outcome(accepted=False, answer="InvalidParameterValue")
        fleet.target, fleet.on_demand_target = total, on_demand or 0
        return Outcome(accepted=True, answer=f"target {total}")

    def detach(self, region: str, name: str, instance_id: str) -> Outcome:
        group = self.groups.get(name)
        box = self._boxes.get(instance_id)
        inside = box is not None and box.group == name and box.state not in GONE
        if group is None or group.region != region or box is None or not inside:
            return Outcome(accepted=False, answer="ValidationError: not in the group", is_absent=True)
        if group.states.get(instance_id, "InService") != "InService":
            return Outcome(accepted=False, answer="ValidationError: not in service")
        if group.desired - 1 < group.least:
            return Outcome(accepted=False, answer="ValidationError: desiredSize equals minSize")
        group.desired -= 1
        self._members[name].discard(instance_id)
        box.group = None
        return Outcome(accepted=True, answer="detached")

    def resize_group(
        self,
        region: str,
        name: str,
        end: Callable[[Box], None],
        *,
        least: int,
        most: int | None,
        desired: int | None,
    ) -> Outcome:
        group = self.groups.get(name)
        if group is None or group.region != region:
            return Outcome(accepted=False, answer="ValidationError: name not found", is_absent=True)
        group.least = least
        group.most = group.most if most is None else most
        group.desired = group.desired if desired is None else desired
        for box in self._live(name)[group.desired :]:
            end(box)
        return Outcome(accepted=True, answer="resized")

    # -- looking ------------------------------------------------------------------------------------------------------

    def seen_fleets(
        self, region: str, shown: Iterable[Box], own: set[str], *, whole: bool
    ) -> tuple[Fleet, ...]:
        """Those that the boxes shown name, and those asked for."""
        named = {one for box in shown for one in (box.fleet_id, box.spot_fleet_id) if one} | own
        return tuple(
            Fleet(
                id=fleet.id,
                region=region,
                type=fleet.type,
                state=fleet.state,
                target=fleet.target,
                on_demand_target=fleet.on_demand_target,
                weights={kind: Decimal(weight) for kind, weight in fleet.weights.items()},
                types=frozenset(fleet.may_start),
                fulfilled=Decimal(self._fulfilled(fleet)),
                members={box.id: box.type for box in self._live(fleet.id)},
            )
            for fleet in self.fleets.values()
            if fleet.region == region and fleet.type and (fleet.id in named or whole)
        )

    def seen_groups(self, region: str, shown: Iterable[Box]) -> tuple[Group, ...]:
        """Those that the boxes shown name."""
        named = {box.group for box in shown}
        return tuple(
            Group(
                name=group.name,
                region=region,
                least=group.least,
                most=group.most,
                desired=group.desired,
                tags=dict(group.tags),
                members=tuple(
                    Member(id=box.id, type=box.type, state=group.states.get(box.id, "InService"))
                    for box in self._live(group.name)
                ),
            )
            for group in self.groups.values()
            if group.region == region and group.name in named
        )
