"""Tracking: what a lease owns, over which intervals it really ran, and when it may be believed to be gone."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.instance import Instance, RegionView, Sight, SpotRequest, StateChange
from chalicelib.domain.lease import Attempt, Lease, Status
from chalicelib.domain.tracking import boxes_of, holdings, is_being_launched, owned_by, track
from tests.builders import (
    BOX,
    HOUR,
    REGION,
    REQUEST,
    adopted,
    at,
    box,
    lease,
    order,
    request,
    run,
    sight,
    usd,
)

OTHER = "i-0aaaaaaaaaaaaaaa2"
ANY_ID = st.sampled_from(["a", "b", "c", ""])
"""So few that they meet, also as names of different things."""
SOME_IDS = st.lists(ANY_ID, max_size=3).map(tuple)


def spans(tracked: Lease, instance_id: str = BOX) -> list[tuple[str, str | None]]:
    def clock(moment: datetime | None) -> str | None:
        return f"{moment:%H:%M}" if moment else None

    mine = [one for one in tracked.runs if one.instance_id == instance_id]
    return [(f"{one.started_at:%H:%M}", clock(one.ended_at)) for one in mine]


def follow(start: Lease, *looks: tuple[str, Instance | SpotRequest | None]) -> Lease:
    for clock, seen in looks:
        start = track(start, sight(*([seen] if seen else [])), at(clock))
    return start


# -- whose is it ------------------------------------------------------------------------------------------------------


def test_an_instance_is_owned_by_id_by_request_or_by_fleet() -> None:
    """Each of the three is enough."""
    assert owned_by(lease(), box(spot_request_id=None))
    assert owned_by(lease(), box(OTHER))
    assert owned_by(lease(fleet_id="fleet-1"), box(OTHER, spot_request_id=None, fleet_id="fleet-1"))
    assert not owned_by(lease(), box(OTHER, spot_request_id="sir-2"))
    assert not owned_by(lease(), box(OTHER, spot_request_id=None))


@given(
    of=st.builds(lease, instance_ids=SOME_IDS, spot_request_ids=SOME_IDS, fleet_id=st.none() | ANY_ID),
    boxes=st.lists(
        st.builds(
            box,
            ANY_ID,
            spot_request_id=st.none() | ANY_ID,
            fleet_id=st.none() | ANY_ID,
            region=st.sampled_from([REGION, "eu-west-1"]),
        )
    ),
)
def test_a_leases_boxes_are_all_that_it_owns(of: Lease, boxes: list[Instance]) -> None:
    """Looked up by their ids they are the same, in the same order, as when each box is asked about."""
    seen = Sight((RegionView(region=REGION, instances=tuple(boxes)),))
    assert boxes_of(of, seen) == tuple(one for one in boxes if owned_by(of, one))


def test_the_same_ids_in_another_region_are_others() -> None:
    """Ids are the region's."""
    assert not owned_by(lease(), box(region="eu-west-1"))


def test_a_copied_lease_tag_is_no_lease() -> None:
    """Consoles and templates copy tags: a tag alone proves nothing."""
    copied = box(OTHER, spot_request_id="sir-2", tags={"curfew:lease": "lease-1"})
    assert not owned_by(lease(), copied)
    assert not is_being_launched(lease(), copied)


def test_a_launch_in_flight_knows_its_own_by_token_or_tag() -> None:
    """Only while it is `requested` is the tag believed, and only in its region."""
    attempt = Attempt(
        token="t1", operation="RunInstances", region="us-east-1", parameters={}, started_at=at("09:00")
    )
    flying = lease(
        status=Status.REQUESTED, instance_ids=(), spot_request_ids=(), runs=(), attempts=(attempt,)
    )
    by_token = box(OTHER, spot_request_id="sir-2", client_token="t1")
    by_tag = box(OTHER, spot_request_id="sir-2", tags={"curfew:lease": "lease-1"})
    assert is_being_launched(flying, by_token)
    assert is_being_launched(flying, by_tag)
    assert not is_being_launched(flying, replace(by_tag, region="eu-west-1"))
    assert is_being_launched(flying, box(OTHER, spot_request_id="sir-2")), (
        "EC2 can show a box before its tags"
    )
    assert not is_being_launched(flying, box(OTHER, spot_request_id="sir-2", type="p3.2xlarge"))
    assert not is_being_launched(flying, box(OTHER, spot_request_id="sir-2", launched_at=at("08:00")))
    assert not is_being_launched(flying, box(OTHER, spot_request_id="sir-2", tags={"team": "vision"}))
    assert not is_being_launched(replace(flying, status=Status.ACTIVE), by_token)


def test_a_relaunched_box_without_tags_joins_its_request_s_lease() -> None:
    """What a persistent request starts in place of a dead box is the lease's, tagged or not."""
    again = box(OTHER, launched_at=at("11:00"), tags={})
    tracked = follow(lease(), ("11:01", again))
    assert tracked.instance_ids == (BOX, OTHER)
    assert spans(tracked, OTHER) == [("11:00", None)]


def test_a_request_that_shows_up_later_is_the_lease_s() -> None:
    """A launch's answer may lack the request; the instance names it."""
    assert follow(lease(spot_request_ids=()), ("09:01", box())).spot_request_ids == (REQUEST,)


# -- over which intervals it ran -----------------------------------------------------------------------------------------


def test_a_first_sight_opens_a_run_at_the_start() -> None:
    """What started at 09:00 and is seen at 09:01 has run a minute."""
    assert spans(follow(lease(runs=()), ("09:01", box()))) == [("09:00", None)]


def test_a_stop_closes_the_run_when_ec2_says_it_ended() -> None:
    """The time is AWS's where it gives one, else that of the look."""
    stopped = box(state="stopped", ended_at=at("10:00"))
    assert spans(follow(lease(), ("10:05", stopped))) == [("09:00", "10:00")]
    assert spans(follow(lease(), ("10:05", replace(stopped, ended_at=None)))) == [("09:00", "10:05")]
    assert spans(follow(lease(), ("10:05", replace(stopped, ended_at=at("08:00"))))) == [("09:00", "10:05")]
    assert spans(follow(lease(), ("10:05", replace(stopped, ended_at=at("11:00"))))) == [("09:00", "10:05")]


def test_a_start_after_a_stop_is_a_new_run() -> None:
    """The stop between is not billed as running."""
    tracked = follow(
        lease(),
        ("10:05", box(state="stopped", ended_at=at("10:00"))),
        ("12:01", box(launched_at=at("12:00"))),
    )
    assert spans(tracked) == [("09:00", "10:00"), ("12:00", None)]


def test_a_restart_between_two_looks_is_seen_by_its_launch_time() -> None:
    """A later LaunchTime ends the run that was open."""
    assert spans(follow(lease(), ("12:01", box(launched_at=at("12:00"))))) == [
        ("09:00", "12:00"),
        ("12:00", None),
    ]


def test_a_stale_answer_does_not_bill_a_start_twice() -> None:
    """`running` again with the same LaunchTime means that it never stopped, not that it started anew at 09:00."""
    tracked = follow(lease(), ("10:00", box(state="stopping")), ("10:01", box()))
    assert spans(tracked) == [("09:00", None)]
    assert spans(follow(tracked, ("10:02", box(state="stopped", ended_at=at("10:00"))))) == [
        ("09:00", "10:00")
    ]


def test_a_restart_without_a_launch_time_bills_from_when_it_is_seen() -> None:
    """Half an answer neither frees the box nor bills the stop."""
    bare = box(launched_at=None)
    tracked = follow(
        lease(), ("10:00", box(state="stopped", ended_at=at("10:00"))), ("12:00", bare), ("12:30", bare)
    )
    assert spans(tracked) == [("09:00", "10:00"), ("12:00", None)]


def test_a_launch_second_is_not_a_restart() -> None:
    """LaunchTime has whole seconds, our record has more."""
    started = lease(requested_at=at("09:00:00").replace(microsecond=700_000), runs=())
    tracked = follow(started, ("09:01", box()), ("09:02", box()))
    assert len(tracked.runs) == 1
    assert tracked.runs[0].started_at == started.requested_at


def test_what_came_and_went_between_two_looks_has_cost_money() -> None:
    """A box first seen when it is terminated has a run all the same."""
    tracked = follow(lease(runs=()), ("09:40", box(state="terminated", ended_at=at("09:30"))))
    assert spans(tracked) == [("09:00", "09:30")]
    assert tracked.runs[0].disk_ended_at == at("09:32")


def test_what_ended_before_an_adoption_is_not_the_lease_s_cost() -> None:
    """A persistent request's earlier boxes are still listed for an hour."""
    found = adopted(spot_request_ids=(REQUEST,), requested_at=at("10:00"), runs=(run(at("10:00")),))
    earlier = box(OTHER, state="terminated", launched_at=at("09:00"), ended_at=at("09:50"))
    assert spans(follow(found, ("10:01", earlier)), OTHER) == []
    assert spans(follow(found, ("10:01", replace(earlier, ended_at=None))), OTHER) == []


def test_an_adopted_box_s_first_run_starts_at_its_adoption() -> None:
    """What ran before is shown apart."""
    found = adopted(requested_at=at("10:00"), runs=(run(at("10:00")),))
    assert spans(follow(found, ("10:01", box()), ("10:02", box()))) == [("10:00", None)]


def test_a_stop_keeps_the_disk_and_an_end_takes_it() -> None:
    """The disk bills from the first start until the box has terminated: EC2 deletes it then, within minutes."""
    stopped = follow(lease(), ("10:05", box(state="stopped", ended_at=at("10:00"))))
    assert stopped.runs[0].disk_ended_at is None
    gone = follow(stopped, ("11:00", box(state="terminated", ended_at=at("10:59"))))
    assert spans(gone) == [("09:00", "10:00")]
    assert gone.runs[0].disk_ended_at == at("11:00")
    going = follow(stopped, ("11:00", box(state="shutting-down", ended_at=at("10:59"))))
    assert going.runs[0].disk_ended_at is None


def test_an_address_that_shows_up_late_bills_for_the_whole_run() -> None:
    """It comes seconds after the start."""
    tracked = follow(lease(runs=()), ("09:00", box(public_ip=None)))
    assert tracked.runs[0].has_public_ip is False
    assert follow(tracked, ("09:01", box())).runs[0].has_public_ip is True


@pytest.mark.parametrize(
    "wishes, seen, cap",
    [({}, "0.7", "0.7"), ({"max_price_usd_per_hour": usd("0.3")}, None, "0.3"), ({}, None, None)],
)
def test_the_price_cap_is_the_request_s_else_the_order_s(
    wishes: dict[str, Any], seen: str | None, cap: str | None
) -> None:
    """Where the request is not shown, the cap that was sent is still known."""
    requests = (request(max_price=seen),) if seen else ()
    tracked = track(lease(runs=(), order=order(**wishes)), sight(box(), *requests), at("09:01"))
    assert tracked.runs[0].max_price_usd == (usd(cap) if cap else None)


# -- when it is gone -----------------------------------------------------------------------------------------------------


def test_one_empty_answer_proves_nothing() -> None:
    """DescribeInstances is eventually consistent: gone is what was missing for five minutes."""
    tracked = follow(lease(), ("10:00", None))
    assert tracked.missing_since == {BOX: at("10:00")}
    assert not holdings(tracked, sight(), at("10:04:59")).is_empty
    assert holdings(tracked, sight(), at("10:05")).is_empty
    assert spans(follow(tracked, ("10:04:59", None))) == [("09:00", None)]
    assert spans(follow(tracked, ("10:05", None))) == [("09:00", "10:00")]


def test_what_shows_up_again_was_never_missing() -> None:
    """Five minutes count without interruption."""
    tracked = follow(lease(), ("10:00", None), ("10:03", box()), ("10:04", None))
    assert tracked.missing_since == {BOX: at("10:04")}


def test_what_was_given_up_and_comes_back_has_run_all_the_while() -> None:
    """A long gap in EC2's answers is a gap in the answers."""
    assert spans(follow(lease(), ("10:00", None), ("10:06", None), ("10:10", box()))) == [("09:00", None)]


@pytest.mark.parametrize("status", ["failed", "denied"])
def test_a_region_that_did_not_answer_misses_nothing(status: str) -> None:
    """No answer is no proof of anything."""
    tracked = track(lease(), sight(status=status), at("10:00"))
    assert tracked == lease()
    assert not holdings(replace(tracked, missing_since={}), sight(status=status), at("11:00")).live


def test_a_look_at_one_box_misses_no_other() -> None:
    """An event's look sees one instance only."""
    assert track(lease(), sight(), at("10:00"), only=OTHER).missing_since == {}


def test_holdings_tell_live_from_gone() -> None:
    """Shutting down is not live; stopped is; terminated is gone for good."""
    three = lease(instance_ids=(BOX, OTHER, "i-3"))
    seen: Sight = sight(
        box(), box(OTHER, state="terminated"), box("i-3", state="shutting-down"), request(), request("sir-9")
    )
    found = holdings(three, seen, at("10:00"))
    assert [one.id for one in found.live] == [BOX]
    assert found.gone == (OTHER,)
    assert [one.id for one in found.spot_requests] == [REQUEST]
    assert holdings(lease(), sight(box(state="stopped")), at("10:00")).live


def test_tracking_what_is_known_changes_nothing() -> None:
    """A lease that did not change is not written again."""
    tracked = follow(lease(), ("09:01", box()))
    assert follow(tracked, ("09:02", box()), ("09:03", box())) == tracked


# -- what the meter needs of it ------------------------------------------------------------------------------------------


def told(*news: StateChange, instance: Instance, now: str, start: Lease) -> Lease:
    """A look at a box with what events told of it."""
    return track(start, replace(sight(instance), news=news), at(now))


def change(state: str, clock: str, instance_id: str = BOX) -> StateChange:
    return StateChange(instance_id=instance_id, state=state, at=at(clock))


def test_a_run_begins_when_an_event_says_that_it_ran() -> None:
    """LaunchTime is when it was asked for: the seconds of `pending` are not billed."""
    ran = change("running", "09:00:17")
    assert told(ran, instance=box(), now="09:01", start=lease(runs=())).runs[0].started_at == at("09:00:17")
    later = told(ran, instance=box(), now="09:01", start=lease())
    assert later.runs[0].started_at == at("09:00:17")
    assert follow(later, ("09:02", box())) == later


@pytest.mark.parametrize(
    "news",
    [
        change("running", "09:06"),
        change("running", "08:59"),
        change("running", "09:00:17", OTHER),
        change("pending", "09:00:17"),
    ],
    ids=["later than any start takes", "of an earlier start", "of another box", "of another state"],
)
def test_an_event_that_cannot_tell_of_this_start_is_not_believed(news: StateChange) -> None:
    """Then LaunchTime bills: too much rather than too little."""
    assert told(news, instance=box(), now="09:10", start=lease(runs=())).runs[0].started_at == at("09:00")


def test_an_event_from_the_future_is_not_believed() -> None:
    """Clocks differ."""
    assert told(change("running", "09:01:01"), instance=box(), now="09:01", start=lease()) == lease()


def test_an_event_tells_the_end_where_ec2_does_not() -> None:
    """EC2's own time comes first; one from before the start is of another run."""
    bare = box(state="terminated")
    ends = change("shutting-down", "10:02:30")
    assert spans(told(ends, instance=bare, now="10:05", start=lease())) == [("09:00", "10:02")]
    own = replace(bare, ended_at=at("10:01"))
    assert spans(told(ends, instance=own, now="10:05", start=lease())) == [("09:00", "10:01")]
    before = change("stopping", "08:00")
    assert spans(told(before, instance=bare, now="10:05", start=lease())) == [("09:00", "10:05")]


def test_an_interruption_is_noted_with_the_end_of_the_run_it_ended() -> None:
    """A box that its owner stopped and that is taken away later was not interrupted while it ran."""
    taken = box(state="terminated", ended_at=at("09:40"), was_interrupted=True)
    assert follow(lease(), ("09:41", taken)).runs[0].is_interrupted
    stopped = follow(lease(), ("09:31", box(state="stopped", ended_at=at("09:30"))))
    assert not follow(stopped, ("09:41", taken)).runs[0].is_interrupted
    back = follow(lease(), ("09:41", replace(taken, state="stopped")), ("09:42", box()))
    assert not back.runs[0].is_interrupted, "it never stopped"


def test_an_address_that_goes_and_comes_is_followed() -> None:
    """One that shows up within minutes of the start was there from the start; a later one bills from when it is seen."""
    bare = box(public_ip=None)
    soon = follow(lease(runs=()), ("09:01", bare), ("09:03", box()))
    assert soon.runs[0].has_public_ip
    assert soon.runs[0].without_ip_for == timedelta(0)
    late = follow(lease(runs=()), ("09:01", bare), ("11:00", box()))
    assert late.runs[0].without_ip_for == 2 * HOUR
    lost = follow(lease(), ("10:00", bare), ("10:30", bare))
    assert lost.runs[0].ip_lost_at == at("10:00")
    again = follow(lost, ("12:00", box()))
    assert (again.runs[0].ip_lost_at, again.runs[0].without_ip_for) == (None, 2 * HOUR)
    assert follow(lease(), ("09:01", box(state="pending", public_ip=None))) == lease()
