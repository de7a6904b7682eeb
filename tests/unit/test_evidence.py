"""Evidence: three values, and silence is never idleness."""

from datetime import timedelta

import pytest

from chalicelib.domain.evidence import Evidence, Series, Use, combine, of_box, unknown
from chalicelib.domain.policy import IdlePolicy
from tests.builders import MINUTE, at, busy_at, idle_since, minutes, samples

FIVE = minutes(5)
NOW = at("12:00")


def judge(*series: Series, running_since: str = "06:00", **keys: object) -> Evidence:
    return of_box(series, idle=IdlePolicy(**keys), running_since=at(running_since), now=NOW)  # type: ignore[arg-type]


@pytest.mark.parametrize("every", [MINUTE, FIVE], ids=["60 s", "300 s"])
def test_a_whole_window_of_silence_is_idle_at_either_interval(every: timedelta) -> None:
    """An hour of zeros is idle since the window began, whether samples come every 60 s or every 300 s."""
    seen = judge(samples(at("10:50"), [0] * int(70 * MINUTE / every), every=every))
    assert (seen.use, seen.since, seen.worked_at) == (Use.IDLE, at("11:00"), None)


@pytest.mark.parametrize("every", [MINUTE, FIVE], ids=["60 s", "300 s"])
def test_work_in_the_newest_period_is_busy(every: timedelta) -> None:
    """One sample of work in the newest period is enough."""
    number = int(70 * MINUTE / every)
    seen = judge(samples(at("10:50"), [0] * (number - 1) + [3], every=every))
    assert seen.use is Use.BUSY
    assert seen.since == NOW


def test_silence_counts_from_the_end_of_the_last_period_with_work() -> None:
    """A sample speaks for its whole period, so silence begins where that ends."""
    series = samples(at("11:00"), [0] * 20 + [40] + [0] * 39)
    seen = judge(series)
    assert (seen.use, seen.since, seen.worked_at) == (Use.IDLE, at("11:21"), at("11:21"))


def test_a_300_s_period_that_began_before_the_window_counts_as_far_as_it_reaches_into_it() -> None:
    """Work in a period that only partly lies in the window may have been in that part."""
    series = samples(at("10:57"), [80] + [0] * 12, every=FIVE)
    seen = judge(series)
    assert seen.worked_at == at("11:02")
    assert seen.since == at("11:02")


def test_work_before_the_window_is_forgotten() -> None:
    """What ended before the window began says nothing."""
    assert judge(samples(at("10:59"), [80] + [0] * 60)).worked_at is None


@pytest.mark.parametrize(
    "newest, use", [("11:57", Use.IDLE), ("11:56", Use.UNKNOWN)], ids=["three intervals", "older"]
)
def test_the_newest_sample_may_be_three_intervals_old(newest: str, use: Use) -> None:
    """Fresh means at most three intervals old; a box that went silent since is unknown."""
    number = int((at(newest) - at("10:58")) / MINUTE) + 1
    assert judge(samples(at("10:58"), [0] * number)).use is use


def test_a_300_s_source_may_be_fifteen_minutes_late() -> None:
    """Freshness is measured in the source's own intervals."""
    assert judge(samples(at("10:45"), [0] * 13, every=FIVE)).use is Use.IDLE
    assert judge(samples(at("10:40"), [0] * 13, every=FIVE)).use is Use.UNKNOWN


def test_too_many_holes_are_unknown() -> None:
    """Fewer samples than `coverage` asks for say nothing, however silent they are."""
    present = [(at("11:00") + n * MINUTE, 0.0) for n in range(60) if n < 40 or n > 52]
    assert judge(Series(source="GPU", samples=tuple(present))).use is Use.UNKNOWN
    assert judge(Series(source="GPU", samples=tuple(present)), coverage="0.7").use is Use.IDLE


def test_a_hole_does_not_stretch_the_interval() -> None:
    """The interval is the typical gap, so ten hours of hole do not make a slow source of a fast one."""
    present = [(at("01:00"), 0.0), *((at("11:00") + n * MINUTE, 0.0) for n in range(60))]
    assert judge(Series(source="GPU", samples=tuple(present)), running_since="00:00").use is Use.IDLE


def test_a_source_that_fell_silent_and_came_back_is_unknown_until_the_window_is_full_again() -> None:
    """After a hole of hours the first few zeros are not an hour of idleness."""
    assert judge(samples(at("11:50"), [0] * 10)).use is Use.UNKNOWN


def test_duplicates_count_once_and_at_their_highest() -> None:
    """The same minute told twice is one sample; any work in it is work."""
    series = samples(at("11:00"), [0] * 60)
    doubled = Series(source="GPU", samples=(*series.samples, (at("11:30"), 55.0), *series.samples[:20]))
    assert judge(doubled).worked_at == at("11:31")
    half = Series(source="GPU", samples=(*series.samples[:20], *series.samples[:20], series.samples[-1]))
    assert judge(half).use is Use.UNKNOWN


def test_samples_come_in_any_order() -> None:
    """CloudWatch promises none."""
    series = samples(at("11:00"), [0] * 20 + [40] + [0] * 39)
    shuffled = Series(source="GPU", samples=tuple(reversed(series.samples)))
    assert judge(shuffled) == judge(series)


def test_samples_of_the_future_are_not_believed() -> None:
    """A clock ahead of ours does not make a stale source fresh."""
    series = samples(at("11:00"), [0] * 50)
    ahead = Series(source="GPU", samples=(*series.samples, (at("12:30"), 0.0)))
    assert judge(ahead).use is Use.UNKNOWN


@pytest.mark.parametrize("number", [0, 1])
def test_an_interval_needs_two_samples(number: int) -> None:
    """Hardly any sample is unknown."""
    assert judge(samples(at("11:58"), [0] * number)).use is Use.UNKNOWN


def test_no_metric_at_all_is_unknown_and_says_what_is_missing() -> None:
    """A box without the agent is never idle."""
    seen = judge()
    assert seen.use is Use.UNKNOWN
    assert "agent" in seen.reason


def test_any_busy_gpu_makes_a_busy_box() -> None:
    """Of eight GPUs one at work is enough."""
    idle = [samples(at("10:58"), [0] * 62) for _ in range(7)]
    assert judge(*idle, samples(at("10:58"), [0] * 61 + [2])).use is Use.BUSY


def test_the_last_gpu_to_fall_silent_counts() -> None:
    """The box is idle since the last of its GPUs is, and work is remembered whoever did it."""
    early = samples(at("10:58"), [90] * 12 + [0] * 50)
    late = samples(at("10:58"), [0] * 30 + [90] + [0] * 31)
    seen = judge(early, late)
    assert (seen.use, seen.since, seen.worked_at) == (Use.IDLE, at("11:29"), at("11:29"))


def test_one_silent_gpu_and_one_unknown_are_unknown() -> None:
    """Idle needs every part idle."""
    assert judge(samples(at("10:58"), [0] * 62), samples(at("10:58"), [0] * 30)).use is Use.UNKNOWN


def test_the_percentage_is_a_bound_not_to_reach() -> None:
    """`gpu_below_percent` 1: at 1 % it works, below it does not; 0: anything is work."""
    assert judge(samples(at("10:58"), [0.99] * 62)).use is Use.IDLE
    assert judge(samples(at("10:58"), [1] * 62)).use is Use.BUSY
    assert judge(samples(at("10:58"), [0] * 62), gpu_below_percent=0).use is Use.BUSY


def test_a_box_that_has_not_run_for_the_whole_window_is_judged_on_its_own_time() -> None:
    """Before its start there is nothing to expect, and nothing to count."""
    seen = judge(samples(at("11:20"), [0] * 40), running_since="11:20")
    assert (seen.use, seen.since) == (Use.IDLE, at("11:20"))


def test_a_short_window_still_tells_a_slow_source_from_a_silent_one() -> None:
    """With `idle.after` of five minutes, 300 s samples are looked at over fifteen."""
    assert judge(samples(at("11:40"), [0] * 4, every=FIVE), after=FIVE).use is Use.IDLE


def test_boxes_of_one_lease_are_idle_since_the_last_of_them_is() -> None:
    """A lease's boxes are judged together."""
    together = combine([idle_since(at("09:00")), idle_since(at("10:00"), worked_at=at("10:00"))])
    assert (together.use, together.since) == (Use.IDLE, at("10:00"))
    assert combine([idle_since(at("09:00")), busy_at(at("10:00"))]).use is Use.BUSY
    assert combine([idle_since(at("09:00")), unknown("nothing")]).use is Use.UNKNOWN
    assert combine([unknown("nothing"), busy_at(at("10:00"))]).use is Use.BUSY
    assert combine([]).use is Use.UNKNOWN


def test_work_is_remembered_also_where_nothing_is_known_now() -> None:
    """Unknown evidence keeps the last sign of work, so that a warning before it does not stand."""
    together = combine([idle_since(at("09:00"), worked_at=at("10:00")), unknown("nothing")])
    assert together.worked_at == at("10:00")
