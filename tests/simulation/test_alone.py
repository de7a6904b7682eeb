"""Hours in which nothing of Curfew runs: what was armed ends every kind, and the invariants would tell if it did not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

from chalicelib.domain.lease import RequestType
from chalicelib.ports import NoTimers, Services
from localaws.world import World
from tests.simulation.crowds import MANAGED, end_crowd, start_crowd
from tests.simulation.endings import (
    a_lease_ends_although_curfew_is_down,
    nothing_ended_comes_back,
    nothing_is_ended_without_a_lease,
)
from tests.simulation.invariants import all_leases, hold_is_kept
from tests.simulation.town import MINUTE, Spoil, Town, unspoilt
from tests.simulation.truths import Violation

HOUR = timedelta(hours=1)
NO_CLOUD_INIT = "[settings]"
"""User data beside which no deadline can be put: such a box does not end itself."""
LAUNCHED = (RequestType.ONE_TIME, RequestType.PERSISTENT, RequestType.MAINTAIN)
FOUND = ("on-demand", "one-time", "persistent", "maintain", "spot-fleet")


@contextmanager
def alone_for_hours(spoil: Spoil = unspoilt) -> Iterator[Town]:
    """One box of each kind, with a lease of an hour that has its timers; then Curfew is gone for three hours."""
    with World(regions=("us-east-1",), seed=9) as world:
        town = Town(world, spoil)
        town.set_policy(unleased={"for": "PT1H", "grace": "PT5M"})
        for kind in LAUNCHED:
            order = town.order(request_type=kind, lasts_for=HOUR, user_data=NO_CLOUD_INIT)
            assert town.launch(order, key=kind) is not None
        for market in FOUND:
            world.start_box("g4dn.xlarge", market=market)
        town.minutes(25)
        town.is_down = True
        town.outages.note(town.now - MINUTE, town.now + 3 * HOUR)
        town.pass_until(town.now + 3 * HOUR)
        yield town


def found(town: Town, *checks: object) -> list[Violation]:
    return [one for check in checks for one in check(town, all_leases(town))]  # type: ignore[operator]


def without_timers(services: Services) -> Services:
    return replace(services, timers=NoTimers())


def test_no_box_of_any_kind_outlives_its_hour_because_curfew_is_down() -> None:
    """Eight leases, all of which nothing but AWS's own calls could end, within their holds; and nothing comes back."""
    with alone_for_hours() as town:
        assert town.alive == []
        assert found(town, a_lease_ends_although_curfew_is_down, hold_is_kept, nothing_ended_comes_back) == []


def test_leases_that_nothing_ended_while_curfew_was_down_are_noticed() -> None:
    """Each of them, and what the launched ones cost beyond their holds."""
    with alone_for_hours(without_timers) as town:
        missed = found(town, a_lease_ends_although_curfew_is_down)
        assert len(missed) == len(LAUNCHED) + len(FOUND)
        assert len(found(town, hold_is_kept)) == len(LAUNCHED)


def test_an_innocent_box_that_is_ended_is_noticed() -> None:
    """One of another service, one that is prepaid, one without an accelerator in a fleet: no lease has asked for it."""
    with World(regions=("us-east-1",), seed=9) as world:
        town = Town(world)
        managed = world.start_box(market="on-demand", tags=MANAGED)
        prepaid = world.start_box(market="capacity-block")
        crowd = start_crowd(town, "maintain", "g5.xlarge", 3, region="us-east-1", helped=True)
        innocent = [managed, prepaid, *(box for box in crowd if box.type == "t3.micro")]
        town.minutes(3)
        assert found(town, nothing_is_ended_without_a_lease) == []
        for box in innocent:
            world.boxes.end(box, by="TerminateInstances")
        assert len(found(town, nothing_is_ended_without_a_lease)) == len(innocent)
        end_crowd(town, "maintain", crowd[0].fleet_id or "", "us-east-1")


def test_a_box_that_comes_back_from_the_dead_is_noticed() -> None:
    """Somebody terminates the box of a persistent request and does not cancel that: whoever it was, it is told."""
    with World(regions=("us-east-1",), seed=9) as world:
        town = Town(world)
        box = world.start_box(market="persistent")
        world.advance(5 * MINUTE)
        world.boxes.end(box, by="TerminateInstances")
        world.advance(30 * MINUTE)
        assert len(found(town, nothing_ended_comes_back)) == 1
