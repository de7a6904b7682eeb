"""What a process does when an accident hits it: launch, extend, adopt, end, in every kind that there is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from chalicelib.domain.budget import Budget, Period
from chalicelib.domain.images import AVAILABLE
from chalicelib.domain.lease import Lease, OnEnd, RequestType, Status
from chalicelib.domain.network import Opening
from chalicelib.usecases import budgets
from chalicelib.usecases.end import end_instance, end_lease, end_spot_request
from chalicelib.usecases.extend import extend
from chalicelib.usecases.saving import forget, save
from chalicelib.usecases.sweep import sweep
from localaws.onmoto import backend
from tests.crash import truth
from tests.crash.account import HOME, HOUR, MINUTE, Account, Process

KINDS = (RequestType.ONE_TIME, RequestType.PERSISTENT, RequestType.MAINTAIN)
Doing = Callable[[Account, Process], Any]
Saying = Callable[[Account], Iterator[str]]


def _nothing(account: Account) -> Iterator[str]:
    del account
    yield from ()


def sweeps(account: Account, process: Process) -> Any:
    """One scheduled sweep."""
    del account
    return sweep(process.services, trigger="schedule")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """`before` is undisturbed; `act` is what the accident hits; `most` boxes may ever be started in all.

    `at_once` holds right after the accident, `then` once a later sweep has finished, before everything is ended.
    `meanwhile`: what another process does at the same time.
    """

    name: str
    before: Callable[[Account], Any]
    act: Doing
    most: int
    at_once: Saying = _nothing
    then: Saying = _nothing
    meanwhile: Doing = sweeps
    is_launch: bool = False


# Launch


def _launch(**wanted: Any) -> Doing:
    return lambda account, process: account.launch(process, account.order(**wanted))


def _sold_out(*types: str) -> Callable[[Account], None]:
    def before(account: Account) -> None:
        for kind in types:
            account.world.set_capacity("*", kind, available=False)

    return before


def _one_lease(running: int) -> Saying:
    """All of one launch runs under one lease, or nothing does."""

    def then(account: Account) -> Iterator[str]:
        if len(account.alive) not in {0, running}:
            yield f"{len(account.alive)} boxes run of {running}"
        leases = truth.leases_of(account)
        if len(leases) > 1:
            yield f"one Idempotency-Key has {[one.id for one in leases]}"
        is_waiting = any(one.request_type is RequestType.MAINTAIN and one.fleet_id for one in leases)
        if not account.alive and not is_waiting:  # for capacity, under its hold
            yield from truth.nothing_is_left(account)

    return then


def _only(account: Account) -> Lease:
    (lease,) = account.services.store.open_leases()
    return lease


def launches() -> Iterator[Scenario]:
    """Every kind of launch, with capacity, without, and with some only for the second attempt."""
    for kind in KINDS:
        order = {"request_type": kind}
        yield Scenario(
            name=f"launch {kind}",
            before=lambda _: None,
            act=_launch(**order),
            most=1,
            then=_one_lease(1),
            is_launch=True,
        )
        yield Scenario(
            name=f"launch {kind} sold out",
            before=_sold_out("g5.xlarge"),
            act=_launch(**order),
            most=0,
            then=_one_lease(0),
            is_launch=True,
        )
    yield Scenario(
        name="launch one-time of two boxes",
        before=lambda _: None,
        act=_launch(target_capacity=2),
        most=2,
        then=_one_lease(2),
        is_launch=True,
    )
    yield Scenario(
        name="launch persistent at the second attempt",
        before=_sold_out("g4dn.xlarge"),
        act=_launch(request_type=RequestType.PERSISTENT, instance_types=("g4dn.xlarge", "g5.xlarge")),
        most=1,
        then=_one_lease(1),
        is_launch=True,
    )


# Extend


def _launched(**wanted: Any) -> Callable[[Account], Any]:
    def before(account: Account) -> None:
        account.launch(account.next, account.order(**wanted))
        account.minute()
        account.minute()

    return before


def _extend(length: timedelta) -> Doing:
    return lambda account, process: extend(
        process.services, _only(account).id, lasts_for=length, budget_usd=None, by="ada"
    )


def _is_held_for(account: Account) -> Iterator[str]:
    """Neither the lease, nor a timer, nor its box ends later than its hold pays for: an hour's or three hours'."""
    lease = _only(account)
    held_for = (
        lease.hold.compute_usd / lease.hold.hourly_usd
    )  # a little less than hours + margin, by the storage
    latest = lease.requested_at + (HOUR if held_for < Decimal("1.5") else 3 * HOUR)
    if lease.expires_at > latest:
        yield f"{lease.id} ends at {lease.expires_at}, it is held for until {latest}"
    for row in account.world.timers.rows():
        if row["state"] != "DELETED" and row["due_at"] > latest + truth.SLACK:
            yield f"{row['name']} stands at {row['due_at']}, it is held for until {latest}"
    for box in account.alive if lease.guest_deadline else ():  # which reads its end from its tag each minute
        told = datetime.fromisoformat(backend.ec2_backend(HOME).tags[box.id]["curfew:expires-at"])
        if told > latest:
            yield f"{box.id} is told that it ends at {told}, it is held for until {latest}"


def _is_moved(account: Account) -> Iterator[str]:
    lease = _only(account)
    yield from _is_held_for(account)
    if lease.moving_to is not None:
        yield f"still moving to {lease.moving_to}"
    if len(account.alive) != 1:
        yield f"{len(account.alive)} boxes run"


def extensions() -> Iterator[Scenario]:
    """Later and earlier, of what was launched and of what was found."""
    for kind in KINDS:
        for way, short, long in (("later", HOUR, 3 * HOUR), ("earlier", 3 * HOUR, HOUR)):
            yield Scenario(
                name=f"extend {kind} {way}",
                before=_launched(request_type=kind, lasts_for=short),
                act=_extend(long),
                most=1,
                at_once=_is_held_for,
                then=_is_moved,
            )
    for market in ("persistent", "maintain"):
        yield Scenario(
            name=f"extend adopted {market} earlier",
            before=_adopted(market),
            act=_extend(3 * HOUR),
            most=1,
            then=_some_run(1),
        )


# Adopt


def _found(market: str, number: int = 1) -> Callable[[Account], None]:
    def before(account: Account) -> None:
        account.minute()  # a region's first sight is no adoption's
        if number == 1:
            account.world.start_box("g5.xlarge", market=market)  # type: ignore[arg-type]
        else:
            _controller(account, market, number)
        account.world.advance(MINUTE)

    return before


def _adopted(market: str, number: int = 1) -> Callable[[Account], None]:
    found = _found(market, number)

    def before(account: Account) -> None:
        found(account)
        for _ in range(3):
            account.minute()

    return before


def _controller(account: Account, market: str, number: int) -> None:
    """One fleet or group of so many boxes."""
    ec2: Any = account.world.session().client("ec2")
    made = ec2.create_launch_template(
        LaunchTemplateName="theirs",
        LaunchTemplateData={"ImageId": "ami-0123456789abcdef0", "InstanceType": "g5.xlarge"},
    )
    template = {"LaunchTemplateId": made["LaunchTemplate"]["LaunchTemplateId"], "Version": "1"}
    if market == "asg":
        autoscaling: Any = account.world.session().client("autoscaling")
        autoscaling.create_auto_scaling_group(
            AutoScalingGroupName="theirs",
            MinSize=number,
            MaxSize=number,
            DesiredCapacity=number,
            AvailabilityZones=[f"{HOME}a"],
            LaunchTemplate=template,
        )
    else:
        ec2.create_fleet(
            Type="maintain",
            LaunchTemplateConfigs=[
                {"LaunchTemplateSpecification": template, "Overrides": [{"InstanceType": "g5.xlarge"}]}
            ],
            TargetCapacitySpecification={"TotalTargetCapacity": number, "DefaultTargetCapacityType": "spot"},
        )


def _some_run(number: int) -> Saying:
    """Each under its own lease."""

    def then(account: Account) -> Iterator[str]:
        if len(account.alive) != number:
            yield f"{len(account.alive)} boxes run, not {number}"
        leases = [one for one in truth.leases_of(account) if one.is_open]
        if len(leases) != number:
            yield f"{len(leases)} leases are open, not {number}"

    return then


def adoptions() -> Iterator[Scenario]:
    """Every way in which others start a box."""
    for market in ("on-demand", "one-time", "persistent", "asg", "maintain", "spot-fleet"):
        yield Scenario(name=f"adopt {market}", before=_found(market), act=sweeps, most=1, then=_some_run(1))
    yield Scenario(
        name="adopt a fleet of 2", before=_found("maintain", 2), act=sweeps, most=2, then=_some_run(2)
    )


# Teardown


def _over(account: Account) -> None:
    """The time is up, and Scheduler's call of Curfew got lost."""
    until = max(one.expires_at for one in account.services.store.open_leases())
    account.world.advance_to(until)
    while account.world.take_invocation() is not None:
        pass


def _at_its_end(before: Callable[[Account], Any]) -> Callable[[Account], None]:
    def both(account: Account) -> None:
        before(account)
        _over(account)

    return both


def _first_ends(account: Account, process: Process) -> Any:
    """DELETE of the first box's lease, which is remembered by its id."""
    return end_instance(process.services, account.boxes[0].id, by="ada")


def _second_ends(account: Account, process: Process) -> Any:
    return end_instance(process.services, account.boxes[1].id, by="ada")


def _lease_ends(account: Account, process: Process) -> Any:
    lease = truth.leases_of(account)[0]
    return end_lease(process.services, lease.id, by="ada")


def _fleet_ends(account: Account, process: Process) -> Any:
    return end_spot_request(process.services, next(iter(account.world.fleets)).id, by="ada")


def _budget_closes(account: Account, process: Process) -> Any:
    budget = Budget(name="account", limit_usd=Decimal("0.02"), period=Period.TOTAL)
    return budgets.put(process.services, budget, force=True)


def _all_gone(account: Account) -> Iterator[str]:
    """The end was begun for sure, or by the next sweep: nothing is left of it."""
    yield from truth.nothing_is_left(account)


def _gone_if_begun(account: Account) -> Iterator[str]:
    """One that nobody else would begin is over, or goes on untouched."""
    if any(one.status is not Status.ACTIVE for one in truth.leases_of(account)):
        yield from truth.nothing_is_left(account)


def _others_stay(kept: int) -> Saying:
    """Of a fleet or group the others run on, each under its lease, and it wants no more than those."""

    def then(account: Account) -> Iterator[str]:
        closed = [one for one in truth.leases_of(account) if not one.is_open]
        most = len(account.boxes)
        if len(account.alive) != most - len(closed) or len(account.alive) < kept:
            yield f"{len(account.alive)} of {most} boxes run, {len(closed)} leases are closed"
        targets = [one.target for one in account.world.fleets if one.state == "active"]
        targets += [group.desired_capacity for _, group in account.world.groups]
        if targets and targets != [len(account.alive)]:
            yield f"targets {targets}, {len(account.alive)} run"

    return then


def teardowns() -> Iterator[Scenario]:
    """The end of each kind: by a sweep at its hour, or by a person."""
    for kind in KINDS:
        yield Scenario(
            name=f"end {kind}",
            before=_at_its_end(_launched(request_type=kind)),
            act=sweeps,
            most=1,
            then=_all_gone,
        )
        yield Scenario(
            name=f"end {kind} by hand",
            before=_launched(request_type=kind),
            act=_lease_ends,
            most=1,
            then=_gone_if_begun,
        )
        yield Scenario(
            name=f"end {kind} with an image",
            before=_at_its_end(_launched(request_type=kind, on_end=OnEnd.IMAGE)),
            act=sweeps,
            most=1,
            then=_all_gone,
        )
    for market in ("on-demand", "persistent", "maintain", "asg", "spot-fleet"):
        yield Scenario(
            name=f"end adopted {market}",
            before=_at_its_end(_adopted(market)),
            act=sweeps,
            most=1,
            then=_all_gone,
        )
    for market in ("maintain", "asg"):
        yield Scenario(
            name=f"shrink {market} by one",
            before=_adopted(market, 3),
            act=_first_ends,
            most=3,
            then=_others_stay(1),
            meanwhile=_second_ends,
        )
    yield Scenario(
        name="end a fleet by its id",
        before=_adopted("maintain", 2),
        act=_fleet_ends,
        most=2,
        then=_gone_if_begun,
    )
    yield Scenario(
        name="close a budget",
        before=_launched(lasts_for=3 * HOUR),
        act=_budget_closes,
        most=1,
        then=_gone_if_begun,
    )


# Security groups


OPENING = Opening(cidr="203.0.113.7/32", ports=(22, 8888))


def _groups(account: Account) -> list[Any]:
    """Those that Curfew has made."""
    groups = backend.ec2_backend(HOME).groups.values()
    return [group for each in groups for group in each.values() if group.name.startswith("curfew ")]


def _opened(running: int) -> Saying:
    """As any launch; what runs is in the one group, which opens just that."""

    def then(account: Account) -> Iterator[str]:
        yield from _one_lease(running)(account)
        groups = _groups(account)
        if len(groups) > 1:
            yield f"groups {[group.name for group in groups]}"
        own = [one.id for group in groups for one in [group] if _ports(group) == [22, 8888]]
        for box in account.alive:
            wears = [one.id for one in box.moto.security_groups]
            if wears != own:
                yield f"{box.id} is in {wears}, what opens its ports is {own}"

    return then


def _ports(group: Any) -> list[int]:
    return sorted(int(rule.from_port) for rule in group.ingress_rules)


def _group_is_left(account: Account) -> None:
    """A launch has come and gone, and nobody counts on its group any more."""
    _launched(opening=OPENING)(account)
    account.end_all()
    for _ in range(4):
        account.minute()
    account.world.advance(2 * MINUTE)


def _launch_again(account: Account, process: Process) -> Any:
    return account.launch(process, account.order(opening=OPENING), key="again")


def _each_in_a_group(account: Account) -> Iterator[str]:
    """Whatever was removed, what runs is in a group that is there."""
    there = {group.id for group in _groups(account)}
    for box in account.alive:
        if not {one.id for one in box.moto.security_groups} <= there:
            yield f"{box.id} is in a group that is gone"


def openings() -> Iterator[Scenario]:
    """Launches that open ports, and the removal of their groups."""
    for kind in KINDS:
        yield Scenario(
            name=f"launch {kind} for an address",
            before=lambda _: None,
            act=_launch(request_type=kind, opening=OPENING),
            most=1,
            then=_opened(1),
            is_launch=True,
        )
    yield Scenario(
        name="tidy a group beside a launch into it",
        before=_group_is_left,
        act=sweeps,
        most=2,
        then=_each_in_a_group,
        meanwhile=_launch_again,
    )
    yield Scenario(
        name="launch into a group beside its tidying",
        before=_group_is_left,
        act=_launch_again,
        most=2,
        then=_each_in_a_group,
    )


# Images of boxes that live


def _save(account: Account, process: Process) -> Any:
    return save(process.services, account.boxes[0].id, name="epoch", reboots=False, by="ada")


def _forget(account: Account, process: Process) -> Any:
    return forget(process.services, next(iter(account.world.account.images)).id, region=HOME)


def _saved(**wanted: Any) -> Callable[[Account], None]:
    def before(account: Account) -> None:
        _launched(lasts_for=3 * HOUR, **wanted)(account)
        _save(account, account.next)
        while next(iter(account.world.account.images)).state != AVAILABLE:
            account.minute()

    return before


def _one_image(account: Account) -> Iterator[str]:
    """One wish has one image, its box runs on, and what the lease counts is held."""
    images = [(one.id, one.name) for one in account.world.account.images if one.state != "deregistered"]
    if len(images) > 1:
        yield f"one wish has the images {images}"
    for lease in account.services.store.open_leases():
        months = len([one for one in lease.images if one.is_live])
        if months > 1 or (months and not lease.hold.snapshot_usd):
            yield f"{lease.id} counts {months} images and holds {lease.hold.snapshot_usd}"
    if len(account.alive) != 1:
        yield f"{len(account.alive)} boxes run"


def _at_most_one_image(account: Account) -> Iterator[str]:
    """The same where its box may have ended beside it."""
    images = [one.id for one in account.world.account.images if one.state not in {"deregistered", "failed"}]
    if len(images) > 1:
        yield f"one wish has the images {images}"
    yield from _gone_if_begun(account)


def savings() -> Iterator[Scenario]:
    """An image of a box that lives, beside a sweep, a PATCH, the box's end and itself; and its removal."""
    before = _launched(lasts_for=3 * HOUR)
    yield Scenario(name="save a box", before=before, act=_save, most=1, then=_one_image)
    yield Scenario(
        name="save a box twice", before=before, act=_save, most=1, then=_one_image, meanwhile=_save
    )
    yield Scenario(
        name="save a box beside a PATCH",
        before=before,
        act=_save,
        most=1,
        then=_one_image,
        meanwhile=_extend(4 * HOUR),
    )
    yield Scenario(
        name="save a box beside its end",
        before=before,
        act=_save,
        most=1,
        then=_at_most_one_image,
        meanwhile=_lease_ends,
    )
    yield Scenario(name="remove an image", before=_saved(), act=_forget, most=1, then=_one_image)


SCENARIOS = {
    one.name: one for one in (*launches(), *extensions(), *adoptions(), *teardowns(), *openings(), *savings())
}
