"""Notices: a person can act on each, and the same thing is never told twice."""

import re
from dataclasses import replace

from chalicelib.domain import account_notices, notices
from chalicelib.domain.decide import decide
from chalicelib.domain.instance import RegionView, Sight
from chalicelib.domain.lease import Ending, Lease, Status, Step
from chalicelib.domain.links import Purpose
from chalicelib.domain.meter import Cost
from chalicelib.domain.money import show
from chalicelib.domain.receipts import receipt_of
from tests.builders import (
    BOX,
    DAY,
    adopted,
    at,
    budget,
    case,
    idle_since,
    lease,
    order,
    ruled,
    run,
    state,
    usd,
)


def ending_lease() -> Lease:
    steps = (Step(action="terminate-instance", target=BOX, region="us-east-1", tried=1, answer="Denied"),)
    why = Ending(
        cause="expired",
        reason="its lease expired",
        decided_at=at("17:00"),
        claimed_until=at("17:01"),
        steps=steps,
    )
    return lease(status=Status.ENDING, ending=why)


def test_a_warning_says_which_box_why_what_it_costs_when_it_ends_and_what_helps() -> None:
    """Everything needed to decide, in three lines."""
    judged = decide(
        case(at("10:50"), evidence=idle_since(at("10:00")), cost=Cost(compute_usd=usd(2), hourly_usd=usd(1)))
    )
    told = notices.warned(lease(), judged, ruled(judged, "idle"))
    text = "\n".join([told.title, *told.lines])
    for part in (BOX, "ada", "us-east-1", "GPU below 1 %", "11:00 UTC", "any work", "$1.00 an hour", "$2.00"):
        assert part in text


def test_what_helps_differs_by_rule() -> None:
    """Hours against the clock, dollars against the limit."""
    judged = decide(case(at("16:55")))
    assert "more hours" in notices.warned(lease(), judged, ruled(judged, "expired")).lines[0]
    money = decide(
        case(at("12:00"), cost=Cost(compute_usd=usd("9.7"), hourly_usd=usd(1), ceiling_usd=usd(1)))
    )
    assert "budget_usd" in notices.warned(lease(), money, ruled(money, "over_budget")).lines[0]


def test_two_reasons_at_once_are_one_warning() -> None:
    """The sooner end first, each with what helps against it, and the links of idleness with it."""
    judged = decide(case(at("16:50"), evidence=idle_since(at("15:55")), cost=Cost(hourly_usd=usd(1))))
    over, idle = ruled(judged, "expired"), ruled(judged, "idle")
    told = notices.warned(lease(), judged, replace(over, ends_at=at("17:10")), idle)
    assert told.title.endswith(f"will end: {idle.reason}")
    assert "17:00 UTC; any work" in told.lines[0]
    assert told.lines[1].startswith(f"Also: {over.reason}. It ends at 2026-11-23 17:10 UTC; PATCH")
    assert Purpose.SHOW in told.offers
    assert len(told.offers) > 1


def test_ids_are_made_of_what_happened() -> None:
    """The same again has the same id; another day, hour, warning or limit has another."""
    finding = ruled(decide(case(at("17:00"), lease=None, unleased_because="x")), "unleased")
    assert notices.reported(BOX, finding, at("09:00")).id == notices.reported(BOX, finding, at("23:59")).id
    assert (
        notices.reported(BOX, finding, at("09:00")).id != notices.reported(BOX, finding, at("09:00") + DAY).id
    )
    spared = replace(finding, spared_by="protected")
    assert notices.spared(lease(), spared, at("09:00")).id == notices.spared(lease(), spared, at("23:59")).id
    stuck = ending_lease()
    assert notices.stuck(stuck, at("17:01")).id == notices.stuck(stuck, at("17:04")).id
    assert notices.stuck(stuck, at("17:01")).id != notices.stuck(stuck, at("17:05")).id
    gone = {"us-east-1": "error"}
    assert (
        account_notices.incomplete(gone, at("09:00")).id == account_notices.incomplete(gone, at("09:59")).id
    )
    half = budget().thresholds[:1]
    first = account_notices.budget(state(), half, usd(50), at("09:00"))
    assert first.id == account_notices.budget(state(), half, usd(60), at("10:00")).id
    assert first.id != account_notices.budget(replace(state(), crossings=2), half, usd(60), at("10:00")).id


def test_a_receipt_s_notice_tells_the_cost_the_hold_and_every_step() -> None:
    """And a dry run's says that nothing was done, under an id of its own."""
    receipt = receipt_of(ending_lease(), Cost(compute_usd=usd("3.5")), status="done", ended_at=at("17:00"))
    told = notices.ended(receipt, at("17:01"))
    assert "$3.50" in told.lines[0]
    assert "$10.00" in told.lines[0]
    assert f"terminate-instance {BOX}: Denied" in told.lines[1]
    dry = receipt_of(ending_lease(), Cost(), status="dry-run", ended_at=None)
    assert "would have ended" in notices.ended(dry, at("17:01")).title
    assert notices.ended(dry, at("17:01")).id != told.id


def test_an_adoption_says_what_it_costs_until_when_and_what_to_do() -> None:
    """The owner of a box that was found learns how to keep it."""
    told = notices.adopted(adopted(), hourly_usd=usd("55.04"), obstacle=None, now=at("09:00"))
    text = "\n".join([told.title, *told.lines])
    for part in ("g5.xlarge", "$55.04 an hour", "17:00 UTC", "$10.00", "PATCH /leases/lease-1", "DELETE"):
        assert part in text


def test_a_launch_says_what_it_costs_at_most() -> None:
    """Its promise."""
    assert "$10.00 at most" in notices.launched(lease(), at("09:00")).lines[0]


def test_a_launch_says_what_was_asked_for() -> None:
    """Its type, before a sweep has seen the box; of many the first three."""
    for types, shown in ((("g5.xlarge",), "g5.xlarge i-1 ("), (tuple("abcd"), "a/b/c/… i-1 (")):
        asked = replace(lease(instance_ids=("i-1",), runs=()), order=order(instance_types=types))
        assert shown in notices.launched(asked, at("09:00")).title


def test_a_box_that_can_t_be_ended_says_what_aws_answered() -> None:
    """It goes on billing meanwhile."""
    assert notices.stuck(ending_lease(), at("17:01")).lines == (f"terminate-instance {BOX}: Denied",)


def test_every_end_that_is_announced_has_its_day_and_utc() -> None:
    """A message that is read the next morning is not taken for today's."""
    judged = decide(case(at("10:50"), evidence=idle_since(at("10:00"))))
    told = (
        notices.launched(lease(), at("09:00")),
        notices.adopted(adopted(), hourly_usd=usd(1), obstacle=None, now=at("09:00")),
        notices.warned(lease(), judged, ruled(judged, "idle")),
    )
    for notice in told:
        assert re.search(r"ends at 2026-11-23 \d\d:\d\d UTC", "\n".join(notice.lines))


def test_a_box_that_was_never_seen_goes_on_billing_whole() -> None:
    """Only what is known to have stopped bills its storage alone."""
    unseen, off = ending_lease(), run(ended_at=at("16:00"))
    assert "it goes on billing and" in notices.stuck(replace(unseen, runs=()), at("17:01")).title
    assert "it goes on billing and" in notices.stuck(replace(unseen, runs=(off, run())), at("17:01")).title
    assert "billing its storage" in notices.stuck(replace(unseen, runs=(off,)), at("17:01")).title


def test_small_sums_do_not_read_as_nothing() -> None:
    """Four digits under a dollar."""
    assert (show(usd("0.0042")), show(usd("12.346")), show(usd(0))) == ("$0.0042", "$12.35", "$0.00")


def test_a_sight_knows_what_it_has_not_seen() -> None:
    """`failed` is incomplete, `denied` is not, and only regions that answered count as seen."""
    views = tuple(RegionView(region=name, status=name) for name in ("ok", "denied", "failed"))
    assert Sight(views).seen_regions == {"ok"}
    assert not Sight(views).is_complete
    assert Sight(views[:2]).is_complete
