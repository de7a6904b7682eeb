"""Regions that fail, are denied or are not in scope, and answers with holes."""

import pytest

from chalicelib.domain.errors import Unavailable
from chalicelib.domain.lease import Status
from chalicelib.domain.notices import Kind
from tests.builders import HOUR, MINUTE, REGION, Stage, at, usd
from tests.unit.sweep_kit import is_over, one_hour


def test_a_launched_box_that_was_never_seen_ends_for_its_money() -> None:
    """From its launch on nothing answers in its region: it counts at the price of its hold, and ends within it."""
    stage = Stage()
    lease = stage.launch(lasts_for=8 * HOUR, budget_usd=usd("1.00"))
    stage.compute.fail("observe", REGION, code="InternalError")
    stage.until(at("12:00"))
    ended = stage.store.lease(lease.id)
    assert ended is not None
    assert ended.ending is not None
    assert ended.ending.cause == "over_budget"


def test_one_region_s_errors_do_not_stop_the_others() -> None:
    """The sweep is incomplete, says which region it has not seen, and sees it the next time."""
    stage = Stage()
    one_hour(stage)
    far = one_hour(stage, region="eu-west-1")
    stage.until(at("09:59"))
    stage.compute.fail("observe", "us-west-2", times=1, code="InternalError")
    record = stage.until(at("10:00"))
    assert is_over(stage)
    assert not record.is_complete
    assert record.regions["us-west-2"].startswith("failed")
    assert record.regions["eu-west-1"] == "ok"
    assert "us-west-2" in stage.told(Kind.INCOMPLETE)[0].title
    assert far.id in record.ended
    assert stage.after(MINUTE).is_complete


def test_a_sweep_marks_what_it_was_to_see_what_it_saw_and_how_long_it_took() -> None:
    """Each region with its pages or with why it has none, the boxes expected and those seen, and the time."""
    stage = Stage()
    stage.launch()
    stage.launch(region="eu-west-1")
    stage.compute.fail("observe", "us-west-2", times=9, code="UnauthorizedOperation")
    stage.sweep()
    stage.compute.fail("observe", "eu-west-1", times=1, code="InternalError")
    stage.after(MINUTE)
    (mark,) = stage.store.sweeps(limit=1, cursor=None).items
    assert {region: told.partition(":")[0] for region, told in mark.regions.items()} == {
        REGION: "ok",
        "us-west-2": "denied",
        "eu-west-1": "failed",
    }
    assert mark.pages == {REGION: 1}
    assert (mark.expected, mark.seen, mark.leases, mark.is_complete) == (2, 1, 2, False)
    assert mark.took_ms == (mark.finished_at - mark.started_at).total_seconds() * 1000


def test_a_launch_in_a_region_that_does_not_answer_ends_at_its_hour_all_the_same() -> None:
    """Its ids are known: the calls go out, and the lease closes once the region shows that it worked."""
    stage = Stage()
    one_hour(stage)
    stage.until(at("09:59"))
    stage.compute.fail("observe", REGION, times=6)
    stage.until(at("10:00"))
    assert (stage.alive, stage.armed) == ([], [])
    assert stage.only_lease().status is Status.ENDING
    stage.until(at("10:05"))
    assert is_over(stage)


@pytest.mark.parametrize("hidden_by", ["a failed region", "a partial answer"])
def test_an_adopted_box_is_not_ended_unseen(hidden_by: str) -> None:
    """Protected, stopped or a group's: where EC2 does not show it, nobody knows, and it is not ended blindly."""
    stage = Stage()
    stage.put_policy(unleased={"for": "PT1H", "grace": "PT0S"})
    box = stage.compute.start()
    stage.until(at("09:30"))
    stage.box(box).tags["curfew:protect"] = "2026-11-24T09:00Z"
    stage.until(at("09:59"))
    if hidden_by == "a failed region":
        stage.compute.fail("observe", REGION, times=3)
    else:
        stage.box(box).is_hidden = True
    stage.until(at("10:02"))
    assert stage.alive == [box]
    assert stage.ending_calls == []
    stage.box(box).is_hidden = False
    stage.until(at("10:10"))
    assert stage.alive == [box]


def test_a_region_that_is_denied_is_told_but_is_not_incomplete() -> None:
    """It will never answer."""
    stage = Stage()
    stage.compute.fail("observe", "us-west-2", code="UnauthorizedOperation")
    record = stage.sweep()
    assert record.is_complete
    assert record.regions["us-west-2"].startswith("denied")


def test_without_the_list_of_regions_the_known_ones_are_swept() -> None:
    """DescribeRegions fails: leases and what was seen before go on, and the sweep is not complete."""
    stage = Stage()
    one_hour(stage, region="eu-west-1")
    stage.until(at("09:59"))
    stage.compute.fail("regions")
    record = stage.until(at("10:00"))
    assert is_over(stage)
    assert not record.is_complete
    assert record.lacking[0].startswith("DescribeRegions")


def test_a_lease_s_region_is_swept_whatever_the_scope_says() -> None:
    """A policy or a setting that leaves the region out does not leave the lease behind."""
    stage = Stage()
    one_hour(stage, region="eu-west-1")
    stage.regions = ("us-east-1",)
    stage.put_policy(scope={"regions": ["us-east-1"]})
    record = stage.until(at("10:00"))
    assert set(record.regions) == {"us-east-1", "eu-west-1"}
    assert is_over(stage)


def test_only_the_regions_in_scope_are_swept() -> None:
    """Both the setting and the policy narrow it."""
    stage = Stage()
    stage.regions = ("us-east-1", "us-west-2")
    stage.put_policy(scope={"regions": ["us-west-2", "eu-west-1"]})
    assert set(stage.sweep().regions) == {"us-west-2"}


def test_half_missing_answers_do_not_break_a_sweep() -> None:
    """Untagged, without State or LaunchTime, unknown types, terminated ones still listed."""
    stage = Stage()
    bare = stage.compute.start("g9x.xlarge")
    stage.box(bare).launched_at, stage.box(bare).zone, stage.box(bare).state = None, None, "unknown"
    gone = stage.compute.start()
    stage.compute.terminate(REGION, [gone])
    stage.compute.start("unknown")
    lease = one_hour(stage)
    record = stage.until(at("10:00"))
    assert lease.id in record.ended
    assert stage.only_lease().instance_ids == (bare,)
    stage.until(at("17:01"))
    assert bare not in stage.alive


def test_an_instance_that_ec2_does_not_show_for_a_while_keeps_its_lease() -> None:
    """One empty answer deletes nothing; it comes back and goes on."""
    stage = Stage()
    lease = stage.launch()
    stage.until(at("09:10"))
    stage.box(lease.instance_ids[0]).is_hidden = True
    stage.until(at("09:13"))
    stage.box(lease.instance_ids[0]).is_hidden = False
    stage.until(at("09:30"))
    assert stage.only_lease().id == lease.id


def test_a_box_given_up_and_seen_again_is_guarded_again() -> None:
    """EC2 did not show it for ten minutes and its lease closed: seen again it gets a new one, as often as it takes."""
    stage = Stage()
    box = stage.compute.start()
    stage.until(at("09:05"))
    seen = {stage.only_lease().id}
    for start in ("09:20", "09:40"):
        stage.box(box).is_hidden = True
        stage.until(at(start))
        assert stage.store.open_leases() == ()
        stage.box(box).is_hidden = False
        stage.after(MINUTE)
        seen.add(stage.only_lease().id)
    assert len(seen) == 3


def test_a_denied_region_is_told_of_once_and_asked_once_an_hour() -> None:
    """Every sweep names it as denied all the same, and none counts as incomplete for it."""
    stage = Stage()
    stage.compute.fail("observe", "us-west-2", times=99, code="UnauthorizedOperation")
    records = [stage.sweep()]
    while stage.clock.now() < at("11:30"):
        records.append(stage.after(MINUTE))
    asked = [
        call for call in stage.compute.calls if (call.operation, call.region) == ("observe", "us-west-2")
    ]
    assert len(asked) == 3
    assert all(record.regions["us-west-2"].startswith("denied") for record in records)
    assert all(record.is_complete for record in records)
    assert [one.title for one in stage.told(Kind.INCOMPLETE) if "us-west-2" in one.title] == [
        "AWS denies Curfew a look at us-west-2: what runs there is not guarded"
    ]


def test_a_denied_region_that_answers_again_is_swept_within_the_hour_and_then_every_minute() -> None:
    """What runs there was not forgotten."""
    stage = Stage()
    stage.compute.fail("observe", "us-west-2", code="UnauthorizedOperation")
    stage.sweep()
    stage.compute.start(region="us-west-2")
    assert stage.until(at("10:00")).regions["us-west-2"] == "ok"
    assert stage.only_lease().region == "us-west-2"
    assert stage.after(MINUTE).regions["us-west-2"] == "ok"


def test_a_table_that_does_not_tell_of_denials_costs_no_look() -> None:
    """All regions are asked then."""
    stage = Stage()
    stage.store.inject("denied_regions", Unavailable("the table is slow"))
    assert stage.sweep().is_complete
