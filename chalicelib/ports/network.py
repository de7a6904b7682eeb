"""What a launch's network is asked of, and the groups that open ports in it."""

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from chalicelib.domain.errors import Unavailable
from chalicelib.domain.network import Rule, SecurityGroup


class SecurityGroups(Protocol):
    """EC2's subnets, VPCs and security groups, which are each region's own. Every call may raise Unavailable."""

    def vpc_of(self, region: str, subnet_id: str) -> str | None:
        """The VPC of a subnet; None where the region has no such subnet."""

    def default_vpc(self, region: str) -> str | None:
        """The VPC of launches that name no subnet; None where the region has none."""

    def regions_with_subnet(self, subnet_id: str, regions: Collection[str]) -> tuple[str, ...]:
        """Those of the regions that have the subnet, as far as they answered in time. Never raises."""

    def described(self, region: str, ids: Collection[str]) -> tuple[SecurityGroup, ...]:
        """These groups, but for those that are not there."""

    def named(self, region: str, vpc_id: str, name: str) -> SecurityGroup | None:
        """The group of that name in a VPC."""

    def tagged(self, region: str) -> tuple[SecurityGroup, ...]:
        """The groups with Curfew's tag."""

    def make(self, region: str, *, vpc_id: str, name: str, cidr: str, owner: str) -> str | None:
        """Make a group that opens nothing yet, tagged with what it is for. Its id; None where the VPC has one of that
        name by now. Raises Refused (`security-group-refused`)."""

    def open(self, region: str, group_id: str, rules: Sequence[Rule]) -> bool:
        """Add rules; what is open already stays so. False where EC2 does not know the group yet. Raises Refused."""

    def users(self, region: str, ids: Collection[str]) -> Mapping[str, tuple[str, ...]]:
        """By group what it is in use by: instances, else network interfaces; groups that nothing uses are left out."""

    def delete(self, region: str, group_id: str) -> bool:
        """Remove a group. False where something uses it; one that is gone already is removed. Raises Refused."""


class NoSecurityGroups:
    """Nobody knows the network: EC2 alone judges what a launch says of it, and nothing is opened."""

    def vpc_of(self, region: str, subnet_id: str) -> str | None:
        """Not known."""
        raise Unavailable(f"{subnet_id} in {region} is not asked about")

    def default_vpc(self, region: str) -> str | None:
        """Not known."""
        raise Unavailable(f"the VPCs of {region} are not asked about")

    def regions_with_subnet(self, subnet_id: str, regions: Collection[str]) -> tuple[str, ...]:
        """None that is known."""
        del subnet_id, regions
        return ()

    def described(self, region: str, ids: Collection[str]) -> tuple[SecurityGroup, ...]:
        """Not known."""
        del ids
        raise Unavailable(f"security groups in {region} are not asked about")

    def named(self, region: str, vpc_id: str, name: str) -> SecurityGroup | None:
        """Not known."""
        del vpc_id
        raise Unavailable(f"{name} in {region} is not asked about")

    def tagged(self, region: str) -> tuple[SecurityGroup, ...]:
        """None."""
        del region
        return ()

    def make(self, region: str, *, vpc_id: str, name: str, cidr: str, owner: str) -> str | None:
        """Not done."""
        del vpc_id, cidr, owner
        raise Unavailable(f"{name} was not made in {region}")

    def open(self, region: str, group_id: str, rules: Sequence[Rule]) -> bool:
        """Not done."""
        del rules
        raise Unavailable(f"nothing was opened in {group_id} in {region}")

    def users(self, region: str, ids: Collection[str]) -> Mapping[str, tuple[str, ...]]:
        """None that is known."""
        del region, ids
        return {}

    def delete(self, region: str, group_id: str) -> bool:
        """Not done."""
        del region, group_id
        return False
