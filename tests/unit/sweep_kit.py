"""What the tests of the sweep share."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from chalicelib.domain.lease import Lease, RequestType
from chalicelib.domain.metrics import Dimensions, gpu
from tests.builders import HOUR, MINUTE, START, Stage, at, minutes

ONE_TIME, PERSISTENT = RequestType.ONE_TIME, RequestType.PERSISTENT
BOTH = pytest.mark.parametrize("kind", [ONE_TIME, PERSISTENT])


def one_hour(stage: Stage, kind: RequestType = PERSISTENT, **wishes: Any) -> Lease:
    """A launch at 09:00 that expires at 10:00."""
    return stage.launch(request_type=kind, lasts_for=HOUR, **wishes)


def is_over(stage: Stage) -> bool:
    return (stage.alive, stage.armed, stage.store.open_leases()) == ([], [], ())


def happen_after(stage: Stage, method: str, skip: int, act: Callable[[], object]) -> None:
    """Once, right after the n-th call of a method of the table."""
    left = [skip]

    def hook(name: str, phase: str) -> None:
        if (name, phase) == (method, "after"):
            left[0] -= 1
            if left[0] == -1:
                stage.store.hook = lambda *_: None
                act()

    stage.store.hook = hook


def idle_box(stage: Stage, *, every: int = 1) -> Lease:
    """A persistent launch at 09:00 that never does anything."""
    lease = stage.launch(request_type=PERSISTENT)
    stage.works(lease.instance_ids[0], 0, since=at("09:00"), until=at("20:00"), every=minutes(every))
    return lease


def gpus(stage: Stage, lease: Lease, *percents: float, since: datetime = START, until: str = "20:00") -> None:
    """Samples of each GPU, a minute each."""
    for index, percent in enumerate(percents):
        count = (at(until) - since) // MINUTE
        stage.metrics.load_metric(gpu(named(lease, index)), [percent] * count, since=since)


def named(lease: Lease, index: int) -> Dimensions:
    return (
        ("InstanceId", lease.instance_ids[0]),
        ("arch", "x86_64"),
        ("index", str(index)),
        ("name", "NVIDIA L4"),
    )
