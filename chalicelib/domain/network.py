"""Who reaches a box: an address, ports that are open to it alone, and the security group that says so.

A group of Curfew's own is named after its owner and what it opens, so that two launches at once, or one whose answer
was lost, end with one group. Names are a VPC's own (EC2 API, CreateSecurityGroup).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from ipaddress import IPv4Address, IPv4Network, IPv6Network, ip_address, ip_network

from chalicelib.domain.errors import Refused

SSH = 22
ME = "me"
WIDEST = {4: 8, 6: 32}
"""By version of IP the shortest prefix that is somebody's: a provider has no more than a /8 of IPv4, and its first
allocation of IPv6 is a /32. What is broader is the world."""
KEPT_FOR = timedelta(days=1)
"""A group that a call of its own has made, since it was last wanted: its launch may come later."""
WANTED_FOR = timedelta(minutes=5)
"""Any group, since a launch has wanted it: its lease may not be written yet."""
MOST_LETTERS, DIGEST = 255, 12
NAMED = "curfew"
"""The first word of the names that launches give."""
CLEANED_AT_MINUTE = 7
"""Of each hour, in which every record is looked at; beside that the sweeps after a lease's close look."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """Ports, and the one address that they are open to, in its shortest form."""

    cidr: str
    ports: tuple[int, ...] = (SSH,)

    @property
    def is_ipv6(self) -> bool:
        """A box is reached by it over IPv6 alone."""
        return ":" in self.cidr

    @property
    def is_wide(self) -> bool:
        """It is nobody's address, but the world's, or so much of it that it may as well be."""
        network = ip_network(self.cidr)
        return network.prefixlen < WIDEST[network.version]

    @property
    def said(self) -> str:
        """For people: `ports 22, 8888 to 203.0.113.7/32`."""
        noun = "port" if len(self.ports) == 1 else "ports"
        return f"{noun} {', '.join(map(str, self.ports))} to {self.cidr}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What one rule of a security group lets in. `source`: an address, or whatever else EC2 takes. Ports are None for
    protocols that have none, and where all are open."""

    protocol: str
    first_port: int | None
    last_port: int | None
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SecurityGroup:
    """A security group as EC2 has it. `is_tagged`: it has Curfew's tag, which proves nothing without a record."""

    id: str
    name: str
    region: str
    vpc_id: str
    rules: tuple[Rule, ...] = ()
    is_tagged: bool = False
    owner: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupRecord:
    """That Curfew made a group, or was about to: written before it is made. `wanted_at`: when a launch or a call last
    asked for it; `is_asked`: a call of its own did, which may come long before the launch."""

    region: str
    vpc_id: str
    name: str
    cidr: str
    ports: tuple[int, ...]
    owner: str
    wanted_at: datetime
    is_asked: bool = False

    def is_of(self, group: SecurityGroup) -> bool:
        """Whether it is about this group."""
        return (self.region, self.vpc_id, self.name) == (group.region, group.vpc_id, group.name)

    def is_wanted(self, now: datetime) -> bool:
        """Whether something that is not written yet may count on the group."""
        return now - self.wanted_at < (KEPT_FOR if self.is_asked else WANTED_FOR)


def opening(
    ssh_from: str, *, caller: str | None, ports: Sequence[int] = (), open_to_world: bool = False
) -> Opening:
    """What a wish opens; `me` is the `caller`. Raises Refused (`bad-address`, `open-to-world`)."""
    wish = _address_of(ssh_from, caller)
    found = Opening(cidr=_cidr(wish), ports=tuple(sorted({SSH, *ports})))
    if found.is_wide and not open_to_world:
        raise Refused(
            f"ssh_from {wish} is so broad that it opens {found.said}, to more or less everybody; nothing was opened. "
            "Send the address that you come from (me, or a CIDR such as 203.0.113.7/32; of IPv4 a /8 is the broadest, "
            "of IPv6 a /32), or open_to_world: true if that is what you want: people are told of it then",
            slug="open-to-world",
        )
    return found


def _address_of(ssh_from: str, caller: str | None) -> str:
    if ssh_from != ME:
        return ssh_from
    if not caller:
        raise Refused(
            "ssh_from me stands for the address that you call from, and it is not known here; nothing was opened. Send "
            "it as a CIDR, such as 203.0.113.7/32",
            slug="bad-address",
        )
    return caller


def _cidr(text: str) -> str:
    """The shortest form of an address or a CIDR; bits beyond its prefix count for nothing, as for EC2. An IPv4 address
    that came in IPv6's clothes is IPv4's."""
    try:
        if "/" not in text:
            address = ip_address(text)
            mapped = None if isinstance(address, IPv4Address) else address.ipv4_mapped
            return str(ip_network(mapped or address))
        network: IPv4Network | IPv6Network = ip_network(text, strict=False)
    except ValueError as error:
        raise Refused(
            f"ssh_from {text!r} is no address: {error}; nothing was opened. Send me, an address or a CIDR, such as "
            "203.0.113.7, 203.0.113.0/24 or 2001:db8::/64",
            slug="bad-address",
        ) from error
    return str(network)


def needs_address(ports: Sequence[int], *, open_to_world: bool) -> None:
    """Raises Refused where something is to be opened, and ssh_from does not say to whom."""
    if ports or open_to_world:
        field = "ports" if ports else "open_to_world"
        raise Refused(
            f"{field} opens something to the address in ssh_from, and that is missing; nothing was opened. Give "
            f"ssh_from (me, or a CIDR), or leave {field} out",
            slug="bad-address",
        )


def group_name(wanted: Opening, owner: str) -> str:
    """The name of an owner's group that opens this, in any VPC: `curfew ada 203.0.113.7/32 22,8888`. EC2 takes capitals
    for small letters, and 255 of them at most: what that could confuse ends with a digest."""
    name = f"{NAMED} {owner} {wanted.cidr} {','.join(map(str, wanted.ports))}"
    if owner == owner.lower() and len(name) <= MOST_LETTERS:
        return name
    return f"{name[: MOST_LETTERS - DIGEST - 1]}#{sha256(name.encode()).hexdigest()[:DIGEST]}"


def rules_of(wanted: Opening) -> tuple[Rule, ...]:
    """The rules of that group."""
    return tuple(
        Rule(protocol="tcp", first_port=port, last_port=port, source=wanted.cidr) for port in wanted.ports
    )


def missing_rules(group: SecurityGroup, wanted: Opening) -> tuple[Rule, ...]:
    """What the group does not open yet. Raises Refused where it opens more than is wanted: a launch must not get into a
    group that somebody has opened further since."""
    rules = rules_of(wanted)
    beyond = [rule for rule in group.rules if rule not in rules]
    if beyond:
        raise Refused(
            f"the security group {group.id} {group.name!r} opens more than {wanted.said}: {said(beyond)}; nothing was "
            "changed. Take that rule out of it, delete the group (DELETE /security-groups/{id}), or take another name",
            slug="security-group-differs",
            security_group=group.id,
        )
    return tuple(rule for rule in rules if rule not in group.rules)


def said(rules: Iterable[Rule]) -> str:
    """Rules for people."""
    return ", ".join(f"{rule.protocol} {_ports(rule)} from {rule.source}" for rule in rules)


def _ports(rule: Rule) -> str:
    if rule.first_port is None or rule.last_port is None:
        return "all ports"
    return (
        str(rule.first_port) if rule.first_port == rule.last_port else f"{rule.first_port}-{rule.last_port}"
    )


def reach(wanted: Opening | None, *, has_groups: bool) -> str | None:
    """What people have to know who want to reach a box by ssh; None where port 22 is open to an IPv4 address."""
    if wanted is None:
        whose = "the security groups named at its launch decide" if has_groups else _DEFAULT_GROUP
        return f"launched without ssh_from: {whose}"
    if wanted.is_ipv6:
        return (
            "port 22 is open to an IPv6 address alone: the box needs one too, which its subnet has to give it"
        )
    return None


_DEFAULT_GROUP = (
    "its VPC's default security group decides, which lets nobody in unless somebody has opened port 22 in it"
)
