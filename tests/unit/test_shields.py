"""Shields: what spares a box, from which ends, and that it stays visible all the while."""

from typing import Any

import pytest

from chalicelib.domain.case import Case, Effect
from chalicelib.domain.decide import decide
from chalicelib.domain.instance import Instance, SpotRequest
from chalicelib.domain.lease import Hold, Lease
from chalicelib.domain.meter import Cost
from chalicelib.domain.shields import PROTECT_TAG, is_protected, protected_until
from tests.builders import (
    REGION,
    REQUEST,
    adopted,
    at,
    box,
    case,
    effect_of,
    idle_since,
    lease,
    policy,
    ruled,
    state,
    usd,
)

OLD = adopted(requested_at=at("00:00"), expires_at=at("09:00"))
"""Long past its grace, and over since 09:00."""


def tagged(value: str, **facts: Any) -> Instance:
    return box(tags={PROTECT_TAG: value}, **facts)


@pytest.mark.parametrize(
    "value, until",
    [
        ("2026-11-24T12:00:00+00:00", at("12:00", day=1)),
        ("2026-11-24T12:00:00Z", at("12:00", day=1)),
        ("2026-11-24T14:00+02:00", at("12:00", day=1)),
        ("2026-11-24T12:00:00", at("12:00", day=1)),
        ("2026-11-24 12:00", at("12:00", day=1)),
        (" 2026-11-24T12:00Z ", at("12:00", day=1)),
        ("2026-11-25", at("00:00", day=2)),
        ("", None),
        ("true", None),
        ("forever", None),
        ("tomorrow 9:00", None),
    ],
)
def test_protection_is_an_iso_time_and_nothing_else(value: str, until: object) -> None:
    """Without an offset it is UTC; what is no time protects from nothing."""
    assert protected_until(tagged(value)) == until


def test_protection_ends_at_its_time() -> None:
    """A past one is none, the latest of several boxes' counts, and there is no maximum."""
    assert is_protected([tagged("2026-11-23T10:00Z")], at("09:59")) == at("10:00")
    assert is_protected([tagged("2026-11-23T10:00Z")], at("10:00")) is None
    both = [tagged("2026-11-23T10:00Z"), box("i-2"), tagged("2026-11-23T11:00Z")]
    assert is_protected(both, at("09:00")) == at("11:00")
    assert is_protected([tagged("9999-12-31T23:59:59-14:00")], at("09:00")) is not None


PROTECTED = tagged("2026-11-24T12:00Z")


def test_protection_keeps_idle_kills_away() -> None:
    """An idle box that is protected is warned about, with the reason."""
    idle = case(
        at("12:00"),
        lease=lease(warned_at={"idle": at("11:00")}),
        evidence=idle_since(at("10:00")),
        instances=(PROTECTED,),
    )
    found = ruled(decide(idle), "idle")
    assert found.effect is Effect.WARN
    assert found.spared_by
    assert "curfew:protect until 2026-11-24 12:00" in found.spared_by


def test_protection_keeps_the_expiry_of_an_adoption_away_but_not_that_of_a_launch() -> None:
    """Who launched through Curfew named an hour himself."""
    assert effect_of("expired", case(at("17:00"), lease=OLD, instances=(PROTECTED,))) is Effect.WARN
    assert effect_of("expired", case(at("17:00"), lease=lease(), instances=(PROTECTED,))) is Effect.END


def test_protection_does_not_stop_budgets() -> None:
    """A launch's own money, a budget that is spent, and one without room for what lies beyond the hold go on."""
    spent = Cost(compute_usd=usd(11), hourly_usd=usd(1))

    def effect(its: Lease, *, left: str, total: str = "0") -> Effect:
        known = {"budgets": (state(left=left),), "spent_usd": {"team": usd(total)}}
        return effect_of(
            "over_budget", case(at("17:00"), lease=its, cost=spent, instances=(PROTECTED,), **known)
        )

    assert effect(lease(), left="50") is Effect.END
    assert effect(OLD, left="50", total="100") is Effect.END
    assert effect(OLD, left="0.99") is Effect.END
    assert effect(OLD, left="1") is Effect.WARN


def test_protection_is_not_undone_by_the_adoption_s_own_hold() -> None:
    """At the on-demand price hold and hour are reached together: what spares from one spares from the other."""
    spent = Cost(compute_usd=usd(11), hourly_usd=usd(1))
    assert decide(case(at("17:00"), lease=OLD, cost=spent, instances=(PROTECTED,))).effect is Effect.WARN


def test_nothing_adopted_ends_within_its_grace() -> None:
    """For half an hour after it was first seen nothing ends it, not even money."""
    broke = adopted(hold=Hold(), requested_at=at("09:00"))
    assert decide(case(at("09:29:59"), lease=broke)).effect is Effect.WARN
    assert decide(case(at("09:30"), lease=broke)).effect is Effect.END


def test_grace_is_the_policy_s_and_not_for_launches() -> None:
    """`unleased.grace` 0 gives none; a launch has had its own time."""
    broke = adopted(hold=Hold(), requested_at=at("09:00"))
    hasty = policy(unleased={"grace": "PT0S"})
    assert decide(case(at("09:00"), lease=broke, policy=hasty)).effect is Effect.END
    short = lease(requested_at=at("09:00"), expires_at=at("09:10"))
    assert decide(case(at("09:10"), lease=short)).effect is Effect.END


@pytest.mark.parametrize("lifecycle", ["capacity-block", "interruptible-capacity-reservation"])
def test_what_is_prepaid_is_never_ended_for_money_or_time(lifecycle: str) -> None:
    """It is paid for already: ending it saves nothing."""
    paid = box(lifecycle=lifecycle)
    for its in (lease(), OLD):
        judged = case(at("17:00"), lease=its, instances=(paid,), cost=Cost(compute_usd=usd(99)))
        assert decide(judged).effect is Effect.WARN


def test_a_controller_that_can_t_be_disarmed_spares_its_box() -> None:
    """Ending it would only start another: it is reported instead, whatever the rule."""
    judged = case(
        at("17:00"), obstacle="auto scaling group web would start another", cost=Cost(compute_usd=usd(99))
    )
    verdict = decide(judged)
    assert verdict.effect is Effect.WARN
    assert {f.spared_by for f in verdict.findings if f.spared_by} == {
        "auto scaling group web would start another"
    }


@pytest.mark.parametrize("state", ["stopped", "stopping"])
def test_no_clock_deletes_an_adopted_box_that_is_stopped(state: str) -> None:
    """Its owner's disk is on it, and only the disk bills."""
    rests = case(at("17:00"), lease=OLD, instances=(box(state=state),), cost=Cost(compute_usd=usd(99)))
    assert decide(rests).effect is Effect.WARN


@pytest.mark.parametrize(
    "state, code",
    [
        ("open", "instance-stopped-no-capacity"),
        ("disabled", "instance-stopped-no-capacity"),
        ("disabled", "instance-stopped-by-price"),
        ("active", "fulfilled"),
    ],
)
def test_a_box_that_an_interruption_stopped_ends_at_its_hour(state: str, code: str) -> None:
    """AWS starts it again whenever it has capacity, so that it keeps its end."""
    request = SpotRequest(id=REQUEST, region=REGION, state=state, status_code=code, type="persistent")
    stopped = case(at("17:00"), lease=OLD, instances=(box(state="stopped"),), spot_requests=(request,))
    assert decide(stopped).effect is Effect.END


def test_a_box_that_its_owner_stopped_is_left_to_its_owner() -> None:
    """Its request is disabled until it is started by hand."""
    code = "instance-stopped-by-user"
    request = SpotRequest(id=REQUEST, region=REGION, state="disabled", status_code=code, type="persistent")
    stopped = case(at("17:00"), lease=OLD, instances=(box(state="stopped"),), spot_requests=(request,))
    assert decide(stopped).effect is Effect.WARN


def test_a_launched_box_that_is_stopped_ends_at_its_hour() -> None:
    """Its request could start it again at any time."""
    assert decide(case(at("17:00"), lease=lease(), instances=(box(state="stopped"),))).effect is Effect.END


def test_an_adopted_box_that_was_not_seen_is_not_ended_unseen() -> None:
    """In a region that did not answer nobody knows whether it is protected, stopped or a group's."""
    unseen = decide(case(at("17:00"), lease=OLD, instances=()))
    assert unseen.effect is Effect.WARN
    assert "EC2 did not show it" in (ruled(unseen, "expired").spared_by or "")
    assert decide(case(at("17:00"), lease=lease(), instances=())).effect is Effect.END


def test_terminate_terminates() -> None:
    """What this product is for."""
    judged: Case = case(at("17:00"), lease=OLD, policy=policy(unleased={"end": "terminate"}))
    assert decide(judged).effect is Effect.END
