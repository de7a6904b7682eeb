"""Two sweeps at once do nothing twice."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from chalicelib.domain.lease import RequestType
from chalicelib.domain.notices import Kind
from tests.builders import MINUTE, Stage, at
from tests.unit.sweep_kit import BOTH, one_hour


@BOTH
def test_a_sweep_run_twice_does_nothing_twice(kind: RequestType) -> None:
    """The same minute again: one receipt, one message, each call once."""
    stage = Stage()
    one_hour(stage, kind)
    stage.until(at("10:00"))
    stage.sweep()
    assert [call.operation for call in stage.ending_calls] == ["cancel_spot_requests", "terminate"]
    assert len(stage.told(Kind.ENDED)) == 1


@pytest.mark.parametrize("minute", ["09:50", "10:00"], ids=["warning", "end"])
def test_sweeps_in_parallel_do_nothing_twice(minute: str) -> None:
    """Six at the same moment, over leases, a new box and warnings: everything once."""
    stage = Stage()
    leases = [one_hour(stage) for _ in range(3)]
    stage.until(at("09:49"))
    stage.clock.advance(at(minute) - stage.clock.now())
    loose = stage.compute.start()
    together = Barrier(6)

    def at_once(_: int) -> None:
        together.wait()
        stage.sweep()

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(at_once, range(6)))
    calls = [(call.operation, one) for call in stage.ending_calls for one in call.ids]
    assert len(calls) == len(set(calls))
    ids = [notice.id for notice in stage.notifier.sent]
    assert len(ids) == len(set(ids))
    assert stage.alive[-1] == loose
    owners = [one for one in stage.store.open_leases() if loose in one.instance_ids]
    assert len(owners) == 1
    if minute == "10:00":
        stage.after(MINUTE)
        assert stage.alive == [loose]
        assert {stage.receipt(one.id).status for one in leases} == {"done"}
        assert len(stage.told(Kind.ENDED)) == 3
    else:
        assert len(stage.told(Kind.WARNED)) == 3


def test_a_sweep_that_was_overtaken_tells_no_tales() -> None:
    """A box that another sweep adopts meanwhile is not reported as unguarded."""
    stage = Stage()
    stage.compute.start()

    def another(method: str, phase: str) -> None:
        if (method, phase) == ("open_lease", "before"):
            stage.store.hook = lambda *_: None
            stage.sweep()

    stage.store.hook = another
    stage.sweep()
    assert stage.told(Kind.REPORTED) == []
    assert len(stage.store.open_leases()) == 1
