"""The table of the independent ends, on localaws: no sweep comes, all ends but one are switched off, and exactly what the
table says of that one happens, in its time.

Expiry is an hour after the beginning; a timer of EventBridge Scheduler fires within the minute of its time.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest

from chalicelib.domain.lease import Lease, RequestType
from chalicelib.gateways.aws import Aws
from chalicelib.gateways.scheduler import SchedulerTimers
from chalicelib.ports import Services
from chalicelib.usecases.expire import expire
from localaws.model import Box
from localaws.world import World
from tests.simulation.town import Town

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
ROLE = "arn:aws:iam::123456789012:role/curfew-timers"
FUNCTION = "arn:aws:lambda:us-east-1:123456789012:function:expire"
NO_CLOUD_INIT = "[settings]"
"""User data beside which no deadline can be put: such a box has no end of its own."""


@pytest.fixture
def town() -> Iterator[Town]:
    with World(seed=11) as world:
        world.functions = frozenset({"expire"})

        def with_timers(services: Services) -> Services:
            aws = Aws(world.home_region, session=world.session()._session)
            return replace(services, timers=SchedulerTimers(aws, role_arn=ROLE, expire_arn=FUNCTION))

        town = Town(world, with_timers)
        town.set_policy(unleased={"for": "PT1H", "grace": "PT0S"}, lease={"max_for": "PT2H"})
        yield town


@dataclass(frozen=True)
class Case:
    """One lease of which one box is watched."""

    town: Town
    lease: Lease
    box: Box

    @property
    def started(self) -> list[Box]:
        """Every box that is up, whoever started it."""
        return [one for one in self.town.world.boxes if one.state in {"pending", "running"}]

    def keep(self, *kept: str) -> None:
        """Switch every timer off but those whose call is named."""
        for region in self.town.world.regions:
            scheduler: Any = self.town.world.session(region).client("scheduler")
            for one in scheduler.list_schedules()["Schedules"]:
                call = one["Target"]["Arn"].rpartition(":")[2]
                if call not in kept:
                    scheduler.delete_schedule(Name=one["Name"])

    @property
    def _is_near(self) -> bool:
        """So near to its end that something may happen every minute."""
        return self.town.now < self.lease.expires_at + 10 * MINUTE

    def over_after(self, most: timedelta) -> timedelta | None:
        """How long after the lease's end the box is no longer up; None where it still is after that."""
        self.town.world.advance_to(self.lease.expires_at - MINUTE)
        assert self.box.state == "running"
        while self.town.now < self.lease.expires_at + most:
            self.town.world.advance(timedelta(seconds=15) if self._is_near else 10 * MINUTE)
            while (invocation := self.town.world.take_invocation()) is not None:
                expire(self.town.services, invocation.event["lease"])
            if self.box.state not in {"pending", "running"}:
                return self.town.now - self.lease.expires_at
        return None


def launched(town: Town, kind: RequestType, *, guest: bool) -> Case:
    order = town.order(request_type=kind, lasts_for=HOUR, user_data=None if guest else NO_CLOUD_INIT)
    lease = town.launch(order, key="one")
    assert lease is not None
    assert (lease.guest_deadline is not None) == guest
    if kind is MAINTAIN:  # its boxes come by and by
        town.world.advance(MINUTE)
        town.sweep()
        lease = _now(town, lease.id)
    return Case(town, lease, town.world.boxes.of(lease.instance_ids[0]))


def adopted(town: Town, market: Any) -> Case:
    box = town.world.start_box("g5.xlarge", market=market)
    town.world.advance(MINUTE)
    town.sweep()
    (lease,) = town.services.store.open_leases()
    return Case(town, lease, box)


ONE_TIME, PERSISTENT, MAINTAIN = RequestType.ONE_TIME, RequestType.PERSISTENT, RequestType.MAINTAIN
EXPIRE, CANCEL, TERMINATE = "expire", "cancelSpotInstanceRequests", "terminateInstances"
FLEET = "deleteFleets"
AT_ONCE = (timedelta(0), 2 * MINUTE)
THREE, FIVE = (3 * MINUTE, 4.5 * MINUTE), (5 * MINUTE, 6.5 * MINUTE)


def within(found: timedelta | None, bounds: tuple[timedelta, timedelta]) -> bool:
    return found is not None and bounds[0] <= found <= bounds[1]


@pytest.mark.parametrize("kind, ends_as", [(ONE_TIME, "terminated"), (PERSISTENT, "stopped")])
def test_the_box_itself_ends_a_one_time_launch_and_stops_the_compute_of_a_persistent_one(
    town: Town, kind: RequestType, ends_as: str
) -> None:
    """At its hour; of the persistent one the storage bills on and nothing starts it again."""
    case = launched(town, kind, guest=True)
    case.keep()
    assert within(case.over_after(HOUR), AT_ONCE)
    town.world.advance(10 * MINUTE)
    assert (case.box.state, case.started) == (ends_as, [])


@pytest.mark.parametrize("kind", [ONE_TIME, PERSISTENT, MAINTAIN])
def test_the_expire_timer_ends_a_launch(town: Town, kind: RequestType) -> None:
    """Curfew's own function does it, with no sweep."""
    case = launched(town, kind, guest=False)
    case.keep(EXPIRE)
    assert within(case.over_after(HOUR), AT_ONCE)
    town.world.advance(10 * MINUTE)
    assert (case.box.state, case.started) == ("terminated", [])


def test_a_direct_timer_ends_a_one_time_launch(town: Town) -> None:
    """Three minutes after its hour, with no code of ours."""
    case = launched(town, ONE_TIME, guest=False)
    case.keep(TERMINATE)
    assert within(case.over_after(HOUR), THREE)
    town.world.advance(10 * MINUTE)
    assert (case.box.state, case.started) == ("terminated", [])


def test_direct_timers_end_a_persistent_launch_together(town: Town) -> None:
    """The request first, the box two minutes later: nothing comes back."""
    case = launched(town, PERSISTENT, guest=False)
    case.keep(CANCEL, TERMINATE)
    assert within(case.over_after(HOUR), FIVE)
    town.world.advance(HOUR)
    assert (case.box.state, case.started) == ("terminated", [])


def test_a_cancelled_request_alone_only_stops_relaunches(town: Town) -> None:
    """Its box runs on, and once it is gone no other comes."""
    case = launched(town, PERSISTENT, guest=False)
    case.keep(CANCEL)
    assert case.over_after(HOUR) is None
    town.world.boxes.end(case.box, by="somebody", reason=("Client.UserInitiatedShutdown", "by hand"))
    town.world.advance(HOUR)
    assert case.started == []


def test_a_terminated_box_alone_comes_back(town: Town) -> None:
    """Which is why its request is cancelled first: the box ends, the request starts another."""
    case = launched(town, PERSISTENT, guest=False)
    case.keep(TERMINATE)
    assert within(case.over_after(HOUR), FIVE)
    town.world.advance(HOUR)
    assert len(case.started) == 1


def test_valid_until_alone_only_stops_relaunches(town: Town) -> None:
    """It does not end the box; once it is over, a box that is gone stays gone."""
    case = launched(town, PERSISTENT, guest=False)
    case.keep()
    assert case.over_after(2 * HOUR) is None
    assert case.lease.valid_until is not None
    assert town.now >= case.lease.valid_until
    town.world.boxes.end(case.box, by="somebody", reason=("Client.UserInitiatedShutdown", "by hand"))
    town.world.advance(HOUR)
    assert case.started == []


@pytest.mark.parametrize("market", ["on-demand", "one-time", "persistent"])
def test_the_expire_timer_ends_what_was_adopted(town: Town, market: str) -> None:
    """As its sweep would."""
    case = adopted(town, market)
    case.keep(EXPIRE)
    assert within(case.over_after(HOUR), AT_ONCE)
    town.world.advance(10 * MINUTE)
    assert (case.box.state, case.started) == ("terminated", [])


@pytest.mark.parametrize("market, bounds", [("on-demand", THREE), ("one-time", THREE), ("persistent", FIVE)])
def test_direct_timers_end_what_was_adopted(
    town: Town, market: str, bounds: tuple[timedelta, timedelta]
) -> None:
    """By what was found: cancel, then terminate."""
    case = adopted(town, market)
    case.keep(CANCEL, TERMINATE)
    assert within(case.over_after(HOUR), bounds)
    town.world.advance(HOUR)
    assert case.started == []


def test_a_direct_timer_ends_a_maintained_launch_for_good(town: Town) -> None:
    """Three minutes after its hour, by one call that deletes the fleet with its boxes: it replaces nothing."""
    case = launched(town, MAINTAIN, guest=False)
    assert [timer.call for timer in case.lease.timers] == ["expire", f"ec2:{FLEET}"]
    case.keep(FLEET)
    assert within(case.over_after(HOUR), THREE)
    town.world.advance(HOUR)
    assert (case.box.state, case.started) == ("terminated", [])


def test_valid_until_alone_ends_a_maintained_launch(town: Town) -> None:
    """As long after its launch as any lease may last, the fleet ends with its boxes, and nobody calls."""
    case = launched(town, MAINTAIN, guest=False)
    case.keep()
    assert case.lease.valid_until == case.lease.requested_at + 2 * HOUR
    assert within(case.over_after(2 * HOUR), (HOUR, HOUR + 2 * MINUTE))
    town.world.advance(HOUR)
    assert (case.box.state, case.started) == ("terminated", [])


def test_a_maintained_box_that_shuts_itself_down_is_replaced(town: Town) -> None:
    """Which is why it is given no deadline of its own."""
    case = launched(town, MAINTAIN, guest=False)
    town.world.guest_shutdown(case.box.id)
    town.world.advance(10 * MINUTE)
    assert case.box.state == "terminated"
    assert len(case.started) == 1


@pytest.mark.parametrize("market", ["maintain", "asg"])
def test_what_would_be_replaced_is_never_ended_alone(town: Town, market: str) -> None:
    """A fleet that runs nothing else goes with its box; of a group only Curfew can take a box out: `expire` calls it."""
    case = adopted(town, market)
    calls = {timer.call for timer in _now(town, case.lease.id).timers}
    assert calls == ({"expire", f"ec2:{FLEET}", f"ec2:{TERMINATE}"} if market == "maintain" else {"expire"})
    case.keep(FLEET, TERMINATE)
    ended = case.over_after(HOUR)
    assert within(ended, THREE) if market == "maintain" else ended is None
    town.world.advance(HOUR)
    assert len(case.started) == (0 if market == "maintain" else 1)


def test_a_moved_end_reaches_the_box_by_its_tag(town: Town) -> None:
    """A PATCH to later: the box does not shut itself down at the old hour, but at the new one."""
    case = launched(town, ONE_TIME, guest=True)
    town.extend(case.lease.id, 2 * HOUR)
    case.keep()
    town.world.advance_to(case.lease.expires_at + 30 * MINUTE)
    assert case.box.state == "running"
    case = replace(case, lease=_now(town, case.lease.id))
    assert case.lease.expires_at == case.lease.requested_at + 2 * HOUR
    assert within(case.over_after(HOUR), AT_ONCE)


def _now(town: Town, lease_id: str) -> Lease:
    found = town.services.store.lease(lease_id)
    assert found is not None
    return found
