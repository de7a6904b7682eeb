"""What is done next for a box that is to be saved or kept: one decision on what is seen."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.images import SavedImage, newest, outdated
from chalicelib.domain.lease import Step
from chalicelib.domain.rescue import AT_REST_FOR, Move, Plight, can_stop, next_keep, next_move
from chalicelib.domain.steps import STOP
from tests.builders import HOUR, MINUTE, REGION, at, box, minutes, request

MARGIN = minutes(15)
ENDED = [Move.DONE, Move.LATE, Move.GIVE_UP]


def image(state: str = "pending", **facts: Any) -> SavedImage:
    return SavedImage(
        **{
            "id": "ami-1",
            "region": REGION,
            "image_of": "lease-1/i-1",
            "owner": "ada",
            "name": "train",
            "state": state,
            "gib": 45,
            "created_at": at("10:00"),
            **facts,
        }
    )


def plight(state: str | None = "running", **facts: Any) -> Plight:
    return Plight(
        **{
            "box": None if state is None else box(state=state),
            "is_gone": state in {"terminated", "shutting-down"},
            "image": None,
            "stop": None,
            "saves": 0,
            "began_at": at("10:00"),
            "margin": MARGIN,
            "is_paid": True,
            **facts,
        }
    )


def stop(**facts: Any) -> Step:
    return Step(**{"action": STOP, "target": "i-1", "region": REGION, **facts})


@pytest.mark.parametrize(
    "seen, move",
    [
        (plight(), Move.SAVE),
        (plight(stop=stop()), Move.STOP),
        (plight(stop=stop(tried=2)), Move.SAVE),
        (plight(stop=stop(answer="not stopped: UnsupportedOperation")), Move.SAVE),
        (plight("stopping", stop=stop(tried=1)), Move.WAIT),
        (plight("stopped", stop=stop(tried=1)), Move.SAVE),
        (plight("pending"), Move.WAIT),
        (plight(None), Move.WAIT),
        (plight("terminated"), Move.GIVE_UP),
        (plight(image=image()), Move.WAIT),
        (plight(image=image("available")), Move.DONE),
        (plight("terminated", image=image("available")), Move.DONE),
        (plight("terminated", image=image()), Move.LATE),
        (plight(image=image("failed"), saves=1), Move.SAVE),
        (plight(image=image("failed"), saves=3), Move.GIVE_UP),
    ],
)
def test_in_time(seen: Plight, move: Move) -> None:
    """Stop what can be stopped, save it, wait."""
    assert next_move(seen, at("10:05"))[0] is move


@pytest.mark.parametrize(
    "seen, move",
    [
        (plight(), Move.SAVE),  # tried once, however short the margin
        (plight(saves=1), Move.GIVE_UP),
        (plight(stop=stop()), Move.SAVE),
        (plight("pending"), Move.GIVE_UP),
        (plight(None), Move.GIVE_UP),
        (plight(image=image()), Move.LATE),
        (plight("stopping", image=image()), Move.LATE),
        (plight("stopped", image=image()), Move.WAIT),
        (plight("stopped", image=image(), is_paid=False), Move.LATE),
        (plight("stopped", saves=1), Move.GIVE_UP),
    ],
)
def test_once_the_margin_is_over(seen: Plight, move: Move) -> None:
    """Money first; at rest an image is waited for while the hold lasts."""
    assert next_move(seen, at("10:15"))[0] is move


@given(
    state=st.sampled_from(["running", "stopping", "stopped", "pending", "shutting-down", "terminated", None]),
    state_of_image=st.sampled_from(["pending", "available", "failed", "unknown", None]),
    stopped=st.none()
    | st.builds(stop, tried=st.integers(0, 3), answer=st.sampled_from(["", "stopping", "Busy"])),
    saves=st.integers(1, 4),
    margin=st.integers(0, 600).map(minutes),
    late=st.integers(0, 600).map(minutes),
    is_paid=st.booleans(),
)
def test_nothing_runs_on_for_its_image(
    *,
    state: str | None,
    state_of_image: str | None,
    stopped: Step | None,
    saves: int,
    margin: timedelta,
    late: timedelta,
    is_paid: bool,
) -> None:
    """Past the margin a box that was tried to be saved ends, at rest past six hours, whatever EC2 says."""
    seen = plight(
        state,
        image=state_of_image and image(state_of_image),
        stop=stopped,
        saves=saves,
        margin=margin,
        is_paid=is_paid,
    )
    longest = max(margin, AT_REST_FOR) if state == "stopped" else margin
    assert next_move(seen, at("10:00") + longest + late)[0] in ENDED


@pytest.mark.parametrize(
    "state, move",
    [
        ("running", Move.STOP),
        ("pending", Move.STOP),
        ("stopping", Move.WAIT),
        (None, Move.WAIT),
        ("stopped", Move.DONE),
        ("terminated", Move.DONE),
    ],
)
def test_a_box_to_be_kept_is_stopped(state: str | None, move: Move) -> None:
    """And that is all."""
    assert next_keep(plight(state, stop=stop(tried=9)))[0] is move


def test_what_can_be_stopped_and_stays_so() -> None:
    """On-demand boxes, and persistent ones while their request stands; nothing that a fleet or group would replace."""
    on_demand = {"lifecycle": "on-demand", "spot_request_id": None}
    assert can_stop(box(**on_demand), [])
    assert can_stop(box(), [request(type="persistent")])
    assert not can_stop(box(), [request(type="one-time")])
    assert not can_stop(box(), [request(type="persistent", state="cancelled")])
    assert not can_stop(box(), [])
    for controller in ("group", "fleet_id", "spot_fleet_id"):
        assert not can_stop(box(**on_demand, **{controller: "x"}), [])


def test_the_newest_that_is_ready_is_launched_from() -> None:
    """One on its way, or failed, is passed over."""
    old, new = image("available", id="ami-1"), image("available", id="ami-2", created_at=at("11:00"))
    pending = image(id="ami-3", created_at=at("12:00"))
    assert newest([new, old, pending, image("failed", created_at=at("13:00"))]) == new
    assert newest([pending]) is None


def test_older_images_go_once_newer_ones_are_ready() -> None:
    """By ends, not by boxes: all boxes of one end stay together; what failed goes, what is on its way stays."""
    ends = [
        image(
            "available",
            id=f"ami-{end}{number}",
            image_of=f"lease-{end}/i-{number}",
            created_at=at("10:00") + end * HOUR,
        )
        for end in range(4)
        for number in range(2)
    ]
    assert {one.id for one in outdated(ends)} == {"ami-00", "ami-01"}
    pending = image(id="ami-90", image_of="lease-9/i-1", created_at=at("20:00"))
    failed = image("failed", id="ami-80", image_of="lease-8/i-1", created_at=at("20:00") + MINUTE)
    assert {one.id for one in outdated([*ends[2:], pending, failed])} == {"ami-80"}
