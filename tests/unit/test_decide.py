"""decide: the strictest effect wins, and every rule's finding is kept."""

from chalicelib.domain.case import Effect
from chalicelib.domain.decide import decide
from chalicelib.domain.meter import Cost
from tests.builders import at, case, idle_since, lease, usd


def test_the_strictest_effect_wins_and_all_findings_are_kept() -> None:
    """One END among KEEPs ends it, and each rule has said why."""
    verdict = decide(case(at("12:00"), cost=Cost(compute_usd=usd(11), hourly_usd=usd(1))))
    assert verdict.effect is Effect.END
    assert [finding.rule for finding in verdict.findings] == ["expired", "over_budget", "idle"]


def test_the_first_of_the_strictest_rules() -> None:
    """Time is named before money, and money before idleness."""
    everything = case(
        at("17:00"),
        lease=lease(warned_at={"idle": at("16:00")}),
        cost=Cost(compute_usd=usd(11), hourly_usd=usd(1)),
        evidence=idle_since(at("12:00")),
    )
    verdict = decide(everything)
    assert verdict.ruling is not None
    assert verdict.ruling.rule == "expired"
    assert not verdict.ends_for_idleness_only


def test_idleness_alone_is_told_from_idleness_among_others() -> None:
    """Only ends for nothing but idleness are capped."""
    idle = case(at("12:00"), lease=lease(warned_at={"idle": at("11:00")}), evidence=idle_since(at("10:00")))
    assert decide(idle).ends_for_idleness_only


def test_a_verdict_without_findings_keeps() -> None:
    """Nothing to say is nothing to do."""
    verdict = decide(case(at("10:00")))
    assert verdict.effect is Effect.KEEP
    assert verdict.ruling is not None
    assert verdict.ruling.effect is Effect.KEEP
