"""PATCH: what a lease holds afterwards pays for what it has cost and for its end, or nothing is changed."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.domain.case import Case
from chalicelib.domain.errors import Refused
from chalicelib.domain.evidence import unknown
from chalicelib.domain.lease import Lease, Status
from chalicelib.domain.meter import measure
from chalicelib.usecases.extend import extend
from chalicelib.usecases.gather import price_book
from tests.builders import HOUR, MINUTE, Stage, at, minutes, usd

PATIENT = settings(max_examples=40)


def patched(stage: Stage, lease: Lease, hours: Decimal | None = None, budget: str | None = None) -> Lease:
    lasts_for = None if hours is None else minutes(float(hours * 60))
    cap = usd(budget) if budget else None
    return extend(stage.services, lease.id, lasts_for=lasts_for, budget_usd=cap, by="ada")


def spent_and_ending(stage: Stage, lease_id: str) -> Decimal:
    """What a lease has cost, and what ending it may cost, as the rules reckon it."""
    lease, now = stage.lease(lease_id), stage.clock.now()
    policy, _ = stage.services.store.policy()
    cost = measure(lease, price_book(stage.services, [lease], (), now), now)
    case = Case(now=now, policy=policy, lease=lease, instances=(), evidence=unknown("not asked"), cost=cost)
    return cost.accrued_usd + case.ending_usd


@pytest.mark.parametrize("lived, budget", [(0, "0.001"), (0, "0.25"), (6, "0.1066"), (6, "0.35")])
def test_a_cap_that_does_not_pay_for_the_end_is_refused_with_the_least_that_does(
    lived: int, budget: str
) -> None:
    """Also right after the launch, while no box was seen; the amount that the refusal names is taken."""
    stage = Stage()
    lease = stage.launch(lasts_for=2 * HOUR)
    if lived:
        stage.until(at("09:00") + minutes(lived))
    with pytest.raises(Refused) as told:
        patched(stage, lease, budget=budget)
    assert told.value.slug == "budget-too-small"
    assert stage.only_lease().hold == lease.hold
    least = str(told.value.extra["least_usd"])
    assert least.lstrip("0") in str(told.value)
    assert patched(stage, lease, budget=least).hold.total_usd == usd(least)
    stage.until(stage.clock.now() + 5 * MINUTE)
    assert stage.alive == []
    assert stage.receipt(lease.id).cost_usd <= usd(least)


def test_a_cap_on_a_found_box_pays_for_its_end_too() -> None:
    """What was adopted is capped by its owner as what was launched."""
    stage = Stage()
    stage.compute.start()
    stage.until(at("09:30"))
    with pytest.raises(Refused) as told:
        patched(stage, stage.only_lease(), budget="0.60")
    assert told.value.slug == "budget-too-small"


def test_fewer_hours_give_back_no_more_than_leaves_enough_for_the_end() -> None:
    """What it has sent beyond its allowance is no part of a worst case by the hour, and has been spent all the same."""
    stage = Stage()
    lease = stage.launch(lasts_for=8 * HOUR)
    stage.until(at("09:30"))
    sent = stage.lease(lease.id)
    stage.store.save_lease(_having_sent(sent, gigabytes=120))
    shorter = patched(stage, lease, hours=Decimal(1))
    assert lease.hold.total_usd > shorter.hold.total_usd >= spent_and_ending(stage, lease.id)


def _having_sent(lease: Lease, *, gigabytes: int) -> Lease:
    return replace(lease, egress_bytes=gigabytes * 2**30)


@PATIENT
@given(
    lived=st.integers(0, 60),
    cap=st.none() | st.integers(26, 300),
    hours=st.none() | st.integers(1, 240),
    beyond=st.none() | st.integers(-300, 300),
)
def test_after_any_change_that_is_taken_the_hold_pays_for_what_was_spent_and_for_the_end(
    lived: int, cap: int | None, hours: int | None, beyond: int | None
) -> None:
    """Whatever is asked for, at whatever age, with or without a cap from the launch on."""
    stage = Stage()
    lease = stage.launch(lasts_for=2 * HOUR, budget_usd=cap and Decimal(cap) / 100)
    stage.sweep()
    for _ in range(0, lived, 5):
        stage.after(5 * MINUTE)
    if not [one for one in stage.store.open_leases() if one.status is Status.ACTIVE]:
        return
    usual = spent_and_ending(stage, lease.id)
    budget = None if beyond is None else max(usual + Decimal(beyond) / 1000, Decimal("0.001"))
    try:
        patched(stage, lease, Decimal(hours) / 60 if hours else None, str(budget) if budget else None)
    except Refused:
        return
    assert stage.lease(lease.id).hold.total_usd >= spent_and_ending(stage, lease.id)
