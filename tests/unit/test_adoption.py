"""Adoption: boxes are found by what they are; each that nobody launched here gets one lease, or a reason why not."""

from dataclasses import replace
from typing import Any

import pytest

from chalicelib.domain.accelerators import FAMILIES, is_accelerator
from chalicelib.domain.adoption import adopt, adoption_id, in_scope, unleased
from chalicelib.domain.instance import Instance, Sight
from chalicelib.domain.lease import Lease, RequestType, Status
from chalicelib.domain.money import up_to_cent
from chalicelib.domain.policy import Policy, ScopePolicy
from tests.builders import (
    BOX,
    HOUR,
    PRICE,
    PUBLIC_IPV4_USD_PER_HOUR,
    REGION,
    REQUEST,
    at,
    box,
    budget,
    gp3,
    lease,
    owner_budget,
    policy,
    prices,
    request,
    sight,
    state,
    storage_usd,
    usd,
)

NOW = at("10:00")
LOOSE = box(spot_request_id=None, lifecycle="on-demand")


def found(
    seen: Sight, *leases: Lease, ran_before: dict[str, frozenset[str]] | None = None, **sections: Any
) -> dict[str, str | None]:
    boxes = unleased(
        seen,
        leases,
        policy=policy(**sections),
        ran_before={REGION: frozenset()} if ran_before is None else ran_before,
        now=NOW,
    )
    return {one.instance.id: one.because for one in boxes}


@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_every_known_family_is_found_by_its_type(name: str) -> None:
    """What a box is decides, not how it is tagged."""
    assert is_accelerator(f"{name}.xlarge")


@pytest.mark.parametrize(
    "name", ["p7.48xlarge", "g9e.xlarge", "trn3.48xlarge", "inf3.xlarge", "dl3.24xlarge", "f3.2xlarge"]
)
def test_families_newer_than_the_table_are_guarded_too(name: str) -> None:
    """AWS's letters go on."""
    assert is_accelerator(name)


@pytest.mark.parametrize(
    "name",
    [
        "t3.micro",
        "m5.large",
        "c7g.xlarge",
        "r5.large",
        "x1e.xlarge",
        "i3.large",
        "hpc7a.96xlarge",
        "unknown",
        "",
    ],
)
def test_other_boxes_are_none_of_our_business(name: str) -> None:
    """Nothing else in the account is touched."""
    assert not is_accelerator(name)


def test_the_scope_of_the_policy() -> None:
    """Types may be added and left out by pattern, boxes left out by tag, with a value or with any."""
    assert in_scope(box(type="m5.large"), ScopePolicy(include_types=("m5.*",)))
    assert not in_scope(box(), ScopePolicy(exclude_types=("g5.*",)))
    assert not in_scope(
        box(type="m5.large"), ScopePolicy(include_types=("m5.*",), exclude_types=("*.large",))
    )
    tagged = box(tags={"team": "core", "keep": ""})
    assert not in_scope(tagged, ScopePolicy(exclude_tags={"team": "core"}))
    assert in_scope(tagged, ScopePolicy(exclude_tags={"team": "other"}))
    assert not in_scope(tagged, ScopePolicy(exclude_tags={"team": "*"}))
    assert not in_scope(tagged, ScopePolicy(exclude_tags={"keep": ""}))
    assert in_scope(tagged, ScopePolicy(exclude_tags={"absent": "*"}))


def test_a_box_without_a_lease_is_to_be_adopted() -> None:
    """Nobody's box is Curfew's."""
    assert found(sight(LOOSE)) == {BOX: None}


def test_what_a_lease_owns_or_is_launching_is_not_loose() -> None:
    """By id, by request, or in flight."""
    flying = lease(id="lease-2", status=Status.REQUESTED, instance_ids=(), spot_request_ids=())
    mine = box("i-2", spot_request_id="sir-2", tags={"curfew:lease": "lease-2"})
    assert found(sight(box(), mine), lease(), flying) == {}
    assert found(sight(mine), lease()) == {"i-2": None}


@pytest.mark.parametrize("gone", ["terminated", "shutting-down"])
def test_what_is_gone_is_not_adopted(gone: str) -> None:
    """Terminated instances are listed for an hour."""
    assert found(sight(box(state=gone))) == {}


def test_half_an_answer_is_adopted_all_the_same() -> None:
    """Without State, LaunchTime, zone or tags it still bills."""
    assert found(sight(Instance(id="i-9", region=REGION, type="p5.48xlarge"))) == {"i-9": None}


@pytest.mark.parametrize(
    "facts, reason",
    [
        ({"managed_by": "eks.amazonaws.com"}, "eks.amazonaws.com manages it"),
        ({"lifecycle": "capacity-block"}, "prepaid"),
        ({"tags": {"curfew:protect": "2026-11-24"}}, "curfew:protect until"),
        ({"state": "stopping"}, "only its storage bills"),
    ],
)
def test_what_is_spared_is_reported_with_its_reason(facts: dict[str, Any], reason: str) -> None:
    """Seen and told, but not adopted."""
    assert reason in str(found(sight(box(**facts)))[BOX])


@pytest.mark.parametrize("tag", ["true", "2026-11-22", ""])
def test_a_protection_that_is_none_spares_nothing(tag: str) -> None:
    """No time, or a past one, is no protection."""
    assert found(sight(box(tags={"curfew:protect": tag}))) == {BOX: None}


@pytest.mark.parametrize("effect", ["warn", "ignore"])
def test_the_policy_may_ask_not_to_adopt(effect: str) -> None:
    """Then it is only told, or not even that."""
    assert effect in str(found(sight(LOOSE), unleased={"effect": effect})[BOX])


def test_what_ran_before_an_unarmed_curfew_came_is_reported() -> None:
    """So is all that runs in a region never seen before; what started since is adopted."""
    assert "ran before" in str(found(sight(LOOSE), ran_before={REGION: frozenset({BOX})})[BOX])
    assert "ran before" in str(found(sight(LOOSE), ran_before={})[BOX])
    assert found(sight(LOOSE), ran_before={REGION: frozenset({"i-2"})}) == {BOX: None}


def lease_of(instance: Instance, **facts: Any) -> Lease:
    return adopt(
        instance,
        **{
            "spot_requests": (),
            "disks": gp3(100),
            "states": (),
            "policy": Policy(),
            "prices": prices(),
            "now": NOW,
            **facts,
        },
    )


def test_an_adopted_lease_starts_now_and_lasts_as_the_policy_says() -> None:
    """It, its meter and its hours start at adoption; what ran before is shown apart."""
    made = lease_of(LOOSE)
    assert (made.requested_at, made.expires_at) == (NOW, NOW + 8 * HOUR)
    assert [(one.started_at, one.ended_at) for one in made.runs] == [(NOW, None)]
    assert made.ran_before_for == HOUR
    assert made.is_adopted
    assert made.status is Status.ACTIVE
    assert lease_of(box(launched_at=None)).ran_before_for.total_seconds() == 0


def test_the_hold_is_what_the_lease_costs_at_most() -> None:
    """Price × `unleased.for`, with its disks and its address, and the 50 GB that every box may send."""
    hold = lease_of(LOOSE).hold
    assert hold.compute_usd == up_to_cent(8 * PRICE)
    assert hold.storage_usd == up_to_cent(storage_usd(100, 8 * HOUR))
    assert hold.public_ipv4_usd == up_to_cent(8 * PUBLIC_IPV4_USD_PER_HOUR)
    assert hold.egress_usd == usd("4.50")


def test_of_a_hold_that_does_not_fit_the_egress_allowance_is_cut_first() -> None:
    """With a dollar less than it wants, all that is missing is missing from what it may send."""
    whole = lease_of(LOOSE).hold
    cut = lease_of(LOOSE, states=(state(left=str(whole.total_usd - 1)),)).hold
    assert cut == replace(whole, egress_usd=whole.egress_usd - 1)
    tight = lease_of(LOOSE, states=(state(left=str(whole.total_usd - whole.egress_usd)),)).hold
    assert (tight.egress_usd, tight.compute_usd) == (0, whole.compute_usd)


@pytest.mark.parametrize("left", ["0", "0.01", "0.05", "3", "8.1", "-5"])
def test_the_hold_is_no_more_than_what_is_left(left: str) -> None:
    """A budget without room gives what it has, and never less than nothing."""
    hold = lease_of(LOOSE, states=(state(left=left), state(budget("big", 10**6)))).hold
    assert hold.total_usd == max(usd(left), usd(0))
    assert min(hold.compute_usd, hold.storage_usd, hold.public_ipv4_usd, hold.egress_usd) >= 0


def test_it_is_charged_to_the_budgets_of_its_owner_and_project() -> None:
    """Tags say whose it is; without them it is nobody's."""
    mine = box(tags={"curfew:owner": "ada", "curfew:project": "x"})
    states = (state(), state(owner_budget("a", "ada")), state(owner_budget("b", "bob")))
    made = lease_of(mine, states=states)
    assert (made.owner, made.project) == ("ada", "x")
    assert [charge.budget for charge in made.charges] == ["team", "a"]
    assert lease_of(LOOSE).owner == "unleased"


def test_it_knows_its_request_and_the_cap_in_it() -> None:
    """A spot box costs at most what its request allows."""
    made = lease_of(box(), spot_requests=(request(type="persistent", max_price="0.7"),))
    assert made.spot_request_ids == (REQUEST,)
    assert made.request_type is RequestType.PERSISTENT
    assert made.runs[0].max_price_usd == usd("0.7")
    assert lease_of(box()).request_type is RequestType.NONE


def test_one_start_of_one_box_has_one_id() -> None:
    """Two sweeps that find it agree; another start, box or region differs, and so does the lease after a closed one."""
    ids = {
        adoption_id(box()),
        adoption_id(box(launched_at=at("11:00"))),
        adoption_id(box("i-2")),
        adoption_id(box(region="eu-west-1")),
        adoption_id(box(), closed_before=1),
        adoption_id(box(), closed_before=2),
    }
    assert len(ids) == 6
    assert adoption_id(box(state="stopped", tags={"a": "b"})) == adoption_id(box())
