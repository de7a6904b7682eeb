"""Admission: the worst case is held before anything starts, and what speaks against a launch is told in full."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from chalicelib.domain.admission import Admission, admit, capped, worst_case
from chalicelib.domain.budget import Consequence, Threshold
from chalicelib.domain.lease import Hold, LaunchOrder, Status
from chalicelib.domain.money import hours, up_to_cent
from chalicelib.domain.policy import Policy
from tests.builders import (
    EGRESS_USD_PER_GB,
    HOUR,
    PRICE,
    PUBLIC_IPV4_USD_PER_HOUR,
    adopted,
    at,
    budget,
    gp3,
    lease,
    minutes,
    order,
    owner_budget,
    policy,
    prices,
    state,
    storage_usd,
    usd,
)
from tests.doubles.memory_ports import ON_DEMAND

MARGIN = minutes(15)


def held(wish: LaunchOrder, *, gib: int = 100) -> Hold:
    return worst_case(wish, disks=gp3(gib), prices=prices(), margin=MARGIN)


def test_the_hold_has_four_parts_each_up_to_the_next_cent() -> None:
    """Compute, disks and addresses for the time and the margin, and the egress allowance."""
    hold = held(order(lasts_for=8 * HOUR, egress_gb=50))
    length = 8 * HOUR + MARGIN
    assert hold.compute_usd == up_to_cent(PRICE * hours(length))
    assert hold.storage_usd == up_to_cent(storage_usd(100, length))
    assert hold.public_ipv4_usd == up_to_cent(PUBLIC_IPV4_USD_PER_HOUR * hours(length))
    assert hold.egress_usd == EGRESS_USD_PER_GB * 50
    assert hold.total_usd == sum(
        (hold.compute_usd, hold.storage_usd, hold.public_ipv4_usd, hold.egress_usd), usd(0)
    )


def test_the_caller_s_price_cap_is_what_is_held() -> None:
    """A cap below on-demand makes the hold smaller, since nothing runs above it."""
    assert held(order(max_price_usd_per_hour=usd("0.4"))).compute_usd == up_to_cent(
        usd("0.4") * hours(8 * HOUR + MARGIN)
    )


def test_of_several_types_the_dearest_is_held() -> None:
    """EC2 may start any of them."""
    assert held(order(instance_types=("g5.xlarge", "g5.12xlarge"))).compute_usd == up_to_cent(
        ON_DEMAND["g5.12xlarge"] * hours(8 * HOUR + MARGIN)
    )


def test_each_box_is_held() -> None:
    """Three boxes cost three times compute, disks and addresses."""
    one, three = held(order()), held(order(target_capacity=3))
    assert three.compute_usd >= 3 * one.compute_usd - usd("0.03")
    assert three.storage_usd > 2 * one.storage_usd
    assert three.public_ipv4_usd > 2 * one.public_ipv4_usd


def test_budget_usd_caps_the_hold_and_egress_gives_way_first() -> None:
    """The money there is buys time first: compute is cut last."""
    full = held(order())
    limited = held(order(budget_usd=full.total_usd - usd(2)))
    assert limited.total_usd == full.total_usd - usd(2)
    assert limited.egress_usd == full.egress_usd - usd(2)
    assert limited.compute_usd == full.compute_usd
    tiny = held(order(budget_usd=usd(1)))
    assert (tiny.compute_usd, tiny.total_usd) == (usd(1), usd(1))
    assert held(order(budget_usd=usd(10**6))) == full
    assert capped(full, full.total_usd) == full


def answer(wish: LaunchOrder, **facts: Any) -> Admission:
    return admit(
        wish,
        **{
            "owner": "ada",
            "disks": gp3(100),
            "states": (),
            "spent_usd": {},
            "open_leases": (),
            "policy": Policy(),
            "prices": prices(),
            "now": at("09:00"),
            **facts,
        },
    )


def slugs(said: Admission) -> list[str]:
    return [objection.slug for objection in said.objections]


def test_a_launch_that_fits_has_no_objections_and_its_charges() -> None:
    """The hold stands on every budget in scope, in its present period."""
    said = answer(order(), states=(state(), state(owner_budget("a", "ada"))))
    assert not said.objections
    assert {(c.budget, c.period_key, c.amount_usd) for c in said.charges} == {
        ("team", "2026-11", said.hold.total_usd),
        ("a", "2026-11", said.hold.total_usd),
    }
    assert answer(order()).charges == ()


def test_a_hold_that_just_fits_is_admitted_and_a_cent_more_is_not() -> None:
    """The boundary belongs to the launch."""
    total = answer(order()).hold.total_usd
    assert not answer(order(), states=(state(left=str(total)),)).objections
    refused = answer(order(), states=(state(left=str(total - usd("0.01"))),))
    assert slugs(refused) == ["budget-exceeded"]
    assert refused.objections[0].extra == {
        "budget": "team",
        "period_key": "2026-11",
        "left_usd": str(total - usd("0.01")),
        "hold_usd": str(total),
    }


def test_every_budget_without_room_is_named() -> None:
    """All that speaks against it is told at once."""
    said = answer(order(), states=(state(left=1), state(owner_budget("a", "ada"), left=1)))
    assert [objection.extra["budget"] for objection in said.objections] == ["team", "a"]


def test_a_threshold_at_zero_says_that_it_stops_every_launch() -> None:
    """Neither a higher limit nor the next period would help: only another threshold does."""
    never = Threshold(at_percent=Decimal(0), do=(Consequence.STOP_LAUNCHES,))
    (told,) = answer(order(), states=(state(budget(thresholds=(never,))),)).objections
    assert told.slug == "launches-stopped"
    assert "from 0 % on" in told.detail
    assert "every launch is stopped" in told.detail
    assert "next period" not in told.detail


def test_what_is_spent_stops_launches_at_eighty_percent() -> None:
    """Room is not enough: past the threshold nothing new starts."""
    known = state(budget(limit=1000))
    assert slugs(answer(order(), states=(known,), spent_usd={"team": usd(800)})) == ["launches-stopped"]
    assert not answer(order(), states=(known,), spent_usd={"team": usd("799.99")}).objections


def test_a_type_without_a_price_is_not_launched() -> None:
    """A worst case that can't be named can't be held."""
    said = answer(order(instance_types=("g5.xlarge", "q9.large")))
    assert slugs(said) == ["price-unknown"]
    assert said.objections[0].extra["instance_types"] == ["q9.large"]


@pytest.mark.parametrize("length, allowed", [(72 * HOUR, True), (72 * HOUR + minutes(1), False)])
def test_no_launch_is_longer_than_the_policy_allows(length: timedelta, *, allowed: bool) -> None:
    """`lease.max_for` is the longest."""
    assert slugs(answer(order(lasts_for=length))) == ([] if allowed else ["lease-limit"])


def test_a_length_that_nobody_asked_for_is_told_as_the_default() -> None:
    """Whoever left out `hours` reads why so many are refused."""
    told = answer(order(lasts_for=8 * HOUR), policy=policy(lease={"max_for": "PT1H"})).objections[0].detail
    assert told.startswith(
        "hours asks for 8 (lease.default_for, where it is left out), the policy's lease.max_for"
    )


def test_a_budget_that_can_t_even_pay_for_the_end_is_refused() -> None:
    """A lease that would end at once is not launched."""
    enough = (PRICE + PUBLIC_IPV4_USD_PER_HOUR) * hours(MARGIN)
    assert slugs(answer(order(budget_usd=enough))) == ["budget-too-small"]
    assert not answer(order(budget_usd=enough + usd("0.01"))).objections
    assert slugs(answer(order(budget_usd=enough * 2, target_capacity=2))) == ["budget-too-small"]


def test_an_owner_has_so_many_launches_and_no_more() -> None:
    """Adopted boxes and other people's leases do not count."""
    two = policy(lease={"max_open_per_owner": 2})
    mine = [lease(id="lease-1"), lease(id="lease-2", status=Status.ENDING)]
    assert slugs(answer(order(), open_leases=mine, policy=two)) == ["lease-limit"]
    others = [mine[0], lease(id="lease-3", owner="bob"), adopted(id="lease-4")]
    assert not answer(order(), open_leases=others, policy=two).objections
    assert slugs(answer(order(), policy=policy(lease={"max_open_per_owner": 0}))) == ["lease-limit"]


def test_objections_are_sentences_for_people() -> None:
    """Each says what is wrong and how to mend it."""
    said = answer(order(), states=(state(left="-3"),))
    assert "$0.00 left" in said.objections[0].detail
    assert "Ask for fewer hours" in said.objections[0].detail
    assert up_to_cent(Decimal("0.001")) == Decimal("0.01")
