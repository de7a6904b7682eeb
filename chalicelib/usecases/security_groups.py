"""Curfew's own security groups: list them, have one made, remove them, and tidy away those that nothing uses.

One is Curfew's own by its tag and by its record: whoever may tag a group could else have it removed, and a record alone
may be of one that somebody has made under that name since.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from chalicelib.domain.errors import NotFound, Refused, Unavailable
from chalicelib.domain.lease import Lease
from chalicelib.domain.network import (
    CLEANED_AT_MINUTE,
    NAMED,
    GroupRecord,
    Opening,
    SecurityGroup,
    group_name,
)
from chalicelib.ports import Services
from chalicelib.usecases.gather import Facts
from chalicelib.usecases.network import alone_with, ensured, record_of, vpc_of
from chalicelib.usecases.regions import explained

TIDY_SECONDS = 3.0
"""For so long another region, or another group, is begun with."""
NEEDED_SECONDS = 12.0
"""What the calls for one group take where EC2 hangs: with less left, the next sweep tidies."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupReport:
    """One of Curfew's groups, what uses it, and the open leases that have it. `is_new`: it was not there before."""

    group: SecurityGroup
    record: GroupRecord
    used_by: tuple[str, ...] = ()
    leases: tuple[str, ...] = ()
    is_in_use: bool = False
    is_new: bool = False


def make(
    services: Services,
    wanted: Opening,
    *,
    region: str,
    owner: str,
    name: str | None = None,
    subnet_id: str | None = None,
    vpc_id: str | None = None,
    only: str | None = None,
) -> GroupReport:
    """A group that opens just that, in a VPC, a subnet's, or the default one; the one that is there already is answered
    again. Raises Refused, Unavailable."""
    _enforced(services)
    _is_free(name, wanted, owner)
    with explained(services, region):
        place = vpc_of(services, region, subnet_id) if subnet_id or vpc_id is None else vpc_id
        if vpc_id not in {None, place}:
            raise Refused(
                f"subnet_id {subnet_id} is in {place}, and vpc_id says {vpc_id}; nothing was made. Leave one out",
                slug="security-group-refused",
            )
        made = ensured(
            services,
            wanted,
            region=region,
            vpc_id=place,
            owner=owner,
            told_of="POST /security-groups",
            name=name,
            is_asked=True,
        )
    return _reported(services, [(made.group, made.record)], region, only=only, is_new=made.is_new)[0]


def _is_free(name: str | None, wanted: Opening, owner: str) -> None:
    """Raises Refused for a name as launches give: another owner's launch may want it. EC2 takes capitals for small
    letters."""
    if name and name.lower().startswith(f"{NAMED} ") and name != group_name(wanted, owner):
        raise Refused(
            f"names that begin with {NAMED!r} are those of launches; nothing was made. Take another name, or leave it "
            "out",
            slug="security-group-refused",
        )


def groups(services: Services, region: str, *, only: str | None = None) -> tuple[GroupReport, ...]:
    """Curfew's own in a region, by name; with `only` that owner's. Raises Refused, Unavailable."""
    with explained(services, region):
        records = services.store.group_records()
        own = list(_own(services.security_groups.tagged(region), records))
        found = [(group, record) for group, record in own if only in {None, record.owner}]
        return tuple(_reported(services, found, region, only=only))


def remove(services: Services, group_id: str, *, region: str, only: str | None = None) -> None:
    """Remove one of Curfew's own that nothing uses; with `only` one of that owner's. Raises NotFound, Refused
    (`security-group-in-use`), Unavailable."""
    _enforced(services)
    with explained(services, region):
        found = services.security_groups.described(region, [group_id])
        own = [one for one in _own(found, services.store.group_records()) if only in {None, one[1].owner}]
        if not found or (only and not own):
            raise NotFound(f"{region} has no security group {group_id}; nothing was removed")
        if not own:
            raise Refused(
                f"{group_id} {found[0].name!r} is not a group that Curfew has made, and it stays; remove it with: aws "
                f"ec2 delete-security-group --region {region} --group-id {group_id}",
                slug="security-group-in-use",
            )
        (report,) = _reported(services, own, region, only=only)
        with alone_with(services, region, report.group.vpc_id, report.group.name):
            if report.is_in_use or not services.security_groups.delete(region, group_id):
                raise _in_use(report)
            services.store.drop_group_record(report.record)


def _in_use(report: GroupReport) -> Refused:
    by = ", ".join((*report.leases, *report.used_by)) or "something that EC2 does not name"
    return Refused(
        f"{report.group.id} {report.group.name!r} is in use by {by}; nothing was removed. End that first: a group goes "
        "by itself once nothing uses it",
        slug="security-group-in-use",
        used_by=list(report.used_by),
        leases=list(report.leases),
    )


def _enforced(services: Services) -> None:
    if services.is_dry_run:
        raise Refused(
            "Curfew is in dry-run: no security group was made or removed. Deploy with Mode=enforce",
            slug="dry-run",
        )


def _own(
    found: Collection[SecurityGroup], records: Sequence[GroupRecord]
) -> Iterator[tuple[SecurityGroup, GroupRecord]]:
    for group in sorted(found, key=lambda one: (one.name, one.vpc_id)):
        record = next((one for one in records if one.is_of(group)), None)
        if record and group.is_tagged:
            yield group, record


def _reported(
    services: Services,
    own: Sequence[tuple[SecurityGroup, GroupRecord]],
    region: str,
    *,
    only: str | None = None,
    is_new: bool = False,
) -> list[GroupReport]:
    """With what uses each; with `only` a launcher sees of that what is his own."""
    leases = services.store.open_leases() if own else ()
    users = services.security_groups.users(region, [group.id for group, _ in own]) if own else {}
    shown = [lease for lease in leases if only in {None, lease.owner}]
    boxes = {box for lease in shown for box in lease.instance_ids}
    return [
        GroupReport(
            group=group,
            record=replace(record, owner=only or record.owner),
            used_by=tuple(one for one in users.get(group.id, ()) if only is None or one in boxes),
            leases=tuple(lease.id for lease in shown if has(lease, group.id)),
            is_in_use=bool(users.get(group.id)) or any(has(lease, group.id) for lease in leases),
            is_new=is_new,
        )
        for group, record in own
    ]


def has(lease: Lease, group_id: str) -> bool:
    """Whether a lease's boxes are in a group."""
    order = lease.order
    return order is not None and group_id in {order.own_group_id, *order.security_group_ids}


def tidy(services: Services, facts: Facts) -> str | None:
    """Remove groups that nothing uses and nobody wants any more: once an hour, and for an hour after the close of a
    lease that had one. Answers what is lacking."""
    if services.is_dry_run or not _is_due(facts) or services.patience(NEEDED_SECONDS) < NEEDED_SECONDS:
        return None
    lacking: str | None = None
    try:
        left = [one for one in services.store.group_records() if not one.is_wanted(facts.now)]
    except Unavailable as error:
        return f"security groups: {error.detail}"
    until = services.clock.elapsed() + TIDY_SECONDS
    for region in _in_turn(sorted({one.region for one in left}), facts.now):
        if services.clock.elapsed() > until:
            break
        try:
            _tidy_region(services, facts, region, [one for one in left if one.region == region], until)
        except (Refused, Unavailable) as error:
            lacking = lacking or f"security groups {region}: {error.detail}"
    return lacking


def _is_due(facts: Facts) -> bool:
    has_closed = any(lease.order and lease.order.own_group_id for lease in facts.closed)
    return has_closed or facts.now.minute == CLEANED_AT_MINUTE


def _in_turn(regions: list[str], now: datetime) -> list[str]:
    """From another one on each time, so that one that hangs keeps no other waiting for ever."""
    first = (now.hour * 60 + now.minute) % max(len(regions), 1)
    return regions[first:] + regions[:first]


def _tidy_region(
    services: Services, facts: Facts, region: str, left: Sequence[GroupRecord], until: float
) -> None:
    tagged = services.security_groups.tagged(region)
    own = {record: group for group, record in _own(tagged, left)}
    users = services.security_groups.users(region, [group.id for group in own.values()]) if own else {}
    for record in left:
        group = own.get(record)
        if services.clock.elapsed() > until:
            return
        if group and (users.get(group.id) or any(has(lease, group.id) for lease in facts.leases)):
            continue
        with alone_with(services, region, record.vpc_id, record.name):
            current = record_of(services, record)
            if current is None or current.is_wanted(facts.now):
                continue
            if group is None or services.security_groups.delete(region, group.id):
                services.store.drop_group_record(record)
