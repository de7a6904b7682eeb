"""`python -m tests.crash`: every accident at every call of every scenario; `--only` names a few."""

from __future__ import annotations

import argparse
import logging
import sys
import time

from tests.crash.account import opened
from tests.crash.enumerate import Chooses, enumerated, share
from tests.crash.scenarios import SCENARIOS


def main() -> int:
    """Run them one after the other and say what is wrong."""
    parser = argparse.ArgumentParser(prog="make crash", description="An accident at every call of AWS.")
    parser.add_argument("--only", default="", help="scenarios whose name has this in it")
    parser.add_argument("--mode", default="", help="dies, unanswered, retried or interleaved alone")
    parser.add_argument("--one-of", type=int, default=1, help="of so many accidents one is taken")
    options = parser.parse_args()
    logging.disable(logging.WARNING)  # Curfew tells of each failure
    named = {name: scenario for name, scenario in SCENARIOS.items() if options.only in name}
    if not named:
        parser.error(f"no scenario has {options.only!r} in its name; there are: {', '.join(SCENARIOS)}")
    calls = accidents = wrong = 0
    with opened() as account:
        for name, scenario in named.items():
            began = time.perf_counter()
            result = enumerated(account, scenario, _chosen(name, options))
            took = time.perf_counter() - began
            calls, accidents = calls + len(result.calls), accidents + result.accidents
            wrong += len(result.findings)
            _say(f"{name}: {len(result.calls)} calls, {result.accidents} accidents, {took:.0f} s")
            for line in result.lines:
                _say(f"  {line}")
    _say(f"scenarios {len(named)}, calls {calls}, accidents {accidents}, wrong {wrong}")
    return 1 if wrong else 0


def _chosen(name: str, options: argparse.Namespace) -> Chooses:
    some = share(name, one_of=options.one_of)
    return lambda accident, call: options.mode in accident.mode and some(accident, call)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    raise SystemExit(main())
