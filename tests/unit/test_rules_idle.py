"""idle: an hour of silence ends a box, after a warning that work takes back; what is not known ends nothing."""

from datetime import datetime

import pytest

from chalicelib.domain.case import Case, Effect
from chalicelib.domain.decide import decide
from chalicelib.domain.evidence import Evidence, unknown
from tests.builders import at, box, busy_at, case, effect_of, idle_since, lease, minutes, policy, with_order


def idling(now: str, *, since: str = "10:00", warned: str | None = None, **facts: object) -> Case:
    its_lease = lease(warned_at={"idle": at(warned)} if warned else {})
    return case(at(now), **{"lease": its_lease, "evidence": idle_since(at(since)), **facts})


@pytest.mark.parametrize(
    "now, warned, effect",
    [
        ("10:49:59", None, Effect.KEEP),
        ("10:50", None, Effect.WARN),
        ("10:59:59", "10:50", Effect.WARN),
        ("11:00", "10:50", Effect.END),
    ],
)
def test_it_warns_at_fifty_minutes_and_ends_at_sixty(now: str, warned: str | None, effect: Effect) -> None:
    """`warn_before` counts inside `idle.after`."""
    assert effect_of("idle", idling(now, warned=warned)) is effect


def test_nothing_ends_without_a_warning_that_is_old_enough() -> None:
    """A sweep that comes late warns first and waits the whole `warn_before`."""
    assert effect_of("idle", idling("12:00")) is Effect.WARN
    assert effect_of("idle", idling("12:09:59", warned="12:00")) is Effect.WARN
    assert effect_of("idle", idling("12:10", warned="12:00")) is Effect.END


def test_warn_before_zero_ends_without_a_warning() -> None:
    """Zero means no warning, not an instant one."""
    silent = policy(idle={"warn_before": "PT0S"})
    assert effect_of("idle", idling("10:59:59", policy=silent)) is Effect.KEEP
    assert effect_of("idle", idling("11:00", policy=silent)) is Effect.END


def test_a_warning_is_never_longer_than_the_wait_itself() -> None:
    """`warn_before` above `idle.after` warns at once and ends after `idle.after`."""
    eager = policy(idle={"after": "PT20M", "warn_before": "PT3H", "after_launch": "PT0S"})
    assert effect_of("idle", idling("10:01", policy=eager)) is Effect.WARN
    assert effect_of("idle", idling("10:21", warned="10:01", policy=eager)) is Effect.END


def test_work_after_the_warning_takes_it_back() -> None:
    """Silence that began after the warning needs a warning of its own."""
    worked = idle_since(at("10:55"), worked_at=at("10:55"))
    assert effect_of("idle", idling("11:30", warned="10:50", evidence=worked)) is Effect.KEEP
    assert effect_of("idle", idling("11:45", warned="10:50", evidence=worked)) is Effect.WARN
    assert effect_of("idle", idling("11:56", warned="10:50", evidence=worked)) is Effect.WARN
    assert effect_of("idle", idling("11:56", warned="11:45", evidence=worked)) is Effect.END


def test_silence_alone_never_takes_a_warning_back() -> None:
    """A box whose end had to wait for hours still ends: the window's start is no sign of work."""
    for hour in (12, 14, 16):
        now = at(f"{hour}:00")
        still = case(
            now, lease=lease(warned_at={"idle": at("10:50")}), evidence=idle_since(now - minutes(60))
        )
        assert effect_of("idle", still) is Effect.END


def test_a_start_after_the_warning_takes_it_back() -> None:
    """A box that was stopped and started again begins anew."""
    restarted = box(launched_at=at("11:30"))
    judged = idling("12:30", since="11:30", warned="10:50", instances=(restarted,))
    assert effect_of("idle", judged) is Effect.WARN


def test_a_policy_that_waits_longer_takes_a_warning_back() -> None:
    """A warning of the old policy's end does not stand for the new one's."""
    longer = policy(idle={"after": "PT3H"})
    assert effect_of("idle", idling("13:00", warned="10:50", policy=longer)) is Effect.WARN


def test_after_launch_spares_a_young_box() -> None:
    """Silent from the first second, it still has `after_launch` to begin."""
    quick = policy(idle={"after": "PT10M", "warn_before": "PT0S"})
    young = box(launched_at=at("10:00"))
    assert effect_of("idle", idling("10:29:59", policy=quick, instances=(young,))) is Effect.KEEP
    assert effect_of("idle", idling("10:30", policy=quick, instances=(young,))) is Effect.END


@pytest.mark.parametrize(
    "evidence",
    [unknown("no metric"), unknown("the newest sample is 40 min old"), busy_at(at("09:30"))],
    ids=["missing", "stale", "busy"],
)
def test_what_is_not_idle_never_ends_for_it(evidence: Evidence) -> None:
    """Unknown and busy are kept, however long ago the warning was."""
    assert effect_of("idle", idling("16:00", warned="10:50", evidence=evidence)) is Effect.KEEP


def test_unknown_evidence_stops_neither_time_nor_money() -> None:
    """What ends for other reasons ends all the same."""
    assert decide(idling("17:00", evidence=unknown("no metric"))).effect is Effect.END


def test_a_lease_s_own_idle_may_only_tighten() -> None:
    """Twenty minutes of its own hold; five hours of its own do not."""

    def own(length: float, now: str) -> Effect:
        its = with_order(lease(), idle_after=minutes(length))
        silent = policy(idle={"warn_before": "PT0S"})
        return effect_of("idle", idling(now, lease=its, policy=silent))

    assert own(20, "10:19") is Effect.KEEP
    assert own(20, "10:20") is Effect.END
    assert own(300, "11:00") is Effect.END


@pytest.mark.parametrize("state", ["stopped", "stopping"])
def test_a_stopped_box_is_not_idle(state: str) -> None:
    """It uses no compute that could be idle."""
    judged = idling("16:00", warned="10:50", instances=(box(state=state),))
    assert not [finding for finding in decide(judged).findings if finding.rule == "idle"]


def test_a_box_without_a_lease_is_not_judged_idle() -> None:
    """What is only reported is not ended."""
    assert decide(idling("16:00", lease=None)).effect is Effect.WARN


def test_an_unknown_state_is_taken_for_running() -> None:
    """Real answers lack State; the opposite would hide a box that bills."""
    assert effect_of("idle", idling("11:00", warned="10:50", instances=(box(state="unknown"),))) is Effect.END


def test_a_box_without_launch_time_counts_from_its_lease() -> None:
    """Real answers lack LaunchTime."""
    bare = box(launched_at=None)
    assert effect_of("idle", idling("10:50", instances=(bare,))) is Effect.WARN


def test_an_idle_box_is_never_idle_at_once() -> None:
    """`idle.after` 0 still needs silence that CloudWatch has shown, and asks for no warning."""
    now: datetime = at("10:15")
    impatient = policy(idle={"after": "PT0S", "after_launch": "PT0S"})
    assert effect_of("idle", case(now, policy=impatient, evidence=idle_since(at("10:00")))) is Effect.END
    assert effect_of("idle", case(now, policy=impatient)) is Effect.KEEP
