"""unleased: what nobody launched through Curfew is told of, with the hour at which it ends."""

from chalicelib.domain.case import Effect
from chalicelib.domain.decide import decide
from chalicelib.domain.meter import Cost
from tests.builders import adopted, at, case, lease, ruled, usd


def test_a_box_that_is_only_reported_says_why_and_what_it_costs() -> None:
    """The reason and the hourly price stand in the finding, and nothing ends it."""
    loose = case(
        at("23:00", day=30), lease=None, unleased_because="Batch manages it", cost=Cost(hourly_usd=usd("5.6"))
    )
    verdict = decide(loose)
    assert verdict.effect is Effect.WARN
    assert "Batch manages it" in ruled(verdict, "unleased").reason
    assert "$5.60" in ruled(verdict, "unleased").reason


def test_an_adopted_box_says_when_it_ends() -> None:
    """Adoption is a lease with an hour."""
    found = ruled(decide(case(at("10:00"), lease=adopted())), "unleased")
    assert (found.effect, found.ends_at) == (Effect.WARN, at("17:00"))
    assert found.figures["hold_usd"] == "10"


def test_a_launched_box_is_none_of_its_business() -> None:
    """What was launched through Curfew is not told of as if it had been found."""
    assert not [f for f in decide(case(at("10:00"), lease=lease())).findings if f.rule == "unleased"]
