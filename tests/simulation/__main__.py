"""`python -m tests.simulation --seed 1 --days 14`: exit 1 on a violation; the last line has the figures."""

from __future__ import annotations

import argparse
import logging
import time

from tests.simulation.longrun import simulate


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(description="Curfew over virtual days and faults, against its promise.")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--days", type=float, default=2.0)
    options = parser.parse_args()
    logging.disable(logging.WARNING)  # Curfew tells of each failure, and here there are thousands
    began = time.perf_counter()
    figures = simulate(seed=options.seed, days=options.days)
    print(
        f"seed {options.seed}: {figures.minutes} minutes, {figures.sweeps} sweeps, of them {figures.sampled_minutes} in "
        f"sampled hours, in {time.perf_counter() - began:.0f} s"
    )
    print(figures.line)
    return 1 if figures.violations else 0


if __name__ == "__main__":
    raise SystemExit(main())
