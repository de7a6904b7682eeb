"""expired: at `expires_at` a lease ends; a warning comes `idle.warn_before` ahead."""

import pytest

from chalicelib.domain.case import Effect
from chalicelib.domain.decide import decide
from tests.builders import adopted, at, box, busy_at, case, effect_of, lease, policy, ruled


@pytest.mark.parametrize(
    "now, effect",
    [
        ("09:00", Effect.KEEP),
        ("16:49:59", Effect.KEEP),
        ("16:50", Effect.WARN),
        ("16:59:59", Effect.WARN),
        ("17:00", Effect.END),
        ("23:00", Effect.END),
    ],
)
def test_it_warns_ten_minutes_ahead_and_ends_to_the_second(now: str, effect: Effect) -> None:
    """A lease until 17:00 is kept until 16:50, warned about until 17:00, and over at 17:00 sharp."""
    assert effect_of("expired", case(at(now))) is effect


def test_work_does_not_keep_an_expired_lease() -> None:
    """Time is certain: what the box does is no excuse."""
    assert decide(case(at("17:00"), evidence=busy_at(at("17:00")))).effect is Effect.END


def test_warn_before_zero_means_no_warning() -> None:
    """With `warn_before` 0 it is kept to the last second and then ends."""
    silent = policy(idle={"warn_before": "PT0S"})
    assert effect_of("expired", case(at("16:59:59"), policy=silent)) is Effect.KEEP
    assert effect_of("expired", case(at("17:00"), policy=silent)) is Effect.END


def test_it_says_how_long_there_is_left_also_over_days() -> None:
    """The reason counts all minutes, not those of the last day."""
    early = policy(idle={"warn_before": "P3D"})
    found = ruled(decide(case(at("15:00", day=-1), policy=early)), "expired")
    assert found.reason == f"its lease expires in {26 * 60} min"
    assert found.ends_at == at("17:00")


def test_a_box_without_a_lease_does_not_expire() -> None:
    """There is nothing to expire."""
    assert not [f for f in decide(case(at("17:00"), lease=None)).findings if f.rule == "expired"]


def test_a_lease_whose_box_was_not_seen_expires_all_the_same() -> None:
    """A launch is known by its ids: a region that does not answer stops no clock."""
    assert effect_of("expired", case(at("17:00"), instances=())) is Effect.END


def test_an_adopted_box_expires_too() -> None:
    """Who started it makes no difference to the hour."""
    assert effect_of("expired", case(at("17:00"), lease=adopted(), instances=(box(),))) is Effect.END
    assert lease().expires_at == at("17:00")
