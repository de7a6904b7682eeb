"""The least that a change may leave a lease to hold."""

from decimal import Decimal

from chalicelib.domain.lease import Hold, Lease
from chalicelib.domain.least import least_usd
from chalicelib.domain.meter import Cost
from tests.builders import HOUR, adopted, at, lease, minutes, policy, run, usd

NOW = at("10:00")
HELD = Hold(compute_usd=usd(50), hourly_usd=usd(6))


def least(of: Lease, *, ends: str = "17:00", hold: Hold = HELD, **cost: Decimal) -> Decimal:
    """Its end may take nine minutes; it costs $6 an hour at most, and a dollar so far."""
    return least_usd(
        of,
        Cost(**{"compute_usd": usd(1), "hourly_usd": usd(6), "ceiling_usd": usd(6), **cost}),
        hold,
        expires_at=at(ends),
        policy=policy(teardown={"margin": "PT9M"}),
        now=NOW,
    )


RUNNING = lease(runs=(run(),), launched_at=at("09:00"), teardown_margin=None)


def test_it_pays_for_the_minute_until_the_next_sweep_and_for_the_end() -> None:
    """Ten minutes at the dearest price; of a lease that is past its time nine."""
    assert least(RUNNING) == usd(2)
    assert least(RUNNING, ends="09:59") == usd("1.90")


def test_it_pays_for_the_images_that_are_not_made_yet() -> None:
    """What they have cost so far is spent already."""
    saved = Hold(compute_usd=usd(50), hourly_usd=usd(6), snapshot_usd=usd(3))
    assert least(RUNNING, hold=saved) == usd(5)
    assert least(RUNNING, hold=saved, snapshot_usd=usd(1)) == usd(5)


def test_a_launch_that_nobody_has_seen_yet_is_taken_to_run() -> None:
    """For five minutes at most, then it counts as gone; of a found box nothing is assumed."""
    unseen = lease(runs=(), launched_at=NOW - minutes(3), teardown_margin=None)
    assert least(unseen) == usd("2.30")
    assert least(lease(runs=(), launched_at=NOW - HOUR, teardown_margin=None)) == usd("2.50")
    assert least(adopted(runs=(), launched_at=NOW - HOUR, teardown_margin=None)) == usd(2)
