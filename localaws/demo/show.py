"""The whole show: play, table, checks, and the exit status."""

from __future__ import annotations

from time import monotonic

from localaws.demo.checks import checks
from localaws.demo.ledger import ledger
from localaws.demo.play import play
from localaws.demo.stage import Stage


def show() -> int:
    """Print everything; 0 only if every claim held against the truth."""
    began = monotonic()
    print("Curfew on a simulated AWS. Time is virtual, dollars are what that AWS bills.\n")
    print("time      billed   what happened")
    with Stage() as stage:
        cast = play(stage)
        truth = stage.truth()
    print()
    for line in ledger(cast, truth):
        print(line)
    print("\nHeld against what AWS says, not what Curfew says:")
    failed = 0
    for claim, holds in checks(cast, truth):
        failed += not holds
        print(f"  {'ok  ' if holds else 'FAIL'}  {claim}")
    took = monotonic() - began
    print(f"\ndemo: {'every claim holds' if not failed else f'{failed} claims FAILED'}, {took:.0f} s")
    return 1 if failed else 0
