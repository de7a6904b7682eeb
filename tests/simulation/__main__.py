"""`python -m tests.simulation --seed 1 --days 14`: the promise under chance, and under real data where there is some.

Each part is a process of its own, two at a time. Exit code 1 on a violation; the last line has the figures of all.
"""

from __future__ import annotations

import argparse
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from tests.simulation.longrun import Figures
from tests.simulation.parts import live, parts_of

AT_ONCE = 2


def main() -> int:
    """Run every part and add up."""
    parser = argparse.ArgumentParser(
        prog="make simulate", description="Curfew over virtual days and faults, held against its promise."
    )
    parser.add_argument("--seed", type=int, default=1, help="of everything that is chance")
    parser.add_argument("--days", type=float, default=2.0, help="virtual days")
    options = parser.parse_args()
    if options.days <= 0:
        parser.error(f"--days must be more than 0, not {options.days:g}")
    parts = parts_of(options.seed, options.days)
    with ProcessPoolExecutor(AT_ONCE, mp_context=get_context("spawn")) as pool:
        running = {name: pool.submit(live, name, part) for name, part in parts.items()}
        figures = [one.result() for one in running.values()]
    total = Figures.total(figures)
    print(total.line)
    return 1 if total.violations else 0


if __name__ == "__main__":
    raise SystemExit(main())
