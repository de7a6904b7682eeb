"""plan: which leases end, in which order and by which calls; who is warned, and whose warning is taken back."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from chalicelib.domain.case import Verdict
from chalicelib.domain.decide import decide
from chalicelib.domain.evidence import unknown
from chalicelib.domain.lease import Lease, RequestType, Status
from chalicelib.domain.meter import Cost
from chalicelib.domain.plan import CLAIM_FOR, begin_ending, continue_ending, is_claimed, plan
from chalicelib.domain.policy import Policy
from chalicelib.domain.steps import CANCEL, TERMINATE, pending
from chalicelib.domain.tracking import Holdings, holdings
from tests.builders import (
    BOX,
    REQUEST,
    adopted,
    at,
    box,
    busy_at,
    case,
    idle_since,
    lease,
    policy,
    request,
    sight,
    usd,
)

NOW = at("12:00")


def idle(name: str, *, hourly: int = 1, **facts: Any) -> Verdict:
    its = lease(id=name, warned_at={"idle": at("11:00")})
    return decide(
        case(
            NOW,
            **{
                "lease": its,
                "evidence": idle_since(at("10:00")),
                "cost": Cost(hourly_usd=usd(hourly)),
                **facts,
            },
        )
    )


def expired(name: str, *, hourly: int = 1) -> Verdict:
    return decide(case(NOW, lease=lease(id=name, expires_at=NOW), cost=Cost(hourly_usd=usd(hourly))))


def names(verdicts: tuple[Verdict, ...]) -> list[str]:
    return [v.case.lease.id for v in verdicts if v.case.lease]


def test_the_costliest_goes_first() -> None:
    """Every second of the dear one counts more."""
    intent = plan([idle("cheap"), expired("dear", hourly=50), idle("middle", hourly=5)], Policy())
    assert names(intent.ends) == ["dear", "middle", "cheap"]


def test_idle_ends_are_capped_and_the_cheapest_wait() -> None:
    """A mistake of the evidence ends ten boxes, not a thousand."""
    two = policy(limits={"idle_ends_per_sweep": 2})
    intent = plan([idle("a", hourly=1), idle("b", hourly=3), idle("c", hourly=2)], two)
    assert (names(intent.ends), names(intent.deferred)) == (["b", "c"], ["a"])
    assert names(plan([idle("a")], policy(limits={"idle_ends_per_sweep": 0})).deferred) == ["a"]


def test_ends_by_time_and_money_are_never_capped() -> None:
    """The cap does not fail open on spend, and what time ends takes no place from idleness."""
    none = policy(limits={"idle_ends_per_sweep": 1})
    both = decide(
        case(
            NOW,
            lease=lease(id="both", warned_at={"idle": at("11:00")}, expires_at=NOW),
            evidence=idle_since(at("10:00")),
            cost=Cost(hourly_usd=usd(99)),
        )
    )
    intent = plan([both, expired("x"), expired("y"), idle("a", hourly=9), idle("b", hourly=8)], none)
    assert set(names(intent.ends)) == {"both", "x", "y", "a"}
    assert names(intent.deferred) == ["b"]


def test_launches_in_flight_and_leases_that_end_already_are_left_alone() -> None:
    """They have somebody who acts on them."""
    for status in (Status.REQUESTED, Status.ENDING, Status.CLOSED):
        verdict = decide(case(NOW, lease=lease(expires_at=NOW, status=status)))
        intent = plan([verdict], Policy())
        assert (intent.ends, intent.warnings, intent.deferred) == ((), (), ())
    assert plan([decide(case(NOW, lease=None))], Policy()).ends == ()


def warned(verdict: Verdict) -> list[str]:
    return [finding.rule for _, finding in plan([verdict], Policy()).warnings]


def taken_back(verdict: Verdict) -> list[str]:
    return [finding.rule for _, finding in plan([verdict], Policy()).taken_back]


def test_each_rule_warns_once() -> None:
    """A warning that stands is not told again a minute later."""
    fresh = case(at("10:55"), evidence=idle_since(at("10:00")))
    assert warned(decide(fresh)) == ["idle"]
    told = replace(fresh, lease=lease(warned_at={"idle": at("10:54")}))
    assert warned(decide(told)) == []
    assert taken_back(decide(told)) == []


def test_work_takes_an_idle_warning_back_and_unknown_does_not() -> None:
    """Only work does; metrics that fail do not undo a warning, nor does silence."""
    told = case(at("10:55"), lease=lease(warned_at={"idle": at("10:50")}), evidence=busy_at(at("10:55")))
    assert taken_back(decide(told)) == ["idle"]
    assert taken_back(decide(replace(told, evidence=unknown("no metric")))) == []
    assert taken_back(decide(replace(told, evidence=idle_since(at("09:50"))))) == []


def test_silence_that_began_after_the_warning_is_warned_about_anew() -> None:
    """The old warning was overtaken by work that no sweep saw as it happened."""
    judged = case(
        at("11:46"),
        lease=lease(warned_at={"idle": at("10:50")}),
        evidence=idle_since(at("10:55"), worked_at=at("10:55")),
    )
    assert warned(decide(judged)) == ["idle"]


def test_more_time_or_money_takes_a_warning_back() -> None:
    """An extension is told too, and the next warning will be told again."""
    extended = case(at("16:55"), lease=lease(warned_at={"expired": at("16:50")}, expires_at=at("20:00")))
    assert taken_back(decide(extended)) == ["expired"]


def test_a_spared_end_is_no_warning_but_is_told() -> None:
    """What would end and is spared is reported as such."""
    judged = decide(case(at("17:00"), obstacle="group web would start another"))
    intent = plan([judged], Policy())
    assert intent.warnings == ()
    assert [finding.rule for _, finding in intent.spared] == ["expired"]


def test_adoption_itself_is_no_warning() -> None:
    """That a box was adopted has been told once, when it was."""
    assert warned(decide(case(at("10:00"), lease=adopted()))) == []


# -- the steps of an end -----------------------------------------------------------------------------------------------


def owned(of: Lease, *seen: Any) -> Holdings:
    return holdings(of, sight(*seen), NOW)


def ending(of: Lease, *seen: Any) -> Lease:
    return begin_ending(of, cause="expired", reason="over", figures={}, owned=owned(of, *seen), now=NOW)


def steps(of: Lease) -> list[tuple[str, str, bool]]:
    assert of.ending is not None
    return [(step.action, step.target, step.done_at is not None) for step in of.ending.steps]


PERSISTENT = lease(request_type=RequestType.PERSISTENT)


def test_the_controller_goes_first() -> None:
    """All cancellations stand before any termination, also when boxes come to light later."""
    two = replace(PERSISTENT, spot_request_ids=(REQUEST, "sir-2"), instance_ids=(BOX, "i-2"))
    begun = ending(two, box(), request())
    assert [action for action, _, _ in steps(begun)] == [CANCEL, CANCEL, TERMINATE, TERMINATE]
    more = continue_ending(
        replace(begun, spot_request_ids=(REQUEST, "sir-2", "sir-3"), instance_ids=(BOX, "i-2", "i-3")),
        owned(begun, box()),
        now=NOW,
    )
    assert [action for action, _, _ in steps(more)] == [CANCEL] * 3 + [TERMINATE] * 3


def test_an_end_is_claimed_for_less_than_a_minute() -> None:
    """The next sweep takes over what its writer has left."""
    begun = ending(PERSISTENT, box(), request())
    assert begun.status is Status.ENDING
    assert is_claimed(begun, NOW)
    assert is_claimed(begun, NOW + CLAIM_FOR - timedelta(seconds=1))
    assert not is_claimed(begun, NOW + timedelta(minutes=1))
    assert not is_claimed(PERSISTENT, NOW)


def test_what_is_over_already_needs_no_call() -> None:
    """A cancelled request and a terminated instance are done from the start."""
    over = ending(PERSISTENT, box(state="terminated"), request(state="cancelled"))
    assert steps(over) == [(CANCEL, REQUEST, True), (TERMINATE, BOX, True)]


def test_shutting_down_is_waited_for() -> None:
    """Only `terminated` is proof."""
    assert pending(ending(PERSISTENT, box(state="shutting-down")), TERMINATE) == (BOX,)


def test_a_box_that_vanished_is_over_and_one_that_is_merely_missing_is_not() -> None:
    """Five minutes of absence count, one empty answer does not."""
    assert pending(ending(replace(PERSISTENT, missing_since={BOX: at("11:55")})), TERMINATE) == ()
    assert pending(ending(replace(PERSISTENT, missing_since={BOX: at("11:56")})), TERMINATE) == (BOX,)


def test_what_comes_back_is_ended_again() -> None:
    """A request that is armed again is cancelled again, a box seen alive is terminated again, a new one too."""
    over = ending(PERSISTENT, box(state="terminated"), request(state="cancelled"))
    back = continue_ending(
        replace(over, instance_ids=(BOX, "i-2")),
        owned(over, box(), box("i-2"), request(state="open")),
        now=NOW,
    )
    assert steps(back) == [(CANCEL, REQUEST, False), (TERMINATE, BOX, False), (TERMINATE, "i-2", False)]


def test_a_request_that_closed_by_itself_needs_no_cancelling_any_more() -> None:
    """An end does not hang on a call whose purpose is served."""
    begun = ending(PERSISTENT, box(), request())
    assert pending(continue_ending(begun, owned(begun, request(state="closed")), now=NOW), CANCEL) == ()


def test_a_request_that_is_not_shown_is_cancelled_all_the_same() -> None:
    """Not seen is not over."""
    assert pending(ending(PERSISTENT, box()), CANCEL) == (REQUEST,)


def test_a_request_in_any_armed_state_is_cancelled() -> None:
    """`open` may start a box, `active` has one, `disabled` restarts a stopped one."""
    for state in ("open", "active", "disabled"):
        assert pending(ending(PERSISTENT, request(state=state)), CANCEL) == (REQUEST,)
    for state in ("closed", "cancelled", "failed"):
        assert pending(ending(PERSISTENT, request(state=state)), CANCEL) == ()
