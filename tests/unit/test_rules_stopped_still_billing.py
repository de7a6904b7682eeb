"""stopped_still_billing: a box at rest bills on, and people know."""

from datetime import timedelta
from typing import Any

import pytest

from chalicelib.domain.case import Case, Effect
from chalicelib.domain.decide import decide
from chalicelib.domain.lease import Hold, Leftover
from chalicelib.domain.meter import Cost
from tests.builders import DAY, HOUR, REGION, adopted, at, box, case, effect_of, policy, ruled, usd

RULE = "stopped_still_billing"
DISK = Leftover(volume_id="vol-1", region=REGION, instance_id="i-1", type="gp3", gib=500, monthly_usd=usd(40))


def at_rest(days: float, *, end_after: str | None = None, **facts: Any) -> Case:
    """A box that was stopped at 08:00 and found so at 09:00 of the first day, and looked at days later."""
    stopped = box(state="stopped", ended_at=at("08:00"), spot_request_id=None)
    facts = {"instances": (stopped,), **facts}
    return case(
        at("09:00") + days * DAY,
        lease=adopted(is_storage=True, runs=(), hold=Hold(), expires_at=at("09:00") + 3650 * DAY),
        cost=Cost(leftovers=(DISK,)),
        policy=policy(stopped={"warn_after": "P1D", "end_after": end_after}),
        **facts,
    )


def test_a_day_after_it_stopped_people_are_told_what_a_month_of_it_costs() -> None:
    """Counted from the stop that EC2 tells, not from when it was found."""
    assert effect_of(RULE, at_rest(0.95)) is Effect.KEEP
    told = ruled(decide(at_rest(0.96)), RULE)
    assert told.effect is Effect.WARN
    assert "$40" in told.reason
    assert told.figures["monthly_usd"] == "40"
    assert told.ends_at is None


def test_nothing_at_rest_is_ever_ended_by_a_clock_unless_the_policy_asks_for_it() -> None:
    """Not after years, with its lease's own hour long over, and whatever it has cost."""
    judged = decide(at_rest(4000))
    assert judged.effect is Effect.WARN
    assert [finding.rule for finding in judged.findings] == [RULE]


def test_with_end_after_it_ends_so_long_after_it_was_stopped() -> None:
    """Not after it was found: EC2 says when it was stopped."""
    assert effect_of(RULE, at_rest(6.95, end_after="P7D")) is Effect.WARN
    assert effect_of(RULE, at_rest(6.96, end_after="P7D")) is Effect.END


def test_what_had_been_stopped_for_years_before_it_was_found_is_warned_about_first() -> None:
    """For `warn_after`, or `end_after` where that is shorter: its disk can't be brought back."""
    long_ago = {"instances": (box(state="stopped", ended_at=at("08:00", day=-900), spot_request_id=None),)}
    assert effect_of(RULE, at_rest(0.99, end_after="P7D", **long_ago)) is Effect.WARN
    assert effect_of(RULE, at_rest(1, end_after="P7D", **long_ago)) is Effect.END
    assert effect_of(RULE, at_rest(0.49, end_after="PT12H", **long_ago)) is Effect.WARN
    assert effect_of(RULE, at_rest(0.5, end_after="PT12H", **long_ago)) is Effect.END


@pytest.mark.parametrize(
    "facts",
    [
        {"instances": (box(state="stopped", tags={"curfew:protect": "2027-01-01"}),)},
        {"obstacle": "auto scaling group web would start another"},
        {"policy": policy(stopped={"end_after": "PT0S"}, unleased={"grace": "P9D"})},
        {"policy": policy(stopped={"end_after": "PT0S"}, unleased={"effect": "warn"})},
    ],
    ids=["protected", "controlled", "grace", "unwanted"],
)
def test_what_spares_an_adopted_box_spares_it_at_rest(facts: dict[str, Any]) -> None:
    """Protection, a controller, the grace, a policy that would not adopt it."""
    judged = at_rest(8, end_after="P7D")
    kept = {**{name: getattr(judged, name) for name in ("lease", "instances", "cost", "policy")}, **facts}
    assert ruled(decide(case(judged.now, **kept)), RULE).effect is Effect.WARN


def test_a_box_that_runs_is_none_of_its_business() -> None:
    """Nor one that Curfew launched and its owner stopped: its lease has an hour."""
    assert [f.rule for f in decide(case(at("10:00"))).findings if f.rule == RULE] == []
    launched = case(at("10:00"), instances=(box(state="stopped"),))
    assert [f.rule for f in decide(launched).findings if f.rule == RULE] == []


@pytest.mark.parametrize("end_after", [None, "P7D"])
def test_it_never_softens_as_time_goes_on(end_after: str | None) -> None:
    """Hour by hour, and at the moments it names itself."""
    effects = [effect_of(RULE, at_rest(hours / 24, end_after=end_after)) for hours in range(24 * 9)]
    assert effects == sorted(effects)
    first = decide(at_rest(0, end_after=end_after))
    assert first.due_at == at("08:00") + DAY
    assert first.due_at - at("09:00") == DAY - HOUR == timedelta(hours=23)
