"""Boxes that nobody launched through Curfew."""

from itertools import count
from typing import Any

import pytest

from chalicelib.domain.errors import Unavailable
from chalicelib.domain.lease import Charge, Lease
from chalicelib.domain.notices import Kind
from tests.builders import HOUR, MINUTE, REGION, TYPE, Stage, at, usd
from tests.builders import lease as example
from tests.unit.sweep_kit import happen_after, is_over, one_hour


@pytest.mark.parametrize("market", ["on-demand", "one-time", "persistent"])
def test_a_box_started_behind_its_back_is_adopted_told_and_ended_at_its_hour(market: str) -> None:
    """Found by the next sweep, under a lease for eight hours, and gone after them for good."""
    stage = Stage()
    stage.put_budget()
    box = stage.compute.start(market=market)
    record = stage.after(MINUTE)
    lease = stage.only_lease()
    assert record.adopted == (lease.id,)
    assert (lease.instance_ids, lease.expires_at) == ((box,), at("17:01"))
    assert stage.left() == usd(100) - lease.hold.total_usd
    assert [notice.kind for notice in stage.notifier.sent] == [Kind.ADOPTED]
    stage.until(at("17:00"))
    assert stage.alive == [box]
    stage.until(at("17:01"))
    assert is_over(stage)
    assert stage.receipt(lease.id).cause in {"expired", "over_budget"}
    assert stage.left() > usd(100) - lease.hold.total_usd - usd("0.02")


@pytest.mark.parametrize("sent_gb, ends", [(0, "17:01"), (50, "17:01"), (60, "16:08")])
def test_a_stray_box_may_send_fifty_gigabytes_as_a_launched_one(sent_gb: int, ends: str) -> None:
    """To S3, say: only what is beyond the allowance is taken from its hours."""
    stage = Stage()
    box = stage.compute.start(market="on-demand")
    stage.after(MINUTE)
    stage.metrics.send(box, sent_gb * 2**30, at=at("09:30"))
    stage.until(at(ends) - MINUTE)
    assert stage.alive == [box]
    stage.until(at(ends))
    assert stage.alive == []


def test_a_copied_lease_tag_does_not_hide_a_box() -> None:
    """It is adopted like any other, and the lease whose tag was copied does not own it."""
    stage = Stage()
    real = stage.launch()
    fake = stage.compute.start(tags={"curfew:lease": real.id, "curfew:owner": "ada"})
    stage.after(MINUTE)
    owners = {one.id: one.instance_ids for one in stage.store.open_leases()}
    assert owners[real.id] == real.instance_ids
    assert (fake,) in owners.values()


def test_a_box_adopted_into_a_budget_without_room_ends_after_its_grace() -> None:
    """Nothing left to hold: half an hour, then it ends for money, and its cost stands on the budget."""
    stage = Stage()
    stage.put_budget(limit=0)
    box = stage.compute.start()
    stage.sweep()
    assert stage.only_lease().hold.total_usd == 0
    stage.until(at("09:29"))
    assert stage.alive == [box]
    stage.until(at("09:30"))
    assert is_over(stage)
    assert usd("-1") < stage.left() < usd("-0.5")


def test_an_idle_adopted_box_is_judged_on_its_history_and_ends_after_its_grace() -> None:
    """Idle since long before it was found: warned at once, ended when the grace is over."""
    stage = Stage()
    box = stage.compute.start()
    stage.works(box, 0, since=at("09:00"), until=at("20:00"))
    stage.clock.advance(3 * HOUR)
    stage.sweep()
    assert len(stage.told(Kind.WARNED)) == 1
    stage.until(at("12:29"))
    assert stage.alive
    stage.until(at("12:30"))
    assert is_over(stage)


@pytest.mark.parametrize(
    "facts, word",
    [
        ({"tags": {"curfew:protect": "2026-11-25"}}, "curfew:protect"),
        ({"managed_by": "eks.amazonaws.com"}, "eks"),
        ({"lifecycle": "capacity-block"}, "prepaid"),
    ],
)
def test_what_is_spared_is_reported_daily_and_never_ended(facts: dict[str, Any], word: str) -> None:
    """Protected, managed by a service, or prepaid: seen, told, left alone."""
    stage = Stage()
    box = stage.compute.start(**facts)
    stage.after(8 * HOUR)
    stage.after(8 * HOUR)
    record = stage.after(8 * HOUR)
    assert stage.alive == [box]
    assert stage.store.open_leases() == ()
    assert word in record.reported[0]["reason"]
    assert len(stage.told(Kind.REPORTED)) == 2


def test_what_is_prepaid_costs_nothing_further() -> None:
    """Its notice names no price an hour: whether it runs or not is paid for."""
    stage = Stage()
    stage.compute.start(lifecycle="capacity-block")
    record = stage.sweep()
    (told,) = stage.told(Kind.REPORTED)
    assert "prepaid and costs $0 further" in told.title
    assert "an hour" not in told.title
    assert record.unleased_hourly_usd < usd("0.01"), "its address alone"


def test_an_instant_fleet_s_box_ends_like_any_other() -> None:
    """Nothing replaces it."""
    stage = Stage()
    stage.compute.start(fleet_id="fleet-1", fleet_type="instant")
    stage.until(at("17:01"))
    assert is_over(stage)


def test_a_protection_added_later_keeps_an_adopted_box_over_its_hour() -> None:
    """The adoption's hour stays away while the tag holds, and comes when it is over."""
    stage = Stage()
    stage.put_policy(unleased={"for": "PT1H", "grace": "PT0S"})
    stage.prices.set_spot(f"{REGION}a", "g5.xlarge", "0.1", at=at("08:00"))
    box = stage.compute.start(market="one-time")
    stage.until(at("09:30"))
    stage.box(box).tags["curfew:protect"] = "2026-11-23T12:00Z"
    stage.until(at("11:59"))
    assert stage.alive == [box]
    stage.until(at("12:00"))
    assert is_over(stage)


def test_an_adopted_box_that_is_stopped_is_left_alone_and_adopted_anew() -> None:
    """No clock deletes a disk, its hold goes back, and started again it has a new lease with all its grace."""
    stage = Stage()
    stage.put_budget()
    box = stage.compute.start()
    stage.until(at("09:10"))
    stage.compute.stop(REGION, [box])
    stage.until(at("18:00"))
    assert stage.alive == [box]
    assert [call.operation for call in stage.ending_calls] == ["stop"]
    assert stage.only_lease().is_storage
    assert stage.left() > usd(99)
    stage.box(box).state, stage.box(box).launched_at = "running", stage.clock.now()
    stage.after(MINUTE)
    assert stage.alive == [box]
    assert stage.only_lease().expires_at == at("18:00") + 8 * HOUR + MINUTE


def test_an_adopted_box_that_an_interruption_stopped_keeps_its_lease() -> None:
    """AWS starts it again by itself: its hour, its hold and its grace go on from its first adoption."""
    stage = Stage()
    box = stage.compute.start(market="persistent")
    stage.until(at("09:10"))
    first = stage.only_lease()
    stage.compute.ec2.no_capacity.add((REGION, TYPE))
    stage.compute.ec2.interrupt(box)
    stage.until(at("10:00"))
    assert stage.only_lease().id == first.id
    stage.compute.ec2.no_capacity.clear()
    stage.until(at("10:30"))
    assert stage.alive == [box]
    assert stage.only_lease().expires_at == first.expires_at


@pytest.mark.parametrize("effect, told", [("warn", 1), ("ignore", 0)])
def test_the_policy_may_ask_to_warn_only_or_to_ignore(effect: str, told: int) -> None:
    """Then nothing is adopted."""
    stage = Stage()
    stage.put_policy(unleased={"effect": effect})
    box = stage.compute.start()
    record = stage.until(at("18:00"))
    assert stage.alive == [box]
    assert len(stage.told(Kind.REPORTED)) == told
    assert len(record.reported) == told


def test_failing_volume_sizes_do_not_stop_an_adoption() -> None:
    """A size is assumed rather than taken for nothing."""
    stage = Stage()
    stage.compute.start()
    stage.compute.fail("volume_gib")
    stage.sweep()
    assert stage.only_lease().storage_gib > 0


def test_a_table_that_refuses_an_adoption_delays_no_end() -> None:
    """What must end ends; the adoption is for the next sweep."""
    stage = Stage()
    one_hour(stage)
    stage.until(at("09:59"))
    box = stage.compute.start()
    stage.clock.advance(MINUTE)
    stage.store.inject("open_lease", Unavailable("throttled"))
    stage.sweep()
    assert stage.alive == [box]
    stage.after(MINUTE)
    assert stage.only_lease().instance_ids == (box,)


def test_a_launch_that_completes_during_a_sweep_is_not_adopted() -> None:
    """The leases were read before it, its box was seen after it: they are read again before any adoption."""
    stage = Stage()
    happen_after(stage, "open_leases", 0, stage.launch)
    stage.sweep()
    assert [one.is_adopted for one in stage.store.open_leases()] == [False]


def test_an_adoption_that_is_overtaken_by_launches_again_and_again_goes_through() -> None:
    """A box that runs costs money whether a budget has room or not: at last it is put on it all the same."""
    stage = Stage()
    stage.put_budget(limit=5)
    box = stage.compute.start()
    revision = stage.store.budgets(stage.clock.now()).revision
    others = count()

    def take_room(method: str, phase: str) -> None:
        if (method, phase) == ("open_lease", "before"):
            stage.store.hook = lambda *_: None
            charge = Charge(budget="team", period_key="2026-11", amount_usd=usd("0.4"), generation=1)
            stage.store.open_lease(lease_of_another(next(others), charge), revision=revision)
            stage.store.hook = take_room

    stage.store.hook = take_room
    stage.sweep()
    assert [one for one in stage.store.open_leases() if box in one.instance_ids]
    assert stage.left() < 0


def lease_of_another(number: int, charge: Charge) -> Lease:
    return example(id=f"lease-x{number}", instance_ids=(), spot_request_ids=(), runs=(), charges=(charge,))


def test_two_boxes_found_at_once_share_what_is_left() -> None:
    """The second's hold is what the first has left."""
    stage = Stage()
    stage.put_budget(limit=10)
    stage.compute.start()
    stage.compute.start()
    stage.sweep()
    assert min(one.hold.total_usd for one in stage.store.open_leases()) < usd("2")
    assert stage.left() == 0


def test_a_group_s_tags_name_the_owner_of_what_it_starts() -> None:
    """Where the box has none of its own: a group passes its tags on only if it was told to."""
    stage = Stage()
    box = stage.compute.start(group="web")
    stage.compute.ec2.controllers.groups["web"].tags = {"curfew:owner": "ada", "curfew:project": "train"}
    tagged = stage.compute.start(group="web", tags={"curfew:owner": "bob"})
    stage.sweep()
    owners = {one.instance_ids: (one.owner, one.project) for one in stage.store.open_leases()}
    assert owners == {(box,): ("ada", "train"), (tagged,): ("bob", "train")}
