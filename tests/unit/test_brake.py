"""The brake on fights: who starts again what is ended, is told so, and idleness stops ending it."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.brake import LONGEST_DELAY, WITHIN, Fight, delay, fights, shape_of, starter_of
from chalicelib.domain.case import Effect
from chalicelib.domain.lease import Ending, Lease, Status
from chalicelib.domain.notices import Kind
from tests.builders import (
    HOUR,
    MINUTE,
    START,
    Stage,
    adopted,
    at,
    box,
    case,
    effect_of,
    idle_since,
    lease,
    minutes,
    policy,
    request,
    run,
)
from tests.unit.sweep_kit import is_over, one_hour

GROUP = "auto scaling group trainers"


def ended(number: int, started: float, ended_after: float, *, cause: str = "idle", **facts: object) -> Lease:
    """A closed lease of that group's box: started and ended so many minutes after nine."""
    ending = Ending(
        cause=cause,
        reason="",
        decided_at=START + minutes(ended_after),
        claimed_until=START + minutes(ended_after),
    )
    return adopted(
        **{
            "id": f"lease-{number}",
            "status": Status.CLOSED,
            "launched_at": START + minutes(started),
            "runs": (run(START + minutes(started)),),
            "started_by": GROUP,
            "ending": ending,
            **facts,
        }
    )


def fight_of(*leases: Lease, now: float = 30) -> Fight | None:
    return fights(leases, START + minutes(now)).get(shape_of(ended(0, 0, 0)))


def test_three_starts_that_each_follow_an_end_within_an_hour_are_a_fight() -> None:
    """The fourth box of a shape, after three that were ended."""
    three = [ended(n, 10 * n, 10 * n + 9) for n in range(3)]
    fourth = adopted(id="lease-9", launched_at=START + minutes(30), started_by=GROUP)
    told = fight_of(*three, fourth, now=31)
    assert told
    assert (told.replacements, told.is_braked, told.shape.starter) == (3, True, GROUP)
    assert told.until == START + minutes(10) + HOUR


def test_three_boxes_that_end_together_and_one_that_follows_are_one_replacement() -> None:
    """A worker that is started once after a clean-up starts no fight."""
    three = [ended(n, 0, 10) for n in range(3)]
    fourth = adopted(id="lease-9", launched_at=START + minutes(20), started_by=GROUP)
    told = fight_of(*three, fourth)
    assert told
    assert told.replacements == 1


def test_three_boxes_that_are_started_after_one_end_replace_one() -> None:
    """Whoever starts a larger fleet than before fights nobody."""
    three = [
        adopted(id=f"lease-{n}", launched_at=START + minutes(20 + n), started_by=GROUP) for n in range(3)
    ]
    told = fight_of(ended(9, 0, 10), *three)
    assert told
    assert told.replacements == 1


@pytest.mark.parametrize("cause", ["requested", "gone", "stopped"])
def test_what_people_end_themselves_is_no_fight(cause: str) -> None:
    """They may start and end as often as they like."""
    four = [ended(n, 10 * n, 10 * n + 9, cause=cause) for n in range(4)]
    assert fight_of(*four, now=40) is None


def test_other_types_regions_and_starters_are_other_shapes() -> None:
    """What one group does pauses nothing of another's."""
    assert shape_of(ended(1, 0, 1)) != shape_of(ended(1, 0, 1, region="eu-west-1"))
    assert shape_of(ended(1, 0, 1)) != shape_of(ended(1, 0, 1, started_by="owner ada"))
    assert shape_of(ended(1, 0, 1)) != shape_of(ended(1, 0, 1, runs=(run(instance_type="p5.48xlarge"),)))


def test_a_brake_spares_idle_boxes_and_says_who_starts_them() -> None:
    """Its verdict shows what spares it."""
    fight = Fight(shape=shape_of(ended(1, 0, 1)), replacements=3, until=at("12:00"))
    idle = case(
        at("11:30"), lease=adopted(), policy=policy(idle={"warn_before": "PT0M"}), evidence=idle_since(START)
    )
    assert effect_of("idle", idle) is Effect.END
    braked = case(
        at("11:30"),
        lease=adopted(),
        policy=policy(idle={"warn_before": "PT0M"}),
        evidence=idle_since(START),
        fight=fight,
    )
    assert effect_of("idle", braked) is Effect.WARN


@pytest.mark.parametrize("clock, effect", [("17:01", Effect.WARN), ("17:04", Effect.END)])
def test_the_hour_of_a_box_goes_on_with_a_delay(clock: str, effect: Effect) -> None:
    """The fifth replacement is ended four minutes after its start, not at once."""
    fight = Fight(shape=shape_of(ended(1, 0, 1)), replacements=5, until=at("18:00"))
    late = case(at(clock), lease=adopted(), instances=(box(launched_at=at("17:00")),), fight=fight)
    assert effect_of("expired", late) is effect


def test_what_curfew_launched_ends_at_its_hour_all_the_same() -> None:
    """Its hold pays for no delay."""
    fight = Fight(shape=shape_of(ended(1, 0, 1)), replacements=50, until=at("18:00"))
    late = case(at("17:00"), lease=lease(), instances=(box(launched_at=at("16:59")),), fight=fight)
    assert effect_of("expired", late) is Effect.END


@given(st.integers(0, 10_000))
def test_the_delay_grows_and_is_bounded(replacements: int) -> None:
    """However long a fight lasts, what costs money is ended."""
    assert timedelta(0) <= delay(replacements) <= delay(replacements + 1) <= LONGEST_DELAY


@given(st.lists(st.tuples(st.integers(0, 90), st.integers(0, 90)), max_size=12), st.integers(0, 120))
def test_there_are_never_more_replacements_than_ends_or_starts_in_the_hour(
    lives: list[tuple[int, int]], now: int
) -> None:
    """No order of starts and ends counts one of them twice."""
    leases = [ended(n, min(life), max(life)) for n, life in enumerate(lives) if max(life) <= now]
    told = fight_of(*leases, now=now)
    recent = [one for one in leases if one.ending and now * MINUTE + START - one.ending.decided_at < WITHIN]
    assert (told.replacements if told else 0) <= len(recent)


def test_the_starter_is_what_the_box_itself_tells() -> None:
    """Its group before its request, its request before a key that many use."""
    assert starter_of(box(group="trainers"), (), owner="ada") == GROUP
    assert starter_of(box(fleet_id="fleet-1"), (), owner="ada") == "fleet fleet-1"
    assert starter_of(box(spot_fleet_id="sfr-1"), (), owner="ada") == "spot fleet sfr-1"
    standing = request(type="persistent")
    assert starter_of(box(), (standing,), owner="ada") == f"spot request {standing.id}"
    assert starter_of(box(key_name="k"), (request(),), owner="ada") == "whoever uses the key k"
    assert starter_of(box(), (request(),), owner="ada") == "owner ada"


def test_what_comes_back_again_and_again_is_ended_later_each_time_and_people_are_told() -> None:
    """At once twice, then a minute after it started, then two: never for ever."""
    stage = Stage()
    one = one_hour(stage)
    stage.until(at("10:00"))
    waited = []
    for _ in range(5):
        stage.clock.advance(MINUTE)
        began = stage.clock.now()
        stage.compute.start(request_id=one.spot_request_ids[0], lifecycle="spot")
        stage.sweep()
        while not is_over(stage):
            stage.after(MINUTE)
        waited.append((stage.clock.now() - began) // MINUTE)
    assert waited == [0, 0, 1, 2, 4]
    assert stage.told(Kind.ADOPTED) == []
