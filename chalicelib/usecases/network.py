"""Where a launch's boxes stand and who reaches them: its VPC, the groups that it names, and one of Curfew's own.

A group is made before anything is held or started: it costs nothing, and a launch whose ports can't be opened is
refused. It is recorded before it is made, and made, opened and removed under a lock, so that no launch gets into one
that is just being removed.
"""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import timedelta

from chalicelib.domain import account_notices
from chalicelib.domain.errors import Refused, Unavailable
from chalicelib.domain.lease import LaunchOrder
from chalicelib.domain.network import (
    GroupRecord,
    Opening,
    Rule,
    SecurityGroup,
    group_name,
    missing_rules,
    rules_of,
)
from chalicelib.ports import Services
from chalicelib.usecases.regions import explained

LOCKED_FOR = timedelta(seconds=30)
"""Longer than the calls under it can take; of a process that died there others wait for so long."""
LOCK_TRIES, OPEN_TRIES = 5, 4
STEP_SECONDS = 1.0
"""EC2 may not know for some seconds what it has just made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """The VPC of a launch, and the groups that it names; no VPC where nobody had to know it."""

    vpc_id: str | None = None
    groups: tuple[SecurityGroup, ...] = ()


def place_of(services: Services, order: LaunchOrder) -> Place:
    """Where a launch would start. Raises Refused where its subnet or groups are not there; Unavailable where that is
    not known and a group has to be made: else EC2's own answer to the launch decides."""
    if not (order.opening or order.subnet_id or order.security_group_ids):
        return Place()
    try:
        vpc_id = vpc_of(services, order.region, order.subnet_id)
        return Place(vpc_id=vpc_id, groups=_named(services, order, vpc_id))
    except Unavailable:
        if order.opening:
            raise
        return Place()


def vpc_of(services: Services, region: str, subnet_id: str | None) -> str:
    """The VPC of a subnet, or the default one. Raises Refused (`subnet-not-found`, `no-default-vpc`), Unavailable."""
    if subnet_id is None:
        vpc_id = services.security_groups.default_vpc(region)
        if vpc_id is None:
            raise Refused(
                f"{region} has no default VPC, and no subnet is named; nothing was launched. Give subnet_id, a subnet "
                f"of yours there (aws ec2 describe-subnets --region {region}), or make the default VPC again: aws ec2 "
                f"create-default-vpc --region {region}",
                slug="no-default-vpc",
            )
        return vpc_id
    vpc_id = services.security_groups.vpc_of(region, subnet_id)
    if vpc_id is None:
        found = _regions_with(services, subnet_id, but=region)
        where = (
            f"It is in {', '.join(found)}: send that region, or name one that"
            if found
            else "None was found in other regions either: name one that"
        )
        raise Refused(
            f"{region} has no subnet {subnet_id} of this account; nothing was launched. {where} is "
            f"there (aws ec2 describe-subnets --region {region}), or leave it out for the default VPC's",
            slug="subnet-not-found",
            regions=list(found),
        )
    return vpc_id


def _regions_with(services: Services, subnet_id: str, *, but: str) -> tuple[str, ...]:
    with suppress(Unavailable):
        others = [one for one in services.regions or services.compute.regions() if one != but]
        return services.security_groups.regions_with_subnet(subnet_id, others)
    return ()


def _named(services: Services, order: LaunchOrder, vpc_id: str) -> tuple[SecurityGroup, ...]:
    """The groups that an order names. Raises Refused where one is not in its region and VPC."""
    wanted = order.security_group_ids
    found = {one.id: one for one in services.security_groups.described(order.region, wanted)}
    missing = [one for one in wanted if one not in found]
    if missing:
        raise Refused(
            f"{order.region} has no security group {', '.join(missing)}; nothing was launched. Groups are a region's "
            f"own: GET /security-groups?region={order.region} lists Curfew's, and ssh_from makes one",
            slug="security-group-not-found",
            security_group_ids=missing,
        )
    elsewhere = {one.vpc_id for one in found.values()} - {vpc_id}
    if elsewhere:
        raise Refused(
            f"the launch is in {vpc_id}, and of its security_group_ids some are in {', '.join(sorted(elsewhere))}; "
            "nothing was launched. Give subnet_id, a subnet of their VPC, or groups of the launch's",
            slug="security-group-not-found",
            vpc_id=vpc_id,
            security_group_ids=[one.id for one in found.values() if one.vpc_id != vpc_id],
        )
    return tuple(found[one] for one in wanted)


def secured(
    services: Services, order: LaunchOrder, place: Place, *, owner: str, lease_id: str
) -> LaunchOrder:
    """The order with the group that opens what it asks for, made or found again. Curfew's groups among those that it
    names are kept from being tidied away. Raises Refused, Unavailable: then nothing may start."""
    if order.own_group_id is not None:
        return order
    _want_again(services, place.groups)
    if order.opening is None or place.vpc_id is None:
        return order
    with explained(services, order.region):
        made = ensured(
            services,
            order.opening,
            region=order.region,
            vpc_id=place.vpc_id,
            owner=owner,
            told_of=f"lease {lease_id}",
        )
    return replace(order, own_group_id=made.group.id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A group that opens what was asked for; `is_new`: it was not there before."""

    group: SecurityGroup
    record: GroupRecord
    is_new: bool


def ensured(
    services: Services,
    wanted: Opening,
    *,
    region: str,
    vpc_id: str,
    owner: str,
    told_of: str,
    name: str | None = None,
    is_asked: bool = False,
) -> Made:
    """An owner's group that opens just that, of the name that stands for it if none is given. However often and by how
    many at once it is asked for, there is one. People are told first where it opens something to the world. Raises
    Refused, Unavailable."""
    own_name = name or group_name(wanted, owner)
    with alone_with(services, region, vpc_id, own_name):
        now = services.clock.now()
        there = services.security_groups.named(region, vpc_id, own_name)
        record = GroupRecord(
            region=region,
            vpc_id=vpc_id,
            name=own_name,
            cidr=wanted.cidr,
            ports=wanted.ports,
            owner=owner,
            wanted_at=now,
            is_asked=is_asked,
        )
        known = record_of(services, record)
        if there:
            _is_one_s_own(there, known, wanted, owner)
        if known and known.owner == owner:
            record = replace(record, is_asked=is_asked or known.is_asked)
        services.store.keep_group_record(record)
        if wanted.is_wide:
            services.store.tell(
                [
                    account_notices.opened_to_world(
                        region, own_name, what=wanted.said, owner=owner, told_of=told_of, now=now
                    )
                ]
            )
        group = there or _make(services, wanted, record)
        _open(services, group, missing_rules(group, wanted))
        return Made(group=replace(group, rules=rules_of(wanted)), record=record, is_new=there is None)


def _is_one_s_own(there: SecurityGroup, known: GroupRecord | None, wanted: Opening, owner: str) -> None:
    """Raises Refused where a group of that name is not Curfew's, not this owner's, or opens more; what another owner's
    is called by EC2, and what it opens, is not told."""
    if not there.is_tagged:
        raise _foreign(there)
    if (known.owner if known else there.owner) != owner:
        raise Refused(
            f"{there.region} has a security group {there.name!r} already, of another owner; nothing was changed. Take "
            "another name",
            slug="security-group-differs",
        )
    missing_rules(there, wanted)


def _foreign(group: SecurityGroup) -> Refused:
    return Refused(
        f"{group.vpc_id} in {group.region} has a security group {group.name!r} ({group.id}) that is not Curfew's; "
        "nothing was changed. Take another name, or name that group in security_group_ids",
        slug="security-group-differs",
        security_group=group.id,
    )


def _make(services: Services, wanted: Opening, record: GroupRecord) -> SecurityGroup:
    group_id = services.security_groups.make(
        record.region, vpc_id=record.vpc_id, name=record.name, cidr=wanted.cidr, owner=record.owner
    )
    if (
        group_id is None
    ):  # a first answer was lost, and EC2 shows it by and by; or one whose name differs by case
        found = services.security_groups.named(record.region, record.vpc_id, record.name)
        if found is None:
            raise Refused(
                f"EC2 says that {record.vpc_id} has a security group {record.name!r} already, and does not show it; "
                "nothing was launched. Ask again in a minute; if it stays so, one of another spelling has that name",
                slug="security-group-differs",
            )
        _is_one_s_own(found, None, wanted, record.owner)
        return found
    return SecurityGroup(
        id=group_id,
        name=record.name,
        region=record.region,
        vpc_id=record.vpc_id,
        is_tagged=True,
        owner=record.owner,
    )


def _open(services: Services, group: SecurityGroup, rules: Sequence[Rule]) -> None:
    """Add rules, and wait until a group that was closed to everybody shows up: a fleet that EC2 refuses because it has
    yet to see its group is refused for good."""
    is_new = not group.rules
    for attempt in range(OPEN_TRIES if rules else 0):
        if attempt:
            services.clock.sleep(STEP_SECONDS)
        if services.security_groups.open(group.region, group.id, rules) and (
            not is_new or services.security_groups.described(group.region, [group.id])
        ):
            return
    if rules:
        raise Unavailable(
            f"EC2 has made the security group {group.id} in {group.region}, and does not know it yet"
        )


def _want_again(services: Services, groups: Collection[SecurityGroup]) -> None:
    """Note that a launch counts on them, for those that are Curfew's."""
    own = [group for group in groups if group.is_tagged]
    for record in services.store.group_records() if own else ():
        if any(record.is_of(group) for group in own):
            with alone_with(services, record.region, record.vpc_id, record.name):
                services.store.keep_group_record(replace(record, wanted_at=services.clock.now()))


def record_of(services: Services, like: GroupRecord) -> GroupRecord | None:
    """What is known of a group by now, of that region, VPC and name."""
    wanted = (like.region, like.vpc_id, like.name)
    return next(
        (one for one in services.store.group_records() if (one.region, one.vpc_id, one.name) == wanted), None
    )


@contextmanager
def alone_with(services: Services, region: str, vpc_id: str, name: str) -> Iterator[None]:
    """The lock of a group, for as long as the block runs. Raises Unavailable where another has it."""
    what = f"GROUP#{region}#{vpc_id}#{name}"
    for attempt in range(LOCK_TRIES):
        fence = services.store.lock(what, now=services.clock.now(), hold_for=LOCKED_FOR)
        if fence is not None:
            break
        if attempt < LOCK_TRIES - 1:
            services.clock.sleep(STEP_SECONDS)
    else:
        raise Unavailable(f"another call is making or removing the security group {name!r} in {region}")
    try:
        yield
    finally:
        with suppress(Unavailable):
            services.store.unlock(what, fence)
