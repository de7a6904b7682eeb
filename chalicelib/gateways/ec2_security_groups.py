"""Security groups of each region, and the VPCs and subnets that they stand in.

Curfew's own carry a tag that says what they open, set as they are made: what may be opened further and removed is
limited by it (`.chalice/policy-*.json`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from time import monotonic
from typing import Any

from botocore.config import Config
from botocore.exceptions import ClientError

from chalicelib.domain.errors import Refused
from chalicelib.domain.network import Rule, SecurityGroup
from chalicelib.domain.tags import OWNER_TAG, SSH_FROM_TAG
from chalicelib.gateways.aws import (
    ASKING,
    AWS_ERRORS,
    DENIED,
    HURRIED,
    PROMPT,
    Aws,
    code_of,
    explain,
    is_settled,
    unavailable,
)

NO_SUBNET = frozenset({"InvalidSubnetID.NotFound", "InvalidSubnetId.NotFound", "InvalidSubnetID.Malformed"})
NO_GROUP = frozenset({"InvalidGroup.NotFound", "InvalidGroupId.Malformed", "InvalidGroup.InvalidID"})
NAME_TAKEN = "InvalidGroup.Duplicate"
RULE_THERE = "InvalidPermission.Duplicate"
IN_USE = frozenset({"DependencyViolation", "InvalidGroup.InUse"})
PATIENCE_SECONDS = 4.0
"""Regions are searched one after the other for so long."""
VALUES_A_FILTER = 200


class Ec2SecurityGroups:
    """EC2's security groups, subnets and VPCs."""

    def __init__(self, aws: Aws) -> None:
        self._aws = aws

    def vpc_of(self, region: str, subnet_id: str) -> str | None:
        """The VPC of a subnet."""
        try:
            answer = self._aws.ec2(region, PROMPT).describe_subnets(SubnetIds=[subnet_id])
        except AWS_ERRORS as error:
            if _says(error, NO_SUBNET):
                return None
            raise unavailable(f"looking for the subnet {subnet_id} in {region}", error) from error
        return next((one.get("VpcId") for one in answer.get("Subnets") or []), None)

    def default_vpc(self, region: str) -> str | None:
        """The VPC of launches that name no subnet."""
        try:
            answer = self._aws.ec2(region, PROMPT).describe_vpcs(
                Filters=[{"Name": "is-default", "Values": ["true"]}]
            )
        except AWS_ERRORS as error:
            raise unavailable(f"looking for the default VPC of {region}", error) from error
        return next((one.get("VpcId") for one in answer.get("Vpcs") or []), None)

    def regions_with_subnet(self, subnet_id: str, regions: Collection[str]) -> tuple[str, ...]:
        """Where the subnet is; there is one of its id at most."""
        deadline = monotonic() + PATIENCE_SECONDS
        for region in regions:
            if monotonic() > deadline:
                break
            with suppress(*AWS_ERRORS):
                if self._aws.ec2(region, HURRIED).describe_subnets(SubnetIds=[subnet_id]).get("Subnets"):
                    return (region,)
        return ()

    def described(self, region: str, ids: Collection[str]) -> tuple[SecurityGroup, ...]:
        """These groups; by a filter, because one id that is no more makes a call that names it fail as a whole."""
        return tuple(self._found(region, {"group-id": sorted(set(ids))})) if ids else ()

    def named(self, region: str, vpc_id: str, name: str) -> SecurityGroup | None:
        """The group of just that name in a VPC: a filter takes `*` and `?` for any letters."""
        found = self._found(region, {"vpc-id": [vpc_id], "group-name": [name]})
        return next((group for group in found if group.name == name), None)

    def tagged(self, region: str) -> tuple[SecurityGroup, ...]:
        """The groups with Curfew's tag."""
        return tuple(self._found(region, {"tag-key": [SSH_FROM_TAG]}, HURRIED))

    def _found(
        self, region: str, filters: Mapping[str, list[str]], patience: Config = PROMPT
    ) -> Iterator[SecurityGroup]:
        named: Any = [{"Name": name, "Values": values} for name, values in filters.items()]
        try:
            for page in (
                self._aws.ec2(region, patience)
                .get_paginator("describe_security_groups")
                .paginate(Filters=named)
            ):
                for raw in page.get("SecurityGroups") or []:
                    if raw.get("GroupId"):
                        yield _to_group(raw, region)
        except AWS_ERRORS as error:
            raise unavailable(f"looking at security groups in {region}", error) from error

    def make(self, region: str, *, vpc_id: str, name: str, cidr: str, owner: str) -> str | None:
        """Make a group that opens nothing yet, in one try: a second would find the first one's name taken."""
        tags = [{"Key": SSH_FROM_TAG, "Value": cidr}, {"Key": OWNER_TAG, "Value": owner}]
        specification: Any = [{"ResourceType": "security-group", "Tags": tags}]
        try:
            answer = self._aws.ec2(region, ASKING).create_security_group(
                GroupName=name,
                Description=f"Made by Curfew for {cidr}, removed once unused",
                VpcId=vpc_id,
                TagSpecifications=specification,
            )
        except AWS_ERRORS as error:
            if _says(error, {NAME_TAKEN}):
                return None
            raise _failure("make the security group", name, region, error) from error
        return answer["GroupId"]

    def open(self, region: str, group_id: str, rules: Sequence[Rule]) -> bool:
        """Add rules, all at once; where one is there already one by one, because that fails the call as a whole."""
        try:
            self._authorize(region, group_id, rules)
        except AWS_ERRORS as error:
            if _says(error, NO_GROUP):
                return False
            if not _says(error, {RULE_THERE}):
                raise _failure("open ports in", group_id, region, error) from error
            return len(rules) == 1 or all(self.open(region, group_id, [rule]) for rule in rules)
        return True

    def _authorize(self, region: str, group_id: str, rules: Sequence[Rule]) -> None:
        permissions: Any = [_to_permission(rule) for rule in rules]
        if permissions:
            self._aws.ec2(region, ASKING).authorize_security_group_ingress(
                GroupId=group_id, IpPermissions=permissions
            )

    def users(self, region: str, ids: Collection[str]) -> Mapping[str, tuple[str, ...]]:
        """By group the instances that it is in use by, else the network interfaces."""
        found: dict[str, dict[str, None]] = {}
        wanted = sorted(set(ids))
        try:
            for start in range(0, len(wanted), VALUES_A_FILTER):
                pages = (
                    self._aws.ec2(region, HURRIED)
                    .get_paginator("describe_network_interfaces")
                    .paginate(
                        Filters=[{"Name": "group-id", "Values": wanted[start : start + VALUES_A_FILTER]}]
                    )
                )
                for page in pages:
                    for raw in page.get("NetworkInterfaces") or []:
                        user = (raw.get("Attachment") or {}).get("InstanceId") or raw["NetworkInterfaceId"]
                        for group in raw.get("Groups") or []:
                            found.setdefault(group.get("GroupId", ""), {})[user] = None
        except AWS_ERRORS as error:
            raise unavailable(f"looking for what uses security groups in {region}", error) from error
        return {group_id: tuple(users) for group_id, users in found.items() if group_id in wanted}

    def delete(self, region: str, group_id: str) -> bool:
        """Remove a group, unless something uses it."""
        try:
            self._aws.ec2(region, HURRIED).delete_security_group(GroupId=group_id)
        except AWS_ERRORS as error:
            if _says(error, IN_USE):
                return False
            if not _says(error, NO_GROUP):
                raise _failure("remove the security group", group_id, region, error) from error
        return True


def _says(error: BaseException, codes: Collection[str]) -> bool:
    return isinstance(error, ClientError) and code_of(error) in codes


def _failure(what: str, which: str, region: str, error: Exception) -> Exception:
    if is_settled(error) and code_of(error) not in DENIED:
        return Refused(
            f"EC2 refused to {what} {which} in {region}: {explain(error)}; nothing was launched",
            slug="security-group-refused",
            code=code_of(error),
        )
    return unavailable(f"asking EC2 to {what} {which} in {region}", error)


def _to_permission(rule: Rule) -> dict[str, Any]:
    source = (
        {"Ipv6Ranges": [{"CidrIpv6": rule.source}]}
        if ":" in rule.source
        else {"IpRanges": [{"CidrIp": rule.source}]}
    )
    return {"IpProtocol": rule.protocol, "FromPort": rule.first_port, "ToPort": rule.last_port, **source}


def _to_group(raw: Mapping[str, Any], region: str) -> SecurityGroup:
    tags = {tag.get("Key"): tag.get("Value") for tag in raw.get("Tags") or []}
    return SecurityGroup(
        id=raw["GroupId"],
        name=raw.get("GroupName") or "",
        region=region,
        vpc_id=raw.get("VpcId") or "",
        rules=tuple(rule for permission in raw.get("IpPermissions") or [] for rule in _rules(permission)),
        is_tagged=SSH_FROM_TAG in tags,
        owner=tags.get(OWNER_TAG),
    )


def _rules(raw: Mapping[str, Any]) -> Iterator[Rule]:
    """A rule for each source: addresses, other groups, prefix lists."""
    protocol = raw.get("IpProtocol") or "-1"
    sources = [
        *(one.get("CidrIp") for one in raw.get("IpRanges") or []),
        *(one.get("CidrIpv6") for one in raw.get("Ipv6Ranges") or []),
        *(one.get("GroupId") for one in raw.get("UserIdGroupPairs") or []),
        *(one.get("PrefixListId") for one in raw.get("PrefixListIds") or []),
    ]
    for source in sources:
        yield Rule(
            protocol="all protocols" if protocol == "-1" else protocol,
            first_port=raw.get("FromPort"),
            last_port=raw.get("ToPort"),
            source=source or "unknown",
        )
