"""reservation_bills: capacity that is reserved and unused is shown with what it costs, and never cancelled."""

from typing import Any

import pytest

from chalicelib.domain.errors import Unavailable
from chalicelib.domain.notices import Kind
from chalicelib.domain.reservations import Reservation
from chalicelib.usecases.health import health
from tests.builders import DAY, HOUR, MINUTE, PRICE, REGION, TYPE, Stage, at


def reservation(**facts: Any) -> Reservation:
    """Two g5.xlarge, one of them unused."""
    return Reservation(
        **{
            "id": "cr-1",
            "region": REGION,
            "type": TYPE,
            "zone": f"{REGION}a",
            "total": 2,
            "unused": 1,
            **facts,
        }
    )


def looks(stage: Stage) -> int:
    return len(
        [one for one in stage.compute.calls if (one.operation, one.region) == ("reservations", REGION)]
    )


def test_an_unused_reservation_is_told_daily_with_its_price_and_shown_in_health() -> None:
    """Nothing ends it, however long it bills."""
    stage = Stage()
    stage.compute.ec2.reservations.append(reservation())
    stage.until(at("12:00"))
    (told,) = stage.told(Kind.REPORTED)
    assert "1 of 2 g5.xlarge" in told.title
    assert "$1.01 an hour" in told.title
    (shown,) = health(stage.services).reservations
    assert (shown.reservation.id, shown.hourly_usd) == ("cr-1", PRICE)
    stage.after(DAY)
    assert len(stage.told(Kind.REPORTED)) == 2
    assert stage.ending_calls == []


def test_what_costs_most_is_shown_first_and_each_unused_instance_counts() -> None:
    """Two unused ones cost twice as much as one."""
    stage = Stage()
    stage.compute.ec2.reservations += [reservation(), reservation(id="cr-2", unused=2)]
    stage.sweep()
    shown = health(stage.services).reservations
    assert [(one.reservation.id, one.hourly_usd) for one in shown] == [("cr-2", 2 * PRICE), ("cr-1", PRICE)]


def test_it_is_looked_for_once_an_hour() -> None:
    """Also where there is none; one that is used or gone is shown no more."""
    stage = Stage()
    stage.compute.ec2.reservations.append(reservation())
    stage.until(at("09:59"))
    assert looks(stage) == 1
    stage.compute.ec2.reservations[0] = reservation(unused=0)
    stage.after(MINUTE)
    assert looks(stage) == 2
    assert health(stage.services).reservations == ()


@pytest.mark.parametrize(
    "facts",
    [{"type": "m5.large"}, {"kind": "capacity-block"}, {"unused": 0}, {"tags": {"team": "infra"}}],
    ids=["no accelerator", "prepaid", "used", "out of scope"],
)
def test_what_costs_nothing_more_or_is_out_of_scope_is_not_told(facts: dict[str, Any]) -> None:
    """A capacity block is paid for in advance."""
    stage = Stage()
    stage.put_policy(scope={"exclude_tags": {"team": "infra"}})
    stage.compute.ec2.reservations.append(reservation(**facts))
    stage.sweep()
    assert health(stage.services).reservations == ()
    assert stage.told(Kind.REPORTED) == []


def test_a_region_that_refuses_is_lacking_and_hides_no_other() -> None:
    """And delays no end."""
    stage = Stage()
    lease = stage.launch(lasts_for=HOUR)
    stage.compute.fail("reservations", "eu-west-1", code="UnauthorizedOperation", times=2)
    stage.compute.ec2.reservations.append(reservation())
    stage.sweep()
    record = stage.after(HOUR)
    assert lease.id in record.ended
    assert any(line.startswith("DescribeCapacityReservations eu-west-1") for line in record.lacking)
    assert len(health(stage.services).reservations) == 1


def test_a_table_that_refuses_is_lacking() -> None:
    """The next sweep looks again."""
    stage = Stage()
    stage.store.inject("keep_reservation_look", Unavailable("throttled"))
    assert any(line.startswith("capacity reservations") for line in stage.sweep().lacking)
    stage.after(MINUTE)
    assert looks(stage) == 2


@pytest.mark.parametrize("limit", [0, 1000])
def test_a_box_in_a_capacity_block_is_ended_by_no_clock_no_money_and_no_idleness(limit: int) -> None:
    """It is paid for: expiry, a spent budget and silence leave it alone."""
    stage = Stage()
    stage.put_budget(limit=limit)
    box = stage.compute.start(lifecycle="capacity-block")
    stage.works(box, 0, since=at("09:00"), until=at("23:00"))
    for _ in range(14):
        stage.after(HOUR)
    assert stage.alive == [box]
    assert stage.ending_calls == []
