"""The security groups of an account, in memory."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from chalicelib.domain.network import Rule, SecurityGroup
from tests.doubles.accidents import AccidentProne, call

DEFAULT_VPC = "vpc-default"


@dataclass
class _State:
    groups: dict[str, SecurityGroup] = field(default_factory=dict)
    used_by: dict[str, tuple[str, ...]] = field(default_factory=dict)


class MemorySecurityGroups(AccidentProne):
    """`subnets`: the VPC of each, by region and id. `without_vpc`: regions that have no default one. `used_by`: what is
    in a group. `unknown_for`: so many calls find a group that was just made unknown, and so many looks
    (`unseen_for`) don't show it."""

    def __init__(self) -> None:
        super().__init__()
        self.state = _State()
        self.subnets: dict[tuple[str, str], str] = {}
        self.without_vpc: set[str] = set()
        self.unknown_for = self.unseen_for = 0

    def put(self, group: SecurityGroup) -> None:
        """A group that is there."""
        self.state.groups[group.id] = group

    @property
    def names(self) -> list[str]:
        """The groups there are."""
        return [group.name for group in self.state.groups.values()]

    @property
    def used_by(self) -> dict[str, tuple[str, ...]]:
        return self.state.used_by

    @call
    def vpc_of(self, region: str, subnet_id: str) -> str | None:
        return self.subnets.get((region, subnet_id))

    @call
    def default_vpc(self, region: str) -> str | None:
        return None if region in self.without_vpc else DEFAULT_VPC

    def regions_with_subnet(self, subnet_id: str, regions: Collection[str]) -> tuple[str, ...]:
        return tuple(region for region in regions if (region, subnet_id) in self.subnets)

    @call
    def described(self, region: str, ids: Collection[str]) -> tuple[SecurityGroup, ...]:
        if ids and self.unseen_for:
            self.unseen_for -= 1
            return ()
        found = (self.state.groups.get(group_id) for group_id in sorted(set(ids)))
        return tuple(group for group in found if group and group.region == region)

    @call
    def named(self, region: str, vpc_id: str, name: str) -> SecurityGroup | None:
        wanted = (region, vpc_id, name)
        return next((g for g in self.state.groups.values() if (g.region, g.vpc_id, g.name) == wanted), None)

    @call
    def tagged(self, region: str) -> tuple[SecurityGroup, ...]:
        return tuple(g for g in self.state.groups.values() if g.region == region and g.is_tagged)

    @call
    def make(self, region: str, *, vpc_id: str, name: str, cidr: str, owner: str) -> str | None:
        del cidr
        if any((g.region, g.vpc_id, g.name) == (region, vpc_id, name) for g in self.state.groups.values()):
            return None
        group_id = f"sg-{len(self.calls):017x}"
        self.put(
            SecurityGroup(id=group_id, name=name, region=region, vpc_id=vpc_id, is_tagged=True, owner=owner)
        )
        return group_id

    @call
    def open(self, region: str, group_id: str, rules: Sequence[Rule]) -> bool:
        group = self.state.groups.get(group_id)
        if self.unknown_for:
            self.unknown_for -= 1
            return False
        if group is None or group.region != region:
            return False
        self.put(replace(group, rules=tuple(dict.fromkeys([*group.rules, *rules]))))
        return True

    @call
    def users(self, region: str, ids: Collection[str]) -> Mapping[str, tuple[str, ...]]:
        del region
        return {group_id: self.used_by[group_id] for group_id in ids if self.used_by.get(group_id)}

    @call
    def delete(self, region: str, group_id: str) -> bool:
        del region
        if self.used_by.get(group_id):
            return False
        self.state.groups.pop(group_id, None)
        return True
