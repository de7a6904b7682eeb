"""The parts of `make simulate`: each a life of its own, from chance or from real data."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable
from functools import partial

from tests.simulation.longrun import Figures, simulate
from tests.simulation.replay import data_dir, replay_duty, replay_prices

Part = Callable[..., Figures]


def parts_of(seed: int, days: float) -> dict[str, Part]:
    """By name. Real data that is not there is not replayed, and that is said."""
    parts: dict[str, Part] = {f"chance, seed {seed}": partial(simulate, seed=seed, days=days)}
    folder = data_dir()
    if folder.is_dir():
        parts["real duty cycles"] = partial(replay_duty, folder)
        parts["real spot prices"] = partial(replay_prices, folder, days=days)
    else:
        _say(f"no real data in {folder}, so that none is replayed: CURFEW_DATA_DIR says where it is")
    return parts


def live(name: str, part: Part) -> Figures:
    """Run one part, in a process of its own, and say what it found."""
    logging.disable(logging.WARNING)  # Curfew tells of each failure, and here there are thousands
    began = time.perf_counter()
    figures = part(say=lambda line: _say(f"{name}: {line}"))
    took = time.perf_counter() - began
    _say(
        f"{name}: {figures.minutes} minutes in {took:.0f} s, {figures.sweeps} sweeps and {figures.events} by events, "
        f"{figures.sampled_minutes} of them to show that a jump misses nothing"
    )
    _say(f"{name}: {figures.line}")
    return figures


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
