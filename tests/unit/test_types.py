"""What costs like a GPU box though no table has heard of it, and what does not though its name looks so."""

from typing import Any

import pytest

from chalicelib.bootstrap import rehearsal
from chalicelib.domain.accelerators import TypeFact, is_accelerator
from chalicelib.domain.errors import Unavailable
from chalicelib.usecases.sweep import sweep
from tests.builders import DAY, HOUR, MINUTE, REGION, Stage, at


def asked(stage: Stage) -> list[tuple[str, ...]]:
    return [call.ids for call in stage.compute.calls if call.operation == "accelerated"]


@pytest.mark.parametrize(
    "name, told, expected",
    [
        ("g5.xlarge", False, True),
        ("q1.xlarge", None, False),
        ("q1.xlarge", True, True),
        ("p9.48xlarge", None, True),
        ("f7x.large", False, False),
    ],
)
def test_the_table_speaks_first_then_ec2_then_the_letters(
    *, name: str, told: bool | None, expected: bool
) -> None:
    """A family that is listed needs no answer; a letter gives way to one."""
    assert is_accelerator(name, told=told) is expected


def test_a_type_that_only_ec2_knows_is_adopted_by_the_next_sweep() -> None:
    """The first sweep asks, after its ends; the second guards."""
    stage = Stage()
    stage.prices.table["q1.xlarge"] = stage.prices.table["g5.xlarge"]
    stage.compute.ec2.types["q1.xlarge"] = True
    box = stage.compute.start("q1.xlarge")
    stage.sweep()
    assert stage.store.open_leases() == ()
    stage.after(MINUTE)
    assert stage.only_lease().instance_ids == (box,)


def test_a_box_whose_letters_mislead_is_let_go() -> None:
    """Adopted by its letters until EC2 says that it has no accelerator: then no clock of ours ends it."""
    stage = Stage()
    stage.prices.table["f7x.large"] = stage.prices.table["g5.xlarge"]
    stage.compute.ec2.types["f7x.large"] = False
    box = stage.compute.start("f7x.large")
    stage.until(at("18:00"))
    assert stage.alive == [box]
    assert stage.ending_calls == []


def test_each_type_is_asked_about_once_and_what_ec2_does_not_know_again_in_a_day() -> None:
    """A listed family never, others once for good; all of a region in one call."""
    stage = Stage()
    stage.compute.ec2.types["m5.large"] = False
    for name in ("g5.xlarge", "m5.large", "z9.large"):
        stage.compute.start(name)
    stage.until(at("09:10"))
    assert asked(stage) == [("m5.large", "z9.large")]
    stage.after(DAY)
    assert asked(stage)[1:] == [("z9.large",)]


def test_a_rehearsal_keeps_nothing() -> None:
    """It asks, and the next sweep asks again."""
    stage = Stage()
    stage.compute.ec2.types["m5.large"] = False
    stage.compute.start("m5.large")
    sweep(rehearsal(stage.services), trigger="request")
    assert stage.store.type_facts() == ()
    stage.sweep()
    assert stage.store.type_facts() == (
        TypeFact(name="m5.large", is_accelerated=False, asked_at=at("09:00")),
    )


@pytest.mark.parametrize("code", ["UnauthorizedOperation", "RequestLimitExceeded"])
def test_a_refused_question_is_lacking_and_ends_nothing_late(code: str) -> None:
    """The lease that is over ends in that very sweep; the type is asked about by the next one."""
    stage = Stage()
    lease = stage.launch(lasts_for=HOUR)
    stage.compute.start("m5.large")
    stage.compute.fail("accelerated", REGION, code=code)
    record = stage.after(HOUR)
    assert lease.id in record.ended
    assert any(line.startswith(f"DescribeInstanceTypes {REGION}") for line in record.lacking)
    stage.after(MINUTE)
    assert len(asked(stage)) == 2


def test_a_table_that_does_not_tell_leaves_the_letters() -> None:
    """The sweep goes on."""
    stage = Stage()
    stage.compute.start("m5.large")
    box = stage.compute.start("g5.xlarge")
    stage.store.inject("type_facts", Unavailable("throttled"))
    stage.sweep()
    assert stage.only_lease().instance_ids == (box,)


def test_other_types_cost_no_question_where_all_are_listed() -> None:
    """Nobody reads or writes what is known of types."""
    stage = Stage()
    stage.compute.start()
    called: list[Any] = []
    stage.store.hook = lambda name, _: called.append(name)
    stage.sweep()
    assert "type_facts" not in called
    assert asked(stage) == []
