"""What hangs, is refused or fails in one place holds up no end elsewhere, and is never taken for nothing to see."""

import threading

from chalicelib.domain.lease import Status
from chalicelib.usecases import teardown
from chalicelib.usecases.gather import gather
from tests.builders import HOUR, MINUTE, Stage
from tests.contract.compute_labs import let_finish
from tests.doubles.memory_compute import Call

WHY = teardown.Why(cause="requested", reason="ada asked for it", figures={})


def test_a_region_that_hangs_in_its_ends_is_left_at_it() -> None:
    """Its receipt says `ending`, its lease stays claimed, and the sweep goes on; once EC2 answers it ends."""
    stage = Stage()
    lease = stage.launch(lasts_for=HOUR)
    answers = threading.Event()

    def hang(when: str, call: Call) -> None:
        if (when, call.operation) == ("before", "terminate"):
            answers.wait()

    stage.compute.on_call = hang
    facts = gather(stage.services, stage.clock.now())
    claimed = teardown.begin(stage.services, facts.leases[0], WHY, facts.owned(facts.leases[0]), facts.now)
    assert claimed
    receipts = teardown.carry_out(stage.services, facts, [claimed], patience=0)
    assert [(one.lease_id, one.status) for one in receipts] == [(lease.id, "ending")]
    assert (stage.lease(lease.id).status, len(stage.alive)) == (Status.ENDING, 1)
    answers.set()
    let_finish("end")
    stage.after(MINUTE)
    assert (stage.alive, stage.lease(lease.id).status) == ([], Status.CLOSED)
