"""/security-groups, and who reaches a launch's boxes: what callers send, and how it is answered."""

from datetime import datetime

from pydantic import Field, StrictBool
from typing_extensions import TypedDict

from chalicelib.domain.lease import Lease
from chalicelib.domain.network import Opening, needs_address, opening, reach
from chalicelib.usecases.security_groups import GroupReport
from chalicelib.web.encode import JsonValue, plain
from chalicelib.web.launch_body import LaunchBody
from chalicelib.web.models import PageQuery, Ports, Region, Sent, SshFrom, SubnetId


class GroupQuery(PageQuery):
    """GET /security-groups."""

    region: Region | None = Field(default=None, description="such as us-east-1; the home region when absent")


class RegionQuery(Sent):
    """DELETE /security-groups/{id}."""

    region: Region | None = Field(default=None, description="such as us-east-1; the home region when absent")


class GroupBody(Sent):
    """POST /security-groups."""

    ssh_from: SshFrom = Field(
        description="who gets in: me (the address that you call from), an address or a CIDR such as 203.0.113.7/32"
    )
    ports: Ports = Field(
        default=(), description="a list of further ports for that address, such as [8888], 20 at most"
    )
    open_to_world: StrictBool = Field(
        default=False, description="true lets ssh_from be everybody, such as 0.0.0.0/0; people are told"
    )
    name: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._:/()#,@+=&;{}!$-]{0,254}$",
        description="its name, which its VPC has no other of; one that says what it opens when absent",
    )
    region: Region | None = Field(default=None, description="such as us-east-1; the home region when absent")
    subnet_id: SubnetId | None = Field(
        default=None, description="such as subnet-0abc: the group is made in its VPC"
    )
    vpc_id: str | None = Field(
        default=None,
        pattern=r"^vpc-[0-9a-z]{1,32}$",
        description="such as vpc-0abc; the subnet's, else the default one when absent",
    )


class RuleAnswer(TypedDict):
    """What one rule lets in."""

    protocol: str
    first_port: int | None
    last_port: int | None
    source: str


class GroupAnswer(TypedDict):
    """One of Curfew's own security groups. `used_by`: instances and network interfaces; `leases`: the open ones that
    have it. `wanted_at`: when a launch or a call last asked for it."""

    id: str
    name: str
    region: str
    vpc_id: str
    ssh_from: str
    ports: list[int]
    rules: list[RuleAnswer]
    owner: str
    in_use: bool
    used_by: list[str]
    leases: list[str]
    wanted_at: datetime


class NetworkAnswer(TypedDict):
    """Who reaches a launched lease's boxes. `ssh_from`: the address that `ports` are open to; None: none is. `remark`:
    what that means for ssh, where it is not simply that."""

    ssh_from: str | None
    ports: list[int]
    security_group_ids: list[str]
    remark: str | None


def opening_of(body: LaunchBody, source_ip: str | None) -> Opening | None:
    """What a launch opens, and to whom; None where it says nothing. Raises Refused (`bad-address`, `open-to-world`)."""
    if body.ssh_from is None:
        needs_address(body.ports, open_to_world=body.open_to_world)
        return None
    return opening(body.ssh_from, caller=source_ip, ports=body.ports, open_to_world=body.open_to_world)


def wanted(body: GroupBody, source_ip: str | None) -> Opening:
    """What a group is to open, and to whom. Raises Refused, likewise."""
    return opening(body.ssh_from, caller=source_ip, ports=body.ports, open_to_world=body.open_to_world)


def view(report: GroupReport) -> JsonValue:
    """A group as it is answered."""
    group, record = report.group, report.record
    return plain(
        GroupAnswer(
            id=group.id,
            name=group.name,
            region=group.region,
            vpc_id=group.vpc_id,
            ssh_from=record.cidr,
            ports=list(record.ports),
            rules=[
                RuleAnswer(
                    protocol=rule.protocol,
                    first_port=rule.first_port,
                    last_port=rule.last_port,
                    source=rule.source,
                )
                for rule in group.rules
            ],
            owner=record.owner,
            in_use=report.is_in_use,
            used_by=list(report.used_by),
            leases=list(report.leases),
            wanted_at=record.wanted_at,
        )
    )


def network(told: Lease) -> NetworkAnswer | None:
    """Of a launched lease; None where Curfew found the box."""
    order = told.order
    if order is None:
        return None
    own = [order.own_group_id] if order.own_group_id else []
    return NetworkAnswer(
        ssh_from=order.opening.cidr if order.opening else None,
        ports=list(order.opening.ports) if order.opening else [],
        security_group_ids=[*own, *order.security_group_ids],
        remark=reach(order.opening, has_groups=bool(order.security_group_ids)),
    )
