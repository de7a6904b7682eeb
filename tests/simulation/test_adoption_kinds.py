"""Adoption holds for whatever starts a box: people, requests, fleets and groups, on localaws with the real gateways."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import pytest

from chalicelib.usecases.sweep import arm, sweep
from localaws.model import Market
from localaws.world import World
from tests.simulation.town import Town

HOME, FAR = "us-east-1", "eu-west-1"
KINDS = pytest.mark.parametrize("market", [one for one in get_args(Market) if one != "capacity-block"])
MINUTE = timedelta(minutes=1)
START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


@pytest.fixture
def world() -> Iterator[World]:
    with World(regions=(HOME, FAR), seed=1, start=START) as opened:
        yield opened


def unarmed(world: World) -> Town:
    return Town(world, lambda services: replace(services, is_armed=False))


def swept(town: Town, **facts: Any) -> Any:
    town.world.advance(MINUTE)
    return sweep(town.services, trigger="schedule", **facts)


def leased(town: Town) -> list[str]:
    return [one for lease in town.services.store.open_leases() for one in lease.instance_ids]


@KINDS
def test_whatever_started_it_a_box_is_adopted_once_by_two_sweeps_at_once(world: World, market: Any) -> None:
    """One of them as its event asks for it: one lease, one notice."""
    town = Town(world)
    box = world.start_box(market=market, region=FAR)
    world.advance(MINUTE)
    with ThreadPoolExecutor(2) as pool:
        both = [
            pool.submit(sweep, town.services, trigger="schedule"),
            pool.submit(sweep, town.services, trigger="event", only=(FAR, box.id)),
        ]
        assert sum(len(one.result().adopted) for one in both) == 1
    assert leased(town) == [box.id]
    swept(town)
    assert leased(town) == [box.id]
    assert len([notice for notice in town.mailbox.notices if notice.kind == "adopted"]) == 1


@KINDS
def test_what_ran_before_curfew_came_waits_for_an_admin(world: World, market: Any) -> None:
    """Reported, with its reason; armed, it is adopted by the next sweep. What comes after it is not spared."""
    town = unarmed(world)
    old = world.start_box(market=market)
    record = swept(town)
    assert [one["instance_id"] for one in record.reported] == [old.id]
    assert swept(town).adopted == ()
    new = world.start_box(market=market)
    assert len(swept(town).adopted) == 1
    assert leased(town) == [new.id]
    arm(town.services)
    swept(town)
    assert sorted(leased(town)) == sorted([old.id, new.id])


@KINDS
def test_what_the_scope_leaves_out_is_left_alone(world: World, market: Any) -> None:
    """Neither adopted nor reported, by its type, its tags or its region."""
    town = Town(world)
    world.start_box(market=market, tags={"team": "infra"})
    nothing: dict[str, Any] = {"exclude_types": [], "exclude_tags": {}, "regions": "all"}
    for scope in ({"exclude_types": ["g5.*"]}, {"exclude_tags": {"team": "infra"}}, {"regions": [FAR]}):
        town.set_policy(scope={**nothing, **scope})
        record = swept(town)
        assert (leased(town), record.reported, record.adopted) == ([], (), ())


@KINDS
def test_a_copied_tag_is_no_lease(world: World, market: Any) -> None:
    """Consoles and templates copy tags: the box gets a lease of its own."""
    town = Town(world)
    first = world.start_box(market="on-demand")
    swept(town)
    (lease,) = town.services.store.open_leases()
    copy = world.start_box(market=market, tags={"curfew:lease": lease.id})
    swept(town)
    owners = {one.instance_ids: one.id for one in town.services.store.open_leases()}
    assert owners[first.id,] == lease.id
    assert owners[copy.id,] != lease.id


@KINDS
def test_in_a_denied_region_nothing_is_adopted_and_elsewhere_all_goes_on(world: World, market: Any) -> None:
    """Never seen before, it is denied for ever; what answers again is adopted then."""
    town = Town(world)
    world.fault(service="ec2", operation="DescribeInstances", region=FAR, code="UnauthorizedOperation")
    hidden = world.start_box(market=market, region=FAR, gpu=90)
    seen = world.start_box(market=market, gpu=90)
    record = swept(town)
    assert record.regions[FAR].startswith("denied")
    assert leased(town) == [seen.id]
    world.clear_faults()
    world.advance(timedelta(hours=1))
    swept(town)
    assert sorted(leased(town)) == sorted([hidden.id, seen.id])


def test_a_lease_in_a_region_that_is_denied_later_is_not_closed(world: World) -> None:
    """Somebody took a permission away: what ran there bills on, and its lease stays."""
    town = Town(world)
    box = world.start_box(region=FAR)
    swept(town)
    world.fault(service="ec2", operation="DescribeInstances", region=FAR, code="UnauthorizedOperation")
    for _ in range(7):
        record = swept(town)
    assert record.regions[FAR].startswith("failed")
    assert leased(town) == [box.id]


def test_what_a_request_starts_again_without_a_tag_is_its_lease_s(world: World) -> None:
    """A person ends the box of a persistent request: AWS starts another, which no tag names."""
    town = Town(world)
    box = world.start_box(market="persistent")
    swept(town)
    town.by_hand(box, "terminate")
    for _ in range(4):
        swept(town)
    again = next(one for one in world.boxes if one.relaunch_of == box.id)
    (lease,) = town.services.store.open_leases()
    assert lease.instance_ids == (box.id, again.id)


@pytest.mark.parametrize("market", ["maintain", "spot-fleet", "asg"])
def test_what_a_controller_starts_again_is_never_left_without_a_lease(world: World, market: Any) -> None:
    """Whether it is the old one's or a new one's."""
    town = Town(world)
    box = world.start_box(market=market, gpu=90, by="arn:aws:iam::123456789012:user/ada")
    swept(town)
    town.by_hand(box, "terminate")
    for _ in range(4):
        swept(town)
    running = [one.id for one in world.boxes if one.state == "running"]
    assert running
    assert set(running) <= set(leased(town))
    world.advance(timedelta(minutes=10))
    swept(town)
    world.advance(timedelta(minutes=5))
    swept(town)
    assert {one.owner for one in town.services.store.open_leases()} == {"ada"}


def test_the_tags_of_a_fleet_name_the_owner_of_its_boxes(world: World) -> None:
    """A box that it starts in place of another may carry none."""
    town = Town(world)
    box = world.start_box(market="maintain")
    mine = [{"Key": "curfew:owner", "Value": "ada"}]
    world.session().client("ec2").create_tags(Resources=[box.fleet_id or ""], Tags=mine)
    swept(town)
    assert [one.owner for one in town.services.store.open_leases()] == ["ada"]
